//! A node inside a cluster of pekonode nodes, as a state machine without sockets or clocks.
//!
//! [`LegacyEngine`] is to a node with `wire = "pekonode"` what
//! [`core::Engine`](crate::core::Engine) is to any other: another
//! [`Protocol`](crate::core::Protocol), with the same contract with its driver, the same commands
//! and the same events.
//! Its peers may be unmodified Go nodes or nodes like itself, and it cannot tell which. What it
//! does about the faults of the former:
//!
//! - **Exponential copies.** A Go node forwards every copy to `fan_out` nodes that the copy does
//!   not mark. So a rumor goes out in slices of at most `fan_out` + 1 nodes, each slice to one of
//!   its nodes, with everybody else marked: n - 1 packets, two hops. What passes through is sliced
//!   the same way, and nobody is told twice in half a cycle.
//! - **No redundancy in that.** So a node beats twice a cycle, each time along other slices, and
//!   swaps repair the metadata.
//! - **No counters.** A late copy and the next beat look alike. So a node that was removed is
//!   listed again only after two beats that lie apart.
//! - **No end.** Whoever is silent is asked by a request that any living node answers; what was
//!   removed is dialled again, so that partitions heal.
//! - **Equal versions never reconcile.** Whoever sees two values with one `Update` publishes the
//!   one with the larger digest as the next version.
//! - **Packets grow with the cluster.** The list takes no more members than the marks in a packet
//!   of `size` bytes have room for (some 690 at pekonode's default), and says so by
//!   [`crate::Event::ClusterTooLarge`].
//!
//! The machine is the same whether packets travel over UDP or TCP. Over TCP each has a connection
//! of its own, written in one piece, because a Go node reads once, and closed by its sender; a peer
//! that hangs costs its own packets only.
//!
//! A version's writer is not on this wire; it is zero in every [`crate::Version`]. A node can't
//! say goodbye here: one that leaves falls silent.

mod engine;
mod packet;
mod peers;
mod spread;
mod swap;
#[cfg(test)]
mod tests;

pub use engine::LegacyEngine;
pub use packet::{Carried, Kind, LegacyPacket, SecretDigest, mark};
