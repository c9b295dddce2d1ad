//! Doubt: whether a node may trust what it sees of the others.
//!
//! Whoever is slow, deaf or cut off sees silence everywhere, and if it acted on that it would take
//! all others for dead because of a fault of its own. So it looks at itself before it judges:
//!
//! - Where its timers come late, or what it reads has waited, it is behind: an answer may be there
//!   that it has not come to. It judges nobody until it has kept up for a while, and takes the word
//!   of two others for who is dead.
//! - Where nobody at all has answered since somebody fell silent, that one is no more silent than
//!   all the others are. It stays.
//! - Whom nobody answers for one timeout is isolated. The only one that lives, or the only one that
//!   is cut off: it can't know which, and [`Isolation`] says what becomes of its list.

use std::net::SocketAddr;
use std::time::Duration;

use super::Detection;
use crate::config::{Isolation, Liveness};
use crate::core::context::{Context, Life};
use crate::core::io::{Event, Trouble};
use crate::core::members::Absence;
use crate::core::packet::{Body, Reply};
use crate::core::timers::Timer;
use crate::time::Instant;

/// What a node knows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubt {
    /// When somebody last answered, or nobody could have.
    heard_at: Instant,
    /// Since when nobody has, once that is for a timeout.
    isolated_since: Option<Instant>,
    /// We were late, and may be so until then.
    behind_until: Instant,
    is_degraded: bool,
    /// When we last heard that others doubt that we live.
    doubted_at: Option<Instant>,
    /// When something was last wrong with us.
    unwell_at: Instant,
}

impl Detection {
    /// How many are asked at once whether they list us.
    const OPINIONS: usize = 3;

    /// Takes notice of a packet by what it is: where nodes beat each packet of a member will do,
    /// where they ask only what is an answer, for whoever is not heard is as bad off as the deaf.
    pub(crate) fn note_heard(&mut self, cx: &mut Context<'_>, from: SocketAddr, body: &Body) {
        let answers = match body {
            Body::ProbeAnswer(_)
            | Body::IndirectAck(_)
            | Body::SwapAnswer(_)
            | Body::RumorAck(_)
            | Body::Welcome(_)
            | Body::Alive(_) => true,
            _ => !cx.config.liveness().asks(),
        };
        if answers && cx.lists(from) || Self::waits_for_room(cx, from) {
            self.on_heard(cx);
        }
    }

    /// True for somebody who is there and finds no room in a full list. If it counted for nothing,
    /// an isolated node whose list is full of the dead would keep them for ever.
    fn waits_for_room(cx: &Context<'_>, from: SocketAddr) -> bool {
        let is_full = cx.members.len() == cx.config.members_max();
        is_full && !cx.lists(from) && cx.is_confirmed(from)
    }

    fn on_heard(&mut self, cx: &mut Context<'_>) {
        self.doubt.heard_at = cx.now.mono;
        if let Some(since) = self.doubt.isolated_since.take() {
            self.on_reunited(cx, since);
        }
    }

    /// All that we think of others is from before.
    fn on_reunited(&mut self, cx: &mut Context<'_>, since: Instant) {
        self.doubt.unwell_at = cx.now.mono;
        self.refute_all(cx);
        self.prober.forgive();
        self.judge_no_sooner(cx, cx.now.mono);
        if *cx.life == Life::Running {
            cx.timers.set(Timer::Swap, cx.now.mono);
            cx.timers.set_earlier(Timer::Probe, cx.now.mono);
            if cx.members.is_away() {
                Self::ask_opinions(cx);
                cx.timers.set_earlier(Timer::Return, cx.now.mono + cx.moment());
            }
        }
        cx.out.event(Event::Reunited(cx.now.mono - since));
    }

    /// Nobody answers us: others may have removed us.
    fn be_unsure(&self, cx: &mut Context<'_>) {
        if self.keeps_still(cx) && cx.config.liveness().asks() && !cx.members.is_away() {
            cx.members.set_absence(Absence::Unsure);
        }
    }

    /// Asks some whether they list us still: who does not tells us so.
    pub(crate) fn ask_opinions(cx: &mut Context<'_>) {
        for other in cx.pick(Self::OPINIONS) {
            let to = cx.members.addr(other);
            cx.send_probe(to, cx.token_for(to), Reply::Datagram);
        }
    }

    /// What comes next has waited for so long to be read.
    pub(crate) fn note_waited(&mut self, cx: &mut Context<'_>, waited: Duration) {
        if waited > self.call_rto(cx) {
            self.note_behind(cx, waited);
        }
    }

    /// We were late by so much.
    pub(super) fn note_behind(&mut self, cx: &mut Context<'_>, late: Duration) {
        let doubt = &mut self.doubt;
        let cycle = cx.config.cycle();
        // Something comes each cycle, and shows whether we still are.
        let until = cx.now.mono + late.clamp(cycle / 2, cycle);
        doubt.behind_until = doubt.behind_until.max(until);
        self.judge_no_sooner(cx, self.doubt.behind_until);
    }

    /// We were not there for so long, and nobody could answer.
    pub(super) fn note_absence(&mut self, late: Duration) {
        self.doubt.heard_at = self.doubt.heard_at + late;
    }

    /// Once a cycle, and before any is judged: looks whether anybody answers, and tells of it when
    /// we come to doubt ourselves or cease to.
    pub(crate) fn look_at_ourselves(&mut self, cx: &mut Context<'_>) {
        if *cx.life != Life::Running || cx.config.liveness() == Liveness::Off {
            return;
        }
        let doubt = &mut self.doubt;
        if cx.is_alone() && doubt.isolated_since.is_none() {
            doubt.heard_at = cx.now.mono;
        }
        if doubt.isolated_since.is_none() && cx.now.mono - doubt.heard_at >= cx.config.timeout() {
            doubt.isolated_since = Some(doubt.heard_at);
            cx.stats.isolations += 1;
            cx.out.event(Event::Isolated);
            self.be_unsure(cx);
        }
        let trouble = self.trouble(cx);
        // Whoever lists nobody can be answered by nobody: it has to come back to find out.
        if (trouble.is_some() || self.is_isolated()) && !cx.is_alone() {
            self.doubt.unwell_at = cx.now.mono;
        }
        if trouble.is_some() != std::mem::replace(&mut self.doubt.is_degraded, trouble.is_some()) {
            cx.stats.degradations += u64::from(trouble.is_some());
            cx.out.event(trouble.map_or(Event::Recovered, Event::Degraded));
        }
    }

    fn trouble(&self, cx: &Context<'_>) -> Option<Trouble> {
        if self.is_behind(cx) {
            return Some(Trouble::Behind);
        }
        self.prober.is_unwell().then_some(Trouble::Unanswered)
    }

    /// Others doubt that we live.
    pub(crate) fn note_doubted(&mut self, now: Instant) {
        self.doubt.doubted_at = Some(now);
    }

    /// True while others may doubt that we live, and what we say of it gets lost.
    pub(super) fn is_doubted(&self, cx: &Context<'_>) -> bool {
        let doubted_at = self.doubt.doubted_at;
        doubted_at.is_some_and(|at| cx.now.mono - at < cx.config.suspicion_max())
    }

    /// When something was last wrong with us.
    pub(crate) fn unwell_at(&self) -> Instant {
        self.doubt.unwell_at
    }

    /// Starts with the benefit of the doubt; but whoever has told that it is isolated has yet to be
    /// answered.
    pub(super) fn doubt_nothing(&mut self, now: Instant) {
        let isolated_since = self.doubt.isolated_since;
        self.doubt = Doubt { heard_at: now, isolated_since, ..Doubt::default() };
    }

    /// True for a node that nobody answers.
    pub(super) fn is_isolated(&self) -> bool {
        self.doubt.isolated_since.is_some()
    }

    /// True for a node that nobody answers and that keeps its list: it has nobody called, for one
    /// probe a cycle will show when that changes.
    pub(crate) fn keeps_still(&self, cx: &Context<'_>) -> bool {
        self.is_isolated() && cx.config.isolation() == Isolation::Keep
    }

    /// True while we are late.
    pub(super) fn is_behind(&self, cx: &Context<'_>) -> bool {
        cx.now.mono < self.doubt.behind_until
    }

    /// Whether a member that has been silent since then may be removed.
    pub(super) fn may_judge(&self, cx: &Context<'_>, silent_since: Instant) -> bool {
        let Doubt { heard_at, isolated_since, .. } = self.doubt;
        let judges_alone = isolated_since.is_some() && cx.config.isolation() == Isolation::Judge;
        !self.is_behind(cx) && (heard_at > silent_since || judges_alone)
    }
}
