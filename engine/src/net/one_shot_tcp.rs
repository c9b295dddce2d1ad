//! Packets that travel on a connection each, as pekonode sends them over TCP.
//!
//! There such a connection carries one packet, without a length: it is written in one piece,
//! because a Go node reads once, and ends when the sender closes.
//!
//! **Limits.** At most [`OPEN_MAX`] connections are open at a time, at most [`OPEN_OF_ONE_MAX`] of
//! them to one peer, and of what waits for a place there is a limit for each peer and for all.
//! A packet that did not go out within [`DELIVERY_MAX`] is dropped: a beat that comes late would
//! say of a node that is gone that it is alive. So a peer that hangs costs its own packets only.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::complaints::Complaint;
use super::stream::{Counters, StreamArrival};
use super::stream_frame::{Ending, read_to_end};
use super::stream_in::{InboundConn, MeteredStream};
use super::tcp::dial;
use crate::pekonode::LegacyPacket;
use crate::wire;

/// Most connections that are open at a time, or being made.
const OPEN_MAX: usize = 128;

/// Most of them to one peer.
const OPEN_OF_ONE_MAX: usize = 4;

/// Most packets to one peer, those that wait included.
const PACKETS_OF_ONE_MAX: usize = 64;

/// Most packets at all, those that wait included.
const PACKETS_MAX: usize = 2_048;

/// From when a packet is to be sent until it is out.
const DELIVERY_MAX: Duration = Duration::from_secs(3);

/// What is on its way out.
#[derive(Debug)]
pub(super) struct OneShotTcp {
    under_way: JoinSet<()>,
    open: Arc<Semaphore>,
    /// The places of each peer: every packet under way holds one of these.
    peers: BTreeMap<SocketAddr, Arc<Semaphore>>,
    segment_len_max: usize,
    counters: Counters,
}

impl OneShotTcp {
    pub(super) fn new(segment_len_max: usize, counters: Counters) -> Self {
        let open = Arc::new(Semaphore::new(OPEN_MAX));
        let peers = BTreeMap::new();
        Self { under_way: JoinSet::new(), open, peers, segment_len_max, counters }
    }

    /// Sends a packet on a connection of its own. Never waits: what the limits have no room for is
    /// dropped and counted.
    pub(super) fn send(&mut self, to: SocketAddr, packet: Vec<u8>) {
        self.counters.reap_senders(&mut self.under_way);
        self.peers.retain(|_, places| Arc::strong_count(places) > 1);
        let places = self.peers.entry(to);
        let places = places.or_insert_with(|| Arc::new(Semaphore::new(OPEN_OF_ONE_MAX)));
        let of_one = Arc::strong_count(places) - 1;
        if of_one == PACKETS_OF_ONE_MAX || self.under_way.len() == PACKETS_MAX {
            self.counters.count(|stats| stats.dropped_over_limit += 1);
            return;
        }
        let (places, open) = (Arc::clone(places), Arc::clone(&self.open));
        let (segment_len_max, counters) = (self.segment_len_max, self.counters.clone());
        let one_shot = OneShot { to, packet, segment_len_max, counters };
        self.under_way.spawn(one_shot.run(places, open));
    }

    /// Returns when all are out or have failed.
    pub(super) async fn finish(&mut self) {
        self.counters.all_senders(&mut self.under_way).await;
    }

    /// Drops what is not out.
    pub(super) async fn close(&mut self) {
        self.under_way.shutdown().await;
    }
}

/// One packet and its connection.
struct OneShot {
    to: SocketAddr,
    packet: Vec<u8>,
    segment_len_max: usize,
    counters: Counters,
}

impl OneShot {
    async fn run(self, places: Arc<Semaphore>, open: Arc<Semaphore>) {
        let deliver = async {
            let _place = places.acquire().await.map_err(std::io::Error::other)?;
            let _open = open.acquire().await.map_err(std::io::Error::other)?;
            self.deliver().await
        };
        let delivered = timeout(DELIVERY_MAX, deliver).await;
        let delivered = delivered.unwrap_or_else(|late| Err(late.into()));
        if let Err(error) = &delivered {
            tracing::debug!(to = %self.to, %error, "a packet was not delivered");
        }
        self.counters.count(|stats| match delivered {
            Ok(()) => {
                stats.sent += 1;
                stats.sent_bytes += self.packet.len() as u64;
            }
            Err(_) => stats.dropped_by_failure += 1,
        });
    }

    async fn deliver(&self) -> std::io::Result<()> {
        // Which address it comes from means nothing to a Go node, so the system picks one.
        let anywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let dialled = dial(anywhere, self.to, self.segment_len_max, DELIVERY_MAX).await;
        let mut stream = dialled.inspect_err(|_| {
            self.counters.count(|stats| stats.dial_errors += 1);
        })?;
        self.counters.count(|stats| stats.dialled += 1);
        let _open = self.counters.opened();
        stream.write_all(&self.packet).await?;
        stream.shutdown().await
    }
}

impl InboundConn<LegacyPacket> {
    /// One packet, and the end. What came counts even if the end did not come in time: a Go node
    /// needs no end either.
    pub(super) async fn read_one_shot(
        &self,
        stream: &mut MeteredStream,
        from: SocketAddr,
    ) -> Ending {
        let (bytes, ending) = read_to_end(stream, self.size).await;
        self.count_received(bytes.len());
        match wire::pekonode::decode(&bytes, self.size) {
            Ok(packet) => {
                // Nobody to tell is as good as the end.
                let _ = self.arrived.send(StreamArrival::Packet(from, packet, None)).await;
                Ending::Closed
            }
            Err(reason) => {
                self.counters.reject(reason);
                // Of one that brought nothing there is nothing to say.
                let complaint = Complaint::of(&bytes, self.size).filter(|_| !bytes.is_empty());
                if let Some(complaint) = complaint {
                    let _ = self.arrived.send(StreamArrival::NoPacket(complaint)).await;
                }
                ending
            }
        }
    }
}
