//! Exploring as a user meets it: what is found, made small, kept and refused.

mod bench;
mod calls;

use std::fs;

use serde_json::Value;

use bench::Bench;
use calls::call;

/// A scenario that fails by one of its actions alone.
const FAILS: &str = r#"
name = "fails"
nodes = 12
duration = "40s"

[engine]
fan_out = 4

[network]
latency = "1ms..10ms"

[[at]]
time = "5s"
publish = { node = 2, data = "v1" }

[[at]]
time = "10s"
crash = [3, 7]

[[at]]
time = "12s"
for = "1s"
isolate = 5

[[at]]
time = "15s"
join = { count = 2 }

[expect]
"removals.right" = "== 0"
"#;

const HOLDS: &str = "name = 'holds'\nnodes = 3\nduration = '20s'\n";

impl Bench {
    fn new() -> Self {
        Self::with(&[("fails.toml", FAILS), ("holds.toml", HOLDS)])
    }

    /// Calls `sim`, expects an exit code, and returns what it printed.
    #[track_caller]
    fn call(&self, arguments: &str, code: i32) -> (String, String) {
        call(self.sim().args(arguments.split_whitespace()), code)
    }

    fn findings(&self, out: &str) -> String {
        fs::read_to_string(self.path(&format!("{out}/fuzz/seed-3/findings.json"))).unwrap()
    }
}

#[test]
fn what_is_found_follows_from_the_seed_and_an_ended_search_goes_on() {
    let bench = Bench::new();
    let explore = "fuzz fails.toml --seed 3 -q";
    // With an expectation that most runs break there is something to find.
    let (out, _) = bench.call(&format!("{explore} --runs 6 --threads 1 --out one"), 1);
    assert!(out.contains("removals.right") && out.contains("in 6 runs (6 now"), "{out}");
    bench.call(&format!("{explore} --runs 6 --threads 2 --out two"), 1);
    assert_eq!(bench.findings("one"), bench.findings("two"), "threads can't be seen");
    bench.call(&format!("{explore} --runs 2 --out parts"), 1);
    let (out, _) = bench.call(&format!("{explore} --runs 6 --out parts"), 1);
    assert!(out.contains("in 6 runs (4 now"), "{out}");
    assert_eq!(bench.findings("parts"), bench.findings("one"), "nor can an interruption");
    let found: Value = serde_json::from_str(&bench.findings("one")).unwrap();
    for finding in found["findings"].as_array().unwrap() {
        let file = format!("one/fuzz/seed-3/{}", finding["file"].as_str().unwrap());
        bench.call(&format!("run {file} --seed {} --no-plots -q", finding["sim_seed"]), 1);
    }
}

#[test]
fn where_nothing_breaks_the_search_says_so_and_succeeds() {
    let bench = Bench::new();
    let (out, err) = bench.call("fuzz --runs 12 --nodes 2..=5", 0);
    assert!(out.starts_with("nothing broke in 12 runs (12 now, "), "{out}");
    assert_eq!(err, "");
}

#[test]
fn the_smallest_scenario_has_what_makes_it_fail_and_nothing_else() {
    let bench = Bench::new();
    let (out, said) = bench.call("shrink fails.toml --seeds 2 -q", 0);
    assert!(out.starts_with("# removals.right: removals.right == 0, got "), "{out}");
    let small: toml::Table = out.parse().unwrap();
    let actions = small["at"].as_array().unwrap();
    assert!(actions.len() == 1 && actions[0].get("crash").is_some(), "{out}");
    assert!(small["nodes"].as_integer().unwrap() <= 3 && !small.contains_key("engine"), "{out}");
    assert!(said.starts_with("removals.right: ") && said.contains("lines, of 15, after"), "{said}");
    let (said, _) = bench.call("shrink fails.toml --seeds 2 -q --out small.toml", 0);
    let command = said.lines().find_map(|line| line.strip_prefix("reproduce: sim ")).unwrap();
    bench.call(&format!("{command} --no-plots -q"), 1);
}

#[test]
fn what_holds_or_is_no_search_of_ours_is_refused_in_a_line() {
    let bench = Bench::new();
    let (out, err) = bench.call("shrink holds.toml --seeds 3", 2);
    assert_eq!(out, "");
    assert!(err.contains("holds.toml: nothing to shrink") && err.contains("seeds 1 to 3"), "{err}");
    bench.call("fuzz --runs 2 --nodes 2..=3 --seed 3 -q --out kept", 0);
    let (_, err) = bench.call("fuzz --runs 4 --nodes 2..=4 --seed 3 -q --out kept", 2);
    assert!(err.contains("of other scenarios"), "{err}");
    fs::write(bench.path("kept/fuzz/seed-3/findings.json"), "{").unwrap();
    let (_, err) = bench.call("fuzz --runs 4 --nodes 2..=3 --seed 3 -q --out kept", 2);
    assert!(err.contains("findings.json") && err.contains("another --out"), "{err}");
}

#[cfg(not(feature = "planted"))]
#[test]
fn a_build_without_faults_to_plant_says_how_to_get_one() {
    let bench = Bench::new();
    for arguments in ["fuzz --planted all", "run holds.toml --planted watch-ends"] {
        let (_, said) = bench.call(arguments, 2);
        assert!(said.contains("--features planted"), "{said}");
    }
}
