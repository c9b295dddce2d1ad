//! What goes into the machine and what comes out of it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::packet::Packet;
use crate::core::{Answer, Command, Event};

/// Something that happens to the node.
#[derive(Clone, Debug)]
pub enum Input {
    /// A packet arrived. Where it came from means nothing: pekonode sends from any port.
    Packet(Arc<Packet>),
    /// The deadline has come. A call before it does no harm.
    Timeout,
    /// The service wants something.
    Command(Command),
}

/// Something the node wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this packet, which is shorter than `size`.
    Send {
        /// To whom.
        to: SocketAddr,
        /// What; one packet may go to many.
        packet: Arc<Packet>,
    },
    /// Tell the service.
    Event(Event),
    /// Tell who gave the command.
    Answer(Answer),
}

/// Where outputs go: an argument of every call, so that nothing can be left undrained.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    outputs: Vec<Output>,
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes everything out, in the order in which it was put in.
    pub fn drain(&mut self) -> impl Iterator<Item = Output> + '_ {
        self.outputs.drain(..)
    }

    /// True when nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    pub(super) fn send(&mut self, to: SocketAddr, packet: Arc<Packet>) {
        self.outputs.push(Output::Send { to, packet });
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.outputs.push(Output::Answer(answer));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push(Output::Event(event));
    }
}
