//! Telling: arcs that were handed over, until somebody answers for each of them.
//!
//! Who takes an arc on says so at once. Where nobody does, the rumor is sent again; and where that
//! is in vain too, the teller stands in for its delegate and shares the arc out itself. With its
//! acknowledgement a delegate says whom it knows on the arc, if that is not what the teller knows,
//! so that whoever only the teller knows is still told.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::arcs::{Delegation, RingView, subtract};
use super::engine::Engine;
use super::io::Outbox;
use super::metadata::Version;
use super::packet::{
    Body, Cause, News, Records, RingArc, Rumor, RumorAck, Token, Topic, ViewDigest, len,
};
use super::record::Digest;
use super::roster::NodeIx;
use super::timers::Timer;
use crate::node::{Generation, NodeId};
use crate::time::{Instant, Now};

/// What is being told here, and what was lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Telling {
    told: VecDeque<Told>,
}

/// One rumor.
#[derive(Clone, Debug)]
struct Told {
    topic: Topic,
    /// What we answer for.
    arcs: Vec<RingArc>,
    /// What we handed over: at most as many as there are sends.
    parts: Vec<Part>,
    /// How many sends are left.
    budget: usize,
    sends: usize,
    silences: usize,
    warned: u8,
    /// When we last took on an arc of it.
    taken_at: Instant,
}

/// An arc that was handed over.
#[derive(Clone, Copy, Debug)]
struct Part {
    arc: RingArc,
    to: SocketAddr,
    token: Token,
    view: Option<ViewDigest>,
    sends: u32,
    sent_at: Instant,
    state: PartState,
}

/// What is to be handed over.
#[derive(Clone, Copy, Debug)]
struct Handing {
    arc: RingArc,
    to: SocketAddr,
    view: Option<ViewDigest>,
    /// How often it was sent there already.
    sends: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartState {
    /// It is sent again at this time.
    Waiting(Instant),
    /// Its delegate answers for it, or we gave it up.
    Settled,
    /// We stand in for its delegate; its parts are listed on their own.
    Relieved,
}

/// What makes two rumors the same, whatever the age of the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TopicKey {
    Metadata(Version),
    Member(Digest),
    Gone(SocketAddr, Generation, Cause),
}

impl TopicKey {
    fn of(topic: &Topic) -> Self {
        match topic {
            Topic::Metadata(metadata) => Self::Metadata(metadata.version()),
            Topic::Announced(announcement) => Self::Metadata(announcement.version),
            Topic::Membership(News::Member(sighting)) => Self::Member(sighting.record.digest()),
            Topic::Membership(News::Gone(gone)) => {
                Self::Gone(gone.addr, gone.generation, gone.cause)
            }
        }
    }

    /// 32 bits of it, the same everywhere.
    fn tag(self) -> u32 {
        let folded = match self {
            Self::Metadata(version) => u128::from_le_bytes(version.digest) ^ version.nanos as u128,
            Self::Member(digest) => digest.0,
            Self::Gone(addr, generation, _) => {
                u128::from(NodeId::of(addr).0) ^ u128::from(generation.get()) << 1
            }
        };
        (0..4).fold(0, |tag, word| tag ^ (folded >> (32 * word)) as u32)
    }
}

impl Telling {
    /// Rumors that are remembered; a duplicate of an older one is shared out once more.
    const RUMORS_MAX: usize = 32;

    /// The place of a rumor, which is new here if it has none yet.
    fn place_of(&mut self, topic: &Topic, budget: usize) -> usize {
        let key = TopicKey::of(topic);
        if let Some(at) = self.told.iter().position(|told| TopicKey::of(&told.topic) == key) {
            return at;
        }
        if self.told.len() == Self::RUMORS_MAX {
            self.told.pop_front();
        }
        self.told.reserve_exact(1);
        self.told.push_back(Told {
            topic: topic.clone(),
            arcs: Vec::new(),
            parts: Vec::new(),
            budget,
            sends: 0,
            silences: 0,
            warned: 0,
            taken_at: Instant::ZERO,
        });
        self.told.len() - 1
    }

    fn find(&self, token: Token) -> Option<(usize, usize)> {
        self.told.iter().enumerate().find_map(|(at, told)| {
            let part = told.parts.iter().position(|part| part.token == token)?;
            Some((at, part))
        })
    }

    /// When something is next to be sent again.
    fn next(&self) -> Option<Instant> {
        self.told.iter().flat_map(|told| &told.parts).filter_map(|part| part.due()).min()
    }

    /// Ends the telling of metadata that is older than what is held.
    pub(super) fn supersede(&mut self, held: Version) {
        for told in &mut self.told {
            if matches!(TopicKey::of(&told.topic), TopicKey::Metadata(version) if version < held) {
                told.parts.iter_mut().for_each(Part::settle);
            }
        }
    }
}

impl Told {
    /// How many acknowledgements to ask for: the more, the more sends were in vain, here or
    /// where the rumor came from.
    fn acks(&self) -> u8 {
        let own = if self.silences < Self::SILENCES_MIN { 0 } else { 8 * self.silences / self.sends };
        self.warned.max(own as u8).clamp(1, Engine::ACKS_MAX)
    }

    /// Where most answer, who doesn't is likely dead; where many don't, the network is bad.
    fn is_lossy(&self) -> bool {
        self.acks() > 1
    }

    const ARCS_MAX: usize = 8;
    const SILENCES_MIN: usize = 3;

    /// Takes an arc on; what of it is not yet in other hands. What we had handed to the very node
    /// that now hands it to us comes back, or each of the two would leave it to the other.
    fn take_on(&mut self, arc: RingArc, from: Option<SocketAddr>, now: Instant) -> Vec<RingArc> {
        if self.parts.iter().any(|part| Some(part.to) == from) {
            self.take_back(arc, from);
        }
        let mut fresh = vec![arc];
        for part in self.parts.iter().filter(|part| part.state != PartState::Relieved) {
            subtract(&mut fresh, part.arc);
        }
        if self.arcs.len() < Self::ARCS_MAX && !self.arcs.contains(&arc) {
            self.arcs.reserve_exact(1);
            self.arcs.push(arc);
        }
        self.taken_at = now;
        fresh
    }

    /// Cuts an arc out of what a node was handed.
    fn take_back(&mut self, arc: RingArc, of: Option<SocketAddr>) {
        let parts = std::mem::take(&mut self.parts);
        self.parts.reserve(parts.len());
        for part in parts {
            if Some(part.to) == of {
                let rests = part.arc.minus(arc).into_iter().flatten();
                self.parts.extend(rests.map(|arc| Part { arc, ..part }));
            } else {
                self.parts.push(part);
            }
        }
    }

    /// A delegate answers for a part, and with it for all that we told in its place.
    fn settle(&mut self, at: usize) {
        let Part { arc, state, .. } = self.parts[at];
        self.parts[at].settle();
        if state == PartState::Relieved {
            let within = |part: &&mut Part| arc.contains(part.arc.upto);
            self.parts.iter_mut().filter(within).for_each(Part::settle);
        }
    }

    /// True when a place is among those we answer for, and nobody was told it alone.
    fn lacks(&self, place: NodeId) -> bool {
        let alone = RingArc::of(place);
        self.arcs.iter().any(|arc| arc.contains(place))
            && !self.parts.iter().any(|part| part.arc == alone)
    }
}

impl Part {
    fn due(&self) -> Option<Instant> {
        match self.state {
            PartState::Waiting(due) => Some(due),
            PartState::Settled | PartState::Relieved => None,
        }
    }

    fn settle(&mut self) {
        if self.state != PartState::Relieved {
            self.state = PartState::Settled;
        }
    }
}

impl Engine {
    const ANSWERS_PER_SILENCE: usize = 3;
    /// Acknowledgements of one receipt.
    const ACKS_MAX: u8 = 5;
    /// How often one arc is sent to one node.
    const TELLS_MAX: u32 = 10;
    /// On arcs of so many members whoever a delegate does not know is told by its teller.
    const SMALL_ARC: usize = 32;
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
        warned: u8,
        out: &mut Outbox,
    ) -> bool {
        let mut others = vec![arc];
        subtract(&mut others, RingArc::of(self.me.place()));
        if others.is_empty() {
            return true;
        }
        let budget = Self::BUDGET_PER_FAN_OUT * self.config.fan_out();
        let at = self.telling.place_of(topic, budget);
        let heard = &mut self.telling.told[at].warned;
        *heard = warned.max(*heard);
        let mut fresh = self.telling.told[at].take_on(arc, from, now.mono);
        subtract(&mut fresh, RingArc::of(self.me.place()));
        self.share_out(now, at, &fresh, self.config.fan_out(), None, out)
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
        self.members.in_ring_order();
        let view = self.members.who_is_told();
        let fan_out = parts_max.min(self.telling.told[at].budget.max(1));
        let silent_node = silent.and_then(|part| self.members.node(part.to));
        let delegations = view.split(arcs, fan_out, silent_node, &mut self.rng);
        let hand = |Delegation { to, arc, .. }| Handing {
            arc,
            to: self.members.addr(to),
            view: view.digest(arc),
            sends: silent.filter(|_| silent_node == Some(to)).map_or(0, |part| part.sends),
        };
        let handings: Vec<_> = delegations.into_iter().map(hand).collect();
        handings.into_iter().fold(true, |all, handing| self.hand_over(now, at, handing, out) && all)
    }

    fn hand_over(&mut self, now: Now, at: usize, handing: Handing, out: &mut Outbox) -> bool {
        let told = &mut self.telling.told[at];
        if told.budget == 0 {
            self.stats.rumors_over_budget += 1;
            return false;
        }
        let Handing { arc, to, view, sends } = handing;
        let token = Token::new(TopicKey::of(&told.topic).tag(), self.rng.bits() as u32);
        let (sent_at, state) = (now.mono, PartState::Settled);
        told.parts.push(Part { arc, to, token, view, sends, sent_at, state });
        let part = told.parts.len() - 1;
        self.send_part(now, at, part, out);
        true
    }

    fn send_part(&mut self, now: Now, at: usize, part: usize, out: &mut Outbox) {
        let topic = self.aged(now, &self.telling.told[at].topic);
        let told = &mut self.telling.told[at];
        told.budget -= 1;
        told.sends += 1;
        let acks = told.acks();
        let part = &mut told.parts[part];
        let due = now.mono + self.rtts.patience(part.to, &self.config);
        part.sends += 1;
        part.sent_at = now.mono;
        part.state = PartState::Waiting(due);
        let Part { arc, to, token, view, .. } = *part;
        self.timers.set_earlier(Timer::Tell, due);
        out.send(to, &self.packet(Body::Rumor(Rumor { token, acks, arc, view, topic })));
    }

    fn view(&mut self) -> RingView<'_> {
        self.members.in_ring_order();
        self.members.who_is_told()
    }

    /// Acknowledges a rumor, and says whom we know on its arc if the sender knows others.
    pub(super) fn acknowledge(&mut self, to: SocketAddr, rumor: &Rumor, out: &mut Outbox) {
        let view = self.view();
        let ours = rumor.view.and_then(|_| view.digest(rumor.arc));
        let known = match ours {
            Some(ours) if Some(ours) != rumor.view => {
                view.on(rumor.arc).map(|node| fingerprint(view.place(node))).collect()
            }
            _ => Vec::new(),
        };
        let ack = RumorAck { token: rumor.token, known };
        let packet = self.packet(Body::RumorAck(ack));
        for _ in 0..rumor.acks.clamp(1, Self::ACKS_MAX) {
            out.send(to, &packet);
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
        self.telling.told[at].settle(place);
        if part.sends == 1 {
            // Karn's rule: what was sent twice says nothing of the round trip.
            self.rtts.sample(part.to, now.mono - part.sent_at);
        }
        if let PartState::Waiting(_) = part.state
            && !ack.known.is_empty()
        {
            self.tell_unknown(now, at, &part, &ack.known, out);
            self.swap_soon(now, from, out);
        }
        if self.telling.next().is_none() {
            self.timers.clear(Timer::Tell);
        }
    }

    /// Tells those on an arc whom its delegate does not know; on a large arc they are too many,
    /// and the delegate is told of them instead.
    fn tell_unknown(&mut self, now: Now, at: usize, part: &Part, known: &[u16], out: &mut Outbox) {
        let view = self.view();
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
        let mut room = self.config.packet_len_max() - len::HEADER - len::COUNT;
        let mut news = Vec::new();
        for item in unknown.iter().filter_map(|&node| self.news_of(node, now.mono)) {
            if item.len_max() > room {
                break;
            }
            room -= item.len_max();
            news.push(item);
        }
        if !news.is_empty() {
            out.send(to, &self.packet(Body::Records(Records { news })));
        }
    }

    /// A member was listed that we did not know: what was told on its arc of late, it may have
    /// missed.
    pub(super) fn tell_newly_listed(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        if self.members.is_newcomer(node) {
            return;
        }
        let (place, addr) = (self.members.place(node), self.members.addr(node));
        for at in 0..self.telling.told.len() {
            let told = &self.telling.told[at];
            let recent = now.mono - told.taken_at < self.config.cycle();
            let its_own = match &told.topic {
                Topic::Membership(News::Member(it)) => it.record.node().addr() == addr,
                Topic::Membership(News::Gone(gone)) => gone.addr == addr,
                Topic::Metadata(_) | Topic::Announced(_) => false,
            };
            if recent && !its_own && told.lacks(place) {
                self.tell_alone(now, at, node, out);
            }
        }
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
            let told = &self.telling.told[at];
            let due: Vec<_> = (0..told.parts.len())
                .filter(|&part| told.parts[part].due().is_some_and(|due| due <= now.mono))
                .collect();
            self.telling.told[at].silences += due.len();
            for part in due {
                self.tell_again(now, at, part, out);
            }
        }
        if let Some(next) = self.telling.next() {
            self.timers.set(Timer::Tell, next);
        }
    }

    fn tell_again(
        &mut self,
        now: Now,
        at: usize,
        place: usize,
        out: &mut Outbox,
    ) {
        let told = &mut self.telling.told[at];
        let part = told.parts[place];
        let likely_dead = !told.is_lossy();
        if told.budget == 0 || part.sends >= Self::TELLS_MAX {
            let unanswered = u64::from(told.budget > 0);
            self.stats.rumors_unanswered += unanswered;
            self.stats.rumors_over_budget += 1 - unanswered;
            told.parts[place].settle();
            return;
        }
        let view = self.view();
        let count = view.count(part.arc);
        let listed = self.members.node(part.to).is_some_and(|node| self.members.is_listed(node));
        let few = count <= self.config.fan_out() && likely_dead;
        let patient = if likely_dead { 1 } else { 3 };
        if listed && (count == 1 || (!few && part.sends <= patient)) {
            self.send_part(now, at, place, out);
        } else {
            self.telling.told[at].parts[place].state = PartState::Relieved;
            let parts_max = if few { count } else { 1 };
            self.share_out(now, at, &[part.arc], parts_max, Some(&part), out);
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
