//! Whether others reach a node at the address that it advertises.
//!
//! Answers go to where a question came from, so that a node gets them whatever it says of itself.
//! What others begin of their own accord goes to the address that they list it by. Who gets the
//! one and never the other advertises an address that leads to somebody else, or to nobody: one of
//! loopback, one inside a container, one that a port should have been forwarded to. The others
//! list it as a newcomer (`newcomers.rs`) and leave it out of everything, and only it can know why.

use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use crate::core::context::Context;
use crate::core::io::Event;
use crate::core::packet::Body;
use crate::time::Instant;

/// For how long a node has been answered and not called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Called {
    uncalled: Duration,
    last_answer: Instant,
    told: bool,
}

impl Called {
    /// So many timeouts without a call. Each node is called once a cycle or more in the mean, and
    /// a timeout is more than two cycles: less than one in a thousand hears nothing by chance.
    const TIMEOUTS: u32 = 4;
}

impl Membership {
    /// Takes notice of a packet by what it is, before it is looked into.
    pub(crate) fn note_call(&mut self, cx: &mut Context<'_>, from: SocketAddr, body: &Body) {
        match body {
            Body::Bulk(_)
            | Body::Rumor(_)
            | Body::SwapRequest(_)
            | Body::Probe(_)
            | Body::PingReq(_) => self.called = Called::default(),
            // Strangers may answer what was never asked.
            Body::SwapAnswer(_) | Body::RumorAck(_) | Body::ProbeAnswer(_) if cx.lists(from) => {
                self.note_answer(cx);
            }
            _ => {}
        }
    }

    /// Who was stopped or slept asked nobody meanwhile: between two answers no more than a cycle
    /// counts.
    fn note_answer(&mut self, cx: &mut Context<'_>) {
        let called = &mut self.called;
        called.uncalled += (cx.now.mono - called.last_answer).min(cx.config.cycle());
        called.last_answer = cx.now.mono;
        if called.uncalled >= cx.config.timeout() * Called::TIMEOUTS && !called.told {
            called.told = true;
            cx.out.event(Event::NotReached(cx.me.node().addr()));
        }
    }
}
