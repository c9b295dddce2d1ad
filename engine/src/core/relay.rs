//! The bulk relay: what advanced since the last one leaves for a few random members at once.
//!
//! Beats come by the hundred, so they travel together: each node passes each newer beat on once,
//! to `fan_out` members, at most once per `relay_delay`. Membership news that comes in bulk
//! travels the same way. A node that nothing reaches this way is reached by the swap.

use std::sync::Arc;
use std::time::Duration;

use super::beat::{Beat, COUNTER_MAX};
use super::engine::Engine;
use super::identity::Outranked;
use super::ids::Found;
use super::io::{Event, Outbox};
use super::newcomers::Via;
use super::packer::Packer;
use super::packet::{Body, Bounded, Bulk, Cause, Gone, News, Packet};
use super::record::{Record, Sighting};
use super::roster::NodeIx;
use super::row::Standing;
use super::seen::{Departure, Seen, Sifted, SiftedNews};
use super::suspects::Heed;
use super::timers::Timer;
use crate::config::{Liveness, Swap};
use crate::time::{Instant, Now};

/// What waits for the next relay.
#[derive(Clone, Debug, Default)]
pub(super) struct Relay {
    news: Vec<NodeIx>,
    last: Option<Instant>,
    last_news: Option<Instant>,
    /// Room for the beats of one packet that may be news.
    sifted: Vec<Sifted>,
    /// The same for membership news.
    sifted_news: Vec<SiftedNews>,
}

impl Relay {
    /// So much news goes out at once. When there is more, as when a large cluster starts or two
    /// halves meet, everybody else learns most of it by swaps anyway: passing on all of it would
    /// send each record `fan_out` times to every node.
    const NEWS_MAX: usize = 128;
    /// So much may wait however little is held.
    const PENDING_MIN: usize = 256;

    /// True while membership news is waiting, or some went out so lately that more may follow.
    pub(super) fn is_busy_with_news(&self, now: Instant, delay: Duration) -> bool {
        !self.news.is_empty() || self.last_news.is_some_and(|last| now - last < delay)
    }

    pub(super) fn waiting_len(&self) -> usize {
        self.news.len()
    }

    /// Room for the beats of a packet, which comes back by [`Engine::take_beats`].
    pub(super) fn lend_sifted(&mut self) -> Vec<Sifted> {
        std::mem::take(&mut self.sifted)
    }

    /// Notes that membership news went out.
    pub(super) fn told_news(&mut self, now: Instant) {
        self.last_news = Some(now);
    }
}

impl Engine {
    /// Once a cycle: raises our own counter.
    pub(super) fn on_cycle(&mut self, now: Now, out: &mut Outbox) {
        if self.members.counter(self.members.me()) >= COUNTER_MAX / 2 {
            self.begin_anew(now, out);
        }
        self.raise(now.mono);
        self.ask_newcomers(now, out);
        self.dialler.forget_refusals();
        self.liveness.new_cycle();
        let next = self.jittered(self.config.cycle());
        self.timers.set(Timer::Cycle, now.mono + next);
    }

    pub(super) fn raise(&mut self, now: Instant) {
        self.members.beat_once(now);
        self.relay_beat(now, self.members.me());
    }

    /// Has the newest beat of a member passed on with the next relay.
    pub(super) fn relay_beat(&mut self, now: Instant, node: NodeIx) {
        if self.members.mark(node) {
            self.schedule_relay(now);
        }
    }

    /// Has what is held of a node, listed or gone, passed on with the next relay.
    pub(super) fn relay_news(&mut self, now: Instant, node: NodeIx) {
        self.relay.news.push(node);
        self.limit_pending();
        self.schedule_relay(now);
    }

    /// A node that comes and goes all the time waits once, when all that waits is more than all
    /// there is to tell.
    fn limit_pending(&mut self) {
        let held = self.members.len() + self.members.tombstones_len();
        let waiting = &mut self.relay.news;
        if waiting.len() > Relay::PENDING_MIN + 2 * held {
            waiting.retain(|&node| self.members.holds(node));
            waiting.sort_unstable_by(|&a, &b| self.members.compare_places(a, b));
            waiting.dedup();
        }
    }

    pub(super) fn schedule_relay(&mut self, now: Instant) {
        let earliest = self.relay.last.map_or(now, |last| last + self.config.relay_delay());
        self.timers.set_earlier(Timer::Relay, now.max(earliest));
    }

    pub(super) fn on_relay(&mut self, now: Now, out: &mut Outbox) {
        self.relay.last = Some(now.mono);
        let (beats, news) = self.take_pending(now.mono);
        if beats.is_empty() && news.is_empty() {
            return;
        }
        if !news.is_empty() {
            self.relay.told_news(now.mono);
        }
        let targets = self.pick(now.mono, self.config.fan_out());
        for packet in self.bulk_packets(beats, news) {
            for &target in &targets {
                out.send(self.members.addr(target), &packet);
            }
        }
    }

    fn take_pending(&mut self, now: Instant) -> (Vec<Beat>, Vec<News>) {
        let mut waiting = std::mem::take(&mut self.relay.news);
        if self.config.swap() == Swap::On && waiting.len() > Relay::NEWS_MAX {
            self.leave_to_swaps(&mut waiting);
        }
        // A tombstone that had to make room may be forgotten already.
        waiting.retain(|&node| self.members.holds(node));
        waiting.sort_unstable_by(|&a, &b| self.members.compare_places(a, b));
        waiting.dedup();
        let mut news = Vec::with_capacity(waiting.len());
        for &node in &waiting {
            // The record brings the newest beat along.
            self.members.take_mark(node);
            news.extend(self.news_of(node, now));
        }
        news.extend(self.suspects.take_pending().into_iter().map(News::from));
        planted!(NewsKept, waiting.clear());
        self.relay.news = waiting;
        // In order of the ring: who receives them walks straight through its table, as we do.
        (self.members.take_marked(now, self.step), news)
    }

    /// Keeps of too much news a random part.
    fn leave_to_swaps(&mut self, waiting: &mut Vec<NodeIx>) {
        for at in 0..Relay::NEWS_MAX {
            let other = at + self.rng.below(waiting.len() - at);
            waiting.swap(at, other);
        }
        waiting.truncate(Relay::NEWS_MAX);
    }

    /// What there is to tell of a node: nothing of one that only strangers spoke of.
    pub(super) fn news_of(&self, node: NodeIx, now: Instant) -> Option<News> {
        if self.members.is_rumored(node) {
            return None;
        }
        if self.members.is_listed(node) {
            return Some(News::Member(self.members.sighting(node, now, self.step)));
        }
        self.members.gone(node).map(News::from)
    }

    /// Packs beats and news into as few datagrams as it takes.
    pub(super) fn bulk_packets(&self, beats: Vec<Beat>, news: Vec<News>) -> Vec<Arc<Packet>> {
        let mut packer = Packer::new(Bulk::default(), self.config.path_len_max());
        packer.fill(beats, |bulk| &mut bulk.beats);
        for item in news {
            packer.page(item.len_max()).news.push(item);
        }
        let bulks = packer.into_pages().into_iter();
        bulks.map(|bulk| self.packet(Body::Bulk(bulk))).collect()
    }

    pub(super) fn on_bulk(&mut self, now: Now, bulk: &Bulk, via: Via, out: &mut Outbox) {
        self.stats.updates += bulk.beats.len() as u64;
        let mut sifted = self.relay.lend_sifted();
        self.members.sift(&bulk.beats, &mut sifted);
        self.take_beats(now, sifted, via, out);
        self.take_news(now, &bulk.news, via, out);
    }

    /// Takes beats that may be news, and gives their room back.
    pub(super) fn take_beats(&mut self, now: Now, sifted: Vec<Sifted>, via: Via, out: &mut Outbox) {
        let heard = self.heard(now, via);
        for &Sifted { node, counter, age } in &sifted {
            let Some(node) = node else {
                self.stats.beats_unknown += 1;
                continue;
            };
            match self.members.see_short(heard, node, counter, age) {
                Seen::Old => {}
                Seen::Advanced(node) => {
                    self.absolve(self.members.addr(node));
                    planted!(BeatUnrelayed, self.relay_beat(now.mono, node));
                }
                Seen::Unknown => self.stats.beats_unknown += 1,
                seen => {
                    if let Some(node) = self.note(now, seen, out) {
                        self.relay_news(now.mono, node);
                    }
                }
            }
        }
        self.relay.sifted = sifted;
    }

    /// Takes membership news and has what is new in it passed on.
    pub(super) fn take_news(&mut self, now: Now, news: &[News], via: Via, out: &mut Outbox) {
        self.stats.updates += news.len() as u64;
        let mut sifted = std::mem::take(&mut self.relay.sifted_news);
        self.members.sift_news(news, &mut sifted);
        for &SiftedNews { at, found } in &sifted {
            if let Some(node) = self.see_found(now, &news[at as usize], found, via, out) {
                self.relay_news(now.mono, node);
            }
        }
        self.relay.sifted_news = sifted;
    }

    /// Takes one piece of membership news; the node it changed something about.
    pub(super) fn see(
        &mut self,
        now: Now,
        news: &News,
        via: Via,
        out: &mut Outbox,
    ) -> Option<NodeIx> {
        self.stats.updates += 1;
        self.see_found(now, news, None, via, out)
    }

    /// The same, when the record may have been found already.
    fn see_found(
        &mut self,
        now: Now,
        news: &News,
        found: Option<Found>,
        via: Via,
        out: &mut Outbox,
    ) -> Option<NodeIx> {
        match news {
            News::Member(sighting) => self.see_member(now, sighting, found, via, out),
            News::Gone(gone) => self.see_gone(now, gone, via, out),
            News::Suspected(suspicion) => {
                if self.on_suspicion(now, suspicion, via, out) == Heed::News {
                    self.relay_suspicion(now.mono, suspicion.addr);
                }
                None
            }
        }
    }

    /// Takes a record with its newest beat; the node if it is news of membership.
    pub(super) fn see_member(
        &mut self,
        now: Now,
        sighting: &Sighting,
        found: Option<Found>,
        via: Via,
        out: &mut Outbox,
    ) -> Option<NodeIx> {
        let Some(standing) = self.standing(now, &sighting.record, via) else {
            self.stats.newcomers_over_limit += 1;
            self.ask_turned_away(now, sighting.record.node().addr(), via, out);
            return None;
        };
        self.see_member_as(now, standing, sighting, found, via, out)
    }

    /// The same, given what the member would be if it was unknown.
    pub(super) fn see_member_as(
        &mut self,
        now: Now,
        standing: Standing,
        sighting: &Sighting,
        found: Option<Found>,
        via: Via,
        out: &mut Outbox,
    ) -> Option<NodeIx> {
        let heard = self.heard_as(now, standing, via);
        let seen = self.members.see(heard, sighting, found);
        self.note_record(now, seen, sighting, via, out)
    }

    /// Acts on what a record changed, or could not; the node if it is news of membership.
    pub(super) fn note_record(
        &mut self,
        now: Now,
        seen: Seen,
        sighting: &Sighting,
        via: Via,
        out: &mut Outbox,
    ) -> Option<NodeIx> {
        let addr = sighting.record.node().addr();
        match seen {
            Seen::TooOld => {
                self.stats.records_too_old += 1;
                self.call_stranger(now, addr, out);
            }
            Seen::OutrankedMe => {
                let by = Outranked::ByCopy(sighting.record.generation());
                planted!(FormerLifeUnheeded, self.outrank(now, by, out));
            }
            Seen::Contested(node) => planted!(ClaimUnasked, self.ask_owner(now, node, out)),
            Seen::Refused(node) => {
                self.note_outranked(now, node, sighting, via, out);
                if addr == via.from {
                    // Else it would never learn why nobody lists it.
                    self.answer_refused(now, addr, sighting, out);
                }
            }
            seen => return self.note(now, seen, out),
        }
        None
    }

    fn see_gone(&mut self, now: Now, gone: &Gone, via: Via, out: &mut Outbox) -> Option<NodeIx> {
        if gone.cause == Cause::Timeout && self.config.liveness() == Liveness::Probes {
            self.on_obituary(now, gone, via, out);
        }
        match self.members.see_gone(now.mono, gone) {
            Departure::Old => return None,
            Departure::Noted => {}
            Departure::OfMe => {
                self.outrank(now, Outranked::ByTombstone(gone.generation), out);
                return None;
            }
            Departure::Removed(record) => {
                self.absolve(gone.addr);
                out.event(Event::Removed { record, cause: Cause::Left });
            }
        }
        self.members.node(gone.addr)
    }

    /// Acts on what a copy changed; the node if it is news of membership.
    fn note(&mut self, now: Now, seen: Seen, out: &mut Outbox) -> Option<NodeIx> {
        match seen {
            Seen::Old | Seen::Refused(_) => return None,
            Seen::Unknown => self.stats.beats_unknown += 1,
            Seen::TooOld => self.stats.records_too_old += 1,
            Seen::Full => self.on_list_full(out),
            Seen::OutrankedMe | Seen::Contested(_) => {
                unreachable!("only a record outranks another")
            }
            Seen::Advanced(node) => {
                // That a suspect lives is news; else it is an ordinary beat.
                if self.absolve(self.members.addr(node)) {
                    return Some(node);
                }
                self.relay_beat(now.mono, node);
            }
            Seen::Listed(node) => {
                self.note_room();
                self.note_incarnation(now, node, None, out);
                return Some(node);
            }
            Seen::Updated(node, old) => {
                self.conflicts.succeeded(now.mono, self.members.addr(node));
                self.note_incarnation(now, node, Some(&old), out);
                return Some(node);
            }
        }
        None
    }

    /// An incarnation is listed that was not, perhaps in place of another.
    fn note_incarnation(
        &mut self,
        now: Now,
        node: NodeIx,
        old: Option<&Arc<Record>>,
        out: &mut Outbox,
    ) {
        self.watch(node);
        let record = Arc::clone(self.members.record(node));
        self.absolve(record.node().addr());
        self.dialler.found(record.node().addr());
        out.event(match old {
            None => Event::Joined(record),
            Some(old) => Event::Updated { old: Arc::clone(old), new: record },
        });
        self.examine_name(now, node, old.map(AsRef::as_ref), out);
        self.tell_newly_listed(now, node, out);
    }
}
