//! What came by some way about a member, and what it changed here.

use std::sync::Arc;

use super::ids::Found;
use super::roster::NodeIx;
use super::row::Standing;
use crate::core::beat::{Age, AgeStep};
use crate::core::record::Record;
use crate::node::Generation;
use crate::time::Instant;

/// When and how a copy came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub now: Instant,
    /// The unit of its age.
    pub step: AgeStep,
    /// What a member is that is listed because of it.
    pub standing: Standing,
    /// What lies above comes from the future.
    pub horizon: Generation,
}

/// A beat that may be news, and whose it is, unless that is unknown or ambiguous.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshBeat {
    pub node: Option<NodeIx>,
    pub counter: u8,
    pub age: Age,
}

/// A piece of membership news that may change something: its place in its packet, and its record
/// and node if the shared roster names them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshNews {
    pub at: u32,
    pub found: Option<Found>,
}

/// What a copy of a beat or a record changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Nothing: it was no news.
    Old,
    /// Nothing: no record goes with the id, or two do.
    Unknown,
    /// Nothing: it is too old to list a member by.
    TooOld,
    /// Nothing: the list is full.
    Full,
    /// Nothing: what is held of this address outranks it.
    Refused(NodeIx),
    /// Nothing yet: what is held of this address or what was heard lies in the future, and the node
    /// itself must say which of them it is.
    Contested(NodeIx),
    /// Nothing here: somebody holds an incarnation of ourselves that outranks us.
    OutrankedMe,
    /// The member is younger than was known.
    Advanced(NodeIx),
    /// The member is listed now, and was not.
    Listed(NodeIx),
    /// The copy that is held of the member's record now says more than this one did.
    Enriched(NodeIx, Arc<Record>),
    /// The member has a new incarnation in place of this one.
    Updated(NodeIx, Arc<Record>),
}

/// What news of a departure changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AppliedDeparture {
    /// Nothing.
    Old,
    /// A member that was silent turned out to have left.
    Noted,
    /// A member was removed.
    Removed(Arc<Record>),
    /// Somebody holds a tombstone of ourselves that blocks us.
    OfMe,
}
