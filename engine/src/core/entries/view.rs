//! Views: what readers see of the entries at one moment, shared with the map it is of.

use std::cmp::Ordering;
use std::time::Duration;

use super::ages::Ages;
use super::exchange::AgedEntry;
use super::tree::Tree;
use crate::core::entry::{Entry, EntryKey, EntryKind, Fingerprint};
use crate::time::Instant;

/// The entries of one moment in the order of their keys; a clone shares them.
#[derive(Clone, Debug, Default)]
pub struct EntriesView {
    entries: Tree<Placed>,
    ages: Ages,
}

/// An entry with the hashes by which it is compared, side by side in memory with its neighbours'.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    entry: Entry,
    place: u64,
    rank_hash: u64,
}

impl Placed {
    pub(super) fn of(entry: Entry) -> Self {
        let place = EntryKey::place(entry.key().as_str());
        Self { place, rank_hash: entry.rank_hash(), entry }
    }

    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    pub(super) fn into_entry(self) -> Entry {
        self.entry
    }

    /// The place of its key among all.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    pub(super) fn rank_hash(&self) -> u64 {
        self.rank_hash
    }

    pub(super) fn print(&self) -> Fingerprint {
        Fingerprint::of(self.place, self.rank_hash)
    }

    fn key(&self) -> &str {
        self.entry.key().as_str()
    }
}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Placed {}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// There is one of a key.
impl Ord for Placed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}

impl EntriesView {
    /// The value of a key that has one by now.
    pub fn get(&self, key: &str, now: Instant) -> Option<&Entry> {
        self.held(key).map(Placed::entry).filter(|entry| self.is_shown(entry, now))
    }

    /// The values by now whose keys begin with this, in the order of keys.
    pub fn prefix(&self, prefix: &str, now: Instant) -> impl Iterator<Item = &Entry> {
        let from = self.entries.iter_from(|placed| placed.key() < prefix);
        let found = from.take_while(move |placed| placed.key().starts_with(prefix));
        found.map(Placed::entry).filter(move |entry| self.is_shown(entry, now))
    }

    /// Whether it is a value whose time is not over. Whether the writer of a bound one is listed
    /// is known elsewhere.
    fn is_shown(&self, entry: &Entry, now: Instant) -> bool {
        let is_over = |ttl| self.ages.born(entry).is_some_and(|born| born.age(now) >= ttl);
        entry.kind() == EntryKind::Put && !entry.terms().ttl.is_some_and(is_over)
    }

    /// What is held and was not held by an earlier view, tombstones too, and the keys of which
    /// nothing is held any more.
    pub(crate) fn since(&self, earlier: &Self, now: Instant) -> (Vec<AgedEntry>, Vec<EntryKey>) {
        let is_same = |one: &Placed, two: &Placed| one.entry == two.entry;
        let (new, gone) = self.entries.since(&earlier.entries, is_same);
        let gone = gone.into_iter().map(|placed| placed.entry.key().clone()).collect();
        (new.into_iter().map(|placed| self.aged(&placed.entry, now)).collect(), gone)
    }

    /// An entry that is held, with its age.
    pub(super) fn aged(&self, entry: &Entry, now: Instant) -> AgedEntry {
        AgedEntry { entry: entry.clone(), age: self.age(entry, now) }
    }

    /// How old an entry is that is held; nothing where age plays no part.
    pub(super) fn age(&self, entry: &Entry, now: Instant) -> Duration {
        self.ages.born(entry).map_or(Duration::ZERO, |born| born.age(now))
    }

    /// What is held of a key, tombstones too.
    pub(super) fn held(&self, key: &str) -> Option<&Placed> {
        self.entries.get(|placed| placed.key().cmp(key))
    }

    /// How much is held, tombstones too.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Placed> {
        self.entries.iter()
    }

    pub(super) fn ages(&self) -> &Ages {
        &self.ages
    }

    pub(super) fn ages_mut(&mut self) -> &mut Ages {
        &mut self.ages
    }

    pub(super) fn insert(&mut self, placed: Placed) -> Option<Placed> {
        self.entries.insert(placed)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Placed> {
        self.entries.remove(|placed| placed.key().cmp(key))
    }
}
