//! The bulk relay: what advanced since the last one leaves for a few random members at once.
//!
//! Beats come by the hundred, so they travel together: each node passes each newer beat on once,
//! to `fan_out` members, at most once per `relay_delay`. Membership news that comes in bulk
//! travels the same way. A node that nothing reaches this way is reached by the swap.

use std::net::SocketAddr;
use std::time::Duration;

use super::Dissemination;
use crate::config::Swap;
use crate::core::beat::Beat;
use crate::core::context::Context;
use crate::core::members::NodeIx;
use crate::core::packet::{MembershipUpdate, Subject, Suspicion};
use crate::core::timers::Timer;
use crate::time::Instant;

/// What waits for the next relay.
#[derive(Clone, Debug, Default)]
pub(crate) struct BulkGossip {
    news: Vec<NodeIx>,
    last: Option<Instant>,
    last_news: Option<Instant>,
    /// Of whose suspicion the next relay tells; at most [`BulkGossip::SUSPECTED_MAX`].
    suspected: Vec<SocketAddr>,
}

impl BulkGossip {
    /// So much news goes out at once. When there is more, as when a large cluster starts or two
    /// halves meet, everybody else learns most of it by swaps anyway: passing on all of it would
    /// send each record `fan_out` times to every node.
    const NEWS_MAX: usize = 128;
    /// So much may wait however little is held.
    const PENDING_MIN: usize = 256;
    /// What else there is to tell, others learn by swaps once somebody has been removed.
    const SUSPECTED_MAX: usize = 128;

    /// True while membership news is waiting, or some went out so lately that more may follow.
    pub(super) fn is_busy_with_news(&self, now: Instant, delay: Duration) -> bool {
        !self.news.is_empty() || self.last_news.is_some_and(|last| now - last < delay)
    }

    pub(crate) fn waiting_len(&self) -> usize {
        self.news.len()
    }

    /// Notes that membership news went out.
    pub(super) fn told_news(&mut self, now: Instant) {
        self.last_news = Some(now);
    }
}

impl Dissemination {
    pub(crate) fn raise(&mut self, cx: &mut Context<'_>) {
        cx.members.beat_once(cx.now.mono);
        self.relay_beat(cx, cx.members.me());
    }

    /// Has the newest beat of a member passed on with the next relay.
    pub(crate) fn relay_beat(&mut self, cx: &mut Context<'_>, node: NodeIx) {
        if cx.members.mark(node) {
            self.schedule_relay(cx);
        }
    }

    /// Has what is held of a node, listed or gone, passed on with the next relay.
    pub(crate) fn relay_news(&mut self, cx: &mut Context<'_>, node: NodeIx) {
        self.bulk.news.push(node);
        self.limit_pending(cx);
        self.schedule_relay(cx);
    }

    /// A node that comes and goes all the time waits once, when all that waits is more than all
    /// there is to tell.
    fn limit_pending(&mut self, cx: &mut Context<'_>) {
        let held = cx.members.len() + cx.members.tombstones_len();
        let waiting = &mut self.bulk.news;
        if waiting.len() > BulkGossip::PENDING_MIN + 2 * held {
            waiting.retain(|&node| cx.members.holds(node));
            waiting.sort_unstable_by(|&a, &b| cx.members.compare_places(a, b));
            waiting.dedup();
        }
    }

    fn schedule_relay(&mut self, cx: &mut Context<'_>) {
        let earliest = self.bulk.last.map_or(cx.now.mono, |last| last + cx.config.relay_delay());
        cx.timers.set_earlier(Timer::Relay, cx.now.mono.max(earliest));
    }

    /// Relays what waits, suspicions of these members too.
    pub(crate) fn on_relay(&mut self, cx: &mut Context<'_>, suspicions: Vec<Suspicion>) {
        self.bulk.last = Some(cx.now.mono);
        let (beats, news) = self.take_pending(cx, suspicions);
        if beats.is_empty() && news.is_empty() {
            return;
        }
        if !news.is_empty() {
            self.bulk.told_news(cx.now.mono);
        }
        let targets = cx.pick(cx.config.fan_out());
        for packet in cx.bulk_packets(beats, news) {
            for &target in &targets {
                cx.out.send(cx.members.addr(target), &packet);
            }
        }
    }

    /// Whose suspicion was to be told with this relay.
    pub(crate) fn take_suspected(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.bulk.suspected)
    }

    /// Spreads a suspicion that began here: by a rumor of its own when it is alone, in bulk when
    /// there is more news.
    pub(crate) fn spread_suspicion(&mut self, cx: &mut Context<'_>, suspicion: Suspicion) {
        let alone = !self.bulk.is_busy_with_news(cx.now.mono, cx.config.relay_delay())
            && self.bulk.suspected.is_empty();
        if alone {
            self.bulk.told_news(cx.now.mono);
            self.broadcast(cx, &Subject::Membership(MembershipUpdate::from(suspicion)));
        } else {
            self.relay_suspicion(cx, suspicion.addr);
        }
    }

    /// Has a suspicion told with the next relay.
    pub(crate) fn relay_suspicion(&mut self, cx: &mut Context<'_>, addr: SocketAddr) {
        let suspected = &mut self.bulk.suspected;
        if suspected.len() < BulkGossip::SUSPECTED_MAX && !suspected.contains(&addr) {
            suspected.push(addr);
            self.schedule_relay(cx);
        }
    }

    fn take_pending(
        &mut self,
        cx: &mut Context<'_>,
        suspicions: Vec<Suspicion>,
    ) -> (Vec<Beat>, Vec<MembershipUpdate>) {
        let mut waiting = std::mem::take(&mut self.bulk.news);
        if cx.config.swap() == Swap::On && waiting.len() > BulkGossip::NEWS_MAX {
            Self::leave_to_swaps(cx, &mut waiting);
        }
        // A tombstone that had to make room may be forgotten already.
        waiting.retain(|&node| cx.members.holds(node));
        waiting.sort_unstable_by(|&a, &b| cx.members.compare_places(a, b));
        waiting.dedup();
        let mut news = Vec::with_capacity(waiting.len());
        for &node in &waiting {
            // The record brings the newest beat along.
            cx.members.take_mark(node);
            news.extend(cx.news_of(node));
        }
        news.extend(suspicions.into_iter().map(MembershipUpdate::from));
        planted!(NewsKept, waiting.clear());
        self.bulk.news = waiting;
        // In order of the ring: who receives them walks straight through its table, as we do.
        (cx.members.take_marked(cx.now.mono, cx.step), news)
    }

    /// Keeps of too much news a random part.
    fn leave_to_swaps(cx: &mut Context<'_>, waiting: &mut Vec<NodeIx>) {
        for at in 0..BulkGossip::NEWS_MAX {
            let other = at + cx.rng.below(waiting.len() - at);
            waiting.swap(at, other);
        }
        waiting.truncate(BulkGossip::NEWS_MAX);
    }
}
