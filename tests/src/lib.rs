//! Shared helpers of the integration tests: scenarios run in virtual time and judged.

pub mod same_runs;

use std::fs;
use std::path::{Path, PathBuf};

use rumormill_sim::results::judge;
use rumormill_sim::results::summary::RunResult;
use rumormill_sim::scenario::plan::Plan;
use rumormill_sim::scenario::{self, Scenario, Set};
use rumormill_sim::world::{self, Codec, Options};

/// The workspace's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The scenario files of a folder below the root, by name.
pub fn scenarios(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the scenarios");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// The name of a scenario file, which has no ending.
pub fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Reads a scenario below `scenarios`, such as `loss`, with `KEY=VALUE` in place of its own.
pub fn load(name: &str, sets: &[&str]) -> Scenario {
    let sets: Vec<_> = sets.iter().map(|text| Set::parse(text).expect("KEY=VALUE")).collect();
    scenario::load(&root().join(format!("scenarios/{name}.toml")), &sets)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The command that runs what [`load`] reads.
pub fn command(name: &str, sets: &[&str]) -> String {
    let sets: String = sets.iter().map(|set| format!(" --set '{set}'")).collect();
    format!("sim run scenarios/{name}.toml{sets}")
}

/// Panics unless a scenario opens with a comment and expects something.
pub fn assert_explained(path: &Path) {
    let text = fs::read_to_string(path).expect("a scenario");
    assert!(text.starts_with("# "), "{} opens with no comment", path.display());
    assert!(text.contains("[expect]"), "{} expects nothing", path.display());
}

/// Runs a plan.
pub fn run(plan: &Plan, codec: Codec) -> RunResult {
    world::run(plan, &Options { codec, ..Options::default() }, &mut |_| {})
}

/// Runs a scenario with one seed and holds it against its own expectations and the laws of every
/// run. Panics with what failed and the command that repeats it.
pub fn assert_holds(scenario: &Scenario, seed: u64) -> RunResult {
    assert_holds_as(scenario, seed, &command(scenario.name(), &[]))
}

/// The same for a scenario that is run by a command of its own.
pub fn assert_holds_as(scenario: &Scenario, seed: u64, command: &str) -> RunResult {
    let plan = scenario.plan(seed).unwrap_or_else(|error| panic!("{error}"));
    let result = run(&plan, Codec::Skip);
    let figures = serde_json::to_value(&result.summary).expect("a summary is JSON");
    let mut complaints = Vec::new();
    for expectation in &plan.expect {
        let judged = judge::judge(expectation, &figures);
        if !judged.ok {
            complaints.push(format!("{} {}, got {}", judged.name, judged.want, judged.got));
        }
    }
    for law in result.summary.invariants.iter().filter(|law| !law.ok) {
        complaints.push(format!("{}: {:?}", law.name, law.detail));
    }
    assert!(
        complaints.is_empty(),
        "{} with seed {seed}:\n  {}\nreproduce: {command} --seed {seed}",
        plan.name,
        complaints.join("\n  "),
    );
    result
}

/// The examples of the README, which are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
