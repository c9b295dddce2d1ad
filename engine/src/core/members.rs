//! The node list and what it is judged by: one dense row for each address ever heard of.
//!
//! Every copy of a beat says how old it is, and every holder adds its holding time. A copy makes
//! a member younger only if its counter is larger than the held one. So an old copy that arrives
//! late proves nothing, by whatever way it came.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::arcs::RingView;
use super::beat::{Age, AgeStep, Beat, COUNTER_MAX, RecordId, widen};
use super::newcomers::Newcomers;
use super::packet::{Cause, Gone};
use super::record::{Digest, Record, Sighting};
use super::ring::Ring;
use super::roster::{Directory, NodeIx, RecordIx, Roster};
use super::row::{Row, Standing, State};
use super::seen::{Departure, Heard, Seen, Sifted};
use crate::config::{Config, Liveness};
use crate::node::NodeId;
use crate::time::Instant;

/// The table of members and tombstones.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    directory: Directory,
    rows: Vec<Row>,
    ring: Ring,
    digest: Digest,
    newcomers: Newcomers,
    /// When each tombstone was set, and the same in order of time. An entry of the queue that
    /// the map doesn't confirm belongs to a member that came back.
    tombstones: BTreeMap<NodeIx, Instant>,
    oldest_tombstones: VecDeque<(Instant, NodeIx)>,
    me: NodeIx,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    members_max: usize,
    tombstones_max: usize,
    timeout: Duration,
    /// How long a held counter is near enough to the true one to widen a short one.
    short_counter: Duration,
    liveness: Liveness,
}

impl Limits {
    /// True when a counter is young enough to list a member by.
    fn fresh(&self, step: AgeStep, age: Age) -> bool {
        match self.liveness {
            Liveness::Off | Liveness::Probes => true,
            Liveness::Beats => step.elapsed(age).is_some_and(|elapsed| elapsed < self.timeout),
        }
    }
}

impl Limits {
    /// When a counter was raised of which nobody says when: too long ago for those who judge by
    /// that.
    fn long_ago(&self, now: Instant) -> Instant {
        now.saturating_sub(self.timeout)
    }
}

impl Members {
    /// A list of nobody but the node itself, whose counter is zero.
    pub(crate) fn new(
        me: &Arc<Record>,
        config: &Config,
        roster: Arc<Roster>,
        now: Instant,
    ) -> Self {
        let mut directory = Directory::new(roster);
        let (record, node) = directory.intern(me);
        let limits = Limits {
            members_max: config.members_max(),
            tombstones_max: config.members_max() / 2 + 64,
            timeout: config.timeout(),
            short_counter: config.cycle() * 100,
            liveness: config.liveness(),
        };
        let rows = vec![Row::VACANT; directory.nodes_len()];
        let mut members = Self {
            directory,
            rows,
            ring: Ring::default(),
            digest: Digest::default(),
            newcomers: Newcomers::default(),
            tombstones: BTreeMap::new(),
            oldest_tombstones: VecDeque::new(),
            me: node,
            limits,
        };
        members.list(node, record, Standing::Proven, 0, now);
        members
    }

    pub(crate) fn me(&self) -> NodeIx {
        self.me
    }

    /// How many are listed, the node itself included.
    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(crate) fn tombstones_len(&self) -> usize {
        self.tombstones.len()
    }

    /// The sum of the digests of all that are listed.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The listed ones in order of the ring.
    pub(crate) fn in_ring_order(&mut self) -> &[NodeIx] {
        self.ring.sort(&self.directory);
        self.ring.sorted()
    }

    /// The same for a reader, who must have called [`Members::in_ring_order`] since the last
    /// change.
    pub(crate) fn ring_order(&self) -> &[NodeIx] {
        self.ring.sorted()
    }

    /// Some of the listed, which must be in order of the ring.
    pub(super) fn view<'a>(&'a self, members: Cow<'a, [NodeIx]>) -> RingView<'a> {
        RingView { members, directory: &self.directory }
    }

    pub(crate) fn place(&self, node: NodeIx) -> NodeId {
        self.directory.place(node)
    }

    pub(crate) fn node(&self, addr: SocketAddr) -> Option<NodeIx> {
        self.directory.node(addr).filter(|&node| self.rows[node.index()].state() != State::Vacant)
    }

    /// True when anything is held of a node, be it a tombstone.
    pub(crate) fn holds(&self, node: NodeIx) -> bool {
        self.rows.get(node.index()).is_some_and(|row| row.state() != State::Vacant)
    }

    pub(crate) fn is_listed(&self, node: NodeIx) -> bool {
        self.rows.get(node.index()).is_some_and(|row| row.state() == State::Listed)
    }

    /// The record held of a node, listed or gone.
    pub(crate) fn record(&self, node: NodeIx) -> &Arc<Record> {
        self.directory.record(self.rows[node.index()].record)
    }

    pub(crate) fn addr(&self, node: NodeIx) -> SocketAddr {
        self.directory.addr(node)
    }

    /// The counter that is held.
    pub(crate) fn counter(&self, node: NodeIx) -> u32 {
        self.rows[node.index()].counter
    }

    /// When the origin raised the counter that is held.
    pub(crate) fn raised_at(&self, node: NodeIx) -> Instant {
        self.rows[node.index()].raised_at()
    }

    /// The beat to send of a member, with its age as of now.
    pub(crate) fn beat(&self, node: NodeIx, now: Instant, step: AgeStep) -> Beat {
        let row = &self.rows[node.index()];
        Beat {
            id: self.directory.id(row.record),
            counter: row.counter as u8,
            age: step.age_of(now, row.raised_at()),
        }
    }

    /// Counter modulo 256 and age of a member, for a vector.
    pub(crate) fn vector_beat(&self, node: NodeIx, now: Instant, step: AgeStep) -> (u8, Age) {
        let row = &self.rows[node.index()];
        (row.counter as u8, step.age_of(now, row.raised_at()))
    }

    /// The record to send of a member, with its newest beat as of now.
    pub(crate) fn sighting(&self, node: NodeIx, now: Instant, step: AgeStep) -> Sighting {
        let row = &self.rows[node.index()];
        Sighting {
            record: Arc::clone(self.directory.record(row.record)),
            counter: row.counter,
            age: step.age_of(now, row.raised_at()),
        }
    }

    /// What is left of a node that is gone.
    pub(crate) fn gone(&self, node: NodeIx) -> Option<Gone> {
        let row = self.rows.get(node.index())?;
        let State::Gone(cause) = row.state() else { return None };
        let record = self.directory.record(row.record);
        let (addr, generation) = (record.node().addr(), record.generation());
        Some(Gone { addr, generation, counter: row.counter, cause })
    }

    /// The one node that holds a record with this id.
    pub(crate) fn by_id(&self, id: RecordId) -> Option<NodeIx> {
        let held = |&(record, node): &(RecordIx, NodeIx)| {
            self.rows.get(node.index()).is_some_and(|row| row.record == record)
        };
        if let Some(only) = self.directory.only_by_id(id) {
            return held(&only).then_some(only.1);
        }
        let mut holders = self.directory.by_id(id).filter(held);
        let (_, node) = holders.next()?;
        holders.next().is_none().then_some(node)
    }

    /// Another listed member with the same name.
    pub(crate) fn namesake(&self, node: NodeIx) -> Option<NodeIx> {
        let held = |&(record, other): &(RecordIx, NodeIx)| {
            let row = self.rows.get(other.index());
            row.is_some_and(|row| row.record == record && row.state() == State::Listed)
        };
        let record = self.rows[node.index()].record;
        self.directory.namesakes(record).find(held).map(|(_, other)| other)
    }

    /// Marks a member for the next relay; true when it was not marked before.
    pub(crate) fn mark(&mut self, node: NodeIx) -> bool {
        self.rows[node.index()].mark()
    }

    /// Takes the mark off a member; true when it was marked.
    pub(crate) fn take_mark(&mut self, node: NodeIx) -> bool {
        self.rows.get_mut(node.index()).is_some_and(Row::take_mark)
    }

    /// How many listed members are no more than one sender's word.
    pub(super) fn newcomers(&self) -> &Newcomers {
        &self.newcomers
    }

    pub(crate) fn is_newcomer(&self, node: NodeIx) -> bool {
        self.rows[node.index()].standing() != Standing::Proven
    }

    /// A node of which something is held exists beyond doubt.
    pub(crate) fn prove(&mut self, node: NodeIx) {
        let row = &mut self.rows[node.index()];
        self.newcomers.remove(row.standing());
        row.prove();
    }

    /// The members but ourselves whose counter was raised no later than this, in order of the
    /// ring, and when the oldest of the others was.
    pub(crate) fn silent_since(&mut self, bound: Instant) -> (Vec<NodeIx>, Instant) {
        self.ring.sort(&self.directory);
        let (mut silent, mut oldest) = (Vec::new(), Instant::from_nanos(u64::MAX));
        for &node in self.ring.sorted() {
            let raised_at = self.rows[node.index()].raised_at();
            match raised_at <= bound {
                true if node != self.me => silent.push(node),
                true => {}
                false => oldest = oldest.min(raised_at),
            }
        }
        (silent, oldest)
    }

    /// Takes the marks off all members; their beats, about so many, in order of the ring.
    pub(crate) fn take_marked(&mut self, now: Instant, step: AgeStep, count: usize) -> Vec<Beat> {
        self.ring.sort(&self.directory);
        let mut beats = Vec::with_capacity(count);
        for &node in self.ring.sorted() {
            let row = &mut self.rows[node.index()];
            if row.take_mark() {
                let age = step.age_of(now, row.raised_at());
                let id = self.directory.id(row.record);
                beats.push(Beat { id, counter: row.counter as u8, age });
            }
        }
        beats
    }

    /// Somebody has heard a higher counter of another node than we have.
    pub(crate) fn raise_counter(&mut self, node: NodeIx, counter: u32) {
        let row = &mut self.rows[node.index()];
        row.counter = row.counter.max(counter.min(COUNTER_MAX));
    }

    /// Raises our own counter, which has not come to its end.
    pub(crate) fn beat_once(&mut self, now: Instant) {
        let row = &mut self.rows[self.me.index()];
        row.counter += 1;
        row.set_raised_at(now);
    }

    /// Makes all that is held of others so much older.
    pub(crate) fn age_all(&mut self, by: Duration) {
        let me = self.me.index();
        for (at, row) in self.rows.iter_mut().enumerate() {
            if at != me {
                row.set_raised_at(row.raised_at().saturating_sub(by));
            }
        }
    }

    /// Puts into `news` what may be news among beats in bulk, which is the smaller part of them,
    /// with the nodes that hold the ids, if just one does.
    ///
    /// Nothing in this loop waits for anything else in it: the rows of a large cluster are not
    /// in the processor's caches, and all that are needed are fetched at once.
    pub(crate) fn sift(&self, beats: &[Beat], news: &mut Vec<Sifted>) {
        news.clear();
        news.resize(beats.len(), Sifted { node: None, counter: 0, age: Age(0) });
        let mut len = 0;
        for &Beat { id, counter, age } in beats {
            let (node, old) = match self.directory.only_by_id(id) {
                Some((record, node)) => {
                    let row = self.rows.get(node.index()).unwrap_or(&Row::VACANT);
                    let held = row.record == record;
                    (held.then_some(node), held & row.is_past(counter))
                }
                None => (self.by_id(id), false),
            };
            news[len] = Sifted { node, counter, age };
            len += usize::from(!old);
        }
        news.truncate(len);
    }

    /// The same for counters and ages by place on the ring, the first of them at `first`.
    pub(crate) fn sift_vector(&mut self, first: u32, beats: &[(u8, Age)], news: &mut Vec<Sifted>) {
        self.ring.sort(&self.directory);
        let nodes = self.ring.sorted().get(first as usize..).unwrap_or_default();
        news.clear();
        for (&node, &(counter, age)) in nodes.iter().zip(beats) {
            if !self.rows[node.index()].is_past(counter) {
                news.push(Sifted { node: Some(node), counter, age });
            }
        }
    }

    /// Takes a counter modulo 256 and an age.
    pub(crate) fn see_short(&mut self, heard: Heard, node: NodeIx, counter: u8, age: Age) -> Seen {
        let row = self.rows[node.index()];
        let counter = widen(row.counter, counter);
        if counter <= row.counter || node == self.me {
            return Seen::Old;
        }
        let silence = heard.now - row.raised_at();
        if row.state() != State::Listed && silence > self.limits.short_counter {
            return Seen::Unknown;
        }
        self.see_counter(heard, node, counter, age)
    }

    /// Takes a record with its newest beat.
    pub(crate) fn see(&mut self, heard: Heard, sighting: &Sighting) -> Seen {
        let Sighting { record, counter, age } = sighting;
        let counter = (*counter).min(COUNTER_MAX);
        let Some(node) = self.node(record.node().addr()) else {
            return self.see_stranger(heard, sighting);
        };
        let held = self.record(node).generation();
        let (row, me) = (self.rows[node.index()], node == self.me);
        match record.generation().cmp(&held) {
            Ordering::Less => Seen::Refused(node),
            // Nobody but ourselves raises our counter, unless it is a rival.
            Ordering::Equal if me && counter > row.counter => Seen::OutrankedMe,
            Ordering::Equal if me => Seen::Old,
            Ordering::Equal => self.see_counter(heard, node, counter, *age),
            Ordering::Greater if me => Seen::OutrankedMe,
            Ordering::Greater => self.see_successor(heard, node, sighting),
        }
    }

    /// A copy of the incarnation that is held of another.
    fn see_counter(&mut self, heard: Heard, node: NodeIx, counter: u32, age: Age) -> Seen {
        let raised_at = heard.step.raised_at(heard.now, age);
        let row = &mut self.rows[node.index()];
        let state = row.state();
        if state == State::Gone(Cause::Left) {
            return Seen::Refused(node);
        }
        if counter <= row.counter {
            return if state == State::Listed { Seen::Old } else { Seen::Refused(node) };
        }
        let raised_at = match (raised_at, self.limits.liveness) {
            (Some(raised_at), _) => raised_at,
            (None, Liveness::Beats) => return Seen::TooOld,
            (None, Liveness::Probes | Liveness::Off) => self.limits.long_ago(heard.now),
        };
        let raised_at = row.raised_at().max(raised_at);
        if state == State::Listed {
            row.counter = counter;
            row.set_raised_at(raised_at);
            let standing = row.standing();
            if standing != Standing::Proven && standing != heard.standing {
                self.prove(node);
            }
            return Seen::Advanced(node);
        }
        if !self.limits.fresh(heard.step, age) {
            return Seen::TooOld;
        }
        let record = row.record;
        if self.is_full() {
            return Seen::Full;
        }
        self.list(node, record, heard.standing, counter, raised_at);
        Seen::Listed(node)
    }

    /// A newer incarnation of an address that is held.
    fn see_successor(&mut self, heard: Heard, node: NodeIx, sighting: &Sighting) -> Seen {
        let listed = self.is_listed(node);
        if !self.limits.fresh(heard.step, sighting.age) {
            return Seen::TooOld;
        }
        if !listed && self.is_full() {
            return Seen::Full;
        }
        let (record, _) = self.directory.intern(&sighting.record);
        if listed {
            self.unlist(node);
        }
        self.directory.release(self.rows[node.index()].record);
        self.list_heard(heard, node, record, sighting);
        if listed { Seen::Updated(node) } else { Seen::Listed(node) }
    }

    /// An address of which nothing is held.
    fn see_stranger(&mut self, heard: Heard, sighting: &Sighting) -> Seen {
        if !self.limits.fresh(heard.step, sighting.age) {
            return Seen::TooOld;
        }
        if self.is_full() {
            return Seen::Full;
        }
        let (record, node) = self.directory.intern(&sighting.record);
        self.list_heard(heard, node, record, sighting);
        Seen::Listed(node)
    }

    fn list_heard(&mut self, heard: Heard, node: NodeIx, record: RecordIx, sighting: &Sighting) {
        let raised_at = heard.step.raised_at(heard.now, sighting.age);
        let raised_at = raised_at.unwrap_or_else(|| self.limits.long_ago(heard.now));
        self.list(node, record, heard.standing, sighting.counter.min(COUNTER_MAX), raised_at);
    }

    /// Replaces our own record by one of a higher generation.
    pub(crate) fn succeed_myself(&mut self, record: &Arc<Record>, now: Instant) {
        let old = self.rows[self.me.index()].record;
        let (record, node) = self.directory.intern(record);
        assert!(node == self.me, "a successor has the same address");
        self.unlist(node);
        self.directory.release(old);
        self.list(node, record, Standing::Proven, 1, now);
    }

    /// Removes a member that was silent for too long. Panics when it is not listed.
    pub(crate) fn remove(&mut self, now: Instant, node: NodeIx, cause: Cause) -> Arc<Record> {
        assert!(node != self.me, "a node never removes itself");
        let record = Arc::clone(self.record(node));
        self.unlist(node);
        self.bury(now, node, cause);
        record
    }

    /// Takes news of a departure.
    pub(crate) fn see_gone(&mut self, now: Instant, gone: &Gone) -> Departure {
        let Some(node) = self.node(gone.addr) else {
            return self.see_gone_stranger(now, gone);
        };
        let generation = self.record(node).generation();
        if gone.generation != generation || gone.cause == Cause::Timeout {
            // A tombstone by timeout only blocks what is not newer; a listed member is newer
            // than that, or will run into our own timeout.
            return Departure::Old;
        }
        match self.rows[node.index()].state() {
            State::Listed if node == self.me => Departure::OfMe,
            State::Listed => Departure::Removed(self.remove(now, node, Cause::Left)),
            State::Gone(Cause::Timeout) => {
                self.rows[node.index()].set_state(State::Gone(Cause::Left));
                Departure::Noted
            }
            State::Gone(Cause::Left) | State::Vacant => Departure::Old,
        }
    }

    /// Blocks an incarnation of which we know no more than that it left, so that copies of it
    /// that are still under way don't list it.
    fn see_gone_stranger(&mut self, now: Instant, gone: &Gone) -> Departure {
        if gone.cause == Cause::Timeout {
            return Departure::Old;
        }
        let node = crate::Node::at(gone.addr);
        let (record, node) = self.directory.intern(&Arc::new(Record::new(node, gone.generation)));
        self.reserve(node);
        let left = State::Gone(Cause::Left);
        self.rows[node.index()] = Row::new(record, left, Standing::Proven, gone.counter, now);
        self.bury(now, node, Cause::Left);
        Departure::Noted
    }

    /// Forgets tombstones older than `keep`.
    pub(crate) fn forget(&mut self, now: Instant, keep: Duration) {
        while let Some(&(at, node)) = self.oldest_tombstones.front() {
            let over = self.tombstones.len() > self.limits.tombstones_max;
            if now - at <= keep && !over {
                break;
            }
            self.oldest_tombstones.pop_front();
            if self.tombstones.get(&node) == Some(&at) {
                self.unbury(node);
                self.vacate(node);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.len() >= self.limits.members_max
    }

    fn list(
        &mut self,
        node: NodeIx,
        record: RecordIx,
        standing: Standing,
        counter: u32,
        raised_at: Instant,
    ) {
        self.unbury(node);
        self.reserve(node);
        self.rows[node.index()] = Row::new(record, State::Listed, standing, counter, raised_at);
        self.newcomers.add(standing);
        self.digest += self.directory.record(record).digest();
        self.ring.insert(node);
    }

    fn unlist(&mut self, node: NodeIx) {
        assert!(self.is_listed(node), "only what is listed can be taken off the list");
        self.digest -= self.record(node).digest();
        self.prove(node);
        self.rows[node.index()].set_state(State::Vacant);
        self.rows[node.index()].take_mark();
        self.ring.remove(node);
    }

    fn bury(&mut self, now: Instant, node: NodeIx, cause: Cause) {
        self.rows[node.index()].set_state(State::Gone(cause));
        self.tombstones.insert(node, now);
        self.oldest_tombstones.push_back((now, node));
        // At once: a flood of departures doesn't wait for the next look at the clock.
        self.forget(now, Duration::MAX);
        if self.oldest_tombstones.len() > 2 * self.limits.tombstones_max {
            self.sweep_tombstones();
        }
    }

    /// Drops what the queue holds of members that came back.
    fn sweep_tombstones(&mut self) {
        let mut all: Vec<_> = self.tombstones.iter().map(|(&node, &at)| (at, node)).collect();
        all.sort_unstable_by_key(|&(at, node)| (at, self.directory.place(node)));
        self.oldest_tombstones = all.into();
    }

    fn unbury(&mut self, node: NodeIx) {
        self.tombstones.remove(&node);
    }

    fn vacate(&mut self, node: NodeIx) {
        let record = self.rows[node.index()].record;
        self.rows[node.index()] = Row::VACANT;
        self.directory.release(record);
        self.directory.release_addr(node);
    }

    fn reserve(&mut self, node: NodeIx) {
        if self.rows.len() <= node.index() {
            self.rows.resize(node.index() + 1, Row::VACANT);
        }
    }
}
