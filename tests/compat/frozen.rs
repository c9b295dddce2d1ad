//! Version 1 of the wire as it stood when version 2 came, written anew from its layout.
//!
//! **This file is never edited.** Nodes that speak version 1 alone run somewhere, and what they
//! write and refuse can't be changed any more. So it calls nothing of the engine, whose changes
//! would go unnoticed then: a packet is a tree of numbers and bytes, and a table says how it lies.

use std::net::{Ipv4Addr, Ipv6Addr};

use sha2::{Digest, Sha256};

/// A packet, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Number(u64),
    Bytes(Vec<u8>),
    /// Fields in turn, or the items of a list.
    Parts(Vec<Tree>),
    /// Which of several, and that.
    Choice(u8, Box<Tree>),
}

/// How a part of a packet lies in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A number in so many bytes, the lowest first; the least and the most that it may be.
    Fixed(usize, u64, u64),
    /// A number that takes as few bytes as it needs, and the most that it may be.
    Short(u64),
    /// So many bytes.
    Raw(usize),
    /// `4` and the 4 bytes of an IPv4 address, or `6` and the 16 of an IPv6 address, and 2 of the
    /// port, at which one host may be.
    Address,
    /// Bytes with their length in front.
    Blob,
    /// The same of at most so many bytes, a text that can be shown.
    Text(usize),
    /// The same, all zero.
    Zeros,
    /// A list with its length in front.
    List(&'static Shape),
    /// One after another.
    Fields(&'static [Shape]),
    /// A byte that says which, and that.
    Choice(&'static [Shape]),
    /// Another one, of which something more must hold.
    With(&'static Shape, fn(&Tree) -> bool),
}

use Shape::{Address, Blob, Choice, Fields, Fixed, List, Raw, Short, Text, With, Zeros};

const MAGIC: [u8; 2] = *b"rm";
const VERSION: u8 = 1;

const U8: Shape = Fixed(1, 0, 0xff);
const U32: Shape = Fixed(4, 0, 0xffff_ffff);
const U64: Shape = Fixed(8, 0, u64::MAX);
const NOTHING: Shape = Fields(&[]);

const AGE: Shape = U8;
const TOKEN: Shape = U32;
const MAYBE_U32: Shape = Choice(&[NOTHING, U32]);
const ID: Shape = U32;
const PLACE: Shape = U64;
const DIGEST: Shape = Raw(16);
const GENERATION: Shape = Fixed(8, 1, 1 << 62);
const COUNTER: Shape = U32;

/// Time, writer, the first 16 bytes of SHA-256 of the value.
const STAMP: Shape = Fields(&[Fixed(8, 0, 1 << 62), PLACE, Raw(16)]);
const MAYBE_STAMP: Shape = Choice(&[NOTHING, STAMP]);
const METADATA: Shape = With(&Fields(&[STAMP, Blob]), digest_is_right);
/// A version, and the length of its value.
const ANNOUNCEMENT: Shape = Fields(&[STAMP, U32]);

/// Address, generation, name, private data.
const RECORD: Shape = Fields(&[Address, GENERATION, Text(128), Text(512)]);
const MEMBER: Shape = Fields(&[RECORD, COUNTER, AGE]);
/// Address, generation, counter; by timeout or by goodbye.
const GONE: Shape = Fields(&[Address, GENERATION, COUNTER, Choice(&[NOTHING, NOTHING])]);
const WITNESSES: Shape = With(&List(&PLACE), are_at_most_four);
const SUSPICION: Shape = Fields(&[Address, GENERATION, COUNTER, WITNESSES]);
const NEWS: Shape = Choice(&[MEMBER, GONE, SUSPICION]);

/// Members, digest, version, wall clock, milliseconds of a cycle; beats, probes or neither.
const SUMMARY: Shape =
    Fields(&[U32, DIGEST, MAYBE_STAMP, U64, U32, Choice(&[NOTHING, NOTHING, NOTHING])]);
/// Digest of the members, hash of the version.
const HOLDS: Shape = Fields(&[DIGEST, U64]);
const BEAT: Shape = Fields(&[ID, U8, AGE]);
/// Digest of the list, place of the first, counters and ages.
const VECTOR: Shape = With(&Fields(&[DIGEST, U32, List(&Fields(&[U8, AGE]))]), vector_ends);
const COMPARISON: Shape = Choice(&[VECTOR, With(&List(&U32), are_halved_buckets)]);

/// The name and the body of each kind of packet, by the number that the header has of it.
pub(crate) const KINDS: [(&str, Shape); 22] = [
    ("bulk", Fields(&[List(&BEAT), List(&NEWS)])),
    // Token, acknowledgements, arc, view, topic.
    ("rumor", Fields(&[U64, U8, PLACE, PLACE, MAYBE_U32, Choice(&[METADATA, NEWS, ANNOUNCEMENT])])),
    ("join", Fields(&[TOKEN, MEMBER, SUMMARY, Zeros])),
    ("welcome", Fields(&[TOKEN, MAYBE_U32, SUMMARY, List(&MEMBER)])),
    ("swap_request", Fields(&[TOKEN, SUMMARY, Zeros])),
    ("swap_answer", Fields(&[TOKEN, MAYBE_U32, SUMMARY, COMPARISON])),
    ("vector", VECTOR),
    // What is echoed, into how many buckets the ring is cut, which of them, ids.
    ("ids", With(&Fields(&[MAYBE_U32, U8, List(&Short(0xffff)), List(&ID)]), buckets_exist)),
    ("wanted", List(&ID)),
    ("records", List(&NEWS)),
    ("value", METADATA),
    ("last_call", Fields(&[TOKEN, Zeros])),
    ("alive", Fields(&[TOKEN, MEMBER])),
    ("announced", ANNOUNCEMENT),
    // Send, done or busy.
    ("fetch", Fields(&[STAMP, Choice(&[NOTHING, NOTHING, NOTHING])])),
    ("fetched", METADATA),
    // By datagram or by stream.
    ("probe", Fields(&[TOKEN, HOLDS, Choice(&[NOTHING, NOTHING])])),
    ("probe_answer", Fields(&[TOKEN, HOLDS])),
    ("probe_request", Fields(&[TOKEN, Address])),
    // Yes or no.
    ("vouch", Fields(&[TOKEN, Choice(&[NOTHING, NOTHING])])),
    ("rumor_ack", Fields(&[U64, List(&Short(0xffff))])),
    ("echo", Fields(&[TOKEN, Choice(&[NOTHING, Fields(&[DIGEST, MAYBE_STAMP])])])),
];

/// One packet: the number of its kind, the unit of its ages in microseconds, its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frozen {
    pub(crate) kind: u8,
    pub(crate) step: u32,
    pub(crate) body: Tree,
}

impl Frozen {
    pub(crate) fn name(&self) -> &'static str {
        KINDS[usize::from(self.kind)].0
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = [&MAGIC[..], &[VERSION, self.kind], &self.step.to_le_bytes()].concat();
        put(KINDS[usize::from(self.kind)].1, &self.body, &mut out);
        out
    }

    /// Reads a packet. What no decoder of version 1 takes for one is refused, and said why.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut rest = bytes;
        let header = rest.split_off(..8).ok_or("too short")?;
        let (&[m0, m1, version, kind], step) = header.split_first_chunk().expect("8 bytes");
        if [m0, m1] != MAGIC {
            return Err("foreign");
        }
        if version != VERSION {
            return Err("another version");
        }
        let (_, shape) = *KINDS.get(usize::from(kind)).ok_or("unknown kind")?;
        let step = u32::from_le_bytes(step.try_into().expect("4 bytes"));
        if step == 0 {
            return Err("ages without a unit");
        }
        let body = take(shape, &mut rest)?;
        if rest.is_empty() { Ok(Self { kind, step, body }) } else { Err("something follows") }
    }
}

fn put(shape: Shape, tree: &Tree, out: &mut Vec<u8>) {
    match (shape, tree) {
        (Fixed(len, ..), Tree::Number(number)) => out.extend(&number.to_le_bytes()[..len]),
        (Short(_), Tree::Number(number)) => put_short(*number, out),
        (Raw(_) | Address, Tree::Bytes(bytes)) => out.extend(bytes),
        (Blob | Text(_) | Zeros, Tree::Bytes(bytes)) => {
            put_short(bytes.len() as u64, out);
            out.extend(bytes);
        }
        (List(item), Tree::Parts(items)) => {
            put_short(items.len() as u64, out);
            items.iter().for_each(|tree| put(*item, tree, out));
        }
        (Fields(fields), Tree::Parts(parts)) => {
            assert_eq!(fields.len(), parts.len(), "the fields of {shape:?}");
            fields.iter().zip(parts).for_each(|(field, part)| put(*field, part, out));
        }
        (Choice(shapes), Tree::Choice(tag, of)) => {
            out.push(*tag);
            put(shapes[usize::from(*tag)], of, out);
        }
        (With(shape, _), tree) => put(*shape, tree, out),
        (shape, tree) => panic!("{tree:?} is no {shape:?}"),
    }
}

fn put_short(number: u64, out: &mut Vec<u8>) {
    let (tag, len) = match number {
        0..=250 => return out.push(number.to_le_bytes()[0]),
        251..=0xffff => (251, 2),
        0x1_0000..=0xffff_ffff => (252, 4),
        _ => (253, 8),
    };
    out.push(tag);
    out.extend(&number.to_le_bytes()[..len]);
}

fn take(shape: Shape, rest: &mut &[u8]) -> Result<Tree, &'static str> {
    Ok(match shape {
        Fixed(len, least, most) => {
            let number = number(bytes(rest, len)?);
            if number < least || number > most {
                return Err("a number beyond its bounds");
            }
            Tree::Number(number)
        }
        Short(most) => match take_short(rest)? {
            number if number <= most => Tree::Number(number),
            _ => return Err("a number beyond its bounds"),
        },
        Raw(len) => Tree::Bytes(bytes(rest, len)?.to_vec()),
        Address => Tree::Bytes(take_address(rest)?),
        Blob => Tree::Bytes(take_blob(rest)?),
        Text(most) => match take_blob(rest)? {
            text if text.len() > most => return Err("a text that is too long"),
            text if !str::from_utf8(&text).is_ok_and(can_be_shown) => return Err("no text"),
            text => Tree::Bytes(text),
        },
        Zeros => match take_blob(rest)? {
            zeros if zeros.len() > 0xffff || zeros.iter().any(|&byte| byte != 0) => {
                return Err("no padding");
            }
            zeros => Tree::Bytes(zeros),
        },
        List(item) => {
            let count = take_short(rest)?;
            // Every item takes a byte at least.
            if count > rest.len() as u64 {
                return Err("a list that is not there");
            }
            let items: Result<_, _> = (0..count).map(|_| take(*item, rest)).collect();
            Tree::Parts(items?)
        }
        Fields(fields) => {
            let parts: Result<_, _> = fields.iter().map(|field| take(*field, rest)).collect();
            Tree::Parts(parts?)
        }
        Choice(shapes) => {
            let tag = bytes(rest, 1)?[0];
            let shape = *shapes.get(usize::from(tag)).ok_or("none of the choices")?;
            Tree::Choice(tag, Box::new(take(shape, rest)?))
        }
        With(shape, holds) => {
            let tree = take(*shape, rest)?;
            if holds(&tree) { tree } else { return Err("parts that don't go together") }
        }
    })
}

fn bytes<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], &'static str> {
    rest.split_off(..len).ok_or("cut off")
}

/// Up to 8 bytes, the lowest first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// A number that takes as few bytes as it needs, and never more.
fn take_short(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let before = *rest;
    let number = match bytes(rest, 1)?[0] {
        251 => number(bytes(rest, 2)?),
        252 => number(bytes(rest, 4)?),
        253 => number(bytes(rest, 8)?),
        254.. => return Err("no number"),
        byte => u64::from(byte),
    };
    let mut shortest = Vec::new();
    put_short(number, &mut shortest);
    if before.starts_with(&shortest) { Ok(number) } else { Err("a number in too many bytes") }
}

fn take_blob(rest: &mut &[u8]) -> Result<Vec<u8>, &'static str> {
    let len = take_short(rest)?;
    let len = usize::try_from(len).map_err(|_| "cut off")?;
    Ok(bytes(rest, len)?.to_vec())
}

fn take_address(rest: &mut &[u8]) -> Result<Vec<u8>, &'static str> {
    let before = *rest;
    let len = match bytes(rest, 1)?[0] {
        4 => 4,
        6 => 16,
        _ => return Err("no address"),
    };
    let (ip, port) = (bytes(rest, len)?, number(bytes(rest, 2)?));
    if port == 0 || !is_one_host(ip) {
        return Err("an address where no node is");
    }
    Ok(before[..len + 3].to_vec())
}

fn is_one_host(ip: &[u8]) -> bool {
    if let Ok(ip) = <[u8; 4]>::try_from(ip) {
        let ip = Ipv4Addr::from(ip);
        return !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast();
    }
    let ip = Ipv6Addr::from(<[u8; 16]>::try_from(ip).expect("16 bytes"));
    // One that stands for an IPv4 address is written as that.
    !ip.is_unspecified() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none()
}

/// No control character, no separator that breaks lines, no mark that turns text around.
fn can_be_shown(text: &str) -> bool {
    let moves = |char: char| {
        char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.contains(moves)
}

pub(crate) fn digest(value: &[u8]) -> Vec<u8> {
    Sha256::digest(value)[..16].to_vec()
}

fn digest_is_right(metadata: &Tree) -> bool {
    let Tree::Parts(parts) = metadata else { return false };
    let [Tree::Parts(stamp), Tree::Bytes(value)] = &parts[..] else { return false };
    stamp[2] == Tree::Bytes(digest(value))
}

fn parts(tree: &Tree) -> &[Tree] {
    if let Tree::Parts(parts) = tree { parts } else { &[] }
}

fn are_at_most_four(witnesses: &Tree) -> bool {
    parts(witnesses).len() <= 4
}

/// The place behind the last is a number of 32 bits.
fn vector_ends(vector: &Tree) -> bool {
    let [_, Tree::Number(first), beats] = parts(vector) else { return false };
    first + parts(beats).len() as u64 <= 0xffff_ffff
}

fn are_halved_buckets(digests: &Tree) -> bool {
    let count = parts(digests).len();
    count.is_power_of_two() && count <= 1 << 16
}

fn buckets_exist(ids: &Tree) -> bool {
    let [_, Tree::Number(bits), buckets, _] = parts(ids) else { return false };
    let exists = |bucket: &Tree| matches!(bucket, Tree::Number(bucket) if bucket >> bits == 0);
    *bits <= 16 && parts(buckets).iter().all(exists)
}
