//! The secrets of a node, and the keys that are made of them.
//!
//! Each secret and each key lies in an allocation of its own, which is overwritten before it is
//! given back, and never moves, for what moves leaves a copy behind that nobody wipes. The stack
//! is overwritten after each derivation. Whoever reads a secret from a file or the environment has
//! copies of his own, which are his to wipe; a `String` or `Vec` that is given to us we wipe.

use std::hint::black_box;

use aes_gcm::{Aes256Gcm, KeyInit as _};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use super::header::Epoch;
use crate::config::SecretKey;

/// The secrets that a node holds: the first seals what it sends, and every one opens what it
/// receives, so that a cluster can change its secret while it runs.
///
/// To do so: add the new secret on every node, then promote it on every node, then remove the old
/// one on every node. At no time is a packet refused.
///
/// ```
/// use rumormill::SecretKey;
/// use rumormill::wire::Keyring;
///
/// let (old, new) = (SecretKey::from("old"), SecretKey::from("new"));
/// let mut keyring = Keyring::new(old.clone())?;
/// keyring.add(new.clone())?;
/// keyring.promote(&new)?;
/// keyring.remove(&old)?;
/// assert_eq!(keyring.remove(&new), Err(rumormill::wire::KeyringError::Sealing));
/// # Ok::<(), rumormill::wire::KeyringError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    /// Never empty.
    secrets: Vec<SecretKey>,
}

impl Keyring {
    /// Most secrets that one node holds.
    pub const LEN_MAX: usize = 8;

    /// A keyring with one secret, which seals.
    ///
    /// # Errors
    /// When the secret is empty.
    pub fn new(secret: SecretKey) -> Result<Self, KeyringError> {
        if secret.is_empty() {
            return Err(KeyringError::Empty);
        }
        Ok(Self { secrets: vec![secret] })
    }

    /// Adds a secret that opens; one that is held already stays where it is.
    ///
    /// # Errors
    /// When the secret is empty, or [`Keyring::LEN_MAX`] are held.
    pub fn add(&mut self, secret: SecretKey) -> Result<(), KeyringError> {
        if secret.is_empty() {
            return Err(KeyringError::Empty);
        }
        if self.secrets.contains(&secret) {
            return Ok(());
        }
        if self.secrets.len() == Self::LEN_MAX {
            return Err(KeyringError::Full);
        }
        self.secrets.push(secret);
        Ok(())
    }

    /// Makes a secret that is held the one that seals.
    ///
    /// # Errors
    /// When it is not held.
    pub fn promote(&mut self, secret: &SecretKey) -> Result<(), KeyringError> {
        let place = self.place(secret)?;
        self.secrets[..=place].rotate_right(1);
        Ok(())
    }

    /// Removes a secret: what is sealed with it is refused from now on.
    ///
    /// # Errors
    /// When it is not held, or is the one that seals.
    pub fn remove(&mut self, secret: &SecretKey) -> Result<(), KeyringError> {
        match self.place(secret)? {
            0 => Err(KeyringError::Sealing),
            place => {
                self.secrets.remove(place);
                Ok(())
            }
        }
    }

    fn place(&self, secret: &SecretKey) -> Result<usize, KeyringError> {
        self.secrets.iter().position(|held| held == secret).ok_or(KeyringError::Unknown)
    }

    /// The secrets; the first one seals.
    pub(in crate::wire) fn secrets(&self) -> &[SecretKey] {
        &self.secrets
    }

    /// What packets are sealed and opened with; the first one seals.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.secrets.iter().map(Key::new).collect()
    }
}

/// Why a keyring can't be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The secret is empty.
    #[error("an empty secret protects nothing: take 32 random bytes")]
    Empty,
    /// There are too many.
    #[error(
        "a node holds at most {} secrets: remove one that no node seals with",
        Keyring::LEN_MAX
    )]
    Full,
    /// The secret is not held.
    #[error("this secret is not in the keyring: add it on every node first")]
    Unknown,
    /// The secret is the one that seals.
    #[error("this secret seals what the node sends: promote another one on every node first")]
    Sealing,
    /// The node was configured without a secret, or with one that seals nothing.
    #[error(
        "the node seals nothing: give it a `secret_key` when it is configured, and the native \
         wire, for on that of pekonode a key stays what it is"
    )]
    Unsealed,
}

/// One secret, ready to make keys of.
pub(super) struct Key {
    /// A byte that is the same for the same secret and says nothing about it.
    pub(super) hint: u8,
    kdf: Box<Hkdf<Sha256>>,
}

impl Key {
    /// Sets our keys apart from all others that anybody makes of the same secret.
    const SALT: &'static [u8] = b"rumormill secret key";

    pub(super) fn new(secret: &SecretKey) -> Self {
        let key = Self::extract(secret);
        wipe_stack();
        key
    }

    #[inline(never)]
    fn extract(secret: &SecretKey) -> Self {
        let (mut extracted, kdf) = Hkdf::extract(Some(Self::SALT), secret.expose());
        extracted.zeroize();
        let kdf = Box::new(kdf);
        let mut hint = [0];
        kdf.expand(b"hint", &mut hint).expect("a byte is not too much");
        Self { hint: hint[0], kdf }
    }

    /// The cipher for the datagrams of one run of a sender.
    ///
    /// Each purpose of a key begins with a word of its own, none of which begins another: a key
    /// for something else never equals this one.
    pub(super) fn datagrams(&self, cluster: &[u8], epoch: Epoch) -> Box<Aes256Gcm> {
        self.cipher(b"datagrams", cluster, &epoch.bytes())
    }

    /// What a caller proves itself by; `said` is what was said on the connection until then.
    pub(super) fn stream_hello(&self, cluster: &[u8], said: &[u8]) -> Box<Aes256Gcm> {
        self.cipher(b"stream hello", cluster, said)
    }

    /// What the one that is called proves itself by.
    pub(super) fn stream_answer(&self, cluster: &[u8], said: &[u8]) -> Box<Aes256Gcm> {
        self.cipher(b"stream answer", cluster, said)
    }

    /// The cipher for the packets of one connection.
    pub(super) fn stream_packets(&self, cluster: &[u8], said: &[u8]) -> Box<Aes256Gcm> {
        self.cipher(b"stream packets", cluster, said)
    }

    fn cipher(&self, purpose: &[u8], cluster: &[u8], context: &[u8]) -> Box<Aes256Gcm> {
        let len = [u8::try_from(cluster.len()).expect("`Config` holds names to 64 bytes")];
        let cipher = self.expand(&[purpose, &len, cluster, context]);
        wipe_stack();
        cipher
    }

    #[inline(never)]
    fn expand(&self, info: &[&[u8]]) -> Box<Aes256Gcm> {
        let mut key = Zeroizing::new([0; 32]);
        self.kdf.expand_multi_info(info, &mut *key).expect("32 bytes are not too much");
        Box::new(Aes256Gcm::new((&*key).into()))
    }
}

/// Overwrites what a function that has returned left on the stack. What lies there gets into the
/// heap as well: a task is made on the stack, and has room in it for what it does not hold yet.
#[inline(never)]
fn wipe_stack() {
    black_box(&[0_u8; 8_192]);
}

#[cfg(test)]
mod tests {
    use aes_gcm::AeadInOut as _;

    use super::*;

    fn secrets() -> [SecretKey; 3] {
        ["a", "b", "c"].map(SecretKey::from)
    }

    #[test]
    fn the_first_secret_seals_until_another_is_promoted() {
        let [a, b, c] = secrets();
        let mut keyring = Keyring::new(a.clone()).unwrap();
        keyring.add(b.clone()).unwrap();
        keyring.add(c.clone()).unwrap();
        keyring.add(b.clone()).unwrap();
        assert_eq!(keyring.secrets, secrets());
        keyring.promote(&c).unwrap();
        assert_eq!(keyring.secrets, [c.clone(), a.clone(), b.clone()]);
        assert_eq!(keyring.remove(&c), Err(KeyringError::Sealing));
        keyring.remove(&a).unwrap();
        assert_eq!(keyring.remove(&a), Err(KeyringError::Unknown));
        assert_eq!(keyring.promote(&a), Err(KeyringError::Unknown));
        assert_eq!(keyring.secrets, [c, b]);
    }

    #[test]
    fn a_keyring_is_neither_empty_nor_without_end() {
        assert_eq!(Keyring::new(SecretKey::from("")), Err(KeyringError::Empty));
        let mut keyring = Keyring::new(SecretKey::from("0")).unwrap();
        for more in 1..Keyring::LEN_MAX {
            keyring.add(SecretKey::from(more.to_string())).unwrap();
        }
        assert_eq!(keyring.add(SecretKey::from("")), Err(KeyringError::Empty));
        assert_eq!(keyring.add(SecretKey::from("more")), Err(KeyringError::Full));
        assert_eq!(keyring.add(SecretKey::from("0")), Ok(()), "held already");
    }

    fn sealed_zeros(secret: &str, cluster: &[u8], epoch: Epoch) -> [u8; 16] {
        let cipher = Key::new(&SecretKey::from(secret)).datagrams(cluster, epoch);
        let mut bytes = [0; 16];
        let nonce = [0; 12].into();
        cipher.encrypt_inout_detached(&nonce, b"", (&mut bytes[..]).into()).unwrap();
        bytes
    }

    #[test]
    fn every_part_of_the_derivation_makes_another_key() {
        let epoch = Epoch { start: 1, random: [2; 8] };
        let key = sealed_zeros("secret", b"cluster", epoch);
        assert_eq!(key, sealed_zeros("secret", b"cluster", epoch));
        assert_ne!(key, sealed_zeros("Secret", b"cluster", epoch));
        assert_ne!(key, sealed_zeros("secret", b"Cluster", epoch));
        assert_ne!(key, sealed_zeros("secret", b"cluster", Epoch { start: 2, ..epoch }));
        assert_ne!(key, sealed_zeros("secret", b"cluster", Epoch { random: [3; 8], ..epoch }));
    }

    #[test]
    fn the_keys_of_a_secret_never_change() {
        // As HKDF and AES-GCM of another library have them.
        let epoch = Epoch { start: 1, random: [2; 8] };
        let golden = 0xe826_2baf_4e17_8d8e_b49a_4e74_ff9f_cbfe_u128.to_be_bytes();
        assert_eq!(sealed_zeros("secret", b"cluster", epoch), golden);
        assert_eq!(Key::new(&SecretKey::from("secret")).hint, 188);
    }

    #[test]
    fn keys_are_wiped_when_they_are_dropped() {
        fn wiped<T: zeroize::ZeroizeOnDrop>() {}
        wiped::<Aes256Gcm>();
        wiped::<Sha256>();
    }
}
