//! Buckets: what lies in a part of the ring, which is how two lists that differ are compared.

use super::Members;
use super::ring::partition_point_near;
use super::roster::{BUCKET_BITS, NodeIx};
use crate::config::WireVersion;
use crate::core::record::Digest;

impl Members {
    /// The sums of the digests of our members by bucket, when the ring is cut into `2^bits`.
    pub(crate) fn bucket_sums(&mut self, bits: u32, wire: WireVersion) -> Vec<Digest> {
        if bits <= BUCKET_BITS && wire == WireVersion::LATEST {
            let sums = self.table.own(&self.interner).sums(&self.interner);
            return sums
                .chunks(sums.len() >> bits)
                .map(|sums| sums.iter().copied().sum())
                .collect();
        }
        // More than we ever ask for ourselves, or of those who speak an older version.
        let mut sums = vec![Digest::default(); 1 << bits];
        for &node in self.ring() {
            sums[self.place(node).bucket(bits)] += self.digests_of(node).in_version(wire);
        }
        sums
    }

    /// The listed ones in one bucket, when the ring is cut into `2^bits`.
    pub(crate) fn in_bucket(&self, bits: u32, bucket: usize) -> &[NodeIx] {
        &self.ring()[self.ring_bound(bits, bucket)..self.ring_bound(bits, bucket + 1)]
    }

    fn ring_bound(&self, bits: u32, bucket: usize) -> usize {
        let ring = self.ring();
        match self.interner.bucket_start(bits, bucket) {
            // The nodes that are listed are spread evenly among all.
            Some(start) => {
                let guess = start * ring.len() / self.interner.nodes_len();
                partition_point_near(ring, guess, |node| node.index() < start)
            }
            None => ring.partition_point(|&node| self.place(node).bucket(bits) < bucket),
        }
    }
}
