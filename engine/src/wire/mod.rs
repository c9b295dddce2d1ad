//! Turns packets into bytes and back, and believes nothing that the bytes claim.
//!
//! A packet is a header of 8 bytes and then what the kind of packet needs:
//!
//! | bytes | content |
//! |---|---|
//! | 2 | magic, `0x72 0x6d` ("rm") |
//! | 1 | version of this format |
//! | 1 | kind of packet |
//! | 4 | unit of all ages in the packet, in microseconds |
//! | rest | the body: the fields of its struct in turn, as `native.rs` lists them |
//!
//! Version 1 ends with the body. In version 2 a record has extensions behind it, all together with
//! their length in front, and so may a packet: each is an id, a length and so many bytes
//! (`extensions.rs`). Who does not know an id passes over it, counts it, and hands those of records
//! on as they came. To each peer goes the highest version that it is known to speak.
//!
//! Whole numbers are little-endian; counts take as few bytes as they need. A value
//! has exactly one encoding, so that what decodes encodes to the same bytes again.
//!
//! A packet on a stream has the same bytes. Only there a metadata value may exceed a datagram.
//!
//! This module knows packets and bytes. It names no socket, no clock and no entropy. What protects
//! a datagram as a whole is a [`Guard`]: it wraps what [`encode`] writes in a checksum or a seal,
//! and takes that off before [`decode`] reads. What protects a connection is a [`StreamGuard`].

#[cfg(test)]
pub(crate) mod arbitrary;
mod checksum;
mod codec;
mod entries;
mod extensions;
mod guard;
#[cfg(feature = "persist")]
pub(crate) mod kept;
mod native;
pub mod pekonode;
mod reject;
mod seal;
mod stream;
#[cfg(test)]
mod tests;

use codec::{Reader, Wire, Writer};

use crate::core::{CarriedNews, Channel, LivenessCheck, Packet, PacketKind, Traced};

pub use guard::{Guard, GuardAnswer, Run};
pub use reject::Reject;
pub use seal::{Keyring, KeyringError};
pub use stream::{StreamDial, StreamEnd, StreamGuard, StreamOpener, StreamSealer};

/// Longest datagram that is looked at, in bytes. UDP carries at most 65,507.
pub const DATAGRAM_LEN_MAX: usize = 65_536;

/// Longest datagram, in bytes, that is taken from a node whose `size` is larger than ours: nodes
/// on jumbo frames and others are one cluster.
///
/// Only a metadata value may be in a longer one, up to [`DATAGRAM_LEN_MAX`]: its publisher's
/// `size` alone decides that it travels so, and it costs little to read. The other kinds are lists
/// that a node cuts to its own `size`, and to read 64 KiB of records costs milliseconds.
pub const CUT_LEN_MAX: usize = 9_216;

/// Appends the encoded packet to `out`.
///
/// ```
/// use rumormill::core::packet::{Body, LastCall};
/// use rumormill::core::{AgeStep, Packet};
/// use rumormill::wire;
///
/// let packet = Packet::new(AgeStep(25_000), Body::LastCall(LastCall::default()));
/// let mut bytes = Vec::new();
/// wire::encode(&packet, &mut bytes);
/// assert_eq!(bytes.len(), wire::encoded_len(&packet));
/// assert_eq!(wire::decode(&bytes), Ok(packet));
/// assert_eq!(wire::decode(b"hello"), Err(wire::Reject::TooShort));
/// ```
pub fn encode(packet: &Packet, out: &mut Vec<u8>) {
    packet.put(&mut Writer::new(out, packet.wire));
}

/// The number of bytes that [`encode`] appends, without encoding: a few operations for the beats
/// of a packet however many they are, and some for each record.
pub fn encoded_len(packet: &Packet) -> usize {
    packet.len(packet.wire)
}

/// Reads a packet from its bytes, from which what guards them is taken off.
///
/// Never panics, and never sets memory aside for what a length merely claims.
///
/// # Errors
/// The reason why the bytes are no packet of ours.
pub fn decode(bytes: &[u8]) -> Result<Packet, Reject> {
    if bytes.len() > DATAGRAM_LEN_MAX {
        return Err(Reject::TooLong);
    }
    decode_whole(bytes)
}

/// Reads the packet of a datagram that came to a node with this `size`: like [`decode`], but what
/// no node of the cluster would have cut so long is refused before it is read.
///
/// # Errors
/// The reason why the bytes are no packet of ours.
pub fn decode_datagram(bytes: &[u8], size: usize) -> Result<Packet, Reject> {
    let is_value = matches!(native::kind(bytes), Some(PacketKind::Value | PacketKind::Rumor));
    if !is_value && bytes.len() > size.max(CUT_LEN_MAX) {
        return Err(Reject::OverSize);
    }
    decode(bytes)
}

/// Reads a packet that came by stream: like [`decode`], but a metadata value that was asked for,
/// or an entry, may make it `value_len_max` bytes longer. No other kind may be longer than a
/// datagram, because a record takes several times its bytes in memory.
///
/// # Errors
/// The reason why the bytes are no packet of ours.
pub fn decode_from_stream(bytes: &[u8], value_len_max: usize) -> Result<Packet, Reject> {
    let is_value = matches!(
        native::kind(bytes),
        Some(PacketKind::Fetched | PacketKind::Rumor | PacketKind::Compare)
    );
    let room = if is_value { value_len_max } else { 0 };
    if bytes.len() > DATAGRAM_LEN_MAX.saturating_add(room) {
        return Err(Reject::TooLong);
    }
    decode_whole(bytes)
}

impl Traced for Packet {
    fn kind(&self) -> &'static str {
        self.kind().name()
    }

    fn encoded_len(&self) -> usize {
        encoded_len(self)
    }

    fn channel(&self) -> Channel {
        self.channel()
    }

    fn carries(&self) -> impl Iterator<Item = CarriedNews<'_>> {
        self.carried_news()
    }

    fn tag(&self) -> Option<u32> {
        self.rumor_tag()
    }

    fn liveness_check(&self) -> Option<LivenessCheck> {
        self.liveness_check()
    }
}

fn decode_whole(bytes: &[u8]) -> Result<Packet, Reject> {
    let mut reader = Reader::new(bytes);
    let packet = Packet::take(&mut reader)?;
    if reader.is_empty() { Ok(packet) } else { Err(Reject::TrailingBytes) }
}
