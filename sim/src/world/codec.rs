//! The bytes of packets, as the engine's wire format has them.

use rumormill::core::Packet;
use rumormill::wire;

/// A packet after its way through bytes. One that our own engine sends must survive it unchanged.
pub(crate) fn round_trip(packet: &Packet) -> Packet {
    let mut bytes = Vec::with_capacity(wire::encoded_len(packet));
    wire::encode(packet, &mut bytes);
    assert_eq!(bytes.len(), wire::encoded_len(packet), "the length of {:?}", packet.kind());
    match wire::decode_from_stream(&bytes, bytes.len()) {
        Ok(decoded) => decoded,
        Err(reject) => panic!("our own {:?} does not decode: {reject}", packet.kind()),
    }
}
