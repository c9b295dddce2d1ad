//! First contacts: how a node gets in, and how two show each other that they are where they say.

use super::super::metadata::Version;
use super::super::record::{Digest, Sighting};
use super::{Summary, len};

/// A node that wants in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Join {
    /// Comes back in the answer.
    pub token: u32,
    /// Itself.
    pub me: Sighting,
    /// What it holds already.
    pub summary: Summary,
    /// Makes it so long that a full datagram may answer.
    pub padding: Padding,
}

/// The answer to a join.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Welcome {
    /// That of the join.
    pub token: u32,
    /// What to echo, if the answerer does not know yet that the caller is where it says.
    pub ask: Option<u32>,
    /// What the answerer holds.
    pub summary: Summary,
    /// The answerer and some random members.
    pub members: Vec<Sighting>,
}

/// "Do you live?"
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LastCall {
    /// Comes back in the answer.
    pub token: u32,
    /// Makes it so long that the receiver may answer with all that it says of itself.
    pub padding: Padding,
}

/// "I live."
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alive {
    /// That of the call.
    pub token: u32,
    /// The sender, with its newest beat.
    pub me: Sighting,
}

/// Shows the receiver that what it sends to this address arrives here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Echo {
    /// What it asked for.
    pub token: u32,
    /// In a swap, what the sender holds: the rest of the answer may come now.
    pub swap: Option<Held>,
}

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

impl Padding {
    pub(super) fn len_max(self) -> usize {
        len::COUNT + usize::from(self.0)
    }
}
