//! All observers of a run as one: the world tells it what happens, it tells each what it needs.

mod ending;
mod listing;
mod own;

use std::sync::Arc;

use rumormill::core::{EntriesView, Footprint, Identity, LivenessCheck, Record, Stats, Traced};
use rumormill::link::LinkModel;
use rumormill::node::Generation;
use rumormill::time::Instant;
use rumormill::{Config, Event, Version};

use super::bystanders::Bystanders;
use super::cast::{Cast, IncarnationNo};
use super::crossing::Crossing;
use super::entries::Entries;
use super::episodes::Episodes;
use super::invariants::{Law, Laws};
use super::keeping::Heirs;
use super::meant::Meant;
use super::members::Views;
use super::metadata::Agreement;
use super::ms;
use super::removals::Detections;
use super::rumors::{CarriedRumor, Kind, Presence, Row, RumorNo, Rumors, Way};
use super::says::Says;
use super::settling::Settling;
use super::staleness::Staleness;
use super::tally::Tally;
use super::traffic::Traffic;
use super::truth::{Shift, State, Truth};
use crate::results::summary::{Messages, Removals, RunResult, SeriesRow, ViewError};
use crate::scenario::plan::{Manner, NodeNo, Plan, StartCause};

/// Whom a node lists when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knows {
    /// Nobody else.
    Itself,
    /// Every initial node.
    AllInitial,
}

/// Everybody who watches a run.
#[derive(Clone, Debug)]
pub(crate) struct Observer {
    identity: Identity,
    /// Who begins where others ran before, and is taken for them.
    successors: Vec<IncarnationNo>,
    cast: Arc<Cast>,
    truth: Truth,
    views: Views,
    episodes: Episodes,
    agreement: Agreement,
    /// Where the scenario writes any.
    entries: Option<Entries>,
    staleness: Staleness,
    removals: Removals,
    bystanders: Bystanders,
    detections: Detections,
    rumors: Rumors,
    traffic: Traffic,
    crossing: Crossing,
    tally: Tally,
    laws: Laws,
    settling: Settling,
    says: Says,
    /// By node: since when it has run and not been stopped, or until when it ran.
    presence: Vec<Presence>,
    /// Something happened that may have changed what is true or held.
    unsettled: bool,
    /// What first changed the truth at this instant, if it is not as it was before.
    changed: Option<&'static str>,
    end: Instant,
    series: Vec<SeriesRow>,
    sampled: Sampled,
}

/// The counters as of the last row of the series.
#[derive(Clone, Copy, Debug, Default)]
struct Sampled {
    messages: u64,
    bytes: u64,
    updates: u64,
}

impl Observer {
    pub(crate) fn new(plan: &Plan, cast: &Arc<Cast>) -> Self {
        let (nodes, config) = (cast.nodes(), &plan.engine);
        Self {
            identity: plan.protocol.spec.identity,
            successors: Vec::new(),
            cast: Arc::clone(cast),
            truth: Truth::new(nodes, cast.longest(Config::timeout)),
            views: Views::new(Arc::clone(cast)),
            episodes: Episodes::new(config.cycle()),
            agreement: Agreement::new(nodes),
            entries: Entries::of(plan, cast),
            staleness: Staleness::new(nodes),
            removals: Removals::default(),
            bystanders: Bystanders::of(plan),
            detections: Detections::new(cast.parts().len()),
            rumors: Rumors::new(Arc::clone(cast), plan.rumor_rows_max),
            traffic: Traffic::new(nodes, plan.warmup, config.cycle()),
            crossing: Crossing::new(plan),
            tally: Tally::default(),
            laws: Laws::new(Arc::clone(cast), plan),
            settling: Settling::of(plan, cast),
            says: Says::of(plan, cast),
            presence: vec![Presence::Never; nodes as usize],
            unsettled: true,
            changed: None,
            end: Instant::ZERO + plan.duration,
            series: Vec::new(),
            sampled: Sampled::default(),
        }
    }

    /// An incarnation starts; in force with the next [`Observer::commit`].
    pub(crate) fn on_begin(&mut self, at: Instant, incarnation: IncarnationNo, knows: Knows) {
        let part = self.cast.part(incarnation);
        let (node, cause) = (part.node, part.cause);
        self.truth.set(at, node, State::Live(incarnation));
        self.presence[node as usize] = Presence::Since(at);
        match knows {
            Knows::Itself => self.views.begin(node, incarnation),
            Knows::AllInitial => self.views.begin_full(node, incarnation),
        }
        self.says.begin(node, &part.record);
        self.agreement.begin(node);
        if let Some(entries) = &mut self.entries {
            entries.begin(node, part.record.speaks());
        }
        self.staleness.begin(at, node);
        self.laws.begin(node);
        self.laws.happen(at);
        self.detections.came_back(node);
        self.traffic.up(at, node);
        match cause {
            StartCause::Initial => {}
            StartCause::Join => self.rumors.start(at, Kind::Join, incarnation),
            StartCause::Restart if self.is_taken_for_another(incarnation) => {}
            StartCause::Restart => self.rumors.start(at, Kind::Restart, incarnation),
        }
        if self.is_taken_for_another(incarnation) {
            self.successors.push(incarnation);
        }
    }

    /// A node goes down; in force with the next [`Observer::commit`].
    pub(crate) fn on_exit(&mut self, at: Instant, node: NodeNo, manner: Manner) {
        let (State::Live(incarnation) | State::Stopped(incarnation)) = self.truth.state(node)
        else {
            return;
        };
        let views = &self.views;
        let lists = |other| views.lists(other, incarnation);
        match manner {
            Manner::Crash => self.detections.crash(&self.truth, at, node, lists),
            Manner::Leave => {
                self.rumors.leave(at, incarnation, lists);
                if self.views.are_true() {
                    self.laws.calm().leave(at, incarnation);
                }
            }
        }
        self.detections.blind(at, node, |other| views.lists(node, other));
        self.laws.exit(node, manner);
        self.laws.happen(at);
        self.truth.set(at, node, State::Down);
        self.presence[node as usize] = Presence::Until(at);
        self.staleness.pause(at, node);
        self.traffic.down(at, node);
    }

    /// A leaver is off; `promised` is whether it was told that others hold what it held.
    pub(crate) fn on_off(&mut self, at: Instant, node: NodeNo, promised: bool, links: &LinkModel) {
        let heirs = match self.truth.live_nodes().any(|(_, live)| self.views.lists(node, live)) {
            false => Heirs::None,
            true if links.has_cuts() => Heirs::Beyond,
            true => Heirs::Near,
        };
        self.laws.off(at, node, promised, heirs);
    }

    /// A node falls silent, but goes on listening; in force with the next [`Observer::commit`].
    pub(crate) fn on_stop(&mut self, at: Instant, node: NodeNo) {
        let State::Live(incarnation) = self.truth.state(node) else { return };
        let views = &self.views;
        self.detections.blind(at, node, |other| views.lists(node, other));
        self.truth.set(at, node, State::Stopped(incarnation));
        self.staleness.pause(at, node);
    }

    /// A stopped node resumes; in force with the next [`Observer::commit`].
    pub(crate) fn on_resume(&mut self, at: Instant, node: NodeNo) {
        let State::Stopped(incarnation) = self.truth.state(node) else { return };
        self.truth.set(at, node, State::Live(incarnation));
        self.staleness.resume(at, node);
        self.presence[node as usize] = Presence::Since(at);
    }

    /// The process of a node is paused; in force with the next [`Observer::commit`].
    pub(crate) fn on_pause(&mut self, node: NodeNo) {
        self.truth.pause(node);
    }

    /// The process of a node goes on; in force with the next [`Observer::commit`].
    pub(crate) fn on_wake(&mut self, at: Instant, node: NodeNo) {
        self.truth.wake(at, node);
    }

    /// Puts in force what happened to nodes and to the network.
    pub(crate) fn commit(&mut self, at: Instant, links: &LinkModel, cause: &'static str) {
        let shift = self.truth.commit(at, links);
        if shift == Shift::None {
            return;
        }
        self.views.shift(&self.truth, &shift);
        self.laws.calm().disturb();
        self.agreement.shift(&self.truth);
        if let Some(entries) = &mut self.entries {
            entries.shift(&self.truth);
        }
        match self.truth.is_settled() {
            true => self.changed = None,
            false => _ = self.changed.get_or_insert(cause),
        }
        self.succeed(at);
        self.unsettled = true;
    }

    /// An engine raised an event, in answer to what came by `way`. `beat` is the newest that it
    /// holds of whom the event is about, where that can be seen.
    pub(crate) fn on_event(
        &mut self,
        at: Instant,
        node: NodeNo,
        event: &Event,
        way: Way,
        beat: Option<(Generation, u32)>,
    ) {
        self.unsettled = true;
        self.tally.raised(event);
        self.check_repeats(at, node, event);
        self.laws.tell(at, node, event, beat);
        self.laws.happen(at);
        match event {
            Event::Joined(record) => self.on_listed(at, node, record, way),
            Event::Updated { old, new } => {
                if old.node() != new.node() && self.is_own(node, new) {
                    self.on_update(at, node, new);
                }
                self.on_listed(at, node, new, way);
            }
            Event::Removed { record, cause } => self.on_removed(at, node, record, *cause, way),
            Event::Published(metadata) => self.on_published(at, node, metadata, way),
            Event::Entry(entry) => self.on_entry(at, node, entry, way),
            Event::Replaced { old, .. } => self.on_replaced(at, node, old),
            Event::Isolated => self.views.isolate(&self.truth, node, true),
            Event::Reunited(_) => self.views.isolate(&self.truth, node, false),
            Event::View { members, .. } => {
                self.bystanders.view(at, node, *members, self.episodes.closed());
            }
            // Addresses are never handed on in a plan; if it were so, others would list it.
            Event::AddressConflict(_)
            | Event::ListFull { .. }
            | Event::GenerationsExhausted(_)
            | Event::ClusterTooLarge { .. }
            | Event::PathNarrow { .. }
            | Event::ValueUnreachable { .. }
            | Event::NameConflict { .. }
            | Event::SettingsDiffer { .. }
            | Event::Degraded(_)
            | Event::Recovered
            | Event::NotReached(_)
            | Event::Corrupted(_)
            | Event::Superseded { .. }
            | Event::VersionAhead { .. }
            | Event::VersionsExhausted(_)
            | Event::Woke(_) => {}
            unjudged => unreachable!("nobody has said what {unjudged:?} means to a measure"),
        }
    }

    /// Who is listed can't join once more, and who is not can't be removed.
    fn check_repeats(&mut self, at: Instant, node: NodeNo, event: &Event) {
        let (record, lists) = match event {
            // With whom it begins to list it is told at once.
            Event::Joined(_) if self.presence[node as usize] == Presence::Since(at) => return,
            Event::Joined(record) => (record, true),
            Event::Removed { record, .. } => (record, false),
            _ => return,
        };
        let part = self.cast.find(record.node().addr(), record.generation());
        if let Some(incarnation) = part
            && self.cast.node_of(incarnation) != node
            && self.views.lists(node, incarnation) == lists
        {
            self.laws.repeats(at, node, incarnation);
        }
    }

    /// A node took over a list that many share: as if each of these others had joined.
    pub(crate) fn on_full_list(&mut self, others: u64) {
        self.tally.took_over(others);
    }

    /// Which rumors a packet carries.
    pub(crate) fn carried(
        &self,
        at: Instant,
        packet: &impl Traced,
        meant: &Meant,
        carried: &mut Vec<CarriedRumor>,
    ) {
        self.rumors.carried(at, packet, meant, carried);
    }

    /// A node sent a packet of this encoded length. True when it sends so many that there is no
    /// end to be seen.
    pub(crate) fn on_send(
        &mut self,
        at: Instant,
        node: NodeNo,
        packet: &impl Traced,
        payload: u64,
        carried: &[CarriedRumor],
    ) -> bool {
        self.traffic.sent(at, node, payload);
        self.check_told(at, node, packet);
        self.rumors.sent(node, packet.tag(), carried);
        self.laws.send(at, node)
    }

    /// What an engine that runs holds.
    pub(crate) fn weigh(&mut self, at: Instant, node: NodeNo, held: &Footprint) {
        self.laws.weigh(at, node, held);
    }

    /// A packet of this length with headers is on its way between two nodes of the plan.
    pub(crate) fn on_way(&mut self, at: Instant, from: NodeNo, to: NodeNo, bytes: u64) {
        self.crossing.sent(at, from, to, bytes);
    }

    /// A packet that carries these rumors arrived at a node that runs.
    pub(crate) fn on_deliver(
        &mut self,
        at: Instant,
        node: NodeNo,
        way: Way,
        check: Option<LivenessCheck>,
        carried: &[CarriedRumor],
    ) {
        self.traffic.fates().delivered += 1;
        self.rumors.delivered(carried);
        let Way::Packet { from, sent, .. } = way else { return };
        if self.laws.flew(at - sent) {
            self.settling.disturb(at);
        }
        match check {
            Some(question @ (LivenessCheck::LastCall | LivenessCheck::Probe)) => {
                if let Some(asked) = self.truth.live(node) {
                    self.laws.asked(at, from, asked, (question, sent));
                }
            }
            Some(answer @ (LivenessCheck::Alive | LivenessCheck::ProbeAnswer)) => {
                if let Some(incarnation) = self.truth.live(from) {
                    self.laws.answered(node, incarnation, (answer, sent));
                }
            }
            None => {}
        }
    }

    /// First receipts of rumors so far.
    pub(crate) fn first_receipts(&self) -> &[Row] {
        self.rumors.rows()
    }

    /// How many rumors were started.
    pub(crate) fn rumor_count(&self) -> usize {
        self.rumors.count()
    }

    /// What a rumor is called.
    pub(crate) fn rumor_id(&self, number: RumorNo) -> String {
        self.rumors.id(number)
    }

    /// Whose record this is, and of which of its lives, if it is one of the plan.
    pub(crate) fn life_of(&self, record: &Record) -> Option<(NodeNo, u32)> {
        let part = self.cast.find(record.node().addr(), record.generation())?;
        Some((self.cast.node_of(part), self.cast.life_of(part)))
    }

    /// What became of packets, for the world to count.
    pub(crate) fn fates(&mut self) -> &mut Messages {
        self.traffic.fates()
    }

    /// The counters of an engine whose time is over.
    pub(crate) fn count_state(&mut self, at: Instant, node: NodeNo, stats: &Stats) {
        self.tally.retire(stats);
        self.laws.count_state(at, node, stats);
    }

    /// What an engine whose time is over holds as metadata.
    pub(crate) fn on_last_read(&mut self, at: Instant, node: NodeNo, read: Option<Version>) {
        match self.agreement.version(node) {
            Some(held) if read < Some(held) => self.laws.lost(at, node, held),
            _ => {}
        }
    }

    /// What an engine whose time is over holds of entries.
    pub(crate) fn on_last_entries(&mut self, at: Instant, node: NodeNo, read: &EntriesView) {
        if let (Some(entries), Some(_)) = (&self.entries, self.truth.live(node))
            && let Some(detail) = entries.misread(node, read)
        {
            self.laws.breaks(Law::VersionsNeverGoBack, at, Some(node), &detail);
        }
    }

    /// To be called at the end of every instant in which something happened.
    pub(crate) fn settle(&mut self, at: Instant) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        self.views.settle();
        if let Some(cause) = self.changed.take() {
            // What changes at the very end leaves no time in which anybody could follow.
            if at >= self.end {
                return;
            }
            self.truth.settle();
            self.agreement.change();
            self.entries.iter_mut().for_each(Entries::change);
            self.episodes.change(at, cause);
        }
        self.agreement.settle(at);
        self.entries.iter_mut().for_each(|entries| entries.settle(at));
        self.episodes.settle(at, self.views.are_true());
        self.settling.note(at, &self.views, &self.agreement, self.entries.as_ref());
    }

    /// Adds a row to the series.
    pub(crate) fn sample(&mut self, at: Instant, updates: u64) {
        let (messages, bytes) = (self.traffic.messages().sent, self.traffic.bytes().with_headers);
        let now = Sampled { messages, bytes, updates };
        let before = std::mem::replace(&mut self.sampled, now);
        self.series.push(SeriesRow {
            t_ms: ms(at),
            missing: self.views.missing(),
            ghosts: self.views.ghosts(),
            messages: messages - before.messages,
            bytes: bytes - before.bytes,
            updates: updates - before.updates,
        });
    }

    /// Fills in what was observed; `links` is the network at the end, where it is known whole.
    pub(crate) fn finish(
        mut self,
        end: Instant,
        in_flight: u64,
        links: Option<&mut LinkModel>,
        run: &mut RunResult,
    ) {
        if let Some(links) = links {
            self.judge_settling(end, links);
        }
        self.traffic.fates().in_flight = in_flight;
        self.laws.count_packets(end, &self.traffic.messages());
        for node in 0..self.cast.nodes() {
            if matches!(self.truth.state(node), State::Stopped(_)) {
                self.presence[node as usize] = Presence::Until(end);
            }
        }
        self.rumors.finish(&self.presence, run);
        self.traffic.finish(end, run);
        let summary = &mut run.summary;
        summary.nodes.end = self.truth.live_nodes().count() as u32;
        self.agreement.finish(&self.truth, self.episodes.last_change(), summary);
        summary.metadata.staleness = self.staleness.finish(end);
        if let Some(entries) = &self.entries {
            entries.finish(&self.truth, end, self.episodes.last_change(), summary);
        }
        summary.links = self.crossing.finish(end);
        summary.node_list = self.episodes.finish(end);
        summary.removals = self.removals;
        self.bystanders.finish(summary);
        summary.detection = self.detections.finish();
        summary.view_error = ViewError {
            missing_end: self.views.missing(),
            ghosts_end: self.views.ghosts(),
            missing_max: self.views.missing_max(),
            ghosts_max: self.views.ghosts_max(),
        };
        summary.events = self.tally.events();
        summary.engine = self.tally.engine();
        summary.invariants = self.laws.finish();
        summary.ok = summary.invariants.iter().all(|invariant| invariant.ok);
        run.series = self.series;
    }

    /// True when this node is believed to list this incarnation.
    #[cfg(test)]
    pub(crate) fn lists(&self, node: NodeNo, incarnation: IncarnationNo) -> bool {
        self.views.lists(node, incarnation)
    }

    /// The metadata version that this node is believed to hold.
    #[cfg(test)]
    pub(crate) fn version(&self, node: NodeNo) -> Option<Version> {
        self.agreement.version(node)
    }
}
