//! Ways into the cluster: joining through seeds, and looking for those that were lost.
//!
//! A dial is a join, whether for the first time or after a partition: who is asked lists the
//! caller, answers with some members, and a swap brings the rest. Nodes that were removed by
//! timeout are dialled for ever, so that a partition of any length heals.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Life};
use super::io::Outbox;
use super::newcomers::Via;
use super::packet::{Body, Join, News, Packet, Records, Welcome, len};
use super::record::Sighting;
use super::roster::NodeIx;
use super::timers::Timer;
use crate::time::{Instant, Now};

/// Who is to be dialled, and who was answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialler {
    seeds: Vec<SocketAddr>,
    /// Those that are listed are dialled as well, once.
    again: bool,
    /// Removed by timeout and not heard of since, in the order in which they are dialled.
    lost: VecDeque<SocketAddr>,
    /// Dials since we were last alone without an answer.
    attempts: u32,
    /// Whom we told this cycle that what it says is outranked.
    refused: Vec<SocketAddr>,
}

impl Dialler {
    const LOST_MAX: usize = 64;
    const DIALS_PER_PERIOD: usize = 4;
    const REFUSALS_PER_CYCLE_MAX: usize = 64;

    pub(super) fn lost(&mut self, addr: SocketAddr) {
        if !self.lost.contains(&addr) {
            if self.lost.len() == Self::LOST_MAX {
                self.lost.pop_front();
            }
            self.lost.push_back(addr);
        }
    }

    pub(super) fn found(&mut self, addr: SocketAddr) {
        if !self.lost.is_empty() {
            self.lost.retain(|&lost| lost != addr);
        }
    }

    pub(super) fn forget_refusals(&mut self) {
        self.refused.clear();
    }

    /// True the first time in a cycle that this sender is to be told.
    pub(super) fn may_answer_refused(&mut self, to: SocketAddr) -> bool {
        if self.refused.len() == Self::REFUSALS_PER_CYCLE_MAX || self.refused.contains(&to) {
            return false;
        }
        self.refused.push(to);
        true
    }
}

impl Engine {
    const FIRST_WAIT: Duration = Duration::from_millis(50);
    const WELCOME_MEMBERS_MAX: usize = 64;

    pub(super) fn on_seeds(&mut self, now: Now, mut addrs: Vec<SocketAddr>) {
        addrs.retain(|&addr| addr != self.me.node().addr());
        self.dialler.seeds = addrs;
        if self.is_alone() && self.life == Life::Running {
            self.dialler.attempts = 0;
            self.timers.set(Timer::Dial, now.mono);
        }
    }

    fn is_alone(&self) -> bool {
        self.members.len() == 1
    }

    /// Has seeds dialled once more though they are listed: they refused what we were, and what we
    /// are now they tell everybody, who would not pass on a stranger's word for itself. With the
    /// next input, because this one may come from somebody to whom hardly anything may go. False
    /// when there are none.
    pub(super) fn join_again(&mut self, now: Instant) -> bool {
        self.dialler.again = true;
        self.timers.set_earlier(Timer::Dial, now + Duration::from_millis(1));
        !self.dialler.seeds.is_empty()
    }

    pub(super) fn on_dial(&mut self, now: Now, out: &mut Outbox) {
        for addr in self.whom_to_dial() {
            self.asked.note(addr);
            out.send(addr, &self.join_packet(now, addr));
        }
        let wait = if self.is_alone() { self.wait_when_alone() } else { self.config.redial() };
        let wait = self.jittered(wait);
        self.timers.set(Timer::Dial, now.mono + wait);
    }

    /// Seeds that are not listed, then lost members, each of these in turn. Seeds that are dead
    /// for good leave half the dials to the lost.
    fn whom_to_dial(&mut self) -> Vec<SocketAddr> {
        let again = std::mem::take(&mut self.dialler.again);
        let seeds = self.dialler.seeds.iter().copied();
        let mut addrs: Vec<_> = seeds.filter(|&addr| again || !self.lists(addr)).collect();
        let kept = self.dialler.lost.len().min(Dialler::DIALS_PER_PERIOD / 2);
        addrs.truncate(Dialler::DIALS_PER_PERIOD - kept);
        if let Some(last) = addrs.last() {
            let seeds = &mut self.dialler.seeds;
            let dialled = seeds.iter().position(|seed| seed == last).map_or(0, |at| at + 1);
            seeds.rotate_left(dialled);
        }
        let lost = (Dialler::DIALS_PER_PERIOD - addrs.len()).min(self.dialler.lost.len());
        for addr in self.dialler.lost.iter().take(lost) {
            if !addrs.contains(addr) {
                addrs.push(*addr);
            }
        }
        self.dialler.lost.rotate_left(lost);
        addrs
    }

    /// Twice as long each time, up to the period of re-dialling.
    fn wait_when_alone(&mut self) -> Duration {
        let wait = Self::FIRST_WAIT * 2_u32.saturating_pow(self.dialler.attempts.min(16));
        self.dialler.attempts += 1;
        wait.min(self.config.cycle()).min(self.config.redial())
    }

    /// A join is a third of a datagram, so that a full one may answer.
    fn join_packet(&self, now: Now, to: SocketAddr) -> Arc<Packet> {
        let me = self.members.sighting(self.members.me(), now.mono, self.step);
        let (token, summary) = (self.token_for(now.mono, to), self.summary(now));
        let padding = self.padding(len::JOIN_MIN, self.config.path_size());
        self.packet(Body::Join(Join { token, me, summary, padding }))
    }

    pub(super) fn on_join(&mut self, now: Now, join: &Join, via: Via, out: &mut Outbox) {
        if self.life != Life::Running {
            return;
        }
        let news = News::Member(join.me.clone());
        match self.see(now, &news, via, out) {
            Some(node) => self.announce_guest(now, node, out),
            None => self.answer_refused(now, via.from, &join.me, out),
        }
        self.note_report(via.from, join.summary.holds());
        self.welcome(now, via.from, join, out);
    }

    fn welcome(&mut self, now: Now, to: SocketAddr, join: &Join, out: &mut Outbox) {
        let guest = &join.me;
        let mut nodes = vec![self.members.me()];
        nodes.extend(self.pick(now.mono, Self::WELCOME_MEMBERS_MAX));
        let longest = self.config.path_len_max();
        let longest = out.room(to).map_or(longest, |room| room.min(longest));
        let mut room = longest.saturating_sub(len::HEADER + len::WELCOME);
        let mut members = Vec::with_capacity(nodes.len());
        for node in nodes {
            let sighting = self.members.sighting(node, now.mono, self.step);
            let is_guest = sighting.record.node().addr() == guest.record.node().addr();
            if is_guest || sighting.len_max() > room {
                continue;
            }
            room -= sighting.len_max();
            members.push(sighting);
        }
        let ask = (!self.is_routable(to)).then(|| self.token_for(now.mono, to));
        let welcome = Welcome { token: join.token, ask, summary: self.summary(now), members };
        out.send(to, &self.packet(Body::Welcome(welcome)));
    }

    pub(super) fn on_welcome(&mut self, now: Now, welcome: &Welcome, via: Via, out: &mut Outbox) {
        let Some(dialled) = self.sent_to(now.mono, welcome.token, via.from, self.asked.recent())
        else {
            self.stats.answers_stale += 1;
            return;
        };
        self.confirm(now, dialled, out);
        self.echo(via.from, welcome.ask, None, out);
        let was_alone = self.is_alone();
        for sighting in &welcome.members {
            let news = News::Member(sighting.clone());
            if let Some(node) = self.see(now, &news, via, out) {
                self.relay_news(now.mono, node);
            } else if sighting.record.node().addr() == via.from {
                // It does not know that we took it for dead.
                self.answer_refused(now, via.from, sighting, out);
            }
        }
        self.dialler.attempts = 0;
        self.note_report(via.from, welcome.summary.holds());
        if self.life == Life::Running {
            if !welcome.summary.agrees(&self.summary(now)) {
                // A seed that lets in a whole cluster would be asked for all of it by everybody.
                let random = was_alone.then(|| self.next_partner(now.mono)).flatten();
                let partner = random.map_or(dialled, |node| self.members.addr(node));
                self.swap_soon(now, partner, None, out);
            }
            // Who let us in may have been new here too: agreeing with it proves little.
            self.swap_again_soon(now.mono);
        }
    }

    /// Tells a sender, once a cycle, what outranks the incarnation that it spoke of.
    pub(super) fn answer_refused(
        &mut self,
        now: Now,
        to: SocketAddr,
        refused: &Sighting,
        out: &mut Outbox,
    ) {
        let Some(node) = self.outranking(refused) else { return };
        let Some(news) = self.news_of(node, now.mono) else { return };
        if self.dialler.may_answer_refused(to) {
            let records = Records { news: vec![news] };
            out.send(to, &self.packet(Body::Records(records)));
        }
    }

    /// The node whose record or tombstone outranks this incarnation, if one does.
    fn outranking(&self, refused: &Sighting) -> Option<NodeIx> {
        let node = self.members.node(refused.record.node().addr())?;
        let theirs = refused.record.generation();
        let ours = self.members.record(node).generation();
        let gone = !self.members.is_listed(node);
        (ours > theirs || (ours == theirs && gone)).then_some(node)
    }
}
