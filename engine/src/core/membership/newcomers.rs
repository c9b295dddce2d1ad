//! Newcomers: members that nobody has met yet, which may have been invented.
//!
//! Without a secret anybody can tell us of a million nodes that don't exist, or that all live at
//! a victim's address. So a member that has not echoed a token of ours (`routes.rs`) is listed and
//! shown like any other, but there is a limit on such members, in all and for each who introduces
//! them; nothing is sent to them in bulk, neither swap nor rumor reaches them once they are the
//! majority, and nobody is told of one for whom no member has vouched. A few are asked each cycle.
//! What others say of a member confirms nothing, however many they are, for they may all
//! be one.
//!
//! A node that has just started believes everybody for one timeout, for it knows nobody yet; what
//! may go to an address is limited all the same. With a secret, where only nodes of our own can
//! speak, everybody is believed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use crate::allowance::Allowance;
use crate::core::context::{Context, Life, Source, keep_last, keep_once};
use crate::core::members::Standing;
use crate::core::packet::Reply;
use crate::core::record::Record;
use crate::time::Instant;

/// Who is not a member like the others yet: those who joined here, and newcomers that are asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests {
    /// Who joined here and is announced once it has echoed.
    unannounced: VecDeque<SocketAddr>,
    /// Newcomers that were asked lately.
    asked: VecDeque<SocketAddr>,
    /// Those that are announced unmet, in each timeout.
    credit: Allowance,
    /// Those that were asked because there was no room for them, in each cycle.
    turned_away: Allowance,
}

impl Guests {
    /// Joins that wait for an echo, which takes a round trip: an autoscaler's burst.
    const UNANNOUNCED_MAX: usize = 256;
    /// Joins of strangers that are announced in each timeout before they have echoed, so that few
    /// who come pay no round trip, and a flood is not passed on.
    const CREDIT: usize = 64;
    /// Newcomers that are asked in two cycles.
    pub(super) const ASKED_MAX: usize = 16;

    /// Has a node announced once it has echoed.
    pub(super) fn hold_back(&mut self, addr: SocketAddr) {
        keep_once(&mut self.unannounced, addr, Self::UNANNOUNCED_MAX);
    }

    /// True when one more stranger may be announced before it has echoed.
    pub(super) fn takes_credit(&mut self, now: Instant, timeout: Duration) -> bool {
        self.credit.take(now, timeout, Self::CREDIT)
    }

    /// Newcomers that were asked lately.
    pub(crate) fn asked(&self) -> &VecDeque<SocketAddr> {
        &self.asked
    }

    fn note_asked(&mut self, addr: SocketAddr) {
        keep_last(&mut self.asked, addr, Self::ASKED_MAX);
    }

    pub(super) fn take_unannounced(&mut self, addr: SocketAddr) -> bool {
        let at = self.unannounced.iter().position(|&other| other == addr);
        at.and_then(|at| self.unannounced.remove(at)).is_some()
    }
}

impl Membership {
    /// Newcomers of one introducer whom we did not ask.
    const UNASKED_MAX: usize = 256;
    /// Newcomers asked each cycle whether they exist.
    const ASKED_PER_CYCLE_MAX: usize = 8;

    /// What a member would be that is heard of by this way and was unknown; `None` when there
    /// are too many such already.
    pub(crate) fn standing(cx: &Context<'_>, record: &Record, via: Source) -> Option<Standing> {
        let addr = record.node().addr();
        if cx.trusts_all() || cx.routes.has_echoed(addr) {
            return Some(Standing::Believed);
        }
        let introducer = cx.introducer(via);
        let unasked = !cx.routes.contacted().contains(&via.from);
        let over = cx.members.newcomers().len() >= cx.config.members_max() / 4
            || (unasked && cx.members.newcomers().of(introducer) >= Self::UNASKED_MAX);
        (!over || cx.members.node(addr).is_some()).then_some(Standing::Newcomer(introducer))
    }

    /// Asks one that a member speaks of and for whom there is no room: once it has answered it is
    /// no newcomer. Else those who were invented would keep out whoever comes after them.
    pub(super) fn ask_turned_away(&mut self, cx: &mut Context<'_>, addr: SocketAddr, via: Source) {
        if !cx.introducer(via).vouches() || *cx.life != Life::Running {
            return;
        }
        if self.guests.turned_away.take(cx.now.mono, cx.config.cycle(), Self::ASKED_PER_CYCLE_MAX) {
            cx.send_last_call(addr);
        }
    }

    /// Asks a few newcomers whether they exist, beginning at a random one.
    pub(crate) fn ask_newcomers(&mut self, cx: &mut Context<'_>) {
        if cx.members.newcomers().len() == 0 || *cx.life != Life::Running {
            return;
        }
        let ring = cx.members.ring();
        let first = cx.rng.below(ring.len());
        let around = ring[first..].iter().chain(&ring[..first]).copied();
        let newcomers = around.filter(|&node| cx.members.is_newcomer(node));
        let asked: Vec<_> = newcomers.take(Self::ASKED_PER_CYCLE_MAX).collect();
        for node in asked {
            let addr = cx.members.addr(node);
            self.guests.note_asked(addr);
            cx.send_probe(addr, cx.token_for(addr), Reply::Datagram);
        }
    }
}
