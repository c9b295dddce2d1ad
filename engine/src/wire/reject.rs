//! Why bytes are refused: a closed set, so that each reason can be counted.

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
    /// A text that is not UTF-8.
    #[error("a text that is not UTF-8")]
    BadText,
    /// An address at which no node can be reached.
    #[error("an address at which no node can be")]
    BadAddress,
    /// Metadata whose digest is not that of its version.
    #[error("metadata that does not match its digest")]
    BadDigest,
}

impl Reject {
    /// Every reason, in order.
    pub const ALL: [Self; 13] = [
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
        assert_eq!(Reject::BadDigest as usize, Reject::ALL.len() - 1, "the last one");
    }
}
