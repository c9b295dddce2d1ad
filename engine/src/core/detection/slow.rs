//! Slow members: who was suspected and turned out to live, and needed long to say so.
//!
//! They are suspected quietly and have more time, and all of them are still out one timeout later.
//! Who clears itself at once is none of them: what got lost was not its fault, and where much is
//! lost everybody would soon be taken for slow.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::suspects::Grounds;
use crate::config::Config;
use crate::time::Instant;

/// Who was found to live after all, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct SlowMembers {
    found: BTreeMap<SocketAddr, Instant>,
}

/// That somebody was in doubt for so long, and lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClearedDoubt {
    pub grounds: Grounds,
    pub since: Instant,
    pub until: Instant,
}

impl SlowMembers {
    const MAX: usize = 256;
    /// For so many timeouts they are remembered: all learn of one at once, and once they have
    /// forgotten it, it is suspected aloud again, with no more time than any other.
    const TIMEOUTS: u32 = 120;
    /// Who clears itself within such a part of a cycle does so at once.
    const PROMPT_PER_CYCLE: u32 = 4;
    /// At most so much more time is theirs: who reads everything two seconds late answers in time
    /// then, and one that has crashed is still out within the next timeout.
    const CYCLES_MORE: u32 = 4;

    /// How much longer they may take than others.
    pub(super) fn more(wait: Duration, config: &Config) -> Duration {
        wait.min(config.cycle() * Self::CYCLES_MORE)
    }

    /// One that was in doubt lives. Where all were asked that says nothing about any of them.
    pub(super) fn note_cleared(&mut self, addr: SocketAddr, doubt: ClearedDoubt, config: &Config) {
        let ClearedDoubt { grounds, since, until } = doubt;
        let is_slow = until - since >= config.cycle() / Self::PROMPT_PER_CYCLE;
        if is_slow && grounds != Grounds::RollCall {
            self.note(addr, until, config.timeout());
        }
    }

    fn note(&mut self, addr: SocketAddr, now: Instant, timeout: Duration) {
        if self.found.len() == Self::MAX {
            self.found.retain(|_, &mut at| now - at < timeout * Self::TIMEOUTS);
        }
        if self.found.len() < Self::MAX || self.found.contains_key(&addr) {
            self.found.insert(addr, now);
        }
    }

    pub(super) fn has(&self, addr: SocketAddr, now: Instant, timeout: Duration) -> bool {
        self.found.get(&addr).is_some_and(|&at| now - at < timeout * Self::TIMEOUTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// A member is suspected then, and clears itself after so many milliseconds.
    fn cleared(slow: &mut SlowMembers, port: u16, since: u64, took: u64, grounds: Grounds) -> bool {
        let doubt = ClearedDoubt { grounds, since: at(since), until: at(since + took) };
        slow.note_cleared(addr(port), doubt, &Config::default());
        slow.has(addr(port), at(since + took), TIMEOUT)
    }

    #[test]
    fn who_needs_a_quarter_cycle_to_clear_itself_is_slow_unless_all_were_asked() {
        let mut slow = SlowMembers::default();
        assert!(!cleared(&mut slow, 1, 1_000, 249, Grounds::Silence));
        assert!(cleared(&mut slow, 2, 1_000, 250, Grounds::Silence));
        assert!(!cleared(&mut slow, 3, 1_000, 2_000, Grounds::RollCall));
    }

    #[test]
    fn who_is_slow_stays_so_for_a_while_though_it_clears_itself_at_once() {
        let mut slow = SlowMembers::default();
        assert!(cleared(&mut slow, 1, 0, 1_000, Grounds::Silence));
        assert!(cleared(&mut slow, 1, 500_000, 100, Grounds::Silence));
        assert!(!slow.has(addr(1), at(601_000), TIMEOUT));
    }

    #[test]
    fn so_many_are_remembered_for_being_slow_and_for_a_while() {
        let mut slow = SlowMembers::default();
        (0..300).for_each(|port| _ = cleared(&mut slow, port, 0, 1_000, Grounds::Silence));
        assert_eq!(slow.found.len(), SlowMembers::MAX);
        let has = |slow: &SlowMembers, port, millis| slow.has(addr(port), at(millis), TIMEOUT);
        assert!(has(&slow, 0, 600_999) && !has(&slow, 0, 601_000));
        assert!(cleared(&mut slow, 300, 601_000, 1_000, Grounds::Silence));
        assert!(slow.found.len() == 1);
    }
}
