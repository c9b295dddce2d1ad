//! The narrator of a run: a driver tells it once what happens, and observers, trace and faults hear
//! of it in one order.
//!
//! Who drives decides what happens: the world by engines and a virtual clock, the testbed by the
//! log of real nodes. What is to be told of it is decided here alone, so that a measure means the
//! same in both.

use std::sync::Arc;
use std::time::Duration;

use rumormill::core::{EntriesView, Footprint, Stats, Traced, Value};
use rumormill::link::Fate;
use rumormill::node::Generation;
use rumormill::time::Instant;
use rumormill::{Event, Version};

use super::cast::{Cast, IncarnationNo};
use super::meant::Meant;
use super::ms;
use super::observer::{Knows, Observer};
use super::rumors::{CarriedRumor, Way};
use super::trace::{Recorder, TracedParcel};
use super::traffic::HEADERS;
use super::weather::{Recovery, Weather, Whims};
use crate::results::summary::{Messages, NodesSummary, RunResult, SCHEMA, Summary};
use crate::scenario::plan::{Action, Manner, NodeNo, Plan, StartCause};

/// What a run looks like from outside.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    plan: &'a Plan,
    cast: Arc<Cast>,
    now: Instant,
    pub(crate) weather: Weather,
    observer: Observer,
    meant: Meant,
    recorder: Recorder<'a>,
    /// What it has shown so far; the observers fill in the rest at its end.
    run: RunResult,
    is_runaway: bool,
}

/// Why a packet that was let fly was never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Nobody was there, or nobody any more.
    ToDead,
    /// The network cut its path.
    #[cfg(feature = "testbed")]
    Cut,
    /// There was no room for it.
    Overflow,
}

/// What is known of a run by how it was driven.
#[derive(Clone, Debug)]
pub(crate) enum Driven {
    /// In virtual time, where all is known: the hash of all inputs and the longest queue.
    Virtual { trace_hash: String, queue_max: u64 },
    /// In real time, by this network, whose links did this by themselves.
    #[cfg(feature = "testbed")]
    Real { net: &'static str, whims: Whims },
}

impl<'a> Stage<'a> {
    pub(crate) fn new(plan: &'a Plan, cast: &Arc<Cast>) -> Self {
        Self {
            plan,
            now: Instant::ZERO,
            weather: Weather::new(plan),
            observer: Observer::new(plan, cast),
            meant: Meant::new(plan.protocol.spec.identity, cast),
            recorder: Recorder::default(),
            run: RunResult { summary: blank(plan), ..RunResult::default() },
            is_runaway: false,
            cast: Arc::clone(cast),
        }
    }

    /// Has everything that happens written down.
    pub(crate) fn recorded_by(self, recorder: Recorder<'a>) -> Self {
        Self { recorder, ..self }
    }

    /// The time of the run.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Time goes on to then, if it is later than now.
    pub(crate) fn advance(&mut self, to: Instant) {
        if to > self.now {
            self.observer.settle(self.now);
            self.now = to;
        }
    }

    /// The time of the run is over.
    pub(crate) fn close(&mut self) {
        self.observer.settle(self.now);
        self.now = Instant::ZERO + self.plan.duration;
    }

    /// To be called after all that one thing brought about: writes who learned what by it.
    pub(crate) fn step(&mut self) {
        self.recorder.step(&self.observer);
    }

    /// Puts in force what happened to nodes and to the network.
    pub(crate) fn commit(&mut self, cause: &'static str) {
        self.observer.commit(self.now, &self.weather.links, cause);
    }

    /// An action of the plan is done: by now the network is as it wants it. Returns what it is
    /// called as the cause of what the driver has it do to nodes.
    pub(crate) fn act(&mut self, number: usize, action: &Action) -> &'static str {
        let cause = action.deed.kind();
        self.recorder.action(self.now, &action.text);
        self.remark(action.text.clone());
        self.weather.act(self.now, number, action);
        if action.deed.changes_network() {
            self.commit(cause);
        }
        cause
    }

    /// What the network cuts may have changed.
    pub(crate) fn paths(&mut self) {
        self.recorder.paths(self.now, &self.weather.links, self.plan.nodes_ever);
    }

    /// What a node is to publish, unless something stands against it, which is told.
    pub(crate) fn publish(
        &mut self,
        node: NodeNo,
        data: &Arc<[u8]>,
        is_paused: bool,
    ) -> Option<Value> {
        let why = match Value::new(Arc::clone(data), self.cast.config(node)) {
            Ok(value) if !is_paused => return Some(value),
            Ok(_) => "its process is paused".to_owned(),
            Err(error) => error.to_string(),
        };
        self.remark(format!("node {node} can't publish: {why}"));
        None
    }

    /// A node whose process is paused was to write something.
    pub(crate) fn remark_paused(&mut self, node: NodeNo) {
        self.remark(format!("node {node} can't write: its process is paused"));
    }

    fn remark(&mut self, line: String) {
        self.run.timeline.push((ms(self.now), line));
    }

    /// Incarnations of different nodes start, for one and the same cause.
    pub(crate) fn begin(
        &mut self,
        batch: &[IncarnationNo],
        knows: impl Fn(IncarnationNo) -> Knows,
    ) {
        let parts = batch.iter().map(|&incarnation| self.cast.part(incarnation));
        for (&incarnation, part) in batch.iter().zip(parts.clone()) {
            self.recorder.up(self.now, part.node, &part.record, part.cause);
            self.observer.on_begin(self.now, incarnation, knows(incarnation));
        }
        let cause = match self.cast.part(batch[0]).cause {
            StartCause::Initial => "start",
            StartCause::Join => "join",
            StartCause::Restart => "restart",
        };
        self.observer.commit(self.now, &self.weather.links, cause);
        let faults = &mut self.weather.faults;
        parts.for_each(|part| faults.recover(self.now, part.node, Recovery::Begins));
    }

    /// Nodes that run go down.
    pub(crate) fn exit(&mut self, nodes: &[NodeNo], manner: Manner, cause: &'static str) {
        if nodes.is_empty() {
            return;
        }
        for &node in nodes {
            self.recorder.down(self.now, node, cause);
            self.observer.on_exit(self.now, node, manner);
        }
        self.commit(cause);
        for &node in nodes {
            self.weather.faults.recover(self.now, node, Recovery::Wakes);
        }
    }

    /// A leaver is off; `promised` is whether it was told that others hold what it held.
    pub(crate) fn off(&mut self, node: NodeNo, promised: bool) {
        self.observer.on_off(self.now, node, promised, &self.weather.links);
    }

    /// A node falls silent, but goes on listening; in force with the next [`Stage::commit`].
    pub(crate) fn stop(&mut self, node: NodeNo) {
        self.recorder.stop(self.now, node);
        self.observer.on_stop(self.now, node);
    }

    /// Stopped nodes resume.
    pub(crate) fn start(&mut self, nodes: &[NodeNo], cause: &'static str) {
        for &node in nodes {
            self.recorder.start(self.now, node);
            self.observer.on_resume(self.now, node);
            self.weather.faults.recover(self.now, node, Recovery::Starts);
        }
        self.commit(cause);
    }

    /// The process of a node is paused; in force with the next [`Stage::commit`].
    pub(crate) fn pause(&mut self, node: NodeNo) {
        self.recorder.pause(self.now, node);
        self.observer.on_pause(node);
    }

    /// The process of a node goes on; in force with the next [`Stage::commit`].
    pub(crate) fn resume(&mut self, node: NodeNo) {
        self.recorder.resume(self.now, node);
        self.observer.on_wake(self.now, node);
    }

    /// An engine raised an event, in answer to what came by `way`. `beat` is the newest that it
    /// holds of whom the event is about, where that can be seen.
    pub(crate) fn event(
        &mut self,
        node: NodeNo,
        event: &Event,
        way: Way,
        beat: Option<(Generation, u32)>,
    ) {
        let event = self.meant.event(self.now, event);
        self.observer.on_event(self.now, node, &event, way, beat);
        self.recorder.state(self.now, node, &event, way, &self.observer);
    }

    /// A node took over a list that all initial ones share.
    pub(crate) fn full_list(&mut self) {
        self.observer.on_full_list(u64::from(self.plan.nodes) - 1);
    }

    /// Which rumors a packet carries.
    pub(crate) fn carried(&self, packet: &impl Traced, carried: &mut Vec<CarriedRumor>) {
        self.observer.carried(self.now, packet, &self.meant, carried);
    }

    /// A node sends this packet; next comes what becomes of it.
    pub(crate) fn send(&mut self, parcel: &TracedParcel<'_>, packet: &impl Traced) {
        let TracedParcel { from, bytes, carried, .. } = *parcel;
        self.is_runaway |= self.observer.on_send(self.now, from, packet, bytes, carried);
    }

    /// Somebody sends so much that there is no end to be seen.
    pub(crate) fn is_runaway(&self) -> bool {
        self.is_runaway
    }

    /// It goes to an address that nobody ever has.
    pub(crate) fn sent_to_nobody(&mut self, parcel: &TracedParcel<'_>) {
        self.recorder.sent_to_nobody(parcel, &self.observer);
        self.fates().to_dead += 1;
    }

    /// The network decided what becomes of it, and how often it is played back.
    pub(crate) fn sent(&mut self, parcel: &TracedParcel<'_>, to: NodeNo, fate: Fate, replays: u32) {
        self.observer.on_way(self.now, parcel.from, to, parcel.bytes + HEADERS);
        self.recorder.sent(parcel, fate, replays, &self.observer);
        let fates = self.fates();
        match fate {
            Fate::Delivered { again, .. } => {
                fates.duplicated += u64::from(again.is_some()) + u64::from(replays);
            }
            Fate::Lost => fates.lost += 1,
            Fate::Cut => fates.cut += 1,
            Fate::Oversize => fates.oversize += 1,
            Fate::Overflow => fates.overflow += 1,
            Fate::Corrupted => fates.corrupted += 1,
        }
    }

    /// A node that runs reads a packet that has waited for that since it arrived.
    pub(crate) fn delivered(&mut self, node: NodeNo, parcel: &TracedParcel<'_>, waited: Duration) {
        self.recorder.delivered(self.now, parcel, waited);
        self.observer.on_deliver(self.now, node, parcel.way(), parcel.nature.check, parcel.carried);
    }

    /// A packet arrived that no node sent. Unless it was counted as sent when it was made up, that
    /// breaks the law that every packet that arrives was sent, which tells of it.
    pub(crate) fn delivered_unsent(&mut self, node: NodeNo) {
        self.observer.on_deliver(self.now, node, Way::Source, None, &[]);
    }

    /// A packet that flew will not be read.
    pub(crate) fn dropped(&mut self, parcel: &TracedParcel<'_>, why: Unread) {
        let fates = self.observer.fates();
        let (count, cause) = match why {
            Unread::ToDead => (&mut fates.to_dead, "to_dead"),
            #[cfg(feature = "testbed")]
            Unread::Cut => (&mut fates.cut, "cut"),
            Unread::Overflow => (&mut fates.overflow, "overflow"),
        };
        *count += 1;
        self.recorder.dropped(self.now, parcel, cause);
    }

    /// What became of packets, for what befalls one that no node sent.
    pub(crate) fn fates(&mut self) -> &mut Messages {
        self.observer.fates()
    }

    /// Engines took in so much, and updated so much by it.
    pub(crate) fn count(&mut self, inputs: u64, updates: u64) {
        self.run.summary.inputs += inputs;
        self.run.summary.updates += updates;
    }

    /// The counters of an engine whose time is over.
    pub(crate) fn retire(&mut self, node: NodeNo, stats: &Stats) {
        let peaks = &mut self.run.summary.peaks;
        peaks.members = peaks.members.max(stats.members_max as u64);
        peaks.tombstones = peaks.tombstones.max(stats.tombstones_max as u64);
        self.observer.count_state(self.now, node, stats);
    }

    /// What an engine whose time is over holds as metadata.
    pub(crate) fn last_read(&mut self, node: NodeNo, read: Option<Version>) {
        self.observer.on_last_read(self.now, node, read);
    }

    /// What an engine whose time is over holds of entries.
    pub(crate) fn last_entries(&mut self, node: NodeNo, read: &EntriesView) {
        self.observer.on_last_entries(self.now, node, read);
    }

    /// What an engine that runs holds.
    pub(crate) fn weigh(&mut self, at: Instant, node: NodeNo, held: &Footprint) {
        self.observer.weigh(at, node, held);
    }

    /// How many updates engines made so far, as far as they were counted.
    pub(crate) fn updates(&self) -> u64 {
        self.run.summary.updates
    }

    /// Adds a row to the series.
    pub(crate) fn sample(&mut self, at: Instant, updates: u64) {
        self.observer.sample(at, updates);
    }

    /// The result of the run, at whose end so many packets still fly.
    pub(crate) fn finish(self, in_flight: u64, driven: Driven) -> RunResult {
        let (end, Weather { mut links, mut faults }, mut run) = (self.now, self.weather, self.run);
        let summary = &mut run.summary;
        match driven {
            Driven::Virtual { trace_hash, queue_max } => {
                summary.trace_hash = Some(trace_hash);
                summary.peaks.queue = Some(queue_max);
                faults.count_whims(Whims::of(&links));
                self.observer.finish(end, in_flight, Some(&mut links), &mut run);
            }
            #[cfg(feature = "testbed")]
            Driven::Real { net, whims } => {
                summary.net = Some(net);
                faults.count_whims(whims);
                self.observer.finish(end, in_flight, None, &mut run);
            }
        }
        run.summary.faults = faults.counts();
        run.fault_windows = faults.windows(end);
        run
    }

    /// What the observers believe, to hold against what is so.
    #[cfg(test)]
    pub(crate) fn observer(&self) -> &Observer {
        &self.observer
    }
}

/// A run of which nothing is known but what was planned.
fn blank(plan: &Plan) -> Summary {
    Summary {
        schema: SCHEMA,
        scenario: plan.name.clone(),
        scenario_digest: digest(&plan.resolved),
        tool_version: env!("CARGO_PKG_VERSION"),
        seed: plan.seed.to_string(),
        nodes: NodesSummary { start: plan.nodes, end: 0 },
        virtual_ms: ms(Instant::ZERO + plan.duration),
        ..Summary::default()
    }
}

/// SHA-256 in hex.
fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};

    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
