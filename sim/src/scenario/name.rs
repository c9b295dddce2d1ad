//! The name of a scenario, which is also that of a folder: on disk it leads nowhere else.

use std::fmt;
use std::ops::Deref;

use rumormill::text::Printable;
use serde::{Deserialize, Serialize};

const LEN_MAX: usize = 64;

/// 1 to 64 of a-z, 0-9 and -: no path can be made of these, whether typed or read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// A sentence that says what it may be made of.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match !text.is_empty() && text.len() <= LEN_MAX && text.chars().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "`{}` is no name: 1 to {LEN_MAX} of a-z, 0-9 and -, because it names a folder",
                Printable(text)
            )),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_whether_typed_or_read_back() {
        assert_eq!(&*Name::parse("two-regions-2").unwrap(), "two-regions-2");
        for text in ["", ".", "..", "../x", "/tmp/x", "a/b", "A", "a\n", "a\u{1b}", "ä"] {
            assert!(Name::parse(text).unwrap_err().contains("is no name: 1 to 64 of"), "{text}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<Name>(&json).is_err(), "{text}");
        }
        assert!(Name::parse(&"a".repeat(65)).is_err());
    }
}
