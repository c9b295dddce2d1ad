//! The connections of one node: pooled, bounded, and none of them waits for another.
//!
//! Packets go out over connections that we dialled, one to each peer, each with a task and a
//! queue of its own; they come in over connections that others dialled, each with a task of its
//! own as well, as `stream_in.rs` has it. These tasks seal and open, so that a large value keeps
//! no other packet waiting. A connection that is not used for a while is closed. Among pekonode
//! nodes each packet has a connection of its own, as `one_shot_tcp.rs` has it.
//!
//! **Limits.** At most [`OUT_MAX`] connections out, each with at most two of the largest packets
//! waiting and one being sealed; at most `IN_MAX` in, each with at most one packet that is being
//! read, and [`ARRIVALS_MAX`] read ones wait for the node. Dials, reads and writes have deadlines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::clock::random;
use super::complaints::Complaint;
use super::contacts::Trial;
use super::dialect::Dialect;
use super::one_shot_tcp::OneShotTcp;
use super::presence::panic_with;
use super::stats::{Rejected, StreamStats};
use super::stream_frame::{Ending, framed, read_answer, write_whole};
use super::stream_in::{Acceptor, InboundConn, Ticket};
use super::tcp::dial;
use crate::config::Config;
use crate::core::Packet;
use crate::wire::{self, DATAGRAM_LEN_MAX, Keyring, StreamGuard, StreamSealer};

/// Most connections that we make at a time.
const OUT_MAX: usize = 128;

/// Most packets that wait for one peer.
const QUEUE_MAX: usize = 256;

/// Most packets that were read and wait for the node.
const ARRIVALS_MAX: usize = 16;

const DIAL_MAX: Duration = Duration::from_secs(3);

/// A connection of ours that is not used for so long is closed; those of others are kept a while
/// longer, so that the end that dialled is the one that closes.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// How long a call that is to show no more than that it is taken waits for the other to hang up.
const TRIAL_MAX: Duration = Duration::from_millis(500);

/// How long a node that leaves waits for its goodbyes to go out.
const FAREWELL_MAX: Duration = Duration::from_millis(500);

/// What came by stream.
#[derive(Debug)]
pub(crate) enum StreamArrival<P> {
    /// A caller has said where it is reached. Whoever knows it as a member is to say so.
    Called(SocketAddr, Ticket),
    /// A packet, where it came from, and the sender's place if that is where it is reached.
    Packet(SocketAddr, P, Option<Ticket>),
    /// No packet, for this reason.
    NoPacket(Complaint),
    /// None: a connection that we made or were to make to this address failed.
    Failed(SocketAddr),
}

/// The connections of one node. Dropped they are closed in a moment; see [`Streams::close`].
#[derive(Debug)]
pub(crate) struct Streams<P> {
    bound: SocketAddr,
    /// At which others reach us.
    port: u16,
    packet_len_max: usize,
    segment_len_max: usize,
    guard: watch::Sender<StreamGuard>,
    peers: BTreeMap<SocketAddr, OutboundPeer>,
    /// How many packets were sent: what a peer was last used by.
    clock: u64,
    /// The packet that was encoded last: one may go to many.
    encoded: Option<(Arc<P>, Arc<Vec<u8>>)>,
    writers: JoinSet<()>,
    /// What goes out on connections of its own.
    one_shots: OneShotTcp,
    arrivals: mpsc::Receiver<StreamArrival<P>>,
    /// For those who send: who takes calls keeps the way open.
    failed: mpsc::WeakSender<StreamArrival<P>>,
    /// Dropped or used it ends the acceptor.
    closing: Option<oneshot::Sender<()>>,
    acceptor: Option<JoinHandle<()>>,
    counters: Counters,
}

/// A peer that we have a connection to, or are making one.
#[derive(Debug)]
struct OutboundPeer {
    queue: mpsc::Sender<Arc<Vec<u8>>>,
    /// Bytes that are not written yet.
    waiting: Arc<AtomicUsize>,
    used: u64,
}

/// What all tasks of the connections count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Arc<Mutex<(StreamStats, Rejected)>>);

impl Counters {
    pub(super) fn count(&self, change: impl FnOnce(&mut StreamStats)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).0);
    }

    pub(super) fn reject(&self, reason: wire::Reject) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.count(reason);
    }

    /// Notes the end of a connection's task: one that panicked took only its own connection along,
    /// and counts as what `change` says.
    pub(super) fn ended(
        &self,
        ended: &Result<(), JoinError>,
        change: impl FnOnce(&mut StreamStats),
    ) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(%error, "the task of a connection panicked");
            self.count(change);
        }
    }

    /// Notes the ends of those who send, as far as they have ended.
    pub(super) fn reap_senders(&self, senders: &mut JoinSet<()>) {
        while let Some(ended) = senders.try_join_next() {
            self.sender_ended(&ended);
        }
    }

    /// Waits for the ends of all who send, and notes them.
    pub(super) async fn all_senders(&self, senders: &mut JoinSet<()>) {
        while let Some(ended) = senders.join_next().await {
            self.sender_ended(&ended);
        }
    }

    fn sender_ended(&self, ended: &Result<(), JoinError>) {
        self.ended(ended, |stats| stats.dropped_by_failure += 1);
    }

    pub(super) fn opened(&self) -> OpenConn {
        self.count(|stats| stats.open += 1);
        OpenConn(self.clone())
    }
}

/// An open connection, as long as it is counted as one.
pub(super) struct OpenConn(Counters);

impl Drop for OpenConn {
    fn drop(&mut self) {
        self.0.count(|stats| stats.open -= 1);
    }
}

impl<P: Clone + Send + 'static> Streams<P> {
    /// Takes calls from now on.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn start<D: Dialect<Packet = P>>(
        listener: TcpListener,
        bound: SocketAddr,
        port: u16,
        config: &Config,
        guard: StreamGuard,
    ) -> Self {
        let (guard, guards) = watch::channel(guard);
        let counters = Counters::default();
        let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let (closing, closed) = oneshot::channel();
        let value_len_max = config.transfer_len_max();
        let failed = arrived.downgrade();
        let (size, counted) = (config.size(), counters.clone());
        let conn = InboundConn { arrived, guard: guards, size, value_len_max, counters: counted };
        let acceptor = Acceptor::new(listener, conn, D::CALLS);
        Self {
            bound,
            port,
            packet_len_max: DATAGRAM_LEN_MAX + value_len_max,
            segment_len_max: config.segment_len_max(),
            guard,
            peers: BTreeMap::new(),
            clock: 0,
            encoded: None,
            writers: JoinSet::new(),
            one_shots: OneShotTcp::new(config.segment_len_max(), counters.clone()),
            arrivals,
            failed,
            closing: Some(closing),
            acceptor: Some(tokio::spawn(acceptor.run::<D>(closed))),
            counters,
        }
    }

    /// The next packet that came; nothing is lost when the future is dropped.
    ///
    /// # Panics
    /// When the task that takes calls has: a node that takes none any more is no node.
    pub(crate) async fn receive(&mut self) -> Option<StreamArrival<P>> {
        let arrival = self.arrivals.recv().await;
        if arrival.is_none()
            && let Some(acceptor) = &mut self.acceptor
        {
            let ended = acceptor.await;
            self.acceptor = None;
            panic_with(ended);
        }
        arrival
    }

    /// What was counted, and what was refused.
    pub(crate) fn stats(&self) -> (StreamStats, Rejected) {
        *self.counters.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses these secrets from now on: what is queued still goes out as it began, and then the
    /// connections that we made end, for each was made with the secret that sealed then.
    pub(crate) fn use_keys(&mut self, keyring: &Keyring) {
        self.guard.send_modify(|guard| guard.use_keys(keyring));
        self.peers.clear();
    }

    /// Puts an encoded packet in the queue of a peer, which is dialled if need be. Never waits:
    /// what the limits have no room for is dropped and counted.
    pub(crate) fn queue(&mut self, to: SocketAddr, encoded: Arc<Vec<u8>>) {
        self.counters.reap_senders(&mut self.writers);
        self.clock += 1;
        let used = self.clock;
        let (room, len) = (2 * self.packet_len_max, encoded.len());
        let sent = self.peer(to).is_some_and(|peer| {
            peer.used = used;
            let fits = peer.waiting.load(Ordering::Relaxed) + len <= room;
            fits && peer.queue.try_reserve().is_ok_and(|place| {
                peer.waiting.fetch_add(len, Ordering::Relaxed);
                place.send(encoded);
                true
            })
        });
        if !sent {
            self.counters.count(|stats| stats.dropped_over_limit += 1);
        }
    }

    /// Sends the bytes of a packet on a connection of their own. Never waits either.
    pub(crate) fn post(&mut self, to: SocketAddr, packet: Vec<u8>) {
        self.one_shots.send(to, packet);
    }

    /// The peer at this address, if there is room for another.
    fn peer(&mut self, to: SocketAddr) -> Option<&mut OutboundPeer> {
        if self.peers.get(&to).is_none_or(|peer| peer.queue.is_closed()) {
            self.peers.retain(|_, peer| !peer.queue.is_closed());
            if self.peers.len() == OUT_MAX {
                let idle = |peer: &OutboundPeer| peer.waiting.load(Ordering::Relaxed) == 0;
                let idle = self.peers.iter().filter(|(_, peer)| idle(peer));
                let oldest = idle.min_by_key(|(_, peer)| peer.used).map(|(&addr, _)| addr)?;
                self.peers.remove(&oldest);
            }
            let peer = self.call(to);
            self.peers.insert(to, peer);
        }
        self.peers.get_mut(&to)
    }

    /// Calls a node to see what comes of that, and sends it nothing.
    pub(crate) fn try_out(&self, to: SocketAddr) -> impl Future<Output = Trial> + use<P> {
        self.line(to).try_out()
    }

    fn line(&self, to: SocketAddr) -> OutboundDial {
        OutboundDial {
            to,
            bound: self.bound,
            port: self.port,
            segment_len_max: self.segment_len_max,
            guard: self.guard.borrow().clone(),
        }
    }

    fn call(&mut self, to: SocketAddr) -> OutboundPeer {
        let (queue, packets) = mpsc::channel(QUEUE_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = ConnWriter {
            line: self.line(to),
            packets,
            waiting: Arc::clone(&waiting),
            failed: self.failed.clone(),
            counters: self.counters.clone(),
        };
        self.writers.spawn(writer.run());
        OutboundPeer { queue, waiting, used: 0 }
    }

    /// Sends what is queued, as far as that is quickly done.
    pub(crate) async fn finish(&mut self) {
        self.peers.clear();
        let all = async {
            self.counters.all_senders(&mut self.writers).await;
            self.one_shots.finish().await;
        };
        if timeout(FAREWELL_MAX, all).await.is_err() {
            tracing::debug!("not all goodbyes went out in time");
        }
    }

    /// Closes everything; when this returns the port is free.
    pub(crate) async fn close(&mut self) {
        self.peers.clear();
        self.closing = None;
        self.arrivals.close();
        self.writers.shutdown().await;
        self.one_shots.close().await;
        if let Some(acceptor) = self.acceptor.take()
            && let Err(error) = acceptor.await
            && error.is_panic()
        {
            tracing::error!(%error, "the task that takes calls panicked");
        }
    }
}

impl Streams<Packet> {
    /// Puts a packet in the queue of a peer.
    pub(crate) fn send(&mut self, to: SocketAddr, packet: &Arc<Packet>) {
        let encoded = self.encoded(packet);
        self.queue(to, encoded);
    }

    fn encoded(&mut self, packet: &Arc<Packet>) -> Arc<Vec<u8>> {
        if let Some((last, encoded)) = &self.encoded
            && Arc::ptr_eq(last, packet)
        {
            return Arc::clone(encoded);
        }
        let mut encoded = Vec::with_capacity(wire::encoded_len(packet));
        wire::encode(packet, &mut encoded);
        let encoded = Arc::new(encoded);
        self.encoded = Some((Arc::clone(packet), Arc::clone(&encoded)));
        encoded
    }
}

/// What it takes to make a connection.
struct OutboundDial {
    to: SocketAddr,
    bound: SocketAddr,
    port: u16,
    segment_len_max: usize,
    guard: StreamGuard,
}

impl OutboundDial {
    /// Dials, and agrees with the other end on what guards the packets.
    async fn connect(&self) -> Result<(TcpStream, StreamSealer), Ending> {
        let mut stream = dial(self.bound, self.to, self.segment_len_max, DIAL_MAX).await?;
        let (sealer, _) = self.greet(&mut stream).await?;
        Ok((stream, sealer))
    }

    /// Says who calls, and gives what the other end answered in how many bytes.
    async fn greet(&self, stream: &mut TcpStream) -> Result<(StreamSealer, usize), Ending> {
        let call = self.guard.dial(self.port, random().map_err(std::io::Error::other)?);
        write_whole(stream, &call.hello()).await?;
        let answer = read_answer(stream, call.answer_len()).await?;
        let sealer = call.answered(&answer).map_err(Ending::Refused)?;
        Ok((sealer, answer.len()))
    }

    async fn try_out(self) -> Trial {
        let Ok(mut stream) = dial(self.bound, self.to, self.segment_len_max, DIAL_MAX).await else {
            return Trial::NotTaken;
        };
        match self.greet(&mut stream).await {
            // Where nothing is answered whoever does not want the call hangs up.
            Ok((_, 0)) => match timeout(TRIAL_MAX, stream.read(&mut [0])).await {
                Ok(_) => Trial::HungUp,
                Err(_) => Trial::Taken,
            },
            Ok(_) => Trial::Taken,
            Err(Ending::Slow) => Trial::NotTaken,
            Err(_) => Trial::HungUp,
        }
    }
}

/// The task of one connection that we make.
struct ConnWriter<P> {
    line: OutboundDial,
    packets: mpsc::Receiver<Arc<Vec<u8>>>,
    waiting: Arc<AtomicUsize>,
    failed: mpsc::WeakSender<StreamArrival<P>>,
    counters: Counters,
}

impl<P> ConnWriter<P> {
    async fn run(mut self) {
        if let Err(ending) = self.write_all().await {
            tracing::debug!(to = %self.line.to, %ending, "a connection failed");
            // Where there is no room for it, the node waits as long as it does for any answer.
            if let Some(failed) = self.failed.upgrade() {
                let _ = failed.try_send(StreamArrival::Failed(self.line.to));
            }
        }
        self.packets.close();
        let mut dropped = 0;
        while self.packets.try_recv().is_ok() {
            dropped += 1;
        }
        self.counters.count(|stats| stats.dropped_by_failure += dropped);
    }

    async fn write_all(&mut self) -> Result<(), Ending> {
        let (mut stream, mut sealer) = self.line.connect().await.inspect_err(|ending| {
            if let Ending::Refused(reason) = ending {
                self.counters.reject(*reason);
            }
            self.counters.count(|stats| stats.dial_errors += 1);
        })?;
        self.counters.count(|stats| stats.dialled += 1);
        let _open = self.counters.opened();
        while let Some(packet) = self.next(&mut stream).await {
            let frame = framed(|out| sealer.seal(&packet, out));
            let written = write_whole(&mut stream, &frame).await;
            self.waiting.fetch_sub(packet.len(), Ordering::Relaxed);
            self.counters.count(|stats| match written {
                Ok(()) => {
                    stats.sent += 1;
                    stats.sent_bytes += frame.len() as u64;
                }
                Err(_) => stats.dropped_by_failure += 1,
            });
            written?;
        }
        Ok(())
    }

    /// What to write next; `None` when the connection is to end.
    async fn next(&mut self, stream: &mut TcpStream) -> Option<Arc<Vec<u8>>> {
        let mut nothing = [0];
        tokio::select! {
            packet = self.packets.recv() => packet,
            // The other side writes nothing more: it has closed, or is none of ours.
            _ = stream.read(&mut nothing) => None,
            () = sleep(IDLE_MAX) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::presence::caught;
    use super::super::tcp::Ports;
    use super::*;
    use crate::config::TransportKind;
    use crate::core::packet::{Body, LastCall};
    use crate::core::{AgeStep, Engine};

    fn streams() -> Streams<Packet> {
        let config = Config::builder().protocol(TransportKind::Tcp).build().unwrap();
        let ports = Ports::bind(&config, "127.0.0.1:0".parse().unwrap(), 0).unwrap();
        let guard = StreamGuard::with_keyring(&config, None);
        Streams::start::<Engine>(ports.listener.unwrap(), ports.bound, 1, &config, guard)
    }

    #[tokio::test]
    async fn a_connection_whose_task_panicked_takes_no_other_along_and_is_counted() {
        let mut streams = streams();
        streams.writers.spawn(async { panic!("one of many") });
        streams.writers.spawn(async {});
        streams.writers.spawn(std::future::pending()).abort();
        tokio::task::yield_now().await;
        streams.finish().await;
        assert_eq!(streams.stats().0.dropped_by_failure, 1);
        streams.close().await;
    }

    #[tokio::test]
    async fn whoever_is_not_reached_is_told_of() {
        let mut streams = streams();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = taken.local_addr().unwrap();
        drop(taken);
        let body = Body::LastCall(LastCall::default());
        streams.send(nobody, &Arc::new(Packet::new(AgeStep(1), body)));
        let told = timeout(2 * DIAL_MAX, streams.receive()).await.expect("it is told");
        assert!(matches!(told, Some(StreamArrival::Failed(to)) if to == nobody), "{told:?}");
        streams.close().await;
    }

    #[tokio::test]
    async fn a_node_does_not_live_on_without_the_task_that_takes_calls() {
        let mut streams = streams();
        let acceptor = tokio::spawn(async { panic!("no more calls") });
        streams.acceptor.replace(acceptor).unwrap().abort();
        let ended = caught(streams.receive()).await;
        assert_eq!(ended.err().as_deref(), Some("no more calls"));
        streams.close().await;
    }
}
