//! Why bytes are refused: a closed set, so that each reason can be counted.

use crate::core::EntryKeyError;
use crate::node::NodeError;

/// Why bytes are no packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
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
    /// A number or a text outside of its limits.
    #[error("a value outside of its limits")]
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
    /// It came before, moments ago: networks and senders that are in doubt send twice. Counted,
    /// and never told.
    #[error("came twice")]
    Duplicate,
    /// It came before, longer ago than any network repeats it, or we sent it ourselves.
    #[error("sent again long after it came: look for who plays packets back")]
    Replayed,
    /// Long overtaken by others of its sender, or so far behind them that nobody remembers
    /// whether it came before.
    #[error("long overtaken by others of its sender: held back on its way, or played back")]
    Outdated,
    /// Sent at a time that lies further from ours than `clock_skew_max`, or before all that is
    /// remembered. If its sender's clock is wrong, it has been told, and is heard from now on.
    #[error(
        "sent at a time too far from ours: held back on its way, or the clock of its sender or \
         of this node is wrong: compare the clocks"
    )]
    Untimely,
    /// Of an earlier run of its sender than the one that was heard last. If it was started again
    /// with its clock set back, it has been told, and is heard from now on.
    #[error(
        "of an earlier run of its sender than was heard: its clock went back before it was \
         started, or an old packet was played back: compare the clocks"
    )]
    ClockBack,
    /// No packet, but the answer to one of ours that was refused as [`Reject::Untimely`] or
    /// [`Reject::ClockBack`]. What we seal goes by the clock of the others from now on.
    #[error(
        "a member refuses what this node sent because their clocks differ, or this one's went \
         back: it is heard from now on, but compare the clocks"
    )]
    ClockDiffers,
    /// A datagram of a kind that nodes cut to their `size`, longer than ours and than
    /// [`CUT_LEN_MAX`](super::CUT_LEN_MAX).
    #[error("a datagram far longer than our `size`: compare the settings")]
    OverSize,
    /// More than any node sends came from there, or from strangers in all: nothing of it was
    /// looked at.
    #[error("more came from there than any node sends")]
    OverRate,
}

impl Reject {
    /// Why the parts of a packet are no node.
    pub(super) fn of(error: &NodeError) -> Self {
        match error {
            NodeError::TooLong { .. } | NodeError::TooManyTags { .. } => Self::OverLimit,
            NodeError::TagKey { .. } => Self::Malformed,
            NodeError::Unprintable { .. } => Self::BadText,
            NodeError::Address { .. } => Self::BadAddress,
        }
    }

    /// Why a text is no key of an entry.
    pub(super) fn of_key(error: &EntryKeyError) -> Self {
        match error {
            EntryKeyError::TooLong { .. } => Self::OverLimit,
            EntryKeyError::Unprintable { .. } => Self::BadText,
        }
    }

    /// Its name in counters and logs, such as `too_short`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for char in format!("{self:?}").chars() {
            if char.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(char.to_lowercase());
        }
        name
    }

    /// Every reason, in order.
    pub const ALL: [Self; 27] = [
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
        Self::Duplicate,
        Self::Replayed,
        Self::Outdated,
        Self::Untimely,
        Self::ClockBack,
        Self::ClockDiffers,
        Self::OverSize,
        Self::OverRate,
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
        assert_eq!(Reject::OverRate as usize, Reject::ALL.len() - 1, "the last one");
    }

    #[test]
    fn a_reason_has_the_name_of_its_case_in_small_letters() {
        assert_eq!(Reject::TooShort.name(), "too_short");
        assert_eq!(Reject::Duplicate.name(), "duplicate");
        #[cfg(feature = "serde")]
        for reason in Reject::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
