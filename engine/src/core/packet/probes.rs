//! What probes say: by these packets a node with `liveness = "probes"` learns who lives.

use std::net::SocketAddr;

use super::super::record::Digest;
use super::len;
use crate::node::{Generation, NodeId};

/// "Do you live?" Answered by [`super::Body::ProbeAnswer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// Comes back in the answer.
    pub token: u32,
    /// What the sender holds.
    pub holds: Holds,
    /// By what way the answer is to come: that of the probe.
    pub reply: Reply,
}

/// By what way an answer is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// In a datagram.
    Datagram,
    /// By stream, because datagrams got lost.
    Stream,
}

/// What a node holds, in 24 bytes: in an idle cluster nothing else needs to be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holds {
    /// The sum of the digests of its members.
    pub digest: Digest,
    /// A hash of its metadata version; zero without one.
    pub version: u64,
}

/// "I live." Never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeAnswer {
    /// That of the probe.
    pub token: u32,
    /// What the answerer holds.
    pub holds: Holds,
}

/// "I can't reach this one: can you?" Answered by [`super::Body::Vouch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeRequest {
    /// Comes back in the answer.
    pub token: u32,
    /// Who is to be probed.
    pub target: SocketAddr,
}

/// What came of a probe for another. Never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vouch {
    /// That of the request.
    pub token: u32,
    /// Whether the target answered.
    pub word: Word,
}

/// Whether one who was probed for another answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// It did.
    Lives,
    /// It did not, or is not listed there; but who was asked to probe it lives, and so does the
    /// asker's network.
    Silent,
}

/// Doubt about a member: it did not answer, nor did others get an answer. It refutes that by
/// raising its counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Suspicion {
    /// The address of the suspect.
    pub addr: SocketAddr,
    /// The incarnation.
    pub generation: Generation,
    /// The counter it was last seen with: a higher one refutes the suspicion.
    pub counter: u32,
    /// Who found it silent: those who are known to the sender, at most
    /// [`Suspicion::WITNESSES_MAX`].
    pub witnesses: Vec<NodeId>,
}

impl Holds {
    pub(super) const LEN: usize = len::DIGEST + 8;
}

impl Suspicion {
    /// More of them do not make a suspicion stronger.
    pub const WITNESSES_MAX: usize = 4;

    pub(super) fn len_max(&self) -> usize {
        let witnesses = len::TAG + self.witnesses.len() * 8;
        len::ADDR + len::GENERATION + len::COUNTER + witnesses
    }
}
