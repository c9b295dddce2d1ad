//! The connections of one node: pooled, bounded, and none of them waits for another.
//!
//! Packets go out over connections that we dialled, one to each peer, each with a task and a
//! queue of its own; they come in over connections that others dialled, each with a task that
//! reads whole packets; what guards them is opened by the node. A connection that is not used for
//! a while is closed.
//!
//! **Limits.** At most [`OUT_MAX`] connections out, each with at most two of the largest packets
//! waiting; at most [`IN_MAX`] in, each with at most one packet that is being read, and
//! [`ARRIVALS_MAX`] read ones wait for the node. Whoever calls while all are taken gets the place
//! of the one that brought no packet for longest, so that silent callers keep nobody out. Dials,
//! reads and writes have deadlines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::stats::StreamStats;
use super::stream_frame::{Ending, framed, read_frame, read_hello, write_frame, write_hello};
use super::tcp::dial;
use crate::config::Config;
use crate::core::Packet;
use crate::wire::DATAGRAM_LEN_MAX;

/// Most connections that we make at a time.
const OUT_MAX: usize = 128;

/// Most connections that others make to us at a time.
const IN_MAX: usize = 128;

/// Most packets that wait for one peer.
const QUEUE_MAX: usize = 256;

/// Most packets that were read and wait for the node.
const ARRIVALS_MAX: usize = 16;

const DIAL_MAX: Duration = Duration::from_secs(3);

/// A connection of ours that is not used for so long is closed, and one of another's a while
/// later, so that the end that dialled is the one that closes.
const IDLE_MAX: Duration = Duration::from_secs(10);
const IDLE_IN_MAX: Duration = Duration::from_secs(15);

/// How long a node that leaves waits for its goodbyes to go out.
const FAREWELL_MAX: Duration = Duration::from_millis(500);

/// Pause after a failed accept, so that an error that stays doesn't occupy a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A packet that came by stream, still guarded.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Where the sender is reached.
    pub(crate) from: SocketAddr,
    /// What it sent.
    pub(crate) bytes: Vec<u8>,
}

/// The connections of one node. Dropped they are closed in a moment; see [`Streams::close`].
#[derive(Debug)]
pub(crate) struct Streams {
    bound: SocketAddr,
    /// At which others reach us.
    port: u16,
    frame_len_max: usize,
    peers: BTreeMap<SocketAddr, Peer>,
    /// How many packets were sent: what a peer was last used by.
    clock: u64,
    /// The packet that was encoded last: one may go to many.
    encoded: Option<(Arc<Packet>, Arc<Vec<u8>>)>,
    writers: JoinSet<()>,
    arrivals: mpsc::Receiver<Arrival>,
    /// Dropped or used it ends the acceptor.
    closing: Option<oneshot::Sender<()>>,
    acceptor: Option<JoinHandle<()>>,
    counters: Counters,
}

/// A peer that we have a connection to, or are making one.
#[derive(Debug)]
struct Peer {
    queue: mpsc::Sender<Arc<Vec<u8>>>,
    /// Bytes that are not written yet.
    waiting: Arc<AtomicUsize>,
    used: u64,
}

#[derive(Clone, Debug, Default)]
struct Counters(Arc<Mutex<StreamStats>>);

impl Counters {
    fn count(&self, change: impl FnOnce(&mut StreamStats)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn opened(&self) -> Open {
        self.count(|stats| stats.open += 1);
        Open(self.clone())
    }
}

/// An open connection, as long as it is counted as one.
struct Open(Counters);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.count(|stats| stats.open -= 1);
    }
}

impl Streams {
    /// Takes calls from now on.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn start(
        listener: TcpListener,
        bound: SocketAddr,
        port: u16,
        config: &Config,
    ) -> Self {
        let counters = Counters::default();
        let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let (closing, closed) = oneshot::channel();
        let frame_len_max = DATAGRAM_LEN_MAX + config.metadata_len_max();
        let counted = counters.clone();
        let caller = Caller { arrived, frame_len_max, counters: counted };
        let acceptor = Acceptor { listener, caller, seats: Vec::new() };
        Self {
            bound,
            port,
            frame_len_max,
            peers: BTreeMap::new(),
            clock: 0,
            encoded: None,
            writers: JoinSet::new(),
            arrivals,
            closing: Some(closing),
            acceptor: Some(tokio::spawn(acceptor.run(closed))),
            counters,
        }
    }

    /// The next packet that came; nothing is lost when the future is dropped.
    pub(crate) async fn receive(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// What was counted.
    pub(crate) fn stats(&self) -> StreamStats {
        let mut stats = StreamStats::default();
        self.counters.count(|counted| stats = *counted);
        stats
    }

    /// Puts a packet in the queue of a peer, which is dialled if need be. Never waits: what the
    /// limits have no room for is dropped and counted.
    pub(crate) fn send(
        &mut self,
        to: SocketAddr,
        packet: &Arc<Packet>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        // Tasks that have ended; one that panicked took only its own connection along.
        while self.writers.try_join_next().is_some() {}
        let frame = self.frame(packet, encode);
        self.clock += 1;
        let used = self.clock;
        let (room, len) = (2 * self.frame_len_max, frame.len());
        let sent = self.peer(to).is_some_and(|peer| {
            peer.used = used;
            let fits = peer.waiting.load(Ordering::Relaxed) + len <= room;
            fits && peer.queue.try_reserve().is_ok_and(|place| {
                peer.waiting.fetch_add(len, Ordering::Relaxed);
                place.send(frame);
                true
            })
        });
        if !sent {
            self.counters.count(|stats| stats.dropped_over_limit += 1);
        }
    }

    fn frame(&mut self, packet: &Arc<Packet>, encode: impl FnOnce(&mut Vec<u8>)) -> Arc<Vec<u8>> {
        if let Some((last, frame)) = &self.encoded
            && Arc::ptr_eq(last, packet)
        {
            return Arc::clone(frame);
        }
        let frame = Arc::new(framed(encode));
        self.encoded = Some((Arc::clone(packet), Arc::clone(&frame)));
        frame
    }

    /// The peer at this address, if there is room for another.
    fn peer(&mut self, to: SocketAddr) -> Option<&mut Peer> {
        if self.peers.get(&to).is_none_or(|peer| peer.queue.is_closed()) {
            self.peers.retain(|_, peer| !peer.queue.is_closed());
            if self.peers.len() == OUT_MAX {
                let idle = |peer: &Peer| peer.waiting.load(Ordering::Relaxed) == 0;
                let idle = self.peers.iter().filter(|(_, peer)| idle(peer));
                let oldest = idle.min_by_key(|(_, peer)| peer.used).map(|(&addr, _)| addr)?;
                self.peers.remove(&oldest);
            }
            let peer = self.call(to);
            self.peers.insert(to, peer);
        }
        self.peers.get_mut(&to)
    }

    fn call(&mut self, to: SocketAddr) -> Peer {
        let (queue, frames) = mpsc::channel(QUEUE_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let (bound, port, counters) = (self.bound, self.port, self.counters.clone());
        let sink = Writer { to, bound, port, frames, waiting: Arc::clone(&waiting), counters };
        self.writers.spawn(sink.run());
        Peer { queue, waiting, used: 0 }
    }

    /// Sends what is queued, as far as that is quickly done.
    pub(crate) async fn finish(&mut self) {
        self.peers.clear();
        let all = async { while self.writers.join_next().await.is_some() {} };
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
        if let Some(acceptor) = self.acceptor.take()
            && let Err(error) = acceptor.await
        {
            tracing::error!(%error, "the task that takes calls did not end by itself");
        }
    }
}

/// The task of one connection that we make.
struct Writer {
    to: SocketAddr,
    bound: SocketAddr,
    port: u16,
    frames: mpsc::Receiver<Arc<Vec<u8>>>,
    waiting: Arc<AtomicUsize>,
    counters: Counters,
}

impl Writer {
    async fn run(mut self) {
        if let Err(error) = self.write_all().await {
            tracing::debug!(to = %self.to, %error, "a connection failed");
        }
        self.frames.close();
        let mut dropped = 0;
        while self.frames.try_recv().is_ok() {
            dropped += 1;
        }
        self.counters.count(|stats| stats.dropped_by_failure += dropped);
    }

    async fn write_all(&mut self) -> std::io::Result<()> {
        let dialled = match dial(self.bound, self.to, DIAL_MAX).await {
            Ok(mut stream) => write_hello(&mut stream, self.port).await.map(|()| stream),
            Err(error) => Err(error),
        };
        let mut stream = dialled.inspect_err(|_| {
            self.counters.count(|stats| stats.dial_errors += 1);
        })?;
        self.counters.count(|stats| stats.dialled += 1);
        let _open = self.counters.opened();
        while let Some(frame) = self.next(&mut stream).await {
            let written = write_frame(&mut stream, &frame).await;
            self.waiting.fetch_sub(frame.len(), Ordering::Relaxed);
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
            frame = self.frames.recv() => frame,
            // The other side never writes: it has closed, or is none of ours.
            _ = stream.read(&mut nothing) => None,
            () = sleep(IDLE_MAX) => None,
        }
    }
}

/// The task that takes calls, and has a task for each.
struct Acceptor {
    listener: TcpListener,
    caller: Caller,
    /// At most [`IN_MAX`].
    seats: Vec<Seat>,
}

/// A connection of another's.
struct Seat {
    task: AbortHandle,
    /// When it last brought a packet, counted in packets.
    brought: Arc<AtomicU64>,
}

impl Acceptor {
    async fn run(mut self, mut closed: oneshot::Receiver<()>) {
        let mut callers = JoinSet::new();
        let stamps = Arc::new(AtomicU64::new(1));
        loop {
            tokio::select! {
                biased;
                _ = &mut closed => break,
                Some(ended) = callers.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.seats.retain(|seat| seat.task.id() != id);
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => self.seat(stream, from, &stamps, &mut callers),
                    Err(error) => {
                        tracing::debug!(%error, "a call could not be taken");
                        self.caller.counters.count(|stats| stats.accept_errors += 1);
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        callers.shutdown().await;
    }

    fn seat(
        &mut self,
        stream: TcpStream,
        from: SocketAddr,
        stamps: &Arc<AtomicU64>,
        callers: &mut JoinSet<()>,
    ) {
        if self.seats.len() == IN_MAX {
            let brought = |&place: &usize| self.seats[place].brought.load(Ordering::Relaxed);
            let quietest = (0..IN_MAX).min_by_key(brought).expect("there are some");
            self.seats.swap_remove(quietest).task.abort();
            self.caller.counters.count(|stats| stats.evicted += 1);
        }
        self.caller.counters.count(|stats| stats.accepted += 1);
        let brought = Arc::new(AtomicU64::new(stamps.fetch_add(1, Ordering::Relaxed)));
        let stamp = Stamp { brought: Arc::clone(&brought), stamps: Arc::clone(stamps) };
        let task = callers.spawn(self.caller.clone().run(stream, from, stamp));
        self.seats.push(Seat { task, brought });
    }
}

/// Notes that a connection brought something.
struct Stamp {
    brought: Arc<AtomicU64>,
    stamps: Arc<AtomicU64>,
}

impl Stamp {
    fn renew(&self) {
        self.brought.store(self.stamps.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// The task of one connection that another made.
#[derive(Clone)]
struct Caller {
    arrived: mpsc::Sender<Arrival>,
    frame_len_max: usize,
    counters: Counters,
}

impl Caller {
    async fn run(self, mut stream: TcpStream, from: SocketAddr, stamp: Stamp) {
        let _open = self.counters.opened();
        let ending = self.read_all(&mut stream, from, &stamp).await;
        tracing::debug!(%from, %ending, "a connection ended");
        self.counters.count(|stats| match ending {
            Ending::Slow => stats.slow += 1,
            Ending::Foreign => stats.foreign += 1,
            Ending::TooLong(_) => stats.over_length += 1,
            Ending::Closed | Ending::Idle | Ending::Broken(_) => {}
        });
    }

    async fn read_all(&self, stream: &mut TcpStream, from: SocketAddr, stamp: &Stamp) -> Ending {
        let from = match read_hello(stream).await {
            Ok(port) => SocketAddr::new(from.ip().to_canonical(), port),
            Err(ending) => return ending,
        };
        let mut buffer = Vec::new();
        loop {
            let read = read_frame(stream, IDLE_IN_MAX, self.frame_len_max, &mut buffer).await;
            if let Err(ending) = read {
                return ending;
            }
            stamp.renew();
            self.counters.count(|stats| {
                stats.received += 1;
                stats.received_bytes += buffer.len() as u64;
            });
            let arrival = Arrival { from, bytes: std::mem::take(&mut buffer) };
            if self.arrived.send(arrival).await.is_err() {
                return Ending::Closed;
            }
        }
    }
}
