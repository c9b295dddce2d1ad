//! Claims: incarnations whose number decides nothing, because it lies ahead of every sane clock.
//!
//! A higher generation replaces a lower one: that is how a restart shows. But a number from the
//! future may be forged, or come from a clock that was wrong for a minute, and if it were believed
//! like any other, the node could never outrank it and would be off all lists. Hence:
//!
//! - The incarnation that is heard of first counts at once, whatever its number: a node whose clock
//!   runs ahead is listed like any other, and so is one that boots in 1970.
//! - What lies more than `clock_skew_max` ahead and would replace a listed member counts once its
//!   owner has answered for it at its address.
//! - What is held and lies so far ahead gives way to whatever its owner answers at its address, be
//!   that a lower number: it keeps nobody down, neither as a member nor as a tombstone.
//!
//! So each node asks the owner itself, and its list depends on nobody's word for it. What is ahead
//! is judged by the clock of the cluster, as far as we know it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use crate::config::Config;
use crate::core::context::{Context, Life, Source};
use crate::core::detection::Detection;
use crate::core::dissemination::Dissemination;
use crate::core::members::NodeIx;
use crate::core::packet::{Alive, MembershipUpdate};
use crate::core::record::MemberState;
use crate::time::Instant;

/// Whose owners were asked lately, in order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    asked: VecDeque<(Instant, SocketAddr)>,
}

/// What to do about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Now,
    /// It was asked a moment ago.
    Wait,
    /// Too many were.
    Full,
}

impl Claims {
    /// Each address is asked a few times in a cycle at most, and so many in one timeout: whoever
    /// forges claims must not have us flood their owners.
    pub(super) const ASKED_MAX: usize = 256;
    const ASKS_PER_CYCLE: u32 = 4;

    fn ask(&mut self, now: Instant, addr: SocketAddr, config: &Config) -> Ask {
        self.forget(now, config.timeout());
        let known = self.asked.iter().position(|&(_, asked)| asked == addr);
        match known {
            Some(at) if now - self.asked[at].0 < config.cycle() / Self::ASKS_PER_CYCLE => {
                return Ask::Wait;
            }
            Some(at) => _ = self.asked.remove(at),
            None if self.asked.len() == Self::ASKED_MAX => return Ask::Full,
            None => {}
        }
        self.asked.push_back((now, addr));
        Ask::Now
    }

    fn forget(&mut self, now: Instant, timeout: Duration) {
        let is_old = |&(at, _): &(Instant, SocketAddr)| now - at >= timeout;
        while self.asked.front().is_some_and(is_old) {
            self.asked.pop_front();
        }
    }
}

impl Membership {
    /// True for an incarnation that we don't believe before its owner answers for it.
    pub(crate) fn is_claim(cx: &Context<'_>, news: &MembershipUpdate) -> bool {
        let MembershipUpdate::Member(MemberState { record, .. }) = news else { return false };
        let replaces = |node| {
            cx.members.is_listed(node) && cx.members.record(node).generation() < record.generation()
        };
        record.generation() > cx.horizon()
            && cx.members.node(record.node().addr()).is_some_and(replaces)
    }

    /// Asks the node at an address which incarnation it is.
    pub(super) fn ask_owner(&mut self, cx: &mut Context<'_>, node: NodeIx) {
        if *cx.life != Life::Running {
            return;
        }
        let addr = cx.members.addr(node);
        match self.claims.ask(cx.now.mono, addr, cx.config) {
            Ask::Now => cx.send_last_call(addr),
            Ask::Wait => {}
            Ask::Full => cx.stats.claims_over_limit += 1,
        }
    }

    /// Takes what a node says of itself when it was asked whether it lives; the node if it is news
    /// of membership. Whoever brings back what was sent to its address is its owner, from wherever
    /// it answers.
    pub(super) fn apply_alive(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        detection: &mut Detection,
        alive: &Alive,
        via: Source,
    ) -> Option<NodeIx> {
        let Alive { token, me: sighting } = alive;
        let addr = sighting.record.node().addr();
        if !cx.is_token_of(addr, *token) {
            return self.apply(
                cx,
                spread,
                detection,
                &MembershipUpdate::Member(sighting.clone()),
                via,
            );
        }
        self.confirm(cx, spread, addr);
        cx.stats.updates += 1;
        let standing = Self::standing(cx, &sighting.record, via)?;
        let heard = cx.heard_as(standing, via);
        let seen = cx.members.apply_answer(heard, sighting);
        self.note_record(cx, spread, detection, seen, sighting, via)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_asked_a_few_times_a_cycle() {
        let (config, mut claims) = (Config::default(), Claims::default());
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        let [a, b]: [SocketAddr; 2] = [([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 1).into()];
        let asks = [(0, a), (1, b), (249, a), (250, a), (251, b)];
        let asked = asks.map(|(millis, addr)| claims.ask(at(millis), addr, &config));
        assert_eq!(asked, [Ask::Now, Ask::Now, Ask::Wait, Ask::Now, Ask::Now]);
    }

    #[test]
    fn so_many_are_asked_and_no_more_until_a_timeout_has_passed() {
        let (config, mut claims) = (Config::default(), Claims::default());
        let mut ask = |seconds, number: usize| {
            let addr = ([10, 0, 0, 1], u16::try_from(number).unwrap()).into();
            claims.ask(Instant::ZERO + Duration::from_secs(seconds), addr, &config)
        };
        (1..=Claims::ASKED_MAX).for_each(|number| assert_eq!(ask(0, number), Ask::Now));
        assert_eq!(ask(4, Claims::ASKED_MAX + 1), Ask::Full);
        assert_eq!(ask(5, Claims::ASKED_MAX + 1), Ask::Now);
    }
}
