//! Holdings: what a node holds of entries, made when the first is written or comes.
//!
//! Most engines of a large simulation hold none, and a map takes hundreds of bytes.

use std::sync::Arc;
use std::time::Duration;

use super::{Context, Ground};
use crate::config::Config;
use crate::core::entries::{Covered, Entries, EntryLimits};
use crate::core::entry::{Entry, EntryKey, Fingerprint, Incarnation, PutError, Terms};
use crate::core::packet::{AgedEntry, EntriesSummary};
use crate::core::record::Record;
use crate::core::settings::EntryRoom;
use crate::node::Generation;
use crate::time::Now;

impl Context<'_> {
    /// The entries, if there were ever any.
    pub(crate) fn entries(&self) -> Option<&Entries> {
        self.entries.as_deref()
    }

    /// The entries, to be changed. What is written here is written by our own incarnation.
    pub(crate) fn entries_mut(&mut self) -> &mut Entries {
        let writer = self.me.incarnation();
        let limits = limits(self.config);
        let entries = self.entries.get_or_insert_with(|| Entries::new(writer, limits).into());
        entries.start_as(writer);
        entries
    }

    /// Takes back the entries that a former life kept, each as old as it is by now, and its
    /// coverage.
    pub(crate) fn restore_entries(
        &mut self,
        kept: impl Iterator<Item = (Entry, Duration)>,
        coverage: &[Covered],
    ) {
        let (writer, limits) = (self.me.incarnation(), limits(self.config));
        let entries = Entries::restored(writer, limits, kept, coverage, self.now.mono);
        *self.entries = Some(entries.into());
    }

    /// Ends what was bound to our former lives. Others do when they see a new one in the place of
    /// the old; if all nodes went at once nobody does.
    pub(crate) fn end_former_lives(&mut self) {
        let Incarnation { place, generation } = self.me.incarnation();
        let Some(former) = Generation::new(generation.get() - 1) else { return };
        let now = self.now.mono;
        self.entries_mut().expire_bound(place, former, now);
    }

    /// What is held of entries, in constant space.
    pub(crate) fn entries_summary(&self) -> EntriesSummary {
        let covered = |entries: &Entries| entries.coverage().fingerprint().fold();
        let held = entries_held(self.entries());
        let room = Some(EntryRoom::of(self.config));
        EntriesSummary { held, covered: self.entries().map_or(0, covered), room }
    }

    /// An entry with its age by now.
    pub(crate) fn aged_entry(&self, entry: &Entry) -> AgedEntry {
        let age = self.entries().map_or(Duration::ZERO, |held| held.age(entry, self.now.mono));
        AgedEntry { entry: entry.clone(), age }
    }
}

/// Entries that many engines begin with, and share until they change.
#[derive(Clone, Debug)]
pub struct PreloadedEntries(Entries);

impl PreloadedEntries {
    /// Values that a member wrote then.
    ///
    /// # Errors
    /// When they are more than fit in these settings.
    pub fn of(
        config: &Config,
        writer: &Record,
        now: Now,
        values: impl IntoIterator<Item = (EntryKey, Arc<[u8]>)>,
    ) -> Result<Self, PutError> {
        let mut entries = Entries::new(writer.incarnation(), limits(config));
        for (key, data) in values {
            entries.put(key, data, Terms::default(), now)?;
        }
        Ok(Self(entries))
    }
}

impl Ground {
    /// Holds these from the beginning.
    pub(crate) fn hold(&mut self, PreloadedEntries(shared): &PreloadedEntries) {
        let held = shared.clone().taken_over(self.me.incarnation(), limits(&self.config));
        self.entries = Some(held.into());
    }
}

/// What entries are known by; none have that of an empty map.
pub(super) fn entries_held(entries: Option<&Entries>) -> Fingerprint {
    entries.map_or(Fingerprint::default(), Entries::fingerprint)
}

fn limits(config: &Config) -> EntryLimits {
    EntryLimits {
        len_max: config.entry_len_max(),
        metadata_len_max: config.metadata_len_max(),
        count_max: config.entries_max(),
        bytes_max: config.entries_bytes_max(),
        tombstone_ttl: config.tombstone_ttl(),
        cycle: config.cycle(),
    }
}
