//! One UDP socket, of either family, whose addresses always look the same.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Type};
use tokio::net::UdpSocket;

/// A bound socket. A socket on an IPv6 address that stands for all of them speaks IPv4 as well,
/// and either is told apart by its address alone.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: UdpSocket,
    family: Family,
    queue: Queue,
}

/// How many bytes of unread datagrams the system keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    /// What was asked of it.
    pub(crate) wanted: usize,
    /// What it does. Less is no error to it: Linux takes `net.core.rmem_max` instead.
    pub(crate) granted: usize,
}

impl Queue {
    /// More than any system gives, and less than overflows the number in which it is asked.
    const BYTES_MAX: usize = 1 << 30;

    /// Has a socket's queue hold so many bytes, as far as the system allows.
    fn of(socket: &socket2::Socket, wanted: usize) -> io::Result<Self> {
        // A smaller queue than wished for is no reason not to start: what it drops is repaired.
        if let Err(error) = socket.set_recv_buffer_size(wanted.min(Self::BYTES_MAX)) {
            tracing::warn!(%error, wanted, "the socket's receive buffer was not resized");
        }
        // Linux doubles what it is asked for, to have room for its own books, and says so.
        let doubled = cfg!(any(target_os = "linux", target_os = "android"));
        let granted = socket.recv_buffer_size()? / if doubled { 2 } else { 1 };
        let queue = Self { wanted, granted };
        if queue.is_clamped() {
            tracing::warn!(
                wanted,
                granted,
                "the system gives the socket a smaller receive buffer than `buffer` times `size`: \
                 bursts may get lost; raise its limit (on Linux `sysctl -w \
                 net.core.rmem_max={wanted}`), or lower `buffer`"
            );
        }
        Ok(queue)
    }

    /// True when the system keeps less than it was asked for.
    pub(crate) fn is_clamped(self) -> bool {
        self.granted < self.wanted
    }
}

/// What a socket can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only: it is bound to one address.
    V6,
    /// Either: it is bound to all addresses of IPv6.
    Both,
}

impl Family {
    /// What a socket at this address can send to.
    pub(crate) fn of(bound: SocketAddr) -> Self {
        match bound {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(bound) if bound.ip().is_unspecified() => Self::Both,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// True when addresses like this one can be sent to.
    pub(crate) fn reaches(self, to: SocketAddr) -> bool {
        self.reaches_ip(to.ip())
    }

    /// The same of an IP.
    pub(crate) fn reaches_ip(self, to: IpAddr) -> bool {
        match self {
            Self::V4 => to.is_ipv4(),
            Self::V6 => to.is_ipv6(),
            Self::Both => true,
        }
    }
}

impl Socket {
    /// Binds a socket whose queue in the system holds about `queue_bytes`, as far as the system
    /// allows.
    pub(crate) fn bind(addr: SocketAddr, queue_bytes: usize) -> io::Result<Self> {
        let family = Family::of(addr);
        let socket =
            socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if family == Family::Both {
            socket.set_only_v6(false)?;
        }
        let queue = Queue::of(&socket, queue_bytes)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        Ok(Self { inner: UdpSocket::from_std(socket.into())?, family, queue })
    }

    /// What the system keeps for it.
    pub(crate) fn queue(&self) -> Queue {
        self.queue
    }

    /// Where it is bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Returns when something may have arrived.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.inner.readable().await
    }

    /// What arrived and from where; an error of kind `WouldBlock` when nothing did.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, from) = self.inner.try_recv_from(buffer)?;
        Ok((len, SocketAddr::new(from.ip().to_canonical(), from.port())))
    }

    /// Sends now; an error of kind `WouldBlock` when the system's queue is full.
    pub(crate) fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        whole(bytes, self.inner.try_send_to(bytes, self.dialled(to))?)
    }

    /// Sends as soon as the system's queue has room.
    pub(crate) async fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        whole(bytes, self.inner.send_to(bytes, self.dialled(to)).await?)
    }

    /// The address in the form that the socket's family takes.
    fn dialled(&self, to: SocketAddr) -> SocketAddr {
        match (self.family, to.ip()) {
            (Family::V6 | Family::Both, IpAddr::V4(ip)) => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), to.port())
            }
            _ => to,
        }
    }
}

fn whole(bytes: &[u8], sent: usize) -> io::Result<()> {
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    async fn receive(socket: &Socket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 100];
        loop {
            socket.readable().await.unwrap();
            match socket.try_receive(&mut buffer) {
                Ok((len, from)) => return (buffer[..len].to_vec(), from),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }

    #[tokio::test]
    async fn what_is_sent_arrives_with_the_sender_s_address() {
        let a = Socket::bind("127.0.0.1:0".parse().unwrap(), 1 << 16).unwrap();
        let b = Socket::bind("127.0.0.1:0".parse().unwrap(), 1 << 16).unwrap();
        a.send(b"hello", b.local_addr().unwrap()).await.unwrap();
        assert_eq!(receive(&b).await, (b"hello".to_vec(), a.local_addr().unwrap()));
    }

    #[test]
    fn a_socket_reaches_the_families_that_it_is_bound_to() {
        let v4 = "10.0.0.1:1".parse().unwrap();
        let v6 = "[fd00::1]:1".parse().unwrap();
        for (bound, reaches) in [
            ("0.0.0.0:1", [true, false]),
            ("10.0.0.2:1", [true, false]),
            ("[::]:1", [true, true]),
            ("[fd00::2]:1", [false, true]),
        ] {
            let family = Family::of(bound.parse().unwrap());
            assert_eq!([v4, v6].map(|to| family.reaches(to)), reaches, "{bound}");
        }
    }

    #[tokio::test]
    async fn a_queue_that_the_system_clamps_is_known_by_both_numbers_and_one_it_grants_is_not() {
        let bind = |bytes| Socket::bind("127.0.0.1:0".parse().unwrap(), bytes).unwrap().queue();
        let small = bind(1 << 15);
        assert_eq!((small.wanted, small.is_clamped()), (1 << 15, false), "{small:?}");
        // No system keeps a gibibyte for a socket, and none is asked for a negative number.
        for wanted in [usize::MAX, (1 << 32) + 5] {
            let clamped = bind(wanted);
            assert_eq!((clamped.wanted, clamped.is_clamped()), (wanted, true));
            assert!(clamped.granted >= small.granted, "{clamped:?}");
        }
        #[cfg(target_os = "linux")]
        {
            let rmem_max = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
            assert_eq!(bind(usize::MAX).granted, rmem_max.trim().parse::<usize>().unwrap());
        }
    }

    #[tokio::test]
    async fn a_socket_on_all_ipv6_addresses_shows_ipv4_peers_as_ipv4() {
        // A machine without IPv6 has nothing to show here.
        let Ok(both) = Socket::bind("[::]:0".parse().unwrap(), 1 << 16) else { return };
        let v4 = Socket::bind("127.0.0.1:0".parse().unwrap(), 1 << 16).unwrap();
        let port = both.local_addr().unwrap().port();
        v4.send(b"ping", SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).await.unwrap();
        let (_, from) = receive(&both).await;
        assert_eq!(from, v4.local_addr().unwrap());
        both.send(b"pong", from).await.unwrap();
        assert_eq!(receive(&v4).await.0, b"pong");
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let first = Socket::bind("127.0.0.1:0".parse().unwrap(), 1 << 16).unwrap();
        let second = Socket::bind(first.local_addr().unwrap(), 1 << 16);
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
