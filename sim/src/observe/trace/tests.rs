//! What stands in a trace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::line::{Event, Filter, Line};
use super::*;
use crate::results::summary::RunResult;
use crate::scenario::plan::Deed;
use crate::world::testkit::{act, percent, plan as empty_plan};
use crate::world::{self, Codec, Options};

/// Bytes that stay readable while a tape owns the writer.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn eventful() -> Plan {
    let mut plan = empty_plan(6, Duration::from_secs(12));
    plan.network.loss = percent(10).into();
    plan.network.duplicate = percent(10);
    act(&mut plan, 2_000, "", Deed::Publish { node: 1, data: b"v1"[..].into() });
    act(&mut plan, 3_000, "", Deed::Crash(vec![2]));
    act(&mut plan, 4_000, "", Deed::Stop(vec![3]));
    act(&mut plan, 5_000, "", Deed::Start(vec![3]));
    act(&mut plan, 6_000, "", Deed::Leave(vec![4]));
    act(&mut plan, 7_000, "far", Deed::Isolate(vec![5]));
    plan
}

fn recorded(plan: &Plan, filter: Filter, codec: Codec) -> (RunResult, Vec<u8>) {
    let shared = Shared::default();
    let mut tape = Tape::new(Box::new(shared.clone()), filter);
    let options = Options { codec, ..Options::default() };
    let run = world::run_traced(plan, &options, &mut tape, &mut |_| {});
    tape.finish().unwrap();
    let bytes = shared.0.lock().unwrap().clone();
    (run, bytes)
}

fn traced(filter: Filter) -> (RunResult, Vec<Line>) {
    lines(recorded(&eventful(), filter, Codec::Skip))
}

/// A run, and all that its trace says.
pub(crate) fn traced_run(plan: &Plan) -> (RunResult, Vec<Line>) {
    lines(recorded(plan, Filter::default(), Codec::Skip))
}

fn lines((run, bytes): (RunResult, Vec<u8>)) -> (RunResult, Vec<Line>) {
    let text = String::from_utf8(bytes).unwrap();
    (run, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn count(lines: &[Line], is: impl Fn(&Event) -> bool) -> u64 {
    lines.iter().filter(|line| is(&line.event)).count() as u64
}

#[test]
fn every_fate_that_the_summary_counts_has_its_lines() {
    let (run, lines) = traced(Filter::default());
    let messages = run.summary.messages;
    let drops = |wanted: &str| {
        count(&lines, |event| matches!(event, Event::Drop { cause, .. } if cause == wanted))
    };
    assert_eq!(count(&lines, |event| matches!(event, Event::Send { .. })), messages.sent);
    assert_eq!(count(&lines, |e| matches!(e, Event::Deliver { .. })), messages.delivered);
    assert_eq!((drops("lost"), drops("cut")), (messages.lost, messages.cut));
    assert_eq!((drops("to_dead"), drops("corrupted")), (messages.to_dead, messages.corrupted));
    assert!(messages.lost > 0 && messages.cut > 0 && messages.to_dead > 0);
    let copies = lines.iter().map(|line| match line.event {
        Event::Send { copies, .. } => u64::from(copies),
        _ => 0,
    });
    assert_eq!(copies.sum::<u64>(), messages.sent + messages.duplicated);
}

#[test]
fn first_receipts_are_those_of_the_table_and_time_never_runs_back() {
    let (run, lines) = traced(Filter::default());
    assert!(lines.is_sorted_by_key(|line| line.t_ns));
    let learned = lines.iter().filter_map(|line| match &line.event {
        Event::Learn { node, rumor, hop, via, from, .. } => {
            Some((rumor.clone(), *node, line.t_ns as f64 / 1e6, *hop, *from, via.to_string()))
        }
        _ => None,
    });
    let mut learned: Vec<_> = learned.collect();
    let mut rows: Vec<_> = run
        .rumor_rows
        .iter()
        .map(|r| (r.rumor.clone(), r.node, r.first_ms, r.hop, r.from, r.via.to_owned()))
        .collect();
    learned.sort_by(|a, b| a.partial_cmp(b).unwrap());
    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert_eq!(learned, rows);
    assert!(rows.len() > 5);
}

#[test]
fn comings_and_goings_are_told_with_their_causes() {
    let (_, lines) = traced(Filter::default());
    let said = |wanted: &str| lines.iter().any(|l| format!("{:?}", l.event).contains(wanted));
    assert!(said(r#"Down { node: 2, cause: "crash" }"#));
    assert!(said(r#"Down { node: 4, cause: "leave" }"#));
    assert!(said("Stop { node: 3 }") && said("Start { node: 3 }"));
    assert_eq!(count(&lines, |event| matches!(event, Event::Up { .. })), 6);
    assert_eq!(count(&lines, |event| matches!(event, Event::Action { .. })), 6);
}

#[test]
fn what_the_network_cuts_is_told_where_it_changes() {
    let (_, lines) = traced(Filter::default());
    let cuts: Vec<_> = lines.iter().filter(|l| matches!(l.event, Event::Paths { .. })).collect();
    let [line] = cuts[..] else { panic!("one change of paths: {cuts:?}") };
    let Event::Paths { sides, cut } = &line.event else { unreachable!() };
    assert_eq!((line.t_ns, &sides[..]), (7_000_000_000, &[vec![0, 1, 2, 3, 4], vec![5]][..]));
    // Nobody gets to an isolated node, not even another that is isolated with it.
    assert_eq!(cut[..], [(0, 1), (1, 0), (1, 1)]);
}

#[test]
fn a_trace_is_the_same_bytes_each_time_and_changes_nothing() {
    let (run, bytes) = recorded(&eventful(), Filter::default(), Codec::Skip);
    let (_, again) = recorded(&eventful(), Filter::default(), Codec::RoundTrip);
    assert!(bytes == again, "a packet through bytes is the same packet");
    let plain = world::run(&eventful(), &Options::default(), &mut |_| {});
    assert_eq!(plain.summary.trace_hash, run.summary.trace_hash);
}

#[test]
fn a_filter_leaves_out_lines_and_alters_none() {
    let filters = [
        Filter { nodes: vec![3], ..Filter::default() },
        Filter { rumors: vec!["metadata-0".into()], ..Filter::default() },
        Filter { from_ns: 3_000_000_000, to_ns: Some(5_000_000_000), ..Filter::default() },
    ];
    let (_, all) = traced(Filter::default());
    for filter in filters {
        let (_, some) = traced(filter.clone());
        let takes = |l: &&Line| filter.takes_time(l.t_ns) && filter.takes(&l.event);
        assert!(some[1..].iter().eq(all[1..].iter().filter(takes)), "{filter:?}");
        assert!(some.len() * 3 / 2 < all.len(), "{filter:?}: {} of {}", some.len(), all.len());
        assert!(matches!(&some[0].event, Event::Run { filter: said, .. } if *said == filter));
    }
}

#[test]
fn the_lines_of_the_documentation_are_lines_of_the_format() {
    let text = include_str!("../../../../docs/runs.md");
    let (_, block) = text.split_once("```json\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    for written in block.lines() {
        let line: Line = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&line).unwrap(), written);
    }
    let names = ["run", "action", "up", "down", "stop", "start", "send", "drop", "deliver"];
    for name in names.iter().chain(&["paths", "state", "learn"]) {
        assert!(text.contains(&format!("`{name}`")), "{name} is not documented");
    }
}
