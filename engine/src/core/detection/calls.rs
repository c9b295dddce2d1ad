//! Calls: how many of those who are silent a node asks in one cycle whether they live.

use std::time::Duration;

use crate::time::Instant;

/// What is left of a cycle's calls. When half a cluster falls silent at once, the calls must not
/// become a flood of their own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    made: usize,
    /// When the cycle ends, where no beat begins the next.
    until: Instant,
}

impl Calls {
    /// Calls of one node in one cycle, and as a share of the members where that is more.
    const PER_CYCLE_MAX: usize = 64;
    const MEMBERS_PER_CALL: usize = 4;

    pub(crate) fn new_cycle(&mut self) {
        self.made = 0;
    }

    /// Begins a cycle if the last one is over.
    pub(crate) fn renew(&mut self, now: Instant, cycle: Duration) {
        if now >= self.until {
            self.new_cycle();
            self.until = now + cycle;
        }
    }

    /// Makes one more with so many members on the list, if it is within the limit. The list may
    /// have become shorter since the others were made.
    pub(crate) fn make(&mut self, members: usize) -> bool {
        let is_within = self.made < Self::PER_CYCLE_MAX.max(members / Self::MEMBERS_PER_CALL);
        self.made += usize::from(is_within);
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_has_64_calls_or_one_for_every_four_members() {
        for (members, most) in [(2, 64), (259, 64), (1_000, 250)] {
            let mut calls = Calls::default();
            for _ in 0..2 {
                assert_eq!((0..999).filter(|_| calls.make(members)).count(), most, "of {members}");
                calls.new_cycle();
            }
        }
    }

    #[test]
    fn who_has_made_many_makes_none_when_the_list_is_short() {
        let mut calls = Calls::default();
        assert!((0..100).all(|_| calls.make(1_000)) && !calls.make(10) && calls.make(1_000));
    }
}
