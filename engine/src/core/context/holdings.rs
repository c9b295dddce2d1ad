//! Holdings: what a node holds of entries, made when the first is written or comes.
//!
//! Most engines of a large simulation hold none, and a map takes hundreds of bytes.

use std::time::Duration;

use super::Context;
use crate::config::Config;
use crate::core::entries::{Entries, EntryLimits};
use crate::core::entry::{Entry, Fingerprint, Incarnation};
use crate::core::packet::{AgedEntry, EntriesSummary};
use crate::core::settings::EntryRoom;

impl Context<'_> {
    /// The entries, if there were ever any.
    pub(crate) fn entries(&self) -> Option<&Entries> {
        self.entries.as_deref()
    }

    /// The entries, to be changed. What is written here is written by our own incarnation.
    pub(crate) fn entries_mut(&mut self) -> &mut Entries {
        let (place, generation) = (self.me.place(), self.me.generation());
        let writer = Incarnation { place, generation };
        let limits = limits(self.config);
        let entries = self.entries.get_or_insert_with(|| Entries::new(writer, limits).into());
        entries.start_as(writer);
        entries
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
