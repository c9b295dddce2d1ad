//! The secret that the nodes of a cluster share: held once, never shown, wiped when done with.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::text::Printable;

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
/// No message of this crate quotes it. A parser of settings quotes the line that it stumbles over:
/// one that lacks a quotation mark, or has the secret in one line with other settings. So where
/// settings are read by others than those who may know the secret, keep it in a file of its own,
/// which the setting `secret_key_file` or [`ConfigBuilder::secret_key_file`] names.
///
/// [`ConfigBuilder::secret_key_file`]: crate::ConfigBuilder::secret_key_file
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

/// A secret that has a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SecretFile {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// What was in it, or why there is none.
    pub(super) secret: Result<SecretKey, String>,
}

impl SecretFile {
    /// No secret is as long: this is the wrong file, or has no end.
    const LEN_MAX: usize = 65_536;

    /// Reads the file; a newline at its end is the editor's.
    pub(super) fn read(path: PathBuf) -> Self {
        let secret = Self::bytes(&path).map_err(|error| error.to_string()).and_then(|bytes| {
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let secret = line.strip_suffix(b"\r").unwrap_or(line);
            match (secret.len(), bytes.len() > Self::LEN_MAX) {
                (0, _) => Err("it is empty".to_owned()),
                (_, true) => Err(format!("it has more than {} bytes", Self::LEN_MAX)),
                _ => Ok(SecretKey::from(secret)),
            }
        });
        let told = Printable(path.display());
        let fix = "name a file that holds the secret and nothing else";
        let secret = secret.map_err(|why| format!("no secret is in `{told}`: {why}: {fix}"));
        Self { path, secret }
    }

    /// All at once, so that no shorter copy is left behind in memory.
    fn bytes(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::LEN_MAX + 1));
        File::open(path)?.take(Self::LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
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

    fn read(name: &str, bytes: &[u8]) -> Result<SecretKey, String> {
        let folder = std::env::temp_dir().join(format!("rumormill-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let read = SecretFile::read(path.clone());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.path, path);
        read.secret
    }

    #[test]
    fn a_file_holds_a_secret_and_perhaps_a_newline() {
        for bytes in [&b"hush"[..], b"hush\n", b"hush\r\n"] {
            assert_eq!(read("newline", bytes), Ok("hush".into()));
        }
        assert_eq!(read("two", b"hush\n\n"), Ok("hush\n".into()), "one newline, no more");
        assert_eq!(read("bytes", b"\xff\0 "), Ok(SecretKey::from(&b"\xff\0 "[..])));
        let longest = vec![b'x'; SecretFile::LEN_MAX];
        assert_eq!(read("longest", &longest), Ok(SecretKey::from(longest)));
    }

    #[test]
    fn a_file_without_a_secret_is_told_by_its_path_and_never_by_what_is_in_it() {
        for bytes in [&b""[..], b"\n", b"\r\n"] {
            let told = read("empty", bytes).unwrap_err();
            assert!(told.contains("/empty`: it is empty: name a file"), "{told}");
        }
        let told = read("long", &b"hush".repeat(SecretFile::LEN_MAX / 4 + 1)).unwrap_err();
        assert!(told.contains("/long`: it has more than 65536 bytes"), "{told}");
        assert!(!told.contains("hush"), "{told}");
        let told = SecretFile::read("/nowhere/of\u{1b}[2J".into()).secret.unwrap_err();
        assert!(told.starts_with("no secret is in `/nowhere/of\\u{1b}[2J`: "), "{told}");
    }
}
