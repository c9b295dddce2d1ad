//! Shared helpers of the integration tests: scenarios run in virtual time and judged.

use std::path::PathBuf;

use rumormill_sim::measures;
use rumormill_sim::report::summary::RunResult;
use rumormill_sim::scenario::Scenario;
use rumormill_sim::scenario::plan::Plan;
use rumormill_sim::world::{self, Codec, Options};

/// The workspace's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a plan.
pub fn run(plan: &Plan, codec: Codec) -> RunResult {
    world::run(plan, &Options { codec }, &mut |_| {})
}

/// Runs a scenario with one seed and holds it against its own expectations and the laws of every
/// run. Panics with what failed and the command that repeats it.
pub fn assert_holds(scenario: &Scenario, seed: u64) -> RunResult {
    let plan = scenario.plan(seed).unwrap_or_else(|error| panic!("{error}"));
    let result = run(&plan, Codec::Skip);
    let figures = serde_json::to_value(&result.summary).expect("a summary is JSON");
    let mut complaints = Vec::new();
    for expectation in &plan.expect {
        let judged = measures::judge(expectation, &figures);
        if !judged.ok {
            complaints.push(format!("{} {}, got {}", judged.name, judged.want, judged.got));
        }
    }
    for law in result.summary.invariants.iter().filter(|law| !law.ok) {
        complaints.push(format!("{}: {:?}", law.name, law.detail));
    }
    assert!(
        complaints.is_empty(),
        "{} with seed {seed}:\n  {}\nreproduce: sim run scenarios/{}.toml --seed {seed}",
        plan.name,
        complaints.join("\n  "),
        plan.name,
    );
    result
}
