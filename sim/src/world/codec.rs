//! The bytes of packets, as the engine's wire format has them.

use rumormill::core::Packet;

/// The encoded length of a packet in bytes.
pub(crate) fn encoded_len(packet: &Packet) -> usize {
    packet.len_max()
}

/// A packet after its way through bytes.
pub(crate) fn round_trip(packet: &Packet) -> Packet {
    packet.clone()
}
