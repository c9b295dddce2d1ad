//! The roster: addresses and records, interned once so that every table can be dense.
//!
//! An [`Interner`] is a shared, unchangeable [`SharedRecords`] and what one engine has heard of
//! beyond it. No decision depends on the value of an index: a shared and a private roster give the
//! same run.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use super::ids::{Found, IdIndex, Known};
use crate::config::WireVersion;
use crate::core::beat::RecordId;
use crate::core::record::{Digests, Record};
use crate::node::NodeId;

/// An address, interned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeIx(u32);

impl NodeIx {
    pub(super) fn of(ix: u32) -> Self {
        Self(ix)
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A record, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordIx(u32);

impl RecordIx {
    /// The record of an empty slot.
    pub(super) const NONE: Self = Self(u32::MAX);

    #[cfg(test)]
    pub(crate) fn test(ix: u32) -> Self {
        Self(ix)
    }
}

/// A set of incarnations that many engines share, unchangeable.
///
/// A simulator puts every incarnation that its plan will ever start in one; a service begins
/// with an empty one. What an engine hears of beyond it, it keeps for itself.
#[derive(Clone, Debug, Default)]
pub struct SharedRecords {
    records: Vec<Interned>,
    places: Vec<(NodeId, SocketAddr)>,
    by_addr: FxHashMap<SocketAddr, NodeIx>,
    by_id: IdIndex,
    by_name: Index<u64>,
    /// By bucket of `2^BUCKET_BITS`, and one more: the first node in it or behind it. None in an
    /// empty roster.
    bucket_starts: Vec<u32>,
}

/// A record, with what of it is asked for so often that a look at the record itself would cost
/// too much.
#[derive(Clone, Debug)]
struct Interned {
    record: Arc<Record>,
    digests: Digests,
    speaks: WireVersion,
    /// The bucket of its place when the ring is cut into `2^BUCKET_BITS`.
    bucket: u8,
    /// Another record of the roster has the same name.
    has_namesake: bool,
}

/// Into how many buckets the ring is cut at most when two lists are compared, as a power of two.
pub(crate) const BUCKET_BITS: u32 = 8;

impl Interned {
    fn of(record: Arc<Record>) -> Self {
        let bucket = record.place().bucket(BUCKET_BITS) as u8;
        let (digests, speaks) = (Digests::of(&record), record.speaks());
        Self { digests, speaks, bucket, record, has_namesake: false }
    }
}

/// Records by something that few of them share, each with its node.
///
/// What shares a key with an earlier record stands apart, so that the common case is one small
/// entry.
#[derive(Clone, Debug)]
pub(crate) struct Index<K> {
    first: FxHashMap<K, Found>,
    others: FxHashMap<K, Vec<Found>>,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self { first: FxHashMap::default(), others: FxHashMap::default() }
    }
}

impl<K: Copy + Hash + Eq> Index<K> {
    fn insert(&mut self, key: K, found: Found) {
        if let Some(first) = self.first.insert(key, found) {
            self.others.entry(key).or_default().push(first);
        }
    }

    fn remove(&mut self, key: K, ix: RecordIx) {
        let others = self.others.get_mut(&key);
        if self.first.get(&key).is_some_and(|first| first.0 == ix) {
            match others.and_then(Vec::pop) {
                Some(next) => drop(self.first.insert(key, next)),
                None => drop(self.first.remove(&key)),
            }
        } else if let Some(others) = others {
            others.retain(|other| other.0 != ix);
        }
        if self.others.get(&key).is_some_and(Vec::is_empty) {
            self.others.remove(&key);
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The record with this key that was inserted last.
    fn first(&self, key: K) -> Option<Found> {
        if self.is_empty() { None } else { self.first.get(&key).copied() }
    }

    /// The records with this key that were inserted before the last.
    fn others(&self, key: K) -> &[Found] {
        if self.others.is_empty() { &[] } else { self.others.get(&key).map_or(&[], Vec::as_slice) }
    }

    fn all(&self, key: K) -> impl Iterator<Item = Found> + use<'_, K> {
        self.first(key).into_iter().chain(self.others(key).iter().copied())
    }
}

/// The ids under which a record is found: that by which beats name it, and where it has extensions
/// that by which those name it who compare all of it.
fn ids_of(record: &Record) -> impl Iterator<Item = RecordId> + use<> {
    let full = record.full_digest().id();
    [record.id()].into_iter().chain((full != record.id()).then_some(full))
}

/// The key of a name; `None` for nodes without one.
fn name_key(record: &Record) -> Option<u64> {
    let name = record.node().name();
    (!name.is_empty()).then(|| {
        let mut hasher = FxHasher::default();
        hasher.write(name.as_bytes());
        hasher.finish()
    })
}

impl SharedRecords {
    /// The roster of these incarnations.
    pub fn of(records: impl IntoIterator<Item = Arc<Record>>) -> Self {
        // In order of the ring, so that whoever walks around it walks straight through its tables.
        let mut records: Vec<_> = records.into_iter().collect();
        records.sort_by_key(|record| (record.place(), record.node().addr(), record.generation()));
        let mut roster = Self::default();
        for record in records {
            roster.add(record);
        }
        roster.note_namesakes();
        roster.note_buckets();
        roster
    }

    fn note_buckets(&mut self) {
        if !self.places.is_empty() {
            let starts = (0..=1 << BUCKET_BITS).map(|bucket| {
                self.places.partition_point(|(place, _)| place.bucket(BUCKET_BITS) < bucket) as u32
            });
            self.bucket_starts = starts.collect();
        }
    }

    fn note_namesakes(&mut self) {
        for interned in &mut self.records {
            let namesakes = name_key(&interned.record).map(|key| self.by_name.all(key).count());
            interned.has_namesake = namesakes.is_some_and(|count| count > 1);
        }
    }

    /// The incarnations, in order of the ring.
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
        for id in ids_of(&record) {
            self.by_id.insert(id, (ix, node));
        }
        if let Some(key) = name_key(&record) {
            self.by_name.insert(key, (ix, node));
        }
        self.records.push(Interned::of(record));
    }
}

/// Everything that one engine can name: the shared roster and its own additions.
#[derive(Clone, Debug)]
pub(super) struct Interner {
    shared: Arc<SharedRecords>,
    /// A million simulated engines that list nobody but each other have none.
    own: Option<Box<Additions>>,
}

/// What one engine knows beside the shared roster.
#[derive(Clone, Debug, Default)]
struct Additions {
    records: Slab<Interned>,
    places: Slab<(NodeId, SocketAddr)>,
    by_addr: FxHashMap<SocketAddr, NodeIx>,
    by_id: IdIndex,
    by_name: Index<u64>,
}

impl Interner {
    pub(super) fn new(shared: Arc<SharedRecords>) -> Self {
        Self { shared, own: None }
    }

    fn own_mut(&mut self) -> &mut Additions {
        self.own.get_or_insert_default()
    }

    /// True when this is the roster it shares.
    pub(super) fn is_of(&self, roster: &Arc<SharedRecords>) -> bool {
        Arc::ptr_eq(&self.shared, roster)
    }

    /// The nodes of the shared roster, in order of the ring.
    pub(super) fn shared_nodes(&self) -> impl Iterator<Item = NodeIx> + use<> {
        let len = u32::try_from(self.shared.places.len()).expect("fewer than 2^32 addresses");
        (0..len).map(NodeIx)
    }

    /// True while the numbers of nodes are in order of the ring, as those in a roster are.
    pub(super) fn is_in_ring_order(&self) -> bool {
        self.own.as_ref().is_none_or(|own| own.places.items.is_empty())
    }

    /// One more than the largest index in use: the length of tables by node.
    pub(super) fn nodes_len(&self) -> usize {
        self.shared.places.len() + self.own.as_ref().map_or(0, |own| own.places.items.len())
    }

    pub(crate) fn node(&self, addr: SocketAddr) -> Option<NodeIx> {
        let own = || self.own.as_ref()?.by_addr.get(&addr);
        self.shared.by_addr.get(&addr).or_else(own).copied()
    }

    pub(super) fn place(&self, node: NodeIx) -> NodeId {
        self.interned_addr(node).0
    }

    /// The order of two nodes on the ring. The address decides between two that were made to
    /// share a place.
    pub(crate) fn compare_places(&self, a: NodeIx, b: NodeIx) -> Ordering {
        let shared = self.shared.places.len();
        if a.index() < shared && b.index() < shared {
            // The roster stands in this order.
            return a.cmp(&b);
        }
        self.interned_addr(a).cmp(self.interned_addr(b))
    }

    pub(super) fn addr(&self, node: NodeIx) -> SocketAddr {
        self.interned_addr(node).1
    }

    pub(super) fn record(&self, ix: RecordIx) -> &Arc<Record> {
        &self.interned(ix).record
    }

    /// The digests of a record, without a look at the record itself.
    pub(crate) fn digests(&self, ix: RecordIx) -> Digests {
        self.interned(ix).digests
    }

    /// The highest version of the wire that its node speaks, in the same way.
    pub(crate) fn speaks(&self, ix: RecordIx) -> WireVersion {
        self.interned(ix).speaks
    }

    /// The bucket of the place of a record, of `2^BUCKET_BITS`.
    pub(crate) fn bucket(&self, ix: RecordIx) -> usize {
        self.interned(ix).bucket.into()
    }

    /// The first node in a bucket of `2^bits` or behind it, by its number; `None` where the numbers
    /// of nodes are not in order of the ring, or the buckets are too small.
    pub(super) fn bucket_start(&self, bits: u32, bucket: usize) -> Option<usize> {
        let smaller = BUCKET_BITS.checked_sub(bits).filter(|_| self.is_in_ring_order())?;
        self.shared.bucket_starts.get(bucket << smaller).map(|&start| start as usize)
    }

    /// The id of a record, without a look at the record itself.
    pub(crate) fn id(&self, ix: RecordIx) -> RecordId {
        self.digests(ix).in_version(WireVersion::One).id()
    }

    /// The index of a record of the shared roster, and its node: they stay what they are.
    #[inline]
    pub(super) fn find_shared(&self, record: &Arc<Record>) -> Option<Found> {
        let Known::One(found) = self.shared.by_id.look(record.id()) else { return None };
        let known = &self.shared.records[found.0.0 as usize].record;
        (Arc::ptr_eq(known, record) || known == record).then_some(found)
    }

    /// The index of a record that is interned, and its node.
    pub(crate) fn find(&self, record: &Arc<Record>) -> Option<Found> {
        let is = |&(ix, _): &Found| {
            let known = self.record(ix);
            Arc::ptr_eq(known, record) || known == record
        };
        let only = self.only_by_id(record.id()).filter(is);
        only.or_else(|| self.by_id(record.id()).find(is))
    }

    /// The records with this id, and their nodes.
    pub(crate) fn by_id(&self, id: RecordId) -> impl Iterator<Item = (RecordIx, NodeIx)> + '_ {
        let own = self.own.iter().flat_map(move |own| own.by_id.all(id));
        self.shared.by_id.all(id).chain(own)
    }

    /// The only record with this id and its node; `None` when there is none or more than one.
    #[inline(always)]
    pub(super) fn only_by_id(&self, id: RecordId) -> Option<Found> {
        let shared = self.shared.by_id.look(id);
        let own = match &self.own {
            Some(own) if !own.by_id.is_empty() => own.by_id.look(id),
            _ => Known::Nothing,
        };
        match (shared, own) {
            (Known::One(found), Known::Nothing) | (Known::Nothing, Known::One(found)) => {
                Some(found)
            }
            _ => None,
        }
    }

    /// The other records with the same name, if it has one, and their nodes.
    pub(crate) fn namesakes(&self, ix: RecordIx) -> impl Iterator<Item = (RecordIx, NodeIx)> + '_ {
        let record = self.record(ix);
        let own = self.own.as_ref().map(|own| &own.by_name).filter(|names| !names.is_empty());
        let alone = !self.interned(ix).has_namesake && own.is_none();
        let key = if alone { None } else { name_key(record) };
        let named = move |key| {
            let own = own.into_iter().flat_map(move |names| names.all(key));
            self.shared.by_name.all(key).chain(own)
        };
        let others = key.into_iter().flat_map(named).filter(move |it| it.0 != ix);
        others.filter(|other| self.record(other.0).node().name() == record.node().name())
    }

    /// The index of a record, which the caller must give back with [`Interner::release`].
    pub(super) fn intern(&mut self, record: &Arc<Record>) -> (RecordIx, NodeIx) {
        if let Some(known) = self.find(record) {
            return known;
        }
        let node = self.intern_addr(record);
        let shared = self.shared.records.len();
        let own = self.own_mut();
        let at = own.records.add(Interned::of(Arc::clone(record)));
        let ix = RecordIx(u32::try_from(shared + at).expect("bounded"));
        for id in ids_of(record) {
            own.by_id.insert(id, (ix, node));
        }
        if let Some(key) = name_key(record) {
            own.by_name.insert(key, (ix, node));
        }
        (ix, node)
    }

    fn intern_addr(&mut self, record: &Record) -> NodeIx {
        let addr = record.node().addr();
        if let Some(node) = self.node(addr) {
            return node;
        }
        let shared = self.shared.places.len();
        let own = self.own_mut();
        let at = own.places.add((record.place(), addr));
        let node = NodeIx(u32::try_from(shared + at).expect("bounded"));
        own.by_addr.insert(addr, node);
        node
    }

    /// Gives a record back; shared ones stay.
    pub(super) fn release(&mut self, ix: RecordIx) {
        let Some(at) = (ix.0 as usize).checked_sub(self.shared.records.len()) else { return };
        let own = self.own_mut();
        let record = own.records.take(at).record;
        for id in ids_of(&record) {
            own.by_id.remove(id, ix);
        }
        if let Some(key) = name_key(&record) {
            own.by_name.remove(key, ix);
        }
    }

    /// Gives the address of a node back, whose last record has been released.
    pub(super) fn release_addr(&mut self, node: NodeIx) {
        if let Some(at) = node.index().checked_sub(self.shared.places.len()) {
            let own = self.own_mut();
            let (_, addr) = own.places.take(at);
            own.by_addr.remove(&addr);
        }
    }

    fn interned_addr(&self, node: NodeIx) -> &(NodeId, SocketAddr) {
        match node.index().checked_sub(self.shared.places.len()) {
            None => &self.shared.places[node.index()],
            Some(at) => self.own.as_ref().expect("an index in use").places.get(at),
        }
    }

    fn interned(&self, ix: RecordIx) -> &Interned {
        match (ix.0 as usize).checked_sub(self.shared.records.len()) {
            None => &self.shared.records[ix.0 as usize],
            Some(at) => self.own.as_ref().expect("an index in use").records.get(at),
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
        let shared = Arc::new(SharedRecords::of([record(1, 1), record(2, 1), record(1, 2)]));
        let mut interner = Interner::new(Arc::clone(&shared));
        assert_eq!(interner.nodes_len(), 2);
        let (ix, node) = interner.intern(&record(1, 2));
        assert_eq!(interner.record(ix), &record(1, 2));
        assert_eq!(interner.node(record(1, 9).node().addr()), Some(node));
        interner.release(ix);
        assert_eq!(interner.record(ix), &record(1, 2));
        assert!(interner.own.is_none());
    }

    #[test]
    fn a_new_generation_of_a_shared_address_has_the_same_node() {
        let mut interner = Interner::new(Arc::new(SharedRecords::of([record(1, 1)])));
        let (ix, node) = interner.intern(&record(1, 7));
        assert_eq!(Some(node), interner.node(record(1, 1).node().addr()));
        assert_eq!(interner.by_id(record(1, 7).id()).collect::<Vec<_>>(), [(ix, node)]);
    }

    #[test]
    fn released_room_is_used_again() {
        let mut interner = Interner::new(Arc::default());
        let (first, node) = interner.intern(&record(1, 1));
        interner.release(first);
        interner.release_addr(node);
        assert_eq!(interner.node(record(1, 1).node().addr()), None);
        assert_eq!(interner.by_id(record(1, 1).id()).count(), 0);
        let (second, _) = interner.intern(&record(2, 1));
        assert_eq!((first, interner.nodes_len()), (second, 1));
    }

    #[test]
    fn records_that_share_a_key_are_all_found_until_removed() {
        let mut index = Index::default();
        let [a, b, c] = [0, 1, 2].map(|ix| (RecordIx(ix), NodeIx(ix)));
        for found in [a, b, c] {
            index.insert(7, found);
        }
        let all = |index: &Index<u32>| index.all(7).collect::<Vec<_>>();
        assert_eq!(all(&index), [c, a, b]);
        index.remove(7, a.0);
        assert_eq!(all(&index), [c, b]);
        index.remove(7, c.0);
        assert_eq!(all(&index), [b]);
        index.remove(7, b.0);
        assert!(index.first.is_empty() && index.others.is_empty());
    }

    #[test]
    fn namesakes_are_found_among_shared_and_own_records_and_the_nameless_have_none() {
        let named = |port, name: &str| {
            let node = Node::new(format!("127.0.0.1:{port}")).name(name).build().unwrap();
            Arc::new(Record::new(node, Generation::default()))
        };
        let shared = SharedRecords::of([named(1, "a"), named(2, "b"), named(3, ""), named(4, "")]);
        let mut interner = Interner::new(Arc::new(shared));
        let (own, _) = interner.intern(&named(5, "a"));
        let (first, node) = interner.intern(&named(1, "a"));
        assert_eq!(interner.namesakes(own).collect::<Vec<_>>(), [(first, node)]);
        let (nameless, _) = interner.intern(&named(3, ""));
        assert_eq!(interner.namesakes(nameless).count(), 0);
        interner.release(own);
        assert_eq!(interner.namesakes(first).count(), 0);
    }
}
