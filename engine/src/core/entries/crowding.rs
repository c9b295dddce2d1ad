//! Crowding: which values go where there are more than a node may hold.

use super::view::{EntriesView, Placed};
use crate::core::entry::{Entry, EntryKey, EntryKind};

/// How many of the last places are found in one look through all: at a limit each value that
/// comes in may push out one.
const FOUND_AT_ONCE: usize = 1_024;

/// How much there is of values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub count: usize,
    pub bytes: usize,
}

/// The values with the last places, the last one last: none until there were too many once.
#[derive(Clone, Debug)]
pub(super) struct LastPlaces {
    /// All values behind it are among them, and perhaps some that are no more.
    from: u64,
    last: Vec<(u64, EntryKey)>,
}

impl Default for LastPlaces {
    fn default() -> Self {
        Self { from: u64::MAX, last: Vec::new() }
    }
}

impl LastPlaces {
    /// Takes note of a value that is held now.
    pub(super) fn note(&mut self, place: u64, key: &EntryKey) {
        if place < self.from {
            return;
        }
        let at = self.last.partition_point(|(other, _)| *other <= place);
        self.last.insert(at, (place, key.clone()));
        if self.last.len() > 2 * FOUND_AT_ONCE {
            *self = Self::default();
        }
    }

    /// The values behind a place, the last first, until they have the size that is needed; `None`
    /// if all of them don't.
    pub(super) fn take_behind(
        &mut self,
        place: u64,
        view: &EntriesView,
        needed: Size,
    ) -> Option<Vec<Entry>> {
        while self.last.pop_if(|(_, key)| value(view, key).is_none()).is_some() {}
        loop {
            let (mut victims, mut found, mut at) =
                (Vec::<Entry>::new(), Size::default(), self.last.len());
            let is_short = |found: Size| found.count < needed.count || found.bytes < needed.bytes;
            while is_short(found) && at > 0 && self.last[at - 1].0 > place {
                at -= 1;
                let is_new = |entry: &&Entry| victims.last() != Some(*entry);
                if let Some(entry) = value(view, &self.last[at].1).filter(is_new) {
                    found.count += 1;
                    found.bytes += entry.len();
                    victims.push(entry.clone());
                }
            }
            if !is_short(found) {
                self.last.truncate(at);
                return Some(victims);
            }
            if at > 0 || self.from <= place {
                return None;
            }
            self.find(view, FOUND_AT_ONCE + 2 * victims.len());
        }
    }

    /// Looks through all values for those with the last places.
    fn find(&mut self, view: &EntriesView, count: usize) {
        let mut places: Vec<u64> = values(view).map(Placed::place).collect();
        let cut = places.len().saturating_sub(count);
        self.from = match cut {
            0 => 0,
            _ => *places.select_nth_unstable(cut).1,
        };
        let last = values(view).filter(|placed| placed.place() >= self.from);
        self.last = last.map(|placed| (placed.place(), placed.entry().key().clone())).collect();
        self.last.sort_unstable();
    }
}

fn values(view: &EntriesView) -> impl Iterator<Item = &Placed> {
    view.iter().filter(|placed| placed.entry().kind() == EntryKind::Put)
}

fn value<'v>(view: &'v EntriesView, key: &EntryKey) -> Option<&'v Entry> {
    let held = view.held(key.as_str()).map(Placed::entry);
    held.filter(|entry| entry.kind() == EntryKind::Put)
}
