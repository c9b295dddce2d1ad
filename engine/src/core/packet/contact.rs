//! First contacts: how a node gets in, and how two show each other that they are where they say.

use super::super::metadata::Version;
use super::super::record::Digest;

/// What a node holds, so that another can tell what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The sum of the digests of its members.
    pub digest: Digest,
    /// Its metadata version, if it holds any.
    pub version: Option<Version>,
}

/// So many zeros, which say nothing: an address that is not known to be its owner's gets at most
/// three times as many bytes as came from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding(pub u16);
