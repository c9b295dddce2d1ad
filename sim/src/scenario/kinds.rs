//! Kinds of packets by the names that scenarios and traces have for them.

use rumormill::core::PacketKind;

/// What a kind of packet is called in traces and scenarios.
pub(crate) fn kind_name(kind: PacketKind) -> &'static str {
    match kind {
        PacketKind::Bulk => "bulk",
        PacketKind::Rumor => "rumor",
        PacketKind::Join => "join",
        PacketKind::Welcome => "welcome",
        PacketKind::SwapRequest => "swap_request",
        PacketKind::SwapAnswer => "swap_answer",
        PacketKind::Vector => "vector",
        PacketKind::Ids => "ids",
        PacketKind::Wanted => "wanted",
        PacketKind::Records => "records",
        PacketKind::Value => "value",
        PacketKind::LastCall => "last_call",
        PacketKind::Alive => "alive",
        PacketKind::Announced => "announced",
        PacketKind::Fetch => "fetch",
        PacketKind::Fetched => "fetched",
        PacketKind::RumorAck => "rumor_ack",
        PacketKind::Probe => "probe",
        PacketKind::ProbeAnswer => "probe_answer",
        PacketKind::ProbeRequest => "probe_request",
        PacketKind::Vouch => "vouch",
        PacketKind::Echo => "echo",
    }
}
