//! The bytes of packets, as the engine's wire format has them.

use rumormill::core::Packet;
use rumormill::wire;

/// The encoded length of a packet in bytes.
pub(crate) fn encoded_len(packet: &Packet) -> usize {
    wire::encoded_len(packet)
}

/// A packet after its way through bytes. Panics when it is not the same: then the encoder or
/// the decoder is wrong, and no figure of the run could be trusted.
pub(crate) fn round_trip(packet: &Packet) -> Packet {
    let mut bytes = Vec::with_capacity(wire::encoded_len(packet));
    wire::encode(packet, &mut bytes);
    assert_eq!(bytes.len(), wire::encoded_len(packet), "the length that was reckoned is wrong");
    let decoded = wire::decode(&bytes).expect("what an engine sends can be decoded");
    assert!(decoded == *packet, "{:?} is another packet after its way", packet.kind());
    decoded
}
