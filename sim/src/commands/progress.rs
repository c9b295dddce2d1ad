//! A bar for the impatient: on a terminal only, and only once a second has passed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rumormill::time::Instant;

use crate::clock::Stopwatch;
use crate::report::human;

/// How long a command may take before it shows a bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// No line of it is wider than a terminal: 40 for the name and the count, some 20 for the times.
const TEMPLATE: &str = "{msg} {bar:16} {percent:>3} %, {eta} to go";
/// Letters of the name.
const NAME_MAX: usize = 18;

/// The bar that is on the terminal.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A person at a terminal.
    Person,
    /// A pipe, a file, or a person who wants no noise.
    Nobody,
}

/// The progress of all runs of a command, in virtual time or in steps.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    since: Stopwatch,
    audience: Audience,
    /// What a millisecond of a run counts, where some runs cost more than others.
    weight: u64,
    runs: Arc<RunsBar>,
}

/// What is being done, and how much of it is.
#[derive(Debug)]
struct RunsBar {
    name: String,
    ended: AtomicU64,
    all: AtomicU64,
}

impl RunsBar {
    fn text(&self) -> String {
        let (ended, all) = (self.ended.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed));
        match all {
            // Until a time is over, and nobody knows how many that will be.
            0 => format!("{}: {}", self.name, human::counted(ended, "run")),
            all => {
                format!("{}: {} of {}", self.name, human::count(ended), human::counted(all, "run"))
            }
        }
    }
}

impl Progress {
    /// For so many runs that take so much virtual time together.
    pub fn new(name: &str, runs: usize, total: Duration, audience: Audience) -> Self {
        Self::steps(name, runs as u64, millis(total), audience)
    }

    /// For runs of so many steps together.
    pub fn steps(name: &str, runs: u64, total: u64, audience: Audience) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_length(total);
        bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("it is fixed and right"));
        let name = human::shortened(name, NAME_MAX);
        let runs = RunsBar { name, ended: AtomicU64::new(0), all: AtomicU64::new(runs) };
        bar.set_message(runs.text());
        Self { bar, since: Stopwatch::start(), audience, weight: 1, runs: Arc::new(runs) }
    }

    /// What one run calls with its virtual time, now and then.
    pub fn of_run(&self) -> impl FnMut(Instant) + '_ {
        let mut told = 0;
        move |now: Instant| {
            let at = now.as_nanos() / 1_000_000;
            self.advance(at.saturating_sub(told) * self.weight);
            told = told.max(at);
        }
    }

    /// One more run is done.
    pub fn end_run(&self) {
        self.runs.ended.fetch_add(1, Ordering::Relaxed);
        self.bar.set_message(self.runs.text());
    }

    /// The same progress, of which a run's time is this many times as much.
    pub fn weighing(&self, weight: u32) -> Self {
        Self { weight: weight.into(), ..self.clone() }
    }

    /// More runs, and more virtual time, are to come than were known.
    pub fn expect(&self, runs: usize, more: Duration) {
        self.runs.all.fetch_add(runs as u64, Ordering::Relaxed);
        self.bar.set_message(self.runs.text());
        self.bar.inc_length(millis(more));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// So many steps, or milliseconds, are done.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
        let late = self.audience == Audience::Person && self.since.elapsed() > PATIENCE;
        if late && self.bar.is_hidden() && !self.bar.is_finished() {
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.bar.clone());
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// Takes the bar away, if there is one, for good: whoever still works draws none.
pub fn clear() {
    if let Some(bar) = &*SHOWN.lock().unwrap_or_else(PoisonError::into_inner) {
        bar.finish_and_clear();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_add_up_and_a_clock_that_stands_adds_nothing() {
        let progress = Progress::new("loss", 2, Duration::from_secs(20), Audience::Nobody);
        for _ in 0..2 {
            let mut tell = progress.of_run();
            for ms in [4_000, 4_000, 10_000] {
                tell(Instant::from_nanos(ms * 1_000_000));
            }
        }
        assert_eq!(progress.bar.position(), 20_000);
        progress.weighing(3).of_run()(Instant::from_nanos(1_000_000_000));
        assert_eq!(progress.bar.position(), 23_000);
        assert!(progress.bar.is_hidden());
    }

    #[test]
    fn a_bar_says_what_is_done_and_how_many_runs_of_how_many() {
        let progress = Progress::new("loss", 1, Duration::ZERO, Audience::Nobody);
        assert_eq!(progress.bar.message(), "loss: 0 of 1 run");
        progress.expect(11, Duration::from_secs(1));
        progress.end_run();
        assert_eq!(progress.bar.message(), "loss: 1 of 12 runs");
        let long = Progress::new(&"long".repeat(20), 100_000, Duration::ZERO, Audience::Nobody);
        assert!(long.bar.message().chars().count() <= 40, "{}", long.bar.message());
    }

    #[test]
    fn a_bar_that_was_cleared_does_not_come_back() {
        let progress = Progress::new("loss", 1, Duration::from_secs(9), Audience::Nobody);
        *SHOWN.lock().unwrap() = Some(progress.bar.clone());
        clear();
        assert!(progress.bar.is_finished());
        progress.advance(1);
        assert!(progress.bar.is_hidden());
    }
}
