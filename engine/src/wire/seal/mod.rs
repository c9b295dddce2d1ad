//! Seals datagrams with a shared secret, and opens each one once.
//!
//! A sealed datagram is a header in the clear, the packet encrypted, and a tag that vouches for
//! both and for the name of the cluster:
//!
//! | bytes | content |
//! |---|---|
//! | 2 | magic, `0x72 0x73` ("rs") |
//! | 1 | version of the seal |
//! | 1 | hint at the secret |
//! | 4 | CRC-32 of the cluster's name |
//! | 8 | the sender: the id of its advertised address |
//! | 16 | epoch of the sender: start in ns (8), random (8) |
//! | 8 | when it was sent, in ns since the Unix epoch |
//! | 4 | counter of the packet in its epoch |
//! | rest | the packet as without a secret, less the checksum, encrypted |
//! | 16 | tag |
//!
//! The cipher is AES-256-GCM. Its key is derived by HKDF-SHA256 from the secret, the cluster's
//! name and the epoch of the sender, so that no two runs of any node share one; the nonce is the
//! counter, which never repeats in an epoch: before it would, a new epoch begins.
//!
//! # Copies of a running node
//! A machine that is copied while it runs, or set back to a snapshot, goes on with an epoch and a
//! counter that its other self has as well. So an epoch with fresh randomness begins whenever the
//! two clocks of the machine have come apart by [`GAP_MAX`], when the engine finds that it slept,
//! when others refuse a packet as one of the past, and in any case after [`EPOCH_MAX`]. Until then
//! a copy that shows none of these signs seals under nonces that were used before: who records
//! both packets learns what the two differ in, and may forge packets of that one epoch.
//!
//! # Clocks
//! A packet that was held back is refused by when it was sent: the rules are in [`senders`]. So
//! that this takes no synchronous clocks, each node has a [`clock`] for it that starts with its
//! wall clock and is set ahead by others: a packet with a good tag that is refused for its time,
//! its number or its run, is answered with a [`notice`], which says what time it is. Its sender
//! sets its clock ahead of all that it ever sent, begins an epoch, and its next packet is taken. So
//! a node whose clock is years behind, or went back before a restart, is heard after one exchange;
//! if a newcomer's clock is ahead, the others follow in the same way. Steps of a wall clock while
//! a node runs are not seen at all.
//!
//! A notice names a packet of moments ago, so none can be played back; one that comes from a clock
//! ahead of ours is not answered, so two nodes come to an end; and at most [`NOTICES_MAX`] go out
//! in a second, so old packets that are played back cause no flood.
//!
//! What remains: a packet may be held back by `clock_skew_max` and by what its sender's clock was
//! ahead of ours, which is at most as much again. A node that starts with a clock that is behind
//! takes, until it hears the first notice, what was sent at the time that it believes in.
//!
//! # Receivers
//! The receiver is not vouched for. A packet goes to many, sealed once, and an answer goes to the
//! address it was asked from, which behind a translation of addresses is not the one that the
//! receiver knows of itself. So who holds a packet back may send it on to another member, once;
//! that is no more than the gossip does by itself, since a member takes a packet for what it says
//! and never for having been meant.
//!
//! Nothing here reads a clock or draws a number: time and randomness are given.

mod clock;
mod header;
mod keys;
mod notice;
mod senders;
pub(super) mod stream;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::time::Duration;

use aes_gcm::{AeadInOut as _, Aes256Gcm};

use super::checksum::cluster_tag;
use super::guard::Run;
use super::reject::Reject;
use crate::allowance::Allowance;
use crate::config::Config;
use crate::node::NodeId;
use crate::time::{Instant, Now, nanos};

use clock::SealClock;
use header::{Associated, Epoch, Header};
use keys::Key;
use senders::{Cipher, LATE_MAX, Senders};

pub(super) use header::MAGIC;
pub use keys::{Keyring, KeyringError};
pub(super) use notice::KeyNotice;

const TAG_LEN: usize = 16;

// The core leaves this much room in every datagram.
const _: () = assert!(Config::SEAL_LEN == Header::LEN + TAG_LEN);

/// How long one epoch lasts.
const EPOCH_MAX: Duration = Duration::from_secs(600);

/// How far wall clock and monotonic clock may come apart before that looks like a machine that
/// was copied, or slept. Clocks that are corrected while they run do so more slowly.
const GAP_MAX: Duration = Duration::from_secs(1);

/// Most notices within a second, so that old packets played back cause no flood.
const NOTICES_MAX: usize = 32;

/// Seals and opens for one run of one node.
pub(super) struct Seal {
    /// The first one seals.
    keys: Vec<Key>,
    cluster_tag: u32,
    associated: Associated,
    me: NodeId,
    clock: SealClock,
    epoch: Epoch,
    /// The one before.
    former: Option<Epoch>,
    /// Of the next packet. It may not fit, and then a new epoch begins.
    counter: u64,
    /// For our epoch, with the first key.
    cipher: Box<Aes256Gcm>,
    trust: Trust,
    senders: Senders,
    notices: KeyNotices,
}

/// Whether our epoch and counter are sure to be ours alone.
enum Trust {
    /// Since this time, when the epoch began and the clocks were last compared.
    Since {
        begun: Instant,
        compared: Now,
    },
    Gone,
}

/// The answers to packets that were refused.
#[derive(Default)]
struct KeyNotices {
    /// To whoever sent the last packet that was opened.
    pending: Option<KeyNotice>,
    made: Allowance,
}

impl Seal {
    pub(super) fn new(config: &Config, keyring: &Keyring, run: &Run) -> Self {
        let keys = keyring.keys();
        let associated = Associated::new(config.cluster());
        let clock = SealClock::new(run.now);
        let time = clock.at(run.now.mono);
        let epoch = Epoch { start: time.unsigned_abs(), random: run.random };
        Self {
            cluster_tag: cluster_tag(config.cluster()),
            me: NodeId::of(run.addr),
            clock,
            epoch,
            former: None,
            counter: 0,
            cipher: keys[0].datagrams(associated.cluster(), epoch),
            trust: Trust::Since { begun: run.now.mono, compared: run.now },
            senders: Senders::new(config.members_max(), config.clock_skew_max(), time),
            notices: KeyNotices::default(),
            keys,
            associated,
        }
    }

    /// Seals and opens with these secrets from now on.
    pub(super) fn use_keys(&mut self, keyring: &Keyring) {
        self.keys = keyring.keys();
        self.senders.drop_ciphers();
        self.renew_cipher();
    }

    /// The machine may have been copied: see [`Seal::wants_random`].
    pub(super) fn distrust(&mut self) {
        self.trust = Trust::Gone;
    }

    /// True until [`Seal::renew`] when the epoch should not be used any longer.
    pub(super) fn wants_random(&mut self, now: Now) -> bool {
        let Trust::Since { begun, compared } = self.trust else { return true };
        let by_wall = i128::from(now.wall.0) - i128::from(compared.wall.0);
        let gap = by_wall.abs_diff(i128::from(nanos(now.mono - compared.mono)));
        if gap > GAP_MAX.as_nanos() || now.mono - begun >= EPOCH_MAX {
            self.trust = Trust::Gone;
            return true;
        }
        self.trust = Trust::Since { begun, compared: now };
        false
    }

    /// Begins a new epoch, with randomness that was drawn just now.
    pub(super) fn renew(&mut self, now: Now, random: [u8; 8]) {
        let start = self.clock.at(now.mono).unsigned_abs();
        self.begin_epoch(Epoch { start: start.max(self.epoch.start + 1), random });
        self.trust = Trust::Since { begun: now.mono, compared: now };
    }

    fn begin_epoch(&mut self, epoch: Epoch) {
        self.former = Some(std::mem::replace(&mut self.epoch, epoch));
        self.counter = 0;
        self.renew_cipher();
    }

    fn renew_cipher(&mut self) {
        self.cipher = self.keys[0].datagrams(self.associated.cluster(), self.epoch);
    }

    /// Leaves room for the header.
    pub(super) fn begin(out: &mut Vec<u8>) {
        out.resize(out.len() + Header::LEN, 0);
    }

    /// Seals the packet that was appended to the room for the header at `start`.
    pub(super) fn finish(&mut self, now: Now, start: usize, out: &mut Vec<u8>) {
        let header = self.next_header(now).bytes();
        let (room, packet) = out[start..].split_at_mut(Header::LEN);
        room.copy_from_slice(&header);
        let nonce = nonce(&header);
        let associated = self.associated.with(&header);
        let tag = self.cipher.encrypt_inout_detached(&nonce, associated.bytes(), packet.into());
        out.extend_from_slice(&tag.expect("a datagram is not too long for the cipher"));
    }

    fn next_header(&mut self, now: Now) -> Header {
        let counter = u32::try_from(self.counter).unwrap_or_else(|_| {
            self.begin_epoch(Epoch { start: self.epoch.start + 1, ..self.epoch });
            0
        });
        self.counter += 1;
        Header {
            hint: self.keys[0].hint,
            cluster: self.cluster_tag,
            sender: self.me,
            epoch: self.epoch,
            sent: self.clock.at(now.mono),
            counter,
        }
    }

    /// Opens a datagram where it stands, once.
    pub(super) fn open<'a>(&mut self, now: Now, bytes: &'a mut [u8]) -> Result<&'a [u8], Reject> {
        self.notices.pending = None;
        let (bytes, tag) = bytes.split_last_chunk_mut::<TAG_LEN>().ok_or(Reject::TooShort)?;
        let (head, packet) = bytes.split_first_chunk_mut().ok_or(Reject::TooShort)?;
        let header = Header::read(head)?;
        if header.cluster != self.cluster_tag {
            return Err(Reject::WrongCluster);
        }
        if header.epoch == self.epoch || Some(header.epoch) == self.former {
            return Err(Reject::Replayed);
        }
        let time = self.clock.at(now.mono);
        let (known, verdict) = self.senders.judge(&header, time);
        if verdict == Err(Reject::Duplicate) {
            return Err(Reject::Duplicate);
        }
        let (nonce, associated) = (nonce(head), self.associated.with(head));
        let mut opens = |cipher: &Aes256Gcm| {
            let (associated, packet) = (associated.bytes(), (&mut *packet).into());
            cipher.decrypt_inout_detached(&nonce, associated, packet, (&*tag).into()).is_ok()
        };
        // A failed attempt leaves the bytes as they were.
        let cipher = if known.is_some_and(|known| opens(&known.cipher)) {
            None
        } else {
            let tried = known.map(|known| known.key);
            Some(try_keys(&self.keys, &header, self.associated.cluster(), tried, opens)?)
        };
        if verdict.is_ok() {
            self.senders.admit(&header, cipher);
        }
        let notice = KeyNotice::read(packet);
        if verdict.is_err() && (notice.is_none() || header.sent <= time) {
            self.answer(&header, now.mono);
        }
        match notice {
            Some(notice) => Err(self.on_notice(&notice, now.mono)),
            None => verdict.map(|()| &*packet),
        }
    }

    /// Notes that the sender of a packet is to be told the time.
    fn answer(&mut self, header: &Header, mono: Instant) {
        let used = self.senders.used_until(header.sender);
        let time = self.clock.at(mono).max(used.saturating_add(1));
        let notices = &mut self.notices;
        if notices.made.take(mono, Duration::from_secs(1), NOTICES_MAX) {
            notices.pending = Some(KeyNotice { epoch: header.epoch, sent: header.sent, time });
        }
    }

    /// Only what answers a packet of ours of moments ago counts.
    fn on_notice(&mut self, notice: &KeyNotice, mono: Instant) -> Reject {
        let time = self.clock.at(mono);
        let since = time.checked_sub(notice.sent).and_then(|since| u64::try_from(since).ok());
        let is_fresh = since.is_some_and(|since| since <= nanos(LATE_MAX));
        if notice.epoch != self.epoch || !is_fresh {
            return Reject::Outdated;
        }
        self.clock.catch_up(mono, notice.time);
        self.distrust();
        Reject::ClockDiffers
    }

    /// What is to be answered to the last datagram, if anything.
    pub(super) fn take_notice(&mut self) -> Option<KeyNotice> {
        self.notices.pending.take()
    }
}

/// Tries each secret that the hint may mean, but for the one that was tried already.
fn try_keys(
    keys: &[Key],
    header: &Header,
    cluster: &[u8],
    tried: Option<usize>,
    mut opens: impl FnMut(&Aes256Gcm) -> bool,
) -> Result<Cipher, Reject> {
    let mut reason = Reject::UnknownKey;
    for (place, key) in keys.iter().enumerate().filter(|(_, key)| key.hint == header.hint) {
        reason = Reject::BadSeal;
        if tried == Some(place) {
            continue;
        }
        let cipher = key.datagrams(cluster, header.epoch);
        if opens(&cipher) {
            return Ok(Cipher { key: place, cipher });
        }
    }
    Err(reason)
}

/// The counter of a header, filled up with zeros.
fn nonce(header: &[u8; Header::LEN]) -> aes_gcm::Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&header[Header::LEN - 4..]);
    nonce.into()
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
