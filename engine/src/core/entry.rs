//! Entries: named values that every node comes to hold, each with the rank by which it wins.
//!
//! Ranks are totally ordered and the larger one wins, as for metadata, which is the entry without
//! a name: merging is commutative, associative and idempotent.

use std::borrow::Borrow;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest as _, Md5};

use super::metadata::{Metadata, Version, digest};
use crate::node::{Generation, NodeId};
use crate::text::{Printable, find_unprintable};
use crate::time::nanos;

/// Longest key of an entry, in bytes of UTF-8.
pub const KEY_LEN_MAX: usize = 256;

/// The name of an entry: text that can be shown (see [`crate::text`]), at most [`KEY_LEN_MAX`]
/// bytes, ordered by them. The empty one is that of the metadata.
///
/// What is kept or travels holds an [`Entry`], which is cheap to clone and has its key: a key of
/// its own count of owners would cost 16 bytes in every entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey(Box<str>);

impl EntryKey {
    /// Checks a key.
    ///
    /// # Errors
    /// When it is longer than [`KEY_LEN_MAX`] or has a character that can't be shown.
    pub fn new(text: &str) -> Result<Self, EntryKeyError> {
        let len = text.len();
        if len > KEY_LEN_MAX {
            return Err(EntryKeyError::TooLong { len });
        }
        match find_unprintable(text) {
            None => Ok(Self(text.into())),
            Some((at, char)) => Err(EntryKeyError::Unprintable { text: text.to_owned(), at, char }),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The place of a key among all: the first 8 bytes of its MD5. Where there is no room for all
    /// the last ones go first, and so the metadata has the first place of all.
    pub(crate) fn place(text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        let hash: [u8; 16] = Md5::digest(text.as_bytes()).into();
        u64::from_be_bytes(*hash.first_chunk().expect("a hash has 16 bytes"))
    }
}

impl Borrow<str> for EntryKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryKeyError {
    /// It exceeds the limit.
    #[error("the key of an entry has {len} bytes, the limit is {KEY_LEN_MAX}: shorten it")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It has a character that would write on the terminal of whoever reads it.
    #[error(
        "the key of an entry has U+{:04X} at byte {at} of `{}`, not to be shown: leave it out",
        u32::from(*char),
        Printable(text)
    )]
    Unprintable {
        /// The text, as it was given.
        text: String,
        /// Where it has the character, in bytes.
        at: usize,
        /// The first such character.
        char: char,
    },
}

/// One life of a node, as far as it writes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// The place of its address.
    pub place: NodeId,
    /// Which of its lives.
    pub generation: Generation,
}

/// One write: who wrote, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The writer.
    pub writer: Incarnation,
    /// The count of the writes of this incarnation, this one included, to whatever keys.
    pub seq: u64,
}

/// What tells one write from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The rank of the value.
    pub version: Version,
    /// The generation of the writer.
    pub generation: Generation,
    /// The count of the writes of this incarnation, this one included, to whatever keys.
    pub seq: u64,
}

impl Stamp {
    /// Who wrote.
    pub fn writer(&self) -> Incarnation {
        Incarnation { place: self.version.writer, generation: self.generation }
    }

    /// Which write it was.
    pub fn dot(&self) -> Dot {
        Dot { writer: self.writer(), seq: self.seq }
    }
}

/// What an entry says of its key. Of one version the later of these wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum EntryKind {
    /// It has a value.
    Put,
    /// It was deleted.
    Delete,
    /// It had a value, which has expired: the version is that of the put.
    Expired,
}

/// How long a put holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Whether it is shown only while the incarnation of its writer is listed.
    pub bound: bool,
    /// The age at which it expires; a nanosecond at least.
    pub ttl: Option<Duration>,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// A value.
    Put {
        /// The bytes.
        data: Arc<[u8]>,
        /// How long they hold.
        terms: Terms,
    },
    /// The end of a value, by the wish of somebody.
    Delete {
        /// The write of that value: who hears of its end alone knows what not to take.
        replaced: Dot,
    },
    /// The end of a value by its own terms.
    Expired,
}

/// One write of one key: shared, unchangeable, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Entry(Arc<Parts>);

/// With these types an entry takes 112 bytes, and 16 more at its value.
#[derive(PartialEq, Eq, Hash)]
struct Parts {
    key: EntryKey,
    stamp: Stamp,
    content: Packed,
}

/// A [`Content`] in 32 bytes.
#[derive(PartialEq, Eq, Hash)]
enum Packed {
    Put { data: Arc<[u8]>, ttl_nanos: Option<NonZeroU64>, bound: bool },
    Delete { replaced: Dot },
    Expired,
}

impl From<Content> for Packed {
    fn from(content: Content) -> Self {
        match content {
            Content::Put { data, terms } => {
                let least = |ttl| NonZeroU64::new(nanos(ttl)).unwrap_or(NonZeroU64::MIN);
                Self::Put { data, ttl_nanos: terms.ttl.map(least), bound: terms.bound }
            }
            Content::Delete { replaced } => Self::Delete { replaced },
            Content::Expired => Self::Expired,
        }
    }
}

impl Entry {
    /// Takes an entry as it came from elsewhere; `None` when the digest of its version is not that
    /// of its bytes. A delete has that of no bytes, what has expired that of those it had.
    pub fn verified(key: EntryKey, stamp: Stamp, content: Content) -> Option<Self> {
        let is_sound = match &content {
            Content::Put { data, .. } => digest(data) == stamp.version.digest,
            Content::Delete { .. } => digest(&[]) == stamp.version.digest,
            Content::Expired => true,
        };
        is_sound.then(|| Self::new(key, stamp, content))
    }

    /// The metadata as the entry that it is: of its writer the place alone is known, and its
    /// writes are not counted.
    pub fn of_metadata(metadata: &Metadata) -> Self {
        let (version, generation) = (metadata.version(), Generation::MIN);
        let content = Content::Put { data: metadata.data().clone(), terms: Terms::default() };
        Self::new(EntryKey("".into()), Stamp { version, generation, seq: 0 }, content)
    }

    /// The entry of a stamp that was made for its content.
    pub(crate) fn new(key: EntryKey, stamp: Stamp, content: Content) -> Self {
        Self(Arc::new(Parts { key, stamp, content: content.into() }))
    }

    /// What is left of a put that has expired: the same for whoever makes it.
    pub(crate) fn expired(&self) -> Self {
        Self::new(self.0.key.clone(), self.0.stamp, Content::Expired)
    }

    /// Its key.
    pub fn key(&self) -> &EntryKey {
        &self.0.key
    }

    /// Which write it is.
    pub fn stamp(&self) -> &Stamp {
        &self.0.stamp
    }

    /// What it says of its key.
    pub fn kind(&self) -> EntryKind {
        match self.0.content {
            Packed::Put { .. } => EntryKind::Put,
            Packed::Delete { .. } => EntryKind::Delete,
            Packed::Expired => EntryKind::Expired,
        }
    }

    /// The bytes of a put.
    pub fn data(&self) -> Option<&Arc<[u8]>> {
        match &self.0.content {
            Packed::Put { data, .. } => Some(data),
            Packed::Delete { .. } | Packed::Expired => None,
        }
    }

    /// How long it holds.
    pub fn terms(&self) -> Terms {
        match self.0.content {
            Packed::Put { ttl_nanos, bound, .. } => {
                Terms { bound, ttl: ttl_nanos.map(|ttl| Duration::from_nanos(ttl.get())) }
            }
            Packed::Delete { .. } | Packed::Expired => Terms::default(),
        }
    }

    /// The write whose value a delete ended.
    pub fn replaced(&self) -> Option<Dot> {
        match self.0.content {
            Packed::Delete { replaced } => Some(replaced),
            Packed::Put { .. } | Packed::Expired => None,
        }
    }

    /// What it was made of.
    pub fn content(&self) -> Content {
        match &self.0.content {
            Packed::Put { data, .. } => Content::Put { data: data.clone(), terms: self.terms() },
            &Packed::Delete { replaced } => Content::Delete { replaced },
            Packed::Expired => Content::Expired,
        }
    }

    /// Its rank among the entries of its key.
    pub fn rank(&self) -> (Version, EntryKind) {
        (self.0.stamp.version, self.kind())
    }

    /// The bytes that it counts for where their number is limited: none when it has no value.
    pub(crate) fn len(&self) -> usize {
        self.data().map_or(0, |data| self.0.key.as_str().len() + data.len())
    }

    /// Whether it gets old: whether somebody has to know its age.
    pub(crate) fn ages(&self) -> bool {
        self.kind() != EntryKind::Put || self.terms().ttl.is_some()
    }

    /// What a set that has it alone is known by.
    pub(crate) fn print(&self) -> Fingerprint {
        Fingerprint::of(EntryKey::place(self.0.key.as_str()), self.rank_hash())
    }

    /// A hash of its rank in 64 bits, by which a difference shows.
    pub(crate) fn rank_hash(&self) -> u64 {
        rank_hash(self.0.stamp.version, self.kind())
    }
}

/// A hash of a rank in 64 bits.
pub(crate) fn rank_hash(version: Version, kind: EntryKind) -> u64 {
    version.hash().wrapping_add((kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, Parts { key, stamp, .. }) = (self.kind(), &*self.0);
        write!(f, "{kind:?}({:?} {} {} bytes)", key.as_str(), stamp.version, self.len())
    }
}

/// Why a value can't be put, or a key deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The value has too many bytes.
    #[error(
        "the value has {len} bytes, at most {max} fit: put less, or raise `entry_len_max` (of \
         metadata `metadata_len_max`) on every node"
    )]
    TooLarge {
        /// Length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// There are too many values.
    #[error(
        "with this one there are {count} entries, at most {max} fit: delete some, or raise \
         `entries_max` on every node"
    )]
    TooMany {
        /// How many there would be.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// All values together have too many bytes.
    #[error(
        "with this one the entries have {bytes} bytes, at most {max} fit: delete some, or raise \
         `entries_bytes_max` on every node"
    )]
    TooMuch {
        /// The bytes of keys and values that there would be.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It is the metadata, the entry with the empty key, which is published.
    #[error(
        "the empty key is that of the metadata, which neither expires nor can be deleted: publish \
         a value, or give the entry a name"
    )]
    Nameless,
    /// The wire of this node knows no entries.
    #[error("with `wire = \"pekonode\"` there are no entries: publish metadata, or take `native`")]
    NoEntries,
    /// The held version has the last time there is, which no clock gives and no honest node
    /// comes to: somebody made it up. Nothing ranks above it.
    #[error(
        "the version {held} has the last time there is, and nothing ranks above it: take another \
         key, and remove the node that made it up"
    )]
    VersionsExhausted {
        /// The version that is held.
        held: Version,
    },
}

/// What a set of entries is known by: equal sets have equal ones, in whatever order they were put
/// together. How old an entry is, and whether it is shown, plays no part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// That of one entry by the place of its key and the hash of its rank, mixed so that sums of
    /// different ones differ. No two have the same.
    pub(crate) fn of(place: u64, rank_hash: u64) -> Self {
        let mut mixed = (u128::from(place) << 64) | u128::from(rank_hash);
        for odd in
            [0xda94_2042_e4dd_58b5_9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9_94d0_49bb_1331_11eb]
        {
            mixed = (mixed ^ (mixed >> 65)).wrapping_mul(odd);
        }
        Self(mixed ^ (mixed >> 67))
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    pub(crate) fn sub(&mut self, other: Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }

    /// Half of its bits, for the sum of a small part.
    pub(crate) fn fold(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(data: &[u8]) -> Stamp {
        let version = Version { nanos: 7, writer: NodeId(1), digest: digest(data) };
        Stamp { version, generation: Generation::MIN, seq: 1 }
    }

    fn key(text: &str) -> EntryKey {
        EntryKey::new(text).unwrap()
    }

    #[test]
    fn a_key_beyond_the_limit_or_with_a_control_character_is_an_error_that_says_where() {
        assert_eq!(EntryKey::new("").unwrap(), EntryKey::default());
        assert!(EntryKey::new(&"k".repeat(KEY_LEN_MAX)).is_ok());
        let long = EntryKey::new(&"k".repeat(KEY_LEN_MAX + 1)).unwrap_err();
        assert_eq!(
            long.to_string(),
            "the key of an entry has 257 bytes, the limit is 256: shorten it"
        );
        let shown = "the key of an entry has U+001B at byte 1 of `a\\u{1b}[2J`, not to be shown: \
                     leave it out";
        assert_eq!(EntryKey::new("a\u{1b}[2J").unwrap_err().to_string(), shown);
    }

    #[test]
    fn keys_are_ordered_by_their_bytes() {
        let mut keys = ["b", "", "a/b", "é", "a", "Z"].map(key);
        keys.sort();
        assert_eq!(keys.map(|key| key.0), ["", "Z", "a", "a/b", "b", "é"].map(Into::into));
    }

    #[test]
    fn an_entry_under_a_foreign_digest_is_none() {
        let put = |data: &[u8]| Content::Put { data: data.into(), terms: Terms::default() };
        let verified = |data, content| Entry::verified(key("k"), stamp(data), content).is_some();
        assert!(verified(b"a", put(b"a")) && !verified(b"a", put(b"b")));
        let delete = || Content::Delete { replaced: stamp(b"a").dot() };
        assert!(verified(b"", delete()) && !verified(b"a", delete()));
        assert!(verified(b"a", Content::Expired));
    }

    #[test]
    fn an_entry_gives_back_what_it_was_made_of() {
        let delete = || Content::Delete { replaced: stamp(b"b").dot() };
        for ttl in [None, Some(Duration::from_nanos(1)), Some(Duration::from_secs(90))] {
            let terms = Terms { bound: ttl.is_none(), ttl };
            let contents =
                [Content::Put { data: b"a"[..].into(), terms }, delete(), Content::Expired];
            for content in contents {
                let entry = Entry::new(key("k"), stamp(b"a"), content.clone());
                assert_eq!(entry.content(), content);
            }
        }
        let terms = Terms { bound: false, ttl: Some(Duration::ZERO) };
        let never = Entry::new(key("k"), stamp(b""), Content::Put { data: [].into(), terms });
        assert_eq!(never.terms().ttl, Some(Duration::from_nanos(1)), "it expires at once");
    }

    #[test]
    fn of_one_version_what_ends_a_value_ranks_above_it() {
        let put = Content::Put { data: [].into(), terms: Terms::default() };
        let delete = Content::Delete { replaced: stamp(b"").dot() };
        let ranks = [put, delete, Content::Expired]
            .map(|content| Entry::new(key("k"), stamp(b""), content).rank());
        assert!(ranks.is_sorted() && ranks[0] < ranks[1] && ranks[1] < ranks[2]);
    }

    #[test]
    fn the_metadata_has_the_first_place_of_all() {
        assert_eq!(EntryKey::place(""), 0);
        assert_eq!(EntryKey::place("a"), 0x0cc1_75b9_c0f1_b6a8, "the first half of its MD5");
    }

    proptest! {
        #[test]
        fn fingerprints_of_near_entries_lie_far_apart(place: u64, rank: u64, bit in 0..64_u32) {
            let of = Fingerprint::of(place, rank).0;
            for near in [
                Fingerprint::of(place ^ 1 << bit, rank),
                Fingerprint::of(place, rank ^ 1 << bit),
                Fingerprint::of(rank, place ^ 1 << bit),
            ] {
                let bits = (of ^ near.0).count_ones();
                prop_assert!((20..=108).contains(&bits), "{} bits of 128 differ", bits);
            }
        }
    }
}
