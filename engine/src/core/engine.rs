//! The engine: one node's state machine, without sockets, clocks or entropy.

use std::net::SocketAddr;
use std::sync::Arc;

use super::io::{Input, Outbox};
use super::metadata::Metadata;
use super::record::Record;
use super::roster::Roster;
use crate::config::Config;
use crate::time::{Instant, Now};

/// One node.
#[derive(Clone, Debug)]
pub struct Engine {
    me: Arc<Record>,
    config: Arc<Config>,
}

impl Engine {
    /// A node that has heard of nobody. It wants its first [`Input::Timeout`] at once.
    pub fn new(
        me: Arc<Record>,
        config: Arc<Config>,
        _roster: Arc<Roster>,
        _seed: u64,
        _now: Now,
    ) -> Self {
        Self { me, config }
    }

    /// Lists these incarnations as if each had just been heard of: a node that comes back with a
    /// list it kept, or a simulation that begins with complete lists.
    pub fn restore(
        &mut self,
        _now: Now,
        _members: impl IntoIterator<Item = Arc<Record>>,
        _out: &mut Outbox,
    ) {
        todo!()
    }

    /// Reacts to one input. Never fails and never panics, whatever arrives from the network.
    pub fn handle(&mut self, _now: Now, _input: Input, _out: &mut Outbox) {
        todo!()
    }

    /// When the engine next wants [`Input::Timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// The node's own incarnation.
    pub fn me(&self) -> &Arc<Record> {
        &self.me
    }

    /// The settings.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The listed members, itself included, in order of the ring.
    pub fn members(&mut self) -> impl Iterator<Item = &Arc<Record>> {
        std::iter::once(&self.me)
    }

    /// How many members are listed, itself included.
    pub fn members_len(&self) -> usize {
        todo!()
    }

    /// True when the incarnation at this address is listed.
    pub fn lists(&self, _addr: SocketAddr) -> bool {
        todo!()
    }

    /// The metadata, once there is one.
    pub fn metadata(&self) -> Option<&Metadata> {
        todo!()
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        todo!()
    }
}

/// Counters of one engine, from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls of [`Engine::handle`].
    pub inputs: u64,
    /// Beats, records and versions compared with the state.
    pub updates: u64,
    /// Beats whose id is unknown or ambiguous.
    pub unknown_beats: u64,
    /// Most tombstones held at once.
    pub tombstones_max: usize,
    /// Most members listed at once.
    pub members_max: usize,
}
