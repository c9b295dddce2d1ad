//! Real nodes on loopback do what the same plan does to virtual ones.
#![cfg(feature = "testbed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rumormill_sim::measures;
use rumormill_sim::results::summary::{RunResult, Summary};
use rumormill_sim::scenario::{self, Set};
use rumormill_sim::testbed::{self, TestbedError, TestbedNet};

/// Ten nodes that are quick to notice.
const HEAD: &str = "
name = 'bed'
nodes = 10
duration = '4s'
engine = { cycle = '100ms', timeout = '700ms', redial = '300ms' }
network = { latency = '1ms..3ms' }
";

fn run(text: &str, net: TestbedNet) -> Result<RunResult, TestbedError> {
    let set = Set::parse(&format!("engine.protocol={}", net.name())).unwrap();
    let text = HEAD.to_owned() + text;
    let scenario = scenario::parse("bed.toml", &text, &[set]).unwrap_or_else(|error| {
        panic!("{error}");
    });
    testbed::run(&scenario.plan(1).unwrap(), net, None, &mut |_| {})
}

fn played(text: &str, net: TestbedNet) -> Summary {
    let summary = run(text, net).unwrap().summary;
    for law in &summary.invariants {
        assert!(law.ok, "{net:?}: {} is broken: {:?}", law.name, law.detail);
    }
    summary
}

/// A figure by the name of its measure.
fn figure(summary: &Summary, name: &str) -> serde_json::Value {
    let figures = serde_json::to_value(summary).unwrap();
    measures::value(&figures, measures::find(name).unwrap())
}

const SPLIT: &str = "
[[at]]
time = '500ms'
publish = { node = 0, data = 'before' }
[[at]]
time = '1s'
partition = ['0..5', '5..10']
for = '1500ms'
[[at]]
time = '1200ms'
publish = { node = 2, data = 'left' }
[[at]]
time = '1300ms'
publish = { node = 7, data = 'right' }
";

#[test]
fn halves_that_were_split_remove_each_other_and_agree_again_over_udp_and_tcp() {
    for net in [TestbedNet::Udp, TestbedNet::Tcp] {
        let summary = played(SPLIT, net);
        assert_eq!(summary.net, Some(net.name()));
        assert_eq!((summary.nodes.start, summary.nodes.end), (10, 10), "{net:?}");
        let causes: Vec<_> =
            summary.node_list.episodes.iter().map(|episode| episode.cause.as_str()).collect();
        assert_eq!(causes, ["start", "partition", "heal"], "{net:?}");
        assert!(summary.node_list.episodes.iter().all(|it| it.converged_after_ms.is_some()));
        assert_eq!(summary.removals.cut, 50, "{net:?}: each of five by each of five");
        assert_eq!((summary.removals.wrong, summary.removals.right), (0, 0), "{net:?}");
        assert_eq!(summary.metadata.converged, Some(true), "{net:?}");
        let [before, left, right] = &summary.rumors[..3] else { panic!("{:?}", summary.rumors) };
        for rumor in [before, left, right] {
            assert_eq!(rumor.coverage, Some(1.0), "{net:?}: {}", rumor.id);
        }
        // Nobody learns by less than one link.
        assert!(before.t50_ms.unwrap() >= 1.0 && before.t100_ms.unwrap() < 500.0, "{before:?}");
        assert!(right.t100_ms.unwrap() > 1_000.0, "the heal had to come first");
        assert!(summary.messages.cut > 100, "{:?}", summary.messages);
    }
}

const LIVES: &str = "
[[at]]
time = '600ms'
crash = 1
for = '1s'
[[at]]
time = '700ms'
restart = { nodes = 2, manner = 'leave', down = '300ms', address = 'new' }
[[at]]
time = '800ms'
stop = 3
for = '1500ms'
[[at]]
time = '900ms'
join = { count = 2, via = 0, over = '100ms' }
[[at]]
time = '1500ms'
leave = 4
[[at]]
time = '2s'
crash = 5
[[at]]
time = '2s'
pause = 6
for = '1200ms'
";

#[test]
fn nodes_crash_restart_move_stop_join_leave_and_pause() {
    for net in [TestbedNet::Udp, TestbedNet::Tcp] {
        let summary = played(LIVES, net);
        assert_eq!((summary.nodes.start, summary.nodes.end), (10, 10), "{net:?}");
        assert!(summary.node_list.converged, "{net:?}: {:?}", summary.view_error);
        let count = |kind: &str| summary.faults.get(kind).copied();
        assert_eq!(
            ["crash", "restart", "stop", "join", "leave", "pause"].map(count),
            [Some(1), Some(2), Some(1), Some(2), Some(1), Some(1)]
        );
        let kinds = |kind| summary.rumors.iter().filter(|rumor| rumor.kind == kind).count();
        assert_eq!((kinds("join"), kinds("restart"), kinds("leave")), (2, 2, 2), "{net:?}");
        assert!(summary.detection.all_ms.unwrap() >= 500.0, "{net:?}");
        assert!(summary.messages.to_dead > 0, "{net:?}: {:?}", summary.messages);
        assert_eq!(summary.removals.wrong, 0, "{net:?}: {:?}", summary.removals);
    }
}

#[test]
fn the_link_model_s_losses_and_doubles_happen_to_real_packets() {
    let text = "
[[at]]
time = '1s'
link = { from = 'all', to = 'all', loss = '20%', duplicate = '10%', corrupt = '5%' }
";
    let summary = played(text, TestbedNet::Udp);
    let messages = summary.messages;
    assert!(messages.lost > 50 && messages.duplicated > 20 && messages.corrupted > 5);
    // What the link model lets pass arrives, to the packet.
    let let_pass = messages.sent + messages.duplicated - messages.lost - messages.corrupted;
    assert_eq!(messages.delivered + messages.in_flight + messages.overflow, let_pass);
    assert!(messages.overflow * 100 <= let_pass, "{messages:?}");
    // A fifth of what was sent in three of four seconds, give or take.
    let share = messages.lost as f64 / messages.sent as f64;
    assert!((0.10..0.25).contains(&share), "{share}");
    assert_eq!(figure(&summary, "peaks.queue"), serde_json::Value::Null);
}

#[test]
fn nodes_may_begin_with_complete_lists() {
    let text = "
bootstrap = 'full'
[[at]]
time = '500ms'
publish = { node = 3, size = '5KiB' }
";
    let text = text.to_owned() + "[expect]\nseeds = '100%'\n";
    // The key stands before the tables.
    let summary = played(&text, TestbedNet::Udp);
    let start = &summary.node_list.episodes[0];
    assert!(start.converged_after_ms.unwrap() < 400.0, "{start:?}");
    assert_eq!(summary.metadata.converged, Some(true), "a value that goes by stream");
}

#[test]
fn what_real_time_cannot_do_is_refused_before_anything_starts() {
    let refused = |text| match run(text, TestbedNet::Udp) {
        Err(TestbedError::Unfit(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = refused("[[at]]\ntime = '1s'\nclock = { nodes = 1, drift = '10%' }\n");
    assert!(why.starts_with("bed: ") && why.contains("clock") && why.contains("--net"), "{why}");
    assert!(!why.contains('\n'));
    let why = refused("[[at]]\ntime = '1s'\nstarve = { nodes = 1, delay = '1s' }\n");
    assert!(why.contains("`starve 1 by 1s` can be done in virtual time alone"), "{why}");
    let why = refused("[[at]]\ntime = '1s'\nslow = { nodes = 1, cpu = '5%' }\n");
    assert!(why.contains("`slow 1 to 5% of a processor` can be done in virtual time"), "{why}");
    let why = refused("start = '0s..1s'\nbootstrap = 'full'\n");
    assert!(why.contains("`start`"), "{why}");
}

/// Short, for the command line.
const SHORT: &str = "
name = 'short'
nodes = 5
duration = '1500ms'
network = { latency = '2ms' }
engine = { cycle = '100ms' }
[[at]]
time = '1s'
publish = { node = 3, data = 'v1' }
[expect]
metadata.converged = '== true'
";

/// A folder with `short.toml` in it, and what `sim` answers there.
fn sim(folder: &Path, arguments: &str, code: i32) -> (String, String) {
    fs::write(folder.join("short.toml"), SHORT).unwrap();
    let mut sim = Command::new(env!("CARGO_BIN_EXE_sim"));
    let output = sim.current_dir(folder).args(arguments.split(' ')).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments}: {out}{err}");
    (out, err)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn both_lays_virtual_and_real_beside_each_other_in_folders_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = sim(folder.path(), "run short.toml --net both", 0);
    for text in ["short: virtual beside real (udp), 1 seed", "metadata t99", "real : virtual"] {
        assert!(out.contains(text), "no `{text}` in\n{out}");
    }
    let at = |path: &str| folder.path().join("out").join(path);
    assert_eq!(names(&at("")), ["short", "short+udp"]);
    assert_eq!(names(&at("short+udp")), ["both.json", "both.png", "both.svg", "seed-1"]);
    assert_eq!(names(&at("short/seed-1")), names(&at("short+udp/seed-1")));
    let read = |path: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(at(path)).unwrap()).unwrap()
    };
    let (of_virtual, of_real) =
        (read("short/seed-1/summary.json"), read("short+udp/seed-1/summary.json"));
    assert_eq!((of_virtual.get("net"), &of_real["net"]), (None, &"udp".into()));
    assert_eq!(of_real["trace_hash"], serde_json::Value::Null);
    let beside = read("short+udp/both.json");
    let t99 = &beside["rumors"][2];
    assert_eq!(t99["name"], "metadata t99");
    let ms = |run: &serde_json::Value| run["rumors"][0]["t99_ms"].as_f64().unwrap();
    assert_eq!(t99["virtual"], ms(&of_virtual));
    assert_eq!(t99["real"], ms(&of_real));
    assert_eq!(t99["ratio"], ms(&of_real) / ms(&of_virtual));
}

#[test]
fn over_real_seeds_there_is_the_page_that_the_output_names() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = sim(folder.path(), "run short.toml --net udp --seeds 2", 0);
    assert!(out.contains("to look at: out/short+udp/report.html"), "{out}");
    let seed = out.split("--seed ").nth(1).unwrap().split(' ').next().unwrap();
    let page = fs::read_to_string(folder.path().join("out/short+udp/report.html")).unwrap();
    let title = format!("<title>short, seed {seed}");
    assert!(page.contains(&title), "no `{title}` in {}", &page[..200]);
}

#[test]
fn a_real_run_says_so_and_can_be_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = sim(folder.path(), "run short.toml --net tcp --trace --json --no-plots", 0);
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&summary["net"], &summary["ok"]), (&"tcp".into(), &true.into()));
    let resolved = folder.path().join("out/short+tcp/seed-1/scenario.toml");
    assert!(fs::read_to_string(resolved).unwrap().contains("protocol = \"tcp\""));
    let explain = "explain out/short+tcp/seed-1 --rumor metadata-0 --node 1";
    let (told, _) = sim(folder.path(), explain, 0);
    assert!(told.contains("node 1"), "{told}");
}

#[test]
fn an_interrupted_real_run_leaves_nothing_and_a_wrong_net_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, err) = sim(folder.path(), "run short.toml --net upd", 2);
    assert!(err.contains("udp"), "{err}");
    let mut run = Command::new(env!("CARGO_BIN_EXE_sim"));
    let run = run.current_dir(folder.path()).args(["run", "short.toml", "--net", "udp"]);
    let run = run.args(["--set", "duration=60s"]).stderr(Stdio::piped()).stdout(Stdio::piped());
    let mut run = run.spawn().unwrap();
    while !folder.path().join("out").exists() {
        std::thread::yield_now();
    }
    // The handler of the signal is there before the folder is.
    let pid = run.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(names(folder.path()).iter().all(|name| name == "short.toml" || name == "out"));
    let left = folder.path().join("out");
    assert!(!left.exists() || names(&left).is_empty());
}

/// As `short.toml`, but nothing is delayed, and two are cut off for a while.
const SPACES: &str = "
name = 'spaces'
nodes = 6
duration = '6s'
network = { latency = '0ms' }
engine = { cycle = '100ms', timeout = '700ms', redial = '300ms' }
[[at]]
time = '1500ms'
publish = { node = 3, data = 'v1' }
[[at]]
time = '2s'
partition = [[0, 1]]
for = '1500ms'
[[at]]
time = '2200ms'
restart = { nodes = 2, down = '300ms', address = 'new' }
[[at]]
time = '2500ms'
publish = { node = 0, data = 'v2' }
[[at]]
time = '3s'
pause = 4
for = '200ms'
[[at]]
time = '4s'
leave = 5
[expect]
metadata.converged = '== true'
node_list.converged = '== true'
removals.false = '== 0'
";

/// What namespaces are left of runs.
fn namespaces() -> Vec<String> {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed).into_owned();
    listed.lines().filter(|line| line.starts_with("rumormill-")).map(str::to_owned).collect()
}

#[test]
fn nodes_in_namespaces_of_their_own_are_cut_by_the_kernel_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spaces.toml"), SPACES).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_sim"));
    let run =
        run.current_dir(folder.path()).args(["run", "spaces.toml", "--net", "netns", "--json"]);
    let output = run.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    if output.status.code() == Some(3) {
        // One line that says why, and nothing else.
        assert!(err.starts_with("error: --net netns: ") && err.lines().count() == 1, "{err}");
        assert!(output.stdout.is_empty() && !folder.path().join("out/spaces+netns").exists());
        // What a machine can't do is one thing, a program that nobody installed another.
        let required = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!(required && err.contains("there is no `")), "{err}: .ci/run installs it");
        return eprintln!("skipped: {err}");
    }
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &summary["net"]), (Some(0), &"netns".into()), "{err}");
    // Two on this side and three on the other, apart from one that came and went.
    assert!(summary["removals"]["cut"].as_u64() >= Some(12), "{}", summary["removals"]);
    assert!(summary["messages"]["cut"].as_u64() > Some(50), "{}", summary["messages"]);
    assert!(namespaces().iter().all(|name| !name.contains("-hub")), "{:?}", namespaces());
}

#[test]
fn what_the_kernel_cannot_do_to_links_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = sim(folder.path(), "run short.toml --net netns --set nodes=51", 2);
    assert_eq!((out.as_str(), err.lines().count()), ("", 1), "{err}");
    assert!(err.contains("at most 50 nodes"), "{err}");
}
