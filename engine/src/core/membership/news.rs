//! News of members: what a beat, a record or a departure changes here.

use std::sync::Arc;

use super::Membership;
use super::identity::Outranked;
use crate::core::beat::Age;
use crate::core::context::{Context, Effect, Source};
use crate::core::detection::{Detection, Relevance};
use crate::core::dissemination::Dissemination;
use crate::core::io::{Carrier, Event};
use crate::core::members::{
    Applied, AppliedDeparture, Found, FreshBeat, FreshNews, NodeIx, Standing,
};
use crate::core::packet::{BeatVector, Bulk, Cause, Gone, MembershipUpdate};
use crate::core::record::{MemberState, Record};

/// Room for what may be news in one packet.
#[derive(Clone, Debug, Default)]
pub(super) struct Intake {
    beats: Vec<FreshBeat>,
    news: Vec<FreshNews>,
}

impl Membership {
    pub(crate) fn on_bulk(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        bulk: &Bulk,
        via: Source,
    ) {
        cx.stats.updates += bulk.beats.len() as u64;
        let mut sifted = std::mem::take(&mut self.intake.beats);
        cx.members.filter_stale(&bulk.beats, &mut sifted);
        self.take_beats(cx, spread, sifted, via);
        self.take_news(cx, spread, detection, &bulk.news, via);
    }

    /// Takes a page of the beats of a list that is the same as ours.
    pub(crate) fn take_vector(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        vector: &BeatVector,
        via: Source,
    ) {
        let mut sifted = std::mem::take(&mut self.intake.beats);
        cx.members.filter_stale_vector(vector.first, &vector.beats, &mut sifted);
        self.take_beats(cx, spread, sifted, via);
    }

    /// Takes beats that may be news, and gives their room back.
    fn take_beats(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        sifted: Vec<FreshBeat>,
        via: Source,
    ) {
        let heard = cx.heard(via);
        for &FreshBeat { node, counter, age } in &sifted {
            let Some(node) = node else {
                cx.stats.beats_unknown += 1;
                continue;
            };
            match cx.members.apply_short(heard, node, counter, age) {
                Applied::Old => {}
                Applied::Advanced(node) => {
                    Detection::clear(cx, node);
                    planted!(BeatUnrelayed, spread.relay_beat(cx, node));
                }
                Applied::Unknown => cx.stats.beats_unknown += 1,
                seen => {
                    if let Some(node) = self.note(cx, spread, seen) {
                        spread.relay_news(cx, node);
                    }
                }
            }
        }
        self.intake.beats = sifted;
    }

    /// Takes membership news and has what is new in it passed on.
    pub(crate) fn take_news(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        news: &[MembershipUpdate],
        via: Source,
    ) {
        cx.stats.updates += news.len() as u64;
        let mut sifted = std::mem::take(&mut self.intake.news);
        cx.members.filter_stale_news(news, &mut sifted);
        for &FreshNews { at, found } in &sifted {
            if let Some(node) =
                self.apply_found(cx, spread, detection, &news[at as usize], found, via)
            {
                spread.relay_news(cx, node);
            }
        }
        self.intake.news = sifted;
    }

    /// Takes one piece of membership news; the node it changed something about.
    pub(crate) fn apply(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        news: &MembershipUpdate,
        via: Source,
    ) -> Option<NodeIx> {
        cx.stats.updates += 1;
        self.apply_found(cx, spread, detection, news, None, via)
    }

    /// The same, when the record may have been found already.
    fn apply_found(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        news: &MembershipUpdate,
        found: Option<Found>,
        via: Source,
    ) -> Option<NodeIx> {
        match news {
            MembershipUpdate::Member(sighting) => {
                self.apply_member(cx, spread, detection, sighting, found, via)
            }
            MembershipUpdate::Gone(gone) => self.apply_departure(cx, spread, detection, gone, via),
            MembershipUpdate::Suspected(suspicion) => {
                if self.on_suspicion(cx, spread, detection, suspicion, via) == Relevance::News {
                    spread.relay_suspicion(cx, suspicion.addr);
                }
                None
            }
        }
    }

    /// Takes a record with its newest beat; the node if it is news of membership.
    fn apply_member(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        sighting: &MemberState,
        found: Option<Found>,
        via: Source,
    ) -> Option<NodeIx> {
        let Some(standing) = Self::standing(cx, &sighting.record, via) else {
            cx.stats.newcomers_over_limit += 1;
            self.ask_turned_away(cx, sighting.record.node().addr(), via);
            return None;
        };
        let heard = cx.heard_as(standing, via);
        let seen = cx.members.apply(heard, sighting, found);
        self.note_record(cx, spread, detection, seen, sighting, via)
    }

    /// Lists an incarnation as if it had just been heard of.
    pub(crate) fn list_kept(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        record: &Arc<Record>,
    ) {
        let sighting = MemberState { record: Arc::clone(record), counter: 0, age: Age(0) };
        let (from, carrier) = (record.node().addr(), Carrier::Stream);
        let via = Source { from, carrier, step: cx.step };
        // The service vouches for it.
        let heard = cx.heard_as(Standing::Believed, via);
        let seen = cx.members.apply(heard, &sighting, None);
        self.note_record(cx, spread, detection, seen, &sighting, via);
    }

    /// Acts on what a record changed, or could not; the node if it is news of membership.
    pub(super) fn note_record(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        seen: Applied,
        sighting: &MemberState,
        via: Source,
    ) -> Option<NodeIx> {
        let addr = sighting.record.node().addr();
        match seen {
            Applied::TooOld => {
                cx.stats.records_too_old += 1;
                self.call_stranger(cx, detection, addr);
            }
            Applied::OutrankedMe => {
                let by = Outranked::ByCopy(sighting.record.generation());
                planted!(FormerLifeUnheeded, self.outrank(cx, spread, by));
            }
            Applied::Contested(node) => planted!(ClaimUnasked, self.ask_owner(cx, node)),
            Applied::Refused(node) => {
                self.note_outranked(cx, node, sighting, via);
                if addr == via.from {
                    // Else it would never learn why nobody lists it.
                    self.answer_refused(cx, detection, addr, sighting);
                }
            }
            seen => return self.note(cx, spread, seen),
        }
        None
    }

    fn apply_departure(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        gone: &Gone,
        via: Source,
    ) -> Option<NodeIx> {
        if gone.cause == Cause::Timeout && cx.config.liveness().asks() {
            self.on_dead_report(cx, spread, detection, gone, via);
        }
        match cx.members.apply_departure(cx.now.mono, gone) {
            AppliedDeparture::Old => return None,
            AppliedDeparture::Noted => {}
            AppliedDeparture::OfMe => {
                self.outrank(cx, spread, Outranked::ByTombstone(gone.generation));
                return None;
            }
            AppliedDeparture::Removed(record) => {
                cx.out.event(Event::Removed { record, cause: Cause::Left });
            }
        }
        cx.members.node(gone.addr)
    }

    /// Acts on what a copy changed; the node if it is news of membership.
    fn note(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        seen: Applied,
    ) -> Option<NodeIx> {
        match seen {
            // Only a record outranks us, or is contested, and that was seen to.
            Applied::Old | Applied::Refused(_) | Applied::OutrankedMe | Applied::Contested(_) => {
                return None;
            }
            Applied::Unknown => cx.stats.beats_unknown += 1,
            Applied::TooOld => cx.stats.records_too_old += 1,
            Applied::Full => self.on_list_full(cx),
            Applied::Advanced(node) => {
                // That a suspect lives is news; else it is an ordinary beat.
                if Detection::clear(cx, node) {
                    return Some(node);
                }
                spread.relay_beat(cx, node);
            }
            Applied::Listed(node) => {
                self.note_room();
                self.conflicts.succeeded(cx.now.mono, cx.members.addr(node));
                self.note_incarnation(cx, spread, node, None);
                return Some(node);
            }
            Applied::Enriched(node, old) => {
                let new = Arc::clone(cx.members.record(node));
                cx.out.event(Event::Updated { old, new });
                return Some(node);
            }
            Applied::Updated(node, old) => {
                self.conflicts.succeeded(cx.now.mono, cx.members.addr(node));
                self.note_incarnation(cx, spread, node, Some(&old));
                return Some(node);
            }
        }
        None
    }

    /// An incarnation is listed that was not, perhaps in place of another.
    fn note_incarnation(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        node: NodeIx,
        old: Option<&Arc<Record>>,
    ) {
        Detection::watch(cx, node);
        let record = Arc::clone(cx.members.record(node));
        cx.effects.push_back(Effect::Listed(record.node().addr()));
        cx.out.event(match old {
            None => Event::Joined(record),
            Some(old) => Event::Updated { old: Arc::clone(old), new: record },
        });
        self.examine_name(cx, node, old.map(AsRef::as_ref));
        spread.tell_newly_listed(cx, node);
    }
}
