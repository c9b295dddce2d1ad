//! Rumors along arcs: how a metadata version, or a membership change that is alone, is told.

use std::net::SocketAddr;
use std::time::Duration;

use super::engine::Engine;
use super::io::{Event, Outbox};
use super::metadata::{Metadata, Value, Version};
use super::newcomers::Via;
use super::packet::{Cause, Gone, News, Rumor, Topic};
use super::roster::NodeIx;
use super::suspects::Heed;
use super::timers::Timer;
use crate::time::Now;

/// What became of the news in a rumor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// We hold it, and can tell it.
    Held,
    /// It is told once we hold it.
    Fetching,
    /// We hold a newer one, refuse it, or don't believe it yet.
    NotWorthTelling,
}

impl Engine {
    const SCRUB_PERIOD: Duration = Duration::from_secs(60);

    pub(super) fn on_publish(&mut self, now: Now, value: Value, out: &mut Outbox) {
        if let Some(version) = self.publish(now, value, out) {
            self.note_publish(now, version);
        }
    }

    /// Makes a value the cluster's metadata, if a version ranks above the held one.
    pub(super) fn publish(&mut self, now: Now, value: Value, out: &mut Outbox) -> Option<Version> {
        let (held, time) = (self.metadata.as_ref(), self.publish_time(now));
        let Ok(metadata) = Metadata::publish(value, held, self.me.place(), time) else {
            out.event(Event::VersionsExhausted(held?.version()));
            self.holders.refused();
            return None;
        };
        let (topic, version) = (self.topic_of(&metadata), metadata.version());
        self.holders.published(version);
        self.hold(now, metadata, out);
        self.tell_all(now, &topic, out);
        Some(version)
    }

    /// Spreads a membership change that began here: by a rumor of its own when it is alone, in
    /// bulk when there is more of it.
    pub(super) fn announce(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        let alone = !self.relay.is_busy_with_news(now.mono, self.config.relay_delay());
        match self.news_of(node, now.mono) {
            Some(news) if alone => {
                self.relay.told_news(now.mono);
                self.tell_all(now, &Topic::Membership(news), out);
            }
            _ => self.relay_news(now.mono, node),
        }
    }

    pub(super) fn say_goodbye(&mut self, now: Now, out: &mut Outbox) {
        self.tell_all(now, &Topic::Membership(News::from(self.goodbye())), out);
    }

    pub(super) fn goodbye(&self) -> Gone {
        let counter = self.members.counter(self.members.me());
        let (addr, generation) = (self.me.node().addr(), self.me.generation());
        Gone { addr, generation, counter, cause: Cause::Left }
    }

    pub(super) fn on_rumor(&mut self, now: Now, rumor: &Rumor, via: Via, out: &mut Outbox) {
        let taken = match self.take_topic(now, rumor, via, out) {
            Taken::Held => planted!(
                ArcUntold,
                self.tell(now, &rumor.topic, rumor.arc, Some(via.from), rumor.acks, out),
                true
            ),
            Taken::Fetching | Taken::NotWorthTelling => true,
        };
        self.warn_teller(via.from, &rumor.topic, out);
        if taken {
            self.acknowledge(via.from, rumor, out);
        }
    }

    fn take_topic(&mut self, now: Now, rumor: &Rumor, via: Via, out: &mut Outbox) -> Taken {
        match &rumor.topic {
            Topic::Metadata(metadata) => {
                self.on_value(now, metadata, via.from, out);
                let held = self.metadata.as_ref().map(Metadata::version);
                // An older version than ours is not worth telling, and a stranger's from the
                // future is not held.
                if held == Some(metadata.version()) { Taken::Held } else { Taken::NotWorthTelling }
            }
            Topic::Announced(announcement) => {
                let arc = Some(rumor.arc);
                match self.on_announced(now, via.from, *announcement, arc, out) {
                    true => Taken::Held,
                    false => Taken::Fetching,
                }
            }
            Topic::Membership(News::Suspected(suspicion)) => {
                match self.on_suspicion(now, suspicion, via, out) {
                    Heed::Drop => Taken::NotWorthTelling,
                    _ => Taken::Held,
                }
            }
            Topic::Membership(news) => {
                let me = self.me.generation();
                self.see(now, news, via, out);
                let refuted = self.me.generation() > me;
                let about = match news {
                    News::Member(sighting) => sighting.record.node().addr(),
                    News::Gone(gone) => gone.addr,
                    News::Suspected(suspicion) => suspicion.addr,
                };
                let node = self.members.node(about);
                let rumored = node.is_some_and(|node| self.members.is_rumored(node));
                if rumored || refuted || self.is_claim(now, news) {
                    Taken::NotWorthTelling
                } else {
                    Taken::Held
                }
            }
        }
    }

    /// Takes a metadata value by its rank alone, by whatever way it came and whatever time it is:
    /// only strangers may not send us one from the future.
    pub(super) fn on_value(
        &mut self,
        now: Now,
        metadata: &Metadata,
        from: SocketAddr,
        out: &mut Outbox,
    ) {
        let version = metadata.version();
        let is_newer = self.metadata.as_ref().is_none_or(|held| held.version() < version);
        if is_newer && self.refuses(now, version, from) {
            self.stats.updates += 1;
        } else {
            self.take_value(now, metadata, out);
        }
    }

    /// Holds a value if it is newer than what we hold.
    pub(super) fn take_value(&mut self, now: Now, metadata: &Metadata, out: &mut Outbox) {
        self.stats.updates += 1;
        let ours = self.metadata.clone();
        let (new, old) = (metadata.version(), ours.as_ref().map(Metadata::version));
        if old.is_none_or(|old| planted!(WriterUnranked, old < new, old.nanos < new.nanos)) {
            self.hold(now, metadata.clone(), out);
            self.publish_again(now, ours, out);
        }
    }

    /// Verifies the held value once in a while: not with every use, for a large one takes longer
    /// to verify than everything else in a swap.
    pub(super) fn on_scrub(&mut self, now: Now, out: &mut Outbox) {
        if let Some(broken) = self.metadata.take_if(|held| !held.is_sound()) {
            self.stats.values_corrupted += 1;
            out.event(Event::Corrupted(broken.version()));
            self.swap_again_soon(now.mono);
        } else if self.metadata.is_some() {
            self.timers.set(Timer::Scrub, now.mono + Self::SCRUB_PERIOD);
        }
    }

    fn hold(&mut self, now: Now, metadata: Metadata, out: &mut Outbox) {
        self.timers.set_earlier(Timer::Scrub, now.mono + Self::SCRUB_PERIOD);
        let (me, theirs) = (self.me.place(), metadata.version());
        if let Some(ours) = self.metadata.as_ref().map(Metadata::version)
            && (ours.writer == me && theirs.writer != me)
        {
            let theirs_ahead_by = self.ahead_by(now, theirs);
            out.event(Event::Superseded { ours, theirs, theirs_ahead_by });
        }
        self.note_time_to_apply(now, theirs);
        out.event(Event::Published(metadata.clone()));
        self.metadata = Some(metadata);
        planted!(OlderStillTold, self.telling.supersede(theirs));
        planted!(FetchUnsettled, self.settle_fetch(now, out));
        self.tell_if_ahead(now, out);
    }

    /// What was there before this node says when the node started, and nothing of the way.
    fn note_time_to_apply(&mut self, now: Now, version: Version) {
        let published = u64::try_from(version.nanos).unwrap_or(0);
        if version.writer == self.me.place() || published < self.me.generation().get() {
            return;
        }
        let time = u64::try_from(self.publish_time(now).0).unwrap_or(0);
        let took = Duration::from_nanos(time.saturating_sub(published));
        self.stats.time_to_apply.observe(took);
    }
}
