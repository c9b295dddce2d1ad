//! The result of a run, put together from what the world counted and the observers found.

use rumormill::time::Instant;

use super::fault::Faults;
use crate::observe::observer::Findings;
use crate::results::summary::{Nodes, Peaks, RunResult, SCHEMA, Summary};
use crate::scenario::plan::Plan;

/// A run at its end.
pub(crate) struct Outcome<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) inputs: u64,
    pub(crate) updates: u64,
    /// None in real time, where nothing repeats itself.
    pub(crate) trace_hash: Option<String>,
    /// By which network real nodes talked.
    pub(crate) net: Option<&'static str>,
    pub(crate) peaks: Peaks,
    pub(crate) faults: Faults,
    pub(crate) timeline: Vec<(f64, String)>,
    pub(crate) findings: Findings,
    pub(crate) end: Instant,
}

impl Outcome<'_> {
    pub(crate) fn into_result(self) -> RunResult {
        let Self { plan, findings, end, .. } = self;
        let summary = Summary {
            schema: SCHEMA,
            scenario: plan.name.clone(),
            scenario_digest: digest(&plan.resolved),
            tool_version: env!("CARGO_PKG_VERSION"),
            seed: plan.seed.to_string(),
            nodes: Nodes { start: plan.nodes, end: findings.live },
            virtual_ms: end.as_nanos() as f64 / 1e6,
            inputs: self.inputs,
            updates: self.updates,
            trace_hash: self.trace_hash,
            net: self.net,
            messages: findings.messages,
            bytes: findings.bytes,
            per_node_per_second: findings.per_node_per_second,
            links: findings.links,
            node_list: findings.node_list,
            metadata: findings.metadata,
            removals: findings.removals,
            detection: findings.detection,
            view_error: findings.view_error,
            rumors: findings.rumors.figures,
            peaks: self.peaks,
            faults: self.faults.counts(),
            events: findings.events,
            engine: findings.engine,
            ok: findings.invariants.iter().all(|invariant| invariant.ok),
            invariants: findings.invariants,
            expectations: Vec::new(),
        };
        RunResult {
            summary,
            series: findings.series,
            rumor_rows: findings.rumors.rows,
            rumor_rows_left_out: findings.rumors.rows_left_out,
            rumors_left_out: findings.rumors.left_out,
            node_traffic: findings.node_traffic,
            timeline: self.timeline,
            fault_windows: self.faults.windows(end),
            theory: None,
        }
    }
}

/// SHA-256 in hex.
fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};

    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
