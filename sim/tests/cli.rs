//! The command line as a user meets it: exit codes, what is printed where, and the files.

mod bench;
mod calls;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use serde_json::Value;

use bench::Bench;
use calls::call;

const SIM: &str = env!("CARGO_BIN_EXE_sim");

const SMALL: &str = r#"
name = "small"
nodes = 5
duration = "8s"

[[at]]
time = "3s"
publish = { node = 0, data = "v1" }

[expect]
"node_list.converged" = "== true"
"metadata.converged_after" = "<= 4s"
"#;

impl Bench {
    /// With the scenario `small.toml`.
    fn new() -> Self {
        Self::with(&[("small.toml", SMALL)])
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Calls `sim`, expects an exit code, and returns what it printed.
    fn call(&self, arguments: &str, code: i32) -> (String, String) {
        call(self.sim().args(arguments.split_whitespace()), code)
    }

    /// A call that must come to nothing: no output, no files.
    fn refused(&self, arguments: &str, code: i32) -> String {
        let (out, err) = self.call(arguments, code);
        assert_eq!(out, "", "`sim {arguments}` printed results");
        assert!(!self.path("out").exists(), "`sim {arguments}` wrote files");
        err
    }

    fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.call(arguments, 0).0).unwrap()
    }

    /// All files below a folder with their content, but for the timing.
    fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path(folder), "", &mut files);
        files.retain(|name, _| !name.ends_with("timing.json"));
        files
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().display());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn a_run_prints_a_table_and_writes_its_files() {
    let bench = Bench::new();
    let (out, err) = bench.call("run small.toml", 0);
    assert!(out.starts_with("small: 5 nodes, 8 s, seed 1\n"), "{out}");
    for text in ["Node lists", "Rumors", "Traffic", "Removals", "ok  node_list.converged"] {
        assert!(out.contains(text), "no `{text}` in\n{out}");
    }
    assert!(out.contains("out/small/seed-1"), "{out}");
    assert_eq!(err, "", "a pipe sees no progress");
    let files = bench.files("out/small/seed-1");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = [
        "delivery.png",
        "delivery.svg",
        "report.html",
        "rumors.csv",
        "scenario.toml",
        "series.csv",
        "spread.png",
        "spread.svg",
        "summary.json",
    ];
    assert_eq!(names, expected);
    assert!(bench.path("out/small/seed-1/timing.json").exists());
}

#[test]
fn an_ordinary_table_fits_on_a_screen() {
    let (out, _) = Bench::new().call("run small.toml", 0);
    assert!(out.lines().count() <= 50, "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

#[test]
fn a_failed_expectation_is_exit_code_1_with_the_command_that_shows_it_again() {
    let bench = Bench::new();
    bench.write("fails.toml", &SMALL.replace("<= 4s", "< 0s").replace("small", "fails"));
    let (out, err) = bench.call("run fails.toml --seed 9 --set engine.fan_out=2", 1);
    assert!(out.contains("FAIL"), "{out}");
    assert!(err.contains("expected metadata.converged_after < 0s, got "), "{err}");
    let command = "reproduce: sim run fails.toml --seed 9 --set engine.fan_out=2\n";
    assert!(err.ends_with(command), "{err}");
}

#[test]
fn wrong_commands_are_exit_code_2_and_leave_nothing() {
    let bench = Bench::new();
    bench.write("broken.toml", "name = \"broken\"\nnodes = 5\nduraton = \"8s\"\n");
    let refused = |arguments: &str| bench.refused(arguments, 2);
    assert!(refused("run missing.toml").contains("missing.toml"));
    assert!(refused("run broken.toml").contains("did you mean `duration`?"));
    assert!(refused("run small.toml broken.toml").contains("broken.toml:3"));
    assert!(refused("check broken.toml").contains("broken.toml:3"));
    assert!(refused("run small.toml --trace --trace-node 5").contains("nodes 0 to 4"));
    assert!(refused("explain out/small/seed-1").contains("no folder of a run"));
    assert!(refused("diff out/small/seed-1 b").contains("sim run SCENARIO.toml --trace"));
    assert!(refused("run small.toml --set fan_out").contains("KEY=VALUE"));
    assert!(refused("run small.toml --seed 18446744073709551615 --seeds 2").contains("--seed"));
    for arguments in ["", "run", "fly", "run small.toml --fast", "run small.toml --threads 0"] {
        refused(arguments);
    }
}

#[test]
fn two_inputs_that_share_a_folder_are_refused() {
    let bench = Bench::new();
    bench.write("other.toml", SMALL);
    let err = bench.refused("run small.toml other.toml", 2);
    let expected = "error: small.toml and other.toml would both write to out/small: ";
    assert!(err.starts_with(expected), "{err}");
}

#[test]
fn a_folder_that_cannot_be_written_is_exit_code_3_before_anything_runs() {
    let bench = Bench::new();
    let err = bench.refused("run small.toml --out small.toml/results", 3);
    assert!(err.starts_with("error: cannot write small.toml/results: "), "{err}");
}

#[test]
fn json_is_the_summary_and_the_same_each_time() {
    let bench = Bench::new();
    let (first, err) = bench.call("run small.toml --seed 7 --json", 0);
    assert_eq!(err, "");
    assert_eq!(bench.call("run small.toml --seed 7 --json", 0).0, first);
    assert_eq!(fs::read_to_string(bench.path("out/small/seed-7/summary.json")).unwrap(), first);
    let summary: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(summary["schema"], "summary/1");
    assert_eq!((&summary["seed"], &summary["ok"]), (&"7".into(), &true.into()));
    assert_eq!(summary["expectations"].as_array().unwrap().len(), 2);
}

#[test]
fn several_seeds_have_a_summary_each_and_an_aggregate() {
    let bench = Bench::new();
    let all = bench.json("run small.toml --seed 3 --seeds 4 --json");
    assert_eq!(all["schema"], "summaries/1");
    let seeds: Vec<&str> =
        all["runs"].as_array().unwrap().iter().filter_map(|run| run["seed"].as_str()).collect();
    assert_eq!(seeds, ["3", "4", "5", "6"]);
    let aggregate = &all["aggregates"][0];
    assert_eq!(aggregate["scenario"], "small");
    assert_eq!(aggregate["ok"]["n"], 4);
    assert_eq!(aggregate["node_list"]["converged_after_ms"]["n"], 4);
    let files = bench.files("out/small");
    for name in ["aggregate.json", "report.html", "spread.png", "spread.svg", "seed-6/summary.json"]
    {
        assert!(files.contains_key(name), "{name}");
    }
    assert!(!files.contains_key("seed-6/spread.png"), "one picture of all is enough");
}

#[test]
fn several_files_are_summaries_too() {
    let bench = Bench::new();
    bench.write("second.toml", &SMALL.replace("small", "second"));
    let all = bench.json("run small.toml second.toml --json --no-plots");
    let names = all["aggregates"].as_array().unwrap().iter().map(|one| one["scenario"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["small", "second"]);
    let files = bench.files("out");
    assert!(files.contains_key("second/seed-1/summary.json"));
    assert!(!files.keys().any(|name| name.contains("spread")), "--no-plots drew pictures");
}

#[test]
fn scenarios_that_differ_in_size_alone_have_a_picture_of_how_it_scales() {
    let bench = Bench::new();
    let sized = |nodes: u32| {
        let text = SMALL.replace("small", &format!("of-{nodes}"));
        bench.write(
            &format!("{nodes}.toml"),
            &text.replace("nodes = 5", &format!("nodes = {nodes}")),
        );
    };
    [4, 8, 12].into_iter().for_each(sized);
    bench.call("run 4.toml 8.toml 12.toml -q", 0);
    assert!(bench.path("out/sizes.png").exists() && bench.path("out/sizes.svg").exists());
    bench.call("run 4.toml 8.toml -q --out two", 0);
    assert!(!bench.path("two/sizes.png").exists(), "two points make no curve");
}

#[test]
fn the_number_of_threads_cannot_be_seen_in_any_result() {
    let bench = Bench::new();
    let run = |threads, out| {
        let arguments =
            format!("run small.toml --seeds 6 --json --trace --threads {threads} --out {out}");
        bench.call(&arguments, 0).0
    };
    assert_eq!(run(1, "one"), run(4, "four"));
    assert!(bench.files("one") == bench.files("four"), "a file differs between 1 and 4 threads");
    assert!(bench.files("one").contains_key("small/seed-6/trace.jsonl"));
}

#[test]
fn two_traces_are_the_same_or_part_at_an_event_that_is_named() {
    let bench = Bench::new();
    bench.call("run small.toml --trace -q --no-plots", 0);
    bench.call("run small.toml --trace -q --no-plots --wire --out again", 0);
    let (out, _) = bench.call("diff out/small/seed-1 again/small/seed-1", 0);
    assert!(out.contains(" are the same, all "), "{out}");
    bench.write("later.toml", &SMALL.replace("3s", "4s"));
    bench.call("run later.toml --trace -q --no-plots --out again", 0);
    let (out, err) = bench.call("diff out/small/seed-1 again/small/seed-1", 1);
    assert_eq!(err, "");
    assert!(out.contains("  A      3.000000000 s  action: publish "), "{out}");
    bench.call("run small.toml --trace --trace-node 2 -q --no-plots --out again", 0);
    let (_, err) = bench.call("diff out/small/seed-1 again/small/seed-1", 2);
    assert!(err.contains("the same --trace-.. filters"), "{err}");
    bench.call("run small.toml -q --no-plots --out untraced", 0);
    let (_, err) = bench.call("diff out/small/seed-1 untraced/small/seed-1", 2);
    let command = "sim run untraced/small/seed-1/scenario.toml --seed 1 --trace";
    assert!(err.contains(command), "{err}");
}

#[test]
fn a_rumor_is_explained_from_the_files_of_its_run() {
    let bench = Bench::new();
    bench.call("run small.toml --trace -q --no-plots", 0);
    let (out, _) = bench.call("explain out/small/seed-1 --rumor metadata-0", 0);
    assert!(out.starts_with("metadata-0: published by node 0 at 3 s"), "{out}");
    let (out, _) = bench.call("explain out/small/seed-1 --rumor metadata-0 --node 4", 0);
    assert!(out.contains("node 4 heard of it after ") && out.contains("\nso\n"), "{out}");
    let (_, err) = bench.call("explain out/small/seed-1 --rumor metadata-7", 2);
    assert!(err.contains("did you mean metadata-0?"), "{err}");
}

#[test]
fn encoding_every_packet_changes_no_result() {
    let bench = Bench::new();
    let plain = bench.json("run small.toml --json --no-plots");
    assert_eq!(bench.json("run small.toml --json --no-plots --wire"), plain);
}

#[test]
fn the_resolved_scenario_repeats_the_run() {
    let bench = Bench::new();
    let plain = bench.json("run small.toml --json --set engine.fan_out=2 --no-plots");
    let (folder, _) = overridden_folder(&bench);
    let again = bench.json(&format!("run {folder}/seed-1/scenario.toml --json --out again"));
    assert_eq!(again, plain);
}

/// The one folder that `--set` made, and its name.
fn overridden_folder(bench: &Bench) -> (String, String) {
    let names = fs::read_dir(bench.path("out")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().display().to_string());
    let name = names.find(|name| name.contains('+')).expect("--set has a folder of its own");
    (format!("out/{name}"), name)
}

#[test]
fn set_gives_the_run_a_folder_of_its_own() {
    let bench = Bench::new();
    bench.call("run small.toml --no-plots -q", 0);
    bench.call("run small.toml --no-plots -q --set engine.fan_out=4", 0);
    assert!(bench.path("out/small/seed-1").exists());
    let (folder, name) = overridden_folder(&bench);
    let digest = name.strip_prefix("small+").unwrap();
    assert!(digest.len() == 8 && digest.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
    let resolved = fs::read_to_string(bench.path(&folder).join("seed-1/scenario.toml")).unwrap();
    assert!(resolved.contains("fan_out = 4"), "{resolved}");
}

#[test]
fn a_later_run_with_other_flags_deletes_nothing_that_is_still_true() {
    let bench = Bench::new();
    bench.call("run small.toml --trace -q", 0);
    bench.write("out/small/seed-1/notes.md", "mine");
    let before = bench.files("out");
    bench.call("run small.toml --no-plots -q", 0);
    assert_eq!(bench.files("out"), before);
    bench.write("small.toml", &SMALL.replace("nodes = 5", "nodes = 6"));
    bench.call("run small.toml --no-plots -q", 0);
    let after = bench.files("out");
    assert!(after.contains_key("small/seed-1/notes.md"));
    assert!(!after.keys().any(|name| name.ends_with(".png") || name.ends_with("trace.jsonl")));
    let entries = fs::read_dir(bench.path("out")).unwrap().count();
    assert_eq!(entries, 1, "something was left beside the scenario's folder");
}

#[test]
fn quiet_is_silent_unless_something_fails() {
    let bench = Bench::new();
    assert_eq!(bench.call("run small.toml -q", 0), (String::new(), String::new()));
    bench.write("fails.toml", &SMALL.replace("<= 4s", "< 0s"));
    let (out, err) = bench.call("run fails.toml -q", 1);
    assert_eq!(out, "");
    assert!(err.contains("reproduce: sim run fails.toml --seed 1\n"), "{err}");
}

#[test]
fn a_reader_who_closes_the_pipe_is_no_error() {
    let bench = Bench::new();
    let mut child = Process::new(SIM)
        .args(["run", "small.toml", "--json"])
        .current_dir(bench.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

/// Ends a long run by a signal.
#[cfg(unix)]
fn ended_by(bench: &Bench, signal: &str) -> std::process::Output {
    let long = "name = \"long\"\nnodes = 300\nduration = \"24h\"\n";
    bench.write("long.toml", long);
    let mut child = Process::new(SIM)
        .args(["run", "long.toml", "--seeds", "2"])
        .current_dir(bench.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The handler is installed just before the folder is made.
    let begun =
        || fs::read_dir(bench.path("out")).is_ok_and(|mut entries| entries.next().is_some());
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let mut ended = None;
    while ended.is_none() {
        Process::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        ended = child.try_wait().unwrap();
    }
    child.wait_with_output().unwrap()
}

#[cfg(unix)]
#[test]
fn an_interrupt_or_a_polite_kill_is_exit_code_130_and_leaves_no_results() {
    for signal in ["-INT", "-TERM"] {
        let bench = Bench::new();
        let output = ended_by(&bench, signal);
        assert_eq!(output.status.code(), Some(130), "{signal}");
        assert_eq!(output.stdout, b"");
        assert!(String::from_utf8(output.stderr).unwrap().contains("interrupted: nothing"));
        let left = bench.files("out");
        assert!(left.is_empty(), "left behind: {:?}", left.keys());
    }
}

#[cfg(unix)]
#[test]
fn what_a_killed_run_left_is_swept_by_the_next() {
    let bench = Bench::new();
    assert_eq!(ended_by(&bench, "-KILL").status.code(), None);
    let entries =
        || fs::read_dir(bench.path("out")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(entries().all(|name| name.to_string_lossy().starts_with(".unfinished-")));
    bench.call("run small.toml --no-plots -q", 0);
    assert_eq!(entries().collect::<Vec<_>>(), ["small"]);
}

#[test]
fn a_scenario_may_come_from_standard_input() {
    let bench = Bench::new();
    let piped = |arguments: &str, text: &str, code: i32| {
        let mut sim = bench.sim();
        let asked = sim.args(arguments.split_whitespace()).write_stdin(text).assert().code(code);
        let output = asked.get_output();
        String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap()
    };
    let from_file = bench.call("run small.toml --json --no-plots", 0).0;
    assert_eq!(piped("run - --json --no-plots", SMALL, 0), from_file);
    assert!(piped("check -", SMALL, 0).starts_with("-: small, 5 nodes"));
    // It is read once, however often it is named.
    assert_eq!(piped("check - -", SMALL, 0).matches("-: small, 5 nodes").count(), 2);
    let wrong = piped("check -", "name = 'x'\nnodse = 3\n", 2);
    assert!(wrong.contains("<stdin>:2:1: unknown key `nodse`, did you mean `nodes`?"), "{wrong}");
    let told = piped("sweep - --vary engine.fan_out=1,2 --print-shards 2", SMALL, 2);
    assert!(told.contains("name a file instead of -"), "{told}");
}

#[test]
fn a_trace_of_a_rumor_that_never_was_is_refused_with_those_that_were() {
    let bench = Bench::new();
    let told = bench.refused("run small.toml --trace --trace-rumor metadata-1", 2);
    let expected = "--trace-rumor metadata-1: there is no such rumor, did you mean metadata-0?";
    assert!(told.contains(expected) && told.contains("There are metadata-0"), "{told}");
}

#[test]
fn a_command_that_is_none_names_the_nearest() {
    let bench = Bench::new();
    for (typed, near) in [("rnu", "run"), ("chekc", "check"), ("explian", "explain")] {
        let told = bench.refused(typed, 2);
        assert!(told.contains(&format!("'{near}'")), "{typed}: {told}");
    }
}

#[test]
fn a_number_out_of_range_is_told_its_range() {
    let bench = Bench::new();
    for (arguments, range) in [
        ("--seed 99999999999999999999", "at most 2^64 - 1"),
        ("--threads 0", "at least 1"),
        ("--seeds 0", "0 is not in 1..=100000"),
        ("--set nodes=99999999999999999999", "a number of nodes from 1 to 10000000"),
        ("--set engine.fan_out=70000", "70000 is out of range: at most 65535"),
        ("--set engine.buffer=-1", "-1 is out of range: it must not be negative"),
        ("--width 9", "from 300 to 5400"),
    ] {
        let told = bench.refused(&format!("run small.toml {arguments}"), 2);
        assert!(told.contains(range), "{arguments}: {told}");
    }
}

#[test]
fn a_newcomer_finds_examples_in_the_help() {
    let bench = Bench::new();
    let (help, _) = bench.call("--help", 0);
    assert!(help.contains("sim run scenarios/partition.toml"), "{help}");
    let (help, _) = bench.call("run --help", 0);
    for flag in ["--seed", "--seeds", "--set", "--threads", "--out", "--json", "--wire", "-q"] {
        assert!(help.contains(flag), "no {flag} in\n{help}");
    }
}

#[test]
fn a_good_scenario_passes_the_check() {
    let (out, err) = Bench::new().call("check small.toml", 0);
    assert!(out.starts_with("small.toml: small, 5 nodes, 8s"), "{out}");
    assert_eq!(err, "");
}

#[test]
fn the_measures_are_listed_with_their_definitions() {
    let (out, _) = Bench::new().call("measures", 0);
    for name in ["node_list.converged_after", "removals.false", "rumors.KIND.t99"] {
        assert!(out.contains(name), "no {name} in\n{out}");
    }
}

#[test]
fn a_new_scenario_is_right_and_runs() {
    let bench = Bench::new();
    let (out, _) = bench.call("new mine --nodes 7", 0);
    assert!(out.contains("mine.toml: 7 nodes"), "{out}");
    bench.call("check mine.toml", 0);
    bench.call("run mine.toml --no-plots -q", 0);
    assert!(bench.refused_again("new mine"), "the file was replaced");
    bench.call("new Mine", 2);
    bench.call("new other --nodes 2", 2);
}

impl Bench {
    fn refused_again(&self, arguments: &str) -> bool {
        let (out, err) = self.call(arguments, 2);
        out.is_empty() && err.contains("is there already")
    }
}

#[test]
fn the_version_has_a_commit_where_there_is_one_and_files_have_the_crates() {
    let bench = Bench::new();
    let (out, _) = bench.call("--version", 0);
    let version = concat!("sim ", env!("CARGO_PKG_VERSION"));
    let commit = out.trim_end().strip_prefix(version).unwrap();
    let is_hash = |hash: &str| hash.len() == 9 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let hash = commit.strip_prefix(" (").and_then(|rest| rest.strip_suffix(')'));
    assert!(commit.is_empty() || hash.is_some_and(is_hash), "{out}");
    let summary = bench.json("run small.toml --json --no-plots");
    assert_eq!(summary["tool_version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_schema_the_measures_and_the_completions_are_printed() {
    let bench = Bench::new();
    assert_eq!(bench.json("schema")["required"][0], "name");
    let measures = bench.json("measures t99 --json");
    assert!(measures["measures"].as_array().unwrap().len() > 3);
    bench.refused("measures t98", 2);
    let (script, _) = bench.call("completions bash", 0);
    assert!(script.contains("complete -F _sim"), "{script}");
    bench.call("man pages", 0);
    assert!(bench.path("pages/sim-run.1").exists());
}
