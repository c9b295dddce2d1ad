//! Contests: which of two incarnations of one address counts.

use std::cmp::Ordering;

use super::Members;
use super::roster::NodeIx;
use super::seen::{Applied, AppliedDeparture, Arrival};
use crate::core::packet::{Cause, Gone};
use crate::core::record::MemberState;

impl Members {
    /// Takes what a node answered when it was asked at its address who it is: its word decides
    /// what is contested.
    pub(crate) fn apply_answer(&mut self, heard: Arrival, sighting: &MemberState) -> Applied {
        match self.apply(heard, sighting, None) {
            Applied::Contested(node) => planted!(
                AnswerUndecided,
                self.apply_successor(heard, node, sighting),
                Applied::Contested(node)
            ),
            seen => seen,
        }
    }

    /// A copy that the held incarnation outranks, if its number is worth anything.
    pub(super) fn contest(&self, heard: Arrival, node: NodeIx, sighting: &MemberState) -> Applied {
        let is_sane = self.record(node).generation() <= heard.horizon;
        if is_sane || !self.is_fresh(heard.step, sighting.age) {
            Applied::Refused(node)
        } else {
            Applied::Contested(node)
        }
    }

    /// A tombstone of ourselves blocks us where it is held, unless our counter is higher or will be
    /// with the next beat.
    pub(super) fn apply_my_departure(&self, gone: &Gone) -> AppliedDeparture {
        let me = self.me();
        let blocks = match gone.generation.cmp(&self.record(me).generation()) {
            Ordering::Less => false,
            Ordering::Equal => gone.cause == Cause::Left || gone.counter > self.counter(me),
            Ordering::Greater => true,
        };
        if blocks { AppliedDeparture::OfMe } else { AppliedDeparture::Old }
    }
}
