//! What tests look into, or set, behind the engine's back.

use std::net::SocketAddr;

use super::Engine;
use crate::config::WireVersion;
use crate::core::context::Context;
use crate::core::io::Outbox;
use crate::core::members::Members;
use crate::core::packet::StateDigest;
use crate::core::rtt::Rtts;
use crate::time::Now;

impl Engine {
    /// Does something with the context as of then, and what follows for the rooms; what goes out
    /// comes back.
    pub(crate) fn with(&mut self, now: Now, act: impl FnOnce(&mut Context<'_>)) -> Outbox {
        let mut out = Outbox::new();
        let cx = &mut self.ground.context(now, &mut out);
        act(cx);
        self.rooms.settle(cx);
        out
    }

    /// Begins a swap; what it sends comes back.
    pub(crate) fn begin_swap(&mut self, now: Now, with: SocketAddr) -> Outbox {
        let Self { ground, rooms } = self;
        let mut out = Outbox::new();
        rooms.anti_entropy.begin_swap(&mut ground.context(now, &mut out), with);
        out
    }

    pub(crate) fn is_in_vain(
        &mut self,
        now: Now,
        with: SocketAddr,
        theirs: Option<StateDigest>,
    ) -> bool {
        let Self { ground, rooms } = self;
        let mut out = Outbox::new();
        rooms.anti_entropy.is_in_vain(&ground.context(now, &mut out), with, theirs)
    }

    pub(crate) fn token_for(&mut self, now: Now, addr: SocketAddr) -> u32 {
        self.ground.context(now, &mut Outbox::new()).token_for(addr)
    }

    pub(crate) fn is_token_of(&mut self, now: Now, addr: SocketAddr, token: u32) -> bool {
        self.ground.context(now, &mut Outbox::new()).is_token_of(addr, token)
    }

    pub(crate) fn list(&self) -> &Members {
        self.ground.members()
    }

    pub(crate) fn list_mut(&mut self) -> &mut Members {
        self.ground.members_mut()
    }

    pub(crate) fn rtts_mut(&mut self) -> &mut Rtts {
        self.ground.rtts_mut()
    }

    pub(crate) fn holds(&self) -> StateDigest {
        self.ground.holds(WireVersion::LATEST)
    }

    pub(crate) fn suspects(&self, addr: SocketAddr) -> bool {
        let members = self.ground.members();
        members.node(addr).is_some_and(|node| members.is_suspected(node))
    }

    pub(crate) fn relayed_len(&self) -> usize {
        self.rooms.detection.relayed_len()
    }

    pub(crate) fn worsen_health(&mut self) {
        self.rooms.detection.worsen_health();
    }

    pub(crate) fn health_factor(&self) -> u32 {
        self.rooms.detection.health_factor()
    }

    pub(crate) fn believes(&self, addr: SocketAddr) -> bool {
        let members = self.ground.members();
        let node = members.node(addr).filter(|&node| members.is_listed(node));
        node.is_some_and(|node| !members.is_newcomer(node))
    }

    pub(crate) fn forget_what_is_wanted(&mut self) {
        self.rooms.store.forget_what_is_wanted();
    }
}
