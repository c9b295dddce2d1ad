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
//! The receiver is not vouched for. A packet goes to many, sealed once, and an answer goes to the
//! address it was asked from, which behind a translation of addresses is not the one that the
//! receiver knows of itself. So who holds a packet back may send it on to another member, once;
//! that is no more than the gossip does by itself, since a member takes a packet for what it says
//! and never for having been meant.
//!
//! Nothing here reads a clock or draws a number: time and randomness are given.

mod header;
mod keys;
mod senders;
pub(super) mod stream;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;

use aes_gcm::{AeadInOut as _, Aes256Gcm};

use super::checksum::cluster_tag;
use super::guard::Run;
use super::reject::Reject;
use crate::config::Config;
use crate::node::{Generation, NodeId};
use crate::time::{Now, UnixNanos};

use header::{Associated, Epoch, Header};
use keys::Key;
use senders::{Cipher, Senders};

pub(super) use header::MAGIC;
pub use keys::{Keyring, KeyringError};

const TAG_LEN: usize = 16;

// The core leaves this much room in every datagram.
const _: () = assert!(Config::SEAL_LEN == Header::LEN + TAG_LEN);

/// Seals and opens for one run of one node.
pub(super) struct Seal {
    /// The first one seals.
    keys: Vec<Key>,
    cluster_tag: u32,
    associated: Associated,
    me: NodeId,
    epoch: Epoch,
    /// Of the next packet. It may not fit, and then a new epoch begins.
    counter: u64,
    /// For our epoch, with the first key.
    cipher: Aes256Gcm,
    senders: Senders,
}

impl Seal {
    pub(super) fn new(config: &Config, keyring: &Keyring, run: &Run) -> Self {
        let keys = keyring.keys();
        let associated = Associated::new(config.cluster());
        let epoch = Epoch { start: run.generation.get(), random: run.random };
        let cipher = keys[0].datagrams(associated.cluster(), epoch);
        let cluster_tag = cluster_tag(config.cluster());
        let senders = Senders::new(config.members_max(), config.clock_skew_max(), run.now.wall);
        let me = NodeId::of(run.addr);
        Self { keys, cluster_tag, associated, me, epoch, counter: 0, cipher, senders }
    }

    /// Seals and opens with these secrets from now on.
    pub(super) fn use_keys(&mut self, keyring: &Keyring) {
        self.keys = keyring.keys();
        self.senders.drop_ciphers();
        self.renew_cipher();
    }

    /// Begins a new epoch when ours began before our generation, which happens when we heard that
    /// we lived before in what our clock takes for the future: others would refuse our epoch.
    pub(super) fn follow(&mut self, generation: Generation) {
        if self.epoch.start < generation.get() {
            self.begin_epoch(generation.get());
        }
    }

    fn begin_epoch(&mut self, start: u64) {
        self.epoch.start = start;
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
    pub(super) fn finish(&mut self, wall: UnixNanos, start: usize, out: &mut Vec<u8>) {
        let header = self.next_header(wall).bytes();
        let (room, packet) = out[start..].split_at_mut(Header::LEN);
        room.copy_from_slice(&header);
        let nonce = nonce(&header);
        let associated = self.associated.with(&header);
        let tag = self.cipher.encrypt_inout_detached(&nonce, associated.bytes(), packet.into());
        out.extend_from_slice(&tag.expect("a datagram is not too long for the cipher"));
    }

    fn next_header(&mut self, wall: UnixNanos) -> Header {
        let counter = u32::try_from(self.counter).unwrap_or_else(|_| {
            self.begin_epoch(self.epoch.start + 1);
            0
        });
        self.counter += 1;
        Header {
            hint: self.keys[0].hint,
            cluster: self.cluster_tag,
            sender: self.me,
            epoch: self.epoch,
            sent: wall.0,
            counter,
        }
    }

    /// Opens a datagram where it stands, once.
    pub(super) fn open<'a>(&mut self, now: Now, bytes: &'a mut [u8]) -> Result<&'a [u8], Reject> {
        let (bytes, tag) = bytes.split_last_chunk_mut::<TAG_LEN>().ok_or(Reject::TooShort)?;
        let (head, packet) = bytes.split_first_chunk_mut().ok_or(Reject::TooShort)?;
        let header = Header::read(head)?;
        if header.cluster != self.cluster_tag {
            return Err(Reject::WrongCluster);
        }
        if header.epoch == self.epoch {
            return Err(Reject::Replayed);
        }
        let known = self.senders.judge(&header, now)?;
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
        self.senders.admit(&header, now, cipher);
        Ok(packet)
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
