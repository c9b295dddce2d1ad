//! The limit on members: who finds no room in the list is counted, and the service told of it.

use super::engine::Engine;
use super::io::{Event, Outbox};

/// Whether it was told that the list is full, since there was room in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListLimit {
    told: bool,
}

impl Engine {
    /// There was no room for one more.
    pub(super) fn on_list_full(&mut self, out: &mut Outbox) {
        self.stats.records_over_limit += 1;
        let told = std::mem::replace(&mut self.list_limit.told, true);
        if planted!(FullToldAgain, !told, true) {
            out.event(Event::ListFull { members_max: self.config.members_max() });
        }
    }

    /// Somebody was listed, so that there was room.
    pub(super) fn note_room(&mut self) {
        self.list_limit.told = false;
    }
}
