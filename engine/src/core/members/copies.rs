//! Copies: what a beat or a record that came by some way changes here.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Members;
use super::ids::Found;
use super::roster::{NodeIx, RecordIx};
use super::row::State;
use super::seen::{Applied, Arrival};
use crate::config::Liveness;
use crate::core::beat::{Age, COUNTER_MAX, widen};
use crate::core::packet::Cause;
use crate::core::record::{MemberState, Record};

impl Members {
    /// Takes a counter modulo 256 and an age.
    pub(crate) fn apply_short(
        &mut self,
        heard: Arrival,
        node: NodeIx,
        counter: u8,
        age: Age,
    ) -> Applied {
        let row = self.row(node);
        let counter = widen(row.counter, counter);
        if counter <= row.counter || node == self.me {
            return Applied::Old;
        }
        let silence = heard.now - row.raised_at();
        if row.state() != State::Listed && silence > self.limits.short_counter {
            return Applied::Unknown;
        }
        // Of a list that was kept no counter is known.
        let too_many = counter - row.counter > self.limits.beats_in(silence);
        if row.counter > 0 && planted!(BeatFromAhead, too_many, false) {
            // A stream may bring one that is older than half of the scale, as if it were ahead.
            return Applied::Unknown;
        }
        self.apply_counter(heard, node, counter, age)
    }

    /// Takes a record with its newest beat. Who has found the record already says where.
    pub(crate) fn apply(
        &mut self,
        heard: Arrival,
        sighting: &MemberState,
        found: Option<Found>,
    ) -> Applied {
        let MemberState { record, counter, age } = sighting;
        let counter = (*counter).min(COUNTER_MAX);
        let found = found.or_else(|| self.interner.find(record));
        let node = match found {
            Some((_, node)) => self.holds(node).then_some(node),
            None => self.node(record.node().addr()),
        };
        let Some(node) = node else { return self.apply_stranger(heard, sighting, found) };
        let (row, me) = (self.row(node), node == self.me);
        let order = match found {
            // The very record that is held.
            Some((ix, _)) if ix == row.record => Ordering::Equal,
            _ => record.generation().cmp(&self.record(node).generation()),
        };
        match order {
            Ordering::Less if me => Applied::Old,
            Ordering::Less => self.contest(heard, node, sighting),
            // Nobody but ourselves raises our counter or says who we are, unless it is a rival.
            Ordering::Equal if me && counter > row.counter => Applied::OutrankedMe,
            Ordering::Equal if me && !record.is_copy_of(self.record(node)) => Applied::OutrankedMe,
            Ordering::Equal if me => Applied::Old,
            Ordering::Equal => match self.apply_counter(heard, node, counter, *age) {
                Applied::Refused(node) => self.contest(heard, node, sighting),
                seen => self.enrich(node, record, seen),
            },
            Ordering::Greater if me => Applied::OutrankedMe,
            Ordering::Greater
                if record.generation() > heard.horizon
                    && self.is_listed(node)
                    && self.limits.fresh(heard.step, *age) =>
            {
                Applied::Contested(node)
            }
            Ordering::Greater => self.apply_successor(heard, node, sighting),
        }
    }

    /// A copy of the incarnation that is held of another.
    fn apply_counter(&mut self, heard: Arrival, node: NodeIx, counter: u32, age: Age) -> Applied {
        let raised_at = heard.step.raised_at(heard.now, age);
        let row = self.row(node);
        let state = row.state();
        if planted!(LeaverRelisted, state == State::Gone(Cause::Left), false) {
            return Applied::Refused(node);
        }
        if planted!(TombstoneOutranked, counter <= row.counter, counter < row.counter) {
            return if state == State::Listed { Applied::Old } else { Applied::Refused(node) };
        }
        let raised_at = match (raised_at, self.limits.liveness) {
            (Some(raised_at), _) => raised_at,
            (None, Liveness::Beats) => return Applied::TooOld,
            (None, _) => self.limits.long_ago(heard.now),
        };
        let raised_at = row.raised_at().max(raised_at);
        if state == State::Listed {
            let row = self.row_mut(node);
            row.counter = counter;
            row.set_raised_at(raised_at);
            self.note_voucher(node, heard.standing);
            return Applied::Advanced(node);
        }
        if !self.limits.fresh(heard.step, age) {
            return Applied::TooOld;
        }
        let record = row.record;
        if self.is_full() {
            return Applied::Full;
        }
        self.list(node, record, heard.standing, counter, raised_at);
        Applied::Listed(node)
    }

    /// Holds a copy that says more than ours of the same incarnation, whatever else it brought.
    fn enrich(&mut self, node: NodeIx, copy: &Arc<Record>, seen: Applied) -> Applied {
        if !self.is_listed(node) || !copy.outranks_copy(self.record(node)) {
            return seen;
        }
        let before = self.row(node).record;
        let old = Arc::clone(self.interner.record(before));
        let (record, _) = self.interner.intern(copy);
        self.table.own(&self.interner).replace_record(node, record, &self.interner);
        self.interner.release(before);
        match seen {
            Applied::Listed(node) => Applied::Listed(node),
            _ => Applied::Enriched(node, old),
        }
    }

    /// An incarnation that replaces the one held of its address.
    pub(super) fn apply_successor(
        &mut self,
        heard: Arrival,
        node: NodeIx,
        sighting: &MemberState,
    ) -> Applied {
        let listed = self.is_listed(node);
        if !self.limits.fresh(heard.step, sighting.age) {
            return Applied::TooOld;
        }
        if !listed && self.is_full() {
            return Applied::Full;
        }
        let (record, _) = self.interner.intern(&sighting.record);
        if listed {
            self.unlist(node);
        }
        let before = self.row(node).record;
        let old = Arc::clone(self.interner.record(before));
        if record != before {
            self.interner.release(before);
        }
        self.list_heard(heard, node, record, sighting);
        if listed { Applied::Updated(node, old) } else { Applied::Listed(node) }
    }

    /// An address of which nothing is held.
    fn apply_stranger(
        &mut self,
        heard: Arrival,
        sighting: &MemberState,
        found: Option<Found>,
    ) -> Applied {
        if !self.limits.fresh(heard.step, sighting.age) {
            return Applied::TooOld;
        }
        if self.is_full() {
            return Applied::Full;
        }
        let (record, node) = found.unwrap_or_else(|| self.interner.intern(&sighting.record));
        self.list_heard(heard, node, record, sighting);
        Applied::Listed(node)
    }

    fn list_heard(
        &mut self,
        heard: Arrival,
        node: NodeIx,
        record: RecordIx,
        sighting: &MemberState,
    ) {
        let raised_at = heard.step.raised_at(heard.now, sighting.age);
        let raised_at = raised_at.unwrap_or_else(|| self.limits.long_ago(heard.now));
        self.list(node, record, heard.standing, sighting.counter.min(COUNTER_MAX), raised_at);
    }
}
