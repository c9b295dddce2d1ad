//! What probes say: by these packets a node with `liveness = "probes"` learns who lives.

use std::net::SocketAddr;

use super::super::entry::Fingerprint;
use super::super::metadata::Version;
use super::super::record::Digest;
use crate::node::{Generation, NodeId};

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
pub struct StateDigest {
    /// The sum of the digests of its members.
    pub digest: Digest,
    /// A hash of its metadata version, mixed with what it holds of entries; zero without either.
    pub version: u64,
}

impl StateDigest {
    /// What is held, in short.
    pub(crate) fn of(digest: Digest, version: Option<Version>, entries: Fingerprint) -> Self {
        let version = version.map_or(0, Version::hash);
        Self { digest, version: version ^ entries.fold() }
    }
}

/// Whether one who was probed for another answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckOrNack {
    /// It did.
    Ack,
    /// It did not, or is not listed there; but who was asked to probe it lives, and so does the
    /// asker's network.
    Nack,
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

impl Suspicion {
    /// More of them do not make a suspicion stronger.
    pub const WITNESSES_MAX: usize = 4;
}
