//! Whom nodes list, and take off their lists, as their events tell it.

use std::sync::Arc;

use rumormill::core::{Cause, Record};
use rumormill::time::Instant;

use super::Observer;
use crate::observe::cast::IncarnationNo;
use crate::observe::members::Listing;
use crate::observe::removals::{self, Reason};
use crate::observe::rumors::Way;
use crate::observe::truth::State;
use crate::scenario::plan::NodeNo;

impl Observer {
    pub(super) fn on_listed(&mut self, at: Instant, node: NodeNo, record: &Record, way: Way) {
        let addr = record.node().addr();
        let Some(incarnation) = self.cast.find(addr, record.generation()) else {
            if !self.cast.may_be_forged(addr) {
                self.laws.list_stranger(at, node, &format!("{record:?}"));
            }
            return;
        };
        self.laws.list(at, node, incarnation);
        self.says.list(node, record);
        if !self.cast.is_alone(incarnation) {
            let cast = Arc::clone(&self.cast);
            let others = cast.same_addr(incarnation).iter().filter(|&&it| it != incarnation);
            others.for_each(|&other| self.unlist(at, node, other));
        }
        self.relist(node, incarnation);
        self.bystanders.list(at, node, incarnation);
        if let State::Live(own) | State::Stopped(own) = self.truth.state(node) {
            self.settling.hear(own, incarnation);
        }
        self.rumors.list(at, node, (incarnation, record.generation()), way);
    }

    pub(super) fn on_removed(
        &mut self,
        at: Instant,
        node: NodeNo,
        record: &Record,
        cause: Cause,
        way: Way,
    ) {
        let part = self.cast.find(record.node().addr(), record.generation());
        let Some(incarnation) = part else { return };
        // A packet may have woken the engine, but nobody told it to lose patience.
        let way = if cause == Cause::Timeout { Way::Source } else { way };
        match cause {
            // It is no goodbye of that life: a lie, or of one whose number it forgot.
            Cause::Left if self.is_belied(at, incarnation, record) => {}
            Cause::Left => {
                self.laws.heard_goodbye(at, node, (incarnation, record.generation()));
            }
            Cause::Timeout => {
                self.laws.time_out(at, node, incarnation);
                self.judge_removal(at, node, incarnation, Reason::Silence);
                let about = (self.cast.node_of(incarnation), incarnation);
                self.bystanders.remove(at, node, about);
            }
            cause => unreachable!("no law judges a removal by {cause}"),
        }
        self.unlist(at, node, incarnation);
        self.rumors.unlist(at, node, incarnation, way);
    }

    /// A node took another off its list before any timeout, because it did not answer and
    /// another node has its name.
    pub(super) fn on_replaced(&mut self, at: Instant, node: NodeNo, old: &Record) {
        let part = self.cast.find(old.node().addr(), old.generation());
        let Some(incarnation) = part else { return };
        self.judge_removal(at, node, incarnation, Reason::Name);
        self.unlist(at, node, incarnation);
        self.rumors.unlist(at, node, incarnation, Way::Source);
    }

    fn judge_removal(
        &mut self,
        at: Instant,
        node: NodeNo,
        incarnation: IncarnationNo,
        reason: Reason,
    ) {
        let about = (self.cast.node_of(incarnation), incarnation);
        let timeout = self.cast.config(node).timeout();
        let verdict = removals::judge(&self.truth, at, timeout, node, about);
        removals::count(&mut self.removals, reason, verdict);
        self.laws.remove(at, node, incarnation, verdict);
        // A stopped node that hears of nobody any more is alone with its opinion.
        if self.truth.live(node).is_some() {
            let views = &self.views;
            let lists = |other| views.lists(other, incarnation);
            self.rumors.removal(at, incarnation, lists);
        }
    }

    pub(super) fn relist(&mut self, node: NodeNo, incarnation: IncarnationNo) {
        if self.views.list(&self.truth, node, incarnation) == Listing::Changed {
            self.detections.listed(node, incarnation);
        }
    }

    pub(super) fn unlist(&mut self, at: Instant, node: NodeNo, incarnation: IncarnationNo) {
        if self.views.unlist(&self.truth, node, incarnation) == Listing::Changed {
            self.detections.unlisted(at, node, incarnation);
        }
    }
}
