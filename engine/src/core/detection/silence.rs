//! Judging silence: the last call, and removal by each node's own judgement.

use std::time::Duration;

use super::Detection;
use crate::config::Liveness;
use crate::core::context::{Context, Effect, Life};
use crate::core::io::Event;
use crate::core::members::NodeIx;
use crate::core::packet::Cause;
use crate::core::timers::Timer;
use crate::time::{Instant, Now};

/// What the watch over silent members keeps from one check to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// The last time we were awake.
    awake: Option<Now>,
    /// Nobody is removed before this.
    judge_from: Instant,
}

/// For how long we were not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleep {
    /// By our own timers.
    pub late: Duration,
    /// By the wall clock alone.
    pub unseen: Duration,
}

impl Detection {
    /// Notices that we slept: the machine was suspended, or the process did not run. What we held
    /// went stale meanwhile, and it was we who were silent. So everything is as old as it is by
    /// the clock that went on, and we ask before we judge.
    ///
    /// A wall clock that is set ahead looks the same, and costs a round of last calls.
    pub(crate) fn notice_sleep(&mut self, cx: &mut Context<'_>) -> Option<Sleep> {
        let long = cx.config.timeout() / 2;
        let last = self.watch.awake.replace(cx.now)?;
        let late = cx.timers.deadline().map_or(Duration::ZERO, |deadline| cx.now.mono - deadline);
        let by_wall = u64::try_from(cx.now.wall.0.saturating_sub(last.wall.0)).unwrap_or(0);
        let unseen = Duration::from_nanos(by_wall).saturating_sub(cx.now.mono - last.mono);
        if late > cx.grace() {
            self.suspects.shift(late);
            self.note_absence(late);
            self.note_behind(cx, Duration::ZERO);
        }
        if cx.config.liveness() == Liveness::Off {
            return None;
        }
        if unseen >= cx.moment() {
            // Our own beat is as old, though by this clock we beat a moment ago.
            cx.members.beat_once(cx.now.mono);
        }
        if late < long && unseen < long {
            return None;
        }
        cx.stats.sleeps += 1;
        if cx.config.liveness() == Liveness::Beats {
            if unseen >= long {
                cx.members.age_all(unseen);
            }
            self.judge_no_sooner(cx, cx.now.mono);
            cx.timers.set(Timer::Check, cx.now.mono);
        }
        if *cx.life == Life::Running {
            cx.timers.set(Timer::Swap, cx.now.mono);
        }
        Some(Sleep { late, unseen })
    }

    /// What was heard until then may be all that could be: who is silent is called, and given the
    /// time to answer.
    pub(super) fn judge_no_sooner(&mut self, cx: &Context<'_>, from: Instant) {
        let judge_from = from + (cx.config.timeout() - cx.called_after());
        planted!(JudgedAtOnce, self.watch.judge_from = self.watch.judge_from.max(judge_from));
    }

    /// Makes sure that the silence of a member will be noticed.
    pub(crate) fn watch(cx: &mut Context<'_>, node: NodeIx) {
        if cx.config.liveness() == Liveness::Beats {
            let at = cx.members.raised_at(node) + cx.called_after();
            cx.timers.set_earlier(Timer::Check, at);
        }
    }

    /// Calls who is silent, removes who stays so, and finds when to look again. A counter's time
    /// only moves forward, so nobody can fall silent before the earliest time found here, and
    /// there is no need to look.
    pub(super) fn check_beats(&mut self, cx: &mut Context<'_>) {
        let (timeout, called_after) = (cx.config.timeout(), cx.called_after());
        let (silent, oldest) = cx.members.silent_since(cx.now.mono.saturating_sub(called_after));
        let mut next = (oldest + called_after).min(cx.now.mono + timeout);
        self.note_silent(cx, &silent);
        let is_over = |node: &NodeIx| self.is_over(cx, *node);
        let (over, silent): (Vec<_>, Vec<_>) = silent.into_iter().partition(is_over);
        for node in over {
            Self::remove_silent(cx, node);
        }
        if !silent.is_empty() && !self.keeps_still(cx) {
            next = next.min(self.make_last_calls(cx, &silent));
        }
        cx.members.forget(cx.now.mono, cx.tombstone_time());
        planted!(WatchEnds, Self::look_again(cx, next));
    }

    /// When a silent member's time is over.
    pub(super) fn silence_end(&self, cx: &Context<'_>, node: NodeIx) -> Instant {
        let timeout = planted!(RemovedTooSoon, cx.config.timeout(), cx.called_after());
        (cx.members.raised_at(node) + timeout).max(self.watch.judge_from)
    }

    /// Takes a member off the list that was silent for too long.
    pub(crate) fn remove_silent(cx: &mut Context<'_>, node: NodeIx) {
        let record = cx.members.remove(cx.now.mono, node, Cause::Timeout);
        planted!(LostUndialled, cx.effects.push_back(Effect::Lost(record.node().addr())));
        cx.out.event(Event::Removed { record, cause: Cause::Timeout });
    }

    /// True when one more call is within the limit.
    pub(crate) fn may_call(&mut self, cx: &mut Context<'_>) -> bool {
        if *cx.life != Life::Running {
            return false;
        }
        let may = self.calls.make(cx.members.len());
        cx.stats.last_calls_over_limit += u64::from(!may);
        may
    }
}
