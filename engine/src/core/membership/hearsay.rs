//! Hearsay: what others say of members, ourselves among them, and what they are told in return.

use std::net::SocketAddr;

use super::Membership;
use super::identity::Outranked;
use crate::config::Liveness;
use crate::core::context::{Context, Life, Source};
use crate::core::detection::{Detection, Grounds, Relevance};
use crate::core::dissemination::Dissemination;
use crate::core::members::NodeIx;
use crate::core::packet::{Body, Delta, Gone, Suspicion};
use crate::core::record::MemberState;
use crate::node::Generation;

impl Membership {
    /// Asks a member that others speak of but whose age they do not know, as among nodes that
    /// probe nobody does.
    pub(super) fn call_stranger(
        &mut self,
        cx: &mut Context<'_>,
        detection: &mut Detection,
        addr: SocketAddr,
    ) {
        if self.mismatches.has_probers()
            && cx.config.liveness() == Liveness::Beats
            && detection.may_call(cx)
            && cx.members.node(addr).is_none()
        {
            cx.send_last_call(addr);
        }
    }

    /// Somebody found a member silent.
    pub(crate) fn on_suspicion(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        suspicion: &Suspicion,
        via: Source,
    ) -> Relevance {
        cx.stats.updates += 1;
        let Some(node) = cx.members.node(suspicion.addr) else { return Relevance::Nothing };
        if node == cx.members.me() {
            if !cx.members.is_away() {
                self.refute(cx, spread, detection, suspicion.generation, suspicion.counter, via);
            }
            return Relevance::Nothing;
        }
        if !cx.members.is_listed(node)
            || cx.members.record(node).generation() != suspicion.generation
        {
            return Relevance::Nothing;
        }
        if suspicion.counter < cx.members.counter(node) {
            // It was refuted, and the sender has not heard of it.
            detection.note_outdated(node);
            return Relevance::Nothing;
        }
        if !cx.config.liveness().asks() || *cx.life != Life::Running {
            // Not our way of judging, but it may be that of others.
            return Relevance::Known;
        }
        cx.members.raise_counter(node, suspicion.counter);
        let heed = detection.suspect(cx, node, suspicion, Grounds::Silence);
        detection.look_for_more(cx);
        heed
    }

    /// Somebody has removed a member that we list: reason enough to ask it.
    pub(super) fn on_dead_report(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        gone: &Gone,
        via: Source,
    ) {
        let Gone { addr, generation, counter, .. } = *gone;
        let Some(node) = cx.members.node(addr) else { return };
        if node == cx.members.me() {
            let is_ours = generation == cx.me.generation();
            if is_ours && self.note_removed(cx, via.from) && self.is_only_observer(via.from) {
                // It may be the sick one, and all others need not hear of it.
                self.renew(cx, spread);
                detection.note_outdated(node);
            } else if !is_ours || !cx.members.is_away() {
                planted!(
                    ObituaryUnheeded,
                    self.refute(cx, spread, detection, generation, counter, via)
                );
            }
            return;
        }
        if cx.members.record(node).generation() != generation {
            return;
        }
        let outdated = counter < cx.members.counter(node);
        cx.members.raise_counter(node, counter);
        if !cx.members.is_listed(node) || *cx.life != Life::Running {
            return;
        }
        if outdated {
            detection.note_outdated(node);
        } else {
            if !cx.members.is_suspected(node) {
                let suspicion = cx.nobodys_suspicion(node);
                detection.suspect(cx, node, &suspicion, Grounds::Removal);
                Detection::tell_suspect(cx, suspicion);
            }
            detection.note_removed_by(cx, node, via.from);
        }
    }

    /// Somebody doubts that we live.
    fn refute(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        generation: Generation,
        counter: u32,
        via: Source,
    ) {
        if *cx.life != Life::Running || generation != cx.me.generation() {
            return;
        }
        let me = cx.members.me();
        let ours = cx.members.counter(me);
        if counter > ours {
            // More than we ever said: an earlier life, or a rival.
            self.outrank(cx, spread, Outranked::ByCopy(generation));
            return;
        }
        detection.note_doubted(cx.now.mono);
        let renewed = counter == ours && self.renew(cx, spread);
        if renewed {
            cx.stats.refutations += 1;
            detection.worsen_health();
        }
        // What is newer may never have been said to all: a counter is raised in silence too. What
        // was, is a rumor that is told again anyway.
        if renewed || cx.now.mono - self.refuted_at >= cx.config.relay_delay() {
            self.refuted_at = cx.now.mono;
            spread.announce(cx, me);
        }
        if renewed || detection.may_correct(via.from) {
            detection.note_outdated(me);
        }
    }

    /// Tells a sender, once a cycle, what outranks the incarnation that it spoke of.
    pub(crate) fn answer_refused(
        &mut self,
        cx: &mut Context<'_>,
        detection: &mut Detection,
        to: SocketAddr,
        refused: &MemberState,
    ) {
        let Some(node) = Self::outranking(cx, refused) else { return };
        let Some(news) = cx.news_of(node) else { return };
        if detection.may_correct(to) {
            let records = Delta { news: vec![news] };
            cx.out.send(to, &cx.packet(Body::Delta(records)));
        }
    }

    /// The node whose record or tombstone outranks this incarnation, if one does.
    fn outranking(cx: &Context<'_>, refused: &MemberState) -> Option<NodeIx> {
        let node = cx.members.node(refused.record.node().addr())?;
        let theirs = refused.record.generation();
        let ours = cx.members.record(node).generation();
        let gone = !cx.members.is_listed(node);
        (ours > theirs || (ours == theirs && gone)).then_some(node)
    }
}
