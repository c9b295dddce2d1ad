//! Footprint: how much an engine holds of all that may grow, counted by what is there.
//!
//! A simulation holds it against the limits that the protocol states: counters of our own would
//! agree with our own mistakes.

/// How much an engine holds, in numbers of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Members, the node itself included.
    pub members: usize,
    /// Nodes that left or were removed, and are remembered lest old news bring them back.
    pub tombstones: usize,
    /// Rumors of metadata and members that are told or were told lately.
    pub rumors: usize,
    /// Rumors of nodes that left: each has one.
    pub goodbyes: usize,
    /// Rumors of entries.
    pub entry_rumors: usize,
    /// Parts of the ring that were handed over, of all rumors.
    pub parts: usize,
    /// Addresses that are dialled because they were lost.
    pub lost: usize,
    /// Membership news that waits for the next relay.
    pub waiting: usize,
    /// Publishers that wait until others hold what they published.
    pub publishers: usize,
}
