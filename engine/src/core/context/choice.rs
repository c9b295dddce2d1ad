//! Whom a node turns to: members drawn at random, those that are known to live first.

use std::net::SocketAddr;
use std::time::Duration;

use super::Context;
use crate::config::Liveness;
use crate::core::members::NodeIx;

/// So few who are silent are nothing unusual: they are called in each quarter of a cycle within the
/// limit on last calls.
pub(crate) const FEW_SILENT: usize = 16;

/// The share of the list that is many, as its inverse.
const MEMBERS_PER_SILENT: usize = 8;

/// True when so many silent ones are many.
pub(crate) fn are_many(silent: usize, members: usize) -> bool {
    silent > FEW_SILENT.max(members / MEMBERS_PER_SILENT)
}

impl Context<'_> {
    /// Draws for one that is not silent. Without them the smaller side of a partition would tell
    /// most of what it has to tell to the other side, and its own members would fall silent too.
    pub(crate) const DRAWS_MAX: usize = 8;

    /// True for a member that is no newcomer.
    pub(crate) fn is_believed(&self, addr: SocketAddr) -> bool {
        let node = self.members.node(addr);
        node.is_some_and(|node| self.members.is_listed(node) && !self.members.is_newcomer(node))
    }

    /// How many other members are no newcomers.
    pub(crate) fn believed_len(&self) -> usize {
        self.members.len() - self.members.newcomers().len() - 1
    }

    /// A random member other than ourselves and no newcomer, of whom there must be one; not one
    /// that is silent, if others are found soon.
    pub(crate) fn draw(&mut self) -> NodeIx {
        for _ in 1..Self::DRAWS_MAX {
            let node = self.draw_any();
            if !self.is_silent(node) {
                return node;
            }
        }
        self.draw_any()
    }

    /// A random member other than ourselves and no newcomer, silent or not.
    fn draw_any(&mut self) -> NodeIx {
        assert!(self.believed_len() > 0, "nobody can be drawn where nobody is");
        let me = self.members.me();
        loop {
            let ring = self.members.ring();
            let node = ring[self.rng.below(ring.len())];
            if node != me && !self.members.is_newcomer(node) {
                return node;
            }
        }
    }

    /// True while so many are silent that those who are drawn by chance mostly are. Not sooner: in
    /// a bad network many are silent at any time, and who tells only those that he hears parts the
    /// cluster into circles.
    fn most_are_silent(&self) -> bool {
        let silent = match self.config.liveness() {
            Liveness::Beats => self.members.silent_len(),
            Liveness::Probes | Liveness::Auto => self.members.suspected_len(),
            Liveness::Off => 0,
        };
        silent > FEW_SILENT && 2 * silent > self.members.len()
    }

    /// True while so many are suspected that all of them are called.
    pub(crate) fn many_are_suspected(&self) -> bool {
        are_many(self.members.suspected_len(), self.members.len())
    }

    /// Some of those who are known to live, at most so many, when most of those who are drawn by
    /// chance would be silent; else nobody.
    pub(crate) fn pick_awake(&mut self, count: usize) -> Vec<NodeIx> {
        if !self.most_are_silent() {
            return Vec::new();
        }
        let mut awake = self.others();
        awake.retain(|&node| !self.members.is_newcomer(node) && !self.is_silent(node));
        let count = count.min(awake.len());
        for at in 0..count {
            let other = at + self.rng.below(awake.len() - at);
            awake.swap(at, other);
        }
        awake.truncate(count);
        awake
    }

    /// All members but ourselves, in order of the ring.
    pub(crate) fn others(&self) -> Vec<NodeIx> {
        let me = self.members.me();
        let mut others = self.members.ring().to_vec();
        others.retain(|&node| node != me);
        others
    }

    /// Up to `count` different listed members, ourselves and newcomers excepted, drawn at random.
    pub(crate) fn pick(&mut self, count: usize) -> Vec<NodeIx> {
        if count >= self.believed_len() {
            let mut nodes = self.others();
            nodes.retain(|&node| !self.members.is_newcomer(node));
            return nodes;
        }
        let (mut picked, mut draws) = (self.pick_awake(count), 0);
        picked.reserve(count - picked.len());
        while picked.len() < count {
            draws += 1;
            // Who is not silent may be too few: then the others are as good, or it never ends.
            let has_patience = draws <= Self::DRAWS_MAX * count;
            let node = if has_patience { self.draw() } else { self.draw_any() };
            if !picked.contains(&node) {
                picked.push(node);
            }
        }
        picked
    }

    /// From when on a silent member is called.
    pub(crate) fn called_after(&self) -> Duration {
        self.config.timeout() * 3 / 5
    }

    /// True when a member will be called, or has been in vain, or is suspected.
    pub(crate) fn is_silent(&self, node: NodeIx) -> bool {
        match self.config.liveness() {
            Liveness::Beats => self.now.mono - self.members.raised_at(node) > self.called_after(),
            Liveness::Probes | Liveness::Auto => self.members.is_suspected(node),
            Liveness::Off => false,
        }
    }
}
