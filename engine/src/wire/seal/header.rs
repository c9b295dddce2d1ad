//! What stands in the clear before a sealed packet.

use super::super::reject::Reject;
use crate::node::NodeId;

/// The first bytes of a sealed datagram.
pub(in crate::wire) const MAGIC: [u8; 2] = *b"rs";

const VERSION: u8 = 1;

/// A part of a sender's life for which it has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    /// When it began, in nanoseconds since the Unix epoch, on the clock of the seal.
    pub(super) start: u64,
    /// Drawn anew for every epoch, so that a clock that shows the same time again, or a machine
    /// that was copied as it ran, yields no key that was used before.
    pub(super) random: [u8; 8],
}

impl Epoch {
    pub(super) const LEN: usize = 16;

    pub(super) fn bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.start.to_le_bytes());
        bytes[8..].copy_from_slice(&self.random);
        bytes
    }

    pub(super) fn read(bytes: &[u8; Self::LEN]) -> Self {
        let (start, random) = bytes.split_at(8);
        let eight = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).expect("eight bytes");
        Self { start: u64::from_le_bytes(eight(start)), random: eight(random) }
    }
}

/// Who sealed a packet, when and with which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Says which of a few secrets it may be, and nothing about the secret.
    pub(super) hint: u8,
    /// Tells another cluster from a forgery.
    pub(super) cluster: u32,
    /// By its advertised address.
    pub(super) sender: NodeId,
    pub(super) epoch: Epoch,
    /// The clock of the sender's seal, in nanoseconds since the Unix epoch.
    pub(super) sent: i64,
    /// Number of the packet within its epoch.
    pub(super) counter: u32,
}

impl Header {
    /// Magic, version, hint, cluster, sender, epoch, time and counter.
    pub(super) const LEN: usize = 2 + 1 + 1 + 4 + 8 + 16 + 8 + 4;

    pub(super) fn bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..2].copy_from_slice(&MAGIC);
        bytes[2..4].copy_from_slice(&[VERSION, self.hint]);
        bytes[4..8].copy_from_slice(&self.cluster.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sender.0.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.epoch.bytes());
        bytes[32..40].copy_from_slice(&self.sent.to_le_bytes());
        bytes[40..].copy_from_slice(&self.counter.to_le_bytes());
        bytes
    }

    /// Reads the header of a datagram that begins with the magic; nothing in it is true before
    /// the seal is verified.
    pub(super) fn read(bytes: &[u8; Self::LEN]) -> Result<Self, Reject> {
        if bytes[2] != VERSION {
            return Err(Reject::UnknownVersion);
        }
        let eight = |at: usize| <[u8; 8]>::try_from(&bytes[at..at + 8]).expect("eight bytes");
        let four = |at: usize| <[u8; 4]>::try_from(&bytes[at..at + 4]).expect("four bytes");
        Ok(Self {
            hint: bytes[3],
            cluster: u32::from_le_bytes(four(4)),
            sender: NodeId(u64::from_le_bytes(eight(8))),
            epoch: Epoch::read(bytes[16..32].try_into().expect("sixteen bytes")),
            sent: i64::from_le_bytes(eight(32)),
            counter: u32::from_le_bytes(four(40)),
        })
    }
}

/// What the tag vouches for beside the packet: the header and the name of the cluster.
#[derive(Clone, Copy)]
pub(super) struct Associated {
    bytes: [u8; Self::LEN_MAX],
    len: usize,
}

impl Associated {
    /// The longest name of a cluster, which [`Config`](crate::Config) holds.
    const CLUSTER_LEN_MAX: usize = 64;
    const LEN_MAX: usize = Header::LEN + Self::CLUSTER_LEN_MAX;

    pub(super) fn new(cluster: &str) -> Self {
        let len = Header::LEN + cluster.len();
        let mut bytes = [0; Self::LEN_MAX];
        bytes[Header::LEN..len].copy_from_slice(cluster.as_bytes());
        Self { bytes, len }
    }

    pub(super) fn with(mut self, header: &[u8; Header::LEN]) -> Self {
        self.bytes[..Header::LEN].copy_from_slice(header);
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn cluster(&self) -> &[u8] {
        &self.bytes[Header::LEN..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            hint: 1,
            cluster: 2,
            sender: NodeId(3),
            epoch: Epoch { start: 4, random: [5; 8] },
            sent: -6,
            counter: 7,
        }
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let bytes = header().bytes();
        assert_eq!(Header::read(&bytes), Ok(header()));
        let mut next = bytes;
        next[2] = VERSION + 1;
        assert_eq!(Header::read(&next), Err(Reject::UnknownVersion));
    }

    #[test]
    fn the_bytes_of_a_header_never_change() {
        let golden = [
            &b"rs\x01\x01"[..],
            &[2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 5, 5, 5],
            &[0xfa, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0],
        ];
        assert_eq!(header().bytes()[..], golden.concat());
    }

    #[test]
    fn the_name_of_the_cluster_is_vouched_for() {
        let header = header().bytes();
        assert_eq!(Associated::new("a").with(&header).bytes(), [&header[..], b"a"].concat());
        assert_eq!(Associated::new(&"n".repeat(64)).with(&header).bytes().len(), Header::LEN + 64);
    }
}
