//! The rows of a node list and its order: a node's own, or a full list that many begin with and
//! share until they change it.
//!
//! A million nodes that all list each other would hold 10^12 rows. While all that a node does is
//! pass news on, none of them changes, and one list serves all.

use std::sync::Arc;

use super::ring::Ring;
use super::roster::{Interner, NodeIx, RecordIx, SharedRecords};
use super::row::{Row, Standing, State};
use crate::config::WireVersion;
use crate::core::record::{Digest, Digests, Record};
use crate::time::Instant;

/// A complete node list that many engines can begin with, unchangeable.
#[derive(Clone, Debug)]
pub struct PreloadedMembers {
    roster: Arc<SharedRecords>,
    /// By node; [`RecordIx::NONE`] for one that the list leaves out.
    records: Vec<RecordIx>,
    /// In order of the ring.
    ring: Vec<NodeIx>,
    digests: Digests,
    /// Those whose name is that of another member, in order of the ring.
    namesakes: Vec<NodeIx>,
}

impl PreloadedMembers {
    /// The list of these incarnations, at most one of each address.
    ///
    /// Panics when one is not in the roster, or two have the same address.
    pub fn of<'a>(
        roster: &Arc<SharedRecords>,
        members: impl IntoIterator<Item = &'a Arc<Record>>,
    ) -> Self {
        let interner = Interner::new(Arc::clone(roster));
        let mut records = vec![RecordIx::NONE; interner.nodes_len()];
        let mut digests = Digests::default();
        for member in members {
            let (record, node) = interner.find(member).expect("the roster names all members");
            let before = std::mem::replace(&mut records[node.index()], record);
            assert!(before == RecordIx::NONE, "{member:?} is not the only one at its address");
            digests += Digests::of(member);
        }
        let listed = |node: &NodeIx| records[node.index()] != RecordIx::NONE;
        // The roster stands in order of the ring.
        let ring: Vec<_> = interner.shared_nodes().filter(listed).collect();
        let has_namesake = |node: &NodeIx| {
            interner.namesakes(records[node.index()]).any(|(_, other)| listed(&other))
        };
        let namesakes = ring.iter().copied().filter(has_namesake).collect();
        Self { roster: Arc::clone(roster), records, ring, digests, namesakes }
    }

    pub(super) fn is_of(&self, interner: &Interner) -> bool {
        interner.is_of(&self.roster)
    }

    pub(crate) fn lists(&self, node: NodeIx, record: RecordIx) -> bool {
        self.records.get(node.index()) == Some(&record)
    }

    pub(crate) fn namesakes(&self) -> &[NodeIx] {
        &self.namesakes
    }

    /// A row as of the time at which the list was taken over.
    fn row(&self, node: NodeIx, at: Instant) -> Row {
        match self.records.get(node.index()) {
            None | Some(&RecordIx::NONE) => Row::VACANT,
            Some(&record) => Row::new(record, State::Listed, Standing::Believed, 0, at),
        }
    }
}

/// Rows by node, and those that are listed in order of the ring.
#[derive(Clone, Debug)]
pub(super) enum Table {
    /// Nobody but the node itself, as it began.
    Alone { me: [NodeIx; 1], row: Row, digests: Digests },
    /// All of a list as of a time, unchanged since.
    Full { list: Arc<PreloadedMembers>, at: Instant },
    /// One of the node's own.
    Own(Own),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    pub rows: Vec<Row>,
    ring: Ring,
    digests: Digests,
    /// The sums of the digests in each of the smallest buckets, as the latest version compares
    /// them, once somebody has asked for them.
    sums: Option<Box<[Digest; BUCKETS]>>,
}

/// How many buckets of the ring there are for which sums are kept up.
const BUCKETS: usize = 1 << super::roster::BUCKET_BITS;

impl Table {
    pub(crate) fn alone(me: NodeIx, row: Row, digests: Digests) -> Self {
        Self::Alone { me: [me], row, digests }
    }

    /// How many are listed.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Alone { me, .. } => me.len(),
            Self::Full { list, .. } => list.ring.len(),
            Self::Own(own) => own.ring.len(),
        }
    }

    /// The sums of the digests of all that are listed.
    pub(crate) fn digests(&self) -> Digests {
        match self {
            Self::Alone { digests, .. } | Self::Own(Own { digests, .. }) => *digests,
            Self::Full { list, .. } => list.digests,
        }
    }

    /// The listed ones in order of the ring.
    pub(crate) fn ring(&self, interner: &Interner) -> &[NodeIx] {
        match self {
            Self::Alone { me, .. } => me,
            Self::Full { list, .. } => &list.ring,
            Self::Own(own) => own.ring.sorted(interner),
        }
    }

    /// What is held of a node.
    #[inline]
    pub(super) fn row(&self, node: NodeIx) -> Row {
        match self {
            Self::Own(own) => own.rows.get(node.index()).copied().unwrap_or(Row::VACANT),
            Self::Alone { me: [me], row, .. } if *me == node => *row,
            Self::Alone { .. } => Row::VACANT,
            Self::Full { list, at } => list.row(node, *at),
        }
    }

    /// The rows by node, of a table that is a node's own; none of another.
    pub(super) fn rows(&self) -> &[Row] {
        match self {
            Self::Own(own) => &own.rows,
            Self::Alone { .. } | Self::Full { .. } => &[],
        }
    }

    /// The table to change, which is a node's own from then on.
    #[inline]
    pub(crate) fn own(&mut self, interner: &Interner) -> &mut Own {
        if !matches!(self, Self::Own(_)) {
            *self = Self::Own(self.to_own(interner));
        }
        // An enum whose variant was just written has no safe way to say so.
        let Self::Own(own) = self else { unreachable!("it was just made so") };
        own
    }

    /// Takes over a full list. What is held of `me` stays.
    pub(crate) fn fill(
        &mut self,
        list: &Arc<PreloadedMembers>,
        at: Instant,
        me: NodeIx,
        interner: &Interner,
    ) {
        let mine = self.row(me);
        *self = Self::Full { list: Arc::clone(list), at };
        if mine.counter > 0 {
            self.own(interner).rows[me.index()] = mine;
        }
    }

    #[cold]
    fn to_own(&self, interner: &Interner) -> Own {
        let mut own = Own::default();
        match self {
            Self::Alone { me: [me], row, digests } => {
                own.reserve(*me, interner);
                own.list(*me, *row, interner);
                own.digests = *digests;
            }
            Self::Full { list, at } => {
                let nodes = interner.shared_nodes();
                own.rows = nodes.map(|node| list.row(node, *at)).collect();
                own.ring = Ring::of(&list.ring);
                own.digests = list.digests;
            }
            Self::Own(other) => own.clone_from(other),
        }
        own
    }
}

impl Own {
    /// The listed ones in order of the ring, with their rows to change.
    pub(crate) fn walk(&mut self, interner: &Interner) -> (&[NodeIx], &mut [Row]) {
        (self.ring.sorted(interner), &mut self.rows)
    }

    /// Lists a node that has a row and is not listed.
    pub(super) fn list(&mut self, node: NodeIx, row: Row, interner: &Interner) {
        self.rows[node.index()] = row;
        self.ring.insert(node);
        let digests = interner.digests(row.record);
        self.digests += digests;
        if let Some(sums) = &mut self.sums {
            sums[interner.bucket(row.record)] += digests.in_version(WireVersion::LATEST);
        }
    }

    /// Takes a node off the list.
    pub(super) fn unlist(&mut self, node: NodeIx, interner: &Interner) {
        let row = &mut self.rows[node.index()];
        row.set_state(State::Vacant);
        let record = row.record;
        self.ring.remove(node);
        let digests = interner.digests(record);
        self.digests -= digests;
        if let Some(sums) = &mut self.sums {
            let digest = digests.in_version(WireVersion::LATEST);
            planted!(BucketStale, sums[interner.bucket(record)] -= digest);
        }
    }

    /// Holds another copy of the record of a listed node.
    pub(super) fn replace_record(&mut self, node: NodeIx, record: RecordIx, interner: &Interner) {
        let before = std::mem::replace(&mut self.rows[node.index()].record, record);
        let (less, more) = (interner.digests(before), interner.digests(record));
        self.digests -= less;
        self.digests += more;
        if let Some(sums) = &mut self.sums {
            let sum = &mut sums[interner.bucket(record)];
            *sum -= less.in_version(WireVersion::LATEST);
            *sum += more.in_version(WireVersion::LATEST);
        }
    }

    /// The sums of the digests by bucket, as many as are kept up.
    pub(super) fn sums(&mut self, interner: &Interner) -> &[Digest; BUCKETS] {
        let (ring, rows) = (&self.ring, &self.rows);
        self.sums.get_or_insert_with(|| {
            let mut sums = Box::new([Digest::default(); BUCKETS]);
            for &node in ring.sorted(interner) {
                let record = rows[node.index()].record;
                let digest = interner.digests(record).in_version(WireVersion::LATEST);
                sums[interner.bucket(record)] += digest;
            }
            sums
        })
    }

    /// Makes sure that there is a row for a node; at first for all that the roster names, since
    /// most of them will come.
    pub(crate) fn reserve(&mut self, node: NodeIx, interner: &Interner) {
        if self.rows.is_empty() {
            self.rows = Vec::with_capacity(interner.nodes_len());
            self.ring = Ring::with_capacity(interner.nodes_len());
        }
        if self.rows.len() <= node.index() {
            self.rows.resize((node.index() + 1).max(self.rows.capacity()), Row::VACANT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Generation, Node};

    fn record(port: u16, name: &str) -> Arc<Record> {
        let node = Node::new(format!("10.0.0.1:{port}")).name(name).build().unwrap();
        Arc::new(Record::new(node, Generation::default()))
    }

    fn list() -> (Interner, PreloadedMembers) {
        let records = [(1, "a"), (2, "b"), (3, "a"), (4, ""), (5, ""), (6, "b")];
        let records = records.map(|(port, name)| record(port, name));
        let roster = Arc::new(SharedRecords::of(records.iter().cloned()));
        // One of the two that are called "b" is left out.
        let list = PreloadedMembers::of(&roster, &records[..5]);
        (Interner::new(roster), list)
    }

    #[test]
    fn a_full_list_holds_its_members_in_order_of_the_ring_and_knows_the_namesakes() {
        let (interner, list) = list();
        assert_eq!(list.ring.len(), 5);
        assert!(list.ring.is_sorted_by(|&a, &b| interner.compare_places(a, b).is_lt()));
        let sum: Digests =
            list.ring.iter().map(|node| interner.digests(list.records[node.index()])).sum();
        assert_eq!(list.digests, sum);
        let ports: Vec<_> = list.namesakes.iter().map(|&node| interner.addr(node).port()).collect();
        assert!(ports == [1, 3] || ports == [3, 1], "{ports:?}");
    }

    #[test]
    fn a_table_says_the_same_whether_it_is_shared_or_the_nodes_own() {
        let (interner, list) = list();
        let at = Instant::from_nanos(7_000);
        let me = list.ring[2];
        let row = list.row(me, at);
        let digests = interner.digests(row.record);
        let full = Table::Full { list: Arc::new(list), at };
        for shared in [full, Table::alone(me, row, digests)] {
            let mut own = shared.clone();
            own.own(&interner);
            assert_eq!((own.len(), own.digests()), (shared.len(), shared.digests()));
            assert_eq!(own.ring(&interner), shared.ring(&interner));
            for node in interner.shared_nodes() {
                assert_eq!(format!("{:?}", own.row(node)), format!("{:?}", shared.row(node)));
            }
        }
    }

    #[test]
    fn who_takes_over_a_list_keeps_what_it_holds_of_itself() {
        let (interner, list) = list();
        let list = Arc::new(list);
        let (me, at) = (list.ring[2], Instant::from_nanos(7_000));
        for counter in [0, 1] {
            let mut row = list.row(me, Instant::ZERO);
            row.counter = counter;
            let mut table = Table::alone(me, row, Digests::default());
            table.fill(&list, at, me, &interner);
            assert_eq!((table.len(), table.digests()), (5, list.digests));
            assert_eq!(table.row(me).counter, counter);
            assert_eq!(table.row(list.ring[0]).raised_at(), at);
            assert_eq!(matches!(table, Table::Full { .. }), counter == 0);
        }
    }

    #[test]
    #[should_panic(expected = "is not the only one at its address")]
    fn two_incarnations_of_one_address_are_no_list() {
        let node = record(1, "a").node().clone();
        let again = Arc::new(Record::new(node, Generation::new(9).unwrap()));
        let both = [record(1, "a"), again];
        PreloadedMembers::of(&Arc::new(SharedRecords::of(both.iter().cloned())), &both);
    }
}
