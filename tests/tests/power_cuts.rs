//! All processes of a cluster killed at one moment, and started again with nothing but their
//! folders.

mod helpers;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use rumormill::rng::Rng;

use helpers::process::{Process, run};

const NODES: usize = 3;
const ROUNDS: u64 = 6;

/// Nothing is flushed in time: what is kept is kept because it was confirmed.
const SETTINGS: [&str; 8] =
    ["--cycle", "200ms", "--timeout", "1s", "--state-flush", "1h", "--confirm", "1"];

fn start(folder: &tempfile::TempDir, number: usize, listen: &str, join: &[&str]) -> Process {
    let path = folder.path().join(number.to_string());
    let own = ["--listen", listen, "--state-dir", path.to_str().unwrap()];
    Process::start(&[&SETTINGS[..], &own, join].concat())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "processes of their own, on real sockets")]
fn what_one_other_confirmed_outlasts_a_kill_of_all_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::fork(20, "power", 0);
    let start = |number, listen: &str, args: &[&str]| {
        start(&folder, number, listen, &[&["--puts"], args].concat())
    };
    let first = start(0, "127.0.0.1:0", &[]);
    let mut addrs = vec![first.addr.clone()];
    let mut nodes = vec![first];
    for number in 1..NODES {
        nodes.push(start(number, "127.0.0.1:0", &["--join", &addrs[0]]));
        addrs.push(nodes[number].addr.clone());
    }
    let (mut written, mut in_all) = (0, 0);
    // Each key has one writer, so that a later number is a newer version.
    let mut confirmed: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        for node in &mut nodes {
            for _ in 1..NODES {
                node.wait_for("others", |line| line.starts_with("joined "));
            }
        }
        for _ in 0..1 + rng.below(60) {
            written += 1;
            let node = rng.below(NODES);
            nodes[node].type_line(&format!("key-{node}-{}={written}", rng.below(15)));
            sleep(Duration::from_micros(rng.between(0, 6_000)));
        }
        let said = nodes.into_iter().flat_map(Process::kill_and_hear);
        for put in said.filter_map(|line| line.strip_prefix("confirmed ").map(str::to_owned)) {
            let (key, value) = value_of(&put);
            let newest = confirmed.entry(key.to_owned()).or_default();
            *newest = value.max(*newest);
            in_all += 1;
        }
        // Nobody is told where the others are.
        nodes = (0..NODES).map(|number| start(number, &addrs[number], &[])).collect();
        for (key, &value) in &confirmed {
            // A later one may have taken its place that nobody confirmed.
            let holds = |line: &str| {
                let put = line.strip_prefix("entry ").map(value_of);
                put.is_some_and(|(of, held)| of == key && held >= value)
            };
            for (number, node) in nodes.iter_mut().enumerate() {
                node.wait_for(&format!("{key}={value} in round {round} on node {number}"), holds);
            }
        }
    }
    assert!(in_all > 20, "only {in_all} of {written} were confirmed");
}

fn value_of(put: &str) -> (&str, u64) {
    let (key, value) = put.split_once('=').expect("it was put so");
    (key, value.parse().expect("a number"))
}

#[test]
fn a_folder_in_use_ends_a_node_with_one_line_that_names_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let _first = start(&folder, 0, "127.0.0.1:0", &[]);
    let path = folder.path().join("0");
    let ended = run(&["--state-dir", path.to_str().unwrap()]);
    let error = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.contains("is in use by process ") && error.contains("/0`"), "{error}");
}

/// The limit on the length of a file is met as a full disk is, by whoever ignores the signal.
#[cfg(target_os = "linux")]
#[test]
fn a_node_whose_disk_is_full_goes_on_says_so_and_confirms_nothing_new() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let mut other = start(&folder, 0, "127.0.0.1:0", &[]);
    let path = folder.path().join("full");
    let args = [&SETTINGS[..2], &["--state-dir", path.to_str().unwrap(), "--join", &other.addr]];
    let args = args.concat();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 4096; trap '' XFSZ; exec \"$0\" \"$@\""]);
    limited.arg(helpers::process::example()).args(&args);
    let mut full = Process::of(limited, &args);
    other.wait_for("the other", |line| line.starts_with("joined "));
    other.type_line("small");
    other.wait_for_line("confirmed small");
    // Each takes a part of what is left, which is less than all of them.
    let long = "x".repeat(700_000);
    for number in 0..6 {
        other.type_line(&format!("{number} {long}"));
        full.wait_for("the value", |line| line.starts_with(&format!("metadata {number} ")));
    }
    full.wait_for("what it says", |line| line.starts_with("not kept: "));
    assert!(full.said().iter().all(|line| line != "kept again"));
}
