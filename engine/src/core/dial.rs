//! Ways into the cluster: joining through seeds, and looking for those that were lost.
//!
//! A dial is a join, whether for the first time or after a partition: who is asked lists the
//! caller, answers with some members, and a swap brings the rest. Seeds that are not listed are
//! dialled for ever, so that a partition of any length heals where one lies on the other side.
//! Nodes that were removed by timeout are dialled for `redial_for` only: by then their address may
//! be that of a node of another cluster, and one dial makes one of two.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Life};
use super::io::Outbox;
use super::newcomers::Via;
use super::packer::Room;
use super::packet::{Body, Bounded, Join, News, Packet, Records, Welcome};
use super::record::Sighting;
use super::roster::NodeIx;
use super::timers::Timer;
use crate::time::{Instant, Now};

/// Who is to be dialled, and who was answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialler {
    seeds: Vec<SocketAddr>,
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
    /// Whom we told this cycle that what it says is outranked.
    refused: Vec<SocketAddr>,
}

/// One that was removed by timeout.
#[derive(Clone, Copy, Debug)]
struct Lost {
    addr: SocketAddr,
    /// Nobody knows any more who has the address then.
    until: Instant,
}

impl Dialler {
    const LOST_MAX: usize = 64;
    const DIALS_PER_PERIOD: usize = 4;
    const REFUSALS_PER_CYCLE_MAX: usize = 64;

    /// Has one that was removed by timeout dialled until then.
    pub(super) fn lost(&mut self, addr: SocketAddr, until: Instant) {
        if !self.lost.iter().any(|lost| lost.addr == addr) {
            if self.lost.len() == Self::LOST_MAX {
                self.lost.pop_front();
            }
            self.lost.push_back(Lost { addr, until });
        }
    }

    pub(super) fn lost_len(&self) -> usize {
        self.lost.len()
    }

    pub(super) fn found(&mut self, addr: SocketAddr) {
        if !self.lost.is_empty() {
            self.lost.retain(|lost| lost.addr != addr);
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
        // Several names may stand for one node.
        let mut named = BTreeSet::from([self.me.node().addr()]);
        addrs.retain(|&addr| named.insert(addr));
        let is_fresh = |addr: &SocketAddr| !self.dialler.seeds.contains(addr);
        let fresh: Vec<_> = addrs.iter().copied().filter(is_fresh).collect();
        self.dialler.answered.retain(|addr| named.contains(addr));
        self.dialler.myself.retain(|addr| named.contains(addr));
        self.dialler.fresh.retain(|addr| named.contains(addr));
        self.dialler.fresh.extend(fresh);
        self.dialler.seeds = addrs;
        if self.life != Life::Running {
            return;
        }
        if self.is_alone() {
            self.dialler.attempts = 0;
            self.timers.set(Timer::Dial, now.mono);
        } else if self.dialler.fresh.iter().any(|&addr| !self.lists(addr)) {
            self.dialler.has_phase = false;
            self.timers.set_earlier(Timer::Dial, now.mono);
        }
    }

    /// True for a seed at which this node itself was met.
    pub fn is_itself(&self, seed: SocketAddr) -> bool {
        self.dialler.myself.contains(&seed)
    }

    /// True when the node at this address is listed, or answered as a seed when it was last asked.
    pub fn is_in_touch_with(&self, addr: SocketAddr) -> bool {
        self.dialler.answered.contains(&addr) || self.lists(addr)
    }

    pub(super) fn is_alone(&self) -> bool {
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
        for addr in self.whom_to_dial(now.mono) {
            self.asked.note(addr);
            self.dialler.answered.remove(&addr);
            out.send(addr, &self.join_packet(now, addr));
        }
        let is_alone = self.is_alone();
        let wait = match std::mem::replace(&mut self.dialler.has_phase, !is_alone) {
            _ if is_alone => {
                let wait = self.wait_when_alone();
                self.jittered(wait)
            }
            true => self.jittered(self.config.redial()),
            // Nodes that start together would dial together for long, and what is cut off just
            // after that would wait for a whole period.
            false => self.part_of(self.config.redial()),
        };
        planted!(DialsEnd, self.timers.set(Timer::Dial, now.mono + wait));
    }

    /// Seeds that are not listed, then lost members, each of these in turn. Seeds that are dead
    /// for good leave half the dials to the lost. When seeds were just named these alone: names
    /// are looked up one by one, and those that are known were dialled.
    fn whom_to_dial(&mut self, now: Instant) -> Vec<SocketAddr> {
        let again = std::mem::take(&mut self.dialler.again);
        let fresh = std::mem::take(&mut self.dialler.fresh);
        let myself = &self.dialler.myself;
        let is_due = |addr: &SocketAddr| {
            (fresh.is_empty() || fresh.contains(addr)) && !myself.contains(addr)
        };
        let seeds = self.dialler.seeds.iter().copied().filter(is_due);
        let may = planted!(SeedsDialledAlone, true, self.is_alone());
        let mut addrs: Vec<_> = seeds.filter(|&addr| again || may && !self.lists(addr)).collect();
        self.dialler.lost.retain(|lost| now < lost.until);
        let kept = self.dialler.lost.len().min(Dialler::DIALS_PER_PERIOD / 2);
        addrs.truncate(Dialler::DIALS_PER_PERIOD - kept);
        if let Some(last) = addrs.last() {
            let seeds = &mut self.dialler.seeds;
            let dialled = seeds.iter().position(|seed| seed == last).map_or(0, |at| at + 1);
            seeds.rotate_left(dialled);
        }
        let lost = (Dialler::DIALS_PER_PERIOD - addrs.len()).min(self.dialler.lost.len());
        for Lost { addr, .. } in self.dialler.lost.iter().take(lost) {
            if !addrs.contains(addr) {
                addrs.push(*addr);
            }
        }
        planted!(LostUnrotated, self.dialler.lost.rotate_left(lost));
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
        let padding = self.padding(Packet::LEN_MIN + Join::LEN_MIN, self.config.path_size());
        self.packet(Body::Join(Join { token, me, summary, padding }))
    }

    pub(super) fn on_join(&mut self, now: Now, join: &Join, via: Via, out: &mut Outbox) {
        if self.life != Life::Running {
            return;
        }
        if join.me.record == self.me {
            return self.on_own_join(now.mono, join, via.from);
        }
        let news = News::Member(join.me.clone());
        match self.see(now, &news, via, out) {
            Some(node) => self.announce_guest(now, node, out),
            None => self.answer_refused(now, via.from, &join.me, out),
        }
        self.note_report(via.from, join.summary.holds());
        self.welcome(now, via.from, join, out);
    }

    /// Our own dial has come back, with the token that we sent to the seed.
    fn on_own_join(&mut self, now: Instant, join: &Join, from: SocketAddr) {
        self.stats.packets_from_myself += 1;
        let seed = self.sent_to(now, join.token, from, self.asked.recent());
        self.dialler.myself.extend(seed.filter(|seed| self.dialler.seeds.contains(seed)));
    }

    fn welcome(&mut self, now: Now, to: SocketAddr, join: &Join, out: &mut Outbox) {
        let guest = &join.me;
        let mut nodes = vec![self.members.me()];
        nodes.extend(self.pick(now.mono, Self::WELCOME_MEMBERS_MAX));
        let longest = self.config.path_len_max();
        let longest = out.room(to).map_or(longest, |room| room.min(longest));
        let mut room = Room::of::<Welcome>(longest);
        let mut members = Vec::with_capacity(nodes.len());
        for node in nodes {
            let sighting = self.members.sighting(node, now.mono, self.step);
            let is_guest = sighting.record.node().addr() == guest.record.node().addr();
            if !is_guest && room.take(sighting.len_max()) {
                members.push(sighting);
            }
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
        if self.dialler.seeds.contains(&dialled) {
            self.dialler.answered.insert(dialled);
        }
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
