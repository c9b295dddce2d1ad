//! Records: what one incarnation of a node says of itself, unchangeable.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::Sum;
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

use md5::{Digest as _, Md5};

use super::beat::{Age, RecordId};
use crate::node::{AddrText, Generation, Node, NodeId};

/// One incarnation of a node. Two records with the same address and generation are the same
/// incarnation; a change of name or private data is a new generation.
#[derive(Clone)]
pub struct Record {
    node: Node,
    generation: Generation,
    place: NodeId,
    digest: Digest,
}

impl Record {
    /// The record of an incarnation.
    pub fn new(node: Node, generation: Generation) -> Self {
        let addr = AddrText::of(node.addr());
        let place = NodeId::of_text(&addr);
        let digest = Digest::of(&addr, &node, generation);
        Self { node, generation, place, digest }
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

    /// The digest of address, generation, name and private data.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The short name that beats use.
    pub fn id(&self) -> RecordId {
        self.digest.id()
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.node == other.node
            && self.generation == other.generation
    }
}

impl Eq for Record {}

impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
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
