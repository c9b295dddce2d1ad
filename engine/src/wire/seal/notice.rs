//! What a node answers to a sealed packet whose time or run it can't accept: what time it is.
//!
//! A notice is sealed like a packet and stands in its place:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | magic, "late" |
//! | 16 | epoch of the packet that was refused |
//! | 8 | when that packet was sent |
//! | 8 | to what the clock of its sender is to be set, unless it is ahead |
//!
//! Who finds its own epoch in a notice, and a time of sending moments ago, knows that the notice
//! was made just now by somebody who holds the secret: none can be played back.

use super::header::Epoch;

const MAGIC: [u8; 4] = *b"late";
const LEN: usize = MAGIC.len() + Epoch::LEN + 8 + 8;

/// Says to the sender of one packet that its clock is behind, or was when its run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct KeyNotice {
    pub(super) epoch: Epoch,
    pub(super) sent: i64,
    pub(super) time: i64,
}

impl KeyNotice {
    pub(in crate::wire) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.epoch.bytes());
        out.extend_from_slice(&self.sent.to_le_bytes());
        out.extend_from_slice(&self.time.to_le_bytes());
    }

    /// `None` for any packet.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let (magic, rest) = bytes.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (sent, rest) = rest.split_first_chunk()?;
        let time = i64::from_le_bytes(rest.try_into().ok()?);
        let (epoch, sent) = (Epoch::read(epoch), i64::from_le_bytes(*sent));
        (*magic == MAGIC).then_some(Self { epoch, sent, time })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::native;
    use super::*;

    fn notice() -> KeyNotice {
        KeyNotice { epoch: Epoch { start: 1, random: [2; 8] }, sent: 3, time: 4 }
    }

    fn written(notice: &KeyNotice) -> Vec<u8> {
        let mut bytes = Vec::new();
        notice.write(&mut bytes);
        bytes
    }

    #[test]
    fn a_notice_is_read_as_it_was_written_and_is_no_packet() {
        let bytes = written(&notice());
        assert_eq!(KeyNotice::read(&bytes), Some(notice()));
        assert_eq!(KeyNotice::read(&bytes[..bytes.len() - 1]), None);
        assert_eq!(KeyNotice::read(&[&bytes[..], b"1"].concat()), None);
        assert_eq!(KeyNotice::read(b""), None);
        assert_ne!(bytes[..2], native::MAGIC);
        let mut packet = bytes;
        packet[..2].copy_from_slice(&native::MAGIC);
        assert_eq!(KeyNotice::read(&packet), None);
    }

    #[test]
    fn the_bytes_of_a_notice_never_change() {
        let golden = [
            &b"late"[..],
            &[1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2],
            &[3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(written(&notice()), golden.concat());
    }
}
