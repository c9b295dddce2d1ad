//! The connections that others make to us: so many and no more, and each may only wait for itself.
//!
//! **Limits.** At most [`IN_MAX`], each with at most one packet that is being read, and a place in
//! turn where packets wait for the node. Callers that have proved nothing have a part of these
//! places, as `inbound_slots.rs` has it, and are read no faster than any node writes, so that
//! neither silent ones nor those that bring junk keep a member out. Until a caller has said who it
//! is, and with a secret has proved that it holds it, it costs its place and a few bytes; what it
//! begins must come in time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::sleep;

use super::admission::{Bucket, CALLER, cost};
use super::clock::{Clock, random};
use super::dialect::Dialect;
use super::inbound_slots::{InboundSlots, Merit, SlotId, SlotLimits};
use super::stream::{Counters, StreamArrival};
use super::stream_frame::{Ending, read_frame, read_hello, write_whole};
use crate::core::Packet;
use crate::wire::{DATAGRAM_LEN_MAX, StreamEnd, StreamGuard, StreamOpener};

/// Most connections that others make to us at a time.
pub(super) const IN_MAX: usize = 128;

/// A connection of another's on which nothing comes for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// Pause after a failed accept, so that an error that stays doesn't occupy a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The task that takes calls, and has a task for each.
pub(super) struct Acceptor<P> {
    listener: TcpListener,
    conn: InboundConn<P>,
    slots: Arc<Mutex<InboundSlots<AbortHandle>>>,
    clock: Clock,
}

impl<P: Clone + Send + 'static> Acceptor<P> {
    pub(super) fn new(listener: TcpListener, conn: InboundConn<P>, limits: SlotLimits) -> Self {
        let slots = Arc::new(Mutex::new(InboundSlots::new(limits)));
        Self { listener, conn, slots, clock: Clock::start() }
    }

    /// Takes calls until told to end, and then ends them all.
    pub(super) async fn run<D: Dialect<Packet = P>>(self, mut closed: oneshot::Receiver<()>) {
        let mut callers = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = &mut closed => break,
                Some(ended) = callers.join_next() => {
                    self.conn.counters.ended(&ended, |stats| stats.broken += 1);
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        self.take_slot::<D>(stream, from, &mut callers);
                        // So that who called has a chance to speak before the next one is placed.
                        yield_now().await;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a call could not be taken");
                        self.conn.counters.count(|stats| stats.accept_errors += 1);
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        callers.shutdown().await;
    }

    fn take_slot<D: Dialect<Packet = P>>(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        callers: &mut JoinSet<()>,
    ) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let merit = Merit::new(self.clock.now().mono);
        let ticket = Ticket {
            id: lock(&self.slots).next_id(),
            slots: Arc::clone(&self.slots),
            counters: self.conn.counters.clone(),
        };
        let stream =
            MeteredStream { tcp: stream, brought: 0, merit: merit.clone(), clock: self.clock };
        let id = ticket.id;
        // It waits for its place, for it may end or prove itself at once. The slots are free
        // meanwhile: a runtime that ends drops it here and now, and with it the claim to one.
        let (place, placed) = oneshot::channel();
        let call = self.conn.clone().run::<D>(placed, stream, from, Leaving(ticket));
        let task = callers.spawn(call);
        let evicted = lock(&self.slots).take_slot(id, from.ip(), merit, task);
        // Whom the runtime has dropped takes no place any more.
        let _ = place.send(());
        self.conn.counters.count(|stats| {
            stats.accepted += 1;
            stats.evicted += u64::from(evicted.is_some());
        });
        if let Some(evicted) = evicted {
            evicted.abort();
        }
    }
}

fn lock<T>(slots: &Mutex<InboundSlots<T>>) -> MutexGuard<'_, InboundSlots<T>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A caller's claim to its place.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    id: SlotId,
    slots: Arc<Mutex<InboundSlots<AbortHandle>>>,
    counters: Counters,
}

impl Ticket {
    /// The caller has proved that it is the node at this address.
    pub(crate) fn prove(&self, caller: SocketAddr) {
        let evicted = lock(&self.slots).prove(self.id, caller);
        if let Some(evicted) = evicted {
            self.counters.count(|stats| stats.evicted += 1);
            evicted.abort();
        }
    }

    fn is_proven(&self) -> bool {
        lock(&self.slots).is_proven(self.id)
    }
}

/// Gives the place up when the connection has ended, however it did.
struct Leaving(Ticket);

impl Drop for Leaving {
    fn drop(&mut self) {
        lock(&self.0.slots).leave(self.0.id);
    }
}

/// A connection that counts for more when it brings something.
pub(crate) struct MeteredStream {
    tcp: TcpStream,
    /// Bytes since the last whole packet.
    brought: u64,
    merit: Merit,
    clock: Clock,
}

impl MeteredStream {
    /// What comes now belongs to the next packet.
    fn begin_packet(&mut self) {
        self.brought = 0;
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(context, buffer))?;
        let len = buffer.filled().len() - before;
        if len > 0 {
            self.brought += len as u64;
            self.merit.brought(self.clock.now().mono, self.brought);
        }
        Poll::Ready(Ok(()))
    }
}

/// The task of one connection that another made.
#[derive(Clone)]
pub(crate) struct InboundConn<P> {
    pub(super) arrived: mpsc::Sender<StreamArrival<P>>,
    /// What guards the packets, as it is set now.
    pub(super) guard: watch::Receiver<StreamGuard>,
    /// A packet of one datagram is shorter.
    pub(super) size: usize,
    /// The longest metadata value that may be in a packet.
    pub(super) value_len_max: usize,
    pub(super) counters: Counters,
}

impl<P> InboundConn<P> {
    async fn run<D: Dialect<Packet = P>>(
        self,
        placed: oneshot::Receiver<()>,
        mut stream: MeteredStream,
        from: SocketAddr,
        leaving: Leaving,
    ) {
        if placed.await.is_err() {
            return;
        }
        let _open = self.counters.opened();
        let ending = D::serve(&self, &mut stream, from, &leaving.0).await;
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

    pub(super) fn count_received(&self, len: usize) {
        self.counters.count(|stats| {
            stats.received += 1;
            stats.received_bytes += len as u64;
        });
    }
}

impl InboundConn<Packet> {
    /// Any number of packets, each behind its length.
    pub(super) async fn read_frames(
        &self,
        stream: &mut MeteredStream,
        from: SocketAddr,
        ticket: &Ticket,
    ) -> Ending {
        match self.greet(stream).await {
            Ok(opener) => {
                let from = SocketAddr::new(from.ip(), opener.port());
                self.read_all(stream, from, ticket, opener).await
            }
            Err(ending) => ending,
        }
    }

    /// Hears who is calling, and answers.
    async fn greet(&self, stream: &mut MeteredStream) -> Result<StreamOpener, Ending> {
        let guard = self.guard.borrow().clone();
        let hello = read_hello(stream, &guard).await?;
        let random = random().map_err(io::Error::other)?;
        let (opener, answer) = guard.accept(&hello, random).map_err(Ending::Refused)?;
        write_whole(&mut stream.tcp, &answer).await?;
        Ok(opener)
    }

    async fn read_all(
        &self,
        stream: &mut MeteredStream,
        from: SocketAddr,
        ticket: &Ticket,
        mut opener: StreamOpener,
    ) -> Ending {
        let len_max = DATAGRAM_LEN_MAX + self.value_len_max;
        let mut pace = Bucket::default();
        // Whoever is a member need not wait for that until its first packet is here: it may be
        // one that takes long.
        let called = StreamArrival::Called(from, ticket.clone());
        if self.arrived.send(called).await.is_err() {
            return Ending::Closed;
        }
        loop {
            stream.begin_packet();
            let mut bytes = match read_frame(stream, IDLE_MAX, len_max).await {
                Ok(bytes) => bytes,
                Err(ending) => return ending,
            };
            self.count_received(bytes.len());
            let opened = opener.open(&self.guard.borrow(), &mut bytes, self.value_len_max);
            match opened {
                Ok(packet) => {
                    if opener.is_sealed() {
                        ticket.prove(from);
                    }
                    let ticket = Some(ticket.clone());
                    let arrival = StreamArrival::Packet(from, packet, ticket);
                    if self.arrived.send(arrival).await.is_err() {
                        return Ending::Closed;
                    }
                }
                Err(StreamEnd::Skip(reason)) => {
                    tracing::debug!(%from, %reason, "a packet was refused");
                    self.counters.reject(reason);
                }
                Err(StreamEnd::End(reason)) => return Ending::Sequence(reason),
            }
            // What is longer is a value: it is read once, and costs little more.
            let cost = cost(bytes.len().min(DATAGRAM_LEN_MAX));
            let wait = pace.take(stream.clock.now().mono, cost, CALLER);
            if !wait.is_zero() && !ticket.is_proven() {
                self.counters.count(|stats| stats.held_back += 1);
                sleep(wait).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::core::Engine;
    use crate::net::tcp::Ports;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_call_that_comes_as_the_runtime_ends_holds_nobody_up() {
        let runtime = |_| tokio::runtime::Builder::new_current_thread().enable_all().build();
        let [lives, ends] = [0, 1].map(|number| runtime(number).unwrap());
        let _entered = lives.enter();
        let config = Config::default();
        let ports = Ports::bind(&config, "127.0.0.1:0".parse().unwrap(), 0).unwrap();
        let (arrived, _arrivals) = mpsc::channel(1);
        let (_guard, guard) = watch::channel(StreamGuard::with_keyring(&config, None));
        let counters = Counters::default();
        let conn = InboundConn { arrived, guard, size: 1_200, value_len_max: 0, counters };
        let acceptor = Acceptor::<Packet>::new(ports.listener.unwrap(), conn, Engine::CALLS);
        let (stream, from) = lives.block_on(async {
            let call = TcpStream::connect(acceptor.listener.local_addr().unwrap());
            let (_, taken) = tokio::join!(call, acceptor.listener.accept());
            taken.unwrap()
        });
        let gone = ends.handle().clone();
        drop(ends);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _entered = gone.enter();
            acceptor.take_slot::<Engine>(stream, from, &mut JoinSet::new());
            tell.send(())
        });
        assert_eq!(told.recv_timeout(PATIENCE), Ok(()), "it waits for what it holds itself");
    }
}
