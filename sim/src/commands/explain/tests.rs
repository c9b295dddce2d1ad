//! Explanations of runs whose story is known.

use std::path::PathBuf;

use super::{ExplainRequest, run};
use crate::commands::run::Format;
use crate::commands::{Exit, Failure, Report};
use crate::report::files::{self, Pictures};
use crate::results::timing::Timing;
use crate::scenario::plan::{Deed, Plan};
use crate::world::testkit::{act, plan};
use crate::world::{self, Filter, Options};

fn explain(
    folder: &std::path::Path,
    rumor: Option<&str>,
    node: Option<u32>,
) -> Result<Report, Failure> {
    run(&ExplainRequest { folder, rumor, node, format: Format::Table })
}

/// A folder in which a run has left its files.
struct Kept(tempfile::TempDir);

impl Kept {
    fn new(plan: &Plan, trace: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::default();
        let run = if trace {
            let mut tape = files::tape(folder.path(), &Filter::default()).unwrap();
            let run = world::run_traced(plan, &options, &mut tape, &mut |_| {});
            files::end_tape(folder.path(), tape).unwrap();
            run
        } else {
            world::run(plan, &options, &mut |_| {})
        };
        let timing = Timing::new(&run.summary, std::time::Duration::ZERO, 1);
        files::write_run(folder.path(), "", &run, &timing, Pictures::Skip).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn told(&self, rumor: Option<&str>, node: Option<u32>) -> String {
        explain(&self.path(), rumor, node).unwrap().out
    }

    fn json(&self, rumor: Option<&str>, node: Option<u32>) -> serde_json::Value {
        let folder = self.path();
        let request = ExplainRequest { folder: &folder, rumor, node, format: Format::Json };
        serde_json::from_str(&run(&request).unwrap().out).unwrap()
    }
}

/// Node 1 publishes while node 5 is cut off for ten seconds.
fn cut_off() -> Plan {
    let mut plan = plan(8, std::time::Duration::from_secs(25));
    act(&mut plan, 5_000, "far", Deed::Isolate(vec![5]));
    act(&mut plan, 6_000, "", Deed::Publish { node: 1, data: b"news"[..].into() });
    let heal = crate::scenario::plan::Heal::Label("far".into());
    act(&mut plan, 15_000, "far", Deed::Heal(heal));
    plan
}

#[test]
fn every_rumor_of_a_run_is_listed() {
    let told = Kept::new(&cut_off(), false).told(None, None);
    assert!(told.starts_with("test, seed 1: "), "{told}");
    assert!(told.contains("  metadata-0 "), "{told}");
    assert!(told.contains("--rumor "), "{told}");
}

#[test]
fn the_tree_has_every_node_once_below_the_one_who_told_it() {
    let kept = Kept::new(&cut_off(), false);
    let told = kept.told(Some("metadata-0"), None);
    let (head, tree) = told.split_once("\n\n").unwrap();
    assert!(head.starts_with("metadata-0: published by node 1 at 6 s"), "{told}");
    for node in 0..8 {
        let name = format!(" node {node}  ");
        assert_eq!(tree.matches(&name).count(), 1, "node {node} in\n{told}");
    }
    assert!(tree.trim_start().starts_with("0 ms  node 1  source"), "{told}");
}

#[test]
fn a_node_that_was_cut_off_is_told_to_be_late_because_of_that() {
    let told = Kept::new(&cut_off(), true).told(Some("metadata-0"), Some(5));
    assert!(told.contains("as number 8 of 8"), "{told}");
    assert!(told.contains(" never arrives: cut"), "{told}");
    assert!(told.contains("to it cut by a fault"), "{told}");
}

#[test]
fn a_node_that_crashed_never_held_it_and_the_reason_is_given() {
    let mut plan = cut_off();
    act(&mut plan, 16_000, "", Deed::Crash(vec![3]));
    act(&mut plan, 16_100, "", Deed::Publish { node: 1, data: b"late"[..].into() });
    let told = Kept::new(&plan, true).told(Some("metadata-1"), Some(3));
    assert!(told.contains("node 3 never held it"), "{told}");
    assert!(told.contains("it did not run when the rumor started"), "{told}");
}

#[test]
fn without_a_trace_the_command_that_makes_one_is_told() {
    let told = Kept::new(&cut_off(), false).told(Some("metadata-0"), Some(5));
    assert!(told.contains("how it came there"), "{told}");
    assert!(told.contains("--trace\n"), "{told}");
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    let kept = Kept::new(&cut_off(), true);
    let refused = |rumor, node| explain(&kept.path(), Some(rumor), node).unwrap_err();
    let failure = refused("metadata-9", None);
    assert_eq!(failure.exit, Exit::Wrong);
    assert!(failure.text.contains("did you mean metadata-0?"), "{}", failure.text);
    assert!(refused("metadata-0", Some(8)).text.contains("has nodes 0 to 7"));
    let nowhere = explain(&kept.path().join("x"), None, None).unwrap_err();
    assert!(nowhere.text.contains("no folder of a run"), "{}", nowhere.text);
}

#[test]
fn the_table_is_read_as_it_is_written() {
    let kept = Kept::new(&cut_off(), false);
    let run = super::ReceiptsRun::read(&kept.path()).unwrap();
    let spread = run.spread("metadata-0").unwrap().unwrap();
    assert_eq!(spread.receipts.len(), 8);
    assert!(spread.receipts.is_sorted_by(|a, b| a.first_ms <= b.first_ms));
}

#[test]
fn the_parts_of_a_delay_meet_without_a_gap_and_add_up_to_it() {
    let mut plan = cut_off();
    plan.network.loss = rumormill::rng::Probability::from_ppb(400_000_000).into();
    let kept = Kept::new(&plan, true);
    for node in 0..8 {
        let told = kept.json(Some("metadata-0"), Some(node));
        let chain = told["chain"].as_array().unwrap();
        let heard = chain.last().unwrap()["first_ms"].as_f64().unwrap();
        let (mut at, mut shares) = (told["rumor"]["start_ms"].as_f64().unwrap(), 0.0);
        for part in told["parts"].as_array().unwrap() {
            assert_eq!(part["from_ms"].as_f64(), Some(at), "{told:#}");
            at = part["to_ms"].as_f64().unwrap();
            shares += part["share"].as_f64().unwrap();
        }
        assert!((at - heard).abs() < 1e-6, "{told:#}");
        assert!(node == 1 || (shares - 1.0).abs() < 1e-9, "{told:#}");
    }
}

#[test]
fn the_cause_of_a_cut_is_the_packet_that_the_cut_took_with_its_share() {
    let kept = Kept::new(&cut_off(), true);
    let told = kept.json(Some("metadata-0"), Some(5));
    let cause = &told["cause"];
    assert_eq!((&cause["what"], &cause["cause"]), (&"lost".into(), &"cut".into()), "{told:#}");
    assert_eq!(cause["to"], 5);
    assert!(cause["share"].as_f64().unwrap() > 0.9, "{told:#}");
    // The others hear from the source in a hop or two, and nobody is to blame.
    let near = kept.told(Some("metadata-0"), Some(1));
    assert!(!near.contains("of the delay"), "{near}");
}

#[test]
fn a_node_that_did_not_run_is_late_because_of_that() {
    let mut plan = cut_off();
    act(&mut plan, 5_500, "", Deed::Pause(vec![4]));
    act(&mut plan, 8_500, "", Deed::Resume(vec![4]));
    let told = Kept::new(&plan, true).json(Some("metadata-0"), Some(4));
    assert_eq!(told["cause"]["what"], "away", "{told:#}");
    assert!(told["cause"]["share"].as_f64().unwrap() > 0.8, "{told:#}");
}

#[test]
fn what_befell_a_node_after_it_heard_is_no_reason() {
    let reasons = |plan| Kept::new(plan, true).json(Some("metadata-0"), Some(5))["reasons"].clone();
    let mut later = cut_off();
    act(&mut later, 24_000, "", Deed::Stop(vec![5]));
    assert_eq!(reasons(&later), reasons(&cut_off()));
}

#[test]
fn all_of_a_node_is_told_without_a_rumor() {
    let kept = Kept::new(&cut_off(), true);
    let told = kept.told(None, Some(5));
    for text in ["node 5 of test, seed 1", "what befell it", "metadata-0 at 6 s", "cut"] {
        assert!(told.contains(text), "no {text} in\n{told}");
    }
    let json = kept.json(None, Some(5));
    let trace = std::fs::read_to_string(kept.path().join("trace.jsonl")).unwrap();
    let sent = r#""event":"send","from":5,"#;
    assert_eq!(json["packets"]["sent"], trace.matches(sent).count(), "{:#}", json["packets"]);
    let all = kept.json(None, None)["rumors"].as_array().unwrap().len();
    assert_eq!(json["rumors"].as_array().unwrap().len(), all);
    let refused = explain(&kept.path(), None, Some(8)).unwrap_err();
    assert!(refused.text.contains("has nodes 0 to 7"), "{}", refused.text);
    let untraced = Kept::new(&cut_off(), false);
    assert!(untraced.told(None, Some(5)).contains("--trace\n"));
    assert!(explain(&untraced.path(), None, Some(8)).is_err());
}

#[test]
fn the_tree_as_json_has_the_rows_of_the_table() {
    let kept = Kept::new(&cut_off(), false);
    let told = kept.json(Some("metadata-0"), None);
    assert_eq!(told["schema"], "explain/1");
    assert_eq!(told["receipts"].as_array().unwrap().len(), 8);
}
