//! Return routability: how much may go to an address, and whether somebody is there.
//!
//! Without a secret anybody can send us a packet with anybody's address on it. So two things are
//! asked of an address, and one answers both: it echoes a token that was sent to it.
//!
//! - *May so much go there?* Before it has echoed, at most three times the bytes that came from it
//!   go back by datagram (the rule of QUIC, RFC 9000, section 8), whatever it asks for: else a
//!   few bytes with a victim's address on them would bring the victim a whole node list. What a
//!   node says first is padded so that the usual answer fits, and what does not fit is sent once
//!   it has echoed ([`Echo`]). A stream needs no echo, for its handshake is one.
//! - *Is there a node?* Members that only others speak of, or that speak for themselves and have
//!   not echoed, may be invented: `newcomers.rs` says what they are kept from.
//!
//! Tokens are made of the address, the time and a key of our own, so that nothing is remembered
//! of those who were asked: a flood of strangers takes no room. With a secret, a packet that opens
//! is proof enough of both.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::engine::Engine;
use super::io::{Carrier, Outbox};
use super::newcomers::Via;
use super::packet::{Body, Echo, Held};
use super::roster::NodeIx;
use super::swap::Pages;
use crate::allowance::Allowance;
use crate::node::NodeId;
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// What we know of addresses, beside what the list of members says of theirs.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    /// What our tokens are made of.
    key: [u64; 2],
    /// Who echoed and is not held as a member: behind a translation of addresses, or not listed
    /// yet. The last one comes last.
    echoed: VecDeque<SocketAddr>,
    /// Who joined here and is announced once it has echoed.
    unannounced: VecDeque<SocketAddr>,
    /// Newcomers that were asked lately.
    asked: VecDeque<SocketAddr>,
    /// Those that are announced unmet, in each timeout.
    credit: Allowance,
}

impl Routes {
    /// So many times the bytes that came from an address may go back there.
    const RATIO: usize = 3;
    /// More would hardly be in the middle of something with us.
    const ECHOED_MAX: usize = 256;
    /// Joins that wait for an echo, which takes a round trip: an autoscaler's burst.
    const UNANNOUNCED_MAX: usize = 256;
    /// Joins of strangers that are announced in each timeout before they have echoed, so that few
    /// who come pay no round trip, and a flood is not passed on.
    const CREDIT: usize = 64;
    /// Newcomers that are asked in two cycles.
    const ASKED_MAX: usize = 16;
    /// So many timeouts a token is good for, and once more as long.
    const TOKEN_TIMEOUTS: u32 = 4;

    pub(super) fn new(seed: u64, me: NodeId) -> Self {
        let key = ["tokens, low", "tokens, high"].map(|part| Rng::word(seed, part, me.0));
        let [echoed, unannounced, asked] = Default::default();
        Self { key, echoed, unannounced, asked, credit: Allowance::default() }
    }

    /// What a node at this place gets to echo in this epoch. It is the same for some time, so that
    /// an answer to any of several questions will do: who stood still reads the oldest first. It
    /// must not be guessed from those for other places, so it is a hash under a key.
    fn token(&self, place: NodeId, epoch: u64) -> u32 {
        let mut hasher = Sha256::new();
        for word in [self.key[0], self.key[1], place.0, epoch] {
            hasher.update(word.to_le_bytes());
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(hasher.finalize());
        u32::from_le_bytes([a, b, c, d])
    }

    fn note_echo(&mut self, addr: SocketAddr) {
        keep_once(&mut self.echoed, addr, Self::ECHOED_MAX);
    }

    /// True for an address of no member that has echoed lately.
    pub(super) fn has_echoed(&self, addr: SocketAddr) -> bool {
        !self.echoed.is_empty() && self.echoed.contains(&addr)
    }

    /// Has a node announced once it has echoed.
    fn hold_back(&mut self, addr: SocketAddr) {
        keep_once(&mut self.unannounced, addr, Self::UNANNOUNCED_MAX);
    }

    /// True when one more stranger may be announced before it has echoed.
    fn takes_credit(&mut self, now: Instant, timeout: Duration) -> bool {
        self.credit.take(now, timeout, Self::CREDIT)
    }

    pub(super) fn note_asked(&mut self, addr: SocketAddr) {
        keep_last(&mut self.asked, addr, Self::ASKED_MAX);
    }

    fn take_unannounced(&mut self, addr: SocketAddr) -> bool {
        let at = self.unannounced.iter().position(|&other| other == addr);
        at.and_then(|at| self.unannounced.remove(at)).is_some()
    }
}

/// Adds an address that is not there yet.
pub(super) fn keep_once(addrs: &mut VecDeque<SocketAddr>, addr: SocketAddr, max: usize) {
    if !addrs.contains(&addr) {
        keep_last(addrs, addr, max);
    }
}

fn keep_last(addrs: &mut VecDeque<SocketAddr>, addr: SocketAddr, max: usize) {
    if addrs.len() == max {
        addrs.pop_front();
    }
    addrs.push_back(addr);
}

/// Where no node is, but one for each address.
fn errand_place(addr: SocketAddr) -> NodeId {
    NodeId(!NodeId::of(addr).0)
}

impl Engine {
    fn token_epoch(&self, now: Instant) -> u64 {
        let epoch = self.config.timeout() * Routes::TOKEN_TIMEOUTS;
        now.as_nanos() / crate::time::nanos(epoch)
    }

    /// What whoever is at this address gets to echo.
    pub(super) fn token_for(&self, now: Instant, addr: SocketAddr) -> u32 {
        self.routes.token(NodeId::of(addr), self.token_epoch(now))
    }

    /// True for a token that we sent to this address, now or some timeouts ago.
    pub(super) fn is_token_of(&self, now: Instant, addr: SocketAddr, token: u32) -> bool {
        let (place, epoch) = (NodeId::of(addr), self.token_epoch(now));
        let epochs = [epoch, epoch.saturating_sub(1)];
        epochs.into_iter().any(|epoch| self.routes.token(place, epoch) == token)
    }

    /// What a member gets to echo that is probed for another: that the answer to such a probe is
    /// not taken for one to ours, which may have been sent later.
    pub(super) fn errand_token(&self, now: Instant, addr: SocketAddr) -> u32 {
        self.routes.token(errand_place(addr), self.token_epoch(now))
    }

    /// True for a token that we sent to this address for another, now or some timeouts ago.
    pub(super) fn is_errand_token_of(&self, now: Instant, addr: SocketAddr, token: u32) -> bool {
        let epoch = self.token_epoch(now);
        let mut epochs = [epoch, epoch.saturating_sub(1)].into_iter();
        epochs.any(|epoch| self.routes.token(errand_place(addr), epoch) == token)
    }

    /// The one of the newcomers we asked that a token was sent to, when somebody who answers from
    /// this address brings it back.
    pub(super) fn asked_with(
        &self,
        now: Instant,
        from: SocketAddr,
        token: u32,
    ) -> Option<SocketAddr> {
        self.sent_to(now, token, from, &self.routes.asked)
    }

    /// The address that a token was sent to, that of the sender or one of others: behind a
    /// translation of addresses who was asked answers from elsewhere.
    pub(super) fn sent_to(
        &self,
        now: Instant,
        token: u32,
        from: SocketAddr,
        others: &VecDeque<SocketAddr>,
    ) -> Option<SocketAddr> {
        let mut addrs = [from].into_iter().chain(others.iter().copied());
        addrs.find(|&addr| self.is_token_of(now, addr, token))
    }

    /// Limits what goes back to the sender of a packet, unless it is known to be there.
    pub(super) fn limit_answers(&self, from: SocketAddr, carrier: Carrier, out: &mut Outbox) {
        if let Carrier::Datagram(len) = carrier
            && !self.is_routable(from)
        {
            out.limit(from, len * Routes::RATIO);
        }
    }

    /// True when whatever is sent to an address is known to come to whoever asked for it.
    pub(super) fn is_routable(&self, addr: SocketAddr) -> bool {
        let member = || self.members.node(addr).is_some_and(|node| self.members.has_echoed(node));
        self.config.secret_key().is_some() || member() || self.routes.has_echoed(addr)
    }

    /// Has everybody told of one that joined here: at once, or when strangers are many once it has
    /// echoed.
    pub(super) fn announce_guest(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        if self.members.is_rumored(node) {
            if !self.routes.takes_credit(now.mono, self.config.timeout()) {
                return self.routes.hold_back(self.members.addr(node));
            }
            self.members.vouch(node);
        }
        self.announce(now, node, out);
    }

    /// An address has echoed a token of ours: somebody is there.
    pub(super) fn confirm(&mut self, now: Now, addr: SocketAddr, out: &mut Outbox) {
        out.lift(addr);
        let Some(node) = self.members.node(addr) else { return self.routes.note_echo(addr) };
        let is_new = planted!(EchoUnheeded, self.members.confirm(node), false);
        if !is_new || !self.members.is_listed(node) {
            return;
        }
        if self.routes.take_unannounced(addr) {
            self.announce(now, node, out);
        }
        self.tell_newly_listed(now, node, out);
    }

    /// Echoes what a node asked for.
    pub(super) fn echo(
        &self,
        to: SocketAddr,
        ask: Option<u32>,
        swap: Option<Held>,
        out: &mut Outbox,
    ) {
        if let Some(token) = ask {
            out.send(to, &self.packet(Body::Echo(Echo { token, swap })));
        }
    }

    /// A token of ours has come back, and what could not go there before may go now.
    pub(super) fn on_echo(&mut self, now: Now, echo: &Echo, via: Via, out: &mut Outbox) {
        let from = via.from;
        if !self.is_token_of(now.mono, from, echo.token) {
            self.stats.answers_stale += 1;
            return;
        }
        self.confirm(now, from, out);
        if let Some(held) = echo.swap {
            self.send_newer_value(from, held.version, out);
            match held.digest == self.members.digest() {
                true => self.send_vectors(now, from, Pages::All, out),
                false => self.send_all_beats(now, from, out),
            }
        }
        if !self.lists(from) {
            // There was no room for it as a newcomer, which it is no longer.
            self.send_last_call(now, from, out);
        }
    }
}
