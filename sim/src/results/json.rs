//! Summaries as JSON: one run, or many runs with an aggregate per scenario (`summaries/1`).
//!
//! An aggregate has the keys of a summary. Numbers become a spread over the seeds, booleans the
//! share of seeds in which they were true; texts are left out but for those that identify.

use rumormill::text::is_unprintable;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::summary::Summary;
use crate::stats::{Sample, Share};

/// The schema of many runs.
pub const SCHEMA: &str = "summaries/1";

/// Texts that are kept because the rest makes no sense without them.
const IDENTITY: [&str; 7] = ["id", "kind", "name", "want", "scenario", "schema", "net"];

/// Texts of a summary that may be null; all other nulls stand for numbers, but for the next.
const NULLABLE_TEXTS: [&str; 4] = ["version", "superseded_by", "detail", "trace_hash"];

/// Booleans of a summary that may be null.
const NULLABLE_FLAGS: [&str; 1] = ["converged"];

/// All runs of one scenario.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    /// The summaries, in the order of the seeds.
    pub summaries: &'a [Summary],
    /// Share of seeds that must hold every expectation, as typed and from 0 to 1.
    pub wanted: (&'a str, f64),
}

/// A JSON document as it stands in a file: indented, with a newline at the end.
pub fn document(value: &impl Serialize) -> String {
    // A figure that isn't finite would be null: that is what the contract says it means.
    let text = serde_json::to_string_pretty(value);
    let text = text.expect("figures have string keys and no failing parts") + "\n";
    match text.chars().any(needs_escape) {
        false => text,
        true => text.chars().map(escaped).collect(),
    }
}

fn needs_escape(char: char) -> bool {
    char != '\n' && is_unprintable(char)
}

/// JSON itself escapes what is below a blank; the rest can only stand in its texts.
fn escaped(char: char) -> String {
    match char {
        char if needs_escape(char) => format!("\\u{:04x}", u32::from(char)),
        char => char.to_string(),
    }
}

/// The document `summaries/1`.
#[derive(Clone, Debug, Serialize)]
pub struct Summaries<'a> {
    schema: &'static str,
    runs: Vec<&'a Summary>,
    aggregates: Vec<Value>,
}

impl<'a> Summaries<'a> {
    /// Every run, then one aggregate per scenario.
    pub fn new(all: &[Runs<'a>]) -> Self {
        Self {
            schema: SCHEMA,
            runs: all.iter().flat_map(|runs| runs.summaries).collect(),
            aggregates: all.iter().map(aggregate).collect(),
        }
    }
}

/// What the seeds of a scenario show together.
pub fn aggregate(runs: &Runs<'_>) -> Value {
    let values: Vec<Value> = runs.summaries.iter().map(value).collect();
    let references: Vec<&Value> = values.iter().collect();
    let mut merged = object(&references);
    let held = Share::new(runs.summaries.iter().map(|summary| summary.ok));
    let (want, share) = runs.wanted;
    let verdict = json!({
        "first": runs.summaries.first().map(|summary| &summary.seed),
        "n": held.n,
        "held": held.held,
        "want": want,
        "ok": held.reaches(share),
    });
    merged.insert("seeds".to_owned(), verdict);
    Value::Object(merged)
}

fn value(summary: &Summary) -> Value {
    serde_json::to_value(summary).expect("figures have string keys and no failing parts")
}

/// Merges objects key by key, in the order in which keys appear.
fn object(objects: &[&Value]) -> Map<String, Value> {
    let mut merged = Map::new();
    for key in objects.iter().filter_map(|object| object.as_object()).flat_map(Map::keys) {
        if !merged.contains_key(key) {
            let values: Vec<&Value> = objects.iter().filter_map(|object| object.get(key)).collect();
            if let Some(value) = merge(key, &values) {
                merged.insert(key.clone(), value);
            }
        }
    }
    merged
}

/// Merges what stands under one key, by what the first value that isn't null is.
fn merge(key: &str, values: &[&Value]) -> Option<Value> {
    match values.iter().find(|value| !value.is_null()) {
        Some(Value::Object(_)) => Some(Value::Object(object(values))),
        Some(Value::Array(_)) => Some(Value::Array(list(values))),
        Some(Value::String(text)) => identity(key, text, values),
        Some(Value::Bool(_)) => Some(share(values)),
        Some(Value::Number(_)) => Some(spread(values)),
        _ if NULLABLE_TEXTS.contains(&key) => None,
        _ if NULLABLE_FLAGS.contains(&key) => Some(share(values)),
        _ => Some(spread(values)),
    }
}

/// A text that identifies, when all runs agree on it.
fn identity(key: &str, text: &str, values: &[&Value]) -> Option<Value> {
    let agreed = IDENTITY.contains(&key) && values.iter().all(|value| *value == text);
    agreed.then(|| Value::from(text))
}

fn spread(values: &[&Value]) -> Value {
    json!(Sample::new(values.iter().map(|value| value.as_f64())).spread())
}

/// The share of runs in which it was true, among those in which it was anything.
fn share(values: &[&Value]) -> Value {
    json!(Share::new(values.iter().filter_map(|value| value.as_bool())))
}

/// Joins the elements of lists by their id or name, else by their place.
fn list(lists: &[&Value]) -> Vec<Value> {
    let mut joined: Vec<(Value, Vec<&Value>)> = Vec::new();
    let elements = lists.iter().filter_map(|list| list.as_array());
    for (place, element) in elements.flat_map(|list| list.iter().enumerate()) {
        let name = element.get("id").or_else(|| element.get("name")).cloned();
        let name = name.unwrap_or_else(|| place.into());
        match joined.iter_mut().find(|(known, _)| *known == name) {
            Some((_, same)) => same.push(element),
            None => joined.push((name, vec![element])),
        }
    }
    joined.into_iter().filter_map(|(_, same)| merge("", &same)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    fn aggregated(seeds: std::ops::RangeInclusive<u64>) -> Value {
        let summaries: Vec<Summary> =
            seeds.map(|seed| fixture::partition(50, 3, seed).summary).collect();
        aggregate(&Runs { summaries: &summaries, wanted: ("50%", 0.5) })
    }

    #[test]
    fn numbers_become_a_spread_over_the_seeds() {
        let merged = aggregated(1..=4);
        let spread = &merged["node_list"]["converged_after_ms"];
        assert_eq!(spread["median"], json!(2_400.0));
        assert_eq!((&spread["n"], &spread["censored"]), (&json!(4), &json!(0)));
        assert_eq!(merged["messages"]["sent"]["p95"], json!(48_000.0));
    }

    #[test]
    fn booleans_become_a_share_with_its_interval() {
        let merged = aggregated(1..=6);
        assert_eq!(merged["ok"]["true"], json!(4));
        assert_eq!(merged["ok"]["n"], json!(6));
        assert!(merged["ok"]["wilson"][0].as_f64().unwrap() < 0.67);
        assert_eq!(merged["metadata"]["converged"]["true"], json!(6));
    }

    #[test]
    fn texts_and_hashes_are_dropped_but_for_those_that_identify() {
        let merged = aggregated(1..=2);
        assert_eq!(merged["scenario"], "partition");
        for key in ["seed", "trace_hash", "scenario_digest", "tool_version"] {
            assert_eq!(merged.get(key), None, "{key}");
        }
        assert_eq!(merged["metadata"].get("version"), None);
    }

    #[test]
    fn lists_are_joined_by_id_also_where_a_seed_lacks_one() {
        let mut summaries = [1, 2].map(|seed| fixture::partition(50, 3, seed).summary);
        summaries[0].rumors.remove(0);
        let merged = aggregate(&Runs { summaries: &summaries, wanted: ("100%", 1.0) });
        let rumors = merged["rumors"].as_array().unwrap();
        let counts =
            rumors.iter().map(|rumor| (rumor["id"].as_str(), rumor["t99_ms"]["n"].as_u64()));
        let expected = [
            (Some("join-1"), Some(2)),
            (Some("metadata-2"), Some(2)),
            (Some("metadata-0"), Some(1)),
        ];
        assert_eq!(counts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_no_seed_reached_is_censored_and_not_dropped() {
        let merged = aggregated(1..=3);
        let expected = json!({
            "median": null, "p5": null, "p95": null, "p99": null, "mean": null, "ci95": null,
            "n": 3, "censored": 3,
        });
        assert_eq!(merged["detection"]["all_ms"], expected);
    }

    #[test]
    fn the_share_of_seeds_is_judged() {
        assert_eq!(aggregated(1..=4)["seeds"]["ok"], json!(true));
        let of_six = &aggregated(3..=6)["seeds"];
        assert_eq!((&of_six["held"], &of_six["n"]), (&json!(2), &json!(4)));
        assert_eq!(of_six["first"], "3");
    }

    #[test]
    fn every_text_and_flag_that_may_be_null_is_known() {
        let mut run = fixture::partition(50, 1, 1).summary;
        run.rumors[0].superseded_by = Some("metadata-9".to_owned());
        run.invariants[0].detail = Some("what".to_owned());
        let full = value(&run);
        let mut empty = fixture::partition(50, 1, 1).summary;
        empty.metadata = crate::results::summary::MetadataFigures::default();
        let empty = value(&empty);
        assert_nulls_are_known("", &full, &empty);
    }

    fn assert_nulls_are_known(key: &str, full: &Value, empty: &Value) {
        match (full, empty) {
            (Value::Object(full), Value::Object(empty)) => {
                full.iter().for_each(|(key, full)| assert_nulls_are_known(key, full, &empty[key]));
            }
            (Value::Array(full), Value::Array(empty)) => {
                let pairs = full.iter().zip(empty);
                pairs.for_each(|(full, empty)| assert_nulls_are_known(key, full, empty));
            }
            (Value::String(_), Value::Null) => assert!(NULLABLE_TEXTS.contains(&key), "{key}"),
            (Value::Bool(_), Value::Null) => assert!(NULLABLE_FLAGS.contains(&key), "{key}"),
            _ => {}
        }
    }
}
