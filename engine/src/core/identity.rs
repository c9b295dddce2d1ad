//! Who we are: our own incarnation, and what happens when somebody else claims to be us.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::io::{Event, Outbox};
use super::record::Record;
use super::roster::NodeIx;
use crate::node::{Generation, Node};
use crate::time::{Instant, Now};

/// When we jumped above another incarnation of ourselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Jumps {
    at: Vec<Instant>,
    conflict: bool,
}

/// What to do about a higher generation of ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jump {
    /// Nothing for now: we jumped less than a timeout ago.
    Wait,
    /// Go above it.
    Go,
    /// Give up: it comes back as fast as we jump, so somebody else lives at our address.
    Conflict,
}

impl Jumps {
    /// An earlier life explains one jump, or two; a third within this many timeouts has a rival.
    const RIVAL_JUMPS: usize = 3;
    const RIVAL_TIMEOUTS: u32 = 4;

    fn judge(&mut self, now: Instant, timeout: Duration) -> Jump {
        if self.conflict || self.at.last().is_some_and(|&last| now - last < timeout) {
            return Jump::Wait;
        }
        self.at.retain(|&at| now - at < timeout * Self::RIVAL_TIMEOUTS);
        self.at.push(now);
        self.conflict = self.at.len() >= Self::RIVAL_JUMPS;
        if self.conflict { Jump::Conflict } else { Jump::Go }
    }
}

impl Engine {
    /// Somebody holds an incarnation of ourselves that outranks us: an earlier life with a faster
    /// clock, or a rival. Our own node if it is news that we jumped above it.
    pub(super) fn outrank(
        &mut self,
        now: Now,
        theirs: Generation,
        out: &mut Outbox,
    ) -> Option<NodeIx> {
        match self.jumps.judge(now.mono, self.config.timeout()) {
            Jump::Wait => None,
            Jump::Go => {
                let node = self.me.node().clone();
                Some(self.reincarnate(now, node, Generation::start(Some(theirs), now.wall), out))
            }
            Jump::Conflict => {
                out.event(Event::AddressConflict(Arc::clone(&self.me)));
                None
            }
        }
    }

    /// Changes what we say of ourselves, as a new incarnation at the same address.
    pub(super) fn on_update(&mut self, now: Now, node: &Node, out: &mut Outbox) {
        let node = node.with_addr(self.me.node().addr());
        if node != *self.me.node() {
            let generation = Generation::start(Some(self.me.generation()), now.wall);
            let me = self.reincarnate(now, node, generation, out);
            self.announce(now, me, out);
        }
    }

    /// Begins a new incarnation, because the counter of the old one has come too far.
    pub(super) fn begin_anew(&mut self, now: Now, out: &mut Outbox) {
        let generation = Generation::start(Some(self.me.generation()), now.wall);
        let me = self.reincarnate(now, self.me.node().clone(), generation, out);
        self.relay_news(now.mono, me);
    }

    fn reincarnate(
        &mut self,
        now: Now,
        node: Node,
        generation: Generation,
        out: &mut Outbox,
    ) -> NodeIx {
        self.me = Arc::new(Record::new(node, generation));
        self.members.succeed_myself(&self.me, now.mono);
        out.event(Event::Updated(Arc::clone(&self.me)));
        self.members.me()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_jump_within_four_timeouts_gives_up() {
        let timeout = Duration::from_secs(5);
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut jumps = Jumps::default();
        let judged = [0, 4, 5, 9, 10, 50].map(|seconds| jumps.judge(at(seconds), timeout));
        use Jump::{Conflict, Go, Wait};
        assert_eq!(judged, [Go, Wait, Go, Wait, Conflict, Wait]);
    }

    #[test]
    fn jumps_that_lie_far_apart_are_earlier_lives() {
        let timeout = Duration::from_secs(5);
        let mut jumps = Jumps::default();
        for seconds in [0, 25, 50, 75] {
            let now = Instant::ZERO + Duration::from_secs(seconds);
            assert_eq!(jumps.judge(now, timeout), Jump::Go);
        }
    }
}
