//! Dissemination: how news reaches everybody.
//!
//! A rumor is told along arcs of the ring and acknowledged (`broadcast.rs`); beats and news that
//! come in numbers travel in bulk, to a few at random (`bulk.rs`). What others are known to hold
//! of a value, and by which paths it gets to them, is kept here too.

mod broadcast;
mod bulk;
mod holders;
mod paths;
mod payload;
mod rumors;

use self::bulk::BulkGossip;
use self::holders::Holders;
use self::paths::Paths;
pub(crate) use self::payload::Retention;
use self::rumors::Broadcasts;

/// What is being told, and what is known of those who are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dissemination {
    broadcasts: Broadcasts,
    bulk: BulkGossip,
    paths: Paths,
    holders: Holders,
}

impl Dissemination {
    /// True when nothing waits for an acknowledgement.
    pub(crate) fn is_told(&self) -> bool {
        self.broadcasts.next().is_none()
    }

    /// Rumors of a kind that are told or were told lately.
    pub(crate) fn rumors_len(&self, kind: Retention) -> usize {
        self.broadcasts.len_of(kind)
    }

    /// Parts of the ring that were handed over, of all rumors.
    pub(crate) fn parts_len(&self) -> usize {
        self.broadcasts.parts_len()
    }

    /// Membership news that waits for the next relay.
    pub(crate) fn waiting_len(&self) -> usize {
        self.bulk.waiting_len()
    }

    /// Publishers that wait until others hold what they published.
    pub(crate) fn publishers_len(&self) -> usize {
        self.holders.waiting_len()
    }
}
