//! What a node's driver counts.

use std::time::Duration;

use crate::core::Stats;
use crate::metrics::{Reading, counters};
use crate::time::Instant;
use crate::wire::Reject;

counters! {
    /// Counters of one node, from its last join.
    pub struct NetStats in "net" {
        /// Datagrams that arrived, refused ones included.
        received: u64 => Counter(One),
        /// Payload of the datagrams that arrived, in bytes.
        received_bytes: u64 => Counter(Bytes),
        /// Datagrams that were handed to the system.
        sent: u64 => Counter(One),
        /// Payload of the datagrams that were handed to the system, in bytes.
        sent_bytes: u64 => Counter(Bytes),
        /// Datagrams that the system would not send: no route, refused, or its queue was full. The
        /// protocol treats them as lost.
        send_errors: u64 => Counter(One),
        /// Bytes of unread datagrams that the system keeps at most; zero without a socket for them.
        queue_bytes: usize => Gauge(Bytes),
        /// Errors of the socket while receiving.
        receive_errors: u64 => Counter(One),
        /// What was refused, by reason: datagrams, packets on connections, and calls.
        rejected: Rejected => Counter(One),
    }
    with {
        /// Counters of the engine.
        engine: Stats,
        /// Counters of the connections to and from other nodes.
        streams: StreamStats,
    }
}

impl NetStats {
    pub(super) fn count_sent(&mut self, datagram: &[u8]) {
        self.sent += 1;
        self.sent_bytes += datagram.len() as u64;
    }
}

counters! {
    /// Counters of the connections of one node.
    pub struct StreamStats in "streams" {
        /// Packets that were read from connections, refused ones included.
        received: u64 => Counter(One),
        /// Bytes of the packets that were read from connections, without the lengths in front.
        received_bytes: u64 => Counter(Bytes),
        /// Packets that were handed to the system for connections.
        sent: u64 => Counter(One),
        /// Bytes of the packets that were handed to the system for connections, the lengths in
        /// front included.
        sent_bytes: u64 => Counter(Bytes),
        /// Packets dropped because too much was waiting for one peer, or too many peers were busy.
        dropped_over_limit: u64 => Counter(One),
        /// Packets dropped because the connection could not be made, broke, or missed a deadline.
        dropped_by_failure: u64 => Counter(One),
        /// Connections made by us.
        dialled: u64 => Counter(One),
        /// Dials that failed.
        dial_errors: u64 => Counter(One),
        /// Connections made to us.
        accepted: u64 => Counter(One),
        /// Connections that could not be accepted.
        accept_errors: u64 => Counter(One),
        /// Connections to us that were closed to make room for another: of callers that have not
        /// proved to be members first.
        evicted: u64 => Counter(One),
        /// Times that a caller that had not proved to be a member was kept waiting, because it
        /// brought more than any node does.
        held_back: u64 => Counter(One),
        /// Connections to us that were closed because something begun did not come in time.
        slow: u64 => Counter(One),
        /// Connections to us that were closed because no node of ours was at the other end; the
        /// reasons are among those of [`NetStats::rejected`].
        foreign: u64 => Counter(One),
        /// Connections to us that ended within a packet, or with an error of the system.
        broken: u64 => Counter(One),
        /// Sealed connections to us that were closed because what came on them was not what was
        /// sent, each packet once and in its turn, or because their secret was removed.
        out_of_sequence: u64 => Counter(One),
        /// Connections to us that were closed because a length was beyond its limit.
        over_length: u64 => Counter(One),
        /// Connections that are open now, in either direction.
        open: u64 => Gauge(One),
    }
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

impl From<Rejected> for Reading {
    fn from(rejected: Rejected) -> Self {
        let named = |(reason, count): (Reject, u64)| (reason.name(), count);
        let counts = Reject::ALL.into_iter().zip(rejected.0).map(named).collect();
        Self::Labelled { label: "reason", counts }
    }
}

/// Each reason, also those that never occurred.
#[cfg(feature = "serde")]
impl serde::Serialize for Rejected {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Reject::ALL.into_iter().zip(self.0))
    }
}

/// For which reasons a service was told of refused packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusals([ToldRefusal; Reject::ALL.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct ToldRefusal {
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
                *told = ToldRefusal { count, silent_until: now + Self::PAUSE };
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

    #[cfg(feature = "serde")]
    #[test]
    fn counters_are_written_by_the_names_of_their_fields_and_reasons() {
        let mut stats = NetStats { sent: 3, ..NetStats::default() };
        stats.rejected.count(Reject::TooShort);
        (stats.engine.members, stats.streams.open) = (7, 11);
        stats.engine.round_trip.observe(Duration::from_millis(4));
        let written = serde_json::to_value(stats).unwrap();
        let (engine, rejected) = (&written["engine"], &written["rejected"]);
        assert_eq!((&written["sent"], &engine["members"]), (&3.into(), &7.into()));
        assert_eq!(written["streams"]["open"], 11);
        assert_eq!((&rejected["too_short"], &rejected["replayed"]), (&1.into(), &0.into()));
        let round_trip = &engine["round_trip"];
        assert_eq!((&round_trip["count"], &round_trip["sum"]), (&1.into(), &0.004.into()));
        let buckets = round_trip["buckets"].as_array().unwrap();
        assert_eq!(buckets[4..6], [serde_json::json!([0.0025, 0]), serde_json::json!([0.005, 1])]);
    }
}
