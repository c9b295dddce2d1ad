//! Versions of the wire: which forms of its packets a node can read and write.

use std::fmt;

/// A version of the native packets, which the first bytes of each name.
///
/// To each peer goes the highest that it is known to speak, up to `wire_max` in the settings; until
/// its record says more, that is the first. So a cluster is upgraded node by node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WireVersion {
    /// Nothing may follow what it knows.
    #[default]
    One = 1,
    /// Records and packets carry extensions, which who does not know them passes over.
    Two = 2,
}

impl WireVersion {
    /// All there are, the oldest first.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// The newest.
    pub const LATEST: Self = Self::Two;

    /// The version of this number.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.number() == number)
    }

    /// As it is written and typed.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for WireVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_number_and_the_latest_is_the_last_of_all() {
        for version in WireVersion::ALL {
            assert_eq!(WireVersion::of(version.number()), Some(version));
            assert_eq!(version.to_string(), version.number().to_string());
            assert!(version <= WireVersion::LATEST);
        }
        assert_eq!([0, 3, 255].map(WireVersion::of), [None; 3]);
    }
}
