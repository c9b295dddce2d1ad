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

use super::engine::{Engine, Life};
use super::io::Outbox;
use super::members::Members;
use super::newcomers::Via;
use super::packet::{Alive, News};
use super::record::Sighting;
use super::roster::NodeIx;
use super::seen::{Heard, Seen};
use crate::config::Config;
use crate::node::Generation;
use crate::time::{Instant, Now};

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
    const ASKED_MAX: usize = 256;
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

impl Members {
    /// Takes what a node answered when it was asked at its address who it is: its word decides
    /// what is contested.
    pub(crate) fn see_answer(&mut self, heard: Heard, sighting: &Sighting) -> Seen {
        match self.see(heard, sighting, None) {
            Seen::Contested(node) => planted!(
                AnswerUndecided,
                self.see_successor(heard, node, sighting),
                Seen::Contested(node)
            ),
            seen => seen,
        }
    }

    /// A copy that the held incarnation outranks, if its number is worth anything.
    pub(super) fn contest(&self, heard: Heard, node: NodeIx, sighting: &Sighting) -> Seen {
        let is_sane = self.record(node).generation() <= heard.horizon;
        if is_sane || !self.is_fresh(heard.step, sighting.age) {
            Seen::Refused(node)
        } else {
            Seen::Contested(node)
        }
    }
}

impl Engine {
    /// The largest generation that is not from the future.
    pub(super) fn horizon(&self, now: Now) -> Generation {
        let time = self.skew.cluster_time(now);
        let latest = time.saturating_add(self.config.clock_skew_max()).0;
        let most = Generation::MAX.get();
        let shown = u64::try_from(latest).map_or(Generation::MIN.get(), |latest| latest.min(most));
        Generation::new(shown).unwrap_or(Generation::MIN)
    }

    /// True for an incarnation that we don't believe before its owner answers for it.
    pub(super) fn is_claim(&self, now: Now, news: &News) -> bool {
        let News::Member(Sighting { record, .. }) = news else { return false };
        let replaces = |node| {
            self.members.is_listed(node)
                && self.members.record(node).generation() < record.generation()
        };
        record.generation() > self.horizon(now)
            && self.members.node(record.node().addr()).is_some_and(replaces)
    }

    /// Asks the node at an address which incarnation it is.
    pub(super) fn ask_owner(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        if self.life != Life::Running {
            return;
        }
        let addr = self.members.addr(node);
        match self.claims.ask(now.mono, addr, &self.config) {
            Ask::Now => self.send_last_call(now, addr, out),
            Ask::Wait => {}
            Ask::Full => self.stats.claims_over_limit += 1,
        }
    }

    /// Takes what a node says of itself when it was asked whether it lives; the node if it is news
    /// of membership. Whoever brings back what was sent to its address is its owner, from wherever
    /// it answers.
    pub(super) fn see_alive(
        &mut self,
        now: Now,
        alive: &Alive,
        via: Via,
        out: &mut Outbox,
    ) -> Option<NodeIx> {
        let Alive { token, me: sighting } = alive;
        let addr = sighting.record.node().addr();
        if !self.is_token_of(now.mono, addr, *token) {
            return self.see(now, &News::Member(sighting.clone()), via, out);
        }
        self.confirm(now, addr, out);
        self.stats.updates += 1;
        let standing = self.standing(now, &sighting.record, via)?;
        let heard = self.heard_as(now, standing, via);
        let seen = self.members.see_answer(heard, sighting);
        self.note_record(now, seen, sighting, via, out)
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
