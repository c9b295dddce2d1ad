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

use super::Store;
use crate::core::context::{Context, Source};
use crate::core::dissemination::Dissemination;
use crate::core::io::{Carrier, Event};
use crate::core::metadata::{Metadata, Version};
use crate::core::packet::{Announcement, Body, Call, Cause, Fetch, Packet, RingArc};
use crate::core::timers::Timer;
use crate::time::Instant;

/// What is being fetched, and whom we are sending ours to.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetcher {
    /// At most [`Fetcher::WANTED_MAX`].
    pub wanted: Vec<Wanted>,
    /// At most [`Fetcher::SERVED_MAX`].
    served: Vec<Served>,
}

/// A value that was announced and is not here yet.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub announcement: Announcement,
    /// What we answer for once we hold it.
    arcs: Vec<RingArc>,
    /// Who holds it too, and was not asked in vain.
    pub tellers: VecDeque<SocketAddr>,
    pub asked: SocketAddr,
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
    pub(crate) const ARCS_MAX: usize = 32;
    /// What a stream takes to fail or to begin.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
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
    fn end_serving_to(&mut self, to: SocketAddr) -> Vec<Version> {
        let ended = self.served.extract_if(.., |served| served.to == to);
        ended.map(|served| served.version).collect()
    }

    #[cfg(test)]
    pub(crate) fn forget_what_is_wanted(&mut self) {
        self.wanted.clear();
    }

    /// True while a value is on its way to us or from us.
    pub(crate) fn is_busy(&self, now: Instant) -> bool {
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
    fn add(&mut self, teller: SocketAddr, arc: Option<RingArc>) {
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

impl Store {
    /// Somebody holds a value that exceeds a datagram, and told us so with an arc or in a swap.
    /// True when we hold it already.
    pub(crate) fn on_announced(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        announcement: Announcement,
        arc: Option<RingArc>,
    ) -> bool {
        let version = announcement.version;
        cx.stats.updates += 1;
        if let Some(held) = cx.metadata.as_ref().map(Metadata::version)
            && held >= version
        {
            return held == version;
        }
        if cx.refuses(version, from) {
            return false;
        }
        if announcement.len as usize > cx.config.metadata_len_max() {
            cx.stats.values_over_limit += 1;
            return false;
        }
        self.make_room_for(cx, from);
        if let Some(place) = self.fetcher.place_for(from, version) {
            let (mut tellers, until) = (VecDeque::new(), cx.now.mono);
            let arcs = arc.into_iter().collect();
            let asked = self.first_to_ask(cx, from, version);
            tellers.extend((asked != from).then_some(from));
            let waits = Waits::ToCome;
            let wanted = Wanted { announcement, arcs, tellers, asked, until, waits };
            self.fetcher.wanted.insert(place, wanted);
            self.ask(cx, place, asked);
        } else if let Some(place) = self.fetcher.place_of(version) {
            self.fetcher.wanted[place].add(from, arc);
            self.prefer(cx, place, from);
        }
        false
    }

    /// Drops what a stranger told us of when there is no room for what a member tells: what
    /// strangers announce may never come.
    fn make_room_for(&mut self, cx: &mut Context<'_>, teller: SocketAddr) {
        let is_full = self.fetcher.wanted.len() == Fetcher::WANTED_MAX;
        if is_full && cx.is_believed(teller) {
            let wanted = &self.fetcher.wanted;
            let stranger = wanted.iter().position(|wanted| !cx.is_believed(wanted.asked));
            if let Some(place) = stranger {
                self.fetcher.wanted.remove(place);
            }
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>, place: usize, teller: SocketAddr) {
        let wanted = &mut self.fetcher.wanted[place];
        let Announcement { version, len } = wanted.announcement;
        (wanted.asked, wanted.waits) = (teller, Waits::ToCome);
        wanted.until = cx.now.mono + Fetcher::patience(u64::from(len));
        let look = cx.now.mono + cx.config.cycle();
        planted!(FetchUnwatched, cx.timers.set_earlier(Timer::Fetch, look));
        Self::say(cx, teller, version, Call::Send);
    }

    /// Asks the next who told us; with none left the next swap finds one.
    fn ask_another(&mut self, cx: &mut Context<'_>, place: usize) {
        match self.unreached.take_next(&mut self.fetcher.wanted[place].tellers) {
            Some(teller) => self.ask(cx, place, teller),
            None => drop(self.fetcher.wanted.remove(place)),
        }
    }

    /// Once a cycle while something is wanted.
    pub(crate) fn on_fetch_timer(&mut self, cx: &mut Context<'_>) {
        for place in (0..self.fetcher.wanted.len()).rev() {
            let wanted = &self.fetcher.wanted[place];
            let asked = cx.members.node(wanted.asked);
            let gone = asked.and_then(|node| cx.members.gone(node));
            // Who has said goodbye goes on serving: it is the last to give up if nobody else holds
            // the value.
            let hopeless =
                gone.is_some_and(|gone| gone.cause == Cause::Timeout || !wanted.tellers.is_empty());
            let is_due = cx.now.mono >= wanted.until;
            match wanted.waits {
                Waits::ToCome if is_due && !hopeless => self.on_asked_in_vain(cx, place),
                _ if is_due || hopeless => self.ask_another(cx, place),
                Waits::ToCome | Waits::ToAsk => {}
            }
        }
        if !self.fetcher.wanted.is_empty() {
            cx.timers.set_earlier(Timer::Fetch, cx.now.mono + cx.config.cycle());
        }
    }

    pub(crate) fn on_fetch(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        fetch: Fetch,
        via: Source,
    ) {
        let from = via.from;
        match fetch.call {
            // We ask by stream only: a datagram may have a victim's address on it.
            Call::Send if via.carrier != Carrier::Stream => cx.stats.fetches_unproven += 1,
            Call::Send => {
                spread.judge_path(cx, from, fetch.version);
                self.serve(cx, from, fetch.version);
            }
            Call::Done => self.on_done(cx, spread, from, fetch.version),
            Call::Busy => self.on_busy(cx, from, fetch.version, via.carrier),
        }
    }

    fn on_done(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        from: SocketAddr,
        version: Version,
    ) {
        self.unreached.forget(from);
        if self.fetcher.end_serving(from, version) {
            spread.note_holder(cx, from, version);
        }
    }

    fn serve(&mut self, cx: &mut Context<'_>, to: SocketAddr, version: Version) {
        planted!(ServedForEver, self.fetcher.served.retain(|served| served.until > cx.now.mono));
        if self.fetcher.served.iter().any(|it| (it.to, it.version) == (to, version)) {
            // It is on its way.
            return;
        }
        // A newer one is as good: it is what they will want next.
        let held = cx.metadata.as_ref().filter(|held| held.version() >= version);
        let full = self.fetcher.served.len() >= Self::served_max(cx, to);
        let Some(metadata) = held.filter(|_| !full) else {
            cx.stats.transfers_refused += 1;
            Self::say(cx, to, version, Call::Busy);
            return;
        };
        let version = metadata.version();
        let until = cx.now.mono + Fetcher::patience(metadata.data().len() as u64);
        let packet = cx.packet(Body::Fetched(metadata.clone()));
        self.fetcher.served.push(Served { to, version, until });
        cx.stats.transfers += 1;
        cx.out.stream(to, &packet);
    }

    /// How many transfers may be under way when this one asks for another: strangers can't take
    /// all of them.
    fn served_max(cx: &Context<'_>, to: SocketAddr) -> usize {
        if cx.is_believed(to) { Fetcher::SERVED_MAX } else { Fetcher::SERVED_MAX / 4 }
    }

    /// Who is busy is asked again later, after the others who told us. Who says so by datagram has
    /// no way to us for the value.
    fn on_busy(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        version: Version,
        carrier: Carrier,
    ) {
        let asked = |wanted: &Wanted| (wanted.asked, wanted.announcement.version);
        let place = self.fetcher.wanted.iter().position(|it| asked(it) == (from, version));
        let Some(place) = place else { return };
        if carrier != Carrier::Stream {
            return self.on_asked_in_vain(cx, place);
        }
        let wanted = &mut self.fetcher.wanted[place];
        if wanted.tellers.iter().all(|&teller| teller == from) {
            // Not at once, however often it says so: each no would bring the next question.
            wanted.tellers = [from].into();
            (wanted.until, wanted.waits) = (cx.now.mono, Waits::ToAsk);
            let later = cx.jittered(cx.config.cycle() / 4);
            cx.timers.set_earlier(Timer::Fetch, cx.now.mono + later);
        } else {
            self.ask_another(cx, place);
        }
    }

    /// A value came by stream.
    pub(crate) fn on_fetched(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        from: SocketAddr,
        metadata: &Metadata,
    ) {
        self.unreached.forget(from);
        // What a confirmed member told us of may come from anywhere: it is known by its digest.
        match self.fetcher.place_of(metadata.version()) {
            Some(_) => self.take_value(cx, spread, metadata),
            None => self.on_value(cx, spread, metadata, from),
        }
        Self::say(cx, from, metadata.version(), Call::Done);
    }

    /// We hold another value than before: what was wanted may have come, by whatever way.
    pub(super) fn settle_fetch(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        let Some(metadata) = cx.metadata.as_ref().filter(|_| !self.fetcher.wanted.is_empty())
        else {
            return;
        };
        let (version, topic) = (metadata.version(), cx.topic_of(metadata));
        for wanted in self.fetcher.settle(version) {
            // Who holds a newer version has no news of the older one to pass on.
            if wanted.announcement.version == version {
                for arc in wanted.arcs {
                    spread.tell(cx, &topic, arc, None, 1);
                }
            }
        }
    }

    /// Asking and refusing must not get lost, and an address that only claims to ask must not be
    /// sent a value: they go by stream.
    fn say(cx: &mut Context<'_>, to: SocketAddr, version: Version, call: Call) {
        let packet = Self::fetch_packet(cx, version, call);
        match call {
            Call::Send | Call::Busy => cx.out.stream(to, &packet),
            Call::Done => cx.out.send(to, &packet),
        }
    }

    fn fetch_packet(cx: &Context<'_>, version: Version, call: Call) -> Arc<Packet> {
        cx.packet(Body::Fetch(Fetch { version, call }))
    }

    /// What should have gone there by stream is lost.
    pub(crate) fn on_stream_failed(&mut self, cx: &mut Context<'_>, to: SocketAddr) {
        if let Some(place) = self.fetcher.wanted.iter().position(|wanted| wanted.asked == to) {
            planted!(StreamFailureUnheeded, self.on_asked_in_vain(cx, place));
        }
        for version in self.fetcher.end_serving_to(to) {
            self.note_unreached(cx, to, version);
            // By datagram, which says that it is not for want of time.
            cx.out.send(to, &Self::fetch_packet(cx, version, Call::Busy));
        }
    }

    /// Who was asked for a value is not reached, or can't reach us: asks another.
    fn on_asked_in_vain(&mut self, cx: &mut Context<'_>, place: usize) {
        let wanted = &self.fetcher.wanted[place];
        let (peer, version) = (wanted.asked, wanted.announcement.version);
        self.note_unreached(cx, peer, version);
        if self.fetcher.wanted[place].tellers.is_empty()
            && let Some(holder) = self.other_holder(cx, version, peer)
        {
            self.fetcher.wanted[place].tellers.push_back(holder);
        }
        self.ask_another(cx, place);
    }

    fn note_unreached(&mut self, cx: &mut Context<'_>, peer: SocketAddr, version: Version) {
        cx.stats.values_unreached += 1;
        // Strangers could announce what never comes without end.
        if cx.is_believed(peer) && self.unreached.note(peer) {
            cx.out.event(Event::ValueUnreachable { version, peer });
            // Another may hold it. Only now: what can't be had must not bring swap upon swap.
            cx.swap_again_soon();
        }
    }

    /// Whom to ask first for a value that this teller announces.
    fn first_to_ask(&self, cx: &Context<'_>, teller: SocketAddr, version: Version) -> SocketAddr {
        if !self.unreached.contains(teller) {
            return teller;
        }
        self.other_holder(cx, version, teller).unwrap_or(teller)
    }

    /// A member that last said that it holds this version, and can be reached for all we know.
    fn other_holder(
        &self,
        cx: &Context<'_>,
        version: Version,
        but: SocketAddr,
    ) -> Option<SocketAddr> {
        let mut holders = cx.reports.holders_of(version.hash());
        holders.find(|&peer| peer != but && !self.unreached.contains(peer) && cx.lists(peer))
    }

    /// Has a value that is asked for in vain asked of one that has just told of it as well.
    fn prefer(&mut self, cx: &mut Context<'_>, place: usize, teller: SocketAddr) {
        let Wanted { asked, .. } = self.fetcher.wanted[place];
        if self.unreached.contains(asked) && !self.unreached.contains(teller) {
            let tellers = &mut self.fetcher.wanted[place].tellers;
            tellers.retain(|&other| other != teller);
            self.ask(cx, place, teller);
            self.fetcher.wanted[place].add(asked, None);
        }
    }
}
