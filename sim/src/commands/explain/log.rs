//! What a trace says of the packets that carried rumors, and of one node's comings and goings.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::path::PathWhat;
use super::receipts::ReceiptsRun;
use crate::commands::Failure;
use crate::commands::traces::TraceChoice;
use crate::observe::trace::line::{Event, Line, Packet};
use crate::scenario::plan::NodeNo;

/// What became of the packets with one rumor.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeLog {
    pub(super) drops: Vec<LostPacket>,
    /// By receiver and time of arrival.
    arrivals: BTreeMap<(NodeNo, u64), LoggedArrival>,
}

/// Of a rumor that was not asked for.
static NOTHING: NodeLog = NodeLog { drops: Vec::new(), arrivals: BTreeMap::new() };

/// A packet that never arrived.
#[derive(Clone, Debug)]
pub(super) struct LostPacket {
    pub(super) sent_ns: u64,
    pub(super) from: NodeNo,
    pub(super) to: Option<NodeNo>,
    kind: String,
    cause: String,
}

/// A packet that arrived.
#[derive(Clone, Debug)]
pub(super) struct LoggedArrival {
    pub(super) sent_ns: u64,
    pub(super) from: NodeNo,
    pub(super) kind: String,
}

impl LostPacket {
    /// The time that was lost with it.
    pub(super) fn lost(&self) -> PathWhat {
        let to = self.to.unwrap_or(self.from);
        let (kind, cause) = (self.kind.clone(), self.cause.clone());
        PathWhat::Lost { from: self.from, to, kind, cause }
    }
}

impl NodeLog {
    /// The packet that reached a node at a time.
    pub(super) fn arrived(&self, node: NodeNo, at: u64) -> Option<&LoggedArrival> {
        self.arrivals.get(&(node, at)).filter(|arrival| arrival.sent_ns < at)
    }

    /// The last packet of a node, or answer to it, that was lost between two times.
    pub(super) fn unanswered(&self, node: NodeNo, from: u64, until: u64) -> Option<&LostPacket> {
        let its = |drop: &&LostPacket| {
            (drop.from == node || drop.to == Some(node)) && (from..until).contains(&drop.sent_ns)
        };
        self.drops.iter().filter(its).max_by_key(|drop| drop.sent_ns)
    }

    fn note(&mut self, t_ns: u64, event: &Event) {
        match event {
            Event::Drop { packet, sent_ns, cause } => self.drops.push(LostPacket {
                sent_ns: *sent_ns,
                from: packet.from,
                to: packet.to,
                kind: packet.kind.to_string(),
                cause: cause.to_string(),
            }),
            Event::Deliver { packet: Packet { from, to: Some(to), kind, .. }, sent_ns, .. } => {
                let arrival =
                    LoggedArrival { sent_ns: *sent_ns, from: *from, kind: kind.to_string() };
                self.arrivals.insert((*to, t_ns), arrival);
            }
            _ => {}
        }
    }
}

/// A trace as far as it tells of rumors, and of one node.
#[derive(Debug)]
pub(super) struct Logs {
    node: NodeNo,
    logs: BTreeMap<String, NodeLog>,
    /// When nodes began to run, to beat or to go on.
    woke: BTreeSet<(NodeNo, u64)>,
    /// What the node did and what was done to it: when in nanoseconds, and what.
    pub(super) life: Vec<(u64, String)>,
    pub(super) packets: Packets,
}

/// All packets of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Packets {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Of those that it sent.
    pub(super) sent_lost: u64,
    /// Of those that were sent to it.
    pub(super) missed: u64,
}

/// Opens the trace of a run to read what it says of a node.
///
/// # Errors
/// When it can't be read, or has no such node.
pub(super) fn open(run: &ReceiptsRun, node: NodeNo) -> Result<TraceChoice, Failure> {
    let trace = TraceChoice::open(&run.folder)?;
    if node >= trace.head.nodes {
        return Err(run.no_such_node(node, trace.head.nodes));
    }
    Ok(trace)
}

impl Logs {
    /// Of these rumors and this node, with nothing read yet.
    pub(super) fn new(rumors: &[&str], node: NodeNo) -> Self {
        let logs = rumors.iter().map(|&rumor| (rumor.to_owned(), NodeLog::default())).collect();
        let (woke, life, packets) = (BTreeSet::new(), Vec::new(), Packets::default());
        Self { node, logs, woke, life, packets }
    }

    /// The packets with a rumor; none of one that was not asked for.
    pub(super) fn of(&self, rumor: &str) -> &NodeLog {
        self.logs.get(rumor).unwrap_or(&NOTHING)
    }

    /// The last time between two at which a node began to run, to beat or to go on.
    pub(super) fn woke(&self, node: NodeNo, from: u64, until: u64) -> Option<u64> {
        let after = from.saturating_add(1);
        let times = self.woke.range((node, after)..=(node, until.max(after)));
        times.last().map(|&(_, at)| at)
    }

    /// Takes in the next line of the trace.
    pub(super) fn note(&mut self, line: &Line) {
        let (t_ns, event, subject) = (line.t_ns, &line.event, self.node);
        match event {
            Event::Send { packet, .. } => {
                self.packets.sent += u64::from(packet.from == subject);
            }
            Event::Drop { packet, .. } | Event::Deliver { packet, .. } => {
                self.packets.note(event, packet, subject);
                for rumor in &packet.rumors {
                    if let Some(log) = self.logs.get_mut(rumor) {
                        log.note(t_ns, event);
                    }
                }
            }
            Event::Up { node, .. } | Event::Start { node } | Event::Resume { node } => {
                self.woke.insert((*node, t_ns));
                self.lived(t_ns, event, *node == subject);
            }
            Event::Down { node, .. } | Event::Stop { node } | Event::Pause { node } => {
                self.lived(t_ns, event, *node == subject);
            }
            Event::State { node, change, about, .. } => {
                let own = *node == subject || *about == Some(subject);
                self.lived(t_ns, event, own && change == "removed");
            }
            Event::Run { .. }
            | Event::Action { .. }
            | Event::Paths { .. }
            | Event::Learn { .. } => {}
        }
    }

    fn lived(&mut self, t_ns: u64, event: &Event, own: bool) {
        if own {
            self.life.push((t_ns, event.to_string()));
        }
    }
}

impl Packets {
    fn note(&mut self, event: &Event, packet: &Packet, node: NodeNo) {
        let to_it = u64::from(packet.to == Some(node));
        match event {
            Event::Drop { .. } => {
                self.missed += to_it;
                self.sent_lost += u64::from(packet.from == node);
            }
            _ => self.received += to_it,
        }
    }
}
