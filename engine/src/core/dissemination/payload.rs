//! Payloads: what a rumor may carry, and all that its telling has to know of it.
//!
//! How news gets to everybody does not depend on what it is. What does, is asked here: which
//! copies are the same, which older news they make needless, how many are remembered, and whom
//! they are about.

use std::net::SocketAddr;

use super::rumors::RumorKey;
use crate::config::Liveness;
use crate::core::entry::Fingerprint;
use crate::core::metadata::{Metadata, Version};
use crate::core::packet::{AgedEntry, Announcement, Cause, MembershipUpdate, Subject};

/// Something that can be told along arcs of the ring.
pub(super) trait Payload {
    /// What makes two rumors the same, whatever the age of the copy.
    fn key(&self, liveness: Liveness) -> RumorKey;

    /// The version that it brings or announces: publishers may wait to hear who holds it.
    fn version(&self) -> Option<Version> {
        None
    }

    /// True when the rumor of that key need not be told any longer once this is held.
    fn supersedes(&self, older: &RumorKey) -> bool {
        let RumorKey::Value(older) = older else { return false };
        self.version().is_some_and(|version| *older < version)
    }

    /// Who is not told of it, being the one that it is about.
    fn about(&self) -> Option<SocketAddr> {
        None
    }

    /// Among how many others it is remembered.
    fn retention(&self) -> Retention {
        Retention::Few
    }
}

/// How many rumors of a kind are remembered: of more the oldest makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    /// A duplicate of an older one is shared out once more.
    Few,
    /// So many may leave together, and whatever is forgotten before somebody answers for it is
    /// left to the swaps, which take cycles.
    Goodbyes,
    /// Many may be written within a round trip.
    Entries,
}

impl Retention {
    pub(super) const FEW: usize = 16;

    pub(super) fn max(self) -> usize {
        match self {
            Self::Few => Self::FEW,
            Self::Goodbyes => 512,
            Self::Entries => 256,
        }
    }
}

impl Payload for MembershipUpdate {
    fn key(&self, liveness: Liveness) -> RumorKey {
        match self {
            Self::Member(sighting) => {
                // It tells refutations apart; where everybody beats, it changes on the way.
                let counter = if liveness.asks() { sighting.counter } else { 0 };
                RumorKey::Member(sighting.record.digest(), counter)
            }
            Self::Suspected(suspicion) => RumorKey::Suspected(suspicion.clone()),
            Self::Gone(gone) => RumorKey::Gone(gone.addr, gone.generation, gone.cause),
        }
    }

    fn about(&self) -> Option<SocketAddr> {
        Some(match self {
            Self::Member(sighting) => sighting.record.node().addr(),
            Self::Gone(gone) => gone.addr,
            Self::Suspected(suspicion) => suspicion.addr,
        })
    }

    fn retention(&self) -> Retention {
        match self {
            Self::Gone(gone) if gone.cause == Cause::Left => Retention::Goodbyes,
            Self::Member(_) | Self::Gone(_) | Self::Suspected(_) => Retention::Few,
        }
    }
}

impl Payload for Metadata {
    fn key(&self, _: Liveness) -> RumorKey {
        RumorKey::Value(self.version())
    }

    fn version(&self) -> Option<Version> {
        Some(self.version())
    }
}

impl Payload for Vec<AgedEntry> {
    fn key(&self, _: Liveness) -> RumorKey {
        let mut all = Fingerprint::default();
        self.iter().for_each(|aged| all.add(aged.entry.print()));
        RumorKey::Entries(all)
    }

    fn retention(&self) -> Retention {
        Retention::Entries
    }
}

impl Payload for Announcement {
    fn key(&self, _: Liveness) -> RumorKey {
        RumorKey::Value(self.version)
    }

    fn version(&self) -> Option<Version> {
        Some(self.version)
    }
}

/// What a rumor of this topic carries.
pub(super) fn payload(topic: &Subject) -> &dyn Payload {
    match topic {
        Subject::Membership(news) => news,
        Subject::Metadata(metadata) => metadata,
        Subject::Announced(announcement) => announcement,
        Subject::Entries(entries) => entries,
    }
}
