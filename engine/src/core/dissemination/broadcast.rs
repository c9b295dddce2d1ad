//! Telling: arcs that were handed over, until somebody answers for each of them.
//!
//! Who takes an arc on says so at once. A large arc is sent twice to begin with where packets got
//! lost of late. Where nobody answers, the rumor is sent again, twice where packets get lost, then
//! to another member of the arc; and a small arc is told by its teller, in place of a delegate
//! that is likely dead. With its acknowledgement a delegate says whom it knows on the arc, if that
//! is not what the teller knows, so that whoever only the teller knows is still told.

use std::net::SocketAddr;
use std::time::Duration;

use super::Dissemination;
use super::payload::payload;
use super::rumors::{ActiveRumor, Assignment, AssignmentState};
use crate::core::context::{Context, Effect};
use crate::core::members::{Delegation, NodeIx, RingView, subtract};
use crate::core::metadata::Metadata;
use crate::core::packer::Room;
use crate::core::packet::{
    Body, Bounded, Delta, Echoed, Kept, MembershipUpdate, RingArc, Rumor, RumorAck, Subject, Token,
    ViewDigest,
};
use crate::core::timers::Timer;
use crate::node::NodeId;

/// What is to be handed over.
#[derive(Clone, Copy, Debug)]
struct Delegating {
    arc: RingArc,
    to: SocketAddr,
    view: Option<ViewDigest>,
    /// How often it was sent there already.
    sends: u32,
}

/// A part that somebody answers for, as it was before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// The place of its rumor.
    at: usize,
    part: Assignment,
}

impl Settled {
    /// Who answers for it.
    pub(crate) fn by(&self) -> SocketAddr {
        self.part.to
    }
}

/// What to do about an arc that nobody answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    GiveUp,
    /// What it brings has been replaced, and that is told by itself.
    Needless,
    /// Send it once more to the same delegate.
    Again,
    /// Share it out into so many parts without that delegate.
    Instead(usize),
}

/// A few bits of a place: on a small arc hardly ever those of another member.
fn fingerprint(place: NodeId) -> u16 {
    place.0 as u16
}

impl Dissemination {
    /// On arcs of so many members whoever a delegate does not know is told by its teller.
    const SMALL_ARC: usize = 32;
    /// Repeats to one delegate where many packets get lost.
    const PATIENCE_IN_LOSS: u32 = 5;
    /// Sends of one rumor by one node, as a multiple of the fan-out; beyond it the swap repairs.
    const BUDGET_PER_FAN_OUT: usize = 4;

    /// Has everybody told.
    pub(crate) fn broadcast(&mut self, cx: &mut Context<'_>, topic: &Subject) {
        self.tell(cx, topic, RingArc::whole(cx.me.place()), None, 1);
    }

    /// Answers for an arc from now on. False when there are no sends left for it.
    pub(crate) fn tell(
        &mut self,
        cx: &mut Context<'_>,
        topic: &Subject,
        arc: RingArc,
        from: Option<SocketAddr>,
        acks_asked: u8,
    ) -> bool {
        let mut others = vec![arc];
        subtract(&mut others, RingArc::of(cx.me.place()));
        if others.is_empty() {
            return true;
        }
        let parts_max = self.parts_of(cx, topic);
        let budget = Self::BUDGET_PER_FAN_OUT * parts_max;
        let key = payload(topic).key(cx.config.liveness());
        let at = self.broadcasts.place_of(key, topic, budget);
        let mut fresh = self.broadcasts[at].take_on(arc, from, acks_asked, cx.now.mono);
        subtract(&mut fresh, RingArc::of(cx.me.place()));
        self.split(cx, at, &fresh, parts_max, None)
    }

    /// Hands arcs over to members on them. Whoever is silent gets no more than its own place, and
    /// no more tries than it has left.
    fn split(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        arcs: &[RingArc],
        parts_max: usize,
        silent: Option<&Assignment>,
    ) -> bool {
        let told = &self.broadcasts[at];
        let view = cx.members.recipients(&told.topic);
        let fan_out = parts_max.min(self.broadcasts[at].budget.max(1));
        let silent_node = silent.and_then(|part| cx.members.node(part.to));
        let delegations = view.split(arcs, fan_out, silent_node, cx.rng);
        // While members come and go views differ all the time: there the swap sees to it.
        let compares = !matches!(told.topic, Subject::Membership(_));
        let hand = |Delegation { to, arc, .. }| Delegating {
            arc,
            to: cx.members.addr(to),
            view: if compares { view.digest(arc) } else { None },
            sends: silent.filter(|_| silent_node == Some(to)).map_or(0, |part| part.sends),
        };
        let handings: Vec<_> = delegations.into_iter().map(hand).collect();
        self.broadcasts[at].parts.reserve_exact(handings.len());
        handings.into_iter().all(|handing| self.delegate(cx, at, handing))
    }

    fn delegate(&mut self, cx: &mut Context<'_>, at: usize, handing: Delegating) -> bool {
        let told = &mut self.broadcasts[at];
        if told.budget == 0 {
            cx.stats.rumors_over_budget += 1;
            return false;
        }
        let Delegating { arc, to, view, sends } = handing;
        let token = Token::new(told.key.tag(), cx.rng.bits() as u32);
        let (first_sent_at, state) = (cx.now.mono, AssignmentState::Settled);
        told.parts.push(Assignment { arc, to, token, view, sends, first_sent_at, state });
        let part = told.parts.len() - 1;
        self.send(cx, at, part, token);
        true
    }

    fn send(&mut self, cx: &mut Context<'_>, at: usize, part: usize, token: Token) {
        let topic = cx.aged(&self.broadcasts[at].topic);
        let topic = self.passable(cx, self.broadcasts[at].parts[part].to, topic);
        let told = &mut self.broadcasts[at];
        let to = told.parts[part].to;
        let due = cx.now.mono + cx.rtts.rto(to, cx.config) + Self::transfer_time(cx, &topic);
        let copies = if Self::hedges(cx, told, part) { 2 } else { told.copies(part) };
        let acks = told.acks_of_each(copies);
        let Assignment { arc, view, .. } = told.send(part, copies, due);
        cx.timers.set_earlier(Timer::Retransmit, due);
        let packet = cx.packet(Body::Rumor(Rumor { token, acks, arc, view, topic }));
        for _ in 0..copies {
            cx.out.attempt(to, &packet);
        }
    }

    /// How much longer an answer takes to what goes by stream: a handshake, and its bytes at some
    /// 4 MB a second. Sent again meanwhile it would only come later.
    fn transfer_time(cx: &Context<'_>, topic: &Subject) -> Duration {
        const BYTES_A_MILLISECOND: u64 = 4_000;
        let Subject::Entries(entries) = topic else { return Duration::ZERO };
        let len: usize = entries.iter().map(Bounded::len_max).sum();
        match len > cx.config.path_len_max() {
            true => Duration::from_millis(200 + len as u64 / BYTES_A_MILLISECOND),
            false => Duration::ZERO,
        }
    }

    /// Whether an arc is worth two packets at once, before anybody misses the first: where answers
    /// came only to repeats of late, and the arc has so many members that a lost packet would
    /// have several of them wait. No more than a quarter of what may be sent is spent so, for the
    /// rest may be needed for repeats.
    fn hedges(cx: &Context<'_>, told: &ActiveRumor, part: usize) -> bool {
        const SPARED_MIN: usize = 8;
        let repeats = cx.rtts.repeats_of_sixteen();
        let is_flush = told.budget > Self::BUDGET_PER_FAN_OUT * 3 / 4 * cx.config.fan_out();
        repeats > 0 && is_flush && told.parts[part].sends == 0 && {
            let members = cx.members.recipients(&told.topic).count(told.parts[part].arc);
            members * repeats >= 16 * SPARED_MIN
        }
    }

    fn view<'a>(cx: &'a Context<'_>, topic: &Subject) -> RingView<'a> {
        cx.members.recipients(topic)
    }

    /// Acknowledges a rumor, as often as it asks for, and says whom we know on its arc if the
    /// sender knows others.
    pub(crate) fn acknowledge(cx: &mut Context<'_>, to: SocketAddr, rumor: &Rumor, kept: Kept) {
        let mut known = Self::known_on(cx, rumor);
        if let Some(room) = cx.out.room(to) {
            // Who is left out is introduced to us though we know it, which does no harm.
            known.truncate(Room::of::<RumorAck>(room).fits::<u16>());
        }
        let ack = |known| Body::RumorAck(RumorAck { token: rumor.token, known, kept });
        cx.out.send(to, &cx.packet(ack(known)));
        let again = cx.packet(ack(Vec::new()));
        for _ in 1..rumor.acks.min(ActiveRumor::ACKS_MAX) {
            cx.out.send(to, &again);
        }
    }

    /// Whom we know on the arc of a rumor; nobody if the sender knows the same, or did not say.
    fn known_on(cx: &Context<'_>, rumor: &Rumor) -> Vec<u16> {
        let Some(theirs) = rumor.view else { return Vec::new() };
        let view = Self::view(cx, &rumor.topic);
        match view.digest(rumor.arc) {
            Some(ours) if ours != theirs => {
                view.on(rumor.arc).map(|node| fingerprint(view.place(node))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Takes that a delegate answers for what it was handed; which part that was.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>, ack: &RumorAck) -> Option<Settled> {
        let token = ack.token.first();
        let Some((at, place)) = self.broadcasts.find(token) else {
            cx.stats.answers_stale += 1;
            return None;
        };
        let part = self.broadcasts[at].parts[place];
        let told = &mut self.broadcasts[at];
        let answered = planted!(AckOfAnother, token, told.parts[0].token);
        planted!(AckUnheeded, told.settle(answered));
        cx.note_round_trip(part.to, cx.now.mono - part.first_sent_at, ack.token);
        Some(Settled { at, part })
    }

    /// Learns from who answered for a part, and tells those whom it does not know.
    pub(crate) fn on_settled(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        settled: Settled,
        ack: &RumorAck,
    ) {
        let Settled { at, part } = settled;
        if ack.kept == Kept::All {
            self.note_kept(cx, at, part.to);
        }
        let known = &ack.known[..];
        if let AssignmentState::Waiting(_) = part.state {
            cx.stats.hop_delay.observe(cx.now.mono - part.first_sent_at);
            if !known.is_empty() {
                self.tell_unknown(cx, at, &part, known);
                cx.effects.push_back(Effect::Differs(from, None));
            }
        }
        if self.broadcasts.next().is_none() {
            cx.timers.clear(Timer::Retransmit);
        }
    }

    /// A delegate holds what a rumor brought it.
    fn note_kept(&mut self, cx: &mut Context<'_>, at: usize, holder: SocketAddr) {
        match &self.broadcasts[at].topic {
            Subject::Metadata(metadata) => {
                if self.is_held_by_who_acknowledges(cx, holder, metadata) {
                    let version = metadata.version();
                    self.note_holder(cx, holder, version);
                }
            }
            Subject::Entries(entries) => {
                if self.holders.awaits_entries() {
                    self.holders.note_entries(holder, entries);
                    self.on_confirm(cx);
                }
            }
            Subject::Announced(_) | Subject::Membership(_) => {}
        }
    }

    /// Ends the telling of values that are older than the one that is held.
    pub(crate) fn supersede(&mut self, held: &Metadata) {
        self.broadcasts.supersede(held);
    }

    /// Tells those on an arc whom its delegate does not know; on a large arc they are too many,
    /// and the delegate is told of them instead.
    fn tell_unknown(&mut self, cx: &mut Context<'_>, at: usize, part: &Assignment, known: &[u16]) {
        let view = cx.members.recipients(&self.broadcasts[at].topic);
        let small = view.count(part.arc) <= Self::SMALL_ARC;
        let unknown: Vec<NodeIx> = view
            .on(part.arc)
            .filter(|&node| !known.contains(&fingerprint(view.place(node))))
            .collect();
        if small {
            for node in unknown {
                self.tell_alone(cx, at, node);
            }
        } else {
            Self::introduce(cx, part.to, &unknown);
        }
    }

    /// Tells a node of members that it does not know, as many as fit a datagram.
    fn introduce(cx: &mut Context<'_>, to: SocketAddr, unknown: &[NodeIx]) {
        let mut room = Room::of::<Delta>(cx.config.path_len_max());
        let news = unknown.iter().filter_map(|&node| cx.news_of(node));
        let news: Vec<MembershipUpdate> =
            news.take_while(|item| room.take(item.len_max())).collect();
        if !news.is_empty() {
            cx.out.send(to, &cx.packet(Body::Delta(Delta { news })));
        }
    }

    /// A member was listed that we did not know: what was told on its arc of late, it may have
    /// missed.
    pub(crate) fn tell_newly_listed(&mut self, cx: &mut Context<'_>, node: NodeIx) {
        if cx.members.is_rumored(node) {
            return;
        }
        let (place, addr) = (cx.members.place(node), cx.members.addr(node));
        for at in 0..self.broadcasts.len() {
            let told = &self.broadcasts[at];
            let recent = cx.now.mono - told.taken_at < cx.config.cycle();
            let its_own = payload(&told.topic).about() == Some(addr);
            if recent && !its_own && told.lacks(place) {
                self.tell_alone(cx, at, node);
            }
        }
    }

    /// Tells one node, whoever else was told already.
    pub(super) fn tell_this_one(&mut self, cx: &mut Context<'_>, topic: &Subject, node: NodeIx) {
        let budget = Self::BUDGET_PER_FAN_OUT * self.parts_of(cx, topic);
        let key = payload(topic).key(cx.config.liveness());
        let at = self.broadcasts.place_of(key, topic, budget);
        self.tell_alone(cx, at, node);
    }

    fn tell_alone(&mut self, cx: &mut Context<'_>, at: usize, node: NodeIx) {
        let place = cx.members.place(node);
        let view = Some(ViewDigest::of([place].into_iter()));
        let to = cx.members.addr(node);
        self.delegate(cx, at, Delegating { arc: RingArc::of(place), to, view, sends: 0 });
    }

    /// Sees to what was not acknowledged in time.
    pub(crate) fn on_retransmit(&mut self, cx: &mut Context<'_>) {
        for at in 0..self.broadcasts.len() {
            for part in self.broadcasts[at].take_overdue(cx.now.mono) {
                self.retransmit(cx, at, part);
            }
        }
        if let Some(next) = self.broadcasts.next() {
            cx.timers.set(Timer::Retransmit, next);
        }
    }

    fn retransmit(&mut self, cx: &mut Context<'_>, at: usize, place: usize) {
        let told = &self.broadcasts[at];
        let part = told.parts[place];
        match Self::retry(cx, told, &part) {
            Retry::Needless => self.broadcasts[at].parts[place].settle(),
            Retry::GiveUp => {
                cx.stats.rumors_unanswered += u64::from(told.budget > 0);
                cx.stats.rumors_over_budget += u64::from(told.budget == 0);
                self.broadcasts[at].parts[place].settle();
            }
            Retry::Again => self.send(cx, at, place, part.token.repeated()),
            Retry::Instead(parts_max) => {
                self.broadcasts[at].parts[place].state = AssignmentState::TakenOver;
                self.split(cx, at, &[part.arc], parts_max, Some(&part));
            }
        }
    }

    /// What to do about an arc that nobody answers for. Where most answer, the delegate is likely
    /// dead, and the fewer it was to tell the sooner we do it ourselves; where many don't, or some
    /// answered only later, the network is bad, and another delegate would only do the same work
    /// twice.
    fn retry(cx: &Context<'_>, told: &ActiveRumor, part: &Assignment) -> Retry {
        if Self::is_replaced(cx, &told.topic) {
            return Retry::Needless;
        }
        if told.budget == 0 || part.sends >= told.tells_max() {
            return Retry::GiveUp;
        }
        let listed = cx.members.node(part.to).is_some_and(|node| cx.members.is_listed(node));
        let members = cx.members.recipients(&told.topic).count(part.arc);
        let patience = match told.is_lossy() {
            true => Self::PATIENCE_IN_LOSS,
            false if told.some_were_only_late() => 2,
            false => 1,
        };
        let few = members <= cx.config.fan_out() && !told.is_lossy() && told.affords(members);
        match members {
            0 => Retry::GiveUp,
            1 if listed => Retry::Again,
            _ if few => Retry::Instead(members),
            _ if listed && part.sends <= patience => Retry::Again,
            _ => Retry::Instead(1),
        }
    }

    /// Whether all that a rumor brings has been written again.
    fn is_replaced(cx: &Context<'_>, topic: &Subject) -> bool {
        let (Subject::Entries(told), Some(entries)) = (topic, cx.entries()) else { return false };
        told.iter().all(|aged| {
            let held = entries.held(aged.entry.key());
            held.is_some_and(|held| held.stamp().version > aged.entry.stamp().version)
        })
    }

    /// Spreads a membership change that began here: by a rumor of its own when it is alone, in
    /// bulk when there is more of it.
    pub(crate) fn announce(&mut self, cx: &mut Context<'_>, node: NodeIx) {
        let alone = !self.bulk.is_busy_with_news(cx.now.mono, cx.config.relay_delay());
        match cx.news_of(node) {
            Some(news) if alone => {
                self.bulk.told_news(cx.now.mono);
                self.broadcast(cx, &Subject::Membership(news));
            }
            _ => self.relay_news(cx, node),
        }
    }

    pub(crate) fn say_goodbye(&mut self, cx: &mut Context<'_>) {
        self.broadcast(cx, &Subject::Membership(MembershipUpdate::from(cx.goodbye())));
    }
}
