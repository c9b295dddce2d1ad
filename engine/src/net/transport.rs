//! Where a node lives: on the system's sockets, clock and entropy, or in a network in memory.

use std::io;
use std::net::SocketAddr;

use rand::rngs::SysError;

use super::clock::{Clock, entropy};
use super::memory::{MemoryNetwork, Port};
use super::udp::{Family, Socket};

/// What a node gets its socket, its time and its chance from.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    /// The machine.
    System,
    /// A network of its own, in which all of them are virtual.
    Memory(MemoryNetwork),
}

impl Home {
    /// Binds what a node sends and receives through; its queue holds about `queue_bytes`.
    pub(crate) fn bind(&self, addr: SocketAddr, queue_bytes: usize) -> io::Result<Transport> {
        match self {
            Self::System => Socket::bind(addr, queue_bytes).map(Transport::Udp),
            Self::Memory(network) => network.bind(addr).map(Transport::Memory),
        }
    }

    /// The clocks of a node that starts now.
    pub(crate) fn clock(&self) -> Clock {
        match self {
            Self::System => Clock::start(),
            Self::Memory(network) => network.clock(),
        }
    }

    /// 64 bits to seed an engine with.
    pub(crate) fn seed(&self) -> Result<u64, SysError> {
        match self {
            Self::System => entropy(),
            Self::Memory(network) => Ok(network.next_seed()),
        }
    }
}

/// What a node sends and receives datagrams through.
#[derive(Debug)]
pub(crate) enum Transport {
    /// A socket of the system.
    Udp(Socket),
    /// A port of a network in memory.
    Memory(Port),
}

impl Transport {
    /// Where it is bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Memory(port) => Ok(port.addr()),
        }
    }

    /// What it can send to.
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Udp(socket) => socket.family(),
            Self::Memory(_) => Family::V6,
        }
    }

    /// Returns when something may have arrived.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.readable().await,
            Self::Memory(port) => {
                port.readable().await;
                Ok(())
            }
        }
    }

    /// What arrived and from where; an error of kind `WouldBlock` when nothing did.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Self::Udp(socket) => socket.try_receive(buffer),
            Self::Memory(port) => port.try_receive(buffer).ok_or(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Sends now; an error of kind `WouldBlock` when the system's queue is full.
    pub(crate) fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.try_send(bytes, to),
            Self::Memory(port) => {
                port.send(bytes, to);
                Ok(())
            }
        }
    }

    /// Sends as soon as the system's queue has room.
    pub(crate) async fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(bytes, to).await,
            Self::Memory(_) => self.try_send(bytes, to),
        }
    }
}
