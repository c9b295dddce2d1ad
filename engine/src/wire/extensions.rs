//! Extensions: what version 1 has no room for, each with an id and a length, so that whoever does
//! not know it can pass over it.
//!
//! Those of a record stand in order of their ids, each once: a record has one encoding. What this
//! build does not know is kept as it came and passed on so, else a cluster that is upgraded node by
//! node would never agree on what the newer ones say.

use super::codec::{COUNT_LEN_MAX, Reader, Writer, blob_len, number_len};
use super::native::take_text;
use super::reject::Reject;
use crate::config::WireVersion;
use crate::core::Record;
use crate::node::{Generation, Node, Tags};

/// The highest version of the wire that the node speaks; version 1 is not said.
const SPEAKS: u64 = 1;
const ZONE: u64 = 2;
const TAGS: u64 = 3;

/// What the extensions of a record take beside their bytes.
pub(super) const LEN_BARE: usize = COUNT_LEN_MAX;

/// Most bytes that all that a record says takes, with ids and lengths: whatever a newer build adds,
/// it must fit a datagram beside what it is told with. Ours take 908 at most.
const LEN_MAX: usize = 928;

/// Passes over one extension.
pub(super) fn skip(input: &mut Reader<'_>) -> Result<(), Reject> {
    input.number()?;
    input.blob()?;
    input.skipped = input.skipped.saturating_add(1);
    Ok(())
}

/// Bytes in all extensions of a record.
pub(super) fn len(record: &Record) -> usize {
    let node = record.node();
    let speaks = if is_told(record.speaks_number()) { extension_len(SPEAKS, 1) } else { 0 };
    let zone = if node.zone().is_empty() { 0 } else { extension_len(ZONE, node.zone().len()) };
    let tags = if node.tags().is_empty() { 0 } else { extension_len(TAGS, tags_len(node.tags())) };
    speaks + zone + tags + record.foreign().len()
}

const fn extension_len(id: u64, len: usize) -> usize {
    number_len(id) + blob_len(len)
}

fn tags_len(tags: &Tags) -> usize {
    tags.iter().map(|(key, value)| blob_len(key.len()) + blob_len(value.len())).sum()
}

fn is_told(speaks: u8) -> bool {
    speaks > WireVersion::One.number()
}

/// Writes the extensions of a record.
pub(super) fn put(record: &Record, out: &mut Writer<'_>) {
    let node = record.node();
    out.number(len(record) as u64);
    if is_told(record.speaks_number()) {
        out.number(SPEAKS);
        out.blob(&[record.speaks_number()]);
    }
    if !node.zone().is_empty() {
        out.number(ZONE);
        out.blob(node.zone().as_bytes());
    }
    if !node.tags().is_empty() {
        out.number(TAGS);
        out.number(tags_len(node.tags()) as u64);
        for (key, value) in node.tags().iter() {
            out.blob(key.as_bytes());
            out.blob(value.as_bytes());
        }
    }
    out.bytes(record.foreign());
}

/// Reads the extensions of a record, and gives it whole.
pub(super) fn take(
    node: Node,
    generation: Generation,
    input: &mut Reader<'_>,
) -> Result<Record, Reject> {
    let bytes = input.blob()?;
    if node.name().len() + node.private_data().len() + bytes.len() > LEN_MAX {
        return Err(Reject::OverLimit);
    }
    let mut rest = Reader::new(bytes);
    let (mut speaks, mut zone, mut tags) = (WireVersion::One.number(), "", Tags::default());
    let (mut last, mut foreign) = (0, Vec::new());
    while !rest.is_empty() {
        let id = rest.number()?;
        let value = rest.blob()?;
        if id <= last {
            return Err(Reject::Malformed);
        }
        last = id;
        match id {
            SPEAKS => speaks = take_speaks(value)?,
            ZONE => zone = take_zone(value)?,
            TAGS => tags = take_tags(value)?,
            id => keep(id, value, &mut foreign),
        }
        input.skipped = input.skipped.saturating_add(u16::from(id > TAGS));
    }
    let node = node.extended(zone, tags).map_err(|error| Reject::of(&error))?;
    Ok(Record::of(node, generation, speaks, foreign.into()))
}

fn take_speaks(value: &[u8]) -> Result<u8, Reject> {
    match value {
        &[speaks] if is_told(speaks) => Ok(speaks),
        _ => Err(Reject::Malformed),
    }
}

fn take_zone(value: &[u8]) -> Result<&str, Reject> {
    let zone = str::from_utf8(value).map_err(|_| Reject::BadText)?;
    if zone.is_empty() { Err(Reject::Malformed) } else { Ok(zone) }
}

/// Pairs in order, for there is one encoding of a set of them.
fn take_tags(value: &[u8]) -> Result<Tags, Reject> {
    let (mut input, mut pairs) = (Reader::new(value), Vec::new());
    while !input.is_empty() {
        pairs.push((take_text(&mut input)?, take_text(&mut input)?));
    }
    if pairs.is_empty() || !pairs.is_sorted() {
        return Err(Reject::Malformed);
    }
    Tags::of(pairs).map_err(|error| Reject::of(&error))
}

fn keep(id: u64, value: &[u8], foreign: &mut Vec<u8>) {
    let mut out = Writer::new(foreign, WireVersion::LATEST);
    out.number(id);
    out.blob(value);
}

/// An extension that this build does not know.
#[cfg(test)]
pub(super) fn foreign(id: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    keep(id, value, &mut bytes);
    bytes
}
