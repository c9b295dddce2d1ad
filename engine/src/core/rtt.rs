//! Round trips: how long to wait for an answer before asking again.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;

/// The round trips to the nodes that answered us lately, each on its own and all together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rtts {
    all: Rtt,
    /// The one that answered last comes last.
    peers: VecDeque<(SocketAddr, Rtt)>,
    /// Of each of the last sixteen answers whether it came to a repeat, the newest lowest.
    repeats: u16,
}

/// The smoothed round trip and its variation (Jacobson 1988), over more of them than RFC 6298
/// takes: each may be to another peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtt {
    smoothed: Option<(Duration, Duration)>,
    /// At most [`Rtt::MEMORY`].
    samples: u32,
}

impl Rtts {
    const PEERS_MAX: usize = 16;

    /// Takes a measured round trip, of what was answered at its first sending.
    pub(crate) fn sample(&mut self, peer: SocketAddr, rtt: Duration) {
        self.repeats <<= 1;
        let at = self.peers.iter().position(|&(addr, _)| addr == peer);
        let known = at.and_then(|at| self.peers.remove(at));
        let (_, mut measured) = known.unwrap_or((peer, self.all.of_one()));
        if self.peers.len() == Self::PEERS_MAX {
            self.peers.pop_front();
        }
        measured.sample(rtt);
        self.peers.push_back((peer, measured));
        self.all.sample(rtt);
    }

    /// Takes that something was answered only when it was repeated.
    pub(crate) fn note_repeat(&mut self) {
        self.repeats = self.repeats << 1 | 1;
    }

    /// How many of the last sixteen answers came to repeats: a measure of what gets lost. The dead
    /// don't count, for they answer nothing.
    pub(crate) fn repeats_of_sixteen(&self) -> usize {
        self.repeats.count_ones() as usize
    }

    /// How long to wait for an answer of a peer, each time: how often a rumor is sent is limited,
    /// and to double the waits made all wait for longer where much is lost.
    pub(crate) fn rto(&self, peer: SocketAddr, config: &Config) -> Duration {
        let measured = self.peers.iter().find(|&&(addr, _)| addr == peer).map(|(_, rtt)| rtt);
        measured.unwrap_or(&self.all).timeout(config)
    }

    /// The same for a peer of whom nothing is known.
    pub(crate) fn rto_of_all(&self, config: &Config) -> Duration {
        self.all.timeout(config)
    }
}

impl Rtt {
    const UNMEASURED: Duration = Duration::from_millis(50);
    const SHORTEST: Duration = Duration::from_millis(10);
    /// A new round trip counts for one of so many.
    const MEMORY: u32 = 16;
    /// What all are like counts for so many of a peer that was not measured before.
    const PRIOR: u32 = 4;

    /// What a peer is taken for before it is measured: one like all others, with reservations.
    fn of_one(self) -> Self {
        Self { samples: self.samples.min(Self::PRIOR), ..self }
    }

    fn sample(&mut self, rtt: Duration) {
        self.samples = (self.samples + 1).min(Self::MEMORY);
        let blend = |old: Duration, new: Duration| (old * (self.samples - 1) + new) / self.samples;
        self.smoothed = Some(match self.smoothed {
            None => (rtt, rtt / 2),
            Some((mean, deviation)) => (blend(mean, rtt), blend(deviation, mean.abs_diff(rtt))),
        });
    }

    /// How long to wait: the mean and three deviations, between 10 ms and a quarter cycle; 50 ms
    /// while nothing was measured.
    fn timeout(&self, config: &Config) -> Duration {
        let wait = self.smoothed.map_or(Self::UNMEASURED, |(mean, deviation)| mean + deviation * 3);
        let longest = config.cycle() / 4;
        config.ack_timeout().unwrap_or(wait.max(Self::SHORTEST).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn peer(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// Round trips of which each way takes 1 to 10 ms.
    fn measured(count: u64) -> Rtts {
        let mut rtts = Rtts::default();
        for sample in 0..count {
            let both_ways = sample * 37 % 100;
            let ms = both_ways / 10 + both_ways % 10 + 2;
            rtts.sample(peer(sample as u16), Duration::from_millis(ms));
        }
        rtts
    }

    #[test]
    fn the_wait_follows_the_round_trips_within_its_limits() {
        let config = Config::default();
        let mut rtts = Rtts::default();
        let patience = |rtts: &Rtts| rtts.rto(peer(1), &config);
        assert_eq!(patience(&rtts), MS * 50);
        rtts.sample(peer(1), MS * 4);
        assert_eq!(patience(&rtts), MS * 10);
        for _ in 0..100 {
            rtts.sample(peer(1), MS * 20);
        }
        assert!((MS * 20..MS * 21).contains(&patience(&rtts)));
        rtts.sample(peer(1), MS * 5_000);
        assert_eq!(patience(&rtts), MS * 250);
    }

    #[test]
    fn after_a_dozen_round_trips_the_wait_is_little_more_than_the_longest() {
        for count in 12..100 {
            let wait = measured(count).rto_of_all(&Config::default());
            assert!((MS * 18..MS * 25).contains(&wait), "{wait:?} after {count}");
        }
    }

    #[test]
    fn a_single_late_answer_does_not_make_all_wait_for_long() {
        let mut rtts = measured(100);
        rtts.sample(peer(1), MS * 200);
        let config = Config::default();
        assert!(rtts.rto_of_all(&config) < MS * 80);
        for _ in 0..32 {
            rtts.sample(peer(1), MS * 11);
        }
        assert!(rtts.rto_of_all(&config) < MS * 30);
    }

    #[test]
    fn a_way_that_has_become_longer_is_known_after_four_answers() {
        let mut rtts = measured(100);
        for _ in 0..4 {
            rtts.sample(peer(1), MS * 60);
        }
        assert!(rtts.rto_of_all(&Config::default()) > MS * 60);
    }

    #[test]
    fn an_unmeasured_peer_is_given_the_wait_of_all() {
        let config = Config::default();
        let mut rtts = Rtts::default();
        rtts.sample(peer(1), MS * 40);
        assert_eq!(rtts.rto(peer(2), &config), MS * 100);
        assert_eq!(rtts.rto_of_all(&config), MS * 100);
    }

    #[test]
    fn one_round_trip_of_a_peer_counts_less_than_those_of_all() {
        for ms in [2, 20] {
            let mut rtts = measured(100);
            rtts.sample(peer(1_000), MS * ms);
            let wait = rtts.rto(peer(1_000), &Config::default());
            assert!((MS * 18..MS * 27).contains(&wait), "{wait:?} after {ms} ms");
        }
    }

    #[test]
    fn a_near_peer_is_not_kept_waiting_by_a_far_one_once_it_is_known() {
        let config = Config::default();
        let mut rtts = Rtts::default();
        for _ in 0..20 {
            rtts.sample(peer(1), MS * 2);
            rtts.sample(peer(2), MS * 40);
        }
        assert!(rtts.rto(peer(1), &config) < MS * 20);
        assert!((MS * 40..MS * 60).contains(&rtts.rto(peer(2), &config)));
    }

    #[test]
    fn a_near_peer_among_far_ones_is_known_after_thirty_answers() {
        let mut rtts = Rtts::default();
        (0..100).for_each(|far| rtts.sample(peer(far % 15), MS * 40));
        (0..30).for_each(|_| rtts.sample(peer(1_000), MS * 2));
        let wait = rtts.rto(peer(1_000), &Config::default());
        assert!(wait < MS * 35, "{wait:?}");
    }

    #[test]
    fn peers_that_answered_long_ago_make_room() {
        let mut rtts = Rtts::default();
        (1..1_000).for_each(|port| rtts.sample(peer(port), MS));
        assert_eq!(rtts.peers.len(), Rtts::PEERS_MAX);
        assert!(
            rtts.peers.iter().all(|&(addr, _)| usize::from(addr.port()) >= 1_000 - Rtts::PEERS_MAX)
        );
    }

    #[test]
    fn of_the_last_sixteen_answers_those_to_repeats_are_counted() {
        let mut rtts = measured(100);
        for repeats in 1..=20 {
            rtts.note_repeat();
            assert_eq!(rtts.repeats_of_sixteen(), repeats.min(16));
        }
        for firsts in 1..=16 {
            rtts.sample(peer(1), MS);
            assert_eq!(rtts.repeats_of_sixteen(), 16 - firsts);
        }
    }

    #[test]
    fn a_fixed_wait_overrides_the_round_trips() {
        let config = Config::builder().ack_timeout(MS * 21).build().unwrap();
        assert_eq!(Rtts::default().rto(peer(1), &config), MS * 21);
    }
}
