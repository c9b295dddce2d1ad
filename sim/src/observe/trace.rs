//! Writes what happens in a run to `trace.jsonl`, as it happens.
//!
//! The stage calls the [`Recorder`] at every step; without a [`Tape`] that costs a comparison.
//! Nothing is kept in memory but the names of rumors, and nothing that is written depends on more
//! than the run: the format is told at [`line`].

pub(crate) mod line;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use rumormill::Event as EngineEvent;
use rumormill::core::{Channel, Entry, EntryKind, LivenessCheck, Load, Record, Traced};
use rumormill::link::{Fate, LinkModel};
use rumormill::time::{Instant, nanos};

use self::line::{EntryLine, Event, Filter, Line, Packet, SCHEMA};
use super::observer::Observer;
use super::rumors::{CarriedRumor, RumorNo, Way};
use crate::scenario::plan::{NodeNo, Plan, StartCause};

/// Where the lines of a run go.
pub struct Tape {
    to: Box<dyn Write + Send>,
    filter: Filter,
    /// By number.
    rumors: Vec<String>,
    /// How many first receipts are written.
    learned: usize,
    /// What the network cuts, as last written.
    cut: Vec<(u32, u32)>,
    failed: Option<io::Error>,
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Tape {
    /// An empty one; `to` should be buffered.
    pub fn new(to: Box<dyn Write + Send>, filter: Filter) -> Self {
        Self { to, filter, rumors: Vec::new(), learned: 0, cut: Vec::new(), failed: None }
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// The first that writing met with; what came after it is missing.
    pub fn finish(mut self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)?;
        self.to.flush()
    }

    fn note(&mut self, at: Instant, event: Event) {
        let t_ns = at.as_nanos();
        if self.failed.is_none() && self.filter.takes_time(t_ns) && self.filter.takes(&event) {
            self.write(&Line { t_ns, event });
        }
    }

    fn write(&mut self, line: &Line) {
        let mut text = serde_json::to_string(line).expect("a line has string keys");
        text.push('\n');
        self.failed = self.to.write_all(text.as_bytes()).err();
    }

    /// First receipts since the last call.
    fn learn(&mut self, observer: &Observer) {
        self.name_rumors(observer);
        let rows = observer.first_receipts();
        for row in &rows[self.learned.min(rows.len())..] {
            let (from, sent_ns) = match row.way {
                Way::Source | Way::Kept => (None, None),
                Way::Packet { from, sent, .. } => (Some(from), Some(sent.as_nanos())),
            };
            let rumor = self.rumors[row.rumor as usize].clone();
            let (node, hop, via) = (row.node, row.hop, row.way.name().into());
            self.note(row.at, Event::Learn { node, rumor, hop, via, from, sent_ns });
        }
        self.learned = rows.len();
    }

    fn name_rumors(&mut self, observer: &Observer) {
        for number in self.rumors.len()..observer.rumor_count() {
            self.rumors.push(observer.rumor_id(number as RumorNo));
        }
    }
}

/// What the stage calls.
#[derive(Debug, Default)]
pub(crate) struct Recorder<'a>(Option<&'a mut Tape>);

/// A packet as a driver knows it.
pub(crate) struct TracedParcel<'p> {
    pub(crate) from: NodeNo,
    pub(crate) to: Option<NodeNo>,
    pub(crate) nature: Nature,
    pub(crate) sent: Instant,
    pub(crate) bytes: u64,
    pub(crate) content: u64,
    pub(crate) carried: &'p [CarriedRumor],
}

/// What a packet is, whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nature {
    pub(crate) kind: &'static str,
    pub(crate) by: Channel,
    pub(crate) check: Option<LivenessCheck>,
}

impl Nature {
    pub(crate) fn of(packet: &impl Traced) -> Self {
        let (by, check) = (packet.channel(), packet.liveness_check());
        Self { kind: packet.kind(), by, check }
    }
}

impl TracedParcel<'_> {
    /// How a receiver learns what it learns by this.
    pub(crate) fn way(&self) -> Way {
        Way::Packet { from: self.from, sent: self.sent, by: self.nature.by }
    }
}

impl<'a> Recorder<'a> {
    /// Begins the trace of a plan.
    pub(crate) fn new(tape: &'a mut Tape, plan: &Plan) -> Self {
        let event = Event::Run {
            schema: SCHEMA.into(),
            scenario: plan.name.clone(),
            seed: plan.seed.to_string(),
            nodes: plan.nodes_ever,
            filter: tape.filter.clone(),
        };
        tape.write(&Line { t_ns: 0, event });
        Self(Some(tape))
    }

    pub(crate) fn action(&mut self, at: Instant, text: &str) {
        self.note(at, || Event::Action { text: text.to_owned() });
    }

    pub(crate) fn up(&mut self, at: Instant, node: NodeNo, record: &Record, cause: StartCause) {
        let cause = match cause {
            StartCause::Initial => "initial",
            StartCause::Join => "join",
            StartCause::Restart => "restart",
        };
        let addr = || record.node().addr().to_string();
        self.note(at, || Event::Up { node, addr: addr(), cause: cause.into() });
    }

    pub(crate) fn down(&mut self, at: Instant, node: NodeNo, cause: &'static str) {
        self.note(at, || Event::Down { node, cause: cause.into() });
    }

    pub(crate) fn stop(&mut self, at: Instant, node: NodeNo) {
        self.note(at, || Event::Stop { node });
    }

    pub(crate) fn start(&mut self, at: Instant, node: NodeNo) {
        self.note(at, || Event::Start { node });
    }

    pub(crate) fn pause(&mut self, at: Instant, node: NodeNo) {
        self.note(at, || Event::Pause { node });
    }

    pub(crate) fn resume(&mut self, at: Instant, node: NodeNo) {
        self.note(at, || Event::Resume { node });
    }

    /// What the network cuts may have changed.
    pub(crate) fn paths(&mut self, at: Instant, links: &LinkModel, nodes: u32) {
        let Some(tape) = &mut self.0 else { return };
        let (sides, cut) = paths(links, nodes);
        if cut.is_empty() && tape.cut.is_empty() {
            return;
        }
        tape.cut.clone_from(&cut);
        tape.note(at, Event::Paths { sides, cut });
    }

    /// A packet was put on the network, which decided what becomes of it, and how often it is
    /// played back.
    pub(crate) fn sent(
        &mut self,
        parcel: &TracedParcel<'_>,
        fate: Fate,
        replays: u32,
        observer: &Observer,
    ) {
        let Some(tape) = &mut self.0 else { return };
        tape.name_rumors(observer);
        let (packet, bytes) = (packet(parcel, &tape.rumors), parcel.bytes);
        let copies = match fate {
            Fate::Delivered { again: Some(_), .. } => 2 + replays,
            _ => 1 + replays,
        };
        tape.note(parcel.sent, Event::Send { packet, bytes, copies });
        let cause = match fate {
            Fate::Delivered { .. } => return,
            Fate::Lost => "lost",
            Fate::Cut => "cut",
            Fate::Oversize => "oversize",
            Fate::Overflow => "overflow",
            Fate::Corrupted => "corrupted",
        };
        self.dropped(parcel.sent, parcel, cause);
    }

    /// A packet went to an address that nobody ever has.
    pub(crate) fn sent_to_nobody(&mut self, parcel: &TracedParcel<'_>, observer: &Observer) {
        let Some(tape) = &mut self.0 else { return };
        tape.name_rumors(observer);
        let (packet, bytes, copies) = (packet(parcel, &tape.rumors), parcel.bytes, 1);
        tape.note(parcel.sent, Event::Send { packet, bytes, copies });
        self.dropped(parcel.sent, parcel, "to_dead");
    }

    pub(crate) fn dropped(&mut self, at: Instant, parcel: &TracedParcel<'_>, cause: &'static str) {
        let Some(tape) = &mut self.0 else { return };
        let (packet, sent_ns) = (packet(parcel, &tape.rumors), parcel.sent.as_nanos());
        tape.note(at, Event::Drop { packet, sent_ns, cause: cause.into() });
    }

    pub(crate) fn delivered(&mut self, at: Instant, parcel: &TracedParcel<'_>, waited: Duration) {
        let Some(tape) = &mut self.0 else { return };
        let (packet, sent_ns) = (packet(parcel, &tape.rumors), parcel.sent.as_nanos());
        tape.note(at, Event::Deliver { packet, sent_ns, waited_ns: nanos(waited) });
    }

    /// An engine raised an event, in answer to what came by `way`.
    pub(crate) fn state(
        &mut self,
        at: Instant,
        node: NodeNo,
        event: &EngineEvent,
        way: Way,
        observer: &Observer,
    ) {
        self.note(at, || state(node, event, way, |record| observer.life_of(record)));
    }

    /// To be called after every step: writes who learned what in it.
    pub(crate) fn step(&mut self, observer: &Observer) {
        if let Some(tape) = &mut self.0 {
            tape.learn(observer);
        }
    }

    fn note(&mut self, at: Instant, event: impl FnOnce() -> Event) {
        if let Some(tape) = &mut self.0 {
            tape.note(at, event());
        }
    }
}

fn packet(parcel: &TracedParcel<'_>, rumors: &[String]) -> Packet {
    Packet {
        from: parcel.from,
        to: parcel.to,
        kind: parcel.nature.kind.into(),
        content: format!("{:016x}", parcel.content),
        rumors: parcel.carried.iter().map(|&(rumor, _)| rumors[rumor as usize].clone()).collect(),
        announces: parcel.carried.iter().any(|(_, load)| *load == Load::Announcement),
    }
}

/// The nodes that the network treats alike, and between which of these sides no packet passes.
fn paths(links: &LinkModel, nodes: u32) -> (Vec<Vec<NodeNo>>, Vec<(u32, u32)>) {
    if !links.has_cuts() {
        return Default::default();
    }
    let mut sides: BTreeMap<u32, Vec<NodeNo>> = BTreeMap::new();
    (0..nodes).for_each(|node| sides.entry(links.class(node)).or_default().push(node));
    let sides: Vec<_> = sides.into_values().collect();
    let pairs = (0..).zip(&sides).flat_map(|from| (0..).zip(&sides).map(move |to| (from, to)));
    let cut = pairs.filter(|((_, from), (_, to))| !links.passes(from[0], to[0]));
    let cut = cut.map(|((from, _), (to, _))| (from, to)).collect();
    (sides, cut)
}

fn state(
    node: NodeNo,
    event: &EngineEvent,
    way: Way,
    life_of: impl Fn(&Record) -> Option<(NodeNo, u32)>,
) -> Event {
    let from = match way {
        Way::Source | Way::Kept => None,
        Way::Packet { from, .. } => Some(from),
    };
    let about = match event {
        EngineEvent::Joined(record)
        | EngineEvent::Updated { new: record, .. }
        | EngineEvent::Removed { record, .. }
        | EngineEvent::Replaced { old: record, .. }
        | EngineEvent::NameConflict { second: record, .. }
        | EngineEvent::AddressConflict(record)
        | EngineEvent::GenerationsExhausted(record) => life_of(record),
        _ => None,
    };
    let version = match event {
        EngineEvent::VersionAhead { version, .. }
        | EngineEvent::ValueUnreachable { version, .. }
        | EngineEvent::VersionsExhausted(version)
        | EngineEvent::Corrupted(version)
        | EngineEvent::Superseded { theirs: version, .. } => Some(*version),
        EngineEvent::Published(metadata) => Some(metadata.version()),
        EngineEvent::Entry(entry) => Some(entry.stamp().version),
        _ => None,
    };
    let cause = match event {
        EngineEvent::Removed { cause, .. } => Some(cause.to_string().into()),
        _ => None,
    };
    let members = match event {
        EngineEvent::View { members, .. } => Some(*members),
        _ => None,
    };
    let entry = match event {
        EngineEvent::Entry(entry) => Some(entry_line(entry)),
        _ => None,
    };
    let (about, life) = about.map_or((None, 0), |(about, life)| (Some(about), life));
    let (change, version) = (event.name().into(), version.map(|version| version.to_string()));
    Event::State { node, change, about, life, cause, version, members, entry, from }
}

fn entry_line(entry: &Entry) -> EntryLine {
    let says = match entry.kind() {
        EntryKind::Put => "put",
        EntryKind::Delete => "delete",
        EntryKind::Expired => "expired",
    };
    let (terms, key) = (entry.terms(), entry.key().as_str().to_owned());
    EntryLine { key, says: says.into(), ttl_ns: terms.ttl.map(nanos), bound: terms.bound }
}
