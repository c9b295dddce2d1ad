//! Records: what one incarnation of a node says of itself, unchangeable.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::Sum;
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

use md5::{Digest as _, Md5};

use super::beat::{Age, RecordId};
use super::entry::Incarnation;
use crate::node::{AddrText, Generation, Node, NodeId};
use crate::wire_version::WireVersion;

/// One incarnation of a node. Two records with the same address and generation are the same
/// incarnation; a change of what the node says of itself is a new generation.
///
/// What version 1 of the wire does not carry (zone, tags, the versions that the node speaks, what
/// a newer build says beside them) is its extensions. A copy that came by way of a node that speaks
/// 1 alone is stripped of them, and the copy that has them outranks it.
#[derive(Clone)]
pub struct Record {
    node: Node,
    generation: Generation,
    place: NodeId,
    /// The number of the highest version of the wire that the node speaks, which this build may not
    /// know.
    speaks: u8,
    /// Extensions of a newer build, as they came, to be passed on so.
    foreign: Box<[u8]>,
    digest: Digest,
    full_digest: Digest,
}

impl Record {
    /// The record of an incarnation that speaks all versions of the wire that this build knows.
    pub fn new(node: Node, generation: Generation) -> Self {
        Self::of(node, generation, WireVersion::LATEST.number(), Box::default())
    }

    /// The same of one that speaks them up to this one only.
    #[must_use]
    pub fn speaking(self, highest: WireVersion) -> Self {
        Self::of(self.node, self.generation, highest.number(), self.foreign)
    }

    /// What version 1 of the wire carries of it.
    pub(crate) fn stripped(&self) -> Self {
        let node = self.node.clone().stripped();
        Self::of(node, self.generation, WireVersion::One.number(), Box::default())
    }

    /// True where version 1 carries all of it.
    pub(crate) fn is_bare(&self) -> bool {
        self.full_digest == self.digest
    }

    /// The record of parts that came over the network.
    pub(crate) fn of(node: Node, generation: Generation, speaks: u8, foreign: Box<[u8]>) -> Self {
        let addr = AddrText::of(node.addr());
        let place = NodeId::of_text(&addr);
        let digest = Digest::of(&addr, &node, generation);
        let mut full_digest = digest;
        full_digest += Digest::of_extensions(digest, &node, speaks, &foreign);
        Self { node, generation, place, speaks, foreign, digest, full_digest }
    }

    /// The public part.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Which incarnation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The place of the address on the ring.
    pub fn place(&self) -> NodeId {
        self.place
    }

    /// The life that it is of, as entries name their writers.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation { place: self.place, generation: self.generation }
    }

    /// The digest of address, generation, name and private data: what is the same of all copies.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The digest of the extensions as well; the same as without where there are none.
    pub fn full_digest(&self) -> Digest {
        self.full_digest
    }

    /// The short name that beats use.
    pub fn id(&self) -> RecordId {
        self.digest.id()
    }

    /// The highest version of the wire that the node speaks and this build knows.
    pub fn speaks(&self) -> WireVersion {
        let known = WireVersion::ALL.into_iter().rev();
        known.into_iter().find(|known| known.number() <= self.speaks).unwrap_or_default()
    }

    /// The number of the highest version that the node speaks.
    pub(crate) fn speaks_number(&self) -> u8 {
        self.speaks
    }

    /// Extensions that this build does not know, as they came.
    pub(crate) fn foreign(&self) -> &[u8] {
        &self.foreign
    }

    /// True when both are copies of one incarnation, whatever either was stripped of.
    pub(crate) fn is_copy_of(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.generation == other.generation
            && self.node.addr() == other.node.addr()
            && self.node.name() == other.node.name()
            && self.node.private_data() == other.node.private_data()
    }

    /// True for a copy of the same incarnation that says more. Of two with other extensions, which
    /// no node sends of itself, all nodes choose the same one.
    pub(crate) fn outranks_copy(&self, other: &Self) -> bool {
        let rank = |it: &Self| (!it.is_bare(), it.speaks, it.full_digest.0);
        self.is_copy_of(other) && rank(self) > rank(other)
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.full_digest == other.full_digest
            && self.node == other.node
            && self.generation == other.generation
            && (self.speaks, &self.foreign) == (other.speaks, &other.foreign)
    }
}

impl Eq for Record {}

impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.full_digest.hash(state);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} {:?} #{})", self.node.addr(), self.node.name(), self.generation)
    }
}

/// The digest of one record, or the sum of those of a set: equal sets have equal digests in
/// whatever order they were put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub u128);

impl Digest {
    fn of(addr: &AddrText, node: &Node, generation: Generation) -> Self {
        let mut hasher = Md5::new();
        let texts = [addr.as_bytes(), node.name().as_bytes(), node.private_data().as_bytes()];
        for text in texts {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        hasher.update(generation.get().to_be_bytes());
        Self(u128::from_be_bytes(hasher.finalize().into()))
    }

    /// What extensions add to the digest of a record: nothing, where there are none.
    fn of_extensions(digest: Self, node: &Node, speaks: u8, foreign: &[u8]) -> Self {
        let is_bare = speaks == WireVersion::One.number() && foreign.is_empty();
        if is_bare && node.zone().is_empty() && node.tags().is_empty() {
            return Self::default();
        }
        let mut hasher = Md5::new();
        hasher.update(digest.0.to_be_bytes());
        hasher.update([speaks]);
        let mut text = |text: &[u8]| {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        };
        text(node.zone().as_bytes());
        for (key, value) in node.tags().iter() {
            text(key.as_bytes());
            text(value.as_bytes());
        }
        text(foreign);
        Self(u128::from_be_bytes(hasher.finalize().into()))
    }

    /// The short name of the record that it is the digest of.
    pub(crate) fn id(self) -> RecordId {
        RecordId((self.0 >> 96) as u32)
    }

    /// 32 bits of it, mixed with a salt so that two digests that happen to agree under one salt
    /// part under the next.
    pub fn fold(self, salt: u32) -> u32 {
        let odd = (u128::from(salt) << 1) | 1;
        let mixed =
            self.0.wrapping_mul(odd.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        (mixed >> 96) as u32
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl SubAssign for Digest {
    fn sub_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }
}

impl Sum for Digest {
    fn sum<I: Iterator<Item = Self>>(digests: I) -> Self {
        digests.fold(Self::default(), |mut sum, digest| {
            sum += digest;
            sum
        })
    }
}

/// The digests of a record, or the sums of those of a set, as each version of the wire knows them:
/// the first knows no extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    plain: Digest,
    full: Digest,
    /// How many of them speak version 1 of the wire alone.
    old: u32,
}

impl Digests {
    /// Those of one record.
    pub(crate) fn of(record: &Record) -> Self {
        let old = u32::from(record.speaks() == WireVersion::One);
        Self { plain: record.digest(), full: record.full_digest(), old }
    }

    /// How many of the set speak version 1 of the wire alone.
    pub(crate) fn old(self) -> u32 {
        self.old
    }

    /// The one that nodes compare who speak this version with each other.
    pub(crate) fn in_version(self, wire: WireVersion) -> Digest {
        match wire {
            WireVersion::One => self.plain,
            WireVersion::Two => self.full,
        }
    }
}

impl AddAssign for Digests {
    fn add_assign(&mut self, other: Self) {
        self.plain += other.plain;
        self.full += other.full;
        self.old += other.old;
    }
}

impl SubAssign for Digests {
    fn sub_assign(&mut self, other: Self) {
        self.plain -= other.plain;
        self.full -= other.full;
        self.old -= other.old;
    }
}

impl Sum for Digests {
    fn sum<I: Iterator<Item = Self>>(digests: I) -> Self {
        digests.fold(Self::default(), |mut sum, digests| {
            sum += digests;
            sum
        })
    }
}

/// A record with the newest beat that the sender holds of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberState {
    /// The incarnation.
    pub record: Arc<Record>,
    /// Its beat counter in full.
    pub counter: u32,
    /// How long ago the counter was raised.
    pub age: Age,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(zone: &str, speaks: u8) -> Record {
        let node = Node::new("10.0.0.1:1").name("a").zone(zone).build().unwrap();
        Record::of(node, Generation::MIN, speaks, Box::default())
    }

    #[test]
    fn copies_of_one_incarnation_have_one_digest_and_one_id_whatever_they_were_stripped_of() {
        let (bare, full) = (record("", 1), record("b", 2));
        assert_eq!((bare.digest(), bare.id()), (full.digest(), full.id()));
        assert_eq!(bare.full_digest(), bare.digest());
        assert_ne!(full.full_digest(), full.digest());
        assert_ne!(record("", 2).full_digest(), record("b", 2).full_digest());
        assert!(bare.is_copy_of(&full) && bare != full);
    }

    #[test]
    fn the_copy_that_has_extensions_outranks_the_stripped_one_and_never_the_other_way_round() {
        let (bare, full, other) = (record("", 1), record("b", 2), record("c", 2));
        assert!(full.outranks_copy(&bare) && !bare.outranks_copy(&full));
        assert!(!full.outranks_copy(&full));
        assert_ne!(full.outranks_copy(&other), other.outranks_copy(&full));
        let next = Record::new(bare.node().clone(), Generation::new(2).unwrap());
        assert!(!full.outranks_copy(&next), "another incarnation is no copy");
    }

    #[test]
    fn a_node_that_speaks_more_than_this_build_knows_is_spoken_to_in_the_latest() {
        assert_eq!(record("", 1).speaks(), WireVersion::One);
        assert_eq!(record("", 2).speaks(), WireVersion::Two);
        assert_eq!(record("", 9).speaks(), WireVersion::LATEST);
    }
}
