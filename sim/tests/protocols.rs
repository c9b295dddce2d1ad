//! Other protocols in the same world: the one that is built in, and the example of one's own.

mod bench;
mod calls;
mod told;

use std::path::PathBuf;
use std::process::Command as Process;
use std::sync::LazyLock;

use assert_cmd::Command;
use serde_json::Value;

use bench::Bench;
use calls::call;
use told::{assert_action_told, assert_told, error};

/// Every fault that there is for a few nodes, and calm at the end.
const FAULTS: &str = r#"
name = "faults"
nodes = 12
duration = "80s"

[network]
loss = "2%"
duplicate = "1%"
reorder = "1%"

[[at]]
time = "5s"
publish = { node = 0, data = "v1" }
[[at]]
time = "8s"
restart = { nodes = 3, down = "1s" }
[[at]]
time = "9s"
restart = { nodes = 4, down = "12s" }
[[at]]
time = "10s"
restart = { nodes = 5, down = "1s", address = "new" }
[[at]]
time = "10s"
drop = { kind = "KIND", nth = 3 }
[[at]]
time = "10s"
replay = { from = 2, to = 7, after = "1s" }
for = "2s"
[[at]]
time = "11s"
inject = { to = 2, from = "10.9.9.9:8000", kind = "bytes", bytes = "00ff" }
[[at]]
time = "14s"
stop = 6
for = "10s"
[[at]]
time = "20s"
leave = 8
[[at]]
time = "21s"
join = { count = 2 }
[[at]]
time = "25s"
pause = 9
for = "2s"
[[at]]
time = "25s"
suspend = 10
for = "3s"
[[at]]
time = "26s"
crash = 11
[[at]]
time = "30s"
partition = [["0..6"]]
for = "8s"
[[at]]
time = "50s"
publish = { node = 2, data = "v2" }
"#;

/// The example, built as whoever reads it builds it.
static OWN: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut cargo = Process::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "rumormill-sim", "--example", "own_protocol"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().expect("cargo runs").success(), "the example does not build");
    let profile = PathBuf::from(env!("CARGO_BIN_EXE_sim"));
    let profile = profile.parent().expect("it lies in a folder").to_owned();
    profile.join("examples").join(format!("own_protocol{}", std::env::consts::EXE_SUFFIX))
});

/// The scenario of all faults, with these lines before them.
fn faults(kind: &str, keys: &str) -> String {
    FAULTS.replace("KIND", kind).replace("[network]", &format!("{keys}\n[network]"))
}

fn run(bench: &Bench, program: &mut Command, arguments: &str) -> Value {
    let line = format!("run faults.toml -q --json {arguments}");
    let (out, err) = call(program.current_dir(bench.path("")).args(line.split(' ')), 0);
    assert_eq!(err, "");
    serde_json::from_str(&out).unwrap()
}

/// What must be so of any protocol that does its work.
#[track_caller]
fn assert_measured(summary: &Value) {
    for law in summary["invariants"].as_array().unwrap() {
        let judged = ["packets_conserved", "versions_never_go_back"];
        let detail = law["detail"].as_str().unwrap_or_default();
        assert_eq!(law["ok"], true, "{law}");
        let is_judged = judged.contains(&law["name"].as_str().unwrap());
        assert_eq!(is_judged, !detail.starts_with("not judged: rumormill promises"), "{law}");
    }
    assert_eq!(summary["node_list"]["converged"], true);
    assert_eq!(summary["metadata"]["converged"], true);
    let error = &summary["view_error"];
    assert_eq!((&error["missing_end"], &error["ghosts_end"]), (&0.into(), &0.into()));
    assert!(summary["detection"]["all_ms"].as_f64().unwrap() > 4_000.0, "a crash is found out");
    let faults = ["drop", "replay", "inject", "partition", "restart", "crash", "pause", "suspend"];
    for fault in faults {
        assert!(summary["faults"][fault].as_u64() > Some(0), "{fault}");
    }
    for rumor in summary["rumors"].as_array().unwrap() {
        let (id, kind) = (&rumor["id"], rumor["kind"].as_str().unwrap());
        if ["metadata", "join"].contains(&kind) {
            assert_eq!(rumor["coverage"], 1.0, "{id}");
            assert!(rumor["messages"].as_u64() > Some(8), "{id}");
            assert!(rumor["ldh"].as_u64() > Some(0), "{id}");
        }
    }
}

fn ids(summary: &Value, kind: &str) -> usize {
    let rumors = summary["rumors"].as_array().unwrap();
    rumors.iter().filter(|rumor| rumor["kind"] == kind).count()
}

#[test]
fn pekonode_lives_through_every_fault_with_all_measures() {
    let bench = Bench::with(&[("faults.toml", &faults("beat", ""))]);
    let summary = run(&bench, &mut bench.sim(), "--protocol pekonode --no-plots");
    assert_measured(&summary);
    // Who comes back at its address can't be told from who was never gone; at another it can.
    assert_eq!(ids(&summary, "restart"), 1);
    // Packets through bytes, and engines side by side, make no difference.
    for same in ["--wire", "--threads 1", "--threads 2"] {
        let again =
            run(&bench, &mut bench.sim(), &format!("--protocol pekonode --no-plots {same}"));
        assert_eq!(again, summary, "{same}");
    }
}

#[test]
fn a_protocol_of_ones_own_has_faults_measures_pictures_and_traces_as_any_other() {
    let keys = "[protocol]\nname = 'push-pull'\n";
    let bench = Bench::with(&[("faults.toml", &faults("pull", keys))]);
    let own = || Command::new(&*OWN);
    let summary = run(&bench, &mut own(), "--trace");
    assert_measured(&summary);
    assert_eq!(ids(&summary, "restart"), 3);
    let folder = bench.path("out/faults/seed-1");
    for file in ["spread.png", "spread.svg", "report.html", "trace.jsonl", "rumors.csv"] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        assert!(bytes.len() > 1_000, "{file}");
    }
    let again = run(&bench, &mut own(), "--wire --no-plots --threads 1");
    assert_eq!(again, summary);
    // A key of its own changes what it does.
    let quiet = run(&bench, &mut own(), "--no-plots --set protocol.answers=false");
    assert!(quiet["messages"]["sent"].as_u64() < summary["messages"]["sent"].as_u64());
    // What is resolved runs again, as the same.
    let resolved = folder.join("scenario.toml");
    let line = format!("run {} -q --json --no-plots", resolved.display());
    let (out, _) = call(own().current_dir(bench.path("")).args(line.split(' ')), 0);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), summary);
}

#[test]
fn who_begins_with_the_list_of_all_lists_all_or_takes_them_for_seeds() {
    let text = "name = 'a'\nnodes = 20\nduration = '20s'\nbootstrap = 'full'\n";
    let bench = Bench::with(&[("faults.toml", text)]);
    let summary = run(&bench, &mut bench.sim(), "--no-plots --protocol pekonode");
    assert_eq!(summary["node_list"]["converged_after_ms"], 0.0);
    assert_eq!(summary["events"]["joined"], 20 * 19);
    let summary = run(&bench, &mut Command::new(&*OWN), "--no-plots --protocol push-pull");
    let after = summary["node_list"]["converged_after_ms"].as_f64().unwrap();
    assert!((1.0..3_000.0).contains(&after), "{after}");
}

#[test]
fn a_protocol_is_known_by_its_name_and_the_nearest_is_proposed() {
    let bench = Bench::with(&[("faults.toml", &faults("beat", ""))]);
    let typed = ["run", "faults.toml", "--protocol", "pekonodes"];
    let (out, err) = call(bench.sim().args(typed), 2);
    assert_eq!(out, "");
    assert!(err.contains("unknown protocol `pekonodes`, did you mean `pekonode`?"), "{err}");
    let (_, err) = call(bench.sim().args(["run", "faults.toml", "--protocol", "push-pull"]), 2);
    assert!(err.contains("it must be one of rumormill, pekonode"), "{err}");
    assert_told(
        &error("[protocol]\nname = 'pekonode'\nsise = 9000\n"),
        "bad.toml:6:1: unknown key `sise`, did you mean `size`?",
    );
    assert_told(
        &error("[protocol]\nname = 'pekonode'\nsize = 10\n"),
        "bad.toml:6:8: `size`: must lie between 1000 and 65507 bytes",
    );
}

#[test]
fn what_a_protocol_cant_do_is_an_error_at_its_place() {
    let pekonode = |action: &str| {
        error(&format!("[protocol]\nname = 'pekonode'\n[[at]]\ntime = '10s'\n{action}\n"))
    };
    assert_told(
        &pekonode("inject = { to = 1, from = 2, kind = 'goodbye' }"),
        "bad.toml:8:37: nobody can make up a `goodbye` in `pekonode`: write `kind = \"bytes\"` \
         and the bytes, or run another protocol",
    );
    assert_told(
        &pekonode("drop = { kind = 'rumor' }"),
        "bad.toml:8:17: `rumor` is no kind of packet of `pekonode`: it is one of beat, publish, \
         swap_request, swap_answer",
    );
    assert_action_told(
        "drop = { kind = 'swap_asnwer' }",
        "bad.toml:6:17: `swap_asnwer` is no kind of packet, did you mean `swap_answer`?",
    );
    let updates = "update = { nodes = 1, private_data = 'b' }";
    let text = faults("pull", "") + "[[at]]\ntime = '60s'\n" + updates;
    let bench = Bench::with(&[("faults.toml", &text)]);
    let mut own = Command::new(&*OWN);
    let typed = ["run", "faults.toml", "--protocol", "push-pull"];
    let (_, err) = call(own.current_dir(bench.path("")).args(typed), 2);
    let want = "`push-pull` can't `update`: leave this action out, or run another protocol";
    assert!(err.contains(want), "{err}");
}

#[cfg(feature = "testbed")]
#[test]
fn only_our_own_protocol_is_spoken_on_real_sockets() {
    let text = "name = 'a'\nnodes = 2\nduration = '1s'\n";
    let bench = Bench::with(&[("faults.toml", text)]);
    let typed = ["run", "faults.toml", "--protocol", "pekonode", "--net", "udp"];
    let (out, err) = call(bench.sim().args(typed), 2);
    assert_eq!(out, "");
    let want = "a: --net udp: `pekonode` has no dialect for real sockets";
    assert!(err.contains(want), "{err}");
}
