//! Ages: how old the entries are that get old, and when that matters next.

use std::cmp::Ordering;
use std::time::Duration;

use super::EntryLimits;
use super::tree::Tree;
use crate::core::entry::{Entry, EntryKind};
use crate::time::{Instant, nanos};

/// A point in time by the local clock, which may lie before its zero: what is older than we are
/// stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Born(i64);

impl Born {
    pub(super) fn ago(now: Instant, age: Duration) -> Self {
        Self(signed(now.as_nanos()).saturating_sub(signed(nanos(age))))
    }

    pub(super) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(signed(nanos(duration))))
    }

    pub(super) fn age(self, now: Instant) -> Duration {
        let age = signed(now.as_nanos()).saturating_sub(self.0);
        Duration::from_nanos(u64::try_from(age).unwrap_or(0))
    }

    fn instant(self) -> Instant {
        Instant::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// What becomes of an entry next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AgeEvent {
    /// A put is no longer shown.
    Hide,
    /// It becomes a tombstone.
    Bury,
    /// A tombstone is forgotten.
    Forget,
}

/// When an entry began, in the order of keys.
#[derive(Clone, Debug)]
struct Birth {
    entry: Entry,
    born: Born,
    fate: AgeEvent,
}

/// What is due, the first of a kind first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DueEntry {
    fate: AgeEvent,
    at: Born,
    entry: Entry,
}

impl PartialEq for Birth {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Birth {}

impl PartialOrd for Birth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Birth {
    fn cmp(&self, other: &Self) -> Ordering {
        self.entry.key().cmp(other.entry.key())
    }
}

impl PartialOrd for DueEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DueEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = (self.fate, self.at).cmp(&(other.fate, other.at));
        order.then_with(|| self.entry.key().cmp(other.entry.key()))
    }
}

/// The ages of all entries that have one; a clone shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Ages {
    births: Tree<Birth>,
    due: Tree<DueEntry>,
    tombstones: usize,
}

impl Ages {
    /// How many tombstones there are.
    pub(super) fn tombstones(&self) -> usize {
        self.tombstones
    }

    pub(super) fn born(&self, entry: &Entry) -> Option<Born> {
        self.birth(entry).map(|birth| birth.born)
    }

    /// Begins to count; nothing where age plays no part.
    pub(super) fn insert(&mut self, entry: &Entry, born: Born, limits: &EntryLimits) {
        if entry.ages() {
            let fate =
                if entry.kind() == EntryKind::Put { AgeEvent::Hide } else { AgeEvent::Forget };
            self.tombstones += usize::from(fate == AgeEvent::Forget);
            self.set(Birth { entry: entry.clone(), born, fate }, limits);
        }
    }

    pub(super) fn remove(&mut self, entry: &Entry, limits: &EntryLimits) {
        let of_key = |birth: &Birth| birth.entry.key().cmp(entry.key());
        if let Some(birth) = self.births.remove(of_key) {
            self.tombstones -= usize::from(birth.fate == AgeEvent::Forget);
            let due = birth.due(limits);
            self.due.remove(|other| other.cmp(&due));
        }
    }

    /// Takes over an age, if it is the older: who hears of something late hears of its age too.
    pub(super) fn make_older(&mut self, entry: &Entry, born: Born, limits: &EntryLimits) {
        let Some(birth) = self.birth(entry).filter(|birth| born < birth.born).cloned() else {
            return;
        };
        let due = birth.due(limits);
        self.due.remove(|other| other.cmp(&due));
        self.set(Birth { born, ..birth }, limits);
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let firsts =
            [AgeEvent::Hide, AgeEvent::Bury, AgeEvent::Forget].map(|fate| self.first(fate));
        firsts.into_iter().flatten().map(|due| due.at.instant()).min()
    }

    /// The first entry that has this before it, if its time has come.
    pub(super) fn due(&self, fate: AgeEvent, now: Instant) -> Option<&Entry> {
        let due = self.first(fate).filter(|due| due.at <= Born::ago(now, Duration::ZERO));
        due.map(|due| &due.entry)
    }

    /// The tombstone that will be forgotten first.
    pub(super) fn oldest_tombstone(&self) -> Option<&Entry> {
        self.first(AgeEvent::Forget).map(|due| &due.entry)
    }

    /// Takes note that an entry is no longer shown.
    pub(super) fn hidden(&mut self, entry: &Entry, limits: &EntryLimits) {
        if let Some(birth) = self.birth(entry).cloned() {
            let due = birth.due(limits);
            self.due.remove(|other| other.cmp(&due));
            self.set(Birth { fate: AgeEvent::Bury, ..birth }, limits);
        }
    }

    fn birth(&self, entry: &Entry) -> Option<&Birth> {
        self.births.get(|birth| birth.entry.key().cmp(entry.key()))
    }

    fn first(&self, fate: AgeEvent) -> Option<&DueEntry> {
        self.due.iter_from(|due| due.fate < fate).next().filter(|due| due.fate == fate)
    }

    fn set(&mut self, birth: Birth, limits: &EntryLimits) {
        self.due.insert(birth.due(limits));
        self.births.insert(birth);
    }
}

impl Birth {
    fn due(&self, limits: &EntryLimits) -> DueEntry {
        let ttl = self.entry.terms().ttl.unwrap_or_default();
        let age = match self.fate {
            AgeEvent::Hide => ttl,
            // Others see it expire a little earlier or later: two cycles later all have hidden it.
            AgeEvent::Bury => ttl.saturating_add(2 * limits.cycle),
            AgeEvent::Forget => limits.tombstone_ttl,
        };
        DueEntry { fate: self.fate, at: self.born.after(age), entry: self.entry.clone() }
    }
}
