//! Every measure against a summary made by hand.

use serde_json::json;

use super::*;
use crate::results::judge::judge;
use crate::results::summary::{
    Bytes, Detection, EntriesFigures, Episode, ExpectationResult, Invariant, LinkFigures, Messages,
    MetadataFigures, NodeListFigures, NodesSummary, Peaks, PerNodePerSecond, Removals,
    RumorFigures, Summary, ViewError, ViewFigures,
};
use crate::scenario::plan::Expectation;

/// Numbers and flags of `summary.json` that are no measures, as paths; `*` is any key or index.
const NO_MEASURES: [&str; 9] = [
    "virtual_ms",
    "per_node_per_second.window_ms",
    "node_list.episodes.*.*",
    "rumors.*.node",
    "rumors.*.start_ms",
    "invariants.*.ok",
    "invariants.*.first",
    "expectations.*.*",
    "ok",
];

fn rumor(id: &str, kind: &str, base: f64) -> RumorFigures {
    let time = |share: f64| Some(base + share);
    RumorFigures {
        id: id.to_owned(),
        kind: kind.to_owned(),
        node: 3,
        start_ms: 10.0,
        t50_ms: time(0.5),
        t90_ms: time(0.9),
        t99_ms: time(0.99),
        t100_ms: time(1.0),
        coverage: Some(1.0 / (base + 1.0)),
        excluded: 2,
        messages: 50 + base as u64,
        control_messages: 49,
        node_messages_max: 4,
        swap_first: 5,
        rmr: Some(base / 64.0),
        ldh: Some(base as u32),
        superseded_by: None,
        curve: Vec::new(),
    }
}

fn messages() -> Messages {
    Messages {
        sent: 1,
        duplicated: 2,
        delivered: 3,
        lost: 4,
        cut: 5,
        to_dead: 6,
        overflow: 7,
        oversize: 8,
        corrupted: 9,
        in_flight: 10,
    }
}

/// Some of each kind.
fn rumors() -> Vec<RumorFigures> {
    vec![
        rumor("metadata-0", "metadata", 100.0),
        rumor("entry-0", "entry", 250.0),
        rumor("join-0", "join", 300.0),
        rumor("metadata-1", "metadata", 200.0),
        rumor("leave-0", "leave", 400.0),
        rumor("restart-0", "restart", 600.0),
        rumor("update-0", "update", 650.0),
        rumor("removal-0", "removal", 700.0),
    ]
}

/// A summary in which everything is there and all figures of one kind differ.
fn summary() -> Summary {
    Summary {
        schema: crate::results::summary::SCHEMA,
        scenario: "hand-made".to_owned(),
        scenario_digest: String::new(),
        tool_version: "0",
        seed: "1".to_owned(),
        nodes: NodesSummary { start: 50, end: 49 },
        virtual_ms: 60_000.0,
        inputs: 1_001,
        updates: 1_002,
        trace_hash: Some(String::new()),
        net: None,
        messages: messages(),
        bytes: Bytes { payload: 11, with_headers: 12 },
        per_node_per_second: PerNodePerSecond {
            messages_p50: Some(13.5),
            bytes_p50: Some(14.5),
            bytes_p99: Some(15.5),
            bytes_max: Some(16.5),
            window_ms: 50_000.0,
        },
        links: LinkFigures { messages: Some(60), bytes: Some(61), bytes_per_second: Some(62.5) },
        node_list: NodeListFigures {
            converged: true,
            converged_after_ms: Some(1_700.0),
            converged_after_max_ms: Some(1_800.0),
            episodes: vec![Episode {
                cause: "start".to_owned(),
                at_ms: 0.0,
                last_change_ms: 0.0,
                end_ms: 60_000.0,
                converged_after_ms: Some(1_700.0),
            }],
        },
        metadata: MetadataFigures {
            converged: Some(false),
            converged_after_ms: None,
            version: Some("7".to_owned()),
            t50_ms: Some(19.0),
            t90_ms: Some(20.0),
            t99_ms: Some(21.0),
            t100_ms: Some(22.0),
            staleness: Some(0.25),
        },
        entries: Some(entries()),
        removals: removals(),
        detection: Detection { first_ms: Some(27.0), all_ms: Some(28.0) },
        view_error: ViewError { missing_end: 29, ghosts_end: 30, missing_max: 31, ghosts_max: 32 },
        views: ViewFigures { unique: 67, changes: 68 },
        rumors: rumors(),
        peaks: Peaks { members: 33, tombstones: 34, queue: Some(35), packet_bytes: 36 },
        faults: (37..).zip(FAULT_KINDS).map(|(n, kind)| (kind.to_owned(), n)).collect(),
        events: Event::NAMES.iter().copied().zip(1_000..).collect(),
        engine: engine_counters().map(|metric| metric.name).zip(2_000..).collect(),
        invariants: vec![Invariant {
            name: "sums".to_owned(),
            ok: true,
            detail: None,
            first: None,
        }],
        expectations: Vec::new(),
        ok: true,
    }
}

fn entries() -> EntriesFigures {
    EntriesFigures {
        converged: Some(true),
        converged_after_ms: Some(70.0),
        t50_ms: Some(71.0),
        t90_ms: Some(72.0),
        t99_ms: Some(73.0),
        t100_ms: Some(74.0),
        lost: 75,
        zombies: 76,
        repaired: 77,
    }
}

fn removals() -> Removals {
    let (healthy, flaps, flaps_max) = (64, 65, 66);
    let (right, wrong, paused, cut, replaced) = (23, 24, 25, 26, 63);
    Removals { right, wrong, paused, cut, replaced, healthy, flaps, flaps_max }
}

fn as_json(summary: &Summary) -> Value {
    serde_json::to_value(summary).unwrap()
}

/// Every number and flag of a JSON value, with its path; null counts as one, for it stands where
/// a number would.
fn leaves(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(&at(key), value, found)),
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                leaves(&at(&index.to_string()), value, found);
            }
        }
        Value::String(_) => {}
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            found.push((path.to_owned(), value.clone()));
        }
    }
}

fn matches(path: &str, pattern: &str) -> bool {
    let (path, pattern): (Vec<_>, Vec<_>) =
        (path.split('.').collect(), pattern.split('.').collect());
    path.len() == pattern.len()
        && path.iter().zip(pattern).all(|(key, pattern)| pattern == "*" || *key == pattern)
}

fn get(name: &str) -> Value {
    value(&as_json(&summary()), find(name).unwrap_or_else(|| panic!("{name} is no measure")))
}

#[test]
fn every_number_of_a_summary_is_a_measure_or_listed_as_none() {
    let mut all_leaves = Vec::new();
    leaves("", &as_json(&summary()), &mut all_leaves);
    for (path, _) in &all_leaves {
        // Texts that are null here are no numbers.
        if path.ends_with(".superseded_by") || path.ends_with(".detail") {
            continue;
        }
        let listed = NO_MEASURES.iter().any(|pattern| matches(path, pattern));
        let measured = all().iter().any(|measure| {
            let key = measure.key();
            match key.strip_prefix("rumors.").and_then(|rest| rest.split_once('.')) {
                Some((_, field)) => matches(path, &format!("rumors.*.{field}")),
                None => *path == key,
            }
        });
        assert!(listed != measured, "{path}: measured {measured}, listed as none {listed}");
    }
    for pattern in NO_MEASURES {
        // No expectation is judged yet in the summary made by hand.
        let used = all_leaves.iter().any(|(path, _)| matches(path, pattern));
        assert!(used || pattern.starts_with("expectations"), "{pattern} matches nothing");
    }
}

#[test]
fn every_measure_is_read_back_from_where_its_name_says() {
    let summary = as_json(&summary());
    let mut all_leaves = Vec::new();
    leaves("", &summary, &mut all_leaves);
    for measure in all().iter().filter(|measure| !measure.name.starts_with("rumors.")) {
        let found = all_leaves.iter().find(|(path, _)| *path == measure.key());
        let (_, expected) = found.unwrap_or_else(|| panic!("{} is not there", measure.name));
        assert_eq!(value(&summary, measure), *expected, "{}", measure.name);
    }
}

#[test]
fn figures_of_all_units_are_as_in_the_file() {
    assert_eq!(get("node_list.converged_after"), json!(1700.0));
    assert_eq!(get("node_list.converged"), json!(true));
    assert_eq!(get("metadata.converged_after"), Value::Null);
    assert_eq!(get("removals.false"), json!(24));
    assert_eq!(get("bytes.with_headers"), json!(12));
    assert_eq!(get("per_node_per_second.bytes_p50"), json!(14.5));
    assert_eq!(get("peaks.packet_bytes"), json!(36));
}

#[test]
fn of_several_rumors_of_a_kind_the_worst_counts() {
    let summary = as_json(&summary());
    let worst_by_hand = |kind: &str, key: &str, higher: bool| {
        let mut worst: Option<f64> = None;
        for rumor in summary["rumors"].as_array().unwrap() {
            if rumor["kind"] == kind {
                let figure = rumor[key].as_f64().unwrap();
                worst = Some(match worst {
                    None => figure,
                    Some(worst) if higher => worst.min(figure),
                    Some(worst) => worst.max(figure),
                });
            }
        }
        worst.unwrap()
    };
    for measure in all().iter().filter(|measure| measure.name.starts_with("rumors.")) {
        let key = measure.key();
        let [_, kind, field] = key.split('.').collect::<Vec<_>>()[..] else { panic!("{key}") };
        let expected = worst_by_hand(kind, field, measure.better == Better::Higher);
        assert_eq!(value(&summary, measure).as_f64(), Some(expected), "{key}");
    }
    assert_eq!(get("rumors.metadata.t99"), json!(200.99));
    assert_eq!(get("rumors.metadata.coverage").as_f64(), Some(1.0 / 201.0));
}

#[test]
fn a_rumor_that_did_not_reach_all_is_worse_than_any_that_did() {
    let mut summary = summary();
    summary.rumors[0].t100_ms = None;
    // Nobody but its source: that is no redundancy at all.
    summary.rumors[0].rmr = None;
    let summary = as_json(&summary);
    let get = |name: &str| value(&summary, find(name).unwrap());
    assert_eq!(get("rumors.metadata.t100"), Value::Null);
    assert_eq!(get("rumors.metadata.rmr"), json!(3.125));
    assert_eq!(get("rumors.metadata.t99"), json!(200.99));
}

#[test]
fn a_kind_without_rumors_is_null() {
    let mut summary = summary();
    summary.rumors.clear();
    let summary = as_json(&summary);
    let of_rumors = all().iter().filter(|measure| measure.name.starts_with("rumors."));
    for measure in of_rumors {
        assert_eq!(value(&summary, measure), Value::Null, "{}", measure.name);
    }
    assert_eq!(value(&json!({}), find("inputs").unwrap()), Value::Null);
}

#[test]
fn a_fault_that_never_happened_counts_as_zero() {
    let mut summary = summary();
    summary.faults.clear();
    assert_eq!(value(&as_json(&summary), find("faults.crash").unwrap()), json!(0));
}

fn judged(name: &str, want: &str) -> ExpectationResult {
    let (operator, value) = find(name).unwrap().condition(want).unwrap();
    let expectation = Expectation { name: name.to_owned(), want: want.to_owned(), operator, value };
    judge(&expectation, &as_json(&summary()))
}

#[test]
fn conditions_are_held_against_figures() {
    for (name, want, ok) in [
        ("node_list.converged_after", "<= 1.7s", true),
        ("node_list.converged_after", "< 1700ms", false),
        ("node_list.converged_after", ">= 1s 700ms", true),
        ("node_list.converged", "== true", true),
        ("node_list.converged", "!= true", false),
        ("metadata.converged", "== false", true),
        ("removals.false", "==24", true),
        ("removals.false", "> 23", true),
        ("removals.false", "== 0", false),
        ("bytes.payload", "<= 1KiB", true),
        ("bytes.payload", "< 11", false),
        ("per_node_per_second.bytes_p50", "<= 15B/s", true),
        ("per_node_per_second.bytes_p50", "> 14.25", true),
        ("per_node_per_second.messages_p50", "== 13.5", true),
        ("rumors.metadata.coverage", ">= 0.4%", true),
        ("rumors.metadata.coverage", ">= 0.5", false),
        ("rumors.metadata.rmr", "<= 3.125", true),
        ("rumors.metadata.rmr", ">= -0.5", true),
        ("rumors.metadata.rmr", "< -0.5", false),
        ("removals.replaced", "== 63", true),
    ] {
        let result = judged(name, want);
        assert_eq!(result.ok, ok, "{name} {want}, got {}", result.got);
        assert_eq!((result.name.as_str(), result.want.as_str()), (name, want));
        assert!(!result.got.is_null());
    }
}

#[test]
fn an_expectation_on_null_fails_whatever_it_is() {
    for want in ["<= 1d", ">= 0s", "!= 1s", "== 0s"] {
        let result = judged("metadata.converged_after", want);
        assert!(!result.ok && result.got.is_null(), "{want}");
    }
}

#[test]
fn shares_and_times_compare_exactly_as_typed() {
    let parse = |name: &str, text: &str| find(name).unwrap().condition(text).unwrap().1;
    assert_eq!(parse("rumors.join.coverage", ">= 99.9%"), 999.0 / 1000.0);
    assert_eq!(parse("rumors.join.coverage", ">= 0.999"), 999.0 / 1000.0);
    assert_eq!(parse("detection.all", "<= 5.5s"), 5_500.0);
    assert_eq!(parse("detection.all", "<= 1us"), 0.001);
}

#[test]
fn a_value_of_another_unit_is_refused_with_an_example() {
    for (name, want) in [
        ("detection.all", "<= 5"),
        ("removals.false", "== 5s"),
        ("removals.false", "== inf"),
        ("removals.false", "== 1e3"),
        ("removals.false", "== -1"),
        ("removals.false", "== "),
        ("node_list.converged", "== 1"),
        ("bytes.payload", "<= 5s"),
        ("rumors.join.coverage", ">= 101%"),
        ("rumors.join.coverage", ">= 2"),
        ("removals.false", "= 0"),
        ("removals.false", "0"),
    ] {
        let error = find(name).unwrap().condition(want).unwrap_err();
        assert!(error.contains("such as `"), "{name} {want}: {error}");
    }
}

#[test]
fn names_are_unique_and_near_ones_are_found() {
    for measure in all() {
        assert_eq!(find(&measure.name), Some(measure), "{} stands twice", measure.name);
        assert!(measure.definition.ends_with('.'), "{}", measure.name);
    }
    assert_eq!(nearest("removals.fasle"), Some("removals.false"));
    assert_eq!(nearest("node_list.converged_after_ms"), Some("node_list.converged_after"));
    assert_eq!(nearest("t99"), Some("metadata.t99"));
    assert_eq!(nearest("colour"), None);
    assert_eq!(find("virtual"), None);
}
