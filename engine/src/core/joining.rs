//! Ways into the cluster: joining through seeds, and looking for those that were lost.
//!
//! A dial is a join, whether for the first time or after a partition: who is asked lists the
//! caller, answers with some members, and a swap brings the rest. Seeds that are not listed are
//! dialled for ever, so that a partition of any length heals where one lies on the other side.
//! Nodes that were removed by timeout are dialled for `redial_for` only: by then their address may
//! be that of a node of another cluster, and one dial makes one of two.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::core::context::{Context, Effect, Life, Source};
use crate::core::detection::Detection;
use crate::core::dissemination::Dissemination;
use crate::core::members::Absence;
use crate::core::membership::Membership;
use crate::core::packer::Room;
use crate::core::packet::{Body, Bounded, Join, MembershipUpdate, Packet, Welcome};
use crate::core::timers::Timer;
use crate::time::Instant;
use crate::wire_version::WireVersion;

/// Who is to be dialled, and who was answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joiner {
    /// Seeds that were named since the last dial: these alone are dialled next.
    fresh: BTreeSet<SocketAddr>,
    /// Seeds that answered the last time they were dialled.
    answered: BTreeSet<SocketAddr>,
    /// Seeds from which our own dial came back: a machine's own name often stands for loopback.
    myself: BTreeSet<SocketAddr>,
    /// Those that are listed are dialled as well, once.
    again: bool,
    /// Removed by timeout and not heard of since, in the order in which they are dialled.
    lost: VecDeque<Lost>,
    /// Dials since we were last alone without an answer.
    attempts: u32,
    /// Where in the period we dial was drawn, since we were last alone.
    has_phase: bool,
}

/// One that was removed by timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    addr: SocketAddr,
    /// Nobody knows any more who has the address then.
    until: Instant,
}

impl Joiner {
    /// More are not dialled, nor remembered over a restart.
    pub(crate) const LOST_MAX: usize = 64;
    const DIALS_PER_PERIOD: usize = 4;

    /// Has one that was removed by timeout dialled until then.
    pub(crate) fn lost(&mut self, addr: SocketAddr, until: Instant) {
        if !self.lost.iter().any(|lost| lost.addr == addr) {
            if self.lost.len() == Self::LOST_MAX {
                self.lost.pop_front();
            }
            self.lost.push_back(Lost { addr, until });
        }
    }

    pub(crate) fn lost_len(&self) -> usize {
        self.lost.len()
    }

    /// Those that are dialled because they were lost, the next first.
    pub(crate) fn lost_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.lost.iter().map(|lost| lost.addr)
    }

    fn found(&mut self, addr: SocketAddr) {
        if !self.lost.is_empty() {
            self.lost.retain(|lost| lost.addr != addr);
        }
    }
}

impl Joiner {
    const FIRST_WAIT: Duration = Duration::from_millis(50);
    const WELCOME_MEMBERS_MAX: usize = 64;

    pub(crate) fn on_seeds(&mut self, cx: &mut Context<'_>, mut addrs: Vec<SocketAddr>) {
        // Several names may stand for one node.
        let mut named = BTreeSet::from([cx.me.node().addr()]);
        addrs.retain(|&addr| named.insert(addr));
        let is_fresh = |addr: &SocketAddr| !cx.seeds.contains(addr);
        let fresh: Vec<_> = addrs.iter().copied().filter(is_fresh).collect();
        self.answered.retain(|addr| named.contains(addr));
        self.myself.retain(|addr| named.contains(addr));
        self.fresh.retain(|addr| named.contains(addr));
        self.fresh.extend(fresh);
        *cx.seeds = addrs;
        if *cx.life != Life::Running {
            return;
        }
        if cx.is_alone() {
            self.attempts = 0;
            cx.timers.set(Timer::Dial, cx.now.mono);
        } else if self.fresh.iter().any(|&addr| !cx.lists(addr)) {
            self.has_phase = false;
            cx.timers.set_earlier(Timer::Dial, cx.now.mono);
        }
    }

    /// Has seeds dialled once more though they are listed. With the next input, because this one
    /// may come from somebody to whom hardly anything may go.
    pub(crate) fn join_again(&mut self, cx: &mut Context<'_>) {
        self.again = true;
        cx.timers.set_earlier(Timer::Dial, cx.now.mono + Duration::from_millis(1));
    }

    /// Has one that was removed by timeout dialled for a while.
    pub(crate) fn on_lost(&mut self, cx: &mut Context<'_>, addr: SocketAddr) {
        self.lost(addr, cx.now.mono + cx.config.redial_for());
    }

    /// One is listed that may have been lost.
    pub(crate) fn on_listed(&mut self, addr: SocketAddr) {
        self.found(addr);
    }

    pub(crate) fn on_dial(&mut self, cx: &mut Context<'_>) {
        let mut addrs = self.whom_to_dial(cx);
        if cx.members.absence() == Absence::Damped {
            // Whoever is dialled lists the caller.
            addrs.clear();
        }
        for addr in addrs {
            cx.routes.note_contact(addr);
            self.answered.remove(&addr);
            self.send_join(cx, addr);
        }
        let is_alone = cx.is_alone();
        let wait = match std::mem::replace(&mut self.has_phase, !is_alone) {
            _ if is_alone => {
                let wait = self.wait_when_alone(cx);
                cx.jittered(wait)
            }
            true => cx.jittered(cx.config.redial()),
            // Nodes that start together would dial together for long, and what is cut off just
            // after that would wait for a whole period.
            false => cx.part_of(cx.config.redial()),
        };
        planted!(DialsEnd, cx.timers.set(Timer::Dial, cx.now.mono + wait));
    }

    /// Seeds that are not listed, then lost members, each of these in turn. Seeds that are dead
    /// for good leave half the dials to the lost. When seeds were just named these alone: names
    /// are looked up one by one, and those that are known were dialled.
    fn whom_to_dial(&mut self, cx: &mut Context<'_>) -> Vec<SocketAddr> {
        let again = std::mem::take(&mut self.again);
        let fresh = std::mem::take(&mut self.fresh);
        let myself = &self.myself;
        let is_due = |addr: &SocketAddr| {
            (fresh.is_empty() || fresh.contains(addr)) && !myself.contains(addr)
        };
        let seeds = cx.seeds.iter().copied().filter(is_due);
        let may = planted!(SeedsDialledAlone, true, cx.is_alone());
        let mut addrs: Vec<_> = seeds.filter(|&addr| again || may && !cx.lists(addr)).collect();
        self.lost.retain(|lost| cx.now.mono < lost.until);
        let kept = self.lost.len().min(Joiner::DIALS_PER_PERIOD / 2);
        addrs.truncate(Joiner::DIALS_PER_PERIOD - kept);
        if let Some(last) = addrs.last() {
            let seeds = &mut *cx.seeds;
            let dialled = seeds.iter().position(|seed| seed == last).map_or(0, |at| at + 1);
            seeds.rotate_left(dialled);
        }
        let lost = (Joiner::DIALS_PER_PERIOD - addrs.len()).min(self.lost.len());
        for Lost { addr, .. } in self.lost.iter().take(lost) {
            if !addrs.contains(addr) {
                addrs.push(*addr);
            }
        }
        planted!(LostUnrotated, self.lost.rotate_left(lost));
        addrs
    }

    /// Twice as long each time, up to the period of re-dialling.
    fn wait_when_alone(&mut self, cx: &mut Context<'_>) -> Duration {
        let wait = Self::FIRST_WAIT * 2_u32.saturating_pow(self.attempts.min(16));
        self.attempts += 1;
        wait.min(cx.config.cycle()).min(cx.config.redial())
    }

    /// A join is a third of a datagram, so that a full one may answer.
    fn send_join(&self, cx: &mut Context<'_>, to: SocketAddr) {
        let ours = cx.config.wire_max();
        let versions: Vec<_> = match cx.is_alone() {
            // Two at once may come in any order, and the stripped one would be told to all first.
            true if self.attempts.is_multiple_of(2) => vec![ours],
            true => vec![WireVersion::One],
            false => cx.opening_versions(to).collect(),
        };
        let padding = cx.padding(Packet::LEN_MIN + Join::LEN_MIN, cx.config.path_size());
        cx.send_opening(to, versions, |cx, wire| {
            let me = cx.members.sighting(cx.members.me(), cx.now.mono, cx.step);
            let (token, summary) = (cx.token_for(to), cx.summary(wire));
            Body::Join(Join { token, me, summary, padding })
        });
    }

    pub(crate) fn on_join(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        membership: &mut Membership,
        join: &Join,
        via: Source,
    ) {
        if *cx.life != Life::Running {
            return;
        }
        if join.me.record.is_copy_of(cx.me) {
            return self.on_own_join(cx, join, via.from);
        }
        let news = MembershipUpdate::Member(join.me.clone());
        match membership.apply(cx, spread, detection, &news, via) {
            Some(node) => membership.announce_guest(cx, spread, node),
            None => membership.answer_refused(cx, detection, via.from, &join.me),
        }
        cx.note_report(via.from, join.summary.holds());
        Self::welcome(cx, via.from, join);
    }

    /// Our own dial has come back, with the token that we sent to the seed.
    fn on_own_join(&mut self, cx: &mut Context<'_>, join: &Join, from: SocketAddr) {
        cx.stats.packets_from_myself += 1;
        let seed = cx.sent_to(join.token, from, cx.routes.contacted());
        self.myself.extend(seed.filter(|seed| cx.seeds.contains(seed)));
    }

    fn welcome(cx: &mut Context<'_>, to: SocketAddr, join: &Join) {
        let guest = &join.me;
        let mut nodes = vec![cx.members.me()];
        let is_new = join.summary.members <= 1;
        if is_new || cx.members.absence() != Absence::Damped {
            // Else we may bring back whom the caller has removed, and forgotten.
            nodes.extend(cx.pick(Self::WELCOME_MEMBERS_MAX));
        }
        let longest = cx.config.path_len_max();
        let longest = cx.out.room(to).map_or(longest, |room| room.min(longest));
        let mut room = Room::of::<Welcome>(longest);
        let mut members = Vec::with_capacity(nodes.len());
        for node in nodes {
            let sighting = cx.members.sighting(node, cx.now.mono, cx.step);
            let is_guest = sighting.record.node().addr() == guest.record.node().addr();
            // Who is new has not removed us, and may find nobody else.
            let is_kept_back = cx.members.is_kept_back(node)
                && !(is_new && cx.members.absence() == Absence::Unsure);
            let is_told = !is_guest && !is_kept_back;
            if is_told && room.take(sighting.len_max()) {
                members.push(sighting);
            }
        }
        let ask = (!cx.is_routable(to)).then(|| cx.token_for(to));
        let welcome = Welcome { token: join.token, ask, summary: cx.summary(cx.wire()), members };
        cx.out.send(to, &cx.packet(Body::Welcome(welcome)));
    }

    pub(crate) fn on_welcome(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        membership: &mut Membership,
        welcome: &Welcome,
        via: Source,
    ) {
        let Some(dialled) = cx.sent_to(welcome.token, via.from, cx.routes.contacted()) else {
            cx.stats.answers_stale += 1;
            return;
        };
        membership.confirm(cx, spread, dialled);
        if cx.seeds.contains(&dialled) {
            self.answered.insert(dialled);
        }
        cx.echo(via.from, welcome.ask, None);
        let was_alone = cx.is_alone();
        for sighting in &welcome.members {
            let news = MembershipUpdate::Member(sighting.clone());
            if let Some(node) = membership.apply(cx, spread, detection, &news, via) {
                spread.relay_news(cx, node);
            } else if sighting.record.node().addr() == via.from {
                // It does not know that we took it for dead.
                membership.answer_refused(cx, detection, via.from, sighting);
            }
        }
        self.attempts = 0;
        cx.note_report(via.from, welcome.summary.holds());
        if *cx.life == Life::Running {
            let agrees = welcome.summary.agrees(&cx.summary(cx.wire()));
            cx.effects.push_back(Effect::LetIn { by: dialled, agrees, was_alone });
        }
    }

    /// Begins to dial.
    pub(crate) fn start(cx: &mut Context<'_>) {
        cx.timers.set(Timer::Dial, cx.now.mono);
    }

    /// True for a seed at which this node itself was met.
    pub(crate) fn is_itself(&self, seed: SocketAddr) -> bool {
        self.myself.contains(&seed)
    }

    /// True for a seed that answered when it was last asked.
    pub(crate) fn was_answered_by(&self, seed: SocketAddr) -> bool {
        self.answered.contains(&seed)
    }
}
