//! Whether others reach a node at the address that it advertises.
//!
//! Answers go to where a question came from, so that a node gets them whatever it says of itself.
//! What others begin of their own accord goes to the address that they list it by. Who gets the
//! one and never the other advertises an address that leads to somebody else, or to nobody: one of
//! loopback, one inside a container, one that a port should have been forwarded to. The others
//! list it as a newcomer (`newcomers.rs`) and leave it out of everything, and only it can know why.

use std::net::SocketAddr;
use std::time::Duration;

use super::engine::Engine;
use super::io::{Event, Outbox};
use super::packet::Body;
use crate::time::Instant;

/// For how long a node has been answered and not called.
#[derive(Clone, Debug, Default)]
pub(super) struct Called {
    uncalled: Duration,
    last_answer: Instant,
    told: bool,
}

impl Called {
    /// So many timeouts without a call. Each node is called once a cycle or more in the mean, and
    /// a timeout is more than two cycles: less than one in a thousand hears nothing by chance.
    const TIMEOUTS: u32 = 4;
}

impl Engine {
    /// Takes notice of a packet by what it is, before it is looked into.
    pub(super) fn note_call(
        &mut self,
        now: Instant,
        from: SocketAddr,
        body: &Body,
        out: &mut Outbox,
    ) {
        match body {
            Body::Bulk(_)
            | Body::Rumor(_)
            | Body::SwapRequest(_)
            | Body::Probe(_)
            | Body::ProbeRequest(_) => self.called = Called::default(),
            // Strangers may answer what was never asked.
            Body::SwapAnswer(_) | Body::RumorAck(_) | Body::ProbeAnswer(_) if self.lists(from) => {
                self.note_answer(now, out);
            }
            _ => {}
        }
    }

    /// Who was stopped or slept asked nobody meanwhile: between two answers no more than a cycle
    /// counts.
    fn note_answer(&mut self, now: Instant, out: &mut Outbox) {
        let called = &mut self.called;
        called.uncalled += (now - called.last_answer).min(self.config.cycle());
        called.last_answer = now;
        if called.uncalled >= self.config.timeout() * Called::TIMEOUTS && !called.told {
            called.told = true;
            out.event(Event::NotReached(self.me.node().addr()));
        }
    }
}
