//! The way of a packet through bytes.

use rumormill::core::{Class, Traced};

use crate::protocols::Simulated;

/// A packet after its way through bytes. One that our own engine sends must survive it unchanged.
pub(crate) fn round_trip<P: Simulated>(packet: &P::Packet) -> P::Packet {
    let mut bytes = Vec::with_capacity(packet.encoded_len());
    P::encode(packet, &mut bytes);
    assert_eq!(bytes.len(), packet.encoded_len(), "the length of a {}", packet.kind());
    match P::decode(&bytes, Class::Stream) {
        Ok(decoded) => decoded,
        Err(why) => panic!("our own {} does not decode: {why}", packet.kind()),
    }
}
