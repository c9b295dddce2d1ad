//! Where the time went between the start of a rumor and a node's first receipt.
//!
//! The way is followed backwards: who sent the packet that told the node, and why just then? A
//! packet is sent at once when its sender hears of the rumor, or when another packet with it
//! arrives. Otherwise a timer made it, and what the sender waited for is the answer to a packet
//! that got lost. The parts meet without a gap, so that their shares add up to the whole delay.

use serde::Serialize;

use super::log::{Logs, LostPacket, NodeLog};
use super::receipts::{Receipt, ReceiptSpread, ns};
use crate::report::human;
use crate::scenario::plan::NodeNo;

/// Steps back that are taken: a bad network has dozens, a damaged table may go in a circle.
const STEPS_MAX: usize = 1_000;

/// A stretch of the time until a node heard, and what it was spent on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PathPart {
    pub(super) from_ms: f64,
    pub(super) to_ms: f64,
    /// Of the whole delay, from 0 to 1.
    pub(super) share: f64,
    #[serde(flatten)]
    pub(super) what: PathWhat,
}

/// What a stretch of time was spent on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum PathWhat {
    /// A packet was under way.
    Flight { from: NodeNo, to: NodeNo, kind: String },
    /// A packet that never arrived was missed, until another was sent instead.
    Lost { from: NodeNo, to: NodeNo, kind: String, cause: String },
    /// A node held the rumor and told nobody of this line.
    Waited { node: NodeNo },
    /// The node did not run, was stopped or stood still.
    Away { node: NodeNo },
    /// The node ran, and nobody sent it the rumor.
    Unsent { node: NodeNo },
}

impl PathWhat {
    /// For a person.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Flight { from, to, kind } => {
                format!("{kind} from node {from} to node {to} under way")
            }
            Self::Lost { from, to, kind, cause } => {
                format!("{kind} from node {from} to node {to} never arrived: {cause}")
            }
            Self::Waited { node } => format!("node {node} held it and waited"),
            Self::Away { node } => format!("node {node} did not run, or was silent"),
            Self::Unsent { node } => format!("nobody sent it to node {node}"),
        }
    }
}

/// Where the time of a node that heard went, in order; nothing for a source.
pub(super) fn path(spread: &ReceiptSpread, logs: &Logs, node: NodeNo) -> Vec<PathPart> {
    let start = ns(spread.figures.start_ms);
    let Some(end) = spread.of(node).map(|receipt| ns(receipt.first_ms)) else { return Vec::new() };
    // Only a damaged table has somebody hear before the rumor began.
    if end <= start {
        return Vec::new();
    }
    let log = logs.of(&spread.figures.id);
    let mut walk = PathWalk { spread, logs, log, start, now: end, parts: Vec::new() };
    let mut next = walk.heard(node, Some(node));
    for _ in 0..STEPS_MAX {
        let Some(sender) = next.filter(|_| walk.now > start) else { break };
        next = walk.sent(sender);
    }
    let whole = end.saturating_sub(start) as f64;
    let part = |(from, to, what): (u64, u64, PathWhat)| PathPart {
        from_ms: from as f64 / 1e6,
        to_ms: to as f64 / 1e6,
        share: (to - from) as f64 / whole,
        what,
    };
    walk.parts.into_iter().rev().map(part).collect()
}

/// The part that took longest of those that need not have been: all but flights.
pub(super) fn cause(parts: &[PathPart]) -> Option<&PathPart> {
    let avoidable = parts.iter().filter(|part| !matches!(part.what, PathWhat::Flight { .. }));
    avoidable.max_by(|a, b| a.share.total_cmp(&b.share))
}

/// The line at the end: what to blame, with its share.
pub(super) fn verdict(parts: &[PathPart]) -> String {
    let hops = parts.iter().filter(|part| matches!(part.what, PathWhat::Flight { .. })).count();
    match cause(parts) {
        _ if parts.is_empty() => "nobody had to tell it".to_owned(),
        None => format!(
            "nothing stood in its way: all of the delay is {}",
            human::counted(hops as u64, "packet") + " under way"
        ),
        Some(part) => {
            let took = human::span(part.to_ms - part.from_ms);
            format!("{} of the delay, {took}: {}", human::percent(part.share), part.what.text())
        }
    }
}

/// Goes back from a first receipt; all before `now` is still to be told.
struct PathWalk<'a> {
    spread: &'a ReceiptSpread,
    logs: &'a Logs,
    log: &'a NodeLog,
    start: u64,
    now: u64,
    parts: Vec<(u64, u64, PathWhat)>,
}

impl PathWalk<'_> {
    /// The time from `at` to what was told last was spent on this.
    fn spent(&mut self, at: u64, what: PathWhat) {
        let at = at.clamp(self.start, self.now);
        if at < self.now {
            self.parts.push((at, self.now, what));
            self.now = at;
        }
    }

    /// Why a node heard only now; who is to be followed next, at the time `now`.
    fn heard(&mut self, node: NodeNo, subject: Option<NodeNo>) -> Option<NodeNo> {
        let receipt = self.spread.of(node)?;
        let from = receipt.from?;
        let sent = ns(receipt.sent_ms?);
        let kind = receipt.via.clone();
        let woke = self.logs.woke(node, self.start, ns(receipt.first_ms));
        // What arrives at a process that stands still waits there for it.
        if let Some(woke) = woke.filter(|&woke| sent < woke) {
            self.spent(woke, PathWhat::Flight { from, to: node, kind });
            self.spent(sent, PathWhat::Away { node });
            return Some(from);
        }
        self.spent(sent, PathWhat::Flight { from, to: node, kind });
        let missed = self.missed(receipt, woke.unwrap_or(self.start), sent).cloned();
        if let Some(drop) = &missed {
            self.spent(drop.sent_ns, drop.lost());
        }
        match (woke, missed) {
            (Some(woke), _) if subject == Some(node) => {
                self.spent(woke, PathWhat::Unsent { node });
                self.spent(self.start, PathWhat::Away { node });
                None
            }
            (_, Some(drop)) => Some(drop.from),
            (_, None) => Some(from),
        }
    }

    /// The first packet that would have told a node earlier than the one that did.
    fn missed(&self, receipt: &Receipt, from: u64, until: u64) -> Option<&LostPacket> {
        let to_it = |drop: &&LostPacket| {
            drop.to == Some(receipt.node) && (from..until).contains(&drop.sent_ns)
        };
        self.log.drops.iter().filter(to_it).min_by_key(|drop| drop.sent_ns)
    }

    /// Why a node sent a packet just now, and who is to be followed next.
    fn sent(&mut self, node: NodeNo) -> Option<NodeNo> {
        let held = self.spread.of(node).map_or(self.start, |receipt| ns(receipt.first_ms));
        if held >= self.now {
            return self.heard(node, None);
        }
        if let Some(trigger) = self.log.arrived(node, self.now) {
            let (from, to, kind) = (trigger.from, node, trigger.kind.clone());
            self.spent(trigger.sent_ns, PathWhat::Flight { from, to, kind });
            return Some(from);
        }
        if let Some(drop) = self.log.unanswered(node, held, self.now) {
            self.spent(drop.sent_ns, drop.lost());
            return Some(drop.from);
        }
        self.spent(held, PathWhat::Waited { node });
        Some(node)
    }
}
