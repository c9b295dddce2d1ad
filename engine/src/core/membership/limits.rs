//! The limit on members: who finds no room in the list is counted, and the service told of it.

use super::Membership;
use crate::core::context::Context;
use crate::core::io::Event;

/// Whether it was told that the list is full, since there was room in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListLimit {
    told: bool,
}

impl Membership {
    /// There was no room for one more.
    pub(super) fn on_list_full(&mut self, cx: &mut Context<'_>) {
        cx.stats.records_over_limit += 1;
        let told = std::mem::replace(&mut self.list_limit.told, true);
        if planted!(FullToldAgain, !told, true) {
            cx.out.event(Event::ListFull { members_max: cx.config.members_max() });
        }
    }

    /// Somebody was listed, so that there was room.
    pub(super) fn note_room(&mut self) {
        self.list_limit.told = false;
    }
}
