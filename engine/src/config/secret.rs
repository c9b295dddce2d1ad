//! The secret that the nodes of a cluster share: held once, never shown, wiped when done with.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A secret of the cluster. Every node that is to take part holds the same.
///
/// Any bytes but none will do; what protects is how hard they are to guess, so take 32 random
/// ones, in hexadecimal or base64 where they must be text. Copies share one place in memory,
/// which is overwritten when the last of them is dropped. It is never shown:
///
/// ```
/// use rumormill::SecretKey;
///
/// let key = SecretKey::from("correct horse battery staple");
/// assert_eq!(format!("{key:?}"), "SecretKey(..)");
/// assert_eq!(key, SecretKey::from(b"correct horse battery staple".to_vec()));
/// ```
///
/// No message of this crate quotes it. A parser of settings may quote the line that it stumbles
/// over, so where settings are read by others than those who may know the secret, keep it out of
/// the file and give it to [`ConfigBuilder::secret_key`](crate::ConfigBuilder::secret_key).
///
/// Source: pekonode's `SecretKey`, which travelled with every packet; this one never travels. Only
/// with `wire = "pekonode"` its MD5 does, readable by all who listen, for that is the protocol.
#[derive(Clone)]
pub struct SecretKey(Arc<Zeroizing<Box<[u8]>>>);

impl SecretKey {
    /// The secret itself, for the derivation of keys and nothing else.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// True when there is nothing to guess.
    pub(crate) fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<&[u8]> for SecretKey {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes.into())))
    }
}

impl From<Vec<u8>> for SecretKey {
    /// The vector is overwritten.
    fn from(bytes: Vec<u8>) -> Self {
        // Shrinking a vector may leave a copy behind: a new one is made, and the old one wiped.
        Self::from(&Zeroizing::new(bytes)[..])
    }
}

impl From<&str> for SecretKey {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for SecretKey {
    /// The text is overwritten.
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl PartialEq for SecretKey {
    /// Looks at every byte whatever the first ones are.
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.expose(), other.expose());
        let differ = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
        ours.len() == theirs.len() && differ == 0
    }
}

impl Eq for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use zeroize::{Zeroize as _, ZeroizeOnDrop};

    use super::*;

    #[test]
    fn a_secret_equals_only_itself() {
        let key = SecretKey::from("ab");
        assert_eq!(key, SecretKey::from("ab".to_owned()));
        for other in ["", "a", "aa", "bb", "abc"] {
            assert_ne!(key, SecretKey::from(other));
        }
    }

    #[test]
    fn a_secret_is_wiped_when_the_last_copy_is_dropped() {
        fn wiped<T: ZeroizeOnDrop>(_: &T) {}
        let key = SecretKey::from("ab");
        wiped(&*key.0);
        let copy = key.clone();
        assert!(Arc::ptr_eq(&key.0, &copy.0), "a clone is no second copy");
        let mut bytes: Box<[u8]> = (*b"ab").into();
        bytes.zeroize();
        assert!(bytes.iter().all(|&byte| byte == 0));
    }
}
