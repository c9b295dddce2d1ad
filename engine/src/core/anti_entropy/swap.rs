//! The swap: once a cycle with one random member, find what differs and repair it.
//!
//! Three messages when both agree: request, answer, delivery; their size is constant but for the
//! vector of beats. When the lists differ, the answer brings digests by bucket of the ring
//! instead, and the ids of the differing buckets decide which records go which way. Nothing else
//! in the protocol has to be reliable.

use std::net::SocketAddr;
use std::time::Duration;

use super::AntiEntropy;
use crate::config::{Swap, WireVersion};
use crate::core::beat::Age;
use crate::core::context::{Context, Effect, Source};
use crate::core::detection::Detection;
use crate::core::dissemination::Dissemination;
use crate::core::members::NodeIx;
use crate::core::membership::Membership;
use crate::core::metadata::{Metadata, Version};
use crate::core::packer::Room;
use crate::core::packet::{
    Announcement, BeatVector, Body, Bounded, Comparison, Echo, Echoed, EntriesSummary, Held,
    Packet, StateDigest, SwapAnswer, SwapRequest,
};
use crate::core::round::Round;
use crate::core::timers::Timer;
use crate::time::Instant;

/// The swap under way, and what was learned from earlier ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Swaps {
    pending: Option<Pending>,
    round: Round,
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

impl AntiEntropy {
    const SENDS_MAX: u32 = 4;
    /// Digests of buckets that fit the answer to a request from an address that has not echoed.
    const BUCKETS_AT_FIRST: usize = 32;

    /// A token of ours has come back, and what could not go there before may go now.
    pub(crate) fn on_echo(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        membership: &mut Membership,
        echo: &Echo,
        via: Source,
    ) {
        let from = via.from;
        if !cx.is_token_of(from, echo.token) {
            cx.stats.answers_stale += 1;
            return;
        }
        membership.confirm(cx, spread, from);
        if let Some(held) = echo.swap {
            Self::send_newer_value(cx, from, held.version);
            match held.digest == cx.members.digest(cx.wire()) {
                true => self.send_vectors(cx, from, Pages::All),
                false => Self::send_all_beats(cx, from),
            }
        }
        if !cx.lists(from) {
            // There was no room for it as a newcomer, which it is no longer.
            cx.send_last_call(from);
        }
    }

    pub(crate) fn on_swap(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        let is_awaited = spread.publishers_len() > 0;
        let period = if is_awaited { cx.config.cycle() } else { Self::swap_period(cx) };
        let next = cx.jittered(period);
        planted!(SwapsEnd, cx.timers.set(Timer::Swap, cx.now.mono + next));
        let partner = self.next_partner(cx, spread).map(|partner| cx.members.addr(partner));
        if let Some(partner) = partner.filter(|&addr| !self.is_in_vain(cx, addr, None)) {
            self.begin_swap(cx, partner);
        }
    }

    /// Probes find differences, and a swap follows at once: what remains are clocks to compare.
    pub(super) fn swap_period(cx: &Context<'_>) -> Duration {
        cx.config.cycle() * if cx.config.liveness().asks() { 10 } else { 1 }
    }

    /// Each other member in turn, in random order; those that are silent, and those with whom it
    /// was in vain of late, are passed over.
    fn next_partner(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) -> Option<NodeIx> {
        let me = cx.members.me();
        if cx.members.len() == 1 {
            return None;
        }
        if cx.members.is_crowded() {
            return (cx.believed_len() > 0).then(|| cx.draw());
        }
        if let Some(straggler) = spread.straggler(cx) {
            return Some(straggler);
        }
        if let [awake] = cx.pick_awake(1)[..] {
            return Some(awake);
        }
        let mut tries = 0;
        loop {
            let ring = cx.members.ring();
            let partner = ring[self.swaps.round.next(ring.len(), cx.rng)];
            tries += 1;
            let addr = cx.members.addr(partner);
            let promises = !cx.is_silent(partner) && !self.is_in_vain(cx, addr, None);
            let settles = tries >= Context::DRAWS_MAX || promises;
            if partner != me && settles {
                return Some(partner);
            }
        }
    }

    /// Swaps with a node at once, because it is known to hold something else; what, may not be.
    pub(crate) fn swap_soon(
        &mut self,
        cx: &mut Context<'_>,
        with: SocketAddr,
        theirs: Option<StateDigest>,
    ) {
        if cx.config.swap() == Swap::On
            && !cx.life.is_leaving()
            && self.may_swap_anew(cx)
            && !self.is_in_vain(cx, with, theirs)
        {
            self.begin_swap(cx, with);
        }
    }

    /// A node has let us in.
    pub(crate) fn on_let_in(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        by: SocketAddr,
        agrees: bool,
        was_alone: bool,
    ) {
        if !agrees {
            // A seed that lets in a whole cluster would be asked for all of it by everybody.
            let random = was_alone.then(|| self.next_partner(cx, spread)).flatten();
            let partner = random.map_or(by, |node| cx.members.addr(node));
            self.swap_soon(cx, partner, None);
        }
        // Who let us in may have been new here too: agreeing with it proves little.
        cx.swap_again_soon();
    }

    /// One that is waited for only because its way may be long holds up nobody who is known to
    /// differ.
    fn may_swap_anew(&self, cx: &Context<'_>) -> bool {
        self.swaps.pending.is_none_or(|pending| {
            let usual = cx.rtts.rto(pending.to, cx.config) * Self::SENDS_MAX;
            cx.now.mono - pending.sent_at >= usual
        })
    }

    pub(crate) fn begin_swap(&mut self, cx: &mut Context<'_>, to: SocketAddr) {
        let token = (cx.rng.bits() as u32).first();
        cx.routes.note_contact(to);
        self.swaps.pending = Some(Pending { token, to, sent_at: cx.now.mono, sends: 0 });
        self.send_request(cx);
    }

    fn send_request(&mut self, cx: &mut Context<'_>) {
        let padding =
            cx.padding(Packet::LEN_MIN + SwapRequest::LEN_MIN, Self::usual_answer_len(cx));
        let Some(pending) = &mut self.swaps.pending else { return };
        // Doubled with each, as in RFC 6298: over a path on which an answer takes longer than all
        // of them together no swap would ever end.
        let wait = cx.rtts.rto(pending.to, cx.config) * (1 << pending.sends);
        let token = if pending.sends == 0 { pending.token } else { pending.token.repeated() };
        pending.sends += 1;
        let is_last = pending.sends == Self::SENDS_MAX;
        let wait = if is_last { wait.max(Self::last_wait(cx)) } else { wait };
        let to = pending.to;
        cx.timers.set(Timer::SwapRetry, cx.now.mono + wait);
        let versions = cx.opening_versions(to);
        cx.send_opening(to, versions, |cx, wire| {
            Body::SwapRequest(SwapRequest { token, summary: cx.summary(wire), padding })
        });
    }

    /// How long the last request may take: where nodes ask, so long that one that reads everything
    /// late, and removes whom others have removed, hears of it.
    fn last_wait(cx: &Context<'_>) -> Duration {
        match cx.config.liveness().asks() {
            true => cx.called_after(),
            false => cx.config.cycle() / 2,
        }
    }

    /// The length of the answer that a partner gives who lists as many as we do: with beats it
    /// brings a vector of them.
    fn usual_answer_len(cx: &Context<'_>) -> usize {
        let detail = match cx.beats() {
            true => <(u8, Age)>::LEN_BARE * cx.members.len(),
            false => u32::LEN_BARE * Self::BUCKETS_AT_FIRST,
        };
        let around = Packet::LEN_BARE + SwapAnswer::LEN_BARE + BeatVector::LEN_BARE;
        (around + detail + cx.config.guard_len()).min(cx.config.path_size())
    }

    pub(crate) fn on_swap_retry(&mut self, cx: &mut Context<'_>, detection: &mut Detection) {
        let Some(pending) = self.swaps.pending else { return };
        if pending.sends == Self::SENDS_MAX {
            self.swaps.pending = None;
            return;
        }
        self.send_request(cx);
        if pending.sends + 1 == Self::SENDS_MAX {
            // Its answer may still come over a long way; whether it lives is another question.
            detection.probe_soon(cx, pending.to);
        }
    }

    pub(crate) fn on_swap_request(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        request: &SwapRequest,
    ) {
        if cx.is_older_copy(from) {
            cx.stats.openings_repeated += 1;
            return;
        }
        cx.note_report(from, request.summary.holds());
        if let Some(room) = cx.out.room(from) {
            return Self::answer_in_short(cx, from, request, room);
        }
        Self::send_newer_value(cx, from, request.summary.version);
        let summary = &request.summary;
        let same = cx.members.digest(cx.wire()) == summary.digest;
        let agree = planted!(CountsCompared, same, cx.members.len() == summary.members as usize);
        let detail = if agree {
            let first = self.vectors(cx).into_iter().next().expect("there is a first page");
            Comparison::InSync(first)
        } else {
            Self::send_all_beats(cx, from);
            Comparison::BucketDigests(Self::buckets(cx, Self::bucket_bits(cx), request.token))
        };
        let (token, summary) = (request.token, cx.summary(cx.wire()));
        let answer = SwapAnswer { token, ask: None, summary, detail };
        cx.out.send(from, &cx.packet(Body::SwapAnswer(answer)));
        if agree {
            self.send_vectors(cx, from, Pages::Rest);
        }
    }

    /// Answers whoever may be somewhere else than it says with what there is room for, and asks it
    /// to echo; all the rest follows the echo.
    fn answer_in_short(cx: &mut Context<'_>, from: SocketAddr, request: &SwapRequest, room: usize) {
        let room = Room::of::<SwapAnswer>(room).without(<Vec<u32>>::LEN_BARE);
        let detail = if cx.members.digest(cx.wire()) == request.summary.digest {
            let nothing =
                BeatVector { digest: cx.members.digest(cx.wire()), first: 0, beats: Vec::new() };
            Comparison::InSync(nothing)
        } else {
            // Fewer digests stand for more members each, and more ids come back.
            let bits = Self::bucket_bits(cx).min(room.fits::<u32>().max(1).ilog2());
            Comparison::BucketDigests(Self::buckets(cx, bits, request.token))
        };
        let (token, ask) = (request.token, Some(cx.token_for(from)));
        let answer = SwapAnswer { token, ask, summary: cx.summary(cx.wire()), detail };
        cx.out.send(from, &cx.packet(Body::SwapAnswer(answer)));
        // If there is room for it.
        Self::send_newer_value(cx, from, request.summary.version);
    }

    pub(crate) fn on_swap_answer(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        membership: &mut Membership,
        answer: &SwapAnswer,
        via: Source,
    ) {
        let answers = |pending: &mut Pending| pending.token == answer.token.first();
        let Some(pending) = self.swaps.pending.take_if(answers) else {
            cx.stats.answers_stale += 1;
            return;
        };
        let from = via.from;
        cx.timers.clear(Timer::SwapRetry);
        // It has what was sent to the partner's address, wherever it answers from.
        membership.confirm(cx, spread, pending.to);
        cx.note_round_trip(pending.to, cx.now.mono - pending.sent_at, answer.token);
        cx.note_report(from, answer.summary.holds());
        self.note_swap(cx, pending.to, answer.summary.holds());
        if let Some(version) = answer.summary.version {
            spread.note_holder(cx, pending.to, version);
        }
        cx.hear_clock(pending.to, answer.summary.wall);
        cx.echo(from, answer.ask, Some(Self::held(cx)));
        Self::send_newer_value(cx, from, answer.summary.version);
        Self::compare_entries(cx, spread, (from, pending.to), answer.summary.entries);
        match &answer.detail {
            Comparison::InSync(vector) => {
                Self::on_vector(cx, spread, membership, vector, via);
                self.send_vectors(cx, from, Pages::All);
                self.on_agreement(cx);
            }
            Comparison::BucketDigests(buckets) => self.on_difference(cx, from, buckets, answer),
        }
    }

    /// Notes that a partner holds the same entries, or has them compared, if it can say so.
    fn compare_entries(
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        (with, asked): (SocketAddr, SocketAddr),
        theirs: EntriesSummary,
    ) {
        if cx.wire() == WireVersion::One {
            return;
        }
        let ours = cx.entries_summary();
        if ours.held != theirs.held {
            planted!(EntriesUncompared, cx.effects.push_back(Effect::EntriesDiffer(with)));
            return;
        }
        spread.note_same_entries(cx, asked);
        if ours.covered != theirs.covered {
            cx.effects.push_back(Effect::CoverageDiffers(with));
        }
    }

    fn held(cx: &Context<'_>) -> Held {
        let version = cx.metadata.as_ref().map(Metadata::version);
        Held { digest: cx.members.digest(cx.wire()), version }
    }

    /// Sends our metadata to who holds this version.
    fn send_newer_value(cx: &mut Context<'_>, to: SocketAddr, theirs: Option<Version>) {
        if let Some(metadata) = &*cx.metadata
            && theirs.is_none_or(|version| {
                planted!(NewerUnsent, version < metadata.version(), version > metadata.version())
            })
        {
            let value = cx.packet(Body::Value(metadata.clone()));
            if value.len_max() <= cx.config.packet_len_max() {
                cx.out.attempt(to, &value);
            }
            let is_long = value.len_max() > cx.config.path_len_max();
            if planted!(SwapUnannounced, is_long, false) {
                // Nobody acknowledges the value, and what is long may never arrive.
                cx.out.send(to, &cx.packet(Body::Announced(Announcement::of(metadata))));
            }
        }
    }

    /// The lists agree. When ours has changed since the last swap, both may still lack the same.
    fn on_agreement(&mut self, cx: &mut Context<'_>) {
        let digest = cx.members.digest(WireVersion::LATEST);
        if std::mem::replace(&mut self.listed, digest) != digest {
            cx.swap_again_soon();
        }
    }
}
