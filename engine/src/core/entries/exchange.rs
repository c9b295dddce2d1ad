//! Exchanges: how two maps find what they hold differently, and mend it.
//!
//! One begins with the sums of all, and each message answers the last: sums that differ by those of
//! their parts or by a list, a list by what is lacking on either side. Every message stands for
//! itself, so that a lost one leaves the rest as it is, and one that comes twice changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::FxHashSet;

use super::ranges::{CountedRange, HashRange, PlacedRank, RangeContent, RangePart};
use super::view::Placed;
use super::{Entries, Merged};
use crate::core::entry::{Entry, EntryKey, EntryKind, Stamp, rank_hash};
use crate::core::metadata::Version;
use crate::time::Instant;

/// How the messages of an exchange travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExchangePath {
    /// A few packets, for a few differences.
    Datagrams,
    /// As many as it takes.
    Stream,
}

/// One message of an exchange. What is empty in it takes no place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Differences {
    /// What we hold in some ranges, to be compared; in order.
    pub parts: Vec<RangePart>,
    /// What we lack; in order.
    pub wanted: Vec<PlacedRank>,
    /// What we hold of keys of which the other holds something else; in order.
    pub heads: Vec<EntryHead>,
    /// What the other lacks.
    pub entries: Vec<AgedEntry>,
    /// What the other is to drop.
    pub dead: Vec<DeadEntry>,
}

/// An entry without its key and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryHead {
    /// The place of its key.
    pub place: u64,
    /// Which write it is.
    pub stamp: Stamp,
    /// What it says.
    pub kind: EntryKind,
}

/// An entry that is this old.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AgedEntry {
    /// The entry.
    pub entry: Entry,
    /// How old; nothing where age plays no part.
    pub age: Duration,
}

/// A write that was deleted, and its tombstone forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeadEntry {
    /// The key.
    pub key: EntryKey,
    /// The version.
    pub version: Version,
}

/// What a message changed, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchanged {
    /// The entries that came, and what became of each.
    pub merged: Vec<(Entry, Merged)>,
    /// What was dropped because the other knows that it is dead.
    pub dropped: Vec<Entry>,
    /// The answer.
    pub answer: ExchangeAnswer,
}

/// The answer to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExchangeAnswer {
    /// None: if the maps are the same now, both may join their coverage.
    Nothing,
    /// This message.
    Differences(Box<Differences>),
    /// An exchange by stream, which either begins anew: too much differs for datagrams.
    ByStream,
}

/// Why a message is refused as a whole: it is counted, and nothing of it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uninvited {
    /// A range that is no part of what we asked about, or out of order, or content that is.
    Range,
    /// An entry, or a word about one, from where nothing was listed.
    Entry,
}

/// One side of an exchange: what it has told, within which alone it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    path: ExchangePath,
    opening: Opening,
    /// Ranges of which sums were sent: their parts may come.
    summed: BTreeSet<HashRange>,
    /// Ranges of which a list was sent or came: their entries may come.
    listed: BTreeSet<HashRange>,
}

/// Who sends the first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Ours,
    Theirs,
}

impl Exchange {
    /// The most of the ranges of all places that may differ for an exchange by datagrams: with 16
    /// its longest message is some 8 kB.
    const DIFFERING_MAX: usize = HashRange::CUT / 4;

    /// Begins an exchange, with its first message.
    pub(crate) fn begin(path: ExchangePath, entries: &Entries) -> (Self, Differences) {
        let mut exchange = Self::of(path, Opening::Ours);
        let parts = exchange.tell(entries, &[entries.whole()]);
        (exchange, Differences { parts, ..Differences::default() })
    }

    /// Waits for the first message.
    pub(crate) fn answering(path: ExchangePath) -> Self {
        Self::of(path, Opening::Theirs)
    }

    fn of(path: ExchangePath, opening: Opening) -> Self {
        Self { path, opening, summed: BTreeSet::new(), listed: BTreeSet::new() }
    }

    /// Takes a message: merges what it brings, compares the rest, and answers.
    ///
    /// # Errors
    /// When it answers what was not asked; nothing of it was taken then.
    pub(crate) fn take(
        &mut self,
        entries: &mut Entries,
        theirs: Differences,
        now: Instant,
    ) -> Result<Exchanged, Uninvited> {
        self.check(&theirs)?;
        let mut reply = Differences::default();
        let dead = theirs.dead.iter();
        let dropped = dead.filter_map(|dead| entries.drop_dead(&dead.key, dead.version)).collect();
        let come = theirs.entries.into_iter();
        let merged = come.map(|come| reply.merge(entries, come, now)).collect();
        reply.give(entries, &theirs.heads, &theirs.wanted, now);
        let children = differing(entries, &theirs.parts);
        if self.is_too_much(&theirs.parts, children.len()) {
            return Ok(Exchanged { merged, dropped, answer: ExchangeAnswer::ByStream });
        }
        for part in &theirs.parts {
            if let RangeContent::List(_) = part.content {
                self.listed.insert(part.range);
            }
        }
        reply.compare(entries, &theirs.parts, now);
        reply.parts = self.tell(entries, &children);
        Ok(Exchanged { merged, dropped, answer: reply.into_answer() })
    }

    /// What is told of ranges, with a note that it was.
    fn tell(&mut self, entries: &Entries, ranges: &[CountedRange]) -> Vec<RangePart> {
        let parts = entries.parts(ranges);
        for part in &parts {
            match part.content {
                RangeContent::Sums(_) => self.summed.insert(part.range),
                RangeContent::List(_) => self.listed.insert(part.range),
            };
        }
        parts
    }

    fn is_too_much(&self, theirs: &[RangePart], differing: usize) -> bool {
        let of_all = theirs.first().is_some_and(|part| part.range == HashRange::ALL);
        of_all && self.path == ExchangePath::Datagrams && differing > Self::DIFFERING_MAX
    }

    fn check(&self, theirs: &Differences) -> Result<(), Uninvited> {
        let in_order = |pair: &[RangePart]| pair[0].range.last() < pair[1].range.first();
        let is_invited = |part: &RangePart| self.invites(part.range) && part.is_sound();
        if !theirs.parts.windows(2).all(in_order) || !theirs.parts.iter().all(is_invited) {
            return Err(Uninvited::Range);
        }
        let sorted = theirs.wanted.is_sorted_by(|one, two| one < two)
            && theirs.heads.is_sorted_by(|one, two| one.place < two.place);
        let place = |key: &EntryKey| EntryKey::place(key.as_str());
        let mut places = (theirs.wanted.iter().map(|wanted| wanted.place))
            .chain(theirs.heads.iter().map(|head| head.place))
            .chain(theirs.entries.iter().map(|aged| place(aged.entry.key())))
            .chain(theirs.dead.iter().map(|dead| place(&dead.key)));
        if !sorted || !places.all(|place| self.lists(place)) {
            return Err(Uninvited::Entry);
        }
        Ok(())
    }

    fn invites(&self, range: HashRange) -> bool {
        match range.parent() {
            Some(parent) => self.summed.contains(&parent),
            None => self.opening == Opening::Theirs,
        }
    }

    fn lists(&self, place: u64) -> bool {
        let mut around = (0..=HashRange::DEPTH_MAX).map(|depth| HashRange::around(place, depth));
        !self.listed.is_empty() && around.any(|range| self.listed.contains(&range))
    }
}

impl RangePart {
    /// Whether it is in order, and no more than may be sent at once.
    fn is_sound(&self) -> bool {
        match &self.content {
            RangeContent::Sums(_) => self.range.depth() < HashRange::DEPTH_MAX,
            RangeContent::List(list) => {
                let range = self.range.first()..=self.range.last();
                list.len() <= RangeContent::LIST_MAX
                    && list.is_sorted_by(|one, two| one < two)
                    && list.iter().all(|one| range.contains(&one.place))
            }
        }
    }
}

/// The parts of ranges whose sums differ from ours.
fn differing(entries: &Entries, theirs: &[RangePart]) -> Vec<CountedRange> {
    let summed = theirs.iter().filter_map(|part| match &part.content {
        RangeContent::Sums(sums) => Some((part.range, &**sums)),
        RangeContent::List(_) => None,
    });
    let (ranges, theirs): (Vec<HashRange>, Vec<_>) = summed.unzip();
    let ours = entries.sums(&ranges);
    let pairs = ours.iter().zip(ranges.iter().zip(theirs));
    pairs.flat_map(|(ours, (&range, theirs))| ours.differing(range, theirs)).collect()
}

impl Differences {
    /// Merges an entry that came, and answers what is older than ours, or dead.
    fn merge(&mut self, entries: &mut Entries, come: AgedEntry, now: Instant) -> (Entry, Merged) {
        let AgedEntry { entry, age } = come;
        let merged = entries.merge(&entry, age, now);
        match &merged {
            Merged::Older => {
                self.entries.extend(entries.held(entry.key()).map(|held| entries.aged(held, now)));
            }
            Merged::Dead => self.declare_dead(entry.key(), entry.stamp().version),
            Merged::Newer { .. } | Merged::Same | Merged::Refused(_) => {}
        }
        (entry, merged)
    }

    fn declare_dead(&mut self, key: &EntryKey, version: Version) {
        self.dead.push(DeadEntry { key: key.clone(), version });
    }

    /// Answers what the other asks for, and what it says of keys that both hold.
    fn give(
        &mut self,
        entries: &Entries,
        heads: &[EntryHead],
        wanted: &[PlacedRank],
        now: Instant,
    ) {
        let places = heads.iter().map(|head| head.place).chain(wanted.iter().map(|it| it.place));
        let found = entries.at(&places.collect());
        let at = |place: u64| {
            let from = found.partition_point(|placed| placed.place() < place);
            found[from..].iter().take_while(move |placed| placed.place() == place)
        };
        for wanted in wanted {
            let exact = at(wanted.place).filter(|placed| PlacedRank::from(**placed) == *wanted);
            self.entries.extend(exact.map(|placed| entries.aged(placed.entry(), now)));
        }
        for head in heads {
            let ours: Vec<&Entry> = at(head.place).map(|placed| placed.entry()).collect();
            self.meet(entries, head, &ours, now);
        }
        self.wanted.sort_unstable();
    }

    /// Answers what the other holds of a key by what we hold of it: mostly one entry.
    fn meet(&mut self, entries: &Entries, head: &EntryHead, ours: &[&Entry], now: Instant) {
        let rank = (head.stamp.version, head.kind);
        let is_newer = ours.iter().all(|entry| entry.rank() < rank);
        let is_dead = |entry: &&Entry| entries.is_dead_stamp(entry.key(), &head.stamp);
        match ours.iter().find(|entry| is_dead(entry)).filter(|_| is_newer) {
            Some(entry) => {
                self.declare_dead(entry.key(), head.stamp.version);
                self.entries.push(entries.aged(entry, now));
            }
            None if is_newer => {
                let rank_hash = rank_hash(head.stamp.version, head.kind);
                self.wanted.push(PlacedRank { place: head.place, rank_hash });
            }
            None => {
                let newer = ours.iter().filter(|entry| entry.rank() > rank);
                self.entries.extend(newer.map(|entry| entries.aged(entry, now)));
            }
        }
    }

    /// Compares lists with what we hold in their ranges.
    fn compare(&mut self, entries: &Entries, theirs: &[RangePart], now: Instant) {
        let listed = theirs.iter().filter_map(|part| match &part.content {
            RangeContent::Sums(_) => None,
            RangeContent::List(list) => Some((part.range, list)),
        });
        let (ranges, lists): (Vec<HashRange>, Vec<_>) = listed.unzip();
        for (list, mut ours) in lists.into_iter().zip(entries.within(&ranges)) {
            ours.sort_unstable_by_key(|&placed| PlacedRank::from(placed));
            let is_listed =
                |place: u64| list.binary_search_by_key(&place, |listed| listed.place).is_ok();
            for &placed in &ours {
                match list.binary_search(&placed.into()) {
                    Ok(_) => {}
                    Err(_) if is_listed(placed.place()) => self.heads.push(EntryHead::of(placed)),
                    Err(_) => self.entries.push(entries.aged(placed.entry(), now)),
                }
            }
            let is_held =
                |place: u64| ours.binary_search_by_key(&place, |held| held.place()).is_ok();
            self.wanted.extend(list.iter().filter(|listed| !is_held(listed.place)));
        }
        self.wanted.sort_unstable();
        // Two keys at one place are made up to be there.
        self.heads.dedup_by_key(|head| head.place);
    }

    fn into_answer(self) -> ExchangeAnswer {
        if self == Self::default() {
            return ExchangeAnswer::Nothing;
        }
        ExchangeAnswer::Differences(Box::new(self))
    }
}

impl EntryHead {
    fn of(placed: &Placed) -> Self {
        let (stamp, kind) = (*placed.entry().stamp(), placed.entry().kind());
        Self { place: placed.place(), stamp, kind }
    }
}

impl Entries {
    fn aged(&self, entry: &Entry, now: Instant) -> AgedEntry {
        self.view.aged(entry, now)
    }

    /// What is held at places, in their order.
    fn at(&self, places: &FxHashSet<u64>) -> Vec<&Placed> {
        if places.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<&Placed> =
            self.placed().filter(|placed| places.contains(&placed.place())).collect();
        found.sort_unstable_by_key(|placed| placed.place());
        found
    }
}

#[cfg(test)]
mod tests;
