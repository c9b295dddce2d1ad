//! What a run showed, as it stands in `summary.json` (`summary/1`).
//!
//! `None` means not reached or not applicable. Nothing here depends on the machine or on threads.
//! Times are milliseconds of virtual time since the start of the run, or since the start of the
//! rumor or episode where the name says `t..` or `converged_after`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::theory::Theory;

/// The schema of [`Summary`].
pub const SCHEMA: &str = "summary/1";

/// Longest summary that is read back: one of a million rumors, of some 600 bytes each, fits.
pub(crate) const SUMMARY_LEN_MAX: u64 = 1 << 30;

/// One run, measured.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "CONTRACT names; the registry of measures defines each")]
pub struct Summary {
    pub schema: &'static str,
    pub scenario: String,
    /// SHA-256 of the resolved scenario, in hex.
    pub scenario_digest: String,
    pub tool_version: &'static str,
    pub seed: String,
    /// By which network real nodes talked (`udp`, `tcp`, `netns`); not there in virtual time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<&'static str>,
    pub nodes: NodesSummary,
    pub virtual_ms: f64,
    pub inputs: u64,
    pub updates: u64,
    /// Hex; null in real time, where nothing repeats itself.
    pub trace_hash: Option<String>,
    pub messages: Messages,
    pub bytes: Bytes,
    pub per_node_per_second: PerNodePerSecond,
    pub links: LinkFigures,
    pub node_list: NodeListFigures,
    pub metadata: MetadataFigures,
    /// Not there where the scenario writes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<EntriesFigures>,
    pub removals: Removals,
    pub detection: Detection,
    pub view_error: ViewError,
    pub views: ViewFigures,
    pub rumors: Vec<RumorFigures>,
    pub peaks: Peaks,
    /// How often each fault was injected, by kind.
    pub faults: BTreeMap<String, u64>,
    /// How often engines raised each kind of event.
    pub events: BTreeMap<&'static str, u64>,
    /// What the engines counted, all their lives together.
    pub engine: BTreeMap<&'static str, u64>,
    pub invariants: Vec<Invariant>,
    pub expectations: Vec<ExpectationResult>,
    pub ok: bool,
}

/// Live nodes at both ends of the run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct NodesSummary {
    pub start: u32,
    pub end: u32,
}

/// The fates of packets: sent + duplicated is the sum of the others.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Messages {
    pub sent: u64,
    pub duplicated: u64,
    pub delivered: u64,
    pub lost: u64,
    pub cut: u64,
    pub to_dead: u64,
    pub overflow: u64,
    pub oversize: u64,
    pub corrupted: u64,
    pub in_flight: u64,
}

/// Encoded bytes of the packets sent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Bytes {
    /// As the wire encodes them.
    pub payload: u64,
    /// With 28 bytes of UDP and IP header each.
    pub with_headers: u64,
}

/// What single nodes sent per second, over the run less its warm-up.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct PerNodePerSecond {
    pub messages_p50: Option<f64>,
    pub bytes_p50: Option<f64>,
    pub bytes_p99: Option<f64>,
    pub bytes_max: Option<f64>,
    pub window_ms: f64,
}

/// What was sent over the links that the scenario describes under `[[link]]`; null without one.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LinkFigures {
    pub messages: Option<u64>,
    /// With headers.
    pub bytes: Option<u64>,
    pub bytes_per_second: Option<f64>,
}

/// How the node lists followed the truth.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct NodeListFigures {
    pub converged: bool,
    pub converged_after_ms: Option<f64>,
    pub converged_after_max_ms: Option<f64>,
    pub episodes: Vec<Episode>,
}

/// The time from one change of truth to the next.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Episode {
    pub cause: String,
    pub at_ms: f64,
    /// The last of the changes of truth that were near enough to be one.
    pub last_change_ms: f64,
    pub end_ms: f64,
    pub converged_after_ms: Option<f64>,
}

/// How the metadata converged, and how the last publish spread.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct MetadataFigures {
    pub converged: Option<bool>,
    pub converged_after_ms: Option<f64>,
    pub version: Option<String>,
    pub t50_ms: Option<f64>,
    pub t90_ms: Option<f64>,
    pub t99_ms: Option<f64>,
    pub t100_ms: Option<f64>,
    /// Null when nobody published.
    pub staleness: Option<f64>,
}

/// How named entries converged, and how the last put or delete spread.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "CONTRACT names; the registry of measures defines each")]
pub struct EntriesFigures {
    pub converged: Option<bool>,
    pub converged_after_ms: Option<f64>,
    pub t50_ms: Option<f64>,
    pub t90_ms: Option<f64>,
    pub t99_ms: Option<f64>,
    pub t100_ms: Option<f64>,
    pub lost: u64,
    pub zombies: u64,
    pub repaired: u64,
}

/// Removals that no goodbye caused, judged by what was true.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Removals {
    pub right: u64,
    #[serde(rename = "false")]
    pub wrong: u64,
    pub paused: u64,
    pub cut: u64,
    /// Of those that were gone: because another had their name, before any timeout.
    pub replaced: u64,
    /// By timeout, of nodes that no fault had touched, by such nodes.
    pub healthy: u64,
    /// How often a node that no fault had touched listed again whom it had removed by timeout.
    pub flaps: u64,
    /// The most of these of one node that listed another.
    pub flaps_max: u64,
}

/// From a crash to its removal, the slowest crash of the run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Detection {
    pub first_ms: Option<f64>,
    pub all_ms: Option<f64>,
}

/// What nodes that no fault had touched were told of their lists as a whole.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ViewFigures {
    /// Distinct sizes of the list, the most of one episode.
    pub unique: u64,
    /// How often one node was told after the warm-up, the most of one.
    pub changes: u64,
}

/// Ordered pairs of live nodes that are wrong: not listed though true, or listed though not.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ViewError {
    pub missing_end: u64,
    pub ghosts_end: u64,
    pub missing_max: u64,
    pub ghosts_max: u64,
}

/// How one rumor spread.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "CONTRACT names; the registry of measures defines each")]
pub struct RumorFigures {
    pub id: String,
    pub kind: String,
    pub node: u32,
    pub start_ms: f64,
    pub t50_ms: Option<f64>,
    pub t90_ms: Option<f64>,
    pub t99_ms: Option<f64>,
    pub t100_ms: Option<f64>,
    /// Null when there was nobody to reach.
    pub coverage: Option<f64>,
    pub excluded: u32,
    pub messages: u64,
    pub control_messages: u64,
    pub node_messages_max: u64,
    pub swap_first: u32,
    /// Null when it came to nobody but one.
    pub rmr: Option<f64>,
    /// Null when it came to nobody.
    pub ldh: Option<u32>,
    pub superseded_by: Option<String>,
    /// How coverage grew, as `(ms since the start, share from then on)`; for pictures, so it is
    /// thinned to at most [`CURVE_STEPS_MAX`] steps, of which the last is exact.
    #[serde(skip)]
    pub curve: Vec<(f64, f64)>,
}

/// Steps of a rumor's curve; a picture has no room for more.
pub const CURVE_STEPS_MAX: usize = 256;

/// The largest that was seen of what could grow.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Peaks {
    pub members: u64,
    pub tombstones: u64,
    /// Null in real time, where nobody sees all queues.
    pub queue: Option<u64>,
    pub packet_bytes: u64,
}

/// A law that was checked in the run.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Invariant {
    pub name: String,
    pub ok: bool,
    /// What broke it and where, when it did not hold; or why it could not be judged.
    pub detail: Option<String>,
    /// When it was broken for the first time.
    pub first: Option<Offence>,
}

/// When a law was broken, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Offence {
    pub at_ms: f64,
    /// None where it is nobody's.
    pub node: Option<u32>,
}

/// What became of one line of `[expect]`.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ExpectationResult {
    pub name: String,
    pub want: String,
    pub got: serde_json::Value,
    pub ok: bool,
}

/// One row of `series.csv`: the errors at its time, and what was sent and compared since the row
/// before. Bytes are with headers.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SeriesRow {
    pub t_ms: f64,
    pub missing: u64,
    pub ghosts: u64,
    pub messages: u64,
    pub bytes: u64,
    pub updates: u64,
}

/// One row of `rumors.csv`: the first time a node's state held a rumor or a newer one.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RumorRow {
    pub rumor: String,
    pub node: u32,
    /// When the packet that brought it was sent; empty at the source.
    pub sent_ms: Option<f64>,
    pub first_ms: f64,
    pub hop: u32,
    pub from: Option<u32>,
    /// `source`, `rumor`, `bulk`, `swap` or `stream`.
    pub via: &'static str,
}

/// What one node sent, over the time that it ran after the warm-up; bytes with headers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct NodeTraffic {
    pub node: u32,
    pub messages_per_second: f64,
    pub bytes_per_second: f64,
}

/// A stretch of time in which a fault was at work, for shading.
#[derive(Clone, Debug)]
pub struct FaultWindow {
    /// The action's line.
    pub text: String,
    /// Its begin, in milliseconds of the run.
    pub from_ms: f64,
    /// Its end.
    pub to_ms: f64,
}

/// Everything that one run yields.
#[derive(Clone, Debug, Default)]
pub struct RunResult {
    /// The figures; expectations not yet judged.
    pub summary: Summary,
    /// The time series.
    pub series: Vec<SeriesRow>,
    /// First receipts.
    pub rumor_rows: Vec<RumorRow>,
    /// First receipts that the limit on rows left out.
    pub rumor_rows_left_out: u64,
    /// Rumors that were not followed at all because there were too many.
    pub rumors_left_out: u64,
    /// What each node that ran sent, in order of the nodes; for pictures.
    pub node_traffic: Vec<NodeTraffic>,
    /// Actions, as `(ms, line)`, in the order in which they happened.
    pub timeline: Vec<(f64, String)>,
    /// When faults were at work.
    pub fault_windows: Vec<FaultWindow>,
    /// What theory says, where it is to be drawn beside; none from the world itself.
    pub theory: Option<Theory>,
}
