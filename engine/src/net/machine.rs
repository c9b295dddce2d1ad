//! The state machine that a node runs: this crate's own, or the one among pekonode nodes.

use std::net::SocketAddr;
use std::sync::Arc;

use super::admission::Sender;
use super::complaints::Complaint;
use super::contacts::Touch;
use super::stream_in::Ticket;
use crate::config::{Config, TransportKind, Wire};
use crate::core::{
    Agreement, Carrier, Engine, Input, Metadata, Outbox, Output, Protocol as _, Record, Roster,
    Stats,
};
use crate::pekonode;
use crate::time::{Instant, Now};
use crate::wire::{self, Reject};

/// The machine of one node.
#[derive(Debug)]
pub(crate) enum Machine {
    Native(Box<Engine>),
    Pekonode(Box<Foreign>),
}

/// A machine whose packets are not this crate's: what it wants sent waits here, for the outbox of
/// the driver has no place for it.
#[derive(Debug)]
pub(crate) struct Foreign {
    engine: pekonode::Engine,
    out: Outbox<pekonode::Packet>,
    packets: Vec<(SocketAddr, Arc<pekonode::Packet>)>,
}

/// A swap as far as the console tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swapped {
    Asked,
    Answered,
}

impl Machine {
    /// The machine of a node with these settings.
    pub(crate) fn new(me: Arc<Record>, config: Arc<Config>, seed: u64, now: Now) -> Self {
        match config.wire() {
            Wire::Native => {
                let roster = Arc::new(Roster::default());
                Self::Native(Engine::new(me, config, roster, seed, now).into())
            }
            Wire::Pekonode => {
                let engine = pekonode::Engine::new(me, &config, seed, now);
                let out = Outbox::new();
                Self::Pekonode(Foreign { engine, out, packets: Vec::new() }.into())
            }
        }
    }

    pub(crate) fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        match self {
            Self::Native(engine) => engine.handle(now, input, out),
            Self::Pekonode(foreign) => match input {
                Input::Timeout => foreign.handle(now, Input::Timeout, out),
                Input::Command(command) => {
                    foreign.handle(now, Input::Command(command), out);
                }
                Input::Packet { .. } => unreachable!("its datagrams are never decoded as ours"),
                Input::StreamFailed { .. } => unreachable!("its packets go by letter"),
            },
        }
    }

    /// Lists members of which the node knows from elsewhere.
    pub(crate) fn restore(&mut self, now: Now, members: &[Arc<Record>], out: &mut Outbox) {
        match self {
            Self::Native(engine) => engine.restore(now, members, out),
            // Nodes of pekonode are told of others by others only.
            Self::Pekonode(_) => {}
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Native(engine) => engine.deadline(),
            Self::Pekonode(foreign) => foreign.engine.deadline(),
        }
    }

    /// The longest metadata value that may come by stream.
    pub(crate) fn streamed_len_max(&self) -> usize {
        match self {
            Self::Native(engine) => engine.config().metadata_len_max(),
            Self::Pekonode(_) => 0,
        }
    }

    /// True when the node at this address is a member that has proved that it is there.
    pub(crate) fn confirms(&self, addr: SocketAddr) -> bool {
        match self {
            Self::Native(engine) => engine.lists(addr),
            Self::Pekonode(foreign) => foreign.engine.lists_at(addr.ip()),
        }
    }

    /// What is known of a seed.
    pub(super) fn touch(&self, seed: SocketAddr) -> Touch {
        match self {
            Self::Native(engine) if engine.is_in_touch_with(seed) => Touch::Answers,
            Self::Native(engine) if engine.is_itself(seed) => Touch::Myself,
            Self::Pekonode(foreign) if foreign.engine.lists(seed) => Touch::Answers,
            Self::Native(_) | Self::Pekonode(_) => Touch::Nothing,
        }
    }

    /// True when others are listed.
    pub(super) fn has_company(&self) -> bool {
        match self {
            Self::Native(engine) => engine.members_len() > 1,
            Self::Pekonode(foreign) => foreign.engine.members_len() > 1,
        }
    }

    /// Notes that a caller is the node at this address, if that is a member.
    pub(super) fn seat(&self, caller: SocketAddr, ticket: &Ticket) {
        if self.confirms(caller) {
            ticket.prove(caller);
        }
    }

    /// Who sends a datagram of this length from an address.
    pub(super) fn sender(&self, from: SocketAddr, len: usize) -> Sender {
        match self {
            _ if !self.confirms(from) => Sender::Stranger(from.ip()),
            Self::Native(engine) if engine.config().secret_key().is_some() => {
                let is_cheap = len <= engine.config().size().max(wire::CUT_LEN_MAX);
                if is_cheap { Sender::SealedMember } else { Sender::Stranger(from.ip()) }
            }
            Self::Native(_) => Sender::Member(from),
            // Its port is another for each packet.
            Self::Pekonode(_) => Sender::Member(SocketAddr::new(from.ip(), 0)),
        }
    }

    pub(crate) fn me(&self) -> &Arc<Record> {
        match self {
            Self::Native(engine) => engine.me(),
            Self::Pekonode(foreign) => foreign.engine.inspect().me,
        }
    }

    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        match self {
            Self::Native(engine) => engine.metadata(),
            Self::Pekonode(foreign) => foreign.engine.inspect().metadata,
        }
    }

    /// The settings.
    pub(super) fn config(&self) -> &Config {
        match self {
            Self::Native(engine) => engine.config(),
            Self::Pekonode(foreign) => foreign.engine.config(),
        }
    }

    /// Nodes of pekonode say nothing of what they hold before they are asked for all of it.
    pub(crate) fn agreement(&self) -> Agreement {
        match self {
            Self::Native(engine) => engine.agreement(),
            Self::Pekonode(_) => Agreement::default(),
        }
    }

    pub(crate) fn stats(&self) -> &Stats {
        match self {
            Self::Native(engine) => engine.stats(),
            Self::Pekonode(foreign) => foreign.engine.inspect().stats,
        }
    }

    /// The listed members, in no particular order.
    pub(crate) fn members(&self) -> Vec<Arc<Record>> {
        match self {
            Self::Native(engine) => engine.members().cloned().collect(),
            Self::Pekonode(foreign) => foreign.engine.members().cloned().collect(),
        }
    }
}

impl Foreign {
    /// Takes in a datagram, if it is a packet.
    pub(crate) fn on_datagram(
        &mut self,
        now: Now,
        bytes: &[u8],
        out: &mut Outbox,
    ) -> Result<(), Reject> {
        let packet = wire::pekonode::decode(bytes, self.engine.config().size())?;
        self.on_packet(now, packet, out);
        Ok(())
    }

    /// What a Go node would say of a datagram that is none.
    pub(super) fn complaint(&self, bytes: &[u8]) -> Option<Complaint> {
        Complaint::of(bytes, self.engine.config().size())
    }

    pub(crate) fn on_packet(&mut self, now: Now, packet: pekonode::Packet, out: &mut Outbox) {
        let from = packet.node.addr();
        let packet = packet.into();
        self.handle(now, Input::Packet { from, carrier: Carrier::Stream, packet }, out);
    }

    /// How its packets travel.
    pub(crate) fn protocol(&self) -> TransportKind {
        self.engine.config().protocol()
    }

    fn handle(&mut self, now: Now, input: Input<pekonode::Packet>, out: &mut Outbox) {
        self.engine.handle(now, input, &mut self.out);
        for output in self.out.drain() {
            match output {
                Output::Send { to, packet, .. } => self.packets.push((to, packet)),
                Output::Event(event) => out.event(event),
                Output::Answer(answer) => out.answer(answer),
            }
        }
    }

    /// What is to be sent, in order.
    pub(crate) fn take_packets(&mut self) -> Vec<(SocketAddr, Arc<pekonode::Packet>)> {
        std::mem::take(&mut self.packets)
    }

    /// The swaps among what is to be sent.
    pub(crate) fn swaps(&self) -> impl Iterator<Item = (SocketAddr, Swapped)> {
        self.packets.iter().filter_map(|(to, packet)| match packet.kind {
            pekonode::Kind::SwapRequest => Some((*to, Swapped::Asked)),
            pekonode::Kind::SwapAnswer => Some((*to, Swapped::Answered)),
            pekonode::Kind::Beat | pekonode::Kind::Publish => None,
        })
    }
}
