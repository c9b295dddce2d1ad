//! Ranges: the parts of the places of keys by which two maps find where they differ.
//!
//! A range is cut into 64 equal ones, each with a sum over its entries; where sums differ it is cut
//! again, until few enough entries are left to list them (range-based set reconciliation, Meyer
//! 2023). A look through 100,000 entries takes less than a millisecond, so that no sums are kept.

use super::Entries;
use super::view::Placed;
use crate::core::entry::Fingerprint;

/// A 64th of a 64th and so on of all places, which are 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashRange {
    /// Its first place.
    first: u64,
    /// How often all places were cut.
    depth: u8,
}

impl HashRange {
    /// How many ranges one is cut into.
    pub(crate) const CUT: usize = 64;
    const CUT_BITS: u32 = Self::CUT.trailing_zeros();
    /// The ranges of this depth hold 16 places, and are not cut again.
    pub(crate) const DEPTH_MAX: u8 = 10;
    /// All places.
    pub(crate) const ALL: Self = Self { first: 0, depth: 0 };

    /// A range as found in a packet; `None` when there is no such.
    pub(crate) fn new(first: u64, depth: u8) -> Option<Self> {
        let range = Self { first, depth };
        (depth <= Self::DEPTH_MAX && Self::around(first, depth) == range).then_some(range)
    }

    pub(crate) fn first(self) -> u64 {
        self.first
    }

    pub(crate) fn depth(self) -> u8 {
        self.depth
    }

    /// The range of a depth in which a place lies.
    pub(super) fn around(place: u64, depth: u8) -> Self {
        let bits = 64 - Self::CUT_BITS * u32::from(depth);
        Self { first: place.checked_shr(bits).unwrap_or(0).checked_shl(bits).unwrap_or(0), depth }
    }

    /// The range of which it is a 64th.
    pub(super) fn parent(self) -> Option<Self> {
        Some(Self::around(self.first, self.depth.checked_sub(1)?))
    }

    pub(super) fn last(self) -> u64 {
        let bits = 64 - Self::CUT_BITS * u32::from(self.depth);
        self.first | u64::MAX.checked_shr(64 - bits).unwrap_or(0)
    }

    /// The ranges that it is cut into; none at the greatest depth.
    pub(super) fn children(self) -> impl Iterator<Item = Self> {
        let depth = self.depth + 1;
        let shift = 64_u32.saturating_sub(Self::CUT_BITS * u32::from(depth));
        let count = if self.depth < Self::DEPTH_MAX { Self::CUT as u64 } else { 0 };
        (0..count).map(move |at| Self { first: self.first | at << shift, depth })
    }

    /// In which of its ranges a place lies.
    fn child_of(self, place: u64) -> usize {
        let shift = 64_u32.saturating_sub(Self::CUT_BITS * (u32::from(self.depth) + 1));
        (place >> shift) as usize & (Self::CUT - 1)
    }
}

/// An entry as far as a comparison goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlacedRank {
    /// The place of its key.
    pub place: u64,
    /// The hash of its rank.
    pub rank_hash: u64,
}

impl From<&Placed> for PlacedRank {
    fn from(placed: &Placed) -> Self {
        Self { place: placed.place(), rank_hash: placed.rank_hash() }
    }
}

/// What one map has in one range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RangePart {
    /// The range.
    pub range: HashRange,
    /// What is in it.
    pub content: RangeContent,
}

/// So much of a range as is told at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RangeContent {
    /// The sums of the 64 ranges that it is cut into. Half of a sum is enough for a part: that of
    /// all tells in the end whether something was missed.
    Sums(Box<[u64; HashRange::CUT]>),
    /// Its few entries, in order.
    List(Vec<PlacedRank>),
}

impl RangeContent {
    /// Most entries that are listed. Of 100,000 a 64th of a 64th has 24, give or take 5: with 32
    /// four of ten exchanges would need a fourth round trip for one range with a few more.
    pub(crate) const LIST_MAX: usize = 48;

    fn list(all: &[&Placed]) -> Self {
        let mut list: Vec<PlacedRank> = all.iter().map(|&placed| placed.into()).collect();
        list.sort_unstable();
        // More in 16 places are made up to be there: they are found by rumors alone.
        list.truncate(Self::LIST_MAX);
        Self::List(list)
    }
}

/// A range and how many entries we hold in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountedRange {
    pub range: HashRange,
    pub count: usize,
}

impl CountedRange {
    fn is_listed(&self) -> bool {
        self.count <= RangeContent::LIST_MAX || self.range.depth == HashRange::DEPTH_MAX
    }
}

/// Sums over the ranges that one is cut into, and how many entries each has.
#[derive(Clone, Debug)]
pub(super) struct RangeSums {
    sums: [Fingerprint; HashRange::CUT],
    counts: [u32; HashRange::CUT],
}

impl RangeSums {
    const NONE: Self = Self { sums: [Fingerprint(0); HashRange::CUT], counts: [0; HashRange::CUT] };

    fn add(&mut self, child: usize, placed: &Placed) {
        self.sums[child].add(placed.print());
        self.counts[child] += 1;
    }

    /// As they are told.
    fn folded(&self) -> Box<[u64; HashRange::CUT]> {
        Box::new(self.sums.map(Fingerprint::fold))
    }

    /// Those of the ranges that one is cut into whose sums are others.
    pub(super) fn differing<'a>(
        &'a self,
        range: HashRange,
        theirs: &'a [u64; HashRange::CUT],
    ) -> impl Iterator<Item = CountedRange> + use<'a> {
        let ours = self.sums.iter().zip(&self.counts);
        let all = range.children().zip(ours.zip(theirs));
        all.filter(|(_, ((ours, _), theirs))| ours.fold() != **theirs)
            .map(|(range, ((_, &count), _))| CountedRange { range, count: count as usize })
    }
}

impl Entries {
    /// All places.
    pub(super) fn whole(&self) -> CountedRange {
        CountedRange { range: HashRange::ALL, count: self.held_count() }
    }

    /// The sums of ranges, which are given in order and don't overlap.
    pub(super) fn sums(&self, ranges: &[HashRange]) -> Vec<RangeSums> {
        let mut found = vec![RangeSums::NONE; ranges.len()];
        self.each_within(ranges, |at, placed| {
            found[at].add(ranges[at].child_of(placed.place()), placed);
        });
        found
    }

    /// The entries of ranges, which are given in order and don't overlap.
    pub(super) fn within(&self, ranges: &[HashRange]) -> Vec<Vec<&Placed>> {
        let mut found = vec![Vec::new(); ranges.len()];
        self.each_within(ranges, |at, placed| found[at].push(placed));
        found
    }

    /// What is told of ranges: those with few entries are listed, the others summed.
    pub(super) fn parts(&self, ranges: &[CountedRange]) -> Vec<RangePart> {
        let of = |is_listed: bool| {
            let ranges = ranges.iter().filter(|range| range.is_listed() == is_listed);
            ranges.map(|counted| counted.range).collect::<Vec<_>>()
        };
        let (listed, summed) = (of(true), of(false));
        let lists = self.within(&listed).into_iter().map(|all| RangeContent::list(&all));
        let sums = self.sums(&summed).into_iter().map(|sums| RangeContent::Sums(sums.folded()));
        let all = listed.iter().zip(lists).chain(summed.iter().zip(sums));
        let mut parts: Vec<RangePart> =
            all.map(|(&range, content)| RangePart { range, content }).collect();
        parts.sort_unstable_by_key(|part| part.range);
        parts
    }

    /// Looks through all entries once for those within ranges; not where there is no range.
    fn each_within<'e>(&'e self, ranges: &[HashRange], mut found: impl FnMut(usize, &'e Placed)) {
        if ranges.is_empty() {
            return;
        }
        for placed in self.placed() {
            let place = placed.place();
            let behind = ranges.partition_point(|range| range.first <= place);
            if let Some(at) = behind.checked_sub(1).filter(|&at| place <= ranges[at].last()) {
                found(at, placed);
            }
        }
    }
}
