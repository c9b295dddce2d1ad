//! Leaving: a node that has said goodbye goes on until others answer for what it was to pass on.
//!
//! When many leave at once, each goodbye travels through others that leave. So a leaver still
//! acknowledges rumors, shares them out and tells them again, and hands out the value it holds,
//! until one that stays holds it too; whatever would show it alive it leaves undone. It is off once
//! all that it told or took on is in other hands and nothing has come for two round trips, or after
//! a limit.

use std::time::Duration;

use super::Rooms;
use crate::core::context::{Context, Farewell, Life, Source};
use crate::core::io::{Answer, NotConfirmed};
use crate::core::metadata::Version;
use crate::core::packet::{Body, MembershipUpdate, Packet};
use crate::core::timers::Timer;

/// Longest stay for goodbyes: by then they were told again several times.
const STAY_MAX: Duration = Duration::from_millis(500);
/// Longest stay for a value that is on its way by stream, or that nobody else may hold.
const SERVING_MAX: Duration = Duration::from_secs(3);
/// Silence in which whoever lacks an acknowledgement of ours would have asked again.
const QUIET_RTOS: u32 = 2;

impl Rooms {
    pub(super) fn on_leave(&mut self, cx: &mut Context<'_>) {
        // What was written a moment ago waits for nothing more.
        self.store.tell_gathered(cx, &mut self.spread);
        *cx.life = Life::Leaving(Farewell { since: cx.now.mono, heard: cx.now.mono });
        cx.timers.keep_only(&[Timer::Retransmit, Timer::Fetch]);
        if cx.members.len() == 1 {
            // Nobody has to be told, and nobody could hold what is lost with us.
            return self.be_off(cx, None);
        }
        planted!(GoodbyeUnsaid, self.spread.say_goodbye(cx));
        let alone = self.spread.held_by_us_alone(cx);
        if let Some(metadata) = cx.metadata.as_ref().filter(|_| alone.is_some()) {
            // Perhaps nobody was there when it was published; what was told is not told again.
            let topic = cx.topic_of(metadata);
            self.spread.broadcast(cx, &topic);
        }
    }

    /// What a leaver does about a packet. All else is for those who stay: it would list us anew.
    pub(super) fn on_packet_while_leaving(
        &mut self,
        cx: &mut Context<'_>,
        via: Source,
        packet: &Packet,
    ) {
        match &packet.body {
            Body::Rumor(rumor) => self.on_rumor(cx, rumor, via),
            Body::RumorAck(ack) => {
                self.membership.on_rumor_ack(cx, &mut self.spread, via.from, ack);
            }
            Body::Fetch(fetch) => self.store.on_fetch(cx, &mut self.spread, *fetch, via),
            Body::Fetched(metadata) => {
                self.store.on_fetched(cx, &mut self.spread, via.from, metadata);
            }
            Body::Delta(records) => self.on_goodbyes(cx, &records.news, via),
            _ => return,
        }
        if let Life::Leaving(farewell) = &mut *cx.life {
            farewell.heard = cx.now.mono;
        }
    }

    /// Hears who leaves as well: such a one is no keeper of what we hold.
    fn on_goodbyes(&mut self, cx: &mut Context<'_>, news: &[MembershipUpdate], via: Source) {
        for goodbye in news.iter().filter(|news| matches!(news, MembershipUpdate::Gone(_))) {
            self.membership.apply(cx, &mut self.spread, &mut self.detection, goodbye, via);
        }
    }

    /// Goes if there is nothing left to do, or finds when to look again.
    pub(super) fn see_to_farewell(&mut self, cx: &mut Context<'_>) {
        let Life::Leaving(Farewell { since, heard }) = *cx.life else { return };
        let lost = self.spread.held_by_us_alone(cx);
        let serves = lost.is_some() || self.store.is_busy(cx);
        let stay = if serves { SERVING_MAX } else { STAY_MAX };
        let quiet = heard + cx.rtts.rto_of_all(cx.config) * QUIET_RTOS;
        let limit = since + stay;
        let is_told = self.spread.is_told();
        let done = planted!(OffTooSoon, cx.now.mono >= quiet && is_told && !serves, true);
        if cx.now.mono >= limit || done {
            return self.be_off(cx, lost);
        }
        if lost.is_some() && is_told && cx.now.mono >= quiet && !self.store.is_busy(cx) {
            // Whom we told have it or have gone, and none of them stays.
            *cx.life = Life::Leaving(Farewell { since, heard: cx.now.mono });
            self.spread.tell_who_stays(cx);
            return self.see_to_farewell(cx);
        }
        // An acknowledgement, a transfer's end and a rumor given up lead here by themselves.
        cx.timers.set(Timer::Leave, if cx.now.mono < quiet { quiet.min(limit) } else { limit });
    }

    fn be_off(&mut self, cx: &mut Context<'_>, lost: Option<Version>) {
        *cx.life = Life::Left;
        cx.timers.clear_all();
        let unconfirmed = |version| Err(NotConfirmed { version, held_by: 0 });
        let told = planted!(PromiseUnkept, lost, None);
        cx.out.answer(Answer::Left(told.map_or(Ok(()), unconfirmed)));
    }
}
