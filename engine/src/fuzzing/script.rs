//! A script: what is left of the bytes that a fuzzer wrote, read as numbers, texts and times.
//!
//! Faults sit at limits, and a fuzzer that must find `1 << 62` bit by bit does not get there. So a
//! number of a script is an edge more often than not: nothing, one, the largest of its kind, and
//! their neighbours.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::config::{Config, ConfigBuilder, Liveness, Swap, TransportKind};
use crate::node::{Generation, Node, NodeId};

/// What the wall clocks of all scripts show at first.
pub(super) const STARTED: i64 = 1_800_000_000_000_000_000;

/// The nodes that a script speaks of.
pub(super) fn addr(host: u8) -> SocketAddr {
    ([10, 0, 0, host], 8000).into()
}

/// What is left of a script. `None` from any of its functions is its end.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl<'a> Script<'a> {
    /// Numbers at which something begins or ends.
    const EDGES: [u64; 32] = [
        0,
        1,
        2,
        3,
        63,
        64,
        127,
        128,
        255,
        256,
        257,
        u16::MAX as u64 - 1,
        u16::MAX as u64,
        u16::MAX as u64 + 1,
        (1 << 30) - 1,
        1 << 30,
        (1 << 31) - 1,
        1 << 31,
        (1 << 31) + 1,
        u32::MAX as u64 - 1,
        u32::MAX as u64,
        STARTED as u64 - 1,
        STARTED as u64,
        STARTED as u64 + 1,
        STARTED as u64 + 61_000_000_000,
        Generation::MAX.get() - 1,
        Generation::MAX.get(),
        Generation::MAX.get() + 1,
        i64::MAX as u64,
        i64::MAX as u64 + 1,
        u64::MAX - 1,
        u64::MAX,
    ];

    /// So many bytes.
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    /// A number below this one, which is at most 256 and not zero.
    pub(super) fn below(&mut self, bound: usize) -> Option<usize> {
        Some(usize::from(self.byte()?) % bound)
    }

    /// One of these, of which there are some.
    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        Some(of[self.below(of.len())?].clone())
    }

    /// Up to so many of what `one` reads.
    pub(super) fn some<T>(
        &mut self,
        max: usize,
        mut one: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let len = self.below(max + 1)?;
        (0..len).map(|_| one(self)).collect()
    }

    /// An edge, a small number or any.
    pub(super) fn number(&mut self) -> Option<u64> {
        let choice = usize::from(self.byte()?);
        match (choice / Self::EDGES.len(), choice % Self::EDGES.len()) {
            (0..5, edge) => Some(Self::EDGES[edge]),
            (5..7, _) => self.byte().map(u64::from),
            _ => self.take().map(u64::from_le_bytes),
        }
    }

    /// The same, with all that does not fit made the largest that does.
    pub(super) fn number32(&mut self) -> Option<u32> {
        Some(u32::try_from(self.number()?).unwrap_or(u32::MAX))
    }

    pub(super) fn generation(&mut self) -> Option<Generation> {
        Some(Generation::new(self.number()?).unwrap_or(Generation::MAX))
    }

    /// A moment on the wall clock, or a distance of two.
    pub(super) fn signed(&mut self) -> Option<i64> {
        Some(self.number()? as i64)
    }

    /// One of a few nodes more often than one of many, and now and then an odd one.
    pub(super) fn addr(&mut self) -> Option<SocketAddr> {
        let odd: [SocketAddr; 4] = [
            ([127, 0, 0, 1], 1).into(),
            ([255, 255, 255, 254], u16::MAX).into(),
            (Ipv6Addr::LOCALHOST, 8000).into(),
            (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::MAX), u16::MAX).into(),
        ];
        Some(match self.byte()? {
            host @ 0..128 => addr(host % 8),
            host @ 128..240 => addr(host),
            host => odd[usize::from(host) % odd.len()],
        })
    }

    pub(super) fn node_id(&mut self) -> Option<NodeId> {
        match self.below(4)? {
            0 => self.number().map(NodeId),
            _ => self.addr().map(NodeId::of),
        }
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let len = self.byte()?;
        Some(String::from_utf8_lossy(self.bytes(len.into())?).into_owned())
    }

    /// A name or private data: short, as long as may be, or too long by one.
    fn label(&mut self, len_max: usize) -> Option<String> {
        Some(match self.byte()? {
            0..128 => String::new(),
            128..192 => "a".to_owned(),
            192..224 => "b".repeat(len_max),
            224..232 => "c".repeat(len_max + 1),
            _ => self.text()?,
        })
    }

    /// A node; one of plain texts if those of the script can't be.
    pub(super) fn node(&mut self) -> Option<Node> {
        let addr = self.addr()?;
        let name = self.label(crate::node::NAME_LEN_MAX)?;
        let data = self.label(crate::node::PRIVATE_DATA_LEN_MAX)?;
        Some(Node::of(addr, &name, &data).unwrap_or_else(|_| Node::at(addr)))
    }

    /// Bytes to publish: few, or as many as do or don't fit a datagram.
    pub(super) fn data(&mut self) -> Option<Vec<u8>> {
        Some(match self.byte()? {
            0..64 => vec![],
            64..160 => self.byte()?.to_le_bytes().to_vec(),
            160..192 => vec![self.byte()?; self.pick(&[1_000, 1_100, 1_200])?],
            192..208 => vec![self.byte()?; self.pick(&[4_000, 4_096, 4_097, 70_000])?],
            _ => self.text()?.into_bytes(),
        })
    }

    /// From nothing to more than an hour, each size as likely as the others.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let bits = u16::from_le_bytes(self.take()?);
        Some(Duration::from_nanos(u64::from(bits & 0xfff) << ((bits >> 12) * 2)))
    }

    /// What the wall clock is set ahead or back by: like a pause, or to an edge.
    pub(super) fn jump(&mut self) -> Option<i64> {
        match self.below(4)? {
            0 => self.signed(),
            1 => Some(-(self.pause()?.as_nanos() as i64)),
            _ => Some(self.pause()?.as_nanos() as i64),
        }
    }

    /// Settings of one node, with room for at most so many members: small, so that limits are met.
    pub(super) fn settings(&mut self, members_max: usize) -> Option<ConfigBuilder> {
        let [ways, sizes] = self.take()?;
        let protocol = if ways & 4 == 0 { TransportKind::Udp } else { TransportKind::Tcp };
        let swap = if ways & 0x38 == 0x38 { Swap::Off } else { Swap::On };
        let liveness = [Liveness::Beats, Liveness::Probes, Liveness::Auto, Liveness::Off];
        let config = Config::builder()
            .liveness(liveness[usize::from(ways & 3)])
            .protocol(protocol)
            .swap(swap)
            .members_max([members_max, 2, 3, members_max / 2][usize::from(sizes & 3)])
            .metadata_len_max([1 << 20, 4_096, 1, 1 << 20][usize::from(sizes >> 2 & 3)])
            .fan_out([3, 1, 2, 7][usize::from(sizes >> 4 & 3)])
            .cycle(Duration::from_millis([1_000, 10, 200, 1_000][usize::from(sizes >> 6)]));
        Some(if ways & 0x40 == 0 { config } else { config.secret_key("secret") })
    }
}
