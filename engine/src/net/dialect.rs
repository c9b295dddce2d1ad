//! How the packets of each protocol stand on sockets, and what its state machine knows of who is
//! at the other end.
//!
//! The driver is written once for all of them. Here is what sets them apart: the engine, whose
//! datagrams are guarded and whose connections are kept, and that of pekonode, which takes a
//! connection for each packet and knows nobody by a port.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use super::admission::DatagramSender;
use super::complaints::Complaint;
use super::contacts::Touch;
use super::inbound_slots::SlotLimits;
use super::stream::Streams;
use super::stream_frame::Ending;
use super::stream_in::{IN_MAX, InboundConn, MeteredStream, Ticket};
use crate::config::Config;
use crate::core::packet::{Body, LastCall};
use crate::core::{
    AgeStep, Agreement, Class, Engine, Outbox, Output, Packet, Protocol, Record, SharedRecords,
};
use crate::pekonode;
use crate::time::Now;
use crate::wire::{self, Guard, Reject};

/// A protocol that a node on sockets can run.
pub(crate) trait Dialect:
    Protocol<Packet: Clone + Send + Sync + 'static> + Send + 'static
{
    /// How many connections of others are open at a time.
    const CALLS: SlotLimits;

    /// What a node with this configuration is set to.
    fn settings(config: &Arc<Config>) -> Self::Settings;

    /// Reads what came through the socket; in a network in memory that may be by stream.
    fn decode(
        &self,
        guard: &mut Guard,
        now: Now,
        bytes: &mut [u8],
        class: Class,
    ) -> Result<Self::Packet, Reject>;

    /// Appends a packet as it goes through the socket.
    fn encode(guard: &mut Guard, now: Now, packet: &Self::Packet, out: &mut Vec<u8>);

    /// Sends a packet on a connection. Never waits.
    fn post(streams: &mut Streams<Self::Packet>, to: SocketAddr, packet: &Arc<Self::Packet>);

    /// Reads all that a connection of another node brings.
    fn serve(
        conn: &InboundConn<Self::Packet>,
        stream: &mut MeteredStream,
        from: SocketAddr,
        ticket: &Ticket,
    ) -> impl Future<Output = Ending> + Send;

    /// True when the node at this address is a member that has proved that it is there.
    fn confirms(&self, addr: SocketAddr) -> bool;

    /// Who sends a datagram of this length from an address.
    fn sender(&self, from: SocketAddr, len: usize) -> DatagramSender;

    /// What is known of a seed.
    fn touch(&self, seed: SocketAddr) -> Touch;

    /// How far the others hold the same, as far as they say so.
    fn agreement(&self) -> Agreement {
        Agreement::default()
    }

    /// How many of them do: what alone is another when something was published.
    fn same(&self) -> usize {
        self.agreement().same
    }

    /// False for a packet that says nothing of what its sender holds: with those alone the
    /// agreement changes by events only.
    fn may_report(_packet: &Self::Packet) -> bool {
        true
    }

    /// Lists members of which the node knows from elsewhere.
    fn restore(&mut self, now: Now, members: &[Arc<Record>], out: &mut Outbox<Self::Packet>);

    /// What tells a node of another cluster that it is one.
    fn refusal() -> Option<Self::Packet> {
        None
    }

    /// What the console says of bytes that are no packet.
    fn complaint(&self, _bytes: &[u8]) -> Option<Complaint> {
        None
    }

    /// A packet as an interceptor is shown it, which knows this crate's own only.
    fn shown(_packet: &Arc<Self::Packet>) -> Option<&Arc<Packet>> {
        None
    }

    /// Outputs as an interceptor is shown them.
    fn shown_outputs(outputs: &[Output<Self::Packet>]) -> Cow<'_, [Output]> {
        let told = outputs.iter().filter_map(|output| match output {
            Output::Send { .. } => None,
            Output::Event(event) => Some(Output::Event(event.clone())),
            Output::Answer(answer) => Some(Output::Answer(answer.clone())),
            Output::Flush => Some(Output::Flush),
        });
        told.collect()
    }
}

impl Dialect for Engine {
    /// A whole cluster behind one address passes: to prove oneself takes a round trip.
    const CALLS: SlotLimits = SlotLimits { all: IN_MAX, unproven: IN_MAX / 4, of_one: 8 };

    fn settings(config: &Arc<Config>) -> Self::Settings {
        (Arc::clone(config), Arc::new(SharedRecords::default()))
    }

    fn decode(
        &self,
        guard: &mut Guard,
        now: Now,
        bytes: &mut [u8],
        class: Class,
    ) -> Result<Packet, Reject> {
        let config = self.config();
        match class {
            Class::Datagram => guard.decode_datagram(now, bytes, config.size()),
            Class::Stream => guard.decode_from_stream(now, bytes, config.transfer_len_max()),
        }
    }

    fn encode(guard: &mut Guard, now: Now, packet: &Packet, out: &mut Vec<u8>) {
        guard.encode(now, packet, out);
    }

    fn post(streams: &mut Streams<Packet>, to: SocketAddr, packet: &Arc<Packet>) {
        streams.send(to, packet);
    }

    fn serve(
        conn: &InboundConn<Packet>,
        stream: &mut MeteredStream,
        from: SocketAddr,
        ticket: &Ticket,
    ) -> impl Future<Output = Ending> + Send {
        conn.read_frames(stream, from, ticket)
    }

    fn confirms(&self, addr: SocketAddr) -> bool {
        self.lists(addr)
    }

    fn sender(&self, from: SocketAddr, len: usize) -> DatagramSender {
        let is_cheap = || len <= self.config().size().max(wire::CUT_LEN_MAX);
        match self.config().secret_key() {
            _ if !self.confirms(from) => DatagramSender::Stranger(from.ip()),
            None => DatagramSender::Member(from),
            Some(_) if is_cheap() => DatagramSender::SealedMember,
            Some(_) => DatagramSender::Stranger(from.ip()),
        }
    }

    fn touch(&self, seed: SocketAddr) -> Touch {
        match () {
            () if self.is_in_touch_with(seed) => Touch::Answers,
            () if self.is_itself(seed) => Touch::Myself,
            () => Touch::Nothing,
        }
    }

    fn agreement(&self) -> Agreement {
        self.agreement()
    }

    fn same(&self) -> usize {
        self.same()
    }

    fn may_report(packet: &Packet) -> bool {
        !matches!(packet.body, Body::Rumor(_) | Body::RumorAck(_))
    }

    fn restore(&mut self, now: Now, members: &[Arc<Record>], out: &mut Outbox) {
        self.restore(now, members, out);
    }

    fn refusal() -> Option<Packet> {
        Some(Packet::new(AgeStep(1), Body::LastCall(LastCall::default())))
    }

    fn shown(packet: &Arc<Packet>) -> Option<&Arc<Packet>> {
        Some(packet)
    }

    fn shown_outputs(outputs: &[Output]) -> Cow<'_, [Output]> {
        outputs.into()
    }
}

impl Dialect for pekonode::LegacyEngine {
    /// Nobody can prove anything, and each packet has a connection.
    const CALLS: SlotLimits = SlotLimits { all: IN_MAX, unproven: IN_MAX, of_one: IN_MAX / 4 };

    fn settings(config: &Arc<Config>) -> Arc<Config> {
        Arc::clone(config)
    }

    fn decode(
        &self,
        _: &mut Guard,
        _: Now,
        bytes: &mut [u8],
        _: Class,
    ) -> Result<pekonode::LegacyPacket, Reject> {
        wire::pekonode::decode(bytes, self.config().size())
    }

    fn encode(_: &mut Guard, _: Now, packet: &pekonode::LegacyPacket, out: &mut Vec<u8>) {
        wire::pekonode::encode(packet, out);
    }

    fn post(
        streams: &mut Streams<pekonode::LegacyPacket>,
        to: SocketAddr,
        packet: &Arc<pekonode::LegacyPacket>,
    ) {
        let mut bytes = Vec::new();
        wire::pekonode::encode(packet, &mut bytes);
        streams.post(to, bytes);
    }

    fn serve(
        conn: &InboundConn<pekonode::LegacyPacket>,
        stream: &mut MeteredStream,
        from: SocketAddr,
        _: &Ticket,
    ) -> impl Future<Output = Ending> + Send {
        conn.read_one_shot(stream, from)
    }

    fn confirms(&self, addr: SocketAddr) -> bool {
        self.lists_at(addr.ip())
    }

    fn sender(&self, from: SocketAddr, _: usize) -> DatagramSender {
        match self.confirms(from) {
            // Its port is another for each packet.
            true => DatagramSender::Member(SocketAddr::new(from.ip(), 0)),
            false => DatagramSender::Stranger(from.ip()),
        }
    }

    fn touch(&self, seed: SocketAddr) -> Touch {
        if self.lists(seed) { Touch::Answers } else { Touch::Nothing }
    }

    /// Nodes of pekonode are told of others by others only.
    fn restore(&mut self, _: Now, _: &[Arc<Record>], _: &mut Outbox<pekonode::LegacyPacket>) {}

    /// In the words of Go.
    fn complaint(&self, bytes: &[u8]) -> Option<Complaint> {
        Complaint::of(bytes, self.config().size())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::console::kept;
    use super::super::memory::MemoryNetwork;
    use crate::config::Wire;
    use crate::core::{Answer, Command, Event, Input, Value};
    use crate::link::Link;
    use crate::node::{Generation, Node};
    use crate::time::{Instant, UnixNanos};

    use super::*;

    /// What a node that dials, publishes and leaves wants done.
    fn outputs<D: Dialect>() -> Vec<Output<D::Packet>> {
        let now = Now { mono: Instant::ZERO, wall: UnixNanos(1 << 60) };
        let config = Arc::new(Config::default());
        let me = Record::new(Node::at(([10, 0, 0, 1], 1).into()), Generation::default());
        let mut node = D::new(me.into(), &D::settings(&config), 1, now);
        let mut out = Outbox::new();
        let value = Value::new(*b"v", &config).unwrap();
        let seeds = vec![([10, 0, 0, 2], 1).into()];
        for command in [Command::Seeds(seeds), Command::Publish(value), Command::Leave] {
            node.handle(now, Input::Command(command), &mut out);
        }
        out.drain().collect()
    }

    #[test]
    fn an_interceptor_is_shown_all_but_the_packets_of_another_wire() {
        let native = outputs::<Engine>();
        assert!(matches!(native[0], Output::Send { .. }));
        assert!(matches!(Engine::shown_outputs(&native), Cow::Borrowed(_)), "it costs nothing");
        let outputs = outputs::<pekonode::LegacyEngine>();
        let Output::Send { packet, .. } = &outputs[0] else { panic!("{outputs:?}") };
        assert!(pekonode::LegacyEngine::shown(packet).is_none());
        let shown = pekonode::LegacyEngine::shown_outputs(&outputs);
        let told = [matches!(shown[0], Output::Event(Event::Published(_)))];
        assert_eq!((told, shown.len()), ([true], 2), "{shown:?}");
        assert!(matches!(shown[1], Output::Answer(Answer::Left(Ok(())))), "{shown:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_console_tells_of_the_swaps_of_either_wire() {
        for wire in [Wire::Native, Wire::Pekonode] {
            let network = MemoryNetwork::new(1, Link::uniform(Duration::ZERO, Duration::ZERO));
            let config = Config::builder().wire(wire).print(true).build().unwrap();
            let node = |host| Node::new(format!("10.0.0.{host}:8000"));
            let lists = [1, 2, 3, 4, 5, 6].map(|host| {
                network.node(node(host), config.clone()).expect("a valid configuration")
            });
            for list in &lists {
                list.set("10.0.0.1:8000").unwrap();
                list.join().await.unwrap();
                if lists[0].read().is_none() {
                    // Those that join then ask for it, or are told of it by whoever asks them.
                    lists[0].publish("v").await.unwrap();
                }
            }
            tokio::time::sleep(5 * config.cycle()).await;
            let lines = kept::take();
            for told in ["[[Swap Request]: 10.0.0.", "[[Swap Response]: 10.0.0."] {
                assert!(lines.iter().any(|line| line.starts_with(told)), "{wire:?}: {lines:?}");
            }
        }
    }
}
