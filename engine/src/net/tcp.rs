//! TCP sockets, of either family: listeners, connections, and a port that is free for both kinds.
//!
//! Segments are kept short, by both ends of a connection and from its first one on. Where a path is
//! narrower than its ends and the routers' messages are filtered, TCP sends a longer segment again
//! and again, and nothing arrives: 0 of 40,000 bytes in 10 s, measured with an MTU of 1,280.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol as Ip, SockRef, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::open_files::open_files_max;
use super::transport::Transport;
use super::udp::Socket;
use crate::config::{Config, TransportKind};

/// Times that another port is asked of the system when the one it gave is taken for TCP.
const PORTS_TRIED_MAX: usize = 32;

/// What a node listens on, all at one port.
#[derive(Debug)]
pub(crate) struct Ports {
    /// `None` when packets travel over TCP only.
    pub(crate) socket: Option<Transport>,
    /// `None` in a network in memory.
    pub(crate) listener: Option<TcpListener>,
    /// Where they are bound.
    pub(crate) bound: SocketAddr,
}

impl Ports {
    /// Binds what the protocol needs; with port 0 to a port that is free for all of it.
    pub(crate) fn bind(config: &Config, addr: SocketAddr, queue_bytes: usize) -> io::Result<Self> {
        // While there is a file left to read it by: an error is to name it.
        let _ = open_files_max();
        let mut tries = 1;
        loop {
            let socket = match config.protocol() {
                TransportKind::Udp => Some(Socket::bind(addr, queue_bytes)?),
                TransportKind::Tcp => None,
            };
            let taken = match &socket {
                Some(socket) => socket.local_addr()?,
                None => addr,
            };
            match listen(SocketAddr::new(addr.ip(), taken.port()), config.segment_len_max()) {
                Ok(listener) => {
                    let socket = socket.map(|socket| Transport::Udp(socket.into()));
                    let bound = listener.local_addr()?;
                    return Ok(Self { socket, listener: Some(listener), bound });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if addr.port() != 0 || tries == PORTS_TRIED_MAX {
                        return Err(error);
                    }
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn listen(addr: SocketAddr, segment_len_max: usize) -> io::Result<TcpListener> {
    const BACKLOG: i32 = 128;
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Ip::TCP))?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // Connections of an earlier life may linger on the port. Elsewhere than on Unix this would
    // let two listeners share it.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    shorten_segments(&SockRef::from(&socket), segment_len_max);
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Has a socket neither send nor be sent longer segments, from before it connects or listens.
/// Elsewhere than on Unix that is left to the system, which notices where segments vanish.
#[cfg(all(unix, not(target_os = "redox")))]
fn shorten_segments(socket: &SockRef<'_>, len_max: usize) {
    let set = socket.set_tcp_mss(u32::try_from(len_max).expect("a datagram is shorter"));
    if let Err(error) = set {
        // Paths that are narrow are few, and all others are as good as ever.
        tracing::warn!(%error, len_max, "streams may not cross a narrow path");
    }
}

#[cfg(not(all(unix, not(target_os = "redox"))))]
fn shorten_segments(_: &SockRef<'_>, _: usize) {}

/// Connects to a node, from the address that we listen on where that is one: it is what the
/// other side takes us for.
pub(crate) async fn dial(
    bound: SocketAddr,
    to: SocketAddr,
    segment_len_max: usize,
    patience: Duration,
) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    shorten_segments(&SockRef::from(&socket), segment_len_max);
    if !bound.ip().is_unspecified() && bound.is_ipv4() == to.is_ipv4() {
        socket.bind(SocketAddr::new(bound.ip(), 0))?;
    }
    let stream = timeout(patience, socket.connect(to)).await??;
    // Packets are small and answers are waited for.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(protocol: TransportKind) -> Config {
        Config::builder().protocol(protocol).build().unwrap()
    }

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[tokio::test]
    async fn a_free_port_is_free_for_both() {
        for _ in 0..20 {
            let ports = Ports::bind(&config(TransportKind::Udp), loopback(), 1 << 16).unwrap();
            let Some(Transport::Udp(socket)) = &ports.socket else { panic!("no socket") };
            assert_eq!(socket.local_addr().unwrap(), ports.bound);
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_for_either_is_an_error() {
        let tcp = std::net::TcpListener::bind(loopback()).unwrap();
        let addr = tcp.local_addr().unwrap();
        for protocol in [TransportKind::Udp, TransportKind::Tcp] {
            let error = Ports::bind(&config(protocol), addr, 1 << 16).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
        let udp = std::net::UdpSocket::bind(loopback()).unwrap();
        let addr = udp.local_addr().unwrap();
        assert!(Ports::bind(&config(TransportKind::Udp), addr, 1 << 16).is_err());
        assert!(Ports::bind(&config(TransportKind::Tcp), addr, 1 << 16).unwrap().socket.is_none());
    }

    #[tokio::test]
    async fn a_dial_comes_from_the_address_that_we_listen_on() {
        let ports = Ports::bind(&config(TransportKind::Tcp), loopback(), 0).unwrap();
        let bound: SocketAddr = "127.0.0.2:4711".parse().unwrap();
        // Not every system has the whole network of loopback.
        let patience = Duration::from_secs(3);
        let dialled = dial(bound, ports.bound, 1_160, patience).await;
        if dialled.is_ok() {
            assert_eq!(ports.listener.unwrap().accept().await.unwrap().1.ip(), bound.ip());
        }
    }

    #[cfg(all(unix, not(target_os = "redox")))]
    #[tokio::test]
    async fn neither_end_of_a_connection_sends_segments_that_exceed_a_narrow_path() {
        let (patience, large) = (Duration::from_secs(3), 20_000);
        let mss = |stream: &TcpStream| SockRef::from(stream).tcp_mss().unwrap();
        for (ours, theirs) in [(1_000, large), (large, 1_000), (large, large)] {
            let bind = |size| {
                let config = Config::builder().protocol(TransportKind::Tcp).size(size);
                Ports::bind(&config.build().unwrap(), loopback(), 0).unwrap()
            };
            let segment = |size| Config::builder().size(size).build().unwrap().segment_len_max();
            let listener = bind(theirs);
            let dialled = dial(loopback(), listener.bound, segment(ours), patience).await.unwrap();
            let (taken, _) = listener.listener.unwrap().accept().await.unwrap();
            let most = ours.min(theirs).min(1_200) - 40;
            for end in [&dialled, &taken] {
                assert!((most - 100..=most).contains(&(mss(end) as usize)), "{}", mss(end));
            }
        }
    }
}
