//! Where a node lives: on the system's sockets, clock and entropy, or in a network in memory.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rand::rngs::SysError;

use super::clock::{Clock, entropy};
use super::intercept::{Intercepted, Interceptor};
use super::memory::{MemoryNetwork, Port};
use super::tcp::Ports;
use super::udp::{Queue, Socket};
use crate::config::Config;
use crate::core::Class;
use crate::time::Now;
use crate::wire::Guard;

/// What a node gets its socket, its time and its chance from.
#[derive(Clone, Debug)]
pub(crate) enum Environment {
    /// The machine.
    System,
    /// The machine, with somebody between the node and its sockets.
    Intercepted(Arc<dyn Interceptor>),
    /// A network of its own, in which all of them are virtual.
    Memory(MemoryNetwork),
}

impl Environment {
    /// Binds what a node sends and receives through; its queue holds about `queue_bytes`.
    pub(crate) fn bind(
        &self,
        config: &Config,
        addr: SocketAddr,
        queue_bytes: usize,
    ) -> io::Result<Ports> {
        match self {
            Self::System | Self::Intercepted(_) => Ports::bind(config, addr, queue_bytes),
            Self::Memory(network) => {
                let port = network.bind(addr)?;
                let bound = port.addr();
                Ok(Ports { socket: Some(Transport::Memory(port)), listener: None, bound })
            }
        }
    }

    /// The clocks of a node that starts now.
    pub(crate) fn clock(&self) -> Clock {
        match self {
            Self::System | Self::Intercepted(_) => Clock::start(),
            Self::Memory(network) => network.clock(),
        }
    }

    /// 64 bits to seed an engine with, or to set the keys of a seal apart.
    pub(crate) fn seed(&self) -> Result<u64, SysError> {
        match self {
            Self::System | Self::Intercepted(_) => entropy(),
            Self::Memory(network) => Ok(network.next_seed()),
        }
    }

    /// Gives the guard new randomness when that is due.
    pub(crate) fn renew(&self, guard: &mut Guard, now: Now) {
        if !guard.wants_random(now) {
            return;
        }
        match self.seed() {
            Ok(random) => guard.renew(now, random.to_le_bytes()),
            // It is asked again before the next packets go out.
            Err(error) => tracing::error!(%error, "no randomness to seal with"),
        }
    }

    /// What leads to who stands between, if somebody does.
    pub(crate) fn intercepted(&self, config: &Config) -> Option<Intercepted> {
        match self {
            Self::System | Self::Memory(_) => None,
            Self::Intercepted(interceptor) => {
                Some(Intercepted::new(Arc::clone(interceptor), config.guard_len()))
            }
        }
    }
}

/// What a node sends and receives datagrams through.
#[derive(Debug)]
pub(crate) enum Transport {
    /// A socket of the system.
    Udp(Arc<Socket>),
    /// A port of a network in memory.
    Memory(Port),
}

impl Transport {
    /// Sends by stream, in a network in memory; on the machine streams have sockets of their own.
    pub(crate) fn stream(&self, encode: impl FnOnce(&mut Vec<u8>), to: SocketAddr) {
        if let Self::Memory(port) = self {
            let mut bytes = Vec::new();
            encode(&mut bytes);
            port.stream(&bytes, to);
        }
    }

    /// What the system keeps for the socket, if it is one.
    pub(crate) fn queue(&self) -> Option<Queue> {
        match self {
            Self::Udp(socket) => Some(socket.queue()),
            Self::Memory(_) => None,
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

    /// What arrived, from where and how; an error of kind `WouldBlock` when nothing did.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, Class)> {
        match self {
            Self::Udp(socket) => {
                let (len, from) = socket.try_receive(buffer)?;
                Ok((len, from, Class::Datagram))
            }
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
