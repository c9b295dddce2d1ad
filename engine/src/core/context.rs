//! What every room stands on: the means of a node, who it is, and what it holds.
//!
//! A room owns its own state and is the only code that changes it. All else it reaches by name:
//! through the [`Context`], which is lent to it for one input, and through the rooms below it,
//! which are handed to it as arguments. What it has to tell a room above it is an [`Effect`].

mod choice;
mod clocks;
mod flushing;
mod holdings;
mod life;
mod news;
mod routes;
mod versions;
mod views;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::choice::{FEW_SILENT, are_many};
pub use self::holdings::PreloadedEntries;
pub(crate) use self::life::{Farewell, Life};
pub(crate) use self::news::rumor_len;
pub(crate) use self::routes::{keep_last, keep_once};

use self::clocks::Clocks;
use self::routes::Routes;
use self::views::Views;
use super::agreement::PeerDigests;
use super::beat::AgeStep;
use super::entries::Entries;
use super::io::{Carrier, Outbox};
use super::members::{Members, SharedRecords};
use super::metadata::Metadata;
use super::packet::{
    Announcement, Body, Echoed, EntriesSummary, Packet, Padding, StateDigest, StateSummary, Subject,
};
use super::record::Record;
use super::rtt::Rtts;
use super::settings::Settings;
use super::stats::Stats;
use super::timers::{Timer, Timers};
use crate::config::{Config, Liveness, Swap, WireVersion};
use crate::rng::Rng;
use crate::time::{Instant, Now, nanos};

/// What belongs to a node whichever room it is in.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    me: Arc<Record>,
    config: Arc<Config>,
    life: Life,
    step: AgeStep,
    /// Until then we believe everybody.
    young_until: Instant,
    beats_until: Instant,
    rng: Rng,
    timers: Timers,
    members: Members,
    metadata: Option<Metadata>,
    entries: Option<Box<Entries>>,
    reports: PeerDigests,
    rtts: Rtts,
    routes: Routes,
    clocks: Clocks,
    seeds: Vec<SocketAddr>,
    views: Views,
    stats: Stats,
}

/// The ground, lent for one input: time, chance and an outbox are arguments of each.
///
/// Its fields are open, so that a room can hold on to one while it changes another; what may be
/// done with each its own type says.
pub(crate) struct Context<'a> {
    pub now: Now,
    pub out: &'a mut Outbox,
    /// Our own incarnation.
    pub me: &'a mut Arc<Record>,
    pub config: &'a Config,
    pub life: &'a mut Life,
    /// The unit of the ages in our packets.
    pub step: AgeStep,
    pub young_until: Instant,
    /// Where we ask who lives: how long we beat as well, for those who go by that.
    pub beats_until: &'a mut Instant,
    /// The one stream of chance: in which order it is drawn from decides what follows.
    pub rng: &'a mut Rng,
    pub timers: &'a mut Timers,
    pub members: &'a mut Members,
    pub metadata: &'a mut Option<Metadata>,
    entries: &'a mut Option<Box<Entries>>,
    /// What peers last said that they hold.
    pub reports: &'a mut PeerDigests,
    pub rtts: &'a mut Rtts,
    pub routes: &'a mut Routes,
    pub clocks: &'a mut Clocks,
    /// The addresses of nodes that are in the cluster already, as the service named them.
    pub seeds: &'a mut Vec<SocketAddr>,
    pub views: &'a mut Views,
    /// What rooms above are to be told, in order. It goes with the input: kept in each of thousands
    /// of engines, the room that a start takes was 5 % of all their memory.
    pub effects: VecDeque<Effect>,
    pub stats: &'a mut Stats,
    /// Who sent the packet at hand, and in which version of the wire.
    spoken: Option<(SocketAddr, WireVersion)>,
}

/// What one room has to tell another that stands above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A member was listed, or has a new incarnation.
    Listed(SocketAddr),
    /// A member was removed because it was silent.
    Lost(SocketAddr),
    /// We have a new incarnation above one that others held of us, and are young.
    Reborn,
    /// A node is known to hold something else than we do; what, may not be.
    Differs(SocketAddr, Option<StateDigest>),
    /// A node holds other entries than we do.
    EntriesDiffer(SocketAddr),
    /// A node holds the same entries, and knows something else of writes.
    CoverageDiffers(SocketAddr),
    /// A node has let us in.
    LetIn {
        by: SocketAddr,
        /// It holds what we do.
        agrees: bool,
        was_alone: bool,
    },
}

/// By what way a packet came: what is needed to judge what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub from: SocketAddr,
    pub carrier: Carrier,
    /// The unit of all ages in the packet.
    pub step: AgeStep,
}

impl Ground {
    pub(crate) fn new(
        me: Arc<Record>,
        config: Arc<Config>,
        roster: Arc<SharedRecords>,
        seed: u64,
        now: Now,
    ) -> Self {
        Self {
            members: Members::new(&me, &config, roster, now.mono),
            life: Life::Running,
            step: AgeStep::of_timeout(config.timeout()),
            young_until: now.mono + config.timeout(),
            beats_until: Instant::ZERO,
            rng: Rng::fork(seed, "engine", me.place().0),
            timers: Timers::default(),
            metadata: None,
            entries: None,
            reports: PeerDigests::default(),
            rtts: Rtts::default(),
            routes: Routes::new(seed, me.place()),
            clocks: Clocks::default(),
            seeds: Vec::new(),
            views: Views::default(),
            stats: Stats::default(),
            me,
            config,
        }
    }

    /// Lends itself for one input.
    pub(crate) fn context<'a>(&'a mut self, now: Now, out: &'a mut Outbox) -> Context<'a> {
        out.begin(&self.config);
        Context {
            now,
            out,
            me: &mut self.me,
            config: &self.config,
            life: &mut self.life,
            step: self.step,
            young_until: self.young_until,
            beats_until: &mut self.beats_until,
            rng: &mut self.rng,
            timers: &mut self.timers,
            members: &mut self.members,
            metadata: &mut self.metadata,
            entries: &mut self.entries,
            reports: &mut self.reports,
            rtts: &mut self.rtts,
            routes: &mut self.routes,
            clocks: &mut self.clocks,
            seeds: &mut self.seeds,
            views: &mut self.views,
            effects: VecDeque::new(),
            stats: &mut self.stats,
            spoken: None,
        }
    }

    pub(crate) fn me(&self) -> &Arc<Record> {
        &self.me
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    pub(crate) fn entries(&self) -> Option<&Entries> {
        self.entries.as_deref()
    }

    pub(crate) fn reports(&self) -> &PeerDigests {
        &self.reports
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// What we hold, in short, as nodes compare it that speak this version.
    pub(crate) fn holds(&self, wire: WireVersion) -> StateDigest {
        holds(&self.members, self.metadata.as_ref(), self.entries.as_deref(), wire)
    }

    #[cfg(test)]
    pub(crate) fn members_mut(&mut self) -> &mut Members {
        &mut self.members
    }

    #[cfg(test)]
    pub(crate) fn rtts_mut(&mut self) -> &mut Rtts {
        &mut self.rtts
    }
}

fn holds(
    members: &Members,
    metadata: Option<&Metadata>,
    entries: Option<&Entries>,
    wire: WireVersion,
) -> StateDigest {
    // Nodes that speak version 1 alone hold none.
    let entries = entries.filter(|_| wire > WireVersion::One);
    let version = metadata.map(Metadata::version);
    StateDigest::of(members.digest(wire), version, holdings::entries_held(entries))
}

impl Context<'_> {
    /// Who has just come knows nobody yet to hear anything from twice, and believes what it is
    /// told.
    pub(crate) fn is_young(&self) -> bool {
        self.now.mono < self.young_until
    }

    /// Where every packet is sealed nobody can invent members.
    pub(crate) fn trusts_all(&self) -> bool {
        self.is_young() || self.config.secret_key().is_some()
    }

    /// What we hold, in short.
    pub(crate) fn holds(&self, wire: WireVersion) -> StateDigest {
        holds(self.members, self.metadata.as_ref(), self.entries(), wire)
    }

    /// True while we beat.
    pub(crate) fn beats(&self) -> bool {
        match self.config.liveness() {
            Liveness::Beats => true,
            Liveness::Auto => self.now.mono < *self.beats_until,
            Liveness::Probes | Liveness::Off => false,
        }
    }

    /// A member goes by beats. It would call us as often as we are silent, but where there are many
    /// like it beats cost less; so those who hear of one within ten timeouts beat as well.
    pub(crate) fn note_judge_by_beats(&mut self) {
        if self.config.liveness() != Liveness::Auto || *self.life != Life::Running {
            return;
        }
        if !self.beats() {
            self.timers.set(Timer::Cycle, self.now.mono);
        }
        *self.beats_until = self.now.mono + self.config.timeout() * 10;
    }

    /// A deadline that we notice so much too late says more of us than of others.
    pub(crate) fn grace(&self) -> Duration {
        self.config.cycle() / 8
    }

    /// Takes an answer to what was first sent so long ago, and the token that it echoes.
    pub(crate) fn note_round_trip(
        &mut self,
        peer: SocketAddr,
        waited: Duration,
        token: impl Echoed,
    ) {
        // Karn's rule: an answer to one of several repeats says nothing. Not even that it took no
        // longer: where much is lost such a bound makes all wait too long, for a third more time.
        if token.is_first() {
            self.stats.round_trip.observe(waited);
            self.rtts.sample(peer, waited);
        } else {
            self.rtts.note_repeat();
        }
    }

    /// True when the node at this address is listed.
    pub(crate) fn lists(&self, addr: SocketAddr) -> bool {
        self.members.lists(addr)
    }

    /// Up to this long, drawn at random.
    pub(crate) fn part_of(&mut self, duration: Duration) -> Duration {
        let nanos = self.rng.between(0, nanos(duration));
        Duration::from_nanos(nanos)
    }

    /// This long, give or take a tenth, so that nodes don't fall in step.
    pub(crate) fn jittered(&mut self, duration: Duration) -> Duration {
        duration - duration / 10 + self.part_of(duration / 5)
    }

    /// A packet of ours, in the highest version that we speak. Before it goes to who does not speak
    /// that, it is put into a lower one ([`Context::lower`]).
    pub(crate) fn packet(&self, body: Body) -> Arc<Packet> {
        Arc::new(Packet::new(self.step, body).in_version(self.config.wire_max()))
    }

    pub(crate) fn summary(&self, wire: WireVersion) -> StateSummary {
        StateSummary {
            wall: self.now.wall,
            settings: Settings::of(self.config),
            members: u32::try_from(self.members.len()).expect("members_max is below 2^32"),
            digest: self.members.digest(wire),
            version: self.metadata.as_ref().map(Metadata::version),
            entries: match wire {
                WireVersion::One => EntriesSummary::default(),
                WireVersion::Two => self.entries_summary(),
            },
        }
    }

    /// How long a tombstone is kept: long after every copy that could contradict it has died.
    pub(crate) fn tombstone_time(&self) -> Duration {
        self.config.timeout() * 20
    }

    /// How long a beat is on its way to all.
    pub(crate) fn moment(&self) -> Duration {
        Duration::from_millis(250).min(self.config.relay_delay())
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.members.len() == 1
    }

    /// What a rumor of a metadata value carries: the value where it fits a datagram.
    pub(crate) fn topic_of(&self, metadata: &Metadata) -> Subject {
        if rumor_len(metadata) <= self.config.packet_len_max() {
            Subject::Metadata(metadata.clone())
        } else {
            Subject::Announced(Announcement::of(metadata))
        }
    }

    /// What makes a datagram of ours so long that one of `answer` bytes may come back, when it
    /// would have at least `least` bytes without, and is not known to be ours yet.
    pub(crate) fn padding(&self, least: usize, answer: usize) -> Padding {
        let wanted = answer.div_ceil(3).saturating_sub(least + self.config.guard_len());
        Padding(u16::try_from(wanted).unwrap_or(u16::MAX))
    }

    /// Brings the next swap forward, because more differences are likely.
    pub(crate) fn swap_again_soon(&mut self) {
        self.swap_again_in(self.config.relay_delay() / 4);
    }

    pub(crate) fn swap_again_in(&mut self, wait: Duration) {
        if *self.life == Life::Running && self.config.swap() == Swap::On {
            let wait = self.jittered(wait);
            self.timers.set_earlier(Timer::Swap, self.now.mono + wait);
        }
    }

    /// Takes what a member says that it holds; of others anybody could send us any number.
    pub(crate) fn note_report(&mut self, from: SocketAddr, holds: StateDigest) {
        if self.lists(from) {
            self.reports.note(from, holds, self.wire());
        }
    }

    /// The next of what rooms are to be told.
    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Counts what is held after an input.
    pub(crate) fn count_members(&mut self) {
        let (stats, members) = (&mut *self.stats, &*self.members);
        stats.members = members.len();
        stats.members_max = stats.members_max.max(stats.members);
        stats.tombstones_max = stats.tombstones_max.max(members.tombstones_len());
        if let Some(entries) = self.entries.as_deref() {
            (stats.entries, stats.entries_bytes) = (entries.len(), entries.bytes());
        }
    }
}
