//! Who we are: our own incarnation, and what happens when somebody else claims to be us.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Life};
use super::io::{Event, Outbox};
use super::members::Members;
use super::packet::{Cause, Gone};
use super::record::Record;
use super::roster::NodeIx;
use super::seen::Departure;
use crate::config::Liveness;
use crate::node::{Generation, Node};
use crate::time::{Instant, Now};

/// When we jumped above another incarnation of ourselves, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct Jumps {
    last: Option<Instant>,
    /// Those above a live rival.
    above_rivals: Vec<Instant>,
    /// The highest number of a rival, and when it rose to that.
    rival: Option<(Generation, Instant)>,
    conflict: bool,
    told_exhausted: bool,
}

/// What somebody holds of us that outranks us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outranked {
    /// A copy that may be alive: an earlier life of ours, or another node at our address.
    ByCopy(Generation),
    /// A tombstone: whoever it was, it is gone.
    ByTombstone(Generation),
}

/// What to do about a higher generation of ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jump {
    /// Nothing for now: we jumped less than a timeout ago, or have given up.
    Wait,
    /// Go above it.
    Go,
    /// Give up: it comes back as fast as we jump, so somebody else lives at our address.
    Conflict,
}

impl Jumps {
    /// An earlier life explains one jump, or two; a third within this many timeouts has a rival.
    const RIVAL_JUMPS: usize = 3;
    /// After so many timeouts in which its number has not risen the rival is forgotten: either it
    /// has won, or it was forged, and where nobody beats nothing else would end that.
    pub(super) const RIVAL_TIMEOUTS: u32 = 4;

    fn judge(&mut self, now: Instant, timeout: Duration, by: Outranked) -> Jump {
        if let Outranked::ByCopy(theirs) = by {
            let quiet = timeout * Self::RIVAL_TIMEOUTS;
            let (highest, rose_at) = *self.rival.get_or_insert((theirs, now));
            self.conflict &= now - rose_at < quiet;
            self.above_rivals.retain(|&at| now - at < quiet);
            if theirs > highest {
                self.rival = Some((theirs, now));
            }
        }
        if self.last.is_some_and(|last| now - last < timeout) {
            return Jump::Wait;
        }
        match by {
            Outranked::ByCopy(_) if self.conflict => return Jump::Wait,
            Outranked::ByCopy(_) if self.above_rivals.len() + 1 == Self::RIVAL_JUMPS => {
                self.conflict = true;
                self.above_rivals.clear();
                return Jump::Conflict;
            }
            Outranked::ByCopy(_) => self.above_rivals.push(now),
            // Nobody can be the rival of a tombstone: to give way to it is to be off all lists.
            Outranked::ByTombstone(_) => {}
        }
        self.last = Some(now);
        Jump::Go
    }
}

impl Members {
    /// A tombstone of ourselves blocks us where it is held, unless our counter is higher or will be
    /// with the next beat.
    pub(super) fn see_me_gone(&self, gone: &Gone) -> Departure {
        let me = self.me();
        let blocks = match gone.generation.cmp(&self.record(me).generation()) {
            Ordering::Less => false,
            Ordering::Equal => gone.cause == Cause::Left || gone.counter > self.counter(me),
            Ordering::Greater => true,
        };
        if blocks { Departure::OfMe } else { Departure::Old }
    }
}

impl Engine {
    /// Somebody holds an incarnation of ourselves that outranks us: an earlier life with a faster
    /// clock, a rival, or a forgery. We jump above it, if there is room, and tell everybody.
    pub(super) fn outrank(&mut self, now: Now, by: Outranked, out: &mut Outbox) {
        if self.life != Life::Running {
            // Who has stopped wants to be removed; it is told again when it starts.
            return;
        }
        let (Outranked::ByCopy(theirs) | Outranked::ByTombstone(theirs)) = by;
        // What others say takes no number from those that are left for our own changes.
        let held = planted!(JumpTooShort, theirs, self.me.generation());
        let next = held.after(now.wall).filter(|&next| next <= Generation::CLOCK_MAX);
        let Some(next) = next else { return self.tell_exhausted(out) };
        match self.jumps.judge(now.mono, self.config.timeout(), by) {
            // Others tell two live nodes from a restart by the counter that goes on.
            Jump::Wait if self.config.liveness() != Liveness::Beats => _ = self.renew(now, out),
            Jump::Wait => {}
            Jump::Go => {
                let me = self.reincarnate(now, self.me.node().clone(), next, out);
                if !self.is_young(now) || !self.join_again(now.mono) {
                    self.announce(now, me, out);
                }
            }
            Jump::Conflict => out.event(Event::AddressConflict(Arc::clone(&self.me))),
        }
    }

    /// There is no number above the one that somebody holds of us, or above our own. Whoever
    /// holds one so large asks us before it believes that we are not what it holds.
    fn tell_exhausted(&mut self, out: &mut Outbox) {
        if !std::mem::replace(&mut self.jumps.told_exhausted, true) {
            out.event(Event::GenerationsExhausted(Arc::clone(&self.me)));
        }
    }

    /// Changes what we say of ourselves, as a new incarnation at the same address.
    pub(super) fn on_update(&mut self, now: Now, node: &Node, out: &mut Outbox) {
        let node = node.with_addr(self.me.node().addr());
        if node == *self.me.node() {
            return;
        }
        let Some(next) = self.me.generation().after(now.wall) else {
            return self.tell_exhausted(out);
        };
        let said = planted!(UpdateStale, node, self.me.node().clone());
        let me = self.reincarnate(now, said, next, out);
        self.announce(now, me, out);
    }

    /// Begins a new incarnation, because the counter of the old one has come too far; false when
    /// there is none.
    pub(super) fn begin_anew(&mut self, now: Now, out: &mut Outbox) -> bool {
        let Some(next) = self.me.generation().after(now.wall) else {
            self.tell_exhausted(out);
            return false;
        };
        let me = self.reincarnate(now, self.me.node().clone(), next, out);
        self.relay_news(now.mono, me);
        true
    }

    fn reincarnate(
        &mut self,
        now: Now,
        node: Node,
        generation: Generation,
        out: &mut Outbox,
    ) -> NodeIx {
        let new = Arc::new(Record::new(node, generation));
        let old = std::mem::replace(&mut self.me, Arc::clone(&new));
        self.members.succeed_myself(&new, now.mono);
        let me = self.members.me();
        out.event(Event::Updated { old: Arc::clone(&old), new });
        self.examine_name(now, me, Some(&old), out);
        me
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Jump::{Conflict, Go, Wait};

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// What comes of hearing of higher and higher numbers at these times.
    fn judged<const N: usize>(jumps: &mut Jumps, seconds: [u64; N]) -> [Jump; N] {
        seconds.map(|second| jumps.judge(at(second), TIMEOUT, Outranked::ByCopy(number(second))))
    }

    fn at(second: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(second)
    }

    fn number(value: u64) -> Generation {
        Generation::new(1 + value).unwrap()
    }

    #[test]
    fn the_third_jump_within_four_timeouts_gives_up() {
        let judged = judged(&mut Jumps::default(), [0, 4, 5, 9, 10, 15, 29, 48, 67]);
        assert_eq!(judged, [Go, Wait, Go, Wait, Conflict, Wait, Wait, Wait, Wait]);
    }

    #[test]
    fn a_conflict_is_forgotten_after_four_timeouts_in_which_no_number_rose() {
        let mut jumps = Jumps::default();
        assert_eq!(judged(&mut jumps, [0, 5, 10]), [Go, Go, Conflict]);
        let mut again = |second| jumps.judge(at(second), TIMEOUT, Outranked::ByCopy(number(10)));
        assert_eq!([15, 29, 30, 35].map(&mut again), [Wait, Wait, Go, Go]);
        assert_eq!(judged(&mut jumps, [40, 45]), [Conflict, Wait]);
    }

    #[test]
    fn jumps_that_lie_far_apart_are_earlier_lives() {
        assert_eq!(judged(&mut Jumps::default(), [0, 25, 50, 75]), [Go; 4]);
    }

    #[test]
    fn nobody_gives_way_to_tombstones_but_one_jump_a_timeout_is_enough() {
        let mut jumps = Jumps::default();
        let bury = |jumps: &mut Jumps, second| {
            jumps.judge(at(second), TIMEOUT, Outranked::ByTombstone(number(second)))
        };
        let buried = [0, 4, 5, 10, 15].map(|second| bury(&mut jumps, second));
        assert_eq!(buried, [Go, Wait, Go, Go, Go]);
        assert_eq!(judged(&mut jumps, [20, 25, 30]), [Go, Go, Conflict]);
        assert_eq!([31, 36].map(|second| bury(&mut jumps, second)), [Go, Go]);
    }
}
