//! Keeping: whether the newest value outlives those who leave politely.
//!
//! A goodbye that was answered with Ok promises that what the leaver held is in other hands. A
//! crash promises nothing: what only the dead held is lost with them.

use std::collections::BTreeSet;

use rumormill::Version;
use rumormill::time::Instant;

use crate::scenario::plan::NodeNo;

/// Who holds the newest value that anybody ever held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeping {
    newest: Option<Version>,
    holders: BTreeSet<NodeNo>,
    /// Those of them that have said goodbye and are not off yet.
    leaving: BTreeSet<NodeNo>,
    /// Whether it was in other hands than those of whoever held it first.
    shared: bool,
    first: Option<NodeNo>,
    /// The leaver that was the last to hold it, though others were there to take it.
    lost: Option<(Instant, NodeNo, Version)>,
}

/// Who could take what a leaver holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heirs {
    /// Nobody who stays is listed.
    None,
    /// Some are, and some link is cut.
    Beyond,
    /// Some are, and all links are open.
    Near,
}

impl Keeping {
    pub(crate) fn hold(&mut self, node: NodeNo, version: Version) {
        if self.newest < Some(version) {
            self.newest = Some(version);
            self.holders.clear();
            self.leaving.clear();
            (self.first, self.shared) = (Some(node), false);
        }
        if self.newest == Some(version) {
            self.holders.insert(node);
            self.shared |= self.first != Some(node);
            self.lost = None;
        }
    }

    /// A node is gone without a word.
    pub(crate) fn crash(&mut self, node: NodeNo) {
        self.holders.remove(&node);
        self.leaving.remove(&node);
    }

    /// A node says goodbye.
    pub(crate) fn leave(&mut self, node: NodeNo) {
        if self.holders.remove(&node) {
            self.leaving.insert(node);
        }
    }

    /// A leaver is off. `promised` is whether it was told that others hold what it held: who had it
    /// from another answers for its way to the rest only while no link is cut.
    pub(crate) fn off(&mut self, at: Instant, node: NodeNo, promised: bool, heirs: Heirs) {
        let was_last =
            self.leaving.remove(&node) && self.leaving.is_empty() && self.holders.is_empty();
        let vouches = match heirs {
            Heirs::None => false,
            Heirs::Beyond => !self.shared,
            Heirs::Near => true,
        };
        if let Some(version) = self.newest.filter(|_| was_last && promised && vouches) {
            self.lost = Some((at, node, version));
        }
    }

    /// The value that was lost in spite of a promise: when, by whom, which.
    pub(crate) fn lost(&self) -> Option<(Instant, NodeNo, Version)> {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testkit::at_ms;
    use rumormill::node::NodeId;

    fn version(nanos: i64) -> Version {
        Version { nanos, writer: NodeId(1), digest: [0; 16] }
    }

    #[test]
    fn a_value_that_only_leavers_held_is_lost_when_the_last_of_them_is_off() {
        let mut keeping = Keeping::default();
        keeping.hold(1, version(1));
        keeping.hold(1, version(2));
        keeping.hold(2, version(2));
        keeping.leave(1);
        keeping.leave(2);
        keeping.off(at_ms(1), 1, true, Heirs::Near);
        assert_eq!(keeping.lost(), None, "the other may still hand it over");
        keeping.off(at_ms(2), 2, true, Heirs::Near);
        assert_eq!(keeping.lost(), Some((at_ms(2), 2, version(2))));
        keeping.hold(3, version(2));
        assert_eq!(keeping.lost(), None, "it was on its way");
    }

    #[test]
    fn behind_a_cut_only_who_alone_ever_held_a_value_answers_for_it() {
        for (others, is_lost) in [(0, true), (1, false)] {
            let mut keeping = Keeping::default();
            keeping.hold(1, version(1));
            for other in 2..2 + others {
                keeping.hold(other, version(1));
                keeping.crash(other);
            }
            keeping.leave(1);
            keeping.off(at_ms(1), 1, true, Heirs::Beyond);
            assert_eq!(keeping.lost().is_some(), is_lost, "{others} others");
        }
    }

    #[test]
    fn who_crashes_who_was_told_so_and_who_was_alone_broke_no_promise() {
        let held = || {
            let mut keeping = Keeping::default();
            keeping.hold(1, version(1));
            keeping
        };
        let mut crashed = held();
        crashed.crash(1);
        let mut warned = held();
        warned.leave(1);
        warned.off(at_ms(1), 1, false, Heirs::Near);
        let mut alone = held();
        alone.leave(1);
        alone.off(at_ms(1), 1, true, Heirs::None);
        assert_eq!([crashed.lost(), warned.lost(), alone.lost()], [None; 3]);
    }
}
