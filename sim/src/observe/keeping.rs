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
    /// The leaver that was the last to hold it, though others were there to take it.
    lost: Option<(Instant, NodeNo, Version)>,
}

impl Keeping {
    pub(crate) fn hold(&mut self, node: NodeNo, version: Version) {
        if self.newest < Some(version) {
            self.newest = Some(version);
            self.holders.clear();
            self.leaving.clear();
        }
        if self.newest == Some(version) {
            self.holders.insert(node);
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

    /// A leaver is off. `promised` is whether it was told that others hold what it held; `others`
    /// whether any were there.
    pub(crate) fn off(&mut self, at: Instant, node: NodeNo, promised: bool, others: bool) {
        let was_last =
            self.leaving.remove(&node) && self.leaving.is_empty() && self.holders.is_empty();
        if let Some(version) = self.newest.filter(|_| was_last && promised && others) {
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
        keeping.off(at_ms(1), 1, true, true);
        assert_eq!(keeping.lost(), None, "the other may still hand it over");
        keeping.off(at_ms(2), 2, true, true);
        assert_eq!(keeping.lost(), Some((at_ms(2), 2, version(2))));
        keeping.hold(3, version(2));
        assert_eq!(keeping.lost(), None, "it was on its way");
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
        warned.off(at_ms(1), 1, false, true);
        let mut alone = held();
        alone.leave(1);
        alone.off(at_ms(1), 1, true, false);
        assert_eq!([crashed.lost(), warned.lost(), alone.lost()], [None; 3]);
    }
}
