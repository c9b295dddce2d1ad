//! Made-up runs for the tests of reports, so that these need no engine.

use super::summary::{
    Bytes, CURVE_STEPS_MAX, Detection, Episode, ExpectationResult, FaultWindow, Invariant,
    LinkFigures, Messages, MetadataFigures, NodeListFigures, NodeTraffic, NodesSummary, Peaks,
    PerNodePerSecond, Removals, RumorFigures, RumorRow, RunResult, SCHEMA, SeriesRow, Summary,
    ViewError, ViewFigures,
};

/// A run of `nodes` nodes that is parted from 20 s to 40 s, with `rumors` metadata versions.
pub(crate) fn partition(nodes: u32, rumors: u32, seed: u64) -> RunResult {
    let spreads: Vec<(RumorFigures, Vec<RumorRow>)> =
        (0..rumors).map(|number| spread(nodes, number, seed)).collect();
    let (figures, rows): (Vec<_>, Vec<_>) = spreads.into_iter().unzip();
    RunResult {
        summary: summary(nodes, seed, figures),
        series: series(nodes, seed),
        rumor_rows: rows.concat(),
        rumor_rows_left_out: 0,
        rumors_left_out: 0,
        node_traffic: (0..nodes).map(|node| traffic(node, seed)).collect(),
        timeline: timeline(),
        fault_windows: vec![FaultWindow {
            text: "partition 0..25 | 25..50".to_owned(),
            from_ms: 20_000.0,
            to_ms: 40_000.0,
        }],
        theory: None,
    }
}

fn traffic(node: u32, seed: u64) -> NodeTraffic {
    let uneven = f64::from(node * 37 % 23) + (seed % 5) as f64;
    NodeTraffic {
        node,
        messages_per_second: 12.0 + uneven / 10.0,
        bytes_per_second: 1_600.0 + uneven * 20.0,
    }
}

fn timeline() -> Vec<(f64, String)> {
    let lines = [
        (0.0, "50 nodes start"),
        (10_000.0, "publish v1 at node 0"),
        (20_000.0, "partition 0..25 | 25..50"),
        (40_000.0, "heal split"),
    ];
    lines.map(|(at, text)| (at, text.to_owned())).to_vec()
}

/// Half of the nodes within some tens of milliseconds; every third rumor waits for the heal.
fn spread(nodes: u32, number: u32, seed: u64) -> (RumorFigures, Vec<RumorRow>) {
    let kind = if number % 3 == 1 { "join" } else { "metadata" };
    let id = format!("{kind}-{number}");
    let start_ms = 10_000.0 + 4_000.0 * f64::from(number);
    let waits = number % 3 == 2;
    let row = |node: u32| {
        let wobble = f64::from((node * 37 + number * 11 + seed as u32 * 5) % 17) / 10.0;
        let level = f64::from(node).sqrt() * 40.0 / f64::from(nodes).sqrt();
        let late = if waits && node > nodes / 2 { 20_000.0 } else { 0.0 };
        let after = if node == 0 { 0.0 } else { level + wobble + 2.0 + late };
        RumorRow {
            rumor: id.clone(),
            node,
            sent_ms: (node > 0).then_some(start_ms + after - 1.0),
            first_ms: start_ms + after,
            hop: node.min(3),
            from: (node > 0).then_some(0),
            via: if node == 0 { "source" } else { "rumor" },
        }
    };
    let rows: Vec<RumorRow> = (0..nodes).map(row).collect();
    (figures(id.clone(), kind, start_ms, &rows), rows)
}

fn figures(id: String, kind: &str, start_ms: f64, rows: &[RumorRow]) -> RumorFigures {
    let mut times: Vec<f64> = rows.iter().map(|row| row.first_ms - start_ms).collect();
    times.sort_by(f64::total_cmp);
    let reached = |percent| times.get(crate::stats::rank(times.len(), percent) - 1).copied();
    RumorFigures {
        id,
        kind: kind.to_owned(),
        node: 0,
        start_ms,
        t50_ms: reached(50),
        t90_ms: reached(90),
        t99_ms: reached(99),
        t100_ms: reached(100),
        coverage: Some(1.0),
        excluded: 0,
        messages: rows.len() as u64 + 3,
        control_messages: rows.len() as u64,
        node_messages_max: 4,
        swap_first: 1,
        rmr: Some(0.25),
        ldh: Some(4),
        superseded_by: None,
        curve: curve(&times),
    }
}

fn curve(times: &[f64]) -> Vec<(f64, f64)> {
    let share = |place: usize| (place + 1) as f64 / times.len() as f64;
    let stride = times.len().div_ceil(CURVE_STEPS_MAX);
    let step = |place: usize| (times[place], share(place));
    (0..times.len()).filter(|place| (place + 1).is_multiple_of(stride)).map(step).collect()
}

fn series(nodes: u32, seed: u64) -> Vec<SeriesRow> {
    let pairs = u64::from(nodes * (nodes - 1));
    let row = |step: u64| {
        let t_ms = step as f64 * 100.0;
        let shift = (seed % 7) * 2;
        let missing = match step {
            0 => pairs,
            1..5 => pairs / (step * 20),
            400..440 => pairs / 2 / (1 + (step - 400) / (2 + shift)),
            _ => 0,
        };
        let ghosts = if (200..240 + shift).contains(&step) { pairs / 2 } else { 0 };
        SeriesRow { t_ms, missing, ghosts, messages: step * 80, bytes: step * 9_000, updates: step }
    };
    (0..=600).map(row).collect()
}

fn summary(nodes: u32, seed: u64, rumors: Vec<RumorFigures>) -> Summary {
    let late = 200.0 * (seed % 7) as f64;
    Summary {
        schema: SCHEMA,
        scenario: "partition".to_owned(),
        scenario_digest: "ab".repeat(32),
        tool_version: "0.1.0",
        seed: seed.to_string(),
        nodes: NodesSummary { start: nodes, end: nodes },
        virtual_ms: 60_000.0,
        inputs: 120_000,
        updates: 3_400_000,
        trace_hash: Some("0123456789abcdef".to_owned()),
        net: None,
        messages: messages(),
        bytes: Bytes { payload: 4_100_000, with_headers: 5_000_000 },
        links: LinkFigures::default(),
        per_node_per_second: PerNodePerSecond {
            messages_p50: Some(12.4),
            bytes_p50: Some(1_640.0),
            bytes_p99: Some(1_930.0),
            bytes_max: Some(2_050.0),
            window_ms: 55_000.0,
        },
        node_list: node_list(late),
        metadata: MetadataFigures {
            converged: Some(true),
            converged_after_ms: Some(840.0),
            version: Some("0c1d2e3f".to_owned()),
            t50_ms: Some(11.0),
            t90_ms: Some(22.0),
            t99_ms: Some(30.0),
            t100_ms: Some(31.0),
            staleness: Some(0.004),
        },
        entries: None,
        removals: Removals { cut: 1_250, ..Removals::default() },
        detection: Detection::default(),
        view_error: ViewError {
            missing_end: 0,
            ghosts_end: 0,
            missing_max: u64::from(nodes * (nodes - 1)),
            ghosts_max: 1_250,
        },
        views: ViewFigures::default(),
        rumors,
        peaks: Peaks { members: 50, tombstones: 25, queue: Some(800), packet_bytes: 1_380 },
        faults: [("partition".to_owned(), 1)].into(),
        events: [("joined", 1)].into(),
        engine: [("inputs", 1)].into(),
        invariants: vec![Invariant {
            name: "packets".to_owned(),
            ok: true,
            detail: None,
            first: None,
        }],
        expectations: vec![expectation(2_000.0 + late)],
        ok: late < 1_000.0,
    }
}

fn expectation(got: f64) -> ExpectationResult {
    ExpectationResult {
        name: "node_list.converged_after".to_owned(),
        want: "<= 3s".to_owned(),
        got: got.into(),
        ok: got <= 3_000.0,
    }
}

fn messages() -> Messages {
    Messages {
        sent: 48_000,
        delivered: 47_100,
        lost: 480,
        cut: 410,
        in_flight: 10,
        ..Messages::default()
    }
}

fn node_list(late: f64) -> NodeListFigures {
    let episode = |cause: &str, at: f64, end: f64, after: f64| Episode {
        cause: cause.to_owned(),
        at_ms: at,
        last_change_ms: at,
        end_ms: end,
        converged_after_ms: Some(after),
    };
    NodeListFigures {
        converged: true,
        converged_after_ms: Some(2_000.0 + late),
        converged_after_max_ms: Some(4_910.0),
        episodes: vec![
            episode("start", 0.0, 20_000.0, 640.0),
            episode("partition 0..25 | 25..50", 20_000.0, 40_000.0, 4_910.0),
            episode("heal split", 40_000.0, 60_000.0, 2_000.0 + late),
        ],
    }
}
