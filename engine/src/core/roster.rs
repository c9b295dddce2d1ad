//! The roster: addresses and records, interned once so that every table can be dense.
//!
//! A [`Directory`] is a shared, unchangeable [`Roster`] and what one engine has heard of beyond
//! it. No decision depends on the value of an index: a shared and a private roster give the same
//! run.

use std::net::SocketAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::beat::RecordId;
use super::record::Record;
use crate::node::NodeId;

/// An address, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeIx(u32);

impl NodeIx {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A record, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordIx(u32);

impl RecordIx {
    /// The record of an empty slot.
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// A set of incarnations that many engines share, unchangeable.
///
/// A simulator puts every incarnation that its plan will ever start in one; a service begins
/// with an empty one. What an engine hears of beyond it, it keeps for itself.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    records: Vec<Interned>,
    places: Vec<(NodeId, SocketAddr)>,
    by_addr: FxHashMap<SocketAddr, NodeIx>,
    by_id: FxHashMap<RecordId, Namesakes>,
}

#[derive(Clone, Debug)]
struct Interned {
    record: Arc<Record>,
    node: NodeIx,
}

/// The records that share an id: nearly always one.
#[derive(Clone, Debug)]
struct Namesakes {
    first: RecordIx,
    others: Vec<RecordIx>,
}

impl Namesakes {
    fn iter(&self) -> impl Iterator<Item = RecordIx> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

impl Roster {
    /// The roster of these incarnations.
    pub fn of(records: impl IntoIterator<Item = Arc<Record>>) -> Self {
        let mut roster = Self::default();
        for record in records {
            roster.add(record);
        }
        roster
    }

    /// The incarnations, in the order in which they were given.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().map(|interned| &interned.record)
    }

    fn add(&mut self, record: Arc<Record>) {
        let next = NodeIx(u32::try_from(self.places.len()).expect("fewer than 2^32 addresses"));
        let node = *self.by_addr.entry(record.node().addr()).or_insert(next);
        if node == next {
            self.places.push((record.place(), record.node().addr()));
        }
        let ix = RecordIx(u32::try_from(self.records.len()).expect("fewer than 2^32 records"));
        insert_namesake(&mut self.by_id, record.id(), ix);
        self.records.push(Interned { record, node });
    }
}

fn insert_namesake(by_id: &mut FxHashMap<RecordId, Namesakes>, id: RecordId, ix: RecordIx) {
    by_id
        .entry(id)
        .and_modify(|namesakes| namesakes.others.push(ix))
        .or_insert(Namesakes { first: ix, others: Vec::new() });
}

/// Everything that one engine can name: the shared roster and its own additions.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    shared: Arc<Roster>,
    records: Slab<Interned>,
    places: Slab<(NodeId, SocketAddr)>,
    by_addr: FxHashMap<SocketAddr, NodeIx>,
    by_id: FxHashMap<RecordId, Namesakes>,
}

impl Directory {
    pub(crate) fn new(shared: Arc<Roster>) -> Self {
        Self {
            shared,
            records: Slab::default(),
            places: Slab::default(),
            by_addr: FxHashMap::default(),
            by_id: FxHashMap::default(),
        }
    }

    /// One more than the largest index in use: the length of tables by node.
    pub(crate) fn nodes_len(&self) -> usize {
        self.shared.places.len() + self.places.items.len()
    }

    pub(crate) fn node(&self, addr: SocketAddr) -> Option<NodeIx> {
        self.shared.by_addr.get(&addr).or_else(|| self.by_addr.get(&addr)).copied()
    }

    pub(crate) fn place(&self, node: NodeIx) -> NodeId {
        self.interned_addr(node).0
    }

    pub(crate) fn addr(&self, node: NodeIx) -> SocketAddr {
        self.interned_addr(node).1
    }

    pub(crate) fn record(&self, ix: RecordIx) -> &Arc<Record> {
        &self.interned(ix).record
    }

    /// The records with this id, and their nodes.
    pub(crate) fn by_id(&self, id: RecordId) -> impl Iterator<Item = (RecordIx, NodeIx)> + '_ {
        let shared = self.shared.by_id.get(&id);
        let own = if self.by_id.is_empty() { None } else { self.by_id.get(&id) };
        let all = shared.into_iter().chain(own).flat_map(Namesakes::iter);
        all.map(|ix| (ix, self.interned(ix).node))
    }

    /// The index of a record, which the caller must give back with [`Directory::release`].
    pub(crate) fn intern(&mut self, record: &Arc<Record>) -> (RecordIx, NodeIx) {
        let known = self.by_id(record.id()).find(|&(ix, _)| self.record(ix) == record);
        if let Some(known) = known {
            return known;
        }
        let node = self.intern_addr(record);
        let own = self.records.add(Interned { record: Arc::clone(record), node });
        let ix = RecordIx(u32::try_from(self.shared.records.len() + own).expect("bounded"));
        insert_namesake(&mut self.by_id, record.id(), ix);
        (ix, node)
    }

    fn intern_addr(&mut self, record: &Record) -> NodeIx {
        let addr = record.node().addr();
        if let Some(node) = self.node(addr) {
            return node;
        }
        let own = self.places.add((record.place(), addr));
        let node = NodeIx(u32::try_from(self.shared.places.len() + own).expect("bounded"));
        self.by_addr.insert(addr, node);
        node
    }

    /// Gives a record back; shared ones stay.
    pub(crate) fn release(&mut self, ix: RecordIx) {
        let Some(own) = (ix.0 as usize).checked_sub(self.shared.records.len()) else { return };
        let id = self.records.take(own).record.id();
        let namesakes = self.by_id.get_mut(&id).expect("interned records are found by id");
        namesakes.others.retain(|&other| other != ix);
        if namesakes.first == ix {
            if namesakes.others.is_empty() {
                self.by_id.remove(&id);
            } else {
                namesakes.first = namesakes.others.remove(0);
            }
        }
    }

    /// Gives the address of a node back, whose last record has been released.
    pub(crate) fn release_addr(&mut self, node: NodeIx) {
        if let Some(own) = node.index().checked_sub(self.shared.places.len()) {
            let (_, addr) = self.places.take(own);
            self.by_addr.remove(&addr);
        }
    }

    fn interned_addr(&self, node: NodeIx) -> &(NodeId, SocketAddr) {
        match node.index().checked_sub(self.shared.places.len()) {
            None => &self.shared.places[node.index()],
            Some(own) => self.places.get(own),
        }
    }

    fn interned(&self, ix: RecordIx) -> &Interned {
        match (ix.0 as usize).checked_sub(self.shared.records.len()) {
            None => &self.shared.records[ix.0 as usize],
            Some(own) => self.records.get(own),
        }
    }
}

/// Items at fixed indices, with room that is used again.
#[derive(Clone, Debug)]
struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    fn get(&self, index: usize) -> &T {
        self.items[index].as_ref().expect("an index in use")
    }

    fn add(&mut self, item: T) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            self.items.len() - 1
        });
        self.items[index] = Some(item);
        index
    }

    fn take(&mut self, index: usize) -> T {
        self.free.push(index);
        self.items[index].take().expect("an index in use")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Generation, Node};

    fn record(port: u16, generation: u64) -> Arc<Record> {
        let node = Node::at(([127, 0, 0, 1], port).into());
        Arc::new(Record::new(node, Generation::new(generation).unwrap()))
    }

    #[test]
    fn a_shared_record_is_found_and_never_stored_again() {
        let shared = Arc::new(Roster::of([record(1, 1), record(2, 1), record(1, 2)]));
        let mut directory = Directory::new(Arc::clone(&shared));
        assert_eq!(directory.nodes_len(), 2);
        let (ix, node) = directory.intern(&record(1, 2));
        assert_eq!(directory.record(ix), &record(1, 2));
        assert_eq!(directory.node(record(1, 9).node().addr()), Some(node));
        directory.release(ix);
        assert_eq!(directory.record(ix), &record(1, 2));
        assert!(directory.records.items.is_empty());
    }

    #[test]
    fn a_new_generation_of_a_shared_address_has_the_same_node() {
        let mut directory = Directory::new(Arc::new(Roster::of([record(1, 1)])));
        let (ix, node) = directory.intern(&record(1, 7));
        assert_eq!(Some(node), directory.node(record(1, 1).node().addr()));
        assert_eq!(directory.by_id(record(1, 7).id()).collect::<Vec<_>>(), [(ix, node)]);
    }

    #[test]
    fn released_room_is_used_again() {
        let mut directory = Directory::new(Arc::default());
        let (first, node) = directory.intern(&record(1, 1));
        directory.release(first);
        directory.release_addr(node);
        assert_eq!(directory.node(record(1, 1).node().addr()), None);
        assert_eq!(directory.by_id(record(1, 1).id()).count(), 0);
        let (second, _) = directory.intern(&record(2, 1));
        assert_eq!((first, directory.nodes_len()), (second, 1));
    }

    #[test]
    fn records_that_share_an_id_are_all_found_until_released() {
        let mut by_id = FxHashMap::default();
        let (id, a, b) = (RecordId(7), RecordIx(0), RecordIx(1));
        insert_namesake(&mut by_id, id, a);
        insert_namesake(&mut by_id, id, b);
        assert_eq!(by_id[&id].iter().collect::<Vec<_>>(), [a, b]);
    }
}
