//! Cluster metadata: one value that every node comes to agree on.
//!
//! Versions are totally ordered and the larger one wins, so that merging is commutative,
//! associative and idempotent whatever the order in which values arrive.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::node::NodeId;
use crate::time::UnixNanos;

/// The rank of a metadata value: first by time, then by writer, then by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Wall clock of the publisher, in nanoseconds since the Unix epoch, or what the others take
    /// for the time when that clock is wrong; raised above the version that it replaced.
    pub nanos: i64,
    /// The publisher.
    pub writer: NodeId,
    /// First 16 bytes of SHA-256 of the data.
    #[serde(with = "crate::forms::digest")]
    pub digest: [u8; 16],
}

impl Version {
    /// The latest time of a version, the year 2116 as for generations; the earliest is zero. No
    /// packet carries one outside of these.
    pub(crate) const NANOS_MAX: i64 = 1 << 62;
    /// The latest time that a clock may give to a version. The trillion of versions above it are
    /// for those who publish above one that they hold: so no clock, however wrong, makes one that
    /// can't be beaten.
    pub(crate) const CLOCK_MAX: i64 = Self::NANOS_MAX - (1 << 40);

    /// A hash of it in 64 bits, by which a difference shows.
    pub(crate) fn hash(self) -> u64 {
        let bytes = self.digest.first_chunk().expect("a digest has 16 bytes");
        let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let rest = [self.nanos as u64, self.writer.0];
        let mixed = rest.into_iter().fold(u64::from_le_bytes(*bytes), mix);
        // Zero stands for no version.
        (mixed ^ mixed >> 32).max(1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.nanos, self.writer)
    }
}

/// A metadata value with its version.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Metadata {
    version: Version,
    data: Arc<[u8]>,
}

impl Metadata {
    /// Takes a value as it came from elsewhere; `None` when the digest of its version is not that
    /// of its data.
    pub fn verified(version: Version, data: Arc<[u8]>) -> Option<Self> {
        (digest(&data) == version.digest).then_some(Self { version, data })
    }

    /// The value that replaces `held` when `writer` publishes at this time, whichever lies ahead.
    ///
    /// # Errors
    /// When the held version has the last time there is.
    pub(crate) fn publish(
        value: Value,
        held: Option<&Self>,
        writer: NodeId,
        time: UnixNanos,
    ) -> Result<Self, PublishError> {
        Self::check_successor(held)?;
        let above = held.map_or(0, |held| held.version.nanos + planted!(PublishedBelow, 1, 0));
        let nanos = time.0.min(Version::CLOCK_MAX).max(above);
        let version = Version { nanos, writer, digest: value.digest };
        Ok(Self { version, data: value.data })
    }

    /// Whether a value can rank above the one that is held.
    ///
    /// # Errors
    /// When the held version has the last time there is.
    pub(crate) fn check_successor(held: Option<&Self>) -> Result<(), PublishError> {
        match held.map(Self::version) {
            Some(held) if held.nanos >= Version::NANOS_MAX => {
                Err(PublishError::VersionsExhausted { held })
            }
            _ => Ok(()),
        }
    }

    /// The value alone, to be published anew.
    pub(crate) fn into_value(self) -> Value {
        Value { data: self.data, digest: self.version.digest }
    }

    /// The same version with other bytes, as after a fault of the memory.
    #[cfg(test)]
    pub(crate) fn corrupted(self, data: &[u8]) -> Self {
        Self { data: data.into(), ..self }
    }

    /// True when the bytes are still those of the version.
    pub(crate) fn is_sound(&self) -> bool {
        digest(&self.data) == self.version.digest
    }

    /// Its rank.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The bytes.
    pub fn data(&self) -> &Arc<[u8]> {
        &self.data
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metadata({}, {} bytes)", self.version, self.data.len())
    }
}

/// Bytes that are small enough to be published: the check is made once, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    data: Arc<[u8]>,
    digest: [u8; 16],
}

impl Value {
    /// Takes bytes to be published under the given settings.
    ///
    /// # Errors
    /// When they are more than `metadata_len_max`.
    pub fn new(data: impl Into<Arc<[u8]>>, config: &Config) -> Result<Self, PublishError> {
        let data = data.into();
        let (len, max) = (data.len(), config.value_len_max());
        if len > max {
            return Err(PublishError::TooLarge { len, max });
        }
        let digest = digest(&data);
        Ok(Self { data, digest })
    }

    /// The bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// Why bytes can't be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// There are too many.
    #[error(
        "the metadata has {len} bytes, at most {max} fit: publish less, or raise \
         `metadata_len_max` on every node"
    )]
    TooLarge {
        /// Length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The held version has the last time there is, which no clock gives and no honest node
    /// comes to: somebody made it up. No value ranks above it by its time.
    #[error(
        "the version {held} has the last time there is, and no value ranks above it: remove the \
         node that made it up, then let all nodes leave before the first joins again"
    )]
    VersionsExhausted {
        /// The version that is held.
        held: Version,
    },
}

/// The digest of a value: the first 16 bytes of its SHA-256.
pub(crate) fn digest(data: &[u8]) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(data).into();
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(data: &[u8]) -> Value {
        Value::new(data, &Config::default()).unwrap()
    }

    #[test]
    fn a_publish_lies_above_the_held_version_even_when_the_clock_does_not() {
        let wall = UnixNanos(1_000);
        let first = Metadata::publish(value(b"a"), None, NodeId(1), wall).unwrap();
        assert_eq!(first.version().nanos, 1_000);
        let second = Metadata::publish(value(b"b"), Some(&first), NodeId(0), UnixNanos(5));
        let second = second.unwrap();
        assert_eq!(second.version().nanos, 1_001);
        assert!(second.version() > first.version());
    }

    #[test]
    fn whatever_a_clock_shows_others_can_read_the_version_and_beat_it() {
        for wall in [i64::MIN, -1, 0, Version::NANOS_MAX, i64::MAX] {
            let first = Metadata::publish(value(b"a"), None, NodeId(9), UnixNanos(wall)).unwrap();
            assert!((0..=Version::CLOCK_MAX).contains(&first.version().nanos));
            let next = Metadata::publish(value(b"b"), Some(&first), NodeId(1), UnixNanos(wall));
            assert_eq!(next.unwrap().version().nanos, first.version().nanos + 1);
        }
    }

    #[test]
    fn a_publish_above_the_last_version_there_is_is_an_error_that_names_it() {
        let mut last = Metadata::publish(value(b"a"), None, NodeId(1), UnixNanos(7)).unwrap();
        last.version.nanos = Version::NANOS_MAX - 1;
        last = Metadata::publish(value(b"b"), Some(&last), NodeId(1), UnixNanos(7)).unwrap();
        assert_eq!(last.version().nanos, Version::NANOS_MAX);
        let error = Metadata::publish(value(b"c"), Some(&last), NodeId(2), UnixNanos(7));
        let held = last.version();
        assert_eq!(error.unwrap_err(), PublishError::VersionsExhausted { held });
    }

    #[test]
    fn data_under_a_foreign_digest_is_no_metadata() {
        let metadata = Metadata::publish(value(b"a"), None, NodeId(1), UnixNanos(1)).unwrap();
        assert!(Metadata::verified(metadata.version(), b"a"[..].into()).is_some());
        assert!(Metadata::verified(metadata.version(), b"b"[..].into()).is_none());
    }

    #[test]
    fn a_value_beyond_the_limit_is_an_error_with_both_numbers() {
        let config = Config::builder().metadata_len_max(4).build().unwrap();
        assert!(Value::new(*b"1234", &config).is_ok());
        let error = Value::new(*b"12345", &config).unwrap_err();
        assert_eq!(error, PublishError::TooLarge { len: 5, max: 4 });
    }

    proptest! {
        #[test]
        fn versions_are_totally_ordered_by_time_then_writer_then_content(
            a in any::<(i64, u64, [u8; 16])>(),
            b in any::<(i64, u64, [u8; 16])>(),
        ) {
            let version =
                |(nanos, writer, digest)| Version { nanos, writer: NodeId(writer), digest };
            prop_assert_eq!(version(a).cmp(&version(b)), a.cmp(&b));
        }
    }
}
