//! The layout of entries, and of what two nodes say to each other to find how theirs differ: all of
//! it in version 2 and above.

use std::num::NonZeroU64;
use std::time::Duration;

use super::codec::{
    COUNT_LEN_MAX, Reader, Wire, Writer, blob_len, number_len, wire_choices, wire_fixed,
    wire_structs,
};
use super::reject::Reject;
use crate::config::WireVersion;
use crate::core::packet::{
    AgedEntry, Bounded, Covered, DeadEntry, Differences, EntriesSummary, EntryHead, HashRange,
    Kept, PlacedRank, RangeContent, RangePart,
};
use crate::core::{
    Content, Dot, Entry, EntryKey, EntryKind, EntryRoom, Fingerprint, Incarnation, Stamp, Terms,
    Version,
};
use crate::node::{Generation, NodeId};
use crate::time::nanos;

/// The longest that a number takes.
const NUMBER_LEN_MAX: usize = number_len(u64::MAX);

wire_fixed! {
    Fingerprint, 16: |print| print.0.to_le_bytes(), |bytes| Ok(Self(u128::from_le_bytes(bytes)));
    EntryKind, 1: |kind| [kind_tag(*kind)], |bytes| kind_of(bytes[0]);
    HashRange, 9: |range| {
        let mut bytes = [0; 9];
        bytes[..8].copy_from_slice(&range.first().to_le_bytes());
        bytes[8] = range.depth();
        bytes
    }, |bytes| {
        let first = u64::from_le_bytes(*bytes.first_chunk().expect("nine bytes"));
        Self::new(first, bytes[8]).ok_or(Reject::Malformed)
    };
    PlacedRank, 16: |placed| {
        let both = u128::from(placed.rank_hash) << 64 | u128::from(placed.place);
        both.to_le_bytes()
    }, |bytes| {
        let both = u128::from_le_bytes(bytes);
        Ok(Self { place: both as u64, rank_hash: (both >> 64) as u64 })
    };
}

wire_structs! {
    EntryHead { place: u64, stamp: Stamp, kind: EntryKind }
    DeadEntry { key: EntryKey, version: Version }
    RangePart { range: HashRange, content: RangeContent }
    Differences {
        parts: Vec<RangePart>,
        wanted: Vec<PlacedRank>,
        heads: Vec<EntryHead>,
        entries: Vec<AgedEntry>,
        dead: Vec<DeadEntry>,
    }
    Incarnation { place: NodeId, generation: Generation }
}

wire_choices! {
    RangeContent { 0 => Sums, 1 => List }
}

fn kind_tag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Put => 0,
        EntryKind::Delete => 1,
        EntryKind::Expired => 2,
    }
}

fn kind_of(tag: u8) -> Result<EntryKind, Reject> {
    match tag {
        0 => Ok(EntryKind::Put),
        1 => Ok(EntryKind::Delete),
        2 => Ok(EntryKind::Expired),
        _ => Err(Reject::Malformed),
    }
}

impl Bounded for Box<[u64; HashRange::CUT]> {
    const LEN_MIN: usize = 8 * HashRange::CUT;
    const LEN_BARE: usize = Self::LEN_MIN;
    const IS_FIXED: bool = true;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

impl Wire for Box<[u64; HashRange::CUT]> {
    fn put(&self, out: &mut Writer<'_>) {
        self.iter().for_each(|sum| sum.put(out));
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let bytes = input.bytes(Self::LEN_MIN)?;
        let mut sums = Self::new([0; HashRange::CUT]);
        for (sum, bytes) in sums.iter_mut().zip(bytes.chunks_exact(8)) {
            *sum = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        }
        Ok(sums)
    }

    fn len(&self, _: WireVersion) -> usize {
        Self::LEN_MIN
    }
}

impl Bounded for EntryKey {
    const LEN_MIN: usize = 1;
    const LEN_BARE: usize = COUNT_LEN_MAX;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE + self.as_str().len()
    }
}

/// A key is read through its checks.
impl Wire for EntryKey {
    fn put(&self, out: &mut Writer<'_>) {
        out.blob(self.as_str().as_bytes());
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let text = str::from_utf8(input.blob()?).map_err(|_| Reject::BadText)?;
        Self::new(text).map_err(|error| Reject::of_key(&error))
    }

    fn len(&self, _: WireVersion) -> usize {
        blob_len(self.as_str().len())
    }
}

impl Bounded for Stamp {
    const LEN_MIN: usize = Version::LEN_MIN + Generation::LEN_MIN + 1;
    const LEN_BARE: usize = Version::LEN_BARE + Generation::LEN_BARE + NUMBER_LEN_MAX;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

/// Writes are counted from one on.
impl Wire for Stamp {
    fn put(&self, out: &mut Writer<'_>) {
        self.version.put(out);
        self.generation.put(out);
        out.number(self.seq);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let (version, generation) = (Version::take(input)?, Generation::take(input)?);
        let seq = input.number()?;
        if seq == 0 { Err(Reject::Malformed) } else { Ok(Self { version, generation, seq }) }
    }

    fn len(&self, wire: WireVersion) -> usize {
        self.version.len(wire) + self.generation.len(wire) + number_len(self.seq)
    }
}

impl Bounded for Dot {
    const LEN_MIN: usize = Incarnation::LEN_MIN + 1;
    const LEN_BARE: usize = Incarnation::LEN_BARE + NUMBER_LEN_MAX;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

impl Wire for Dot {
    fn put(&self, out: &mut Writer<'_>) {
        self.writer.put(out);
        out.number(self.seq);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let writer = Incarnation::take(input)?;
        let seq = input.number()?;
        if seq == 0 { Err(Reject::Malformed) } else { Ok(Self { writer, seq }) }
    }

    fn len(&self, wire: WireVersion) -> usize {
        self.writer.len(wire) + number_len(self.seq)
    }
}

impl Bounded for Covered {
    const LEN_MIN: usize = Incarnation::LEN_MIN + 2 + i64::LEN_MIN;
    const LEN_BARE: usize = Incarnation::LEN_BARE + 2 * NUMBER_LEN_MAX + i64::LEN_BARE;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

impl Wire for Covered {
    fn put(&self, out: &mut Writer<'_>) {
        self.writer.put(out);
        out.number(self.first);
        out.number(self.last);
        self.nanos.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let writer = Incarnation::take(input)?;
        let (first, last) = (input.number()?, input.number()?);
        let nanos = i64::take(input)?;
        let is_run = 0 < first && first <= last;
        if is_run { Ok(Self { writer, first, last, nanos }) } else { Err(Reject::Malformed) }
    }

    fn len(&self, wire: WireVersion) -> usize {
        let numbers = number_len(self.first) + number_len(self.last);
        self.writer.len(wire) + numbers + self.nanos.len(wire)
    }
}

impl Bounded for EntryRoom {
    const LEN_MIN: usize = 3;
    const LEN_BARE: usize = 3 * NUMBER_LEN_MAX;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

impl Wire for EntryRoom {
    fn put(&self, out: &mut Writer<'_>) {
        self.numbers().into_iter().for_each(|number| out.number(number));
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let (len_max, count_max) = (input.number()?, input.number()?);
        Ok(Self { len_max, count_max, bytes_max: input.number()? })
    }

    fn len(&self, _: WireVersion) -> usize {
        self.numbers().into_iter().map(number_len).sum()
    }
}

impl Bounded for EntriesSummary {
    const LEN_MIN: usize = 0;
    const LEN_BARE: usize = Fingerprint::LEN_BARE + u64::LEN_BARE + <Option<EntryRoom>>::LEN_BARE;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

impl Bounded for Kept {
    const LEN_MIN: usize = 0;
    const LEN_BARE: usize = 1;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE
    }
}

/// Nothing in version 1, in which whoever acknowledges a rumor holds what it brought.
impl Wire for Kept {
    fn put(&self, out: &mut Writer<'_>) {
        if out.wire > WireVersion::One {
            out.bytes(match self {
                Self::All => &[0],
                Self::NotAll => &[1],
            });
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        if input.wire == WireVersion::One {
            return Ok(Self::All);
        }
        match input.bytes(1)?[0] {
            0 => Ok(Self::All),
            1 => Ok(Self::NotAll),
            _ => Err(Reject::Malformed),
        }
    }

    fn len(&self, wire: WireVersion) -> usize {
        if wire > WireVersion::One { Self::LEN_BARE } else { 0 }
    }
}

/// Nothing in version 1, which knows no entries.
impl Wire for EntriesSummary {
    fn put(&self, out: &mut Writer<'_>) {
        if out.wire > WireVersion::One {
            self.held.put(out);
            self.covered.put(out);
            self.room.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        match input.wire {
            WireVersion::One => Ok(Self::default()),
            WireVersion::Two => Ok(Self {
                held: Wire::take(input)?,
                covered: Wire::take(input)?,
                room: Wire::take(input)?,
            }),
        }
    }

    fn len(&self, wire: WireVersion) -> usize {
        let fixed = Fingerprint::LEN_BARE + u64::LEN_BARE;
        if wire > WireVersion::One { fixed + self.room.len(wire) } else { 0 }
    }
}

/// What an entry is: its kind in the lowest bits, and of a put whether it is bound and expires.
const BOUND: u8 = 4;
const EXPIRES: u8 = 8;

impl Bounded for AgedEntry {
    const LEN_MIN: usize = EntryKey::LEN_MIN + Stamp::LEN_MIN + 1;
    const LEN_BARE: usize =
        EntryKey::LEN_BARE + Stamp::LEN_BARE + 1 + NUMBER_LEN_MAX + Dot::LEN_BARE + COUNT_LEN_MAX;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        let data = self.entry.data().map_or(0, |data| data.len());
        Self::LEN_BARE + self.entry.key().as_str().len() + data
    }
}

/// An age is told where it plays a part. The digest is verified here, so that whoever holds an
/// entry need not doubt it.
impl Wire for AgedEntry {
    fn put(&self, out: &mut Writer<'_>) {
        let (entry, terms) = (&self.entry, self.entry.terms());
        entry.key().put(out);
        entry.stamp().put(out);
        let bound = if terms.bound { BOUND } else { 0 };
        let expires = if terms.ttl.is_some() { EXPIRES } else { 0 };
        out.bytes(&[kind_tag(entry.kind()) | bound | expires]);
        if let Some(ttl) = terms.ttl {
            out.number(nanos(ttl));
        }
        if let Some(data) = entry.data() {
            out.blob(data);
        }
        if let Some(replaced) = entry.replaced() {
            replaced.put(out);
        }
        if entry.ages() {
            out.number(nanos(self.age));
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        if input.wire == WireVersion::One {
            return Err(Reject::Malformed);
        }
        let (key, stamp) = (EntryKey::take(input)?, Stamp::take(input)?);
        let tag = u8::take(input)?;
        let kind = kind_of(tag & 3)?;
        let content = take_content(kind, tag & !3, input)?;
        let entry = Entry::verified(key, stamp, content).ok_or(Reject::BadDigest)?;
        let age = if entry.ages() { input.number()? } else { 0 };
        Ok(Self { entry, age: Duration::from_nanos(age) })
    }

    fn len(&self, wire: WireVersion) -> usize {
        let (entry, terms) = (&self.entry, self.entry.terms());
        let ttl = terms.ttl.map_or(0, |ttl| number_len(nanos(ttl)));
        let data = entry.data().map_or(0, |data| blob_len(data.len()));
        let replaced = entry.replaced().map_or(0, |replaced| replaced.len(wire));
        let age = if entry.ages() { number_len(nanos(self.age)) } else { 0 };
        entry.key().len(wire) + entry.stamp().len(wire) + 1 + ttl + data + replaced + age
    }
}

fn take_content(kind: EntryKind, terms: u8, input: &mut Reader<'_>) -> Result<Content, Reject> {
    let is_known = terms & !(BOUND | EXPIRES) == 0;
    match kind {
        EntryKind::Put if is_known => {
            let ttl = match terms & EXPIRES {
                0 => None,
                _ => Some(NonZeroU64::new(input.number()?).ok_or(Reject::Malformed)?),
            };
            let ttl = ttl.map(|ttl| Duration::from_nanos(ttl.get()));
            let terms = Terms { bound: terms & BOUND != 0, ttl };
            Ok(Content::Put { data: input.blob()?.into(), terms })
        }
        EntryKind::Delete if terms == 0 => Ok(Content::Delete { replaced: Dot::take(input)? }),
        EntryKind::Expired if terms == 0 => Ok(Content::Expired),
        _ => Err(Reject::Malformed),
    }
}
