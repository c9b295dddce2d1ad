//! Rumors along arcs: how a metadata version, or a membership change that is alone, is told.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::arcs::RingView;
use super::engine::Engine;
use super::io::{Event, Outbox};
use super::metadata::{Metadata, Value, Version};
use super::newcomers::Via;
use super::packet::{Body, Cause, Gone, News, RingArc, Rumor, Suspicion, Topic};
use super::record::Digest;
use super::roster::NodeIx;
use super::suspects::Heed;
use super::timers::Timer;
use crate::config::Liveness;
use crate::node::Generation;
use crate::time::{Now, UnixNanos};

/// Which arcs of which rumors were shared out here lately, so that a packet that the network
/// delivers twice is not.
#[derive(Clone, Debug, Default)]
pub(super) struct Handed {
    recent: VecDeque<(TopicKey, RingArc)>,
}

/// What makes two rumors the same, whatever the age of the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TopicKey {
    Metadata(Version),
    /// The counter tells refutations apart; where everybody beats, it changes on the way.
    Member(Digest, u32),
    Gone(SocketAddr, Generation, Cause),
    Suspected(Suspicion),
}

impl TopicKey {
    fn of(topic: &Topic, liveness: Liveness) -> Self {
        match topic {
            Topic::Metadata(metadata) => Self::Metadata(metadata.version()),
            Topic::Announced(announcement) => Self::Metadata(announcement.version),
            Topic::Membership(News::Member(sighting)) => {
                let counter = if liveness == Liveness::Probes { sighting.counter } else { 0 };
                Self::Member(sighting.record.digest(), counter)
            }
            Topic::Membership(News::Gone(gone)) => {
                Self::Gone(gone.addr, gone.generation, gone.cause)
            }
            Topic::Membership(News::Suspected(suspicion)) => Self::Suspected(suspicion.clone()),
        }
    }
}

impl Handed {
    const RECENT_MAX: usize = 32;

    /// True the first time that this arc of this rumor is taken.
    fn take(&mut self, key: TopicKey, arc: RingArc) -> bool {
        let taken = (key, arc);
        if self.recent.contains(&taken) {
            return false;
        }
        if self.recent.len() == Self::RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(taken);
        true
    }
}

impl Engine {
    const SCRUB_PERIOD: Duration = Duration::from_secs(60);

    pub(super) fn on_publish(&mut self, now: Now, value: Value, out: &mut Outbox) {
        self.publish_at(now, value, self.publish_time(now), out);
    }

    /// Makes a value the cluster's metadata as of a time.
    pub(super) fn publish_at(&mut self, now: Now, value: Value, time: UnixNanos, out: &mut Outbox) {
        let held = self.metadata.as_ref();
        let metadata = Metadata::publish(value, held, self.me.place(), time);
        let topic = self.topic_of(&metadata);
        self.hold(now, metadata, out);
        self.tell_all(&topic, out);
    }

    /// Spreads a membership change that began here: by a rumor of its own when it is alone, in
    /// bulk when there is more of it.
    pub(super) fn announce(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        let alone = !self.relay.is_busy_with_news(now.mono, self.config.relay_delay());
        match self.news_of(node, now.mono) {
            Some(news) if alone => {
                self.relay.told_news(now.mono);
                self.tell_all(&Topic::Membership(news), out);
            }
            _ => self.relay_news(now.mono, node),
        }
    }

    pub(super) fn say_goodbye(&mut self, out: &mut Outbox) {
        let counter = self.members.counter(self.members.me());
        let (addr, generation) = (self.me.node().addr(), self.me.generation());
        let gone = Gone { addr, generation, counter, cause: Cause::Left };
        self.tell_all(&Topic::Membership(News::Gone(gone)), out);
    }

    pub(super) fn on_rumor(&mut self, now: Now, rumor: &Rumor, via: Via, out: &mut Outbox) {
        let arc = rumor.arc;
        match &rumor.topic {
            Topic::Metadata(metadata) => {
                self.on_value(now, metadata, out);
                let held = self.metadata.as_ref().map(Metadata::version);
                // An older version than ours is not worth telling, and one from the far future
                // is not held.
                if held != Some(metadata.version()) {
                    return;
                }
            }
            Topic::Announced(announcement) => {
                if !self.on_announced(now, via.from, *announcement, Some(arc), out) {
                    return;
                }
            }
            Topic::Membership(News::Suspected(suspicion)) => {
                if self.on_suspicion(now, suspicion, via, out) == Heed::Drop {
                    return;
                }
            }
            Topic::Membership(news) => {
                self.see(now, news, via, out);
            }
        }
        let topic = self.aged(now, &rumor.topic);
        self.tell_once(arc, &topic, out);
    }

    /// Shares out an arc that was not shared out before.
    pub(super) fn tell_once(&mut self, arc: RingArc, topic: &Topic, out: &mut Outbox) {
        if self.handed.take(TopicKey::of(topic, self.config.liveness()), arc) {
            self.tell(arc, topic, out);
        }
    }

    /// Takes a metadata value, by whatever way it came.
    pub(super) fn on_value(&mut self, now: Now, metadata: &Metadata, out: &mut Outbox) {
        self.stats.updates += 1;
        let version = metadata.version();
        if self.metadata.as_ref().is_some_and(|held| held.version() >= version) {
            return;
        }
        if !self.refuses(now, version) {
            self.hold(now, metadata.clone(), out);
        }
    }

    /// True for a version too far in the future, which is counted.
    pub(super) fn refuses(&mut self, now: Now, version: Version) -> bool {
        let refused = self.is_from_the_future(now, version);
        self.stats.versions_refused += u64::from(refused);
        refused
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
            out.event(Event::Superseded { ours, theirs });
        }
        out.event(Event::Published(metadata.clone()));
        self.metadata = Some(metadata);
        self.settle_fetch(out);
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

    pub(super) fn tell_all(&mut self, topic: &Topic, out: &mut Outbox) {
        self.tell(RingArc::whole(self.me.place()), topic, out);
    }

    /// Shares out an arc among members on it.
    fn tell(&mut self, arc: RingArc, topic: &Topic, out: &mut Outbox) {
        self.members.in_ring_order();
        let crowded = self.is_crowded();
        let members = &self.members;
        let ring = members.ring_order();
        let doubted = |node: &NodeIx| self.suspects.has(members.addr(*node));
        let proven = |node: &NodeIx| !members.is_newcomer(*node);
        let told: Cow<'_, [NodeIx]> = match topic {
            // A suspect is told first, and would be a bad one to tell others.
            Topic::Membership(News::Suspected(_)) => {
                ring.iter().copied().filter(|node| !doubted(node)).collect()
            }
            _ if crowded => ring.iter().copied().filter(proven).collect(),
            _ => ring.into(),
        };
        let view = RingView { members: &told, place: |node| members.place(node) };
        let fan_out = self.config.fan_out();
        for delegation in view.split(arc, self.me.place(), fan_out, &mut self.rng) {
            let rumor = Rumor { arc: delegation.arc, topic: topic.clone() };
            let packet = self.packet(Body::Rumor(rumor));
            out.send(self.members.addr(delegation.to), &packet);
        }
    }
}
