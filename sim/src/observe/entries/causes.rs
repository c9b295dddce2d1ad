//! Causes: which write had seen which, as no node can know it.
//!
//! A write is replaced by one that had seen it, and by nothing else: of two that had not seen each
//! other the larger version wins where they meet, but the smaller may live where the other was
//! never heard of, and forgotten. So a value is deleted once somebody who had it hears of a write
//! that had seen it, and must not be read by that one again, nor in the end by anybody in its
//! reach.

use std::collections::BTreeMap;
use std::ops::{BitAnd, BitOrAssign};
use std::time::Duration;

use rumormill::Version;
use rumormill::core::EntryKind;
use rumormill::time::Instant;

use super::{EntryTold, KeyHistory, Listeners};
use crate::scenario::plan::NodeNo;

/// The place of a write among those of its key.
pub(super) type WriteNo = u8;

/// Writes of a key that are followed: of more the oldest are not.
const WRITES_MAX: usize = u128::BITS as usize;

/// A set of writes of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u128);

impl Marks {
    pub(super) fn has(self, write: WriteNo) -> bool {
        self.0 >> write & 1 == 1
    }

    fn add(&mut self, write: WriteNo) {
        self.0 |= 1 << write;
    }

    fn forget_first(&mut self) {
        self.0 >>= 1;
    }
}

impl BitAnd for Marks {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOrAssign for Marks {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A value that was put, or a delete.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) version: Version,
    kind: EntryKind,
    pub(super) ttl: Option<Duration>,
    pub(super) bound: bool,
    /// When it was written, if that is known.
    start: Option<Instant>,
    /// It has expired where it was first held.
    pub(super) is_over: bool,
    /// What its writer had seen of the key.
    replaces: Marks,
    /// How many lives of nodes have heard of it, its writer's too.
    hearers: u32,
}

impl Write {
    /// Clocks that run fast are ahead by less than this.
    const FAST: u32 = 10;

    /// Whether its time may be over.
    fn may_be_over(&self, at: Instant) -> bool {
        let over = |(start, ttl): (Instant, Duration)| at >= start + (ttl - ttl / Self::FAST);
        self.start.zip(self.ttl).is_some_and(over)
    }
}

/// What one life of a node knows of a key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader {
    /// What it reads.
    pub(super) reads: Option<WriteNo>,
    /// What it has heard of.
    pub(super) seen: Marks,
    /// Of these: what it has seen the end of.
    ended: Marks,
}

impl KeyHistory {
    pub(super) fn find(&self, version: Version) -> Option<WriteNo> {
        let place = self.writes.iter().rposition(|write| write.version == version)?;
        Some(place as WriteNo)
    }

    /// A node is told this; what is wrong with that.
    pub(super) fn tell(
        &mut self,
        audience: Listeners<'_>,
        told: &EntryTold<'_>,
        is_new: bool,
    ) -> Option<String> {
        let (node, found) = (told.node, self.find(told.version));
        if told.kind == EntryKind::Expired {
            self.end(audience, told.at, found);
            self.read(audience, node, None);
            return None;
        }
        let write = found.unwrap_or_else(|| self.add(audience, told, is_new));
        let replaces = self.writes[write as usize].replaces;
        let reader = &mut self.readers[node as usize];
        let is_put = told.kind == EntryKind::Put;
        let returns = is_put && reader.ended.has(write);
        reader.ended |= replaces & reader.seen;
        self.ended |= reader.ended;
        if !reader.seen.has(write) {
            reader.seen.add(write);
            self.writes[write as usize].hearers += 1;
        }
        self.read(audience, node, is_put.then_some(write));
        returns.then(|| {
            let (key, version) = (told.key.as_str(), told.version);
            format!("node {node} reads {version} of `{key}` again, of which it had seen the end")
        })
    }

    /// A value is hidden somewhere: the others follow by their own ages, if it is for its age.
    fn end(&mut self, audience: Listeners<'_>, at: Instant, write: Option<WriteNo>) {
        let Some(write) = write.map(|write| &mut self.writes[write as usize]) else { return };
        if !write.is_over && write.may_be_over(at) {
            write.is_over = true;
            self.regroup(audience);
        }
    }

    fn add(&mut self, audience: Listeners<'_>, told: &EntryTold<'_>, is_new: bool) -> WriteNo {
        if self.writes.len() == WRITES_MAX {
            self.forget_first(audience);
        }
        let seen = self.readers[told.node as usize].seen;
        self.writes.push(Write {
            version: told.version,
            kind: told.kind,
            ttl: told.ttl,
            bound: told.bound,
            start: is_new.then_some(told.at),
            is_over: false,
            replaces: if is_new { seen } else { Marks::default() },
            hearers: 0,
        });
        (self.writes.len() - 1) as WriteNo
    }

    fn forget_first(&mut self, audience: Listeners<'_>) {
        self.writes.remove(0);
        self.writes.iter_mut().for_each(|write| write.replaces.forget_first());
        self.ended.forget_first();
        for reader in &mut self.readers {
            reader.reads = reader.reads.and_then(|write| write.checked_sub(1));
            reader.seen.forget_first();
            reader.ended.forget_first();
        }
        self.regroup(audience);
    }

    /// The newest of some writes.
    pub(super) fn newest(&self, of: impl Fn(WriteNo) -> bool) -> Option<WriteNo> {
        let writes = (0..self.writes.len() as WriteNo).filter(|&write| of(write));
        writes.max_by_key(|&write| self.writes[write as usize].version)
    }

    /// The newest value, if nobody alive reads it though one has heard of it. What died with its
    /// writer before anybody heard of it was never there.
    pub(super) fn lost(&self, audience: Listeners<'_>, end: Instant) -> Option<WriteNo> {
        let mut seen = Marks::default();
        audience.sides().for_each(|(node, _)| seen |= self.readers[node as usize].seen);
        let counts = |write| seen.has(write) || self.writes[write as usize].hearers > 1;
        let newest = self.newest(counts).filter(|&write| seen.has(write))?;
        let write = &self.writes[newest as usize];
        let stays = write.kind == EntryKind::Put && !write.bound && !write.may_be_over(end);
        let is_read = || audience.sides().any(|(node, _)| self.reads(node) == Some(newest));
        (stays && !self.ended.has(newest) && !is_read()).then_some(newest)
    }

    /// Who reads what is deleted, and what that is.
    pub(super) fn zombies(&self, audience: Listeners<'_>) -> Vec<(NodeNo, WriteNo)> {
        let mut of_side: BTreeMap<u32, (Marks, Marks)> = BTreeMap::new();
        for (node, side) in audience.sides() {
            let (seen, ended) = of_side.entry(side).or_default();
            *seen |= self.readers[node as usize].seen;
            *ended |= self.readers[node as usize].ended;
        }
        let is_zombie = |&(node, side): &(NodeNo, u32)| {
            let (seen, ended) = of_side[&side];
            self.reads(node).is_some_and(|read| {
                let newest = self.newest(|write| seen.has(write)).expect("it reads one");
                self.writes[newest as usize].kind == EntryKind::Delete && ended.has(read)
            })
        };
        let zombies = audience.sides().filter(is_zombie);
        zombies.map(|(node, _)| (node, self.reads(node).expect("it reads one"))).collect()
    }
}
