//! Agreement: how many of those we heard from lately hold what we hold.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::engine::Engine;
use super::packet::Holds;

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
pub(super) struct Reports {
    recent: VecDeque<Report>,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    from: SocketAddr,
    holds: Holds,
}

impl Reports {
    const RECENT_MAX: usize = 32;

    fn note(&mut self, from: SocketAddr, holds: Holds) {
        self.recent.retain(|report| report.from != from);
        if self.recent.len() == Self::RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Report { from, holds });
    }

    /// Who said last that it holds the version of this hash, the latest first.
    pub(super) fn holders_of(&self, version: u64) -> impl Iterator<Item = SocketAddr> {
        let holds = move |report: &&Report| report.holds.version == version;
        self.recent.iter().rev().filter(holds).map(|report| report.from)
    }
}

impl Engine {
    /// Takes what a member says that it holds; of others anybody could send us any number.
    pub(super) fn note_report(&mut self, from: SocketAddr, holds: Holds) {
        if self.lists(from) {
            self.reports.note(from, holds);
        }
    }

    /// How far those that spoke with us lately hold what we hold now.
    pub fn agreement(&self) -> Agreement {
        let ours = self.holds();
        let listed = self.reports.recent.iter().filter(|report| self.lists(report.from));
        // Of names that stand for no address yet an engine knows nothing: its driver does.
        let reach = if self.is_alone() { Reach::Seeking } else { Reach::Others };
        let nobody = Agreement { reach, ..Agreement::default() };
        listed.fold(nobody, |sum, report| Agreement {
            peers: sum.peers + 1,
            same: sum.same + usize::from(report.holds == ours),
            ..sum
        })
    }
}
