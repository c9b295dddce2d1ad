//! What a node's driver counts.

use crate::core::Stats;
use crate::wire::Reject;

/// Counters of one node, from its last join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetStats {
    /// Counters of the engine.
    pub engine: Stats,
    /// Datagrams that arrived, refused ones included.
    pub received: u64,
    /// Their payload, in bytes.
    pub received_bytes: u64,
    /// Datagrams that were handed to the system.
    pub sent: u64,
    /// Their payload, in bytes.
    pub sent_bytes: u64,
    /// Datagrams that the system would not send: no route, refused, or its queue was full. The
    /// protocol treats them as lost.
    pub send_errors: u64,
    /// Errors of the socket while receiving.
    pub receive_errors: u64,
    /// Datagrams that were no packet of ours, by reason.
    pub rejected: Rejected,
    /// Counters of the connections to and from other nodes.
    pub streams: StreamStats,
}

/// Counters of the connections of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Packets that were read, refused ones included.
    pub received: u64,
    /// Their bytes, without the lengths in front.
    pub received_bytes: u64,
    /// Packets that were handed to the system.
    pub sent: u64,
    /// Their bytes, the lengths in front included.
    pub sent_bytes: u64,
    /// Packets dropped because too much was waiting for one peer, or too many peers were busy.
    pub dropped_over_limit: u64,
    /// Packets dropped because the connection could not be made, broke, or missed a deadline.
    pub dropped_by_failure: u64,
    /// Connections made by us.
    pub dialled: u64,
    /// Dials that failed.
    pub dial_errors: u64,
    /// Connections made to us.
    pub accepted: u64,
    /// Connections that could not be accepted.
    pub accept_errors: u64,
    /// Connections to us that were closed to make room for another.
    pub evicted: u64,
    /// Connections to us that were closed because something begun did not come in time.
    pub slow: u64,
    /// Connections to us that were closed because no node of ours was at the other end.
    pub foreign: u64,
    /// Connections to us that were closed because a length was beyond its limit.
    pub over_length: u64,
    /// Connections that are open now, in either direction.
    pub open: u64,
}

/// How many datagrams were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected([u64; Reject::ALL.len()]);

impl Rejected {
    /// How many were refused for this reason.
    pub fn of(&self, reason: Reject) -> u64 {
        self.0[reason as usize]
    }

    /// How many were refused at all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each reason that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Reject, u64)> + '_ {
        Reject::ALL.into_iter().zip(self.0).filter(|&(_, count)| count > 0)
    }

    pub(crate) fn count(&mut self, reason: Reject) {
        self.0[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_reason() {
        let mut rejected = Rejected::default();
        rejected.count(Reject::TooShort);
        rejected.count(Reject::BadDigest);
        rejected.count(Reject::BadDigest);
        assert_eq!((rejected.total(), rejected.of(Reject::BadDigest)), (3, 2));
        let seen: Vec<_> = rejected.iter().collect();
        assert_eq!(seen, [(Reject::TooShort, 1), (Reject::BadDigest, 2)]);
    }
}
