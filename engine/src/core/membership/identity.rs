//! Who we are: our own incarnation, and what happens when somebody else claims to be us.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Membership;
use crate::config::Liveness;
use crate::core::beat::COUNTER_MAX;
use crate::core::context::{Context, Effect, Life};
use crate::core::detection::Sleep;
use crate::core::dissemination::Dissemination;
use crate::core::io::Event;
use crate::core::members::NodeIx;
use crate::core::packet::{Alive, Body, Bulk, LastCall};
use crate::core::record::Record;
use crate::core::timers::Timer;
use crate::node::{Generation, Node};
use crate::time::Instant;

/// When we jumped above another incarnation of ourselves, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct GenerationBumps {
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

impl GenerationBumps {
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

impl Membership {
    /// Somebody holds an incarnation of ourselves that outranks us: an earlier life with a faster
    /// clock, a rival, or a forgery. We jump above it, if there is room, and tell everybody.
    pub(super) fn outrank(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        by: Outranked,
    ) {
        if *cx.life != Life::Running {
            // Who has stopped wants to be removed; it is told again when it starts.
            return;
        }
        let (Outranked::ByCopy(theirs) | Outranked::ByTombstone(theirs)) = by;
        // What others say takes no number from those that are left for our own changes.
        let held = planted!(JumpTooShort, theirs, cx.me.generation());
        let next = held.after(cx.now.wall).filter(|&next| next <= Generation::CLOCK_MAX);
        let Some(next) = next else { return self.tell_exhausted(cx) };
        match self.bumps.judge(cx.now.mono, cx.config.timeout(), by) {
            // Others tell two live nodes from a restart by the counter that goes on.
            Jump::Wait if cx.config.liveness() != Liveness::Beats => _ = self.renew(cx, spread),
            Jump::Wait => {}
            Jump::Go => {
                let me = self.reincarnate(cx, cx.me.node().clone(), next);
                // Seeds refused what we were, and what we are now they tell everybody, who would
                // not pass on a stranger's word for itself.
                let young = cx.is_young();
                if young {
                    cx.effects.push_back(Effect::Reborn);
                }
                if !young || cx.seeds.is_empty() {
                    spread.announce(cx, me);
                }
            }
            Jump::Conflict => cx.out.event(Event::AddressConflict(Arc::clone(cx.me))),
        }
    }

    /// There is no number above the one that somebody holds of us, or above our own. Whoever
    /// holds one so large asks us before it believes that we are not what it holds.
    fn tell_exhausted(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.bumps.told_exhausted, true) {
            cx.out.event(Event::GenerationsExhausted(Arc::clone(cx.me)));
        }
    }

    /// Changes what we say of ourselves, as a new incarnation at the same address.
    pub(crate) fn on_update(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        node: &Node,
    ) {
        let node = node.with_addr(cx.me.node().addr());
        if node == *cx.me.node() {
            return;
        }
        let Some(next) = cx.me.generation().after(cx.now.wall) else {
            return self.tell_exhausted(cx);
        };
        let said = planted!(UpdateStale, node, cx.me.node().clone());
        let me = self.reincarnate(cx, said, next);
        spread.announce(cx, me);
    }

    /// Begins a new incarnation, because the counter of the old one has come too far; false when
    /// there is none.
    fn begin_anew(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) -> bool {
        let Some(next) = cx.me.generation().after(cx.now.wall) else {
            self.tell_exhausted(cx);
            return false;
        };
        let me = self.reincarnate(cx, cx.me.node().clone(), next);
        spread.relay_news(cx, me);
        true
    }

    fn reincarnate(&mut self, cx: &mut Context<'_>, node: Node, generation: Generation) -> NodeIx {
        let new = Arc::new(Record::new(node, generation).speaking(cx.config.wire_max()));
        let old = std::mem::replace(cx.me, Arc::clone(&new));
        cx.members.succeed_myself(&new, cx.now.mono);
        let me = cx.members.me();
        cx.out.event(Event::Updated { old: Arc::clone(&old), new });
        self.examine_name(cx, me, Some(&old));
        me
    }

    /// Once a cycle, as long as we beat: raises our own counter.
    pub(crate) fn on_cycle(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        if !cx.beats() {
            return;
        }
        if cx.members.counter(cx.members.me()) >= COUNTER_MAX / 2 {
            self.begin_anew(cx, spread);
        }
        spread.raise(cx);
        self.ask_newcomers(cx);
        let next = cx.jittered(cx.config.cycle());
        cx.timers.set(Timer::Cycle, cx.now.mono + next);
    }

    /// A stopped node does not answer: it has asked to be removed.
    pub(crate) fn on_last_call(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        from: SocketAddr,
        call: &LastCall,
    ) {
        let answers = *cx.life == Life::Running && !cx.members.is_away();
        if planted!(LastCallUnanswered, answers, false) {
            // Whoever asks has nothing that is new enough for it, and only a higher counter is.
            self.renew(cx, spread);
            let me = cx.members.me();
            let sighting = cx.members.sighting(me, cx.now.mono, cx.step);
            let alive = cx.packet(Body::Alive(Alive { token: call.token, me: sighting }));
            if cx.out.room(from).is_none_or(|room| alive.len_max() <= room) {
                cx.out.send(from, &alive);
            } else {
                // Who has not echoed gets what is new alone, which is as short as the call.
                let beats = vec![cx.members.beat(me, cx.now.mono, cx.step)];
                cx.out.send(from, &cx.packet(Body::Bulk(Bulk { beats, news: Vec::new() })));
            }
        }
    }

    /// Says that we live, unasked.
    fn return_to_life(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        if *cx.life == Life::Running && self.renew(cx, spread) {
            spread.announce(cx, cx.members.me());
        }
    }

    /// Raises our counter because somebody asks for a sign of life that is newer than what he
    /// has; not when that was done a moment ago, for then it is on its way. True when it was.
    pub(crate) fn renew(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) -> bool {
        let me = cx.members.me();
        if cx.members.counter(me) >= COUNTER_MAX / 2 && self.begin_anew(cx, spread) {
            return true;
        }
        let due = cx.now.mono - cx.members.raised_at(me) >= cx.moment();
        if due {
            cx.members.beat_once(cx.now.mono);
        }
        due
    }

    /// We slept, and were silent meanwhile.
    pub(crate) fn on_woken(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        sleep: Sleep,
    ) {
        self.conflicts.slept(cx.now.mono);
        if cx.config.liveness().asks() && sleep.late >= cx.config.timeout() / 2 {
            // The others take us for dead by now, or are about to.
            self.return_to_life(cx, spread);
        }
        cx.out.event(Event::Woke(sleep.late.max(sleep.unseen)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Jump::{Conflict, Go, Wait};

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// What comes of hearing of higher and higher numbers at these times.
    fn judged<const N: usize>(jumps: &mut GenerationBumps, seconds: [u64; N]) -> [Jump; N] {
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
        let judged = judged(&mut GenerationBumps::default(), [0, 4, 5, 9, 10, 15, 29, 48, 67]);
        assert_eq!(judged, [Go, Wait, Go, Wait, Conflict, Wait, Wait, Wait, Wait]);
    }

    #[test]
    fn a_conflict_is_forgotten_after_four_timeouts_in_which_no_number_rose() {
        let mut jumps = GenerationBumps::default();
        assert_eq!(judged(&mut jumps, [0, 5, 10]), [Go, Go, Conflict]);
        let mut again = |second| jumps.judge(at(second), TIMEOUT, Outranked::ByCopy(number(10)));
        assert_eq!([15, 29, 30, 35].map(&mut again), [Wait, Wait, Go, Go]);
        assert_eq!(judged(&mut jumps, [40, 45]), [Conflict, Wait]);
    }

    #[test]
    fn jumps_that_lie_far_apart_are_earlier_lives() {
        assert_eq!(judged(&mut GenerationBumps::default(), [0, 25, 50, 75]), [Go; 4]);
    }

    #[test]
    fn nobody_gives_way_to_tombstones_but_one_jump_a_timeout_is_enough() {
        let mut jumps = GenerationBumps::default();
        let bury = |jumps: &mut GenerationBumps, second| {
            jumps.judge(at(second), TIMEOUT, Outranked::ByTombstone(number(second)))
        };
        let buried = [0, 4, 5, 10, 15].map(|second| bury(&mut jumps, second));
        assert_eq!(buried, [Go, Wait, Go, Go, Go]);
        assert_eq!(judged(&mut jumps, [20, 25, 30]), [Go, Go, Conflict]);
        assert_eq!([31, 36].map(|second| bury(&mut jumps, second)), [Go, Go]);
    }
}
