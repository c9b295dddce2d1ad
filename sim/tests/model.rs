//! `sim model` as a user meets it: keys, exit codes, what is refused and how.

mod calls;

use assert_cmd::Command;
use serde_json::Value;

const SIM: &str = env!("CARGO_BIN_EXE_sim");

/// Calls `sim model`, expects an exit code, and returns what it printed.
fn call(arguments: &str, code: i32) -> (String, String) {
    calls::call(Command::new(SIM).arg("model").args(arguments.split_whitespace()), code)
}

fn json(arguments: &str) -> Value {
    serde_json::from_str(&call(arguments, 0).0).unwrap()
}

#[test]
fn every_figure_has_a_mean_a_deviation_and_an_interval() {
    let figures = json("--stop feedback-counter:1 --nodes 100 --runs 20 --json");
    for key in ["residue", "traffic", "t_ave", "t_last"] {
        let figure = figures[key].as_object().unwrap();
        assert_eq!(figure.keys().collect::<Vec<_>>(), ["mean", "sd", "ci95"], "{key}");
        let (low, high) = (&figure["ci95"][0], &figure["ci95"][1]);
        let mean = figure["mean"].as_f64().unwrap();
        assert!(low.as_f64().unwrap() < mean && mean < high.as_f64().unwrap(), "{key}");
    }
    assert_eq!(figures["rounds_to_all"]["mean"], Value::Null, "some run left somebody out");
    let rounds = figures["coverage_by_round"].as_array().unwrap();
    assert_eq!(rounds[0]["mean"], 0.01);
    let residue = figures["residue"]["mean"].as_f64().unwrap();
    let last = rounds.last().unwrap()["mean"].as_f64().unwrap();
    assert!((last + residue - 1.0).abs() < 1e-12);
}

#[test]
fn output_depends_on_the_seed_and_not_on_threads() {
    let call = |arguments: &str| call(&format!("--nodes 500 --runs 30 --json {arguments}"), 0).0;
    assert_eq!(call("--threads 1"), call("--threads 3"));
    assert_ne!(call("--seed 1"), call("--seed 2"));
}

#[test]
fn without_more_ado_it_is_the_push_of_a_thousand_nodes() {
    let (out, err) = call("", 0);
    let title = "push, never: 1,000 nodes, fan-out 1, no loss, 100 runs, seed 1\n";
    assert!(out.starts_with(title), "{out}");
    assert!(out.contains("log2 n + ln n"), "{out}");
    assert_eq!(err, "", "a pipe sees no progress");
}

#[test]
fn what_cannot_be_is_exit_code_2_with_the_fix() {
    for (arguments, fix) in [
        ("--spread pul", "did you mean `pull`?"),
        ("--stop feedback-coin", "such as feedback-coin:2"),
        ("--stop blind-counter:0", "K of 1 to 10000"),
        ("--nodes 1", "2 to 100000000 nodes"),
        ("--nodes 8 --fan-out 8", "make it 7"),
        ("--loss 20", "20% or 0.2"),
        ("--loss 100%", "at most 99 %"),
        ("--runs 0", "1..=1000000"),
        ("--fanout 3", "--fan-out"),
    ] {
        let (out, err) = call(arguments, 2);
        assert_eq!(out, "", "{arguments}");
        assert!(err.starts_with("error: ") && err.contains(fix), "{arguments}: {err}");
    }
}

const SCENARIO: &str = "name = 'small'\nnodes = 20\nduration = '3s'\nbootstrap = 'full'\n\
                        [network]\nloss = '5%'\n\
                        [[at]]\ntime = '1s'\npublish = { node = 3, data = 'v1' }\n";

/// A folder with `small.toml`, and the arguments that name it and a place for results.
fn beside(scenario: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    std::fs::write(&file, scenario).unwrap();
    let arguments = format!("--beside {} --out {}/out", file.display(), folder.path().display());
    (folder, arguments)
}

#[test]
fn protocols_stand_side_by_side_in_a_table_a_document_and_a_picture() {
    let (folder, arguments) = beside(SCENARIO);
    let (out, _) = call(&format!("{arguments} --seeds 3"), 0);
    for name in ["arcs", "push-once:3", "periodic:3,200ms,4", "reach all"] {
        assert!(out.contains(name), "{name}: {out}");
    }
    let written = folder.path().join("out/small/beside");
    for name in ["beside.json", "beside.png", "beside.svg"] {
        assert!(written.join(name).exists(), "{name}");
    }
    let document = json(&format!("{arguments} --seeds 3 --with push-once:19 --json"));
    let protocols = document["protocols"].as_array().unwrap();
    assert_eq!((protocols.len(), &protocols[1]["name"]), (2, &Value::from("push-once:19")));
    assert_eq!(protocols[1]["messages_per_node"]["median"], 19.0);
    assert_eq!(document["seeds"], 3);
    let threads = |count: u32| call(&format!("{arguments} --seeds 4 --json --threads {count}"), 0);
    assert_eq!(threads(1), threads(3));
}

#[test]
fn a_scenario_that_models_cannot_follow_is_refused_without_files() {
    for (scenario, extra, fix) in [
        (SCENARIO.to_owned() + "[[at]]\ntime = '2s'\nleave = 1\n", "", "not `leave`"),
        (SCENARIO.split("[[at]]").next().unwrap().to_owned(), "", "add a `publish`"),
        (SCENARIO.to_owned(), " --nodes 5", "cannot be used with"),
        (SCENARIO.to_owned(), " --with push-onse:3", "did you mean `push-once`?"),
        (SCENARIO.replace("nodes", "nods"), "", "did you mean `nodes`?"),
    ] {
        let (folder, arguments) = beside(&scenario);
        let (out, err) = call(&(arguments + extra), 2);
        assert!(out.is_empty() && err.contains(fix), "{fix}: {err}");
        assert!(!folder.path().join("out").exists(), "{fix}");
    }
    assert!(call("--with push-once:3", 2).1.contains("--beside"));
}

#[test]
fn the_help_has_examples_and_says_what_counts() {
    let (out, _) = call("--help", 0);
    for text in ["sim model --stop feedback-counter:2", "feedback-counter:K", "Traffic counts"] {
        assert!(out.contains(text), "{text}: {out}");
    }
}
