//! What guards datagrams without a secret: damage and packets of other clusters are noticed.
//!
//! A checksum of 4 bytes follows the packet: its CRC-32, mixed with the CRC-32 of the cluster's
//! name. A CRC notices every single flipped bit and every burst of up to 32, and one in 2^32 of
//! all other damage goes through; a cryptographic hash cut to 4 bytes would be slower and would
//! not notice more. Against intent neither helps: that takes a secret.

use super::reject::Reject;
use crate::config::Config;

/// Differences that are remembered, as many as clusters are told apart from damage at a time.
const FOREIGN_MAX: usize = 8;

/// Adds and verifies the checksums of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Checksum {
    cluster: u32,
    foreign: Foreign,
}

impl Checksum {
    pub(super) const LEN: usize = Config::CHECKSUM_LEN;

    pub(super) fn new(cluster: &str) -> Self {
        let cluster = cluster_tag(cluster);
        Self { cluster, foreign: Foreign::default() }
    }

    /// Appends the checksum of what begins at `start`.
    pub(super) fn add(&self, start: usize, out: &mut Vec<u8>) {
        let sum = crc32fast::hash(&out[start..]) ^ self.cluster;
        out.extend_from_slice(&sum.to_le_bytes());
    }

    /// Takes the checksum off.
    pub(super) fn verify<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Reject> {
        let (packet, sum) = bytes.split_last_chunk::<{ Self::LEN }>().ok_or(Reject::TooShort)?;
        let cluster = u32::from_le_bytes(*sum) ^ crc32fast::hash(packet);
        if cluster == self.cluster {
            return Ok(packet);
        }
        let is_foreign = self.foreign.came_before(cluster);
        Err(if is_foreign { Reject::WrongCluster } else { Reject::Damaged })
    }
}

/// Tells packets of other clusters from damage, without a byte for it: what the sum and the
/// content of an undamaged packet differ by is the tag of its cluster, again and again, while
/// damage makes each difference another.
#[derive(Clone, Debug, Default)]
struct Foreign {
    tags: [Option<u32>; FOREIGN_MAX],
    next: usize,
}

impl Foreign {
    /// True when this was seen not long ago. The default name is known from the start.
    fn came_before(&mut self, tag: u32) -> bool {
        if tag == cluster_tag("") || self.tags.contains(&Some(tag)) {
            return true;
        }
        self.tags[self.next] = Some(tag);
        self.next = (self.next + 1) % FOREIGN_MAX;
        false
    }
}

/// What stands for a cluster's name where there is no room for it.
pub(super) fn cluster_tag(name: &str) -> u32 {
    crc32fast::hash(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summed(cluster: &str, packet: &[u8]) -> Vec<u8> {
        let mut bytes = packet.to_vec();
        Checksum::new(cluster).add(0, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_damage(
            packet in prop::collection::vec(any::<u8>(), 0..200),
            cluster in "[a-z]{0,8}",
        ) {
            let mut bytes = summed(&cluster, &packet);
            prop_assert_eq!(Checksum::new(&cluster).verify(&bytes), Ok(&packet[..]));
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(Checksum::new(&cluster).verify(&bytes).is_err());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn another_cluster_is_told_from_damage_by_its_second_packet() {
        let mut ours = Checksum::new("ours");
        let foreign = |cluster, packet| (cluster, summed(cluster, packet));
        let packets =
            [foreign("a", b"1"), foreign("b", b"1"), foreign("a", b"2"), foreign("b", b"3")];
        let reasons = packets.map(|(_, bytes)| ours.verify(&bytes).unwrap_err());
        let (damaged, wrong) = (Reject::Damaged, Reject::WrongCluster);
        assert_eq!(reasons, [damaged, damaged, wrong, wrong]);
        assert_eq!(ours.verify(&summed("", b"1")), Err(wrong), "known from the start");
        assert_eq!(ours.verify(&summed("ours", b"1")), Ok(&b"1"[..]));
    }

    #[test]
    fn differences_that_never_come_again_are_forgotten() {
        let mut foreign = Foreign::default();
        assert!(!foreign.came_before(1) && foreign.came_before(1));
        assert!((2..2 + FOREIGN_MAX as u32).all(|tag| !foreign.came_before(tag)));
        assert!(!foreign.came_before(1));
    }

    #[test]
    fn the_bytes_of_a_checksum_never_change() {
        // The check value of CRC-32 (IEEE), which any other implementation gives as well.
        assert_eq!(summed("", b"123456789")[9..], 0xcbf4_3926_u32.to_le_bytes());
    }
}
