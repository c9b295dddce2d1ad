//! Seals what stands on a connection: a key for each connection, and a strict sequence under it.
//!
//! Both ends draw a part of the key, so that nothing that was recorded opens a second time:
//!
//! | hello: bytes | content |
//! |---|---|
//! | 3 | magic, "rss" |
//! | 1 | version of this layout |
//! | 2 | port at which the caller is reached, little-endian |
//! | 1 | hint at the secret |
//! | 4 | CRC-32 of the cluster's name |
//! | 16 | random, of the caller |
//! | 16 | tag |
//!
//! | answer: bytes | content |
//! |---|---|
//! | 16 | random, of the one that was called |
//! | 16 | tag |
//!
//! Each tag is that of AES-256-GCM over nothing, under a key that HKDF-SHA256 derives from the
//! secret, a word for the purpose, the cluster's name and all that was said until then; it proves
//! that its sender holds the secret. The packets that follow are sealed under a third key of that
//! kind, with their number as the nonce. A packet that is left out, repeated, moved, cut, changed
//! or taken from another connection therefore fails its tag. Whoever plays a whole connection back
//! meets another random, under which nothing of it opens.
//!
//! Like a datagram, a connection proves membership and not which member: see [`super`].

use std::fmt;

use aes_gcm::{AeadInOut as _, Aes256Gcm};

use super::super::checksum::cluster_tag;
use super::super::reject::Reject;
use super::TAG_LEN;
use super::keys::{Key, Keyring};
use crate::config::SecretKey;

/// The first bytes of a sealed connection.
pub(in crate::wire) const STREAM_MAGIC: [u8; 3] = *b"rss";

const VERSION: u8 = 1;
const RANDOM_LEN: usize = 16;
const HEAD_LEN: usize = 3 + 1 + 2 + 1 + 4 + RANDOM_LEN;
const HINT_AT: usize = 6;
const CLUSTER_AT: usize = 7;

pub(in crate::wire) const HELLO_LEN: usize = HEAD_LEN + TAG_LEN;
pub(in crate::wire) const ANSWER_LEN: usize = RANDOM_LEN + TAG_LEN;

/// A connection that we make, until the other end has answered.
pub(in crate::wire) struct Dialled {
    secret: SecretKey,
    key: Key,
    cluster: Box<str>,
    head: [u8; HEAD_LEN],
}

impl Dialled {
    pub(in crate::wire) fn new(
        keyring: &Keyring,
        cluster: &str,
        port: u16,
        random: [u8; RANDOM_LEN],
    ) -> Self {
        let secret = keyring.secrets()[0].clone();
        let key = Key::new(&secret);
        let mut head = [0; HEAD_LEN];
        head[..3].copy_from_slice(&STREAM_MAGIC);
        head[3] = VERSION;
        head[4..6].copy_from_slice(&port.to_le_bytes());
        head[HINT_AT] = key.hint;
        head[CLUSTER_AT..CLUSTER_AT + 4].copy_from_slice(&cluster_tag(cluster).to_le_bytes());
        head[CLUSTER_AT + 4..].copy_from_slice(&random);
        Self { secret, key, cluster: cluster.into(), head }
    }

    pub(in crate::wire) fn hello(&self) -> [u8; HELLO_LEN] {
        let tag = proof(&self.key.stream_hello(self.cluster.as_bytes(), &self.head));
        joined(&self.head, &tag)
    }

    /// Takes in the answer, and gives what seals the packets.
    pub(in crate::wire) fn answered(self, answer: &[u8]) -> Result<Sequence, Reject> {
        let answer: &[u8; ANSWER_LEN] = answer.try_into().map_err(|_| Reject::Truncated)?;
        let (random, tag) = answer.split_at(RANDOM_LEN);
        let said = [&self.head, random].concat();
        if !proves(&self.key.stream_answer(self.cluster.as_bytes(), &said), tag) {
            return Err(Reject::BadSeal);
        }
        let cipher = self.key.stream_packets(self.cluster.as_bytes(), &said);
        Ok(Sequence { secret: self.secret, cipher, next: 0 })
    }
}

/// Takes a call: gives what opens its packets, and the answer.
pub(in crate::wire) fn accept(
    keyring: &Keyring,
    cluster: &str,
    hello: &[u8],
    random: [u8; RANDOM_LEN],
) -> Result<(Sequence, [u8; ANSWER_LEN]), Reject> {
    let hello: &[u8; HELLO_LEN] = hello.try_into().map_err(|_| Reject::Truncated)?;
    let (head, tag) = hello.split_at(HEAD_LEN);
    if head[3] != VERSION {
        return Err(Reject::UnknownVersion);
    }
    if head[CLUSTER_AT..CLUSTER_AT + 4] != cluster_tag(cluster).to_le_bytes() {
        return Err(Reject::WrongCluster);
    }
    let mut reason = Reject::UnknownKey;
    for secret in keyring.secrets() {
        let key = Key::new(secret);
        if key.hint != head[HINT_AT] {
            continue;
        }
        reason = Reject::BadSeal;
        if proves(&key.stream_hello(cluster.as_bytes(), head), tag) {
            let said = [head, &random].concat();
            let tag = proof(&key.stream_answer(cluster.as_bytes(), &said));
            let cipher = key.stream_packets(cluster.as_bytes(), &said);
            let sequence = Sequence { secret: secret.clone(), cipher, next: 0 };
            return Ok((sequence, joined(&random, &tag)));
        }
    }
    Err(reason)
}

/// The packets of one connection, of which each is sealed, or opened, once and in turn.
pub(in crate::wire) struct Sequence {
    secret: SecretKey,
    cipher: Box<Aes256Gcm>,
    /// The number of the next packet.
    next: u64,
}

impl Sequence {
    /// Seals the packet that begins at `start`.
    pub(in crate::wire) fn seal(&mut self, start: usize, out: &mut Vec<u8>) {
        let nonce = self.nonce();
        let tag = self.cipher.encrypt_inout_detached(&nonce, b"", (&mut out[start..]).into());
        out.extend_from_slice(&tag.expect("a packet is not too long for the cipher"));
        self.next += 1;
    }

    /// Opens the next packet where it stands. After an error nothing more may be opened: what
    /// comes then is not what was sent.
    pub(in crate::wire) fn open<'a>(&mut self, bytes: &'a mut [u8]) -> Result<&'a [u8], Reject> {
        let nonce = self.nonce();
        let (packet, tag) = bytes.split_last_chunk_mut::<TAG_LEN>().ok_or(Reject::TooShort)?;
        let opened =
            self.cipher.decrypt_inout_detached(&nonce, b"", (&mut *packet).into(), (&*tag).into());
        opened.map_err(|_| Reject::BadSeal)?;
        self.next += 1;
        Ok(packet)
    }

    /// The secret that the connection's key was made of.
    pub(in crate::wire) fn secret(&self) -> &SecretKey {
        &self.secret
    }

    fn nonce(&self) -> aes_gcm::Nonce<aes_gcm::aead::consts::U12> {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.next.to_le_bytes());
        nonce.into()
    }
}

/// What shows that one holds a key which is used for nothing else.
fn proof(key: &Aes256Gcm) -> [u8; TAG_LEN] {
    let tag = key.encrypt_inout_detached(&[0; 12].into(), b"", (&mut [][..]).into());
    tag.expect("nothing is not too long for the cipher").into()
}

fn proves(key: &Aes256Gcm, tag: &[u8]) -> bool {
    let Ok(tag) = <[u8; TAG_LEN]>::try_from(tag) else { return false };
    let nothing = (&mut [][..]).into();
    key.decrypt_inout_detached(&[0; 12].into(), b"", nothing, (&tag).into()).is_ok()
}

fn joined<const N: usize>(first: &[u8], second: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..first.len()].copy_from_slice(first);
    bytes[first.len()..].copy_from_slice(second);
    bytes
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequence").field("next", &self.next).finish_non_exhaustive()
    }
}

impl fmt::Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialled").finish_non_exhaustive()
    }
}
