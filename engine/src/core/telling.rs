//! Telling: arcs that were handed over, until somebody answers for each of them.
//!
//! Who takes an arc on says so at once. Where nobody does, the rumor is sent again, twice where
//! packets get lost, then to another member of the arc; and a small arc is told by its teller, in
//! place of a delegate that is likely dead. With its acknowledgement a delegate says whom it
//! knows on the arc, if that is not what the teller knows, so that whoever only the teller knows
//! is still told.

use std::net::SocketAddr;

use super::arcs::{Delegation, RingView, subtract};
use super::engine::Engine;
use super::io::Outbox;
use super::packer::Room;
use super::packet::{
    Body, Bounded, News, Records, RingArc, Rumor, RumorAck, Token, Topic, ViewDigest,
};
use super::roster::NodeIx;
use super::timers::Timer;
use super::told::{Part, PartState, Told, TopicKey};
use crate::node::NodeId;
use crate::time::Now;

/// What is to be handed over.
#[derive(Clone, Copy, Debug)]
struct Handing {
    arc: RingArc,
    to: SocketAddr,
    view: Option<ViewDigest>,
    /// How often it was sent there already.
    sends: u32,
}

/// What to do about an arc that nobody answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    GiveUp,
    /// Send it once more to the same delegate.
    Again,
    /// Share it out into so many parts without that delegate.
    Instead(usize),
}

impl Engine {
    /// On arcs of so many members whoever a delegate does not know is told by its teller.
    const SMALL_ARC: usize = 32;
    /// Repeats to one delegate where many packets get lost.
    const PATIENCE_IN_LOSS: u32 = 5;
    /// Sends of one rumor by one node, as a multiple of the fan-out; beyond it the swap repairs.
    const BUDGET_PER_FAN_OUT: usize = 4;

    /// Has everybody told.
    pub(super) fn tell_all(&mut self, now: Now, topic: &Topic, out: &mut Outbox) {
        self.tell(now, topic, RingArc::whole(self.me.place()), None, 1, out);
    }

    /// Answers for an arc from now on. False when there are no sends left for it.
    pub(super) fn tell(
        &mut self,
        now: Now,
        topic: &Topic,
        arc: RingArc,
        from: Option<SocketAddr>,
        acks_asked: u8,
        out: &mut Outbox,
    ) -> bool {
        let mut others = vec![arc];
        subtract(&mut others, RingArc::of(self.me.place()));
        if others.is_empty() {
            return true;
        }
        let parts_max = self.parts_of(topic);
        let budget = Self::BUDGET_PER_FAN_OUT * parts_max;
        let key = TopicKey::of(topic, self.config.liveness());
        let at = self.telling.place_of(key, topic, budget);
        let mut fresh = self.telling.told[at].take_on(arc, from, acks_asked, now.mono);
        subtract(&mut fresh, RingArc::of(self.me.place()));
        self.share_out(now, at, &fresh, parts_max, None, out)
    }

    /// Hands arcs over to members on them. Whoever is silent gets no more than its own place, and
    /// no more tries than it has left.
    fn share_out(
        &mut self,
        now: Now,
        at: usize,
        arcs: &[RingArc],
        parts_max: usize,
        silent: Option<&Part>,
        out: &mut Outbox,
    ) -> bool {
        let told = &self.telling.told[at];
        let view = self.members.audience(&told.topic);
        let fan_out = parts_max.min(self.telling.told[at].budget.max(1));
        let silent_node = silent.and_then(|part| self.members.node(part.to));
        let delegations = view.split(arcs, fan_out, silent_node, &mut self.rng);
        // While members come and go views differ all the time: there the swap sees to it.
        let compares = !matches!(told.topic, Topic::Membership(_));
        let hand = |Delegation { to, arc, .. }| Handing {
            arc,
            to: self.members.addr(to),
            view: if compares { view.digest(arc) } else { None },
            sends: silent.filter(|_| silent_node == Some(to)).map_or(0, |part| part.sends),
        };
        let handings: Vec<_> = delegations.into_iter().map(hand).collect();
        self.telling.told[at].parts.reserve_exact(handings.len());
        handings.into_iter().all(|handing| self.hand_over(now, at, handing, out))
    }

    fn hand_over(&mut self, now: Now, at: usize, handing: Handing, out: &mut Outbox) -> bool {
        let told = &mut self.telling.told[at];
        if told.budget == 0 {
            self.stats.rumors_over_budget += 1;
            return false;
        }
        let Handing { arc, to, view, sends } = handing;
        let token = Token::new(told.key.tag(), self.rng.bits() as u32);
        let (first_sent_at, state) = (now.mono, PartState::Settled);
        told.parts.push(Part { arc, to, token, view, sends, first_sent_at, state });
        let part = told.parts.len() - 1;
        self.send_part(now, at, part, out);
        true
    }

    fn send_part(&mut self, now: Now, at: usize, part: usize, out: &mut Outbox) {
        let topic = self.aged(now, &self.telling.told[at].topic);
        let topic = self.passable(now, self.telling.told[at].parts[part].to, topic);
        let told = &mut self.telling.told[at];
        let due = now.mono + self.rtts.patience(told.parts[part].to, &self.config);
        let copies = told.copies(part);
        let acks = told.acks_of_each(copies);
        let Part { arc, to, token, view, .. } = told.send(part, copies, due);
        self.timers.set_earlier(Timer::Tell, due);
        let packet = self.packet(Body::Rumor(Rumor { token, acks, arc, view, topic }));
        for _ in 0..copies {
            out.attempt(to, &packet);
        }
    }

    fn view(&self, topic: &Topic) -> RingView<'_> {
        self.members.audience(topic)
    }

    /// Acknowledges a rumor, as often as it asks for, and says whom we know on its arc if the
    /// sender knows others.
    pub(super) fn acknowledge(&mut self, to: SocketAddr, rumor: &Rumor, out: &mut Outbox) {
        let mut known = self.known_on(rumor);
        if let Some(room) = out.room(to) {
            // Who is left out is introduced to us though we know it, which does no harm.
            known.truncate(Room::of::<RumorAck>(room).fits::<u16>());
        }
        let ack = |known| Body::RumorAck(RumorAck { token: rumor.token, known });
        out.send(to, &self.packet(ack(known)));
        let again = self.packet(ack(Vec::new()));
        for _ in 1..rumor.acks.min(Told::ACKS_MAX) {
            out.send(to, &again);
        }
    }

    /// Whom we know on the arc of a rumor; nobody if the sender knows the same, or did not say.
    fn known_on(&self, rumor: &Rumor) -> Vec<u16> {
        let Some(theirs) = rumor.view else { return Vec::new() };
        let view = self.view(&rumor.topic);
        match view.digest(rumor.arc) {
            Some(ours) if ours != theirs => {
                view.on(rumor.arc).map(|node| fingerprint(view.place(node))).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn on_rumor_ack(
        &mut self,
        now: Now,
        from: SocketAddr,
        ack: &RumorAck,
        out: &mut Outbox,
    ) {
        let Some((at, place)) = self.telling.find(ack.token) else {
            self.stats.answers_stale += 1;
            return;
        };
        let part = self.telling.told[at].parts[place];
        let told = &mut self.telling.told[at];
        let answered = planted!(AckOfAnother, ack.token, told.parts[0].token);
        planted!(AckUnheeded, told.settle(answered));
        self.confirm(now, part.to, out);
        if let Topic::Metadata(metadata) = &self.telling.told[at].topic
            && self.is_held_by_who_acknowledges(part.to, metadata)
        {
            self.note_holder(now, part.to, metadata.version(), out);
        }
        self.note_round_trip(part.to, now.mono - part.first_sent_at, part.sends);
        if let PartState::Waiting(_) = part.state {
            self.stats.hop_delay.observe(now.mono - part.first_sent_at);
            if !ack.known.is_empty() {
                self.tell_unknown(now, at, &part, &ack.known, out);
                self.swap_soon(now, from, None, out);
            }
        }
        if self.telling.next().is_none() {
            self.timers.clear(Timer::Tell);
        }
    }

    /// Tells those on an arc whom its delegate does not know; on a large arc they are too many,
    /// and the delegate is told of them instead.
    fn tell_unknown(&mut self, now: Now, at: usize, part: &Part, known: &[u16], out: &mut Outbox) {
        let view = self.members.audience(&self.telling.told[at].topic);
        let small = view.count(part.arc) <= Self::SMALL_ARC;
        let unknown: Vec<NodeIx> = view
            .on(part.arc)
            .filter(|&node| !known.contains(&fingerprint(view.place(node))))
            .collect();
        if small {
            for node in unknown {
                self.tell_alone(now, at, node, out);
            }
        } else {
            self.introduce(now, part.to, &unknown, out);
        }
    }

    /// Tells a node of members that it does not know, as many as fit a datagram.
    fn introduce(&self, now: Now, to: SocketAddr, unknown: &[NodeIx], out: &mut Outbox) {
        let mut room = Room::of::<Records>(self.config.path_len_max());
        let news = unknown.iter().filter_map(|&node| self.news_of(node, now.mono));
        let news: Vec<News> = news.take_while(|item| room.take(item.len_max())).collect();
        if !news.is_empty() {
            out.send(to, &self.packet(Body::Records(Records { news })));
        }
    }

    /// A member was listed that we did not know: what was told on its arc of late, it may have
    /// missed.
    pub(super) fn tell_newly_listed(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        if self.members.is_rumored(node) {
            return;
        }
        let (place, addr) = (self.members.place(node), self.members.addr(node));
        for at in 0..self.telling.told.len() {
            let told = &self.telling.told[at];
            let recent = now.mono - told.taken_at < self.config.cycle();
            let its_own = match &told.topic {
                Topic::Membership(News::Member(it)) => it.record.node().addr() == addr,
                Topic::Membership(News::Gone(gone)) => gone.addr == addr,
                Topic::Membership(News::Suspected(suspicion)) => suspicion.addr == addr,
                Topic::Metadata(_) | Topic::Announced(_) => false,
            };
            if recent && !its_own && told.lacks(place) {
                self.tell_alone(now, at, node, out);
            }
        }
    }

    /// Tells one node, whoever else was told already.
    pub(super) fn tell_this_one(
        &mut self,
        now: Now,
        topic: &Topic,
        node: NodeIx,
        out: &mut Outbox,
    ) {
        let budget = Self::BUDGET_PER_FAN_OUT * self.parts_of(topic);
        let key = TopicKey::of(topic, self.config.liveness());
        let at = self.telling.place_of(key, topic, budget);
        self.tell_alone(now, at, node, out);
    }

    fn tell_alone(&mut self, now: Now, at: usize, node: NodeIx, out: &mut Outbox) {
        let place = self.members.place(node);
        let view = Some(ViewDigest::of([place].into_iter()));
        let to = self.members.addr(node);
        self.hand_over(now, at, Handing { arc: RingArc::of(place), to, view, sends: 0 }, out);
    }

    /// Sees to what was not acknowledged in time.
    pub(super) fn on_tell(&mut self, now: Now, out: &mut Outbox) {
        for at in 0..self.telling.told.len() {
            for part in self.telling.told[at].take_overdue(now.mono) {
                self.tell_again(now, at, part, out);
            }
        }
        if let Some(next) = self.telling.next() {
            self.timers.set(Timer::Tell, next);
        }
    }

    fn tell_again(&mut self, now: Now, at: usize, place: usize, out: &mut Outbox) {
        let told = &self.telling.told[at];
        let part = told.parts[place];
        match self.remedy(told, &part) {
            Remedy::GiveUp => {
                self.stats.rumors_unanswered += u64::from(told.budget > 0);
                self.stats.rumors_over_budget += u64::from(told.budget == 0);
                self.telling.told[at].parts[place].settle();
            }
            Remedy::Again => self.send_part(now, at, place, out),
            Remedy::Instead(parts_max) => {
                self.telling.told[at].parts[place].state = PartState::Relieved;
                self.share_out(now, at, &[part.arc], parts_max, Some(&part), out);
            }
        }
    }

    /// What to do about an arc that nobody answers for. Where most answer, the delegate is likely
    /// dead, and the fewer it was to tell the sooner we do it ourselves; where many don't, or some
    /// answered only later, the network is bad, and another delegate would only do the same work
    /// twice.
    fn remedy(&self, told: &Told, part: &Part) -> Remedy {
        if told.budget == 0 || part.sends >= told.tells_max() {
            return Remedy::GiveUp;
        }
        let listed = self.members.node(part.to).is_some_and(|node| self.members.is_listed(node));
        let members = self.members.audience(&told.topic).count(part.arc);
        let patience = match told.is_lossy() {
            true => Self::PATIENCE_IN_LOSS,
            false if told.some_were_only_late() => 2,
            false => 1,
        };
        let few = members <= self.config.fan_out() && !told.is_lossy() && told.affords(members);
        match members {
            0 => Remedy::GiveUp,
            1 if listed => Remedy::Again,
            _ if few => Remedy::Instead(members),
            _ if listed && part.sends <= patience => Remedy::Again,
            _ => Remedy::Instead(1),
        }
    }

    /// The same topic as we hold it: an age has grown while it was here.
    fn aged(&self, now: Now, topic: &Topic) -> Topic {
        if let Topic::Membership(News::Member(sighting)) = topic {
            let ours = self.members.node(sighting.record.node().addr());
            let ours = ours.and_then(|node| self.news_of(node, now.mono));
            if let Some(News::Member(ours)) = ours
                && ours.record == sighting.record
            {
                return Topic::Membership(News::Member(ours));
            }
        }
        topic.clone()
    }
}

/// A few bits of a place: on a small arc hardly ever those of another member.
fn fingerprint(place: NodeId) -> u16 {
    place.0 as u16
}
