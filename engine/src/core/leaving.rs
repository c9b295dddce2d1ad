//! Leaving: a node that has said goodbye goes on until others answer for what it was to pass on.
//!
//! When many leave at once, each goodbye travels through others that leave. So a leaver still
//! acknowledges rumors, shares them out and tells them again, and hands out the value it holds,
//! until one that stays holds it too; whatever would show it alive it leaves undone. It is off once
//! all that it told or took on is in other hands and nothing has come for two round trips, or after
//! a limit.

use std::net::SocketAddr;
use std::time::Duration;

use super::engine::{Engine, Life};
use super::holders::NotConfirmed;
use super::io::{Answer, Outbox};
use super::metadata::Version;
use super::newcomers::Via;
use super::packet::{Body, News, Packet, Records, Topic};
use super::timers::Timer;
use crate::time::{Instant, Now};

/// A goodbye that is being said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Farewell {
    since: Instant,
    /// When somebody last wanted something.
    heard: Instant,
}

impl Farewell {
    /// Longest stay for goodbyes: by then they were told again several times.
    const STAY_MAX: Duration = Duration::from_millis(500);
    /// Longest stay for a value that is on its way by stream, or that nobody else may hold.
    const SERVING_MAX: Duration = Duration::from_secs(3);
    /// Silence in which whoever lacks an acknowledgement of ours would have asked again.
    const QUIET_RTOS: u32 = 2;
}

impl Life {
    pub(super) fn is_leaving(self) -> bool {
        matches!(self, Self::Leaving(_))
    }
}

impl Engine {
    pub(super) fn on_leave(&mut self, now: Now, out: &mut Outbox) {
        self.life = Life::Leaving(Farewell { since: now.mono, heard: now.mono });
        self.timers.keep_only(&[Timer::Tell, Timer::Fetch]);
        if self.members.len() == 1 {
            // Nobody has to be told, and nobody could hold what is lost with us.
            return self.be_off(out, None);
        }
        planted!(GoodbyeUnsaid, self.say_goodbye(now, out));
        let alone = self.held_by_us_alone();
        if let Some(metadata) = self.metadata.as_ref().filter(|_| alone.is_some()) {
            // Perhaps nobody was there when it was published; what was told is not told again.
            let topic = self.topic_of(metadata);
            self.tell_all(now, &topic, out);
        }
    }

    /// What a leaver does about a packet. All else is for those who stay: it would list us anew.
    pub(super) fn on_packet_while_leaving(
        &mut self,
        now: Now,
        via: Via,
        packet: &Packet,
        out: &mut Outbox,
    ) {
        match &packet.body {
            Body::Rumor(rumor) => self.on_rumor(now, rumor, via, out),
            Body::RumorAck(ack) => self.on_rumor_ack(now, via.from, ack, out),
            Body::Fetch(fetch) => self.on_fetch(now, *fetch, via, out),
            Body::Fetched(metadata) => self.on_fetched(now, via.from, metadata, out),
            Body::Records(records) => self.on_goodbyes(now, &records.news, via, out),
            _ => return,
        }
        if let Life::Leaving(farewell) = &mut self.life {
            farewell.heard = now.mono;
        }
    }

    /// Hears who leaves as well: such a one is no keeper of what we hold.
    fn on_goodbyes(&mut self, now: Now, news: &[News], via: Via, out: &mut Outbox) {
        for goodbye in news.iter().filter(|news| matches!(news, News::Gone(_))) {
            self.see(now, goodbye, via, out);
        }
    }

    /// Who tells us of a value is to know that it goes with us. Of those who leave at the same time
    /// many have forgotten the other before its goodbye could be passed on to it.
    pub(super) fn warn_teller(&self, to: SocketAddr, topic: &Topic, out: &mut Outbox) {
        let is_value = matches!(topic, Topic::Metadata(_) | Topic::Announced(_));
        if is_value && self.life.is_leaving() {
            out.send(
                to,
                &self.packet(Body::Records(Records { news: vec![self.goodbye().into()] })),
            );
        }
    }

    /// Goes if there is nothing left to do, or finds when to look again.
    pub(super) fn see_to_farewell(&mut self, now: Now, out: &mut Outbox) {
        let Life::Leaving(Farewell { since, heard }) = self.life else { return };
        let lost = self.held_by_us_alone();
        let serves = lost.is_some() || self.fetcher.is_busy(now.mono);
        let stay = if serves { Farewell::SERVING_MAX } else { Farewell::STAY_MAX };
        let quiet = heard + self.rtts.patience_of_all(&self.config) * Farewell::QUIET_RTOS;
        let limit = since + stay;
        let is_told = self.telling.next().is_none();
        let done = planted!(OffTooSoon, now.mono >= quiet && is_told && !serves, true);
        if now.mono >= limit || done {
            return self.be_off(out, lost);
        }
        if lost.is_some() && is_told && now.mono >= quiet && !self.fetcher.is_busy(now.mono) {
            // Whom we told have it or have gone, and none of them stays.
            self.life = Life::Leaving(Farewell { since, heard: now.mono });
            self.tell_who_stays(now, out);
            return self.see_to_farewell(now, out);
        }
        // An acknowledgement, a transfer's end and a rumor given up lead here by themselves.
        self.timers.set(Timer::Leave, if now.mono < quiet { quiet.min(limit) } else { limit });
    }

    fn be_off(&mut self, out: &mut Outbox, lost: Option<Version>) {
        self.life = Life::Left;
        self.timers.clear_all();
        let unconfirmed = |version| Err(NotConfirmed { version, held_by: 0 });
        let told = planted!(PromiseUnkept, lost, None);
        out.answer(Answer::Left(told.map_or(Ok(()), unconfirmed)));
    }
}
