//! The swap: once a cycle with one random member, find what differs and repair it.
//!
//! Three messages when both agree: request, answer, delivery; their size is constant but for the
//! vector of beats. When the lists differ, the answer brings digests by bucket of the ring
//! instead, and the ids of the differing buckets decide which records go which way. Nothing else
//! in the protocol has to be reliable.

use std::net::SocketAddr;
use std::time::Duration;

use super::beat::{Age, RecordId};
use super::engine::{Engine, Life};
use super::io::Outbox;
use super::metadata::{Metadata, Version};
use super::newcomers::Via;
use super::packer::{Packer, Room};
use super::packet::{
    Announcement, Body, Bounded, Detail, Held, Holds, Ids, News, Packet, Padding, Records,
    SwapAnswer, SwapRequest, Vector, Wanted,
};
use super::record::Digest;
use super::roster::{BUCKET_BITS, NodeIx};
use super::round::Round;
use super::timers::Timer;
use crate::config::{Liveness, Swap};
use crate::time::{Instant, Now};

/// The swap under way, and what was learned from earlier ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Swapper {
    pending: Option<Pending>,
    round: Round,
    /// What we listed when a partner last answered.
    listed: Digest,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    token: u32,
    to: SocketAddr,
    sent_at: Instant,
    sends: u32,
}

/// Which pages of our beats are to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    All,
    /// All but the first, which went with the answer.
    Rest,
}

impl Engine {
    const SENDS_MAX: u32 = 4;
    /// Digests of buckets that fit the answer to a request from an address that has not echoed.
    const BUCKETS_AT_FIRST: usize = 32;
    /// Datagrams of records in answer to one packet; the next swap brings more.
    const RECORD_PACKETS_MAX: usize = 64;
    /// About this many members share a bucket.
    const BUCKET_MEMBERS: usize = 16;

    pub(super) fn on_swap(&mut self, now: Now, out: &mut Outbox) {
        let next = self.jittered(self.swap_period());
        planted!(SwapsEnd, self.timers.set(Timer::Swap, now.mono + next));
        let partner = self.next_partner(now.mono).map(|partner| self.members.addr(partner));
        if let Some(partner) = partner.filter(|&addr| !self.is_in_vain(now.mono, addr, None)) {
            self.begin_swap(now, partner, out);
        }
    }

    /// Probes find differences, and a swap follows at once: what remains are clocks to compare.
    pub(super) fn swap_period(&self) -> Duration {
        match self.config.liveness() {
            Liveness::Beats | Liveness::Off => self.config.cycle(),
            Liveness::Probes => self.config.cycle() * 10,
        }
    }

    /// Each other member in turn, in random order; those that are silent, and those with whom it
    /// was in vain of late, are passed over.
    pub(super) fn next_partner(&mut self, now: Instant) -> Option<NodeIx> {
        let me = self.members.me();
        if self.members.len() == 1 {
            return None;
        }
        if self.members.is_crowded() {
            return (self.believed_len() > 0).then(|| self.draw(now));
        }
        if let Some(straggler) = self.straggler() {
            return Some(straggler);
        }
        if let [awake] = self.pick_awake(now, 1)[..] {
            return Some(awake);
        }
        let mut tries = 0;
        loop {
            let ring = self.members.ring();
            let partner = ring[self.swapper.round.next(ring.len(), &mut self.rng)];
            tries += 1;
            let addr = self.members.addr(partner);
            let promises = !self.is_silent(now, partner) && !self.is_in_vain(now, addr, None);
            let settles = tries >= Self::DRAWS_MAX || promises;
            if partner != me && settles {
                return Some(partner);
            }
        }
    }

    /// Swaps with a node at once, because it is known to hold something else; what, may not be.
    pub(super) fn swap_soon(
        &mut self,
        now: Now,
        with: SocketAddr,
        theirs: Option<Holds>,
        out: &mut Outbox,
    ) {
        if self.config.swap() == Swap::On
            && !self.life.is_leaving()
            && self.may_swap_anew(now.mono)
            && !self.is_in_vain(now.mono, with, theirs)
        {
            self.begin_swap(now, with, out);
        }
    }

    /// One that is waited for only because its way may be long holds up nobody who is known to
    /// differ.
    fn may_swap_anew(&self, now: Instant) -> bool {
        self.swapper.pending.is_none_or(|pending| {
            let usual = self.rtts.patience(pending.to, &self.config) * Self::SENDS_MAX;
            now - pending.sent_at >= usual
        })
    }

    pub(super) fn begin_swap(&mut self, now: Now, to: SocketAddr, out: &mut Outbox) {
        let token = self.rng.bits() as u32;
        self.asked.note(to);
        self.swapper.pending = Some(Pending { token, to, sent_at: now.mono, sends: 0 });
        self.send_request(now, out);
    }

    fn send_request(&mut self, now: Now, out: &mut Outbox) {
        let summary = self.summary(now);
        let padding = self.padding(Packet::LEN_MIN + SwapRequest::LEN_MIN, self.usual_answer_len());
        let Some(pending) = &mut self.swapper.pending else { return };
        // Doubled with each, as in RFC 6298: over a path on which an answer takes longer than all
        // of them together no swap would ever end.
        let wait = self.rtts.patience(pending.to, &self.config) * (1 << pending.sends);
        pending.sends += 1;
        let is_last = pending.sends == Self::SENDS_MAX;
        let wait = if is_last { wait.max(self.config.cycle() / 2) } else { wait };
        let request = SwapRequest { token: pending.token, summary, padding };
        let to = pending.to;
        self.timers.set(Timer::SwapRetry, now.mono + wait);
        out.send(to, &self.packet(Body::SwapRequest(request)));
    }

    /// What makes a datagram of ours so long that one of `answer` bytes may come back, when it
    /// would have at least `least` bytes without, and is not known to be ours yet.
    pub(super) fn padding(&self, least: usize, answer: usize) -> Padding {
        let wanted = answer.div_ceil(3).saturating_sub(least + self.config.guard_len());
        Padding(u16::try_from(wanted).unwrap_or(u16::MAX))
    }

    /// The length of the answer that a partner gives who lists as many as we do: with beats it
    /// brings a vector of them.
    fn usual_answer_len(&self) -> usize {
        let detail = match self.config.liveness() {
            Liveness::Beats => <(u8, Age)>::LEN_BARE * self.members.len(),
            Liveness::Probes | Liveness::Off => u32::LEN_BARE * Self::BUCKETS_AT_FIRST,
        };
        let around = Packet::LEN_BARE + SwapAnswer::LEN_BARE + Vector::LEN_BARE;
        (around + detail + self.config.guard_len()).min(self.config.path_size())
    }

    pub(super) fn on_swap_retry(&mut self, now: Now, out: &mut Outbox) {
        let Some(pending) = self.swapper.pending else { return };
        if pending.sends == Self::SENDS_MAX {
            self.swapper.pending = None;
            return;
        }
        self.send_request(now, out);
        if pending.sends + 1 == Self::SENDS_MAX {
            // Its answer may still come over a long way; whether it lives is another question.
            self.probe_soon(now, pending.to, out);
        }
    }

    pub(super) fn on_swap_request(
        &mut self,
        now: Now,
        from: SocketAddr,
        request: &SwapRequest,
        out: &mut Outbox,
    ) {
        self.note_report(from, request.summary.holds());
        if let Some(room) = out.room(from) {
            return self.answer_in_short(now, from, request, room, out);
        }
        self.send_newer_value(from, request.summary.version, out);
        let summary = &request.summary;
        let same = self.members.digest() == summary.digest;
        let agree = planted!(CountsCompared, same, self.members.len() == summary.members as usize);
        let detail = if agree {
            let first = self.vectors(now).into_iter().next().expect("there is a first page");
            Detail::Same(first)
        } else {
            self.send_all_beats(now, from, out);
            Detail::Differ(self.buckets(self.bucket_bits(), request.token))
        };
        let (token, summary) = (request.token, self.summary(now));
        let answer = SwapAnswer { token, ask: None, summary, detail };
        out.send(from, &self.packet(Body::SwapAnswer(answer)));
        if agree {
            self.send_vectors(now, from, Pages::Rest, out);
        }
    }

    /// Answers whoever may be somewhere else than it says with what there is room for, and asks it
    /// to echo; all the rest follows the echo.
    fn answer_in_short(
        &mut self,
        now: Now,
        from: SocketAddr,
        request: &SwapRequest,
        room: usize,
        out: &mut Outbox,
    ) {
        let room = Room::of::<SwapAnswer>(room).without(<Vec<u32>>::LEN_BARE);
        let detail = if self.members.digest() == request.summary.digest {
            let nothing = Vector { digest: self.members.digest(), first: 0, beats: Vec::new() };
            Detail::Same(nothing)
        } else {
            // Fewer digests stand for more members each, and more ids come back.
            let bits = self.bucket_bits().min(room.fits::<u32>().max(1).ilog2());
            Detail::Differ(self.buckets(bits, request.token))
        };
        let (token, ask) = (request.token, Some(self.token_for(now.mono, from)));
        let answer = SwapAnswer { token, ask, summary: self.summary(now), detail };
        out.send(from, &self.packet(Body::SwapAnswer(answer)));
        // If there is room for it.
        self.send_newer_value(from, request.summary.version, out);
    }

    pub(super) fn on_swap_answer(
        &mut self,
        now: Now,
        answer: &SwapAnswer,
        via: Via,
        out: &mut Outbox,
    ) {
        let Some(pending) = self.swapper.pending.take_if(|it| it.token == answer.token) else {
            self.stats.answers_stale += 1;
            return;
        };
        let from = via.from;
        self.timers.clear(Timer::SwapRetry);
        // It has what was sent to the partner's address, wherever it answers from.
        self.confirm(now, pending.to, out);
        self.note_round_trip(pending.to, now.mono - pending.sent_at, pending.sends);
        self.note_report(from, answer.summary.holds());
        self.note_swap(now.mono, pending.to, answer.summary.holds());
        if let Some(version) = answer.summary.version {
            self.note_holder(now, pending.to, version, out);
        }
        self.hear_clock(now, pending.to, answer.summary.wall, out);
        self.echo(from, answer.ask, Some(self.held()), out);
        self.send_newer_value(from, answer.summary.version, out);
        match &answer.detail {
            Detail::Same(vector) => {
                self.on_vector(now, vector, via, out);
                self.send_vectors(now, from, Pages::All, out);
                self.on_agreement(now.mono);
            }
            Detail::Differ(buckets) => self.on_difference(now, from, buckets, answer, out),
        }
    }

    fn held(&self) -> Held {
        let version = self.metadata.as_ref().map(Metadata::version);
        Held { digest: self.members.digest(), version }
    }

    /// Sends our metadata to who holds this version.
    pub(super) fn send_newer_value(
        &self,
        to: SocketAddr,
        theirs: Option<Version>,
        out: &mut Outbox,
    ) {
        if let Some(metadata) = &self.metadata
            && theirs.is_none_or(|version| {
                planted!(NewerUnsent, version < metadata.version(), version > metadata.version())
            })
        {
            let value = self.packet(Body::Value(metadata.clone()));
            if value.len_max() <= self.config.packet_len_max() {
                out.attempt(to, &value);
            }
            let is_long = value.len_max() > self.config.path_len_max();
            if planted!(SwapUnannounced, is_long, false) {
                // Nobody acknowledges the value, and what is long may never arrive.
                out.send(to, &self.packet(Body::Announced(Announcement::of(metadata))));
            }
        }
    }

    /// Our beats by place on the ring, paged; at least one page. None where nobody beats, and while
    /// we are young and the list has just changed: the records that changed it brought theirs.
    fn vectors(&self, now: Now) -> Vec<Vector> {
        let digest = self.members.digest();
        let beats: Vec<_> = match self.config.liveness() {
            Liveness::Off | Liveness::Probes => Vec::new(),
            Liveness::Beats if self.is_young(now) && self.swapper.listed != digest => Vec::new(),
            Liveness::Beats => {
                let nodes = self.members.ring().iter();
                nodes.map(|&node| self.members.vector_beat(node, now.mono, self.step)).collect()
            }
        };
        let room = Room::of::<SwapAnswer>(self.config.path_len_max()).without(Vector::LEN_BARE);
        let page_len = room.fits::<(u8, Age)>();
        let mut pages: Vec<_> = beats
            .chunks(page_len)
            .zip((0..).step_by(page_len))
            .map(|(beats, first)| Vector { digest, first, beats: beats.to_vec() })
            .collect();
        if pages.is_empty() {
            pages.push(Vector { digest, first: 0, beats: Vec::new() });
        }
        pages
    }

    pub(super) fn send_vectors(
        &mut self,
        now: Now,
        to: SocketAddr,
        which: Pages,
        out: &mut Outbox,
    ) {
        let pages = self.vectors(now).into_iter().skip(usize::from(which == Pages::Rest));
        for page in pages.filter(|page| !page.beats.is_empty()) {
            out.send(to, &self.packet(Body::Vector(page)));
        }
    }

    pub(super) fn on_vector(&mut self, now: Now, vector: &Vector, via: Via, out: &mut Outbox) {
        self.stats.updates += vector.beats.len() as u64;
        let foreign = vector.digest != self.members.digest();
        if planted!(VectorForeign, foreign, false) {
            self.stats.vectors_foreign += vector.beats.len() as u64;
            return;
        }
        let mut sifted = self.relay.lend_sifted();
        self.members.sift_vector(vector.first, &vector.beats, &mut sifted);
        self.take_beats(now, sifted, via, out);
    }

    /// The lists agree. When ours has changed since the last swap, both may still lack the same.
    fn on_agreement(&mut self, now: Instant) {
        let digest = self.members.digest();
        if std::mem::replace(&mut self.swapper.listed, digest) != digest {
            self.swap_again_soon(now);
        }
    }

    /// The lists differ: says what we hold in the buckets that do, and swaps again soon, for one
    /// exchange in a time of change is rarely enough.
    fn on_difference(
        &mut self,
        now: Now,
        from: SocketAddr,
        theirs: &[u32],
        answer: &SwapAnswer,
        out: &mut Outbox,
    ) {
        let bits = theirs.len().trailing_zeros();
        let ours = self.buckets(bits, answer.token);
        let differ = |bucket: &usize| ours[*bucket] != theirs[*bucket];
        let buckets: Vec<u16> = (planted!(BucketsSkipped, 0, theirs.len() / 2)..theirs.len())
            .filter(differ)
            .filter_map(|it| u16::try_from(it).ok())
            .collect();
        for page in self.ids(answer.ask, bits, &buckets) {
            out.send(from, &self.packet(Body::Ids(page)));
        }
        self.send_all_beats(now, from, out);
        self.swap_again_after_difference(now);
    }

    /// Brings the next swap forward, because more differences are likely.
    pub(super) fn swap_again_soon(&mut self, now: Instant) {
        self.swap_again_in(now, self.config.relay_delay() / 4);
    }

    pub(super) fn swap_again_in(&mut self, now: Instant, wait: Duration) {
        if self.life == Life::Running && self.config.swap() == Swap::On {
            let wait = self.jittered(wait);
            self.timers.set_earlier(Timer::Swap, now + wait);
        }
    }

    /// All our beats with their ids, for a partner whose list is not ours. Not when we have just
    /// started, as all may have: the lists differ throughout then, most beats would be of members
    /// that the partner does not know, and the records that it gets bring theirs along.
    pub(super) fn send_all_beats(&self, now: Now, to: SocketAddr, out: &mut Outbox) {
        if self.config.liveness() != Liveness::Beats || self.is_young(now) {
            return;
        }
        let nodes = self.members.ring().iter();
        let beats: Vec<_> =
            nodes.map(|&node| self.members.beat(node, now.mono, self.step)).collect();
        for packet in self.bulk_packets(beats, Vec::new()) {
            out.send(to, &packet);
        }
    }

    fn bucket_bits(&self) -> u32 {
        let buckets = (self.members.len() / Self::BUCKET_MEMBERS).max(1);
        buckets.next_power_of_two().trailing_zeros().min(BUCKET_BITS)
    }

    /// The digests of our members by bucket of the ring, folded with a salt.
    fn buckets(&mut self, bits: u32, salt: u32) -> Vec<u32> {
        self.members.bucket_sums(bits).into_iter().map(|sum| sum.fold(salt)).collect()
    }

    /// Our ids in some buckets, in as few datagrams as it takes.
    fn ids(&self, echo: Option<u32>, bits: u32, buckets: &[u16]) -> Vec<Ids> {
        let empty = Ids { echo, bits: bits as u8, buckets: Vec::new(), ids: Vec::new() };
        let mut packer = Packer::new(empty, self.config.path_len_max());
        let of_bucket_max = packer.room().without(u16::LEN_BARE).fits::<RecordId>();
        for &at in buckets {
            let mut nodes = self.members.in_bucket(bits, at.into());
            // A bucket crowded on purpose is told in part; the partner then sends too much.
            nodes = &nodes[..nodes.len().min(of_bucket_max)];
            let page = packer.page(u16::LEN_BARE + nodes.len() * RecordId::LEN_BARE);
            page.buckets.push(at);
            page.ids.extend(nodes.iter().map(|&node| self.members.id_of(node)));
        }
        packer.into_pages()
    }

    pub(super) fn on_ids(&mut self, now: Now, from: SocketAddr, ids: &Ids, out: &mut Outbox) {
        self.stats.updates += ids.ids.len() as u64;
        if ids.echo.is_some_and(|token| self.is_token_of(now.mono, from, token)) {
            self.confirm(now, from, out);
        }
        let (held, unknown) = self.resolve(&ids.ids);
        let lacked = self.lacked(ids, &held);
        let is_clear = |node: &NodeIx| unknown.binary_search(&self.members.id_of(*node)).is_err();
        let lacked = lacked.into_iter().filter(is_clear);
        let lacked = lacked.filter_map(|node| self.news_of(node, now.mono));
        let gone = held.iter().filter_map(|&node| self.members.gone(node)).map(News::from);
        let pages = self.record_pages(lacked.chain(gone));
        self.send_records(from, pages, out);
        self.send_wanted(from, unknown, out);
    }

    /// Our members in the buckets of these ids, but those of whom we hold what the ids name, which
    /// are given in order of the ring. Buckets come in order: whoever names one twice does not
    /// make us look twice.
    fn lacked(&self, ids: &Ids, held: &[NodeIx]) -> Vec<NodeIx> {
        let order = |a: NodeIx, b: NodeIx| self.members.compare_places(a, b);
        let bits = u32::from(ids.bits);
        let (mut lacked, mut next) = (Vec::new(), 0);
        for bucket in ids.buckets.iter().map(|&at| usize::from(at)).filter(|&at| at < 1 << bits) {
            if bucket < next {
                continue;
            }
            next = bucket + 1;
            let ours = self.members.in_bucket(bits, bucket);
            let Some(&first) = ours.first() else { continue };
            let behind = held.partition_point(|&node| order(node, first).is_lt());
            let mut held = held[behind..].iter().copied().peekable();
            for &node in ours {
                while held.next_if(|&held| order(held, node).is_lt()).is_some() {}
                if held.next_if_eq(&node).is_none() {
                    lacked.push(node);
                }
            }
        }
        lacked
    }

    /// The nodes that we hold something of among those with these ids, in order of the ring, and
    /// the ids that are left, in order.
    fn resolve(&self, ids: &[RecordId]) -> (Vec<NodeIx>, Vec<RecordId>) {
        let found: Vec<_> = ids.iter().map(|&id| self.members.by_id(id)).collect();
        let left = ids.iter().zip(&found).filter(|(_, found)| found.is_none());
        let mut left: Vec<_> = left.map(|(&id, _)| id).collect();
        left.sort_unstable();
        let mut held: Vec<_> = found.into_iter().flatten().collect();
        held.sort_unstable_by(|&a, &b| self.members.compare_places(a, b));
        (held, left)
    }

    fn send_wanted(&self, to: SocketAddr, ids: Vec<RecordId>, out: &mut Outbox) {
        let mut packer = Packer::new(Wanted { ids: Vec::new() }, self.config.path_len_max());
        packer.fill(ids, |page| &mut page.ids);
        for page in packer.into_pages() {
            out.send(to, &self.packet(Body::Wanted(page)));
        }
    }

    pub(super) fn on_wanted(
        &mut self,
        now: Now,
        from: SocketAddr,
        wanted: &Wanted,
        out: &mut Outbox,
    ) {
        self.stats.updates += wanted.ids.len() as u64;
        // In order of the ring, in which both our table and that of the other are walked fastest.
        let (held, _) = self.resolve(&wanted.ids);
        let news = held.into_iter().filter_map(|node| self.news_of(node, now.mono));
        let pages = self.record_pages(news);
        self.send_records(from, pages, out);
    }

    /// Packs news into as few datagrams as it takes, and one more than may be sent when there is
    /// more.
    pub(super) fn record_pages(&self, news: impl Iterator<Item = News>) -> Vec<Records> {
        let empty = Records { news: Vec::new() };
        let mut packer = Packer::new(empty, self.config.path_len_max());
        for item in news {
            packer.page(item.len_max()).news.push(item);
            if packer.len() > Self::RECORD_PACKETS_MAX {
                break;
            }
        }
        packer.into_pages()
    }

    pub(super) fn send_records(
        &mut self,
        to: SocketAddr,
        mut pages: Vec<Records>,
        out: &mut Outbox,
    ) {
        if pages.len() > Self::RECORD_PACKETS_MAX {
            self.stats.answers_cut += 1;
            pages.truncate(Self::RECORD_PACKETS_MAX);
        }
        for page in pages {
            out.send(to, &self.packet(Body::Records(page)));
        }
    }
}
