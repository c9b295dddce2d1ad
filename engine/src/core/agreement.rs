//! Agreement: how many of those we heard from lately hold what we hold.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::packet::StateDigest;
use crate::wire_version::WireVersion;

/// How far the others hold what a node holds, by what each of them last said in a swap, a probe
/// or a join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Agreement {
    /// Listed members that said anything lately, at most 32.
    pub peers: usize,
    /// Those of them that reported the same node list and the same metadata.
    pub same: usize,
    /// Whom the node reaches, if anybody.
    pub reach: Reach,
}

/// Whom a node reaches: what tells one that founds a cluster from one that can't find its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Reach {
    /// Nobody yet, but seeds are being looked up or asked.
    #[default]
    Seeking,
    /// Nobody, and there is nobody to ask: it has no seed but itself, and is the first node.
    First,
    /// Nobody: none of its seeds answers, or all that it had are gone.
    Nobody,
    /// Others are listed.
    Others,
}

impl Agreement {
    /// True when somebody reported anything, and everybody the same.
    pub fn is_full(&self) -> bool {
        self.peers > 0 && self.same == self.peers
    }
}

/// What peers last reported, the oldest report first.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerDigests {
    recent: VecDeque<Report>,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    from: SocketAddr,
    holds: StateDigest,
    /// The version of the wire that it was said in.
    wire: WireVersion,
}

impl PeerDigests {
    const RECENT_MAX: usize = 32;

    pub(crate) fn note(&mut self, from: SocketAddr, holds: StateDigest, wire: WireVersion) {
        self.recent.retain(|report| report.from != from);
        if self.recent.len() == Self::RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Report { from, holds, wire });
    }

    /// Who said last that it holds the version of this hash, the latest first.
    pub(crate) fn holders_of(&self, version: u64) -> impl Iterator<Item = SocketAddr> {
        let holds = move |report: &&Report| report.holds.version == version;
        self.recent.iter().rev().filter(holds).map(|report| report.from)
    }

    /// How many of those who reported are listed.
    pub(crate) fn peers(&self, is_listed: impl Fn(SocketAddr) -> bool) -> usize {
        self.recent.iter().filter(|report| is_listed(report.from)).count()
    }

    /// How many of those hold what a node holds. To look up who is listed takes longest, and just
    /// after something has changed here nobody needs to be.
    pub(crate) fn same(
        &self,
        ours: impl Fn(WireVersion) -> StateDigest,
        is_listed: impl Fn(SocketAddr) -> bool,
    ) -> usize {
        let ours = WireVersion::ALL.map(|wire| (wire, ours(wire)));
        let same = self.recent.iter().filter(|it| ours.contains(&(it.wire, it.holds)));
        same.filter(|report| is_listed(report.from)).count()
    }
}
