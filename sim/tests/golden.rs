//! Golden summaries: what every shipped scenario came to with seed 1, to the byte.
//!
//! A change of behaviour shows here as a change of files, so that it is a decision seen in review
//! and not an accident. The same figures must come out where the C library has other variants of
//! its mathematical functions to offer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

const SIM: &str = env!("CARGO_BIN_EXE_sim");
/// Set to anything, it takes the summaries of today for golden.
const BLESS: &str = "RUMORMILL_BLESS";
const BLESSING: &str = "RUMORMILL_BLESS=1 cargo test -p rumormill-sim --test golden";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder with this extension, by their names without it.
fn files(folder: &Path, extension: &str) -> BTreeMap<String, PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = paths.filter(|path| path.extension().is_some_and(|it| it == extension));
    wanted.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

/// The summaries of all shipped scenarios with seed 1, as files hold them, and what is printed. One
/// whose expectations fail has one as well; that they hold is another test's business.
fn summaries(environment: &[(&str, &str)]) -> (BTreeMap<String, String>, String) {
    let out = tempfile::tempdir().unwrap();
    let scenarios = files(&root().join("scenarios"), "toml");
    let mut sim = Command::new(SIM);
    sim.arg("run").args(scenarios.keys().map(|name| format!("scenarios/{name}.toml")));
    sim.args(["--seed", "1", "--no-plots", "--out"]).arg(out.path()).current_dir(root());
    let run = sim.envs(environment.iter().copied()).output().unwrap();
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(matches!(run.status.code(), Some(0 | 1)), "sim ended with {}: {told}", run.status);
    let read = |name: String| {
        let path = out.path().join(&name).join("seed-1/summary.json");
        let summary = behaviour(&fs::read_to_string(path).unwrap());
        (name, summary)
    };
    let printed = String::from_utf8(run.stdout).unwrap();
    (scenarios.into_keys().map(read).collect(), printed)
}

/// A summary without what says nothing of behaviour: a release, or a new key with its default,
/// would change all files and nothing in them.
fn behaviour(summary: &str) -> String {
    let of_its_making = |line: &&str| {
        ["scenario_digest", "tool_version"]
            .iter()
            .any(|key| line.starts_with(&format!("  \"{key}\": ")))
    };
    let kept: String = summary.split_inclusive('\n').filter(|line| !of_its_making(line)).collect();
    let left_out = summary.lines().count() - kept.lines().count();
    assert_eq!(left_out, 2, "the summary has both keys: {summary}");
    kept
}

/// Those of this machine as it is.
fn plain() -> &'static (BTreeMap<String, String>, String) {
    static PLAIN: OnceLock<(BTreeMap<String, String>, String)> = OnceLock::new();
    PLAIN.get_or_init(|| summaries(&[]))
}

/// Every place in which two documents differ, in the order of their keys, with both values.
fn differences(path: &str, golden: Option<&Value>, now: Option<&Value>) -> Vec<String> {
    let below = |key: &str, golden: Option<&Value>, now: Option<&Value>| {
        let path = format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
        differences(&path, golden, now)
    };
    match (golden, now) {
        (Some(Value::Object(golden)), Some(Value::Object(now))) => {
            let new = now.keys().filter(|key| !golden.contains_key(*key));
            let keys = golden.keys().chain(new);
            keys.flat_map(|key| below(key, golden.get(key), now.get(key))).collect()
        }
        (Some(Value::Array(golden)), Some(Value::Array(now))) => {
            let places = 0..golden.len().max(now.len());
            places.flat_map(|at| below(&at.to_string(), golden.get(at), now.get(at))).collect()
        }
        (Some(_), None) => vec![format!("`{path}` is no longer there")],
        (None, Some(now)) => vec![format!("`{path}` is new: {now}")],
        (Some(golden), Some(now)) if golden != now => {
            vec![format!("`{path}` was {golden} and is {now}")]
        }
        _ => Vec::new(),
    }
}

fn difference(name: &str, golden: Option<&String>, now: &str) -> Option<String> {
    let Some(golden) = golden else { return Some(format!("{name}: has no golden summary")) };
    if golden == now {
        return None;
    }
    let [old, new] = [golden, now].map(|text| serde_json::from_str(text).unwrap_or_default());
    let mut all = differences("", Some(&old), Some(&new));
    if all.is_empty() {
        all.push("only the way it is written".to_owned());
    }
    Some(format!("{name}:\n    {}", all.join("\n    ")))
}

fn assert_golden(now: &BTreeMap<String, String>) {
    let golden = files(&root().join("tests/golden"), "json");
    let golden: BTreeMap<_, _> =
        golden.into_iter().map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect();
    let changed = now.iter().filter_map(|(name, now)| difference(name, golden.get(name), now));
    let left = golden.keys().filter(|name| !now.contains_key(*name));
    let left = left.map(|name| format!("{name}: a golden summary of no shipped scenario"));
    let complaints: Vec<_> = changed.chain(left).collect();
    assert!(
        complaints.is_empty(),
        "what is not as it was:\n  {}\nIf all of it is meant: {BLESSING}",
        complaints.join("\n  "),
    );
}

fn bless(now: &BTreeMap<String, String>) {
    let folder = root().join("tests/golden");
    files(&folder, "json").values().for_each(|old| fs::remove_file(old).unwrap());
    for (name, summary) in now {
        fs::write(folder.join(format!("{name}.json")), summary).unwrap();
    }
}

#[test]
fn every_shipped_scenario_comes_to_its_golden_summary() {
    if std::env::var_os(BLESS).is_some() {
        bless(&plain().0);
    }
    assert_golden(&plain().0);
}

#[test]
fn nothing_that_a_shipped_scenario_prints_is_wider_than_a_terminal() {
    let printed = &plain().1;
    assert_eq!(printed.matches("how other seeds fare").count(), plain().0.len(), "{printed}");
    let wide = printed.lines().filter(|line| line.chars().count() > 80);
    let wide: Vec<&str> = wide.filter(|line| !line.starts_with("files: ")).collect();
    assert!(wide.is_empty(), "lines of more than 80 columns:\n{}", wide.join("\n"));
}

#[test]
fn without_the_fused_variants_of_the_c_library_nothing_changes() {
    let (without, _) = summaries(&[("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-FMA,-AVX2")]);
    for (name, summary) in &without {
        let difference = difference(name, plain().0.get(name), summary);
        assert!(difference.is_none(), "without FMA and AVX2, {}", difference.unwrap_or_default());
    }
}

#[test]
fn the_version_and_the_digest_of_the_scenario_are_no_behaviour() {
    let summary = |version: &str, digest: &str, sent: u32| {
        let keys =
            format!("  \"scenario_digest\": \"{digest}\",\n  \"tool_version\": \"{version}\"");
        behaviour(&format!("{{\n{keys},\n  \"seed\": \"1\",\n  \"sent\": {sent}\n}}\n"))
    };
    let golden = summary("0.1.0", "96072f", 7);
    assert_eq!(golden, "{\n  \"seed\": \"1\",\n  \"sent\": 7\n}\n");
    assert_eq!(difference("a", Some(&golden), &summary("0.2.0", "beef", 7)), None);
    let told = difference("a", Some(&golden), &summary("0.1.0", "96072f", 8));
    assert_eq!(told.as_deref(), Some("a:\n    `sent` was 7 and is 8"));
}

#[test]
fn all_differences_are_told_wherever_they_are() {
    let golden = serde_json::json!({ "a": 1, "list": [{ "b": null }, 2], "z": 0 });
    let told = |now: &Value| differences("", Some(&golden), Some(now));
    assert_eq!(told(&golden), [] as [&str; 0]);
    let now = serde_json::json!({ "a": 1, "list": [{ "b": 3 }, 7], "z": 1 });
    let all = ["`list.0.b` was null and is 3", "`list.1` was 2 and is 7", "`z` was 0 and is 1"];
    assert_eq!(told(&now), all);
    let now = serde_json::json!({ "a": 1, "list": [{ "b": null }], "y": { "of": 5 } });
    let all = ["`list.1` is no longer there", "`z` is no longer there", "`y` is new: {\"of\":5}"];
    assert_eq!(told(&now), all);
}
