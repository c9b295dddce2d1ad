//! Fetching: how a metadata value that exceeds a datagram reaches each node once.
//!
//! The news of it travels like any other, but says only which version there is and how long it
//! is. Who lacks the value asks the one that told it, gets it by stream, and only then passes the
//! news on, so that whoever it tells can ask in turn. One node serves a few others at a time and
//! sends the rest away. What fails here for good, the next swap begins anew.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::io::{Carrier, Outbox};
use super::metadata::{Metadata, Version};
use super::newcomers::Via;
use super::packet::{Announcement, Body, Call, Cause, Fetch, Packet, RingArc, Topic};
use super::paths::rumor_len;
use super::timers::Timer;
use crate::time::{Instant, Now};

/// What is being fetched, and whom we are sending ours to.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetcher {
    /// At most [`Fetcher::WANTED_MAX`].
    pub(super) wanted: Vec<Wanted>,
    /// At most [`Fetcher::SERVED_MAX`].
    served: Vec<Served>,
}

/// A value that was announced and is not here yet.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) announcement: Announcement,
    /// What we answer for once we hold it.
    arcs: Vec<RingArc>,
    /// Who holds it too, and was not asked in vain.
    pub(super) tellers: VecDeque<SocketAddr>,
    pub(super) asked: SocketAddr,
    /// When to ask another.
    until: Instant,
    waits: Waits,
}

/// For what a value that is wanted waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// For whoever was asked.
    ToCome,
    /// Until those that were busy are asked again.
    ToAsk,
}

/// A transfer of our value that was begun.
#[derive(Clone, Copy, Debug)]
struct Served {
    to: SocketAddr,
    version: Version,
    /// When it has surely ended, one way or the other.
    until: Instant,
}

impl Fetcher {
    /// Values that are fetched at a time: somebody may announce one that never comes.
    const WANTED_MAX: usize = 4;
    /// Transfers that one node serves at a time.
    const SERVED_MAX: usize = 16;
    const TELLERS_MAX: usize = 8;
    const ARCS_MAX: usize = 32;
    /// What a stream takes to fail or to begin.
    const PATIENCE: Duration = Duration::from_secs(3);
    /// What even a bad connection manages.
    const BYTES_PER_SECOND: u64 = 32 * 1024;

    /// How long a transfer of this many bytes may take.
    fn patience(len: u64) -> Duration {
        Self::PATIENCE + Duration::from_millis(len * 1_000 / Self::BYTES_PER_SECOND)
    }

    fn place_of(&self, version: Version) -> Option<usize> {
        self.wanted.iter().position(|wanted| wanted.announcement.version == version)
    }

    /// Where to note that this version is wanted of this teller; `None` when it is wanted
    /// already, the teller has promised a newer one, or too much is wanted.
    fn place_for(&mut self, teller: SocketAddr, version: Version) -> Option<usize> {
        if self.place_of(version).is_some() {
            return None;
        }
        // One place for each teller, so that none can take them all.
        if let Some(place) = self.wanted.iter().position(|wanted| wanted.asked == teller) {
            if self.wanted[place].announcement.version > version {
                return None;
            }
            self.wanted.remove(place);
        }
        (self.wanted.len() < Self::WANTED_MAX).then_some(self.wanted.len())
    }

    /// Takes out what a value that came has settled, by itself or by being newer.
    fn settle(&mut self, held: Version) -> Vec<Wanted> {
        self.wanted.extract_if(.., |wanted| wanted.announcement.version <= held).collect()
    }

    /// Ends all transfers to this address; what was sent there.
    pub(super) fn end_serving_to(&mut self, to: SocketAddr) -> Vec<Version> {
        let ended = self.served.extract_if(.., |served| served.to == to);
        ended.map(|served| served.version).collect()
    }

    /// True while a value is on its way to us or from us.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        !self.wanted.is_empty() || self.served.iter().any(|served| served.until > now)
    }

    /// False if nothing of it was being sent there.
    fn end_serving(&mut self, to: SocketAddr, version: Version) -> bool {
        let before = self.served.len();
        self.served.retain(|served| (served.to, served.version) != (to, version));
        self.served.len() < before
    }
}

impl Wanted {
    pub(super) fn add(&mut self, teller: SocketAddr, arc: Option<RingArc>) {
        let known = self.asked == teller || self.tellers.contains(&teller);
        if !known && self.tellers.len() < Fetcher::TELLERS_MAX {
            self.tellers.push_back(teller);
        }
        if let Some(arc) = arc
            && self.arcs.len() < Fetcher::ARCS_MAX
            && !self.arcs.contains(&arc)
        {
            self.arcs.push(arc);
        }
    }
}

impl Engine {
    /// What a rumor of a metadata value carries: the value where it fits a datagram.
    pub(super) fn topic_of(&self, metadata: &Metadata) -> Topic {
        if rumor_len(metadata) <= self.config.packet_len_max() {
            Topic::Metadata(metadata.clone())
        } else {
            Topic::Announced(Announcement::of(metadata))
        }
    }

    /// Somebody holds a value that exceeds a datagram, and told us so with an arc or in a swap.
    /// True when we hold it already.
    pub(super) fn on_announced(
        &mut self,
        now: Now,
        from: SocketAddr,
        announcement: Announcement,
        arc: Option<RingArc>,
        out: &mut Outbox,
    ) -> bool {
        let version = announcement.version;
        self.stats.updates += 1;
        if let Some(held) = self.metadata.as_ref().map(Metadata::version)
            && held >= version
        {
            return held == version;
        }
        if self.refuses(now, version, from) {
            return false;
        }
        if announcement.len as usize > self.config.metadata_len_max() {
            self.stats.values_over_limit += 1;
            return false;
        }
        self.make_room_for(from);
        if let Some(place) = self.fetcher.place_for(from, version) {
            let (mut tellers, until) = (VecDeque::new(), now.mono);
            let arcs = arc.into_iter().collect();
            let asked = self.first_to_ask(from, version);
            tellers.extend((asked != from).then_some(from));
            let waits = Waits::ToCome;
            let wanted = Wanted { announcement, arcs, tellers, asked, until, waits };
            self.fetcher.wanted.insert(place, wanted);
            self.ask(now, place, asked, out);
        } else if let Some(place) = self.fetcher.place_of(version) {
            self.fetcher.wanted[place].add(from, arc);
            self.prefer(now, place, from, out);
        }
        false
    }

    /// Drops what a stranger told us of when there is no room for what a member tells: what
    /// strangers announce may never come.
    fn make_room_for(&mut self, teller: SocketAddr) {
        let is_full = self.fetcher.wanted.len() == Fetcher::WANTED_MAX;
        if is_full && self.is_believed(teller) {
            let wanted = &self.fetcher.wanted;
            let stranger = wanted.iter().position(|wanted| !self.is_believed(wanted.asked));
            if let Some(place) = stranger {
                self.fetcher.wanted.remove(place);
            }
        }
    }

    pub(super) fn ask(&mut self, now: Now, place: usize, teller: SocketAddr, out: &mut Outbox) {
        let wanted = &mut self.fetcher.wanted[place];
        let Announcement { version, len } = wanted.announcement;
        (wanted.asked, wanted.waits) = (teller, Waits::ToCome);
        wanted.until = now.mono + Fetcher::patience(u64::from(len));
        let look = now.mono + self.config.cycle();
        planted!(FetchUnwatched, self.timers.set_earlier(Timer::Fetch, look));
        self.say(teller, version, Call::Send, out);
    }

    /// Asks the next who told us; with none left the next swap finds one.
    pub(super) fn ask_another(&mut self, now: Now, place: usize, out: &mut Outbox) {
        match self.unreached.take_next(&mut self.fetcher.wanted[place].tellers) {
            Some(teller) => self.ask(now, place, teller, out),
            None => drop(self.fetcher.wanted.remove(place)),
        }
    }

    /// Once a cycle while something is wanted.
    pub(super) fn on_fetch_timer(&mut self, now: Now, out: &mut Outbox) {
        for place in (0..self.fetcher.wanted.len()).rev() {
            let wanted = &self.fetcher.wanted[place];
            let asked = self.members.node(wanted.asked);
            let gone = asked.and_then(|node| self.members.gone(node));
            // Who has said goodbye goes on serving: it is the last to give up if nobody else holds
            // the value.
            let hopeless =
                gone.is_some_and(|gone| gone.cause == Cause::Timeout || !wanted.tellers.is_empty());
            let is_due = now.mono >= wanted.until;
            match wanted.waits {
                Waits::ToCome if is_due && !hopeless => self.on_asked_in_vain(now, place, out),
                _ if is_due || hopeless => self.ask_another(now, place, out),
                Waits::ToCome | Waits::ToAsk => {}
            }
        }
        if !self.fetcher.wanted.is_empty() {
            self.timers.set_earlier(Timer::Fetch, now.mono + self.config.cycle());
        }
    }

    pub(super) fn on_fetch(&mut self, now: Now, fetch: Fetch, via: Via, out: &mut Outbox) {
        let from = via.from;
        match fetch.call {
            // We ask by stream only: a datagram may have a victim's address on it.
            Call::Send if via.carrier != Carrier::Stream => self.stats.fetches_unproven += 1,
            Call::Send => {
                self.judge_path(now, from, fetch.version, out);
                self.serve(now, from, fetch.version, out);
            }
            Call::Done => self.on_done(now, from, fetch.version, out),
            Call::Busy => self.on_busy(now, from, fetch.version, via.carrier, out),
        }
    }

    fn on_done(&mut self, now: Now, from: SocketAddr, version: Version, out: &mut Outbox) {
        self.unreached.forget(from);
        if self.fetcher.end_serving(from, version) {
            self.note_holder(now, from, version, out);
        }
    }

    fn serve(&mut self, now: Now, to: SocketAddr, version: Version, out: &mut Outbox) {
        planted!(ServedForEver, self.fetcher.served.retain(|served| served.until > now.mono));
        if self.fetcher.served.iter().any(|it| (it.to, it.version) == (to, version)) {
            // It is on its way.
            return;
        }
        // A newer one is as good: it is what they will want next.
        let held = self.metadata.as_ref().filter(|held| held.version() >= version);
        let full = self.fetcher.served.len() >= self.served_max(to);
        let Some(metadata) = held.filter(|_| !full) else {
            self.stats.transfers_refused += 1;
            self.say(to, version, Call::Busy, out);
            return;
        };
        let version = metadata.version();
        let until = now.mono + Fetcher::patience(metadata.data().len() as u64);
        let packet = self.packet(Body::Fetched(metadata.clone()));
        self.fetcher.served.push(Served { to, version, until });
        self.stats.transfers += 1;
        out.stream(to, &packet);
    }

    /// How many transfers may be under way when this one asks for another: strangers can't take
    /// all of them.
    fn served_max(&self, to: SocketAddr) -> usize {
        if self.is_believed(to) { Fetcher::SERVED_MAX } else { Fetcher::SERVED_MAX / 4 }
    }

    /// Who is busy is asked again later, after the others who told us. Who says so by datagram has
    /// no way to us for the value.
    fn on_busy(
        &mut self,
        now: Now,
        from: SocketAddr,
        version: Version,
        carrier: Carrier,
        out: &mut Outbox,
    ) {
        let asked = |wanted: &Wanted| (wanted.asked, wanted.announcement.version);
        let place = self.fetcher.wanted.iter().position(|it| asked(it) == (from, version));
        let Some(place) = place else { return };
        if carrier != Carrier::Stream {
            return self.on_asked_in_vain(now, place, out);
        }
        let wanted = &mut self.fetcher.wanted[place];
        if wanted.tellers.iter().all(|&teller| teller == from) {
            // Not at once, however often it says so: each no would bring the next question.
            wanted.tellers = [from].into();
            (wanted.until, wanted.waits) = (now.mono, Waits::ToAsk);
            let later = self.jittered(self.config.cycle() / 4);
            self.timers.set_earlier(Timer::Fetch, now.mono + later);
        } else {
            self.ask_another(now, place, out);
        }
    }

    /// A value came by stream.
    pub(super) fn on_fetched(
        &mut self,
        now: Now,
        from: SocketAddr,
        metadata: &Metadata,
        out: &mut Outbox,
    ) {
        self.unreached.forget(from);
        // What a confirmed member told us of may come from anywhere: it is known by its digest.
        match self.fetcher.place_of(metadata.version()) {
            Some(_) => self.take_value(now, metadata, out),
            None => self.on_value(now, metadata, from, out),
        }
        self.say(from, metadata.version(), Call::Done, out);
    }

    /// We hold another value than before: what was wanted may have come, by whatever way.
    pub(super) fn settle_fetch(&mut self, now: Now, out: &mut Outbox) {
        let Some(metadata) = self.metadata.as_ref().filter(|_| !self.fetcher.wanted.is_empty())
        else {
            return;
        };
        let (version, topic) = (metadata.version(), self.topic_of(metadata));
        for wanted in self.fetcher.settle(version) {
            // Who holds a newer version has no news of the older one to pass on.
            if wanted.announcement.version == version {
                for arc in wanted.arcs {
                    self.tell(now, &topic, arc, None, 1, out);
                }
            }
        }
    }

    /// Asking and refusing must not get lost, and an address that only claims to ask must not be
    /// sent a value: they go by stream.
    fn say(&self, to: SocketAddr, version: Version, call: Call, out: &mut Outbox) {
        let packet = self.fetch_packet(version, call);
        match call {
            Call::Send | Call::Busy => out.stream(to, &packet),
            Call::Done => out.send(to, &packet),
        }
    }

    pub(super) fn fetch_packet(&self, version: Version, call: Call) -> Arc<Packet> {
        self.packet(Body::Fetch(Fetch { version, call }))
    }
}
