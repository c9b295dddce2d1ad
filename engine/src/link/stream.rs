//! What a message costs that goes by stream, over the same links as datagrams.
//!
//! A round trip makes the connection, then the message takes its latency. A segment that gets
//! lost or corrupted is sent again after a while, until it arrives: a stream loses nothing, it is
//! late. It needs both directions: with either of them cut nothing arrives. Its segments are no
//! longer than [`SEGMENT_LEN`], as those of nodes are, so that it passes where datagrams of 1,200
//! bytes do; on a link that is narrower than a segment nothing arrives, however often it is sent.
//! The real sender gives up after 3 s and tells its engine; here nobody is told, and the engine
//! waits until its own patience ends. The sender's stream of chance gives two words, as for a
//! datagram.

use std::time::Duration;

use super::burst::Bursts;
use super::route::Route;
use super::{Fate, Link, LinkModel, Loss, Rare, transmit};
use crate::time::Instant;

/// Bytes of a message that one segment carries: what nodes set as the most (`TCP_MAXSEG`).
const SEGMENT_LEN: usize = 1_160;

/// The headers of IPv4 and TCP, without options.
const HEADERS_LEN: usize = 40;

/// Least time until a lost segment is sent again.
const RESEND_MIN: Duration = Duration::from_millis(200);

/// Slots of chance: those of the three flights, then one for each time a segment is sent.
const CALL: u64 = 0;
const ACCEPT: u64 = 4;
const FLIGHT: u64 = 8;
const SEGMENTS: u64 = 12;

impl LinkModel {
    /// Decides what becomes of a message of `len` bytes that goes by stream now. It is delivered
    /// once, or cut, or its segments are more than the link carries.
    pub fn stream(&mut self, now: Instant, from: u32, to: u32, len: usize) -> Fate {
        let (chance, place) = self.chance.draw(from);
        let words = Rare(chance.rotate_left(32) ^ place);
        let (Some(there), Some(back)) = (self.link(from, to), self.link(to, from)) else {
            return Fate::Cut;
        };
        // What comes back are the short segments that acknowledge.
        let segment = len.min(SEGMENT_LEN) + HEADERS_LEN;
        if there.mtu.is_some_and(|mtu| segment > mtu as usize) {
            return Fate::Oversize;
        }
        let flight = |link: &Link, slot| link.delay(words.word(slot), words, slot + 1);
        let round_trip = flight(&there, CALL) + flight(&back, ACCEPT);
        let mut sent = now + round_trip;
        if let Some(bandwidth) = there.bandwidth {
            // A stream waits for room where a datagram would be dropped.
            let busy_until = self.busy_until.entry((from, to)).or_default();
            let queued = transmit(busy_until, sent, len as u64, bandwidth, u64::MAX);
            sent = queued.expect("a queue without a limit takes all");
        }
        let segments = len.div_ceil(SEGMENT_LEN);
        let resent = resent(&there, words, segments, &mut self.bursts, (from, to));
        let wait = (round_trip * 2).max(RESEND_MIN);
        let wait = wait.checked_mul(resent).unwrap_or(Duration::MAX);
        let at = sent + flight(&there, FLIGHT) + wait;
        Fate::Delivered { at, again: None }
    }

    /// The link in this direction, unless it is cut.
    fn link(&mut self, from: u32, to: u32) -> Option<Link> {
        let link = if self.changes.is_empty() {
            &self.default
        } else {
            match self.routes.between(from, to) {
                Route::Cut => return None,
                Route::Open(link) => link,
            }
        };
        (!link.is_cut()).then(|| link.clone())
    }
}

/// How often one of so many segments has to be sent again.
fn resent(
    link: &Link,
    words: Rare,
    segments: usize,
    bursts: &mut Bursts,
    direction: (u32, u32),
) -> u32 {
    /// No stream lives through more.
    const RESENT_MAX: u32 = 100_000;
    let mut slot = SEGMENTS;
    let mut resent = 0;
    for _ in 0..segments {
        loop {
            let (chance, corrupt) = (words.half(slot), words.half(slot + 1));
            let lost = match link.loss {
                Loss::Each(each) => each.covers(chance),
                Loss::Bursts(burst) => bursts.lose(burst, direction, words.low(slot), chance),
            };
            slot += 2;
            let arrives = !lost && !link.corrupt.covers(corrupt);
            if arrives || resent == RESENT_MAX {
                break;
            }
            resent += 1;
        }
    }
    resent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{LinkChange, NetworkChange, Ways};
    use crate::rng::Probability;

    const MS: Duration = Duration::from_millis(1);

    fn took(fate: Fate) -> Duration {
        match fate {
            Fate::Delivered { at, again: None } => at - Instant::ZERO,
            other => panic!("not delivered once: {other:?}"),
        }
    }

    #[test]
    fn a_message_takes_a_round_trip_and_its_latency() {
        let mut links = LinkModel::new(1, Link::uniform(5 * MS, 5 * MS));
        let link = LinkChange {
            latency: Some(crate::link::Latency::Uniform { min: MS, max: MS }),
            ..LinkChange::default()
        };
        links.apply(NetworkChange::Links {
            from: vec![1],
            to: vec![0],
            ways: Ways::One,
            change: link,
        });
        assert_eq!(took(links.stream(Instant::ZERO, 0, 1, 1 << 20)), 11 * MS);
        assert_eq!(took(links.stream(Instant::ZERO, 1, 0, 10)), 7 * MS);
        let lossless = Link { duplicate: Probability::ONE, ..Link::uniform(MS, MS) };
        let mut links = LinkModel::new(1, lossless);
        assert_eq!(took(links.stream(Instant::ZERO, 0, 1, 10)), 3 * MS, "and it comes once");
    }

    #[test]
    fn each_lost_segment_adds_the_time_until_it_is_sent_again() {
        let lossy = |latency| {
            let half = Probability::from_ppb(500_000_000);
            LinkModel::new(1, Link { loss: half.into(), ..Link::uniform(latency, latency) })
        };
        for (latency, resend) in [(10 * MS, 200 * MS), (100 * MS, 400 * MS)] {
            let mut links = lossy(latency);
            let mut resent = 0;
            for _ in 0..100 {
                let late = took(links.stream(Instant::ZERO, 0, 1, 11_600)) - 3 * latency;
                assert_eq!(late.as_nanos() % resend.as_nanos(), 0);
                resent += late.as_nanos() / resend.as_nanos();
            }
            // Each of a thousand segments is sent twice on average.
            assert!((800..1_200).contains(&resent), "{resent}");
        }
    }

    #[test]
    fn a_cut_in_either_direction_stops_it() {
        for (from, to) in [(0, 1), (1, 0)] {
            let mut links = LinkModel::new(1, Link::uniform(MS, MS));
            let change = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
            let (from, to) = (vec![from], vec![to]);
            let id = links.apply(NetworkChange::Links { from, to, ways: Ways::One, change });
            assert_eq!(links.stream(Instant::ZERO, 0, 1, 10), Fate::Cut);
            links.undo(id);
            took(links.stream(Instant::ZERO, 0, 1, 10));
        }
        let mut links = LinkModel::new(1, Link::uniform(MS, MS));
        links.apply(NetworkChange::Partition(vec![vec![0], vec![1]]));
        assert_eq!(links.stream(Instant::ZERO, 0, 1, 10), Fate::Cut);
    }

    #[test]
    fn it_passes_where_its_segments_do_and_nowhere_else() {
        let over = |mtu, len| {
            let narrow = Link { mtu: Some(mtu), ..Link::uniform(MS, MS) };
            LinkModel::new(1, narrow).stream(Instant::ZERO, 0, 1, len)
        };
        assert_eq!(took(over(1_200, 1 << 20)), 3 * MS);
        assert_eq!(over(1_199, 1 << 20), Fate::Oversize);
        assert_eq!(took(over(1_199, 1_159)), 3 * MS);
        assert_eq!(over(600, 561), Fate::Oversize);
        let mut links = LinkModel::new(1, Link::uniform(MS, MS));
        let change = LinkChange { mtu: Some(600), ..LinkChange::default() };
        let (from, to) = (vec![0], vec![1]);
        links.apply(NetworkChange::Links { from, to, ways: Ways::One, change });
        assert_eq!(links.stream(Instant::ZERO, 0, 1, 1 << 20), Fate::Oversize);
        assert_eq!(took(links.stream(Instant::ZERO, 1, 0, 1 << 20)), 3 * MS, "acks are short");
    }

    #[test]
    fn it_waits_for_bandwidth_where_a_datagram_would_be_dropped() {
        let narrow = Link { bandwidth: Some(8_000), queue: 100, ..Link::uniform(MS, MS) };
        let mut links = LinkModel::new(1, narrow);
        assert_eq!(took(links.stream(Instant::ZERO, 0, 1, 2_000)), 2_003 * MS);
        assert_eq!(took(links.stream(Instant::ZERO, 0, 1, 2_000)), 4_003 * MS);
        assert_eq!(links.fate(Instant::ZERO, 0, 1, 2_000), Fate::Overflow);
    }

    #[test]
    fn it_draws_as_much_chance_as_a_datagram() {
        let loss = Probability::from_ppb(300_000_000).into();
        let lossy = Link { loss, ..Link::uniform(MS, 9 * MS) };
        let mut links = LinkModel::new(1, lossy);
        let mut other = links.clone();
        links.stream(Instant::ZERO, 0, 1, 1 << 20);
        other.fate(Instant::ZERO, 0, 1, 100);
        assert_eq!(links.fate(Instant::ZERO, 0, 1, 9), other.fate(Instant::ZERO, 0, 1, 9));
    }
}
