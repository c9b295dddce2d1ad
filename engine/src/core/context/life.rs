//! Life: what a node does of its own accord.

use crate::time::Instant;

/// What a node does of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Everything.
    Running,
    /// It answers and forwards, but neither beats nor swaps nor dials.
    Stopped,
    /// It has said goodbye, and does only what others need for theirs and for what it told.
    Leaving(Farewell),
    /// Nothing at all.
    Left,
}

/// A goodbye that is being said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    pub since: Instant,
    /// When somebody last wanted something.
    pub heard: Instant,
}

impl Life {
    pub(crate) fn is_leaving(self) -> bool {
        matches!(self, Self::Leaving(_))
    }
}
