//! Every field of `summary.json`, worked out anew from `trace.jsonl` and the scenario alone.
//!
//! Nothing here is taken from the observers: what a figure is, is written down a second time, pair
//! by pair and as plainly as can be, and both must agree to the last digit. What a trace does not
//! determine stands on a list with the reason.

mod bystanders;
mod cluster;
mod entries;
mod expect;
mod lists;
mod removals;
mod rumors;
mod run;
mod setting;
mod trace;
mod traffic;
mod values;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use rayon::prelude::*;
use serde_json::{Map, Value};

use self::bystanders::Bystanders;
use self::run::Run;
use self::setting::Setting;

const SIM: &str = env!("CARGO_BIN_EXE_sim");

/// Seeds of each scenario.
const SEEDS: u64 = 3;

/// What a trace does not determine, as paths of which `*` is any key or place, and why.
const NOT_DETERMINED: [(&str, &str); 17] = [
    ("tool_version", "is that of the binary"),
    ("inputs", "timers that fire are no lines"),
    ("updates", "a line does not say what a packet's beats were compared with"),
    ("trace_hash", "is over packets, of which a line has no more than a hash"),
    ("engine.*", "what engines count for themselves is no line"),
    ("peaks.tombstones", "nobody is told when a tombstone is laid or forgotten"),
    ("peaks.queue", "is of the simulator's own queue"),
    ("faults.burst", "links draw it for themselves"),
    ("faults.reorder", "links draw it for themselves"),
    ("invariants.3.*", "proofs of life that a node holds to be too old are no lines"),
    ("invariants.4.*", "it is about tombstones, too"),
    ("invariants.6.*", "how long a run may take to settle is the law's own figure"),
    ("invariants.7.*", "the counters of beats are in packets alone"),
    ("invariants.8.*", "what a leaver was promised is no line"),
    ("invariants.9.*", "how much a node may send is the law's own figure"),
    ("invariants.10.*", "a line does not say of which peer or setting a service is told"),
    ("invariants.11.*", "what an engine counts as unanswered is no line"),
];

/// Milliseconds of so many nanoseconds.
pub(crate) fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// Numbers, flags, texts and nulls of a document, with their paths.
fn leaves(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(&below(key), value, found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, it)| leaves(&below(&at.to_string()), it, found));
        }
        leaf => found.push((path.to_owned(), leaf.clone())),
    }
}

/// Which of [`NOT_DETERMINED`] some run had a value for.
static USED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

fn covers(listed: &str, path: &str) -> bool {
    match listed.strip_suffix('*') {
        Some(all) => path.starts_with(all),
        None => listed == path,
    }
}

fn given(summary: &Value) -> Map<String, Value> {
    let mut found = Vec::new();
    leaves("", summary, &mut found);
    let mut given = Map::new();
    for (path, value) in found {
        if let Some((listed, _)) = NOT_DETERMINED.iter().find(|(listed, _)| covers(listed, &path)) {
            USED.lock().unwrap().insert(listed);
            given.insert(path, value);
        }
    }
    given
}

/// The fields in which a summary and the recomputed one differ, with both values.
fn differences(summary: &Value, again: &Value) -> Vec<String> {
    let (mut told, mut own) = (Vec::new(), Vec::new());
    leaves("", summary, &mut told);
    leaves("", again, &mut own);
    let (told, own): (Map<_, _>, Map<_, _>) =
        (told.into_iter().collect(), own.into_iter().collect());
    let keys: BTreeSet<_> = told.keys().chain(own.keys()).collect();
    let differ = keys.into_iter().filter(|key| told.get(*key) != own.get(*key));
    let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    differ
        .map(|key| format!("{key}: {}, and recomputed {}", show(told.get(key)), show(own.get(key))))
        .collect()
}

fn recompute(folder: &Path) {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    let setting = Setting::read(&read("scenario.toml"));
    let lines = trace::read(&read("trace.jsonl"));
    let bystanders = Bystanders::of(&read("scenario.toml"), lines[0].seed.parse().unwrap());
    let run = Run::of(&setting, bystanders, &lines);
    let (own, told) = run.receipts();
    let wrong = own.iter().find(|one| !told.contains(one));
    assert_eq!((own.len(), wrong), (told.len(), None), "{}: who learned what", folder.display());
    let again = run.summary(&lines[0], &given(&summary));
    let differences = differences(&summary, &again);
    assert!(differences.is_empty(), "{}:\n{}", folder.display(), differences.join("\n"));
}

/// Runs a shipped scenario with each seed, and recomputes it.
fn assert_recomputed(scenario: &str) {
    let out = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../scenarios/{scenario}.toml"));
    let mut sim = Command::new(SIM);
    sim.arg("run").arg(file).args(["--seeds", &SEEDS.to_string(), "--trace", "--no-plots", "-q"]);
    let ran = sim.arg("--out").arg(out.path()).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(matches!(ran.status.code(), Some(0 | 1)), "sim ended with {}: {told}", ran.status);
    for seed in 1..=SEEDS {
        recompute(&out.path().join(format!("{scenario}/seed-{seed}")));
    }
}

#[test]
fn every_figure_of_a_run_follows_from_its_trace_or_is_listed_with_the_reason() {
    // Names that move, crashes and goodbyes, pauses, cuts and silences, long values, links, zones,
    // named entries.
    let scenarios = [
        "alternating-address",
        "churn",
        "config-rollout",
        "entries",
        "entries-partition",
        "flapping-node",
        "narrow-path",
        "two-regions",
        "zone-partition",
    ];
    scenarios.into_par_iter().for_each(assert_recomputed);
    let used = USED.lock().unwrap();
    let unused = NOT_DETERMINED.iter().find(|(listed, _)| !used.contains(listed));
    assert_eq!(unused, None, "no run has it");
}
