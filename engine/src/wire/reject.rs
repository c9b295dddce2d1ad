//! Why bytes are refused: a closed set, so that each reason can be counted.

use crate::node::NodeError;

/// Why bytes are no packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reject {
    /// Fewer bytes than a header.
    #[error("shorter than a header")]
    TooShort,
    /// More bytes than a datagram carries.
    #[error("longer than a datagram")]
    TooLong,
    /// The first bytes are not our magic: something else talks to this port.
    #[error("not the packet of a rumormill node")]
    ForeignMagic,
    /// A version of the format that this build doesn't know.
    #[error("a version of the wire format that this build does not know")]
    UnknownVersion,
    /// A kind of packet that this build doesn't know.
    #[error("a kind of packet that this build does not know")]
    UnknownKind,
    /// The bytes end before the packet does.
    #[error("ends before its content does")]
    Truncated,
    /// A count or length promises more than the bytes that follow can hold.
    #[error("a length promises more than there is")]
    FalseLength,
    /// Bytes follow the end of the packet.
    #[error("bytes follow the end of the packet")]
    TrailingBytes,
    /// A tag without meaning, a number not in its shortest form, or parts that contradict.
    #[error("malformed")]
    Malformed,
    /// A number or a text above its limit.
    #[error("a value above its limit")]
    OverLimit,
    /// A text that is not UTF-8, or has a character that would write on the terminal of whoever
    /// reads it (see [`crate::text`]).
    #[error("a text that is not UTF-8, or can't be shown")]
    BadText,
    /// An address at which no node can be reached.
    #[error("an address at which no node can be")]
    BadAddress,
    /// Metadata whose digest is not that of its version.
    #[error("metadata that does not match its digest")]
    BadDigest,
    /// The checksum is not that of the packet. The first packet of another cluster is counted
    /// here as well, where a secret doesn't tell them apart.
    #[error("damaged on its way")]
    Damaged,
    /// A packet of another cluster: see `cluster` in the settings.
    #[error("a packet of another cluster")]
    WrongCluster,
    /// A sealed packet, but this node has no secret.
    #[error("sealed, and this node has no secret")]
    Sealed,
    /// A packet without a seal, but this node has a secret.
    #[error("not sealed, and this node takes sealed packets only")]
    Unsealed,
    /// Sealed with a secret that is not in the keyring, or no longer.
    #[error("sealed with a secret that this node does not hold")]
    UnknownKey,
    /// The tag is not that of the packet: forged, damaged, or of another secret that looks alike;
    /// on a connection, also any other packet than the next one.
    #[error("does not match its seal")]
    BadSeal,
    /// It came before.
    #[error("came before")]
    Replayed,
    /// So old that nobody remembers whether it came before, or of an earlier run of its sender.
    #[error("too late to tell whether it came before")]
    Outdated,
    /// By a sender that was not heard of before, at a time of sending too far from our own.
    #[error("sent at a time too far from ours: compare the clocks")]
    Untimely,
}

impl Reject {
    /// Why the parts of a packet are no node.
    pub(super) fn of(error: &NodeError) -> Self {
        match error {
            NodeError::TooLong { .. } => Self::OverLimit,
            NodeError::Unprintable { .. } => Self::BadText,
            NodeError::Address { .. } => Self::BadAddress,
        }
    }

    /// Every reason, in order.
    pub const ALL: [Self; 22] = [
        Self::TooShort,
        Self::TooLong,
        Self::ForeignMagic,
        Self::UnknownVersion,
        Self::UnknownKind,
        Self::Truncated,
        Self::FalseLength,
        Self::TrailingBytes,
        Self::Malformed,
        Self::OverLimit,
        Self::BadText,
        Self::BadAddress,
        Self::BadDigest,
        Self::Damaged,
        Self::WrongCluster,
        Self::Sealed,
        Self::Unsealed,
        Self::UnknownKey,
        Self::BadSeal,
        Self::Replayed,
        Self::Outdated,
        Self::Untimely,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_in_the_list_at_its_own_place() {
        for (place, reason) in Reject::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason}");
        }
        assert_eq!(Reject::Untimely as usize, Reject::ALL.len() - 1, "the last one");
    }
}
