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

use sha2::{Digest as _, Sha256};

use super::{Context, Source};
use crate::core::io::Carrier;
use crate::core::members::{Arrival, Introducer, Standing};
use crate::core::packet::{Body, Echo, Echoed, Held};
use crate::node::NodeId;
use crate::rng::Rng;

/// What we know of addresses, beside what the list of members says of theirs.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    /// What our tokens are made of.
    key: [u64; 2],
    /// Who echoed and is not held as a member: behind a translation of addresses, or not listed
    /// yet. The last one comes last.
    echoed: VecDeque<SocketAddr>,
    /// Whom we dialled or swapped with lately.
    contacted: VecDeque<SocketAddr>,
}

impl Routes {
    /// So many times the bytes that came from an address may go back there.
    const RATIO: usize = 3;
    /// More would hardly be in the middle of something with us.
    const ECHOED_MAX: usize = 256;
    /// Whom we contacted last: the answer of each is awaited.
    const CONTACTED_MAX: usize = 8;
    /// So many timeouts a token is good for, and once more as long.
    const TOKEN_TIMEOUTS: u32 = 4;

    pub(super) fn new(seed: u64, me: NodeId) -> Self {
        let key = ["tokens, low", "tokens, high"].map(|part| Rng::word(seed, part, me.0));
        let [echoed, contacted] = Default::default();
        Self { key, echoed, contacted }
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
        u32::from_le_bytes([a, b, c, d]).first()
    }

    pub(crate) fn note_echo(&mut self, addr: SocketAddr) {
        keep_once(&mut self.echoed, addr, Self::ECHOED_MAX);
    }

    /// True for an address of no member that has echoed lately.
    pub(crate) fn has_echoed(&self, addr: SocketAddr) -> bool {
        !self.echoed.is_empty() && self.echoed.contains(&addr)
    }

    /// Notes that we dial a node, or swap with it.
    pub(crate) fn note_contact(&mut self, addr: SocketAddr) {
        keep_once(&mut self.contacted, addr, Self::CONTACTED_MAX);
    }

    /// Whom we dialled or swapped with lately.
    pub(crate) fn contacted(&self) -> &VecDeque<SocketAddr> {
        &self.contacted
    }
}

/// Adds an address that is not there yet.
pub(crate) fn keep_once(addrs: &mut VecDeque<SocketAddr>, addr: SocketAddr, max: usize) {
    if !addrs.contains(&addr) {
        keep_last(addrs, addr, max);
    }
}

pub(crate) fn keep_last(addrs: &mut VecDeque<SocketAddr>, addr: SocketAddr, max: usize) {
    if addrs.len() == max {
        addrs.pop_front();
    }
    addrs.push_back(addr);
}

/// Where no node is, but one for each address.
fn relayed_place(addr: SocketAddr) -> NodeId {
    NodeId(!NodeId::of(addr).0)
}

impl Context<'_> {
    /// What the beats that came by this way are judged by.
    pub(crate) fn heard(&self, via: Source) -> Arrival {
        let standing = match self.trusts_all() {
            true => Standing::Believed,
            false => Standing::Newcomer(self.introducer(via)),
        };
        self.heard_as(standing, via)
    }

    /// The same, given what a member is that is listed because of it.
    pub(crate) fn heard_as(&self, standing: Standing, via: Source) -> Arrival {
        Arrival { now: self.now.mono, step: via.step, standing, horizon: self.horizon() }
    }

    /// Members vouch for those they speak of, but not one that is no more than a stranger's word
    /// itself: else that one could be the stranger.
    pub(crate) fn introducer(&self, via: Source) -> Introducer {
        let introducer = Introducer::of(via.from);
        let node = self.members.node(via.from).filter(|&node| self.members.is_listed(node));
        let is_member = node.is_some_and(|node| !self.members.is_rumored(node));
        match is_member || self.routes.has_echoed(via.from) {
            true => introducer.who_vouches(),
            false => introducer,
        }
    }

    /// True when a sender is no stranger: it holds the secret, has echoed, or is a member that is
    /// no newcomer.
    pub(crate) fn is_confirmed(&self, addr: SocketAddr) -> bool {
        self.is_routable(addr) || self.is_believed(addr)
    }

    fn token_epoch(&self) -> u64 {
        let epoch = self.config.timeout() * Routes::TOKEN_TIMEOUTS;
        self.now.mono.as_nanos() / crate::time::nanos(epoch)
    }

    /// What whoever is at this address gets to echo.
    pub(crate) fn token_for(&self, addr: SocketAddr) -> u32 {
        self.routes.token(NodeId::of(addr), self.token_epoch())
    }

    /// True for a token that we sent to this address, now or some timeouts ago.
    pub(crate) fn is_token_of(&self, addr: SocketAddr, token: u32) -> bool {
        self.is_token_at(NodeId::of(addr), token)
    }

    /// What a member gets to echo that is probed for another: that the answer to such a probe is
    /// not taken for one to ours, which may have been sent later.
    pub(crate) fn relayed_token(&self, addr: SocketAddr) -> u32 {
        self.routes.token(relayed_place(addr), self.token_epoch())
    }

    /// True for a token that we sent to this address for another, now or some timeouts ago.
    pub(crate) fn is_relayed_token_of(&self, addr: SocketAddr, token: u32) -> bool {
        self.is_token_at(relayed_place(addr), token)
    }

    /// What a member gets to echo that is asked now, and never again: an answer to something else,
    /// which may have been under way for long, does not echo it.
    pub(crate) fn token_of_now(&self, addr: SocketAddr) -> u32 {
        self.routes.token(relayed_place(addr), self.now.mono.as_nanos())
    }

    fn is_token_at(&self, place: NodeId, token: u32) -> bool {
        let epoch = self.token_epoch();
        let mut epochs = [epoch, epoch.saturating_sub(1)].into_iter();
        epochs.any(|epoch| self.routes.token(place, epoch) == token.first())
    }

    /// The address that a token was sent to, that of the sender or one of others: behind a
    /// translation of addresses who was asked answers from elsewhere.
    pub(crate) fn sent_to(
        &self,
        token: u32,
        from: SocketAddr,
        others: &VecDeque<SocketAddr>,
    ) -> Option<SocketAddr> {
        let mut addrs = [from].into_iter().chain(others.iter().copied());
        addrs.find(|&addr| self.is_token_of(addr, token))
    }

    /// Limits what goes back to the sender of a packet, unless it is known to be there.
    pub(crate) fn limit_answers(&mut self, from: SocketAddr, carrier: Carrier) {
        if let Carrier::Datagram(len) = carrier
            && !self.is_routable(from)
        {
            self.out.limit(from, len * Routes::RATIO);
        }
    }

    /// True when whatever is sent to an address is known to come to whoever asked for it.
    pub(crate) fn is_routable(&self, addr: SocketAddr) -> bool {
        let member = || self.members.node(addr).is_some_and(|node| self.members.has_echoed(node));
        self.config.secret_key().is_some() || member() || self.routes.has_echoed(addr)
    }

    /// Echoes what a node asked for.
    pub(crate) fn echo(&mut self, to: SocketAddr, ask: Option<u32>, swap: Option<Held>) {
        if let Some(token) = ask {
            self.out.send(to, &self.packet(Body::Echo(Echo { token, swap })));
        }
    }
}
