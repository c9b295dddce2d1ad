//! Judging silence: the last call, and removal by each node's own judgement.

use std::net::SocketAddr;
use std::time::Duration;

use super::calls::Calls;
use super::engine::{Engine, Life};
use super::io::{Event, Outbox};
use super::newcomers::Via;
use super::packet::{Alive, Body, Bounded, Bulk, Cause, LastCall, Packet};
use super::roster::NodeIx;
use super::timers::Timer;
use crate::config::Liveness;
use crate::time::{Instant, Now};

/// What the watch over silent members keeps from one check to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    calls: Calls,
    /// The last time we were awake.
    awake: Option<Now>,
    /// Nobody is removed before this.
    judge_from: Instant,
}

impl Watch {
    pub(super) fn new_cycle(&mut self) {
        self.calls.new_cycle();
    }
}

impl Engine {
    /// Bytes of name and private data that a node whose record we don't hold may have.
    const USUAL_TEXTS_LEN: usize = 64;

    /// Notices that we slept: the machine was suspended, or the process did not run. What we held
    /// went stale meanwhile, and it was we who were silent. So everything is as old as it is by
    /// the clock that went on, and we ask before we judge.
    ///
    /// A wall clock that is set ahead looks the same, and costs a round of last calls.
    pub(super) fn notice_sleep(&mut self, now: Now, out: &mut Outbox) {
        let long = self.config.timeout() / 2;
        let Some(last) = self.liveness.awake.replace(now) else { return };
        let late = self.deadline().map_or(Duration::ZERO, |deadline| now.mono - deadline);
        let by_wall = u64::try_from(now.wall.0.saturating_sub(last.wall.0)).unwrap_or(0);
        let unseen = Duration::from_nanos(by_wall).saturating_sub(now.mono - last.mono);
        if late > self.grace() {
            self.suspects.shift(late);
        }
        if self.config.liveness() == Liveness::Off {
            return;
        }
        if unseen >= self.moment() {
            // Our own beat is as old, though by this clock we beat a moment ago.
            self.members.beat_once(now.mono);
        }
        if late < long && unseen < long {
            return;
        }
        self.stats.sleeps += 1;
        self.conflicts.slept(now.mono);
        if self.config.liveness() == Liveness::Beats {
            if unseen >= long {
                self.members.age_all(unseen);
            }
            let judge_from = now.mono + (self.config.timeout() - self.called_after());
            planted!(JudgedAtOnce, self.liveness.judge_from = judge_from);
            self.timers.set(Timer::Check, now.mono);
        }
        if self.life == Life::Running {
            self.timers.set(Timer::Swap, now.mono);
        }
        if self.config.liveness() == Liveness::Probes && late >= long {
            // The others take us for dead by now, or are about to.
            self.return_to_life(now, out);
        }
        out.event(Event::Woke(late.max(unseen)));
    }

    /// How long a tombstone is kept: long after every copy that could contradict it has died.
    pub(super) fn tombstone_time(&self) -> Duration {
        self.config.timeout() * 20
    }

    /// From when on a silent member is called.
    fn called_after(&self) -> Duration {
        self.config.timeout() * 3 / 5
    }

    /// True when a member will be called, or has been in vain, or is suspected.
    pub(super) fn is_silent(&self, now: Instant, node: NodeIx) -> bool {
        match self.config.liveness() {
            Liveness::Beats => now - self.members.raised_at(node) > self.called_after(),
            Liveness::Probes => self.suspects.has(self.members.addr(node)),
            Liveness::Off => false,
        }
    }

    /// Makes sure that the silence of a member will be noticed.
    pub(super) fn watch(&mut self, node: NodeIx) {
        if self.config.liveness() == Liveness::Beats {
            let at = self.members.raised_at(node) + self.called_after();
            self.timers.set_earlier(Timer::Check, at);
        }
    }

    /// Calls who is silent, removes who stays so, and finds when to look again. A counter's time
    /// only moves forward, so nobody can fall silent before the earliest time found here, and
    /// there is no need to look.
    pub(super) fn on_check(&mut self, now: Now, out: &mut Outbox) {
        let (timeout, called_after) = (self.config.timeout(), self.called_after());
        let (silent, oldest) = self.members.silent_since(now.mono.saturating_sub(called_after));
        let mut next = (oldest + called_after).min(now.mono + timeout);
        self.note_silent(&silent);
        let is_over = |node: &NodeIx| self.is_over(now.mono, *node);
        let (over, silent): (Vec<_>, Vec<_>) = silent.into_iter().partition(is_over);
        for node in over {
            self.remove_silent(now.mono, node, out);
        }
        if !silent.is_empty() {
            next = next.min(self.make_last_calls(now, &silent, out));
        }
        self.members.forget(now.mono, self.tombstone_time());
        planted!(WatchEnds, self.timers.set(Timer::Check, next));
    }

    /// When a silent member's time is over.
    pub(super) fn silence_end(&self, node: NodeIx) -> Instant {
        let timeout = planted!(RemovedTooSoon, self.config.timeout(), self.called_after());
        (self.members.raised_at(node) + timeout).max(self.liveness.judge_from)
    }

    pub(super) fn remove_silent(&mut self, now: Instant, node: NodeIx, out: &mut Outbox) {
        let record = self.members.remove(now, node, Cause::Timeout);
        let until = now + self.config.redial_for();
        planted!(LostUndialled, self.dialler.lost(record.node().addr(), until));
        out.event(Event::Removed { record, cause: Cause::Timeout });
    }

    /// Asks a member that others speak of but whose age they do not know, as among nodes that
    /// probe nobody does.
    pub(super) fn call_stranger(&mut self, now: Now, addr: SocketAddr, out: &mut Outbox) {
        if self.differences.probers
            && self.config.liveness() == Liveness::Beats
            && self.may_call()
            && self.members.node(addr).is_none()
        {
            self.send_last_call(now, addr, out);
        }
    }

    /// Asks the node at an address whether it lives and who it is, in as many bytes as the answer
    /// needs from one that does not know us.
    pub(super) fn send_last_call(&self, now: Now, addr: SocketAddr, out: &mut Outbox) {
        let texts = match self.members.node(addr).map(|node| self.members.record(node)) {
            Some(record) => record.node().name().len() + record.node().private_data().len(),
            None => Self::USUAL_TEXTS_LEN,
        };
        let answer = Packet::LEN_BARE + Alive::LEN_BARE + texts + self.config.guard_len();
        let padding = self.padding(Packet::LEN_MIN + LastCall::LEN_MIN, answer);
        let call = LastCall { token: self.token_for(now.mono, addr), padding };
        out.send(addr, &self.packet(Body::LastCall(call)));
    }

    /// True when one more call is within the limit.
    pub(super) fn may_call(&mut self) -> bool {
        if self.life != Life::Running {
            return false;
        }
        let may = self.liveness.calls.make(self.members.len());
        self.stats.last_calls_over_limit += u64::from(!may);
        may
    }

    /// A stopped node does not answer: it has asked to be removed.
    pub(super) fn on_last_call(
        &mut self,
        now: Now,
        from: SocketAddr,
        call: &LastCall,
        out: &mut Outbox,
    ) {
        if planted!(LastCallUnanswered, self.life == Life::Running, false) {
            // Whoever asks has nothing that is new enough for it, and only a higher counter is.
            self.renew(now, out);
            let me = self.members.me();
            let sighting = self.members.sighting(me, now.mono, self.step);
            let alive = self.packet(Body::Alive(Alive { token: call.token, me: sighting }));
            if out.room(from).is_none_or(|room| alive.len_max() <= room) {
                out.send(from, &alive);
            } else {
                // Who has not echoed gets what is new alone, which is as short as the call.
                let beats = vec![self.members.beat(me, now.mono, self.step)];
                out.send(from, &self.packet(Body::Bulk(Bulk { beats, news: Vec::new() })));
            }
        }
    }

    pub(super) fn on_alive(&mut self, now: Now, alive: &Alive, via: Via, out: &mut Outbox) {
        match self.see_alive(now, alive, via, out) {
            Some(node) => self.relay_news(now.mono, node),
            None => self.answer_refused(now, via.from, &alive.me, out),
        }
    }
}
