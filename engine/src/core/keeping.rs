//! Keeping: what of a node outlasts its process, as values that somebody else writes down.
//!
//! A [`Moment`] shares what the node holds and costs no copy, so that what has changed since an
//! earlier one can be worked out, and written, beside the node. All of it is of one moment: a
//! coverage that is ahead of its entries would let the newest of them be lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::entries::{AgedEntry, Coverage, Covered, Entries, EntriesView};
use super::entry::{EntryKey, Fingerprint};
use super::metadata::{Metadata, Version};
use super::record::Digest;
use crate::node::Generation;
use crate::time::Now;

/// What a node keeps of a life for the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptState {
    /// The last generation, above which the next life takes one.
    pub generation: Generation,
    /// The metadata.
    pub metadata: Option<Metadata>,
    /// The entries, tombstones too, each as old as it was then.
    pub entries: Vec<AgedEntry>,
    /// Which writes were held, or what replaced them.
    pub coverage: Vec<Covered>,
    /// Where to look for the others: some of the members, and of those that were lost.
    pub members: Vec<SocketAddr>,
}

impl KeptState {
    /// What the entries and the coverage are known by.
    pub fn fingerprints(&self) -> (Fingerprint, Fingerprint) {
        let (mut entries, mut covered) = <(Fingerprint, Fingerprint)>::default();
        self.entries.iter().for_each(|aged| entries.add(aged.entry.print()));
        self.coverage.iter().for_each(|run| covered.add(run.print()));
        (entries, covered)
    }

    /// The same after so much more time. What is not sure to have passed is better left out: an age
    /// that is too low is put right by the first node that knows better, while one that is too high
    /// ends what is still to hold, on every node.
    #[must_use]
    pub fn aged(mut self, passed: Duration) -> Self {
        for aged in self.entries.iter_mut().filter(|aged| aged.entry.ages()) {
            aged.age = aged.age.saturating_add(passed);
        }
        self
    }
}

/// What has changed of it from one moment to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptChanges {
    /// The generation, changed or not.
    pub generation: Generation,
    /// The metadata, if it has changed.
    pub metadata: Option<Metadata>,
    /// Entries that are new.
    pub entries: Vec<AgedEntry>,
    /// Keys of which nothing is held any more.
    pub gone: Vec<EntryKey>,
    /// Runs of writes that are new, or have grown.
    pub covered: Vec<Covered>,
    /// Runs that are there no more, none of which begins where a new one does.
    pub uncovered: Vec<Covered>,
    /// Where to look for the others, if that has changed.
    pub members: Option<Vec<SocketAddr>>,
}

/// What tells two moments apart, at hardly any cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MomentMark {
    /// What others are told that it is held.
    pub held: HeldMark,
    generation: Generation,
    members: Digest,
}

impl MomentMark {
    pub(super) fn of(held: HeldMark, generation: Generation, members: Digest) -> Self {
        Self { held, generation, members }
    }
}

/// The part of a mark that changes with what the cluster holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldMark {
    metadata: Option<Version>,
    entries: Fingerprint,
    covered: Fingerprint,
}

impl HeldMark {
    pub(super) fn of(metadata: Option<&Metadata>, entries: Option<&Entries>) -> Self {
        Self {
            metadata: metadata.map(Metadata::version),
            entries: entries.map(Entries::fingerprint).unwrap_or_default(),
            covered: entries.map(|held| held.coverage().fingerprint()).unwrap_or_default(),
        }
    }
}

/// What a node held at one moment. The default is that of one that never kept anything.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    mark: MomentMark,
    now: Now,
    metadata: Option<Metadata>,
    entries: EntriesView,
    coverage: Coverage,
    members: Arc<[SocketAddr]>,
}

impl Moment {
    pub(super) fn of(
        now: Now,
        mark: MomentMark,
        metadata: Option<Metadata>,
        entries: Option<&Entries>,
        members: Arc<[SocketAddr]>,
    ) -> Self {
        let coverage = entries.map(Entries::coverage).cloned().unwrap_or_default();
        let entries = entries.map(Entries::view).cloned().unwrap_or_default();
        Self { mark, now, metadata, entries, coverage, members }
    }

    /// What tells it from others.
    pub fn mark(&self) -> MomentMark {
        self.mark
    }

    /// When it was, by the node's own clocks.
    pub fn now(&self) -> Now {
        self.now
    }

    /// What its entries and its coverage are known by.
    pub fn fingerprints(&self) -> (Fingerprint, Fingerprint) {
        (self.mark.held.entries, self.mark.held.covered)
    }

    /// All that is to be kept of it.
    pub fn kept(&self) -> KeptState {
        let all = self.since(&Self::default());
        let KeptChanges { generation, metadata, entries, covered: coverage, members, .. } = all;
        KeptState { generation, metadata, entries, coverage, members: members.unwrap_or_default() }
    }

    /// What has changed since an earlier one; all of it since the default.
    pub fn since(&self, earlier: &Self) -> KeptChanges {
        let (entries, gone) = self.entries.since(&earlier.entries, self.now.mono);
        let (covered, uncovered) = self.coverage.since(&earlier.coverage);
        let is_new = |metadata: &&Metadata| {
            earlier.metadata.as_ref().map(Metadata::version) != Some(metadata.version())
        };
        KeptChanges {
            generation: self.mark.generation,
            metadata: self.metadata.as_ref().filter(is_new).cloned(),
            entries,
            gone,
            covered,
            uncovered,
            members: (self.members != earlier.members).then(|| self.members.to_vec()),
        }
    }
}
