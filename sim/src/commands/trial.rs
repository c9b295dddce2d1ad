//! One run, judged: what every command does that puts a scenario to the test.
//!
//! Runs share nothing, so that any number of threads may each do one.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::Failure;
use super::progress::Progress;
use crate::measures;
use crate::report::summary::{RunResult, Summary};
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

/// Takes a plan to its end and holds the figures against what the scenario expects. A bug in
/// engine or simulator is told with the command that shows it again.
pub(super) fn run(
    plan: &Plan,
    options: Options,
    tape: Option<&mut Tape>,
    progress: &Progress,
    reproduction: impl FnOnce() -> String,
) -> Result<RunResult, Failure> {
    let run = || match tape {
        Some(tape) => world::run_traced(plan, &options, tape, &mut progress.of_run()),
        None => world::run(plan, &options, &mut progress.of_run()),
    };
    let mut run = catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let (message, command) = (message(&*panic), reproduction());
        Failure::machine(format!("a bug in rumormill: {message}\nreproduce: {command}"))
    })?;
    judge(plan, &mut run.summary);
    Ok(run)
}

/// Whether all laws held that are checked in every run.
pub(super) fn laws_hold(summary: &Summary) -> bool {
    summary.invariants.iter().all(|law| law.ok)
}

/// The command that shows a run again.
pub(super) fn command(file: &Path, seed: u64, sets: &[String]) -> String {
    let mut command = format!("sim run {} --seed {seed}", quoted(&file.display().to_string()));
    for set in sets {
        command += &format!(" --set {}", quoted(set));
    }
    command
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+%@".contains(c);
    match word.chars().all(plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Holds the figures against what the scenario expects.
fn judge(plan: &Plan, summary: &mut Summary) {
    let figures = serde_json::to_value(&*summary).expect("figures have string keys");
    let judged = plan.expect.iter().map(|expectation| measures::judge(expectation, &figures));
    summary.expectations = judged.collect();
    summary.ok = laws_hold(summary) && summary.expectations.iter().all(|result| result.ok);
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
    }

    #[test]
    fn a_command_names_the_file_the_seed_and_what_was_set() {
        let sets = ["nodes=7".to_owned(), "engine.cluster=a b".to_owned()];
        let command = command(Path::new("a.toml"), 3, &sets);
        assert_eq!(command, "sim run a.toml --seed 3 --set nodes=7 --set 'engine.cluster=a b'");
    }
}
