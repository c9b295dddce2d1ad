//! Datagrams on their way out: encoded once for all their receivers, dropped when the system
//! takes no more.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::timeout;

use super::dialect::Dialect;
use super::intercept::Intercepted;
use super::stats::NetStats;
use super::transport::Transport;
use crate::time::Now;
use crate::wire::{Guard, GuardAnswer};

/// Longest wait for room in the system's send queue, once for everything that goes out together.
const SEND_WAIT_MAX: Duration = Duration::from_millis(20);

/// Room for so many packets is kept, which is more than a rumor and its answers take.
const PACKETS_KEPT: usize = 32;

/// Packets on their way out, each encoded once for all its receivers.
pub(super) struct Outgoing<D: Dialect> {
    packets: Vec<(SocketAddr, Arc<D::Packet>)>,
    /// What the guard answers, which nobody stands between.
    answers: Vec<(SocketAddr, GuardAnswer)>,
    bytes: Vec<u8>,
    /// Where in `bytes` a packet stands, by the address of its allocation, which is kept alive so
    /// that no other packet gets it.
    encoded: FxHashMap<usize, (Arc<D::Packet>, Range<usize>)>,
}

impl<D: Dialect> Outgoing<D> {
    pub(super) fn new() -> Self {
        let (packets, answers, bytes) = (Vec::new(), Vec::new(), Vec::new());
        Self { packets, answers, bytes, encoded: FxHashMap::default() }
    }

    /// What waits, with whom it goes to.
    pub(super) fn packets(&self) -> &[(SocketAddr, Arc<D::Packet>)] {
        &self.packets
    }

    pub(super) fn push(&mut self, to: SocketAddr, packet: Arc<D::Packet>) {
        self.packets.push((to, packet));
    }

    pub(super) fn answer(&mut self, to: SocketAddr, answer: GuardAnswer) {
        self.answers.push((to, answer));
    }

    pub(super) async fn send(
        &mut self,
        now: Now,
        guard: &mut Guard,
        (socket, intercepted): (&Transport, Option<&Intercepted>),
        stats: &mut NetStats,
    ) {
        let mut patience = Patience::Left;
        let mut last = None;
        let mut packets = std::mem::take(&mut self.packets);
        for (to, packet) in packets.drain(..) {
            let this = (to, Arc::as_ptr(&packet) as usize);
            if last.replace(this) == Some(this) {
                // A copy in case that the first gets lost: under the same seal it is a duplicate,
                // and where it is read late it looks like an attack.
                self.encoded.remove(&this.1);
            }
            let range = self.encoded(now, guard, &packet);
            let bytes = &self.bytes[range.clone()];
            match (socket, intercepted, D::shown(&packet)) {
                (Transport::Udp(socket), Some(intercepted), Some(packet)) => {
                    intercepted.datagram(socket, to, packet, bytes);
                    stats.count_sent(bytes);
                }
                _ => send_counted(socket, bytes, to, &mut patience, stats).await,
            }
            if is_sole(&packet) {
                self.bytes.truncate(range.start);
            }
        }
        packets.shrink_to(PACKETS_KEPT);
        self.packets = packets;
        self.bytes.clear();
        self.encoded.clear();
        for (to, answer) in self.answers.drain(..) {
            guard.encode_answer(now, &answer, &mut self.bytes);
            send_counted(socket, &self.bytes, to, &mut patience, stats).await;
            self.bytes.clear();
        }
    }

    /// Where in `bytes` the packet stands.
    fn encoded(&mut self, now: Now, guard: &mut Guard, packet: &Arc<D::Packet>) -> Range<usize> {
        let bytes = &mut self.bytes;
        let mut encode = || {
            let start = bytes.len();
            D::encode(guard, now, packet, bytes);
            start..bytes.len()
        };
        if is_sole(packet) {
            return encode();
        }
        let encoded = self.encoded.entry(Arc::as_ptr(packet) as usize);
        encoded.or_insert_with(|| (Arc::clone(packet), encode())).1.clone()
    }
}

/// True for a packet that nobody else gets: there is no need to remember where it stands.
fn is_sole<P>(packet: &Arc<P>) -> bool {
    Arc::strong_count(packet) == 1
}

/// Whether a full send queue is still waited for.
enum Patience {
    Left,
    Gone,
}

async fn send_counted(
    socket: &Transport,
    bytes: &[u8],
    to: SocketAddr,
    patience: &mut Patience,
    stats: &mut NetStats,
) {
    match send(socket, bytes, to, patience).await {
        Ok(()) => stats.count_sent(bytes),
        Err(error) => {
            tracing::debug!(%to, %error, "a datagram was not sent");
            stats.send_errors += 1;
        }
    }
}

/// A queue that stays full must not hold up beats: after one wait the rest is dropped, which the
/// protocol takes for loss.
async fn send(
    socket: &Transport,
    bytes: &[u8],
    to: SocketAddr,
    patience: &mut Patience,
) -> std::io::Result<()> {
    match (socket.try_send(bytes, to), &patience) {
        (Err(error), Patience::Left) if error.kind() == ErrorKind::WouldBlock => {
            let sent = timeout(SEND_WAIT_MAX, socket.send(bytes, to)).await;
            sent.unwrap_or_else(|_| {
                *patience = Patience::Gone;
                Err(error)
            })
        }
        (sent, _) => sent,
    }
}

#[cfg(test)]
mod tests {
    use super::super::intercept::tests::Keeper;
    use super::super::transport::Environment;
    use super::*;
    use crate::config::Config;
    use crate::core::packet::{Body, LastCall};
    use crate::core::{AgeStep, Engine, Packet};
    use crate::node::Node;
    use crate::pekonode;
    use crate::time::{Instant, UnixNanos};
    use crate::wire;

    const NOW: Now = Now { mono: Instant::ZERO, wall: UnixNanos(1 << 60) };

    fn guard() -> Guard {
        let addr = "10.0.0.5:8000".parse().unwrap();
        let run = wire::Run { addr, random: [0; 8], now: NOW };
        Guard::new(&Config::default(), &run)
    }

    async fn received(socket: &Transport) -> Vec<u8> {
        let mut buffer = [0; 500];
        loop {
            socket.readable().await.unwrap();
            if let Ok((len, ..)) = socket.try_receive(&mut buffer) {
                return buffer[..len].to_vec();
            }
        }
    }

    fn socket() -> (Transport, SocketAddr) {
        let addr = "127.0.0.1:0".parse().unwrap();
        let ports = Environment::System.bind(&Config::default(), addr, 1 << 16).unwrap();
        (ports.socket.unwrap(), ports.bound)
    }

    #[tokio::test]
    async fn a_packet_is_encoded_once_for_all_and_what_cannot_be_sent_is_counted() {
        let (from, to) = (socket(), [socket(), socket()]);
        let packets =
            [1, 2].map(|step| Packet::new(AgeStep(step), Body::LastCall(LastCall::default())));
        let [first, second] = packets.clone().map(Arc::new);
        let mut outgoing = Outgoing::<Engine>::new();
        let unreachable = "[::1]:9".parse().unwrap();
        for to in [to[0].1, unreachable, to[1].1] {
            outgoing.push(to, Arc::clone(&first));
            outgoing.push(to, Arc::clone(&second));
        }
        let mut stats = NetStats::default();
        outgoing.send(NOW, &mut guard(), (&from.0, None), &mut stats).await;
        let len = (wire::encoded_len(&first) + Config::CHECKSUM_LEN) as u64;
        assert_eq!((stats.sent, stats.sent_bytes, stats.send_errors), (4, 4 * len, 2));
        for (to, _) in &to {
            for packet in &packets {
                let decoded = guard().decode(NOW, &mut received(to).await);
                assert_eq!(decoded, Ok(packet.clone()));
            }
        }
        assert!(outgoing.packets.is_empty() && outgoing.bytes.is_empty());
    }

    #[tokio::test]
    async fn a_copy_for_the_same_node_has_a_seal_of_its_own() {
        let (from, to) = (socket(), socket());
        let config = Config::builder().secret_key("secret").build().unwrap();
        let [mut ours, mut theirs] = [5, 6].map(|host| {
            let addr = ([10, 0, 0, host], 8000).into();
            Guard::new(&config, &wire::Run { addr, random: [host; 8], now: NOW })
        });
        let body = Body::LastCall(LastCall::default());
        let packet = Arc::new(Packet::new(AgeStep(1), body));
        let mut outgoing = Outgoing::<Engine>::new();
        for _ in 0..3 {
            outgoing.push(to.1, Arc::clone(&packet));
        }
        let mut stats = NetStats::default();
        outgoing.send(NOW, &mut ours, (&from.0, None), &mut stats).await;
        for copy in 0..3 {
            let decoded = theirs.decode(NOW, &mut received(&to.0).await);
            assert_eq!(decoded.as_ref(), Ok(&*packet), "copy {copy}");
        }
    }

    #[tokio::test]
    async fn a_packet_that_one_node_gets_takes_room_until_it_is_sent() {
        let (from, to) = (socket(), socket());
        let mut outgoing = Outgoing::<Engine>::new();
        for _ in 0..100 {
            let body = Body::LastCall(LastCall::default());
            outgoing.push(to.1, Packet::new(AgeStep(1), body).into());
        }
        let mut stats = NetStats::default();
        outgoing.send(NOW, &mut guard(), (&from.0, None), &mut stats).await;
        let room = outgoing.bytes.capacity() as u64;
        assert!(stats.sent == 100 && room < stats.sent_bytes / 10, "{room} of {stats:?}");
    }

    #[tokio::test]
    async fn packets_of_another_wire_pass_by_an_interceptor_which_has_all_others() {
        let (from, to) = (socket(), socket());
        let keeper = Arc::new(Keeper::default());
        let intercepted = Intercepted::new(Arc::clone(&keeper) as Arc<_>, Config::CHECKSUM_LEN);
        let mut stats = NetStats::default();
        let mut outgoing = Outgoing::<pekonode::LegacyEngine>::new();
        let packet = pekonode::LegacyPacket {
            node: Node::at(from.1),
            infected: [].into(),
            metadata: pekonode::Carried::NONE,
            kind: pekonode::Kind::Beat,
            secret_key: pekonode::SecretDigest::default(),
        };
        outgoing.push(to.1, packet.clone().into());
        outgoing.send(NOW, &mut guard(), (&from.0, Some(&intercepted)), &mut stats).await;
        assert!(keeper.0.lock().unwrap().is_empty());
        let mut bytes = Vec::new();
        wire::pekonode::encode(&packet, &mut bytes);
        assert_eq!(received(&to.0).await, bytes);
        let mut outgoing = Outgoing::<Engine>::new();
        let body = Body::LastCall(LastCall::default());
        outgoing.push(to.1, Packet::new(AgeStep(1), body).into());
        outgoing.send(NOW, &mut guard(), (&from.0, Some(&intercepted)), &mut stats).await;
        assert_eq!((keeper.0.lock().unwrap().len(), stats.sent), (1, 2));
    }

    #[test]
    fn a_shared_packet_takes_room_once() {
        let packet = Arc::new(Packet::new(AgeStep(1), Body::LastCall(LastCall::default())));
        let mut outgoing = Outgoing::<Engine>::new();
        let guard = &mut guard();
        let shared = Arc::clone(&packet);
        let first = outgoing.encoded(NOW, guard, &packet);
        assert_eq!(outgoing.encoded(NOW, guard, &shared), first);
        assert_eq!(outgoing.bytes.len(), wire::encoded_len(&packet) + Config::CHECKSUM_LEN);
    }
}
