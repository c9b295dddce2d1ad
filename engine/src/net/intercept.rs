//! A place between a node and its sockets, for test beds that measure real nodes under faults.
//!
//! Who stands there sees all that the node takes in and gives out, and decides what of it is sent
//! and when. Nothing here injects a fault or keeps a time: that is up to the interceptor.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::udp::Socket;
use crate::core::{Class, Output, Packet};

/// Most packets that wait for the node's task to put them on a stream.
const RELEASED_MAX: usize = 1_024;

/// Stands between one node and the machine's sockets; see
/// [`NodeList::intercepted`](crate::NodeList::intercepted).
///
/// Its methods are called by the node's task, so they must not block: what is to happen later is
/// handed to a thread or task of the interceptor's own. Packets of `wire = "pekonode"` pass by.
pub trait Interceptor: fmt::Debug + Send + Sync {
    /// The node took in an input, and these are its outputs, in order. `packet` is what came and
    /// from whom; `None` for what the node did by itself, or was told to. Called before any of
    /// the outputs is shown to subscribers or departs.
    fn on_input(&self, packet: Option<(SocketAddr, &Packet)>, outputs: &[Output]);

    /// A packet is ready to go. It goes when, and as often as, [`Departure::send`] is called.
    fn on_departure(&self, departure: Departure);

    /// The node does nothing before this is done, whenever it is about to take something in: a
    /// process that is paused. At once, unless overridden.
    fn hold(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// A packet that is ready to go, from any thread.
///
/// While one is kept, the port of its node stays taken, even if the node has ended.
#[derive(Clone, Debug)]
pub struct Departure {
    to: SocketAddr,
    packet: Arc<Packet>,
    len: usize,
    way: DepartureWay,
}

/// An encoded packet that goes by stream now, and where to.
pub(crate) type Released = (SocketAddr, Arc<Vec<u8>>);

/// By what a packet leaves.
#[derive(Clone, Debug)]
enum DepartureWay {
    Datagram(Arc<Socket>, Arc<[u8]>),
    Stream(mpsc::Sender<Released>, Arc<Vec<u8>>),
}

impl Departure {
    /// Whom it goes to.
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// What goes.
    pub fn packet(&self) -> &Arc<Packet> {
        &self.packet
    }

    /// How it travels.
    pub fn class(&self) -> Class {
        match self.way {
            DepartureWay::Datagram(..) => Class::Datagram,
            DepartureWay::Stream(..) => Class::Stream,
        }
    }

    /// Encoded bytes, with what guards them; without headers of the system's.
    pub fn encoded_len(&self) -> usize {
        self.len
    }

    /// Hands it to the system now, or to the node's task where it goes by stream. Never waits.
    ///
    /// # Errors
    /// When the system does not take it: the protocol counts on such losses.
    pub fn send(&self) -> io::Result<()> {
        match &self.way {
            DepartureWay::Datagram(socket, bytes) => socket.try_send(bytes, self.to),
            DepartureWay::Stream(released, bytes) => {
                let packet = (self.to, Arc::clone(bytes));
                released.try_send(packet).map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => io::ErrorKind::WouldBlock.into(),
                    mpsc::error::TrySendError::Closed(_) => io::ErrorKind::BrokenPipe.into(),
                })
            }
        }
    }
}

/// The driver's side of an interceptor.
#[derive(Debug)]
pub(crate) struct Intercepted {
    interceptor: Arc<dyn Interceptor>,
    guard_len: usize,
    release: mpsc::Sender<Released>,
    released: mpsc::Receiver<Released>,
}

impl Intercepted {
    /// For a node whose packets are guarded by so many bytes.
    pub(crate) fn new(interceptor: Arc<dyn Interceptor>, guard_len: usize) -> Self {
        let (release, released) = mpsc::channel(RELEASED_MAX);
        Self { interceptor, guard_len, release, released }
    }

    pub(crate) fn on_input(&self, packet: Option<(SocketAddr, &Packet)>, outputs: &[Output]) {
        self.interceptor.on_input(packet, outputs);
    }

    /// An encoded datagram is ready.
    pub(crate) fn datagram(
        &self,
        socket: &Arc<Socket>,
        to: SocketAddr,
        packet: &Arc<Packet>,
        bytes: &[u8],
    ) {
        let way = DepartureWay::Datagram(Arc::clone(socket), bytes.into());
        let (packet, len) = (Arc::clone(packet), bytes.len());
        self.interceptor.on_departure(Departure { to, packet, len, way });
    }

    /// A packet for a stream is ready.
    pub(crate) fn stream(&self, to: SocketAddr, packet: &Arc<Packet>) {
        let mut bytes = Vec::new();
        crate::wire::encode(packet, &mut bytes);
        let len = bytes.len() + self.guard_len;
        let way = DepartureWay::Stream(self.release.clone(), bytes.into());
        let packet = Arc::clone(packet);
        self.interceptor.on_departure(Departure { to, packet, len, way });
    }

    pub(crate) async fn hold(&self) {
        self.interceptor.hold().await;
    }

    /// What is to go by stream now.
    pub(crate) async fn released(&mut self) -> Option<Released> {
        self.released.recv().await
    }

    /// Takes no more departures, so that [`Intercepted::released`] ends with the last that is kept.
    pub(crate) fn close(&mut self) {
        self.release = mpsc::channel(1).0;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::core::AgeStep;
    use crate::core::packet::{Body, LastCall};
    use crate::wire;

    /// Keeps what departs.
    #[derive(Debug, Default)]
    pub(crate) struct Keeper(pub(crate) Mutex<Vec<Departure>>);

    impl Interceptor for Keeper {
        fn on_input(&self, _: Option<(SocketAddr, &Packet)>, _: &[Output]) {}

        fn on_departure(&self, departure: Departure) {
            self.0.lock().unwrap().push(departure);
        }
    }

    #[tokio::test]
    async fn a_packet_for_a_stream_is_the_task_s_again_once_for_each_time_it_is_let_go() {
        let keeper = Arc::new(Keeper::default());
        let mut intercepted = Intercepted::new(Arc::clone(&keeper) as Arc<_>, 8);
        let to = ([10, 0, 0, 6], 8000).into();
        let body = Body::LastCall(LastCall::default());
        let packet = Arc::new(Packet::new(AgeStep(1), body));
        intercepted.stream(to, &packet);
        let departure = keeper.0.lock().unwrap().pop().unwrap();
        assert_eq!((departure.to(), departure.class()), (to, Class::Stream));
        assert_eq!(departure.encoded_len(), wire::encoded_len(&packet) + 8);
        assert!(Arc::ptr_eq(departure.packet(), &packet));
        for _ in 0..2 {
            departure.send().unwrap();
            let (addr, bytes) = intercepted.released().await.unwrap();
            assert_eq!((addr, wire::decode(&bytes)), (to, Ok((*packet).clone())));
        }
        intercepted.close();
        drop(departure);
        assert_eq!(intercepted.released().await, None, "nobody keeps any");
    }
}
