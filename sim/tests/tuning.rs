//! Tuning and comparing as a user, or a user's CI, meets them.

mod bench;
mod calls;

use std::fs;

use serde_json::Value;

use bench::Bench;
use calls::call;

const SMALL: &str = r#"
name = "small"
nodes = 8
duration = "6s"
bootstrap = "full"

[engine]
timeout = "4s"

[[at]]
time = "3s"
publish = { node = 0, data = "v1" }
"#;

const PARTED: &str = r#"
name = "parted"
nodes = 6
duration = "12s"

[[at]]
time = "4s"
partition = ["0..3", "3..6"]
for = "4s"

[[at]]
time = "5s"
publish = { node = 0, data = "v1" }
"#;

impl Bench {
    fn new() -> Self {
        Self::with(&[("small.toml", SMALL), ("parted.toml", PARTED)])
    }

    /// Calls `sim`, expects an exit code, and returns what it printed; `~` in a word is a blank.
    fn call(&self, arguments: &str, code: i32) -> (String, String) {
        let words = arguments.split_whitespace().map(|word| word.replace('~', " "));
        call(self.sim().args(words), code)
    }

    fn refused(&self, arguments: &str) -> String {
        let (out, err) = self.call(arguments, 2);
        assert_eq!(out, "", "`sim {arguments}` printed results");
        assert!(!self.path("out").exists(), "`sim {arguments}` wrote files");
        err
    }

    fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.call(arguments, 0).0).unwrap()
    }
}

const SEARCH: &str = "--vary engine.fan_out=1,3 --vary engine.cycle=500ms,1s,4s --fresh 20";

#[test]
fn the_recommended_scenario_holds_the_targets_on_the_fresh_seeds() {
    let bench = Bench::new();
    let targets = "--target metadata.t99~<=~1s --target removals.false~==~0";
    let tuned = bench.json(&format!("tune small.toml {targets} {SEARCH} --json"));
    assert_eq!(tuned["settings_refused"], 2, "a cycle of 4s does not go with the timeout");
    let own = &tuned["recommended"];
    assert_eq!(own["fresh"]["held"]["true"], 20);
    // The block is in the scenario beside the figures; each fresh seed is run again by itself.
    let folder = fs::read_dir(bench.path("out/small")).unwrap().next().unwrap().unwrap().path();
    let seeds = &own["fresh_seeds"];
    let first = seeds[0].as_str().unwrap();
    let file = folder.join("recommended.toml").display().to_string();
    let runs = bench.json(&format!("run {file} --seed {first} --seeds 20 --json --no-plots"));
    for run in runs["runs"].as_array().unwrap() {
        assert!(run["metadata"]["t99_ms"].as_f64().unwrap() <= 1_000.0, "{}", run["seed"]);
        assert_eq!(run["removals"]["false"], 0);
    }
    let bytes = &runs["aggregates"][0]["bytes"]["with_headers"]["median"];
    assert_eq!(bytes, &own["fresh"]["figures"]["bytes.with_headers"]["median"]);
    // Nothing that was tried and held is cheaper.
    let cost =
        |setting: &Value| setting["figures"]["bytes.with_headers"]["median"].as_f64().unwrap();
    let settings = tuned["settings"].as_array().unwrap();
    let chosen = cost(&settings[own["setting"].as_u64().unwrap() as usize]);
    let holds = |setting: &&Value| setting["held"]["true"] == setting["held"]["n"];
    assert!(settings.iter().filter(holds).all(|setting| chosen <= cost(setting)));
}

#[test]
fn a_tuning_is_the_same_with_any_number_of_threads_and_shows_what_to_paste() {
    let bench = Bench::new();
    let call = format!("tune small.toml --target metadata.t99~<=~1s {SEARCH}");
    let (one, err) = bench.call(&format!("{call} --threads 1"), 0);
    assert_eq!(err, "");
    let (three, _) = bench.call(&format!("{call} --threads 3"), 0);
    assert_eq!(one, three);
    for text in ["Recommended: fan_out", "[engine]\nfan_out = ", "timeout = \"4s\"", ".build()?;"] {
        assert!(one.contains(text), "no `{text}` in\n{one}");
    }
}

#[test]
fn where_nothing_meets_a_target_it_says_which_and_the_nearest_and_why() {
    let bench = Bench::new();
    let targets = "--target metadata.t99~<=~200ms --target removals.false~==~0";
    let (out, err) = bench.call(&format!("tune parted.toml {targets} {SEARCH}"), 1);
    assert!(err.starts_with("no setting meets metadata.t99 <= 200ms; nearest: fan_out"), "{err}");
    assert_eq!(err.lines().count(), 1);
    // Long lines go on below.
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "metadata.t99 <= 200ms: met by none; the best median is",
        "removals.false == 0: met by 6 settings",
        "the last publish, at 5 s, is made during `partition",
        "which ends 3 s later. From there on counts: metadata.converged_after",
    ] {
        assert!(out.contains(text), "no `{text}` in\n{out}");
    }
    assert!(!out.contains("[engine]"), "nothing is recommended");
    let tune = fs::read_dir(bench.path("out/parted")).unwrap().next().unwrap().unwrap().path();
    assert!(tune.join("front.png").exists() && !tune.join("recommended.toml").exists());
}

#[test]
fn what_the_file_expects_is_wanted_too_but_of_a_measure_that_was_typed() {
    let bench = Bench::new();
    let expects = "[expect]\n\"metadata.t99\" = \"<= 1ns\"\n\"messages.sent\" = \"<= 1\"\n";
    fs::write(bench.path("small.toml"), format!("{SMALL}\n{expects}")).unwrap();
    let call = format!("tune small.toml --target metadata.t99~<=~1s {SEARCH}");
    let (out, err) = bench.call(&call, 1);
    assert!(err.starts_with("no setting meets messages.sent <= 1;"), "{err}");
    assert!(out.contains("and with it the 1 expectation of the file"), "{out}");
}

#[test]
fn a_target_that_no_run_can_have_a_figure_of_is_refused_before_any_is_spent() {
    let bench = Bench::new();
    let silent = SMALL.split("[[at]]").next().unwrap();
    fs::write(bench.path("silent.toml"), silent.replace("small", "silent")).unwrap();
    for (target, told) in [
        ("metadata.t99~<=~1s", "is a figure of a publish, and there is none in the scenario"),
        ("detection.all~<=~4s", "is a figure of a crash, and there is none"),
    ] {
        let error = bench.refused(&format!("tune silent.toml --target {target}"));
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_tuning_is_one_clear_line() {
    let bench = Bench::new();
    for (arguments, told) in [
        ("--target metadata.t9~<=~1s", "did you mean `metadata.t90`?"),
        ("--target metadata.t99~<=~5", "is a duration and `5` is none"),
        ("--target metadata.t99~<=~1s --target metadata.t99~>=~2s", "no run can hold"),
        ("--target metadata.t99~<=~1s --minimize bytes", "unknown measure `bytes`"),
        ("--target metadata.t99~<=~1s --minimize node_list.converged", "more of it is better"),
        ("--target metadata.t99~<=~1s --vary network.loss=0%,5%", "only settings can be chosen"),
        ("--target metadata.t99~<=~1s --vary engine.fan_ot=1", "did you mean `fan_out`?"),
        ("--target metadata.t99~<=~1s --vary engine.fan_out=1..4", "`1..=3` or `1..=4`"),
        ("--target metadata.t99~<=~1s --share 95", "write a number and %"),
    ] {
        let error = bench.refused(&format!("tune small.toml {arguments}"));
        assert!(error.contains(told), "{arguments}: {error}");
    }
}

#[test]
fn a_worse_setting_is_told_and_fails_the_command_where_that_is_asked_for() {
    let bench = Bench::new();
    let call = "compare small.toml small.toml,engine.cycle=250ms --seeds 16";
    let (out, err) = bench.call(call, 0);
    assert_eq!(err, "");
    assert!(out.contains("16 pairs of runs with the same seed"), "{out}");
    let worse = out.split("B is better").next().unwrap();
    assert!(worse.contains("bytes.with_headers"), "{out}");
    let (same, err) = bench.call(&format!("{call} --fail-if-worse"), 1);
    assert_eq!(same, out);
    assert!(err.starts_with("small.toml,engine.cycle=250ms is worse: "), "{err}");
    // Four times the traffic is within a tolerance of nine parts in ten only the other way round.
    let back = "compare small.toml,engine.cycle=250ms small.toml --measure bytes.with_headers";
    assert!(bench.call(&format!("{back} --fail-if-worse"), 0).0.contains("B is better"));
}

#[test]
fn a_thing_compared_with_itself_is_the_same_in_every_pair() {
    let bench = Bench::new();
    bench.call("run small.toml --seeds 8 --no-plots -q", 0);
    let compared = bench.json("compare out/small small.toml --json --fail-if-worse");
    assert_eq!(compared["pairs"], 8);
    let measures = compared["measures"].as_array().unwrap();
    assert!(measures.len() > 30);
    assert!(measures.iter().all(|measure| measure["verdict"] == "same"), "{compared}");
}

#[test]
fn too_few_pairs_to_show_anything_pass_no_check() {
    let bench = Bench::new();
    let call = "compare small.toml small.toml,engine.cycle=250ms --fail-if-worse --seeds";
    let error = bench.refused(&format!("{call} 1"));
    assert!(error.contains("1 pair cannot show that B is worse in any of "), "{error}");
    let error = bench.refused(&format!("{call} 5 --measure bytes.with_headers"));
    assert!(error.contains("take --seeds 6 or more"), "{error}");
    bench.call(&format!("{call} 6 --measure bytes.with_headers"), 1);
}

#[test]
fn two_scenarios_are_compared_only_where_that_is_meant() {
    let bench = Bench::new();
    let other = fs::read_to_string(bench.path("small.toml")).unwrap();
    let other = other.replacen("name = \"small\"", "name = \"other\"", 1);
    fs::write(bench.path("other.toml"), other).unwrap();
    bench.call("run other.toml --no-plots -q --out runs", 0);
    for sides in ["small.toml other.toml", "small.toml runs/other"] {
        let error = bench.refused(&format!("compare {sides} --seeds 1"));
        assert!(error.contains("is of the scenario small"), "{error}");
        bench.call(&format!("compare {sides} --seeds 1 --across"), 0);
    }
}

#[test]
fn a_comparison_in_markdown_has_the_figures_of_the_table() {
    let bench = Bench::new();
    let call = "compare small.toml small.toml,engine.cycle=250ms --measure bytes.with_headers";
    let (text, _) = bench.call(&format!("{call} --seeds 8 --format markdown"), 0);
    assert!(
        text.starts_with("### B `small.toml,engine.cycle=250ms` against A `small.toml`"),
        "{text}"
    );
    assert!(text.contains("| **worse** | `bytes.with_headers` | "), "{text}");
    let json = bench.call(&format!("{call} --seeds 8 --format json"), 0);
    assert_eq!(json, bench.call(&format!("{call} --seeds 8 --json"), 0));
    bench.refused(&format!("{call} --seeds 8 --format markdown --json"));
}

#[test]
fn results_are_paired_by_their_seeds() {
    let bench = Bench::new();
    bench.call("run small.toml --seeds 8 --no-plots -q --out a", 0);
    bench.call("run small.toml --seed 3 --seeds 8 --no-plots -q --out b", 0);
    let compared = bench.json("compare a/small b/small --json");
    assert_eq!((&compared["pairs"], &compared["unpaired"]), (&6.into(), &4.into()));
    bench.call("sweep small.toml --vary engine.fan_out=2,3 --seeds 8 --no-plots -q --out c", 0);
    let sweep = fs::read_dir(bench.path("c/small")).unwrap().next().unwrap().unwrap().path();
    let cell = sweep.join("cells/00001.json").display().to_string();
    let compared = bench.json(&format!("compare a/small {cell} --json"));
    let differing = |measure: &&Value| measure["verdict"] != "same";
    let measures = compared["measures"].as_array().unwrap();
    assert_eq!(measures.iter().filter(differing).count(), 0, "3 is the default fan-out");
    let compared = bench.json("compare a/small/seed-2 small.toml,engine.fan_out=1 --json");
    assert_eq!(compared["pairs"], 1);
}

#[test]
fn what_is_wrong_with_a_comparison_is_one_clear_line() {
    let bench = Bench::new();
    bench.call("run small.toml --no-plots -q --out a", 0);
    bench.call("run small.toml --seed 9 --no-plots -q --out b", 0);
    fs::create_dir(bench.path("empty")).unwrap();
    fs::write(bench.path("no.json"), "{}").unwrap();
    for (arguments, told) in [
        ("a/small b/small", "have no seed in common"),
        ("a/small empty", "empty holds no results: name a folder such as"),
        ("a/small nowhere.json", "there is no such file"),
        ("a/small no.json", "it is no cell of a sweep"),
        ("a/small smal.toml", "did you mean `small.toml`?"),
        ("a/small small.toml,engine.fan_ot=4", "did you mean `fan_out`?"),
        ("a/small small.toml,nodes", "this is no KEY=VALUE"),
        ("a/small a/small --measure t9", "unknown measure `t9`"),
        ("a/small a/small --tolerance 1", "write a number and %"),
    ] {
        let error = bench.refused(&format!("compare {arguments}"));
        assert!(error.contains(told), "{arguments}: {error}");
    }
    fs::write(bench.path("a/small/seed-1/summary.json"), "{\"schema\":\"summ").unwrap();
    assert!(bench.refused("compare a/small a/small").contains("summary.json:1: EOF"));
}
