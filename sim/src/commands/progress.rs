//! A bar for the impatient: on a terminal only, and only once a second has passed.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rumormill::Instant;

use crate::report::timing::Stopwatch;

/// How long a command may take before it shows a bar.
const PATIENCE: Duration = Duration::from_secs(1);

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
}

impl Progress {
    /// For runs that take so much virtual time together.
    pub fn new(total: Duration, audience: Audience) -> Self {
        Self::steps(millis(total), audience)
    }

    /// For work of so many steps together.
    pub fn steps(total: u64, audience: Audience) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_length(total);
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {elapsed}, {eta} to go");
        bar.set_style(style.expect("the template is fixed and right"));
        Self { bar, since: Stopwatch::start(), audience, weight: 1 }
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

    /// The same progress, of which a run's time is this many times as much.
    pub fn weighing(&self, weight: u32) -> Self {
        Self { weight: weight.into(), ..self.clone() }
    }

    /// More virtual time is to come than was known.
    pub fn expect(&self, more: Duration) {
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
        if late && self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
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
        let progress = Progress::new(Duration::from_secs(20), Audience::Nobody);
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
}
