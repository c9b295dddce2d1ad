//! The connections that others make to us: so many and no more, and each may only wait for itself.
//!
//! **Limits.** At most [`IN_MAX`], each with at most one packet that is being read. Whoever calls
//! while all are taken gets the place of the one that brought no packet for longest, so that silent
//! callers keep nobody out. Until a caller has said who it is, and with a secret has proved that it
//! holds it, it costs its place and a few bytes; what it begins must come in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::sleep;

use super::clock::random;
use super::stream::{Arrival, Counters};
use super::stream_frame::{Ending, read_frame, read_hello, read_to_end, write_whole};
use crate::core::Packet;
use crate::wire::{self, DATAGRAM_LEN_MAX, StreamEnd, StreamGuard, StreamOpener};

/// Most connections that others make to us at a time.
pub(super) const IN_MAX: usize = 128;

/// A connection of another's on which nothing comes for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// Pause after a failed accept, so that an error that stays doesn't occupy a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The task that takes calls, and has a task for each.
pub(super) struct Acceptor {
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
    pub(super) fn new(listener: TcpListener, caller: Caller) -> Self {
        Self { listener, caller, seats: Vec::new() }
    }

    /// Takes calls until told to end, and then ends them all.
    pub(super) async fn run(mut self, mut closed: oneshot::Receiver<()>) {
        let mut callers = JoinSet::new();
        let stamps = Arc::new(AtomicU64::new(1));
        loop {
            tokio::select! {
                biased;
                _ = &mut closed => break,
                Some(ended) = callers.join_next_with_id() => {
                    let id = ended.as_ref().map_or_else(JoinError::id, |&(id, ())| id);
                    self.caller.counters.ended(&ended.map(drop), |stats| stats.broken += 1);
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
pub(super) struct Caller {
    pub(super) arrived: mpsc::Sender<Arrival>,
    pub(super) speech: Speech,
    pub(super) counters: Counters,
}

/// What stands on the connections that others make.
#[derive(Clone)]
pub(super) enum Speech {
    /// Any number of packets of ours, each behind its length, guarded by what is set now; a
    /// metadata value of this length may be in one.
    Native { guard: watch::Receiver<StreamGuard>, value_len_max: usize },
    /// One packet of pekonode that is shorter than `size`, and the end.
    Pekonode { size: usize },
}

impl Caller {
    async fn run(self, mut stream: TcpStream, from: SocketAddr, stamp: Stamp) {
        let _open = self.counters.opened();
        let ending = match &self.speech {
            Speech::Native { guard, value_len_max } => match self.greet(guard, &mut stream).await {
                Ok(opener) => {
                    let from = SocketAddr::new(from.ip().to_canonical(), opener.port());
                    let mut read = Reading { from, opener, guard, value_len_max: *value_len_max };
                    self.read_all(&mut stream, &mut read, &stamp).await
                }
                Err(ending) => ending,
            },
            Speech::Pekonode { size } => self.read_letter(&mut stream, *size).await,
        };
        tracing::debug!(%from, %ending, "a connection ended");
        if let Ending::Refused(reason) | Ending::Sequence(reason) = ending {
            self.counters.reject(reason);
        }
        self.counters.count(|stats| match ending {
            Ending::Slow => stats.slow += 1,
            Ending::TooLong(_) => stats.over_length += 1,
            Ending::Refused(_) => stats.foreign += 1,
            Ending::Broken(_) => stats.broken += 1,
            Ending::Sequence(_) => stats.out_of_sequence += 1,
            Ending::Closed | Ending::Idle => {}
        });
    }

    /// Hears who is calling, and answers.
    async fn greet(
        &self,
        guard: &watch::Receiver<StreamGuard>,
        stream: &mut TcpStream,
    ) -> Result<StreamOpener, Ending> {
        let guard = guard.borrow().clone();
        let hello = read_hello(stream, &guard).await?;
        let random = random().map_err(std::io::Error::other)?;
        let (opener, answer) = guard.accept(&hello, random).map_err(Ending::Refused)?;
        write_whole(stream, &answer).await?;
        Ok(opener)
    }

    async fn read_all(
        &self,
        stream: &mut TcpStream,
        reading: &mut Reading<'_>,
        stamp: &Stamp,
    ) -> Ending {
        let len_max = DATAGRAM_LEN_MAX + reading.value_len_max;
        loop {
            let mut bytes = match read_frame(stream, IDLE_MAX, len_max).await {
                Ok(bytes) => bytes,
                Err(ending) => return ending,
            };
            self.count_received(bytes.len());
            match reading.open(&mut bytes) {
                Ok(packet) => {
                    stamp.renew();
                    let arrival = Arrival::Native(reading.from, packet);
                    if self.arrived.send(arrival).await.is_err() {
                        return Ending::Closed;
                    }
                }
                Err(StreamEnd::Skip(reason)) => {
                    tracing::debug!(from = %reading.from, %reason, "a packet was refused");
                    self.counters.reject(reason);
                }
                Err(StreamEnd::End(reason)) => return Ending::Sequence(reason),
            }
        }
    }

    /// What came counts even if the end did not come in time: a Go node needs no end either.
    async fn read_letter(&self, stream: &mut TcpStream, size: usize) -> Ending {
        let (bytes, ending) = read_to_end(stream, size).await;
        self.count_received(bytes.len());
        match wire::pekonode::decode(&bytes, size) {
            Ok(packet) => {
                // Nobody to tell is as good as the end.
                let _ = self.arrived.send(Arrival::Pekonode(packet)).await;
                Ending::Closed
            }
            Err(reason) => {
                self.counters.reject(reason);
                ending
            }
        }
    }

    fn count_received(&self, len: usize) {
        self.counters.count(|stats| {
            stats.received += 1;
            stats.received_bytes += len as u64;
        });
    }
}

/// A connection that has begun well.
struct Reading<'a> {
    from: SocketAddr,
    opener: StreamOpener,
    guard: &'a watch::Receiver<StreamGuard>,
    value_len_max: usize,
}

impl Reading<'_> {
    fn open(&mut self, bytes: &mut [u8]) -> Result<Packet, StreamEnd> {
        self.opener.open(&self.guard.borrow(), bytes, self.value_len_max)
    }
}
