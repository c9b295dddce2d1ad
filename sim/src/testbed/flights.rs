//! Packets between real nodes: which departure an arrival belongs to, and what became of the rest.
//!
//! A packet carries no number, so an arrival is the oldest departure with the same ends and
//! content that has not arrived yet. What was let fly and was never seen again went to a node that
//! had gone, or is still under way at the end, or else the system had no room for it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rumormill::time::Instant;

use crate::observe::rumors::CarriedRumor;
use crate::observe::stage::Unread;
use crate::observe::trace::{Nature, TracedParcel};
use crate::scenario::plan::NodeNo;

/// What was to arrive so shortly before the end may still be unread.
const UNREAD_MAX: Duration = Duration::from_millis(100);

/// A packet that was let fly.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) from: NodeNo,
    pub(super) to: NodeNo,
    pub(super) nature: Nature,
    pub(super) sent: Instant,
    /// When it is handed to the system.
    pub(super) lands: Instant,
    /// A filter of the kernel may have been in its way.
    pub(super) may_be_cut: bool,
    pub(super) bytes: u64,
    pub(super) content: u64,
    pub(super) carried: Vec<CarriedRumor>,
}

impl Flight {
    /// As a trace tells of it.
    pub(super) fn told(&self) -> TracedParcel<'_> {
        TracedParcel {
            from: self.from,
            to: Some(self.to),
            nature: self.nature,
            sent: self.sent,
            bytes: self.bytes,
            content: self.content,
            carried: &self.carried,
        }
    }
}

/// The ends of a packet and the hash of its content.
pub(super) type FlightMark = (SocketAddr, SocketAddr, u64);

/// Packets on their way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    flying: BTreeMap<FlightMark, VecDeque<Flight>>,
    /// By address: from when to when a node ran there; the last one may still run.
    lives: BTreeMap<SocketAddr, Vec<(Instant, Option<Instant>)>>,
}

impl Flights {
    /// A node runs at this address from now on.
    pub(super) fn up(&mut self, at: Instant, addr: SocketAddr) {
        self.lives.entry(addr).or_default().push((at, None));
    }

    /// Nobody runs there any more.
    pub(super) fn down(&mut self, at: Instant, addr: SocketAddr) {
        if let Some((_, end @ None)) = self.lives.get_mut(&addr).and_then(|lives| lives.last_mut())
        {
            *end = Some(at);
        }
    }

    /// A packet flies.
    pub(super) fn depart(&mut self, mark: FlightMark, flight: Flight) {
        self.flying.entry(mark).or_default().push_back(flight);
    }

    /// A packet came; `None` if nobody sent it.
    pub(super) fn arrive(&mut self, mark: FlightMark) -> Option<Flight> {
        let flying = self.flying.get_mut(&mark)?;
        let flight = flying.pop_front();
        if flying.is_empty() {
            self.flying.remove(&mark);
        }
        flight
    }

    /// What never arrived, when the run ends, and why, unless it is still to be read; `is_paused`
    /// says who does not read.
    pub(super) fn missing(
        self,
        end: Instant,
        is_paused: impl Fn(NodeNo) -> bool,
    ) -> Vec<(Flight, Option<Unread>)> {
        let Self { flying, lives } = self;
        let fate = |to: SocketAddr, flight: &Flight| {
            let of_addr = lives.get(&to).map(Vec::as_slice).unwrap_or_default();
            let met = of_addr.iter().rfind(|(from, _)| *from <= flight.lands);
            match met {
                _ if flight.may_be_cut => Some(Unread::Cut),
                // It went down before it read it, or before it came.
                None | Some((_, Some(_))) => Some(Unread::ToDead),
                _ if flight.lands + UNREAD_MAX >= end || is_paused(flight.to) => None,
                Some((_, None)) => Some(Unread::Overflow),
            }
        };
        let all = flying
            .into_iter()
            .flat_map(|((_, to, _), flights)| flights.into_iter().map(move |flight| (to, flight)));
        all.map(|(to, flight)| {
            let fate = fate(to, &flight);
            (flight, fate)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use rumormill::core::{Channel, LivenessCheck};

    use super::*;
    use crate::world::testkit::at_ms;

    fn addr(host: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, host], 1))
    }

    fn flight(sent: u64) -> Flight {
        let (from, to, by) = (0, 1, Channel::Swap);
        let check = Some(LivenessCheck::LastCall);
        let nature = Nature { kind: "last_call", by, check };
        let (sent, lands) = (at_ms(sent), at_ms(sent + 5));
        let (may_be_cut, bytes, content, carried) = (false, 9, 7, Vec::new());
        Flight { from, to, nature, sent, lands, may_be_cut, bytes, content, carried }
    }

    #[test]
    fn an_arrival_is_the_oldest_departure_of_its_kind() {
        let mut flights = Flights::default();
        let mark = (addr(1), addr(2), 7);
        flights.depart(mark, flight(1));
        flights.depart(mark, flight(2));
        let sent = |flight: Option<Flight>| flight.map(|flight| flight.sent);
        assert_eq!(sent(flights.arrive((addr(1), addr(2), 8))), None);
        assert_eq!(sent(flights.arrive(mark)), Some(at_ms(1)));
        assert_eq!(sent(flights.arrive(mark)), Some(at_ms(2)));
        assert_eq!(sent(flights.arrive(mark)), None);
    }

    #[test]
    fn what_never_arrived_has_the_fate_that_its_receiver_tells() {
        let fate = |lives: &[(u64, Option<u64>)], sent, paused| {
            let mut flights = Flights::default();
            for &(from, to) in lives {
                flights.up(at_ms(from), addr(2));
                to.into_iter().for_each(|to| flights.down(at_ms(to), addr(2)));
            }
            flights.depart((addr(1), addr(2), 7), flight(sent));
            let missing = flights.missing(at_ms(10_000), |_| paused);
            missing[0].1
        };
        let twice = [(0, Some(1_000)), (3_000, None)];
        assert_eq!(fate(&[], 500, false), Some(Unread::ToDead));
        assert_eq!(fate(&twice, 500, false), Some(Unread::ToDead), "it went down with it unread");
        assert_eq!(fate(&twice, 2_000, false), Some(Unread::ToDead), "nobody was there");
        assert_eq!(fate(&twice, 5_000, false), Some(Unread::Overflow));
        assert_eq!(fate(&twice, 5_000, true), None);
        assert_eq!(fate(&twice, 9_990, false), None);
    }
}
