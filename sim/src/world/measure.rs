//! What of a packet has to be found out once, whoever does it: its length and its hash.

use std::sync::Arc;

use rumormill::Config;
use rumormill::core::{Outbox, Output};

use super::trace;
use crate::protocols::Simulated;

/// Length and hash of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorldMeasure {
    /// Encoded, in bytes.
    pub(super) len: usize,
    /// Of its content.
    pub(super) content: u64,
}

/// Those of the packets that wait in an outbox.
#[derive(Debug, Default)]
pub(super) struct Measures {
    /// In order of the outbox, with the addresses of the packets in memory. One packet may go to
    /// several in a row.
    measures: Vec<(usize, WorldMeasure)>,
    /// The first that was not asked for.
    next: usize,
}

impl WorldMeasure {
    pub(super) fn take<P: Simulated>(packet: &P::Packet, config: &Config) -> Self {
        let trace::Encoded { len, content } = trace::encoded::<P>(packet);
        Self { len: len + P::guard_len(config), content }
    }
}

impl Measures {
    /// Measures what waits in an outbox.
    pub(super) fn take<P: Simulated>(&mut self, outbox: &Outbox<P::Packet>, config: &Config) {
        self.clear();
        for output in outbox.outputs() {
            if let Output::Send { packet, .. } = output
                && self.measures.last().is_none_or(|&(last, _)| last != Arc::as_ptr(packet).addr())
            {
                let measure = WorldMeasure::take::<P>(packet, config);
                self.measures.push((Arc::as_ptr(packet).addr(), measure));
            }
        }
    }

    /// Forgets all, before the packets are gone and others may lie where they lay.
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.measures.clear();
    }

    /// The measure of a packet, if it was taken; packets are asked for in order of the outbox.
    pub(super) fn of<T>(&mut self, packet: &Arc<T>) -> Option<WorldMeasure> {
        let is = |&(addr, _): &(usize, WorldMeasure)| addr == Arc::as_ptr(packet).addr();
        let at = self.next + self.measures[self.next..].iter().position(is)?;
        self.next = at + 1;
        Some(self.measures[at].1)
    }
}
