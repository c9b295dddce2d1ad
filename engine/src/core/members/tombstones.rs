//! Tombstones: when members were taken off the list, so that what is left of them is forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Members;
use super::roster::{Interner, NodeIx};
use super::row::State;
use super::seen::AppliedDeparture;
use crate::core::packet::{Cause, Gone};
use crate::time::Instant;

/// When each tombstone was set, and the same in order of time. An entry of the queue that the map
/// doesn't confirm belongs to a member that came back.
#[derive(Clone, Debug, Default)]
pub(super) struct Tombstones {
    set: BTreeMap<NodeIx, Instant>,
    oldest: VecDeque<(Instant, NodeIx)>,
}

impl Tombstones {
    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    pub(super) fn insert(&mut self, now: Instant, node: NodeIx) {
        self.set.insert(node, now);
        self.oldest.push_back((now, node));
    }

    pub(super) fn remove(&mut self, node: NodeIx) {
        self.set.remove(&node);
    }

    /// Takes out the oldest one if it is older than `keep`, or there are more than `max`.
    pub(super) fn take_old(&mut self, now: Instant, keep: Duration, max: usize) -> Option<NodeIx> {
        while let Some(&(at, node)) = self.oldest.front() {
            if planted!(TombstonesStay, now - at <= keep, true) && self.set.len() <= max {
                break;
            }
            self.oldest.pop_front();
            if self.set.get(&node) == Some(&at) {
                self.set.remove(&node);
                return Some(node);
            }
        }
        None
    }

    /// Drops what the queue holds of members that came back, once that is half of it or more.
    pub(super) fn sweep(&mut self, max: usize, interner: &Interner) {
        if self.oldest.len() > 2 * max {
            let mut all: Vec<_> = self.set.iter().map(|(&node, &at)| (at, node)).collect();
            all.sort_unstable_by_key(|&(at, node)| (at, interner.place(node)));
            self.oldest = all.into();
        }
    }
}

impl Members {
    /// Takes news of a departure.
    pub(crate) fn apply_departure(&mut self, now: Instant, gone: &Gone) -> AppliedDeparture {
        let Some(node) = self.node(gone.addr) else {
            // Of whom we never held anything there is nothing to remove. A copy that comes late
            // lists it until its age shows, or a swap with one who knows.
            return AppliedDeparture::Old;
        };
        if node == self.me {
            return self.apply_my_departure(gone);
        }
        let held = self.record(node).generation();
        let other = planted!(GoodbyeOfFormerLife, gone.generation != held, gone.generation > held);
        if other || gone.cause == Cause::Timeout {
            // A tombstone by timeout only blocks what is not newer; a listed member is newer
            // than that, or will run into our own timeout.
            return AppliedDeparture::Old;
        }
        match self.row(node).state() {
            State::Listed => AppliedDeparture::Removed(self.remove(now, node, Cause::Left)),
            State::Gone(Cause::Timeout) => {
                self.row_mut(node).set_state(State::Gone(Cause::Left));
                AppliedDeparture::Noted
            }
            State::Gone(Cause::Left) | State::Vacant => AppliedDeparture::Old,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::{Record, SharedRecords};
    use crate::node::{Generation, Node};

    fn nodes() -> (Interner, Vec<NodeIx>) {
        let record = |port: u16| {
            let node = Node::at(([10, 0, 0, 1], port).into());
            Arc::new(Record::new(node, Generation::default()))
        };
        let interner = Interner::new(Arc::new(SharedRecords::of((1..=9).map(record))));
        let nodes = interner.shared_nodes().collect();
        (interner, nodes)
    }

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    const KEEP: Duration = Duration::from_secs(10);

    #[test]
    fn the_old_and_those_beyond_the_limit_are_taken_the_oldest_first() {
        let (_, nodes) = nodes();
        let mut tombstones = Tombstones::default();
        (0..4).for_each(|secs| tombstones.insert(at(secs), nodes[secs as usize]));
        assert_eq!(tombstones.take_old(at(10), KEEP, 9), None);
        assert_eq!(tombstones.take_old(at(11), KEEP, 9), Some(nodes[0]));
        assert_eq!(tombstones.take_old(at(11), KEEP, 9), None);
        assert_eq!(tombstones.take_old(at(11), Duration::MAX, 2), Some(nodes[1]));
        assert_eq!((tombstones.take_old(at(11), Duration::MAX, 2), tombstones.len()), (None, 2));
    }

    #[test]
    fn who_came_back_and_went_again_is_kept_from_the_last_time_on() {
        let (interner, nodes) = nodes();
        let mut tombstones = Tombstones::default();
        tombstones.insert(at(1), nodes[5]);
        tombstones.remove(nodes[5]);
        tombstones.insert(at(5), nodes[5]);
        assert_eq!(tombstones.take_old(at(12), KEEP, 9), None, "the first of them is over");
        (0..9).for_each(|secs| tombstones.insert(at(6 + secs), nodes[3]));
        tombstones.sweep(2, &interner);
        assert_eq!(tombstones.oldest, [(at(5), nodes[5]), (at(14), nodes[3])]);
    }
}
