//! Conflicts over an address, seen by a third node: two live incarnations that take turns.
//!
//! A restart raises the generation too, and a service in a crash loop raises it again and again.
//! What shows that two nodes claim one address is that the outranked incarnation lives on: that it
//! has raised its counter long after its successor was listed here. The copies of a dead one only
//! grow older.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Membership;
use super::identity::GenerationBumps;
use crate::core::context::{Context, Source};
use crate::core::io::Event;
use crate::core::members::NodeIx;
use crate::core::record::MemberState;
use crate::time::Instant;

/// The addresses of which outranked incarnations were heard of lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts {
    /// At most [`Conflicts::MAX`], who was heard of last comes last.
    contested: VecDeque<Contested>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Contested {
    addr: SocketAddr,
    /// From when on at the latest the present incarnation has been held.
    held_since: Instant,
    /// When two were last seen to live, if they were: that has been told then.
    told_until: Option<Instant>,
}

impl Conflicts {
    pub(crate) const MAX: usize = 64;

    /// Takes that a copy of an outranked incarnation says when it last raised its counter; true
    /// when that is to be told.
    fn hear(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        raised_at: Instant,
        timeout: Duration,
    ) -> bool {
        let at = self.contested.iter().position(|it| it.addr == addr);
        let fresh = Contested { addr, held_since: now, told_until: None };
        let mut it = at.and_then(|at| self.contested.remove(at)).unwrap_or(fresh);
        let is_told = it.told_until.is_some_and(|until| now < until);
        // The ways of a copy count as no age, nor does the time that it waits to be read.
        let longest = if is_told { timeout / 2 } else { timeout * 3 / 4 };
        let lives = raised_at > it.held_since + longest;
        let news = lives && !is_told;
        if lives {
            it.told_until = Some(now + timeout * GenerationBumps::RIVAL_TIMEOUTS);
        }
        if self.contested.len() == Self::MAX {
            self.contested.pop_front();
        }
        self.contested.push_back(it);
        news
    }

    /// Another incarnation is held of an address from now on.
    pub(super) fn succeeded(&mut self, now: Instant, addr: SocketAddr) {
        if let Some(it) = self.contested.iter_mut().find(|it| it.addr == addr) {
            it.held_since = now;
        }
    }

    /// We were not there: what waited to be read looks younger than it is.
    pub(crate) fn slept(&mut self, now: Instant) {
        self.contested.iter_mut().for_each(|it| it.held_since = now);
    }
}

impl Membership {
    /// A copy that is outranked by what is held of its address.
    pub(super) fn note_outranked(
        &mut self,
        cx: &mut Context<'_>,
        node: NodeIx,
        sighting: &MemberState,
        via: Source,
    ) {
        let held = cx.members.record(node);
        let raised_at = via.step.raised_at(cx.now.mono, sighting.age);
        if let Some(raised_at) = raised_at
            && cx.members.is_listed(node)
            && sighting.record.generation() < held.generation()
        {
            let (addr, timeout) = (cx.members.addr(node), cx.config.timeout());
            if self.conflicts.hear(cx.now.mono, addr, raised_at, timeout) {
                cx.stats.address_conflicts += 1;
                cx.out.event(Event::AddressConflict(Arc::clone(cx.members.record(node))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn addr() -> SocketAddr {
        ([10, 0, 0, 1], 1).into()
    }

    #[test]
    fn an_outranked_incarnation_that_beats_on_is_told_once_until_four_quiet_timeouts() {
        let mut conflicts = Conflicts::default();
        let told = [10, 13, 14, 20, 32, 51, 52, 72]
            .map(|second| conflicts.hear(at(second), addr(), at(second), TIMEOUT));
        assert_eq!(told, [false, false, true, false, false, false, false, true]);
    }

    #[test]
    fn copies_of_one_that_was_restarted_are_none_of_a_rival() {
        let mut conflicts = Conflicts::default();
        assert!(!conflicts.hear(at(10), addr(), at(9), TIMEOUT));
        // It restarted once more, and a late copy comes of the life between.
        conflicts.succeeded(at(19), addr());
        assert!(!conflicts.hear(at(20), addr(), at(18), TIMEOUT));
        conflicts.slept(at(40));
        assert!(!conflicts.hear(at(40), addr(), at(40), TIMEOUT));
    }

    #[test]
    fn so_many_addresses_are_watched_and_no_more() {
        let mut conflicts = Conflicts::default();
        for port in 1..1_000 {
            conflicts.hear(at(1), ([10, 0, 0, 1], port).into(), at(1), TIMEOUT);
        }
        assert_eq!(conflicts.contested.len(), Conflicts::MAX);
    }
}
