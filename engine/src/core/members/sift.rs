//! Sifting: finding what may be news in a packet, before anything is done about it.
//!
//! Most of what arrives is known already. And the rows of a large cluster are not in the
//! processor's caches: nothing in these loops waits for anything else in them, so that all that a
//! packet needs is fetched at once.

use super::Members;
use super::row::{Row, State};
use super::seen::{FreshBeat, FreshNews};
use crate::core::beat::{Age, Beat};
use crate::core::packet::MembershipUpdate;
use crate::core::record::MemberState;

impl Members {
    /// Puts into `news` what may be news among beats in bulk, which is the smaller part of them,
    /// with the nodes that hold the ids, if just one does.
    pub(crate) fn filter_stale(&mut self, beats: &[Beat], news: &mut Vec<FreshBeat>) {
        news.clear();
        if beats.is_empty() {
            return;
        }
        self.table.own(&self.interner);
        let rows = self.table.rows();
        news.resize(beats.len(), FreshBeat { node: None, counter: 0, age: Age(0) });
        let mut len = 0;
        for &Beat { id, counter, age } in beats {
            let (node, old) = match self.interner.only_by_id(id) {
                Some((record, node)) => {
                    let row = rows.get(node.index()).unwrap_or(&Row::VACANT);
                    let held = row.record == record;
                    (held.then_some(node), held & row.is_past(counter))
                }
                None => (self.by_id(id), false),
            };
            news[len] = FreshBeat { node, counter, age };
            len += usize::from(!old);
        }
        news.truncate(len);
    }

    /// The same for counters and ages by place on the ring, the first of them at `first`.
    pub(crate) fn filter_stale_vector(
        &mut self,
        first: u32,
        beats: &[(u8, Age)],
        news: &mut Vec<FreshBeat>,
    ) {
        let (ring, rows) = self.table.own(&self.interner).walk(&self.interner);
        let nodes = ring.get(first as usize..).unwrap_or_default();
        news.clear();
        for (&node, &(counter, age)) in nodes.iter().zip(beats) {
            if !rows[node.index()].is_past(counter) {
                news.push(FreshBeat { node: Some(node), counter, age });
            }
        }
    }

    /// Puts into `sifted` what may change something among membership news: all but members that are
    /// listed already, with a counter that is no less.
    pub(crate) fn filter_stale_news(&self, news: &[MembershipUpdate], sifted: &mut Vec<FreshNews>) {
        sifted.clear();
        sifted.resize(news.len(), FreshNews { at: 0, found: None });
        let mut len = 0;
        for (at, item) in (0..).zip(news) {
            let (mut found, mut old) = (None, false);
            if let MembershipUpdate::Member(MemberState { record, counter, .. }) = item {
                found = self.interner.find_shared(record);
                if let Some((ix, node)) = found {
                    let row = self.row(node);
                    let held = row.record == ix && row.state() == State::Listed;
                    old = held & (row.counter >= *counter) & (node != self.me);
                }
            }
            sifted[len] = FreshNews { at, found };
            len += usize::from(!old);
        }
        sifted.truncate(len);
    }
}
