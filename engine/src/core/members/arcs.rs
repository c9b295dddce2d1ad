//! Arcs: how a rumor is shared out along the ring so that each node is told once.
//!
//! The holder of an arc first cuts out its own place, then splits what remains into at most
//! `fan_out` sub-arcs (one more when it stands in the middle), as the module `trees` says, and
//! hands each to a random member of it. A sub-arc never contains its sender. Places where nobody
//! is known belong to the sub-arc before them, so that a member known only to the delegate is
//! still told.

use super::roster::{Interner, NodeIx};
use super::trees;
use crate::core::packet::{RingArc, ViewDigest};
use crate::node::NodeId;
use crate::rng::Rng;
use std::borrow::Cow;
use std::ops::Range;

/// Members in order of the ring, without some of them.
pub(crate) struct RingView<'a> {
    ring: &'a [NodeIx],
    /// Members of the ring, in its order. They are few in a long list, so that they are counted
    /// where that matters and no list without them is ever made.
    left_out: Cow<'a, [NodeIx]>,
    /// Members that are nobody's delegate but their own, in the same order.
    spared: &'a [NodeIx],
    interner: &'a Interner,
}

/// A sub-arc, the member that answers for it from now on, and how many members it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delegation {
    pub to: NodeIx,
    pub arc: RingArc,
    pub count: usize,
}

/// An arc together with the members in it: `count` of them from position `first`, wrapping.
#[derive(Clone, Copy, Debug)]
struct Piece {
    arc: RingArc,
    first: usize,
    count: usize,
}

impl RingArc {
    /// The whole ring as seen from a place, which comes last.
    pub fn whole(from: NodeId) -> Self {
        Self { after: from, upto: from }
    }

    /// The arc of a single place.
    pub fn of(place: NodeId) -> Self {
        Self { after: NodeId(place.0.wrapping_sub(1)), upto: place }
    }

    /// Whether a place lies on the arc.
    pub fn contains(&self, place: NodeId) -> bool {
        self.offset(place) <= self.offset(self.upto)
    }

    /// What of the arc lies outside another: nothing, a piece, or two.
    pub fn minus(self, other: Self) -> [Option<Self>; 2] {
        let last = self.offset(self.upto);
        let (from, to) =
            (self.offset(NodeId(other.after.0.wrapping_add(1))), self.offset(other.upto));
        if from > to {
            // The other one covers both ends, or wraps around what is left.
            return [self.between(to + 1, last.min(from - 1)), None];
        }
        let left = if from == 0 { None } else { self.between(0, last.min(from - 1)) };
        let right = if to >= last { None } else { self.between(to + 1, last) };
        [left, right]
    }

    /// How far a place lies from the first of the arc, so that wrapping needs no cases: the last
    /// place of the whole ring has the largest offset there is.
    fn offset(self, place: NodeId) -> u64 {
        place.0.wrapping_sub(self.after.0.wrapping_add(1))
    }

    /// The places between two offsets, both included.
    fn between(self, from: u64, to: u64) -> Option<Self> {
        let after = NodeId(self.after.0.wrapping_add(from));
        (from <= to)
            .then_some(Self { after, upto: NodeId(self.after.0.wrapping_add(1).wrapping_add(to)) })
    }
}

/// What of some arcs lies outside another.
pub(crate) fn subtract(arcs: &mut Vec<RingArc>, other: RingArc) {
    *arcs = arcs.iter().flat_map(|arc| arc.minus(other)).flatten().collect();
}

impl<'a> RingView<'a> {
    /// Members that are looked at for one that is fit to be a delegate.
    const LOOKS: usize = 8;

    pub(super) fn new(
        ring: &'a [NodeIx],
        left_out: impl Into<Cow<'a, [NodeIx]>>,
        interner: &'a Interner,
    ) -> Self {
        Self { ring, left_out: left_out.into(), spared: &[], interner }
    }

    /// Hands nothing to these members, in order of the ring, but their own place.
    pub(super) fn sparing(self, spared: &'a [NodeIx]) -> Self {
        Self { spared, ..self }
    }

    /// Shares out arcs: every member on them lies in exactly one sub-arc. The arcs don't overlap,
    /// and the holder stands on none of them; `silent` is nobody's delegate but its own.
    pub(crate) fn split(
        &self,
        arcs: &[RingArc],
        fan_out: usize,
        silent: Option<NodeIx>,
        rng: &mut Rng,
    ) -> Vec<Delegation> {
        let pieces: Vec<Piece> =
            arcs.iter().map(|&arc| self.piece(arc)).filter(|piece| piece.count > 0).collect();
        let counts: Vec<usize> = pieces.iter().map(|piece| piece.count).collect();
        let mut delegations = Vec::with_capacity(fan_out + pieces.len());
        for (piece, parts) in pieces.iter().zip(trees::shares(&counts, fan_out)) {
            let mut lengths = trees::lengths(piece.count, parts, fan_out);
            if lengths.first() != lengths.last() {
                // Or it would always be the same members who hear of it last.
                lengths.rotate_left(rng.below(parts));
            }
            let mut start = 0;
            for length in lengths {
                delegations.push(self.delegate(piece, start..start + length, silent, rng));
                start += length;
            }
        }
        delegations
    }

    /// How many members stand on an arc.
    pub(crate) fn count(&self, arc: RingArc) -> usize {
        self.piece(arc).count
    }

    /// The members on an arc, in its order.
    pub(crate) fn on(&self, arc: RingArc) -> impl Iterator<Item = NodeIx> {
        let Piece { first, count, .. } = self.piece(arc);
        (first..first + count).map(|at| self.member(at))
    }

    pub(crate) fn place(&self, member: NodeIx) -> NodeId {
        self.interner.place(member)
    }

    /// What is known of a small arc, to compare.
    pub(crate) fn digest(&self, arc: RingArc) -> Option<ViewDigest> {
        let few = self.count(arc) <= ViewDigest::MEMBERS_MAX;
        few.then(|| ViewDigest::of(self.on(arc).map(|member| self.place(member))))
    }

    fn piece(&self, arc: RingArc) -> Piece {
        let (from, to) = (self.position_behind(arc.after), self.position_behind(arc.upto));
        let count = match arc {
            RingArc { after, upto } if after == upto => self.len(),
            RingArc { after, upto } if after < upto => to - from,
            _ => self.len() - from + to,
        };
        Piece { arc, first: from, count }
    }

    fn len(&self) -> usize {
        self.ring.len() - self.left_out.len()
    }

    /// How many members stand at or before a place, counted from the zero of the ring.
    fn position_behind(&self, place: NodeId) -> usize {
        self.rank(self.ring, place) - self.rank(&self.left_out, place)
    }

    /// How many of some nodes in order of the ring stand at or before a place. Places are hashes,
    /// so that it is nearly known where to look: in a long list that saves most looks, each of
    /// which is at memory that was not looked at of late.
    fn rank(&self, nodes: &[NodeIx], place: NodeId) -> usize {
        let stands_before = |node: &NodeIx| self.place(*node) <= place;
        let near = self.near(nodes, place);
        let (mut low, mut high, mut step) = (near, near, 8);
        while low > 0 && !stands_before(&nodes[low - 1]) {
            low = low.saturating_sub(step);
            step *= 2;
        }
        while high < nodes.len() && stands_before(&nodes[high]) {
            high = nodes.len().min(high + step);
            step *= 2;
        }
        low + nodes[low..high].partition_point(stands_before)
    }

    /// Where a place is to be expected among nodes: by its share of the ring, and once more by
    /// its distance from whoever stands there.
    fn near(&self, nodes: &[NodeIx], place: NodeId) -> usize {
        let len = nodes.len();
        let share = |distance: u64| ((u128::from(distance) * len as u128) >> 64) as usize;
        let first = share(place.0);
        let Some(&there) = nodes.get(first) else { return 0 };
        match self.place(there).0 {
            at if at <= place.0 => len.min(first + share(place.0 - at)),
            at => first.saturating_sub(share(at - place.0)),
        }
    }

    /// The member at a position, counted without those left out and once more around the ring.
    fn member(&self, at: usize) -> NodeIx {
        let at = at % self.len();
        // As much further on as members are left out up to there, until that changes nothing.
        let mut position = at;
        loop {
            let member = self.ring[position];
            let upto = |&other: &NodeIx| self.interner.compare_places(other, member).is_le();
            let further = at + self.left_out.partition_point(upto);
            if further == position {
                return member;
            }
            position = further;
        }
    }

    fn is_spared(&self, member: NodeIx) -> bool {
        let place = |&other: &NodeIx| self.interner.compare_places(other, member);
        self.spared.binary_search_by(place).is_ok()
    }

    /// Hands some members of a piece, by their positions in it, to one of them.
    fn delegate(
        &self,
        piece: &Piece,
        part: Range<usize>,
        silent: Option<NodeIx>,
        rng: &mut Rng,
    ) -> Delegation {
        let member = |at: usize| self.member(piece.first + at);
        let before = |at: usize| NodeId(self.place(member(at)).0.wrapping_sub(1));
        let Range { start: first, end: next } = part;
        let after = if first == 0 { piece.arc.after } else { before(first) };
        let upto = if next == piece.count { piece.arc.upto } else { before(next) };
        let count = next - first;
        let drawn = rng.below(count);
        let mut others = (0..count.min(Self::LOOKS)).map(|at| member(first + (drawn + at) % count));
        let is_fit = |&other: &NodeIx| Some(other) != silent && !self.is_spared(other);
        let to = others.find(is_fit).unwrap_or_else(|| member(first + drawn));
        Delegation { to, arc: RingArc { after, upto }, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Record;
    use crate::core::members::SharedRecords;
    use crate::node::{Generation, Node, NodeId};
    use crate::rng::Rng;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn arc(after: u64, upto: u64) -> RingArc {
        RingArc { after: NodeId(after), upto: NodeId(upto) }
    }

    #[test]
    fn equal_ends_mean_the_whole_ring() {
        for place in [0, 7, u64::MAX] {
            assert!(arc(7, 7).contains(NodeId(place)));
            assert!(RingArc::whole(NodeId(u64::MAX)).contains(NodeId(place)));
        }
    }

    #[test]
    fn an_arc_may_wrap_and_leaves_out_its_first_end() {
        let wrapping = arc(10, 3);
        let inside = [11, u64::MAX, 0, 3].map(|place| wrapping.contains(NodeId(place)));
        let outside = [10, 4, 7].map(|place| wrapping.contains(NodeId(place)));
        assert_eq!((inside, outside), ([true; 4], [false; 3]));
    }

    #[test]
    fn the_holder_is_cut_out_wherever_it_stands() {
        let cut = |arc: RingArc, holder| arc.minus(RingArc::of(holder));
        assert_eq!(cut(arc(1, 9), NodeId(5)), [Some(arc(1, 4)), Some(arc(5, 9))]);
        assert_eq!(cut(arc(1, 9), NodeId(9)), [Some(arc(1, 8)), None]);
        assert_eq!(cut(arc(1, 9), NodeId(2)), [None, Some(arc(2, 9))]);
        assert_eq!(cut(arc(4, 5), NodeId(5)), [None, None]);
        assert_eq!(cut(arc(1, 9), NodeId(10)), [Some(arc(1, 9)), None]);
        assert_eq!(cut(RingArc::whole(NodeId(5)), NodeId(5)), [Some(arc(5, 4)), None]);
    }

    proptest! {
        #[test]
        fn a_place_is_left_if_it_lies_on_the_one_arc_and_not_on_the_other(
            ends in prop::array::uniform4(0..12_u64),
            zero in prop::sample::select(vec![0, 5, u64::MAX - 5]),
        ) {
            // Few places around the zero of the ring, so that all cases of wrapping come up.
            let at = |offset: u64| NodeId(offset.wrapping_add(zero));
            let [a, b, c, d] = ends.map(at);
            let (one, other) = (RingArc { after: a, upto: b }, RingArc { after: c, upto: d });
            let left: Vec<_> = one.minus(other).into_iter().flatten().collect();
            for place in (0..12).map(at) {
                let covered = left.iter().filter(|arc| arc.contains(place)).count();
                let expected = one.contains(place) && !other.contains(place);
                prop_assert_eq!(covered, usize::from(expected), "{:?} of {:?}", place, left);
            }
        }
    }

    #[test]
    fn who_is_spared_is_handed_its_own_place_alone() {
        let (ring, mut rng) = (Ring::of(30), Rng::fork(1, "spared", 0));
        let spared: Vec<_> = ring.members.iter().copied().step_by(4).collect();
        let holder = ring.place(ring.members[1]);
        let view = RingView::new(&ring.members, &[], &ring.interner).sparing(&spared);
        let arcs: Vec<_> = RingArc::whole(holder).minus(RingArc::of(holder)).into_iter().collect();
        let arcs: Vec<_> = arcs.into_iter().flatten().collect();
        for fan_out in (0..100).flat_map(|_| [2, 3, 8, 29]) {
            let delegations = view.split(&arcs, fan_out, None, &mut rng);
            let is_handed = |it: &&Delegation| it.count > 1 && spared.contains(&it.to);
            assert_eq!(delegations.iter().find(is_handed), None);
        }
    }

    struct Ring {
        interner: Interner,
        members: Vec<NodeIx>,
    }

    impl Ring {
        fn of(nodes: u16) -> Self {
            let record = |port| {
                let node = Node::at(([10, 0, 0, 1], port).into());
                Arc::new(Record::new(node, Generation::default()))
            };
            let roster = SharedRecords::of((1..=nodes).map(record));
            let addrs: Vec<_> = roster.records().map(|record| record.node().addr()).collect();
            let interner = Interner::new(Arc::new(roster));
            let mut members: Vec<_> =
                addrs.iter().map(|&addr| interner.node(addr).unwrap()).collect();
            members.sort_by_key(|&node| interner.place(node));
            Self { interner, members }
        }

        fn place(&self, node: NodeIx) -> NodeId {
            self.interner.place(node)
        }

        fn split(
            &self,
            arc: RingArc,
            holder: NodeIx,
            fan_out: usize,
            rng: &mut Rng,
        ) -> Vec<Delegation> {
            let view = RingView::new(&self.members, &[], &self.interner);
            let mut arcs = vec![arc];
            subtract(&mut arcs, RingArc::of(self.place(holder)));
            view.split(&arcs, fan_out, None, rng)
        }

        /// Spreads a rumor from one member to all; how often each was told, and in how many hops.
        fn spread(&self, source: NodeIx, fan_out: usize) -> (BTreeMap<NodeIx, u32>, u32) {
            let mut rng = Rng::fork(1, "arcs", 0);
            let mut told = BTreeMap::new();
            let mut hops = 0;
            let whole = RingArc::whole(self.place(source));
            let mut waiting = vec![(source, whole, 0)];
            while let Some((holder, arc, hop)) = waiting.pop() {
                for delegation in self.split(arc, holder, fan_out, &mut rng) {
                    *told.entry(delegation.to).or_default() += 1;
                    hops = hops.max(hop + 1);
                    waiting.push((delegation.to, delegation.arc, hop + 1));
                }
            }
            (told, hops)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn with_equal_lists_each_node_is_told_exactly_once(
            nodes in 1_u16..300,
            fan_out in 1_usize..10,
            source in any::<prop::sample::Index>(),
        ) {
            let ring = Ring::of(nodes);
            let source = ring.members[source.index(ring.members.len())];
            let (told, _) = ring.spread(source, fan_out);
            prop_assert_eq!(told.len(), usize::from(nodes) - 1);
            prop_assert!(told.values().all(|&times| times == 1));
            prop_assert!(!told.contains_key(&source));
        }

        #[test]
        fn sub_arcs_cover_every_other_place_once_and_hold_their_delegate(
            nodes in 2_u16..100,
            fan_out in 1_usize..10,
            places in prop::collection::vec(any::<u64>(), 50),
            ends in any::<(u64, u64)>(),
        ) {
            let ring = Ring::of(nodes);
            let holder = ring.members[0];
            let arc = arc(ends.0, ends.1);
            let mut rng = Rng::fork(1, "arcs", 1);
            let delegations = ring.split(arc, holder, fan_out, &mut rng);
            prop_assert!(delegations.len() <= fan_out + 1);
            for delegation in &delegations {
                prop_assert!(delegation.arc.contains(ring.place(delegation.to)));
                prop_assert!(!delegation.arc.contains(ring.place(holder)));
            }
            let known = ring.members.iter().filter(|&&node| {
                node != holder && arc.contains(ring.place(node))
            });
            let covered = |place| {
                delegations.iter().filter(|delegation| delegation.arc.contains(place)).count()
            };
            for &node in known {
                prop_assert_eq!(covered(ring.place(node)), 1);
            }
            for place in places.into_iter().map(NodeId) {
                prop_assert!(covered(place) <= 1);
            }
        }
    }

    proptest! {
        #[test]
        fn who_is_left_out_is_as_good_as_not_listed(
            left_out in prop::collection::vec(any::<bool>(), 1..80),
            ends in any::<(u64, u64)>(),
        ) {
            let ring = Ring::of(left_out.len() as u16);
            let those = |out: bool| -> Vec<NodeIx> {
                let members = ring.members.iter().zip(&left_out);
                members.filter(|it| *it.1 == out).map(|it| *it.0).collect()
            };
            let (kept, others) = (those(false), those(true));
            let without = RingView::new(&ring.members, &others, &ring.interner);
            let listed = RingView::new(&kept, &[], &ring.interner);
            let arc = arc(ends.0, ends.1);
            let on = |view: &RingView| view.on(arc).collect::<Vec<_>>();
            prop_assert_eq!(on(&without), on(&listed));
            prop_assert_eq!(without.count(arc), listed.count(arc));
            prop_assert_eq!(without.digest(arc), listed.digest(arc));
            let split = |view: &RingView| view.split(&[arc], 3, None, &mut Rng::fork(1, "arcs", 3));
            prop_assert_eq!(split(&without), split(&listed));
        }
    }

    #[test]
    fn a_thousand_nodes_take_four_hops_with_fan_out_eight() {
        let ring = Ring::of(1_000);
        assert_eq!(ring.spread(ring.members[17], 8).1, 4);
    }
}
