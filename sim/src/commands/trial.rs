//! One run, judged: what every command does that puts a scenario to the test.
//!
//! Runs share nothing, so that any number of threads may each do one.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};
use rumormill::text::{find_unprintable, is_unprintable};

use super::Failure;
use super::progress::Progress;
use crate::caught::caught;
use crate::report::terminal::WIDTH;
use crate::results::judge;
use crate::results::summary::{RunResult, Summary};
use crate::scenario::plan::Plan;
use crate::world::{self, Options, Tape};

/// As many threads as were asked for, or one per processor, but no more than there are runs.
pub(super) fn pool(threads: Option<NonZeroUsize>, runs: usize) -> Result<ThreadPool, Failure> {
    let available = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = threads.unwrap_or_else(available).get().min(runs.max(1));
    ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| {
        Failure::machine(format!("cannot start {threads} threads: {error}; ask for fewer"))
    })
}

/// Does pieces of work on all threads, the first first, and hands the results back in order.
///
/// Each thread takes the next piece when it is done with one, so that what belongs together is
/// finished together and no thread is idle before the last piece is taken.
///
/// # Errors
/// Of the failures that came about, the one of the earliest piece; no further pieces are begun.
pub(super) fn each<T: Send>(
    pool: &ThreadPool,
    count: usize,
    piece: impl Fn(usize) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |_: rayon::BroadcastContext<'_>| {
        let mut done = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let result = piece(number);
            stopped.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((number, result));
        }
        done
    };
    let mut done: Vec<_> = pool.broadcast(work).into_iter().flatten().collect();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Takes a plan to its end and holds the figures against what the scenario expects. A bug in
/// engine or simulator is told with the command that shows it again.
pub(super) fn run(
    plan: &Plan,
    options: Options,
    tape: Option<&mut Tape>,
    progress: &Progress,
    reproduction: impl FnOnce() -> String,
) -> Result<RunResult, Failure> {
    judged(plan, reproduction, || {
        let result = match tape {
            Some(tape) => world::run_traced(plan, &options, tape, &mut progress.of_run()),
            None => world::run(plan, &options, &mut progress.of_run()),
        };
        progress.end_run();
        Ok(result)
    })
}

/// Holds the figures of a run, however it comes about, against what the scenario expects.
pub(super) fn judged(
    plan: &Plan,
    reproduction: impl FnOnce() -> String,
    run: impl FnOnce() -> Result<RunResult, Failure>,
) -> Result<RunResult, Failure> {
    let mut run = caught(run).map_err(|panic| Failure::bug(&panic, &reproduction()))??;
    judge::judge_run(plan, &mut run.summary);
    Ok(run)
}

/// Whether all laws held that are checked in every run.
pub(super) fn laws_hold(summary: &Summary) -> bool {
    summary.invariants.iter().all(|law| law.ok)
}

/// The command that shows a run again.
pub(super) fn command(file: &Path, seed: u64, sets: &[String]) -> String {
    let mut command = format!("sim run {} --seed {seed}", quoted_path(file));
    for set in sets {
        command += &format!(" --set {}", quoted(set));
    }
    command
}

/// A command to type next: behind what it is for, or below that where it would not fit on a line.
pub(super) fn hint(what: &str, command: &str) -> String {
    let together = format!("{what}: {command}");
    if together.chars().count() <= WIDTH {
        return together;
    }
    format!("{what}:\n  {command}")
}

/// A path as a shell reads it back.
pub(super) fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A word as a shell reads it back, on one line.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+%@".contains(c);
    if word.chars().all(plain) && !word.is_empty() {
        return word.to_owned();
    }
    match find_unprintable(word) {
        None => format!("'{}'", word.replace('\'', r"'\''")),
        Some(_) => format!("$'{}'", word.chars().map(escaped).collect::<String>()),
    }
}

/// A character between `$'` and `'`, as bash and zsh read it.
fn escaped(char: char) -> String {
    match char {
        '\\' | '\'' => format!("\\{char}"),
        char if is_unprintable(char) => {
            let mut bytes = [0; 4];
            let bytes = char.encode_utf8(&mut bytes).bytes();
            bytes.map(|byte| format!("\\{byte:03o}")).collect()
        }
        char => char.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted("scenarios/loss.toml"), "scenarios/loss.toml");
        assert_eq!(quoted("network.loss=20%"), "network.loss=20%");
        assert_eq!(quoted("engine.name=it's"), r"'engine.name=it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's\n\u{1b}[2J \\\u{9b}"), r"$'it\'s\012\033[2J \\\302\233'");
    }

    #[test]
    fn work_comes_back_in_order_whatever_the_number_of_threads() {
        for threads in [1, 3] {
            let pool = pool(NonZeroUsize::new(threads), 100).unwrap();
            let squares = each(&pool, 100, |number| Ok(number * number)).unwrap();
            assert_eq!(squares, (0..100).map(|number| number * number).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_earliest_failure_is_told_and_no_further_work_begun() {
        let pool = pool(NonZeroUsize::new(2), 1_000).unwrap();
        let begun = AtomicUsize::new(0);
        let result = each(&pool, 1_000, |number| {
            begun.fetch_add(1, Ordering::Relaxed);
            if number >= 2 { Err(Failure::wrong(number.to_string())) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err().text, "error: 2");
        assert!(begun.into_inner() < 1_000);
    }

    #[test]
    fn a_command_that_does_not_fit_behind_its_purpose_stands_below_it() {
        assert_eq!(hint("reproduce", "sim run a.toml"), "reproduce: sim run a.toml");
        let command = format!("sim run {}.toml", "a".repeat(60));
        assert_eq!(hint("reproduce", &command), format!("reproduce:\n  {command}"));
    }

    #[test]
    fn a_command_names_the_file_the_seed_and_what_was_set() {
        let sets = ["nodes=7".to_owned(), "engine.cluster=a b".to_owned()];
        let command = command(Path::new("a.toml"), 3, &sets);
        assert_eq!(command, "sim run a.toml --seed 3 --set nodes=7 --set 'engine.cluster=a b'");
    }
}
