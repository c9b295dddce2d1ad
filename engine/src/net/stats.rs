//! What a node's driver counts.

use std::time::Duration;

use crate::core::Stats;
use crate::time::Instant;
use crate::wire::Reject;

/// Counters of one node, from its last join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Bytes of unread datagrams that the system keeps at most; zero without a socket for them.
    pub queue_bytes: usize,
    /// Errors of the socket while receiving.
    pub receive_errors: u64,
    /// What was refused, by reason: datagrams, packets on connections, and calls.
    pub rejected: Rejected,
    /// Counters of the connections to and from other nodes.
    pub streams: StreamStats,
}

impl NetStats {
    pub(super) fn count_sent(&mut self, datagram: &[u8]) {
        self.sent += 1;
        self.sent_bytes += datagram.len() as u64;
    }
}

/// Counters of the connections of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Connections to us that were closed to make room for another: of callers that have not
    /// proved to be members first.
    pub evicted: u64,
    /// Times that a caller that had not proved to be a member was kept waiting, because it brought
    /// more than any node does.
    pub held_back: u64,
    /// Connections to us that were closed because something begun did not come in time.
    pub slow: u64,
    /// Connections to us that were closed because no node of ours was at the other end; the
    /// reasons are among those of [`NetStats::rejected`].
    pub foreign: u64,
    /// Connections to us that ended within a packet, or with an error of the system.
    pub broken: u64,
    /// Sealed connections to us that were closed because what came on them was not what was sent,
    /// each packet once and in its turn, or because their secret was removed.
    pub out_of_sequence: u64,
    /// Connections to us that were closed because a length was beyond its limit.
    pub over_length: u64,
    /// Connections that are open now, in either direction.
    pub open: u64,
}

/// How much was refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected([u64; Reject::ALL.len()]);

impl Rejected {
    /// How many were refused for this reason.
    pub fn of(&self, reason: Reject) -> u64 {
        self.0[reason as usize]
    }

    /// How many were refused because their secret is not ours, or one of us has none.
    pub(crate) fn by_key(&self) -> u64 {
        let reasons = [Reject::Sealed, Reject::Unsealed, Reject::UnknownKey, Reject::BadSeal];
        reasons.map(|reason| self.of(reason)).iter().sum()
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

    /// Both together.
    #[must_use]
    pub(crate) fn plus(mut self, more: Self) -> Self {
        for (count, more) in self.0.iter_mut().zip(more.0) {
            *count += more;
        }
        self
    }
}

/// For which reasons a service was told of refused packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusals([Told; Reject::ALL.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    count: u64,
    silent_until: Instant,
}

impl Refusals {
    /// Between two notices for one reason.
    const PAUSE: Duration = Duration::from_secs(60);

    /// The reasons that are to be told now, given what was counted until now.
    pub(super) fn news(&mut self, now: Instant, counted: &Rejected) -> Vec<Reject> {
        let mut news = Vec::new();
        for (reason, count) in counted.iter() {
            let told = &mut self.0[reason as usize];
            // A network does that, and nobody can do anything about it.
            let is_told = reason != Reject::Duplicate;
            if is_told && count > told.count && now >= told.silent_until {
                *told = Told { count, silent_until: now + Self::PAUSE };
                news.push(reason);
            }
        }
        news
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
        assert_eq!(rejected.plus(rejected).of(Reject::BadDigest), 4);
    }

    #[test]
    fn what_came_twice_is_counted_and_never_told() {
        let (mut refusals, mut rejected) = (Refusals::default(), Rejected::default());
        rejected.count(Reject::Duplicate);
        assert_eq!(refusals.news(Instant::ZERO, &rejected), []);
        assert_eq!(rejected.of(Reject::Duplicate), 1);
    }

    #[test]
    fn a_reason_is_told_at_its_first_refusal_and_then_once_a_minute_while_there_are_more() {
        let at = |seconds: u64| Instant::ZERO + Duration::from_secs(seconds);
        let (mut refusals, mut rejected) = (Refusals::default(), Rejected::default());
        assert_eq!(refusals.news(at(0), &rejected), []);
        rejected.count(Reject::Damaged);
        assert_eq!(refusals.news(at(1), &rejected), [Reject::Damaged]);
        rejected.count(Reject::Damaged);
        rejected.count(Reject::Replayed);
        assert_eq!(refusals.news(at(2), &rejected), [Reject::Replayed]);
        assert_eq!(refusals.news(at(61), &rejected), [Reject::Damaged]);
        assert_eq!(refusals.news(at(500), &rejected), []);
    }
}
