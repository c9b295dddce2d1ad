//! The node list and what it is judged by: one dense row for each address ever heard of.
//!
//! Every copy of a beat says how old it is, and every holder adds its holding time. A copy makes
//! a member younger only if its counter is larger than the held one. So an old copy that arrives
//! late proves nothing, by whatever way it came.

mod arcs;
mod audience;
mod bounds;
mod buckets;
mod contest;
mod copies;
mod ids;
mod marks;
mod newcomers;
mod ring;
mod roster;
mod row;
mod seen;
mod sift;
mod table;
mod tombstones;
mod trees;

pub(crate) use self::arcs::{Delegation, RingView, subtract};
pub(crate) use self::ids::Found;
pub use self::roster::SharedRecords;
pub(crate) use self::roster::{BUCKET_BITS, NodeIx};
pub(crate) use self::row::{Introducer, Standing};
pub(crate) use self::seen::{Applied, AppliedDeparture, Arrival, FreshBeat, FreshNews};
pub use self::table::PreloadedMembers;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::bounds::Limits;
use self::marks::Dirty;
use self::newcomers::Newcomers;
use self::roster::{Interner, RecordIx};
use self::row::{Row, State};
use self::table::Table;
use self::tombstones::Tombstones;
use crate::config::{Config, WireVersion};
use crate::core::beat::{Age, AgeStep, Beat, COUNTER_MAX, RecordId};
use crate::core::packet::{Cause, Gone};
use crate::core::record::{Digest, Digests, MemberState, Record};
use crate::node::{Generation, NodeId};
use crate::time::Instant;

/// The table of members and tombstones.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    interner: Interner,
    table: Table,
    /// Those whose beat waits for the next relay.
    marks: Dirty,
    newcomers: Newcomers,
    /// Listed members that are suspected, in order of the ring: the one place that says who is.
    suspected: Vec<NodeIx>,
    /// How many were silent when that was last looked for.
    silent: usize,
    tombstones: Tombstones,
    me: NodeIx,
    absence: Absence,
    limits: Limits,
}

/// Why others are not to list us for now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Absence {
    /// They are.
    #[default]
    Not,
    /// Nobody answers us: they may have removed us, and we have not heard of it.
    Unsure,
    /// They removed us too often.
    Damped,
}

impl Members {
    /// A list of nobody but the node itself, whose counter is zero.
    pub(crate) fn new(
        me: &Arc<Record>,
        config: &Config,
        roster: Arc<SharedRecords>,
        now: Instant,
    ) -> Self {
        let mut interner = Interner::new(roster);
        let (record, node) = interner.intern(me);
        let limits = Limits::of(config);
        let row = Row::new(record, State::Listed, Standing::Believed, 0, now);
        Self {
            interner,
            table: Table::alone(node, row, Digests::of(me)),
            marks: Dirty::default(),
            newcomers: Newcomers::default(),
            suspected: Vec::new(),
            silent: 0,
            tombstones: Tombstones::default(),
            me: node,
            absence: Absence::default(),
            limits,
        }
    }

    /// Lists all of a list, each as if it had just been heard of. Panics when others are listed
    /// already, or the list is not one of our roster and with ourselves in it.
    pub(crate) fn fill(&mut self, list: &Arc<PreloadedMembers>, now: Instant) {
        let mine = self.row(self.me).record;
        assert!(self.len() == 1, "only who knows nobody takes over a list");
        assert!(list.is_of(&self.interner), "list and engine are of one roster");
        assert!(list.lists(self.me, mine), "a list is for those that it names");
        self.table.fill(list, now, self.me, &self.interner);
    }

    /// What is held of a node.
    fn row(&self, node: NodeIx) -> Row {
        self.table.row(node)
    }

    fn row_mut(&mut self, node: NodeIx) -> &mut Row {
        &mut self.table.own(&self.interner).rows[node.index()]
    }

    pub(crate) fn me(&self) -> NodeIx {
        self.me
    }

    pub(crate) fn absence(&self) -> Absence {
        self.absence
    }

    /// True while others are not to list us: nobody is told of us then, and we refute nothing.
    pub(crate) fn is_away(&self) -> bool {
        self.absence != Absence::Not
    }

    /// True for ourselves while we stay away.
    pub(crate) fn is_kept_back(&self, node: NodeIx) -> bool {
        self.is_away() && node == self.me
    }

    pub(crate) fn set_absence(&mut self, absence: Absence) {
        self.absence = absence;
    }

    /// How many are listed, the node itself included.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn tombstones_len(&self) -> usize {
        self.tombstones.len()
    }

    /// The sum of the digests of all that are listed, as nodes compare it that speak this version.
    pub(crate) fn digest(&self, wire: WireVersion) -> Digest {
        self.table.digests().in_version(wire)
    }

    /// The listed ones in order of the ring.
    pub(crate) fn ring(&self) -> &[NodeIx] {
        self.table.ring(&self.interner)
    }

    pub(crate) fn place(&self, node: NodeIx) -> NodeId {
        self.interner.place(node)
    }

    /// The generation of the listed member at this place.
    pub(crate) fn listed_at(&self, place: NodeId) -> Option<Generation> {
        let ring = self.ring();
        let at = ring.partition_point(|&member| self.place(member) < place);
        let member = *ring.get(at).filter(|&&member| self.place(member) == place)?;
        Some(self.record(member).generation())
    }

    /// The order of two nodes on the ring.
    pub(crate) fn compare_places(&self, a: NodeIx, b: NodeIx) -> Ordering {
        self.interner.compare_places(a, b)
    }

    /// The digests of the record held of a node.
    fn digests_of(&self, node: NodeIx) -> Digests {
        self.interner.digests(self.row(node).record)
    }

    /// The id of the record held of a node, as nodes name it that speak this version.
    pub(crate) fn id_of(&self, node: NodeIx, wire: WireVersion) -> RecordId {
        self.digests_of(node).in_version(wire).id()
    }

    /// The highest version of the wire that the node at this address speaks, as far as is known.
    pub(crate) fn speaks(&self, addr: SocketAddr) -> WireVersion {
        self.node(addr).map_or(WireVersion::One, |node| self.interner.speaks(self.row(node).record))
    }

    pub(crate) fn node(&self, addr: SocketAddr) -> Option<NodeIx> {
        self.interner.node(addr).filter(|&node| self.holds(node))
    }

    /// True when the node at this address is listed.
    pub(crate) fn lists(&self, addr: SocketAddr) -> bool {
        self.node(addr).is_some_and(|node| self.is_listed(node))
    }

    /// True when anything is held of a node, be it a tombstone.
    pub(crate) fn holds(&self, node: NodeIx) -> bool {
        self.row(node).state() != State::Vacant
    }

    pub(crate) fn is_listed(&self, node: NodeIx) -> bool {
        self.row(node).state() == State::Listed
    }

    /// The record held of a node, listed or gone.
    pub(crate) fn record(&self, node: NodeIx) -> &Arc<Record> {
        self.interner.record(self.row(node).record)
    }

    pub(crate) fn addr(&self, node: NodeIx) -> SocketAddr {
        self.interner.addr(node)
    }

    /// The counter that is held.
    pub(crate) fn counter(&self, node: NodeIx) -> u32 {
        self.row(node).counter
    }

    /// When the origin raised the counter that is held.
    pub(crate) fn raised_at(&self, node: NodeIx) -> Instant {
        self.row(node).raised_at()
    }

    /// The beat to send of a member, with its age as of now.
    pub(crate) fn beat(&self, node: NodeIx, now: Instant, step: AgeStep) -> Beat {
        let row = self.row(node);
        Beat {
            id: self.interner.id(row.record),
            counter: row.counter as u8,
            age: step.age_of(now, row.raised_at()),
        }
    }

    /// Counter modulo 256 and age of a member, for a vector.
    pub(crate) fn vector_beat(&self, node: NodeIx, now: Instant, step: AgeStep) -> (u8, Age) {
        let row = self.row(node);
        (row.counter as u8, step.age_of(now, row.raised_at()))
    }

    /// The record to send of a member, with its newest beat as of now.
    pub(crate) fn sighting(&self, node: NodeIx, now: Instant, step: AgeStep) -> MemberState {
        let row = self.row(node);
        MemberState {
            record: Arc::clone(self.interner.record(row.record)),
            counter: row.counter,
            age: step.age_of(now, row.raised_at()),
        }
    }

    /// What is left of a node that is gone.
    pub(crate) fn gone(&self, node: NodeIx) -> Option<Gone> {
        let row = self.row(node);
        let State::Gone(cause) = row.state() else { return None };
        let record = self.interner.record(row.record);
        let (addr, generation) = (record.node().addr(), record.generation());
        Some(Gone { addr, generation, counter: row.counter, cause })
    }

    /// The one node that holds a record with this id.
    pub(crate) fn by_id(&self, id: RecordId) -> Option<NodeIx> {
        let held = |&(record, node): &(RecordIx, NodeIx)| self.row(node).record == record;
        if let Some(only) = self.interner.only_by_id(id) {
            return held(&only).then_some(only.1);
        }
        let mut holders = self.interner.by_id(id).filter(held);
        let (_, node) = holders.next()?;
        holders.next().is_none().then_some(node)
    }

    /// The other listed members with the same name.
    pub(crate) fn namesakes(&self, node: NodeIx) -> impl Iterator<Item = NodeIx> + '_ {
        let held = |&(record, other): &(RecordIx, NodeIx)| {
            let row = self.row(other);
            row.record == record && row.state() == State::Listed
        };
        let record = self.row(node).record;
        self.interner.namesakes(record).filter(held).map(|(_, other)| other)
    }

    /// Marks a member for the next relay; true when it was not marked before.
    pub(crate) fn mark(&mut self, node: NodeIx) -> bool {
        self.marks.set(node)
    }

    /// Takes the mark off a member; true when it was marked.
    pub(crate) fn take_mark(&mut self, node: NodeIx) -> bool {
        self.marks.take(node)
    }

    /// How many listed members are no more than one sender's word.
    pub(crate) fn newcomers(&self) -> &Newcomers {
        &self.newcomers
    }

    pub(crate) fn is_newcomer(&self, node: NodeIx) -> bool {
        self.row(node).standing() != Standing::Believed
    }

    /// True for a member of which nobody is to be told: no more than a stranger's word.
    pub(crate) fn is_rumored(&self, node: NodeIx) -> bool {
        self.row(node).standing().is_rumored()
    }

    /// True when what is sent to the address of a node is known to come there.
    pub(crate) fn has_echoed(&self, node: NodeIx) -> bool {
        self.row(node).has_echoed()
    }

    /// A node of which something is held has echoed what was sent to its address; true when it was
    /// a newcomer until now.
    pub(crate) fn confirm(&mut self, node: NodeIx) -> bool {
        let row = self.row(node);
        let was_newcomer = row.standing() != Standing::Believed;
        if was_newcomer && row.state() == State::Listed {
            self.newcomers.remove(row.standing());
        }
        if was_newcomer || !row.has_echoed() {
            let row = self.row_mut(node);
            row.believe();
            row.note_echo();
        }
        if was_newcomer && row.state() == State::Listed {
            self.heed_words_of(node);
        }
        was_newcomer
    }

    /// The members but ourselves whose counter was raised no later than this, in order of the
    /// ring, and when the oldest of the others was.
    pub(crate) fn silent_since(&mut self, bound: Instant) -> (Vec<NodeIx>, Instant) {
        let own = self.table.own(&self.interner);
        let (mut silent, mut oldest) = (Vec::new(), Instant::from_nanos(u64::MAX));
        // In order of the table, which is faster: nearly always nobody is.
        for (node, row) in (0..).map(NodeIx::of).zip(&own.rows) {
            let raised_at = row.raised_at();
            match row.state() {
                State::Listed if raised_at > bound => oldest = oldest.min(raised_at),
                State::Listed if node != self.me => silent.push(node),
                _ => {}
            }
        }
        if !self.interner.is_in_ring_order() {
            silent.sort_unstable_by(|&a, &b| self.compare_places(a, b));
        }
        (silent, oldest)
    }

    /// How many were silent when that was last looked for.
    pub(crate) fn silent_len(&self) -> usize {
        self.silent
    }

    /// Takes note of how many are silent now.
    pub(crate) fn note_silent(&mut self, silent: usize) {
        self.silent = silent;
    }

    /// Takes the marks off all members; their beats, in order of the ring.
    pub(crate) fn take_marked(&mut self, now: Instant, step: AgeStep) -> Vec<Beat> {
        let (interner, marks) = (&self.interner, &mut self.marks);
        let mut beats = Vec::with_capacity(marks.len());
        if marks.len() == 0 {
            return beats;
        }
        let (ring, rows) = self.table.own(interner).walk(interner);
        let mut take = |node: NodeIx| {
            let row = &rows[node.index()];
            let age = step.age_of(now, row.raised_at());
            beats.push(Beat { id: interner.id(row.record), counter: row.counter as u8, age });
        };
        match interner.is_in_ring_order() {
            true => marks.take_all(take),
            false => ring.iter().filter(|&&node| marks.take(node)).for_each(|&node| take(node)),
        }
        beats
    }

    /// Somebody has heard a higher counter of another node than we have.
    pub(crate) fn raise_counter(&mut self, node: NodeIx, counter: u32) {
        let row = self.row_mut(node);
        row.counter = row.counter.max(counter.min(COUNTER_MAX));
    }

    /// Raises our own counter, which comes to its end after decades.
    pub(crate) fn beat_once(&mut self, now: Instant) {
        let row = self.row_mut(self.me);
        row.counter = (row.counter + 1).min(COUNTER_MAX);
        row.set_raised_at(now);
    }

    /// Makes all that is held of others so much older.
    pub(crate) fn age_all(&mut self, by: Duration) {
        let me = self.me.index();
        for (at, row) in self.table.own(&self.interner).rows.iter_mut().enumerate() {
            if at != me {
                row.set_raised_at(row.raised_at().saturating_sub(by));
            }
        }
    }

    /// We vouch for one that was no more than a stranger's word.
    pub(crate) fn vouch(&mut self, node: NodeIx) {
        let me = Introducer::of(self.addr(self.me)).who_vouches();
        self.note_voucher(node, Standing::Newcomer(me));
    }

    /// A member may have spoken of one that was no more than a stranger's word.
    fn note_voucher(&mut self, node: NodeIx, by: Standing) {
        if let Standing::Newcomer(introducer) = by
            && introducer.vouches()
            && self.is_rumored(node)
        {
            self.introduce(node, introducer);
            self.heed_words_of(node);
        }
    }

    /// Somebody turns out to be a member: so those whom he introduced before that are more than a
    /// stranger's word, and so on. Where many join at once each hears of some by others who are as
    /// new.
    fn heed_words_of(&mut self, member: NodeIx) {
        // This is asked with each that is listed, and in most lists nobody is a newcomer.
        if self.newcomers.len() == 0 || self.newcomers.of(Introducer::of(self.addr(member))) == 0 {
            return;
        }
        // One look at the list, however long a chain of introductions somebody may have invented.
        let mut rumored: BTreeMap<Introducer, Vec<NodeIx>> = BTreeMap::new();
        for &node in self.ring() {
            if let Standing::Newcomer(by) = self.row(node).standing() {
                rumored.entry(by).or_default().push(node);
            }
        }
        let mut members = vec![member];
        while let Some(member) = members.pop() {
            let unheeded = Introducer::of(self.addr(member));
            for node in rumored.remove(&unheeded).unwrap_or_default() {
                self.introduce(node, unheeded.who_vouches());
                members.push(node);
            }
        }
    }

    fn introduce(&mut self, node: NodeIx, by: Introducer) {
        self.newcomers.remove(self.row(node).standing());
        self.newcomers.add(Standing::Newcomer(by));
        self.row_mut(node).introduce(by);
    }

    /// Replaces our own record by one of a higher generation.
    pub(crate) fn succeed_myself(&mut self, record: &Arc<Record>, now: Instant) {
        let old = self.row(self.me).record;
        let (record, node) = self.interner.intern(record);
        assert!(node == self.me && record != old, "a successor is a new record at our address");
        self.unlist(node);
        self.interner.release(old);
        self.list(node, record, Standing::Believed, 1, now);
    }

    /// Removes a member that was silent for too long. Panics when it is not listed.
    pub(crate) fn remove(&mut self, now: Instant, node: NodeIx, cause: Cause) -> Arc<Record> {
        assert!(node != self.me, "a node never removes itself");
        let record = Arc::clone(self.record(node));
        self.unlist(node);
        self.entomb(now, node, cause);
        record
    }

    /// Forgets tombstones older than `keep`.
    pub(crate) fn forget(&mut self, now: Instant, keep: Duration) {
        let max = self.limits.tombstones_max;
        while let Some(node) = self.tombstones.take_old(now, keep, max) {
            self.free(node);
        }
    }

    /// True when a copy of this age is young enough to list a member by.
    pub(crate) fn is_fresh(&self, step: AgeStep, age: Age) -> bool {
        self.limits.fresh(step, age)
    }

    fn is_full(&self) -> bool {
        planted!(
            ListOverfull,
            self.len() >= self.limits.members_max,
            self.len() > self.limits.members_max
        )
    }

    fn list(
        &mut self,
        node: NodeIx,
        record: RecordIx,
        standing: Standing,
        counter: u32,
        raised_at: Instant,
    ) {
        let known = self.row(node);
        // Who was believed before it went or changed is believed when it comes back.
        let believed = known.state() != State::Vacant && known.standing() == Standing::Believed;
        let standing = if believed { Standing::Believed } else { standing };
        self.tombstones.remove(node);
        self.newcomers.add(standing);
        let mut row = Row::new(record, State::Listed, standing, counter, raised_at);
        if known.has_echoed() {
            row.note_echo();
        }
        let own = self.table.own(&self.interner);
        own.reserve(node, &self.interner);
        own.list(node, row, &self.interner);
        if !standing.is_rumored() {
            self.heed_words_of(node);
        }
    }

    fn unlist(&mut self, node: NodeIx) {
        assert!(self.is_listed(node), "only what is listed can be taken off the list");
        self.newcomers.remove(self.row(node).standing());
        self.marks.take(node);
        self.refute(node);
        self.table.own(&self.interner).unlist(node, &self.interner);
    }

    fn entomb(&mut self, now: Instant, node: NodeIx, cause: Cause) {
        self.row_mut(node).set_state(State::Gone(cause));
        self.tombstones.insert(now, node);
        // At once: a flood of departures doesn't wait for the next look at the clock.
        self.forget(now, planted!(TombstonesTooFew, Duration::MAX, Duration::ZERO));
        self.tombstones.sweep(self.limits.tombstones_max, &self.interner);
    }

    fn free(&mut self, node: NodeIx) {
        let record = self.row(node).record;
        *self.row_mut(node) = Row::VACANT;
        self.interner.release(record);
        self.interner.release_addr(node);
    }
}
