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
}

/// The smoothed round trip and its variation (Jacobson 1988, as in RFC 6298).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtt {
    smoothed: Option<(Duration, Duration)>,
    samples: u8,
}

impl Rtts {
    const PEERS_MAX: usize = 16;
    /// From so many round trips on a peer is judged by its own alone: a few don't show how much
    /// they vary.
    const SAMPLES_MIN: u8 = 8;

    /// Takes a measured round trip.
    pub(crate) fn sample(&mut self, peer: SocketAddr, rtt: Duration) {
        self.all.sample(rtt);
        let at = self.peers.iter().position(|&(addr, _)| addr == peer);
        let (_, mut measured) =
            at.and_then(|at| self.peers.remove(at)).unwrap_or((peer, Rtt::default()));
        if self.peers.len() == Self::PEERS_MAX {
            self.peers.pop_front();
        }
        measured.sample(rtt);
        self.peers.push_back((peer, measured));
    }

    /// How long to wait for an answer of a peer.
    pub(crate) fn rto(&self, peer: SocketAddr, config: &Config) -> Duration {
        let measured = self.peers.iter().find(|&&(addr, _)| addr == peer).map(|(_, rtt)| rtt);
        let own = measured.and_then(Rtt::wait);
        let of_all = self.all.wait().unwrap_or(Rtt::UNMEASURED);
        let wait = match (own, measured) {
            (Some(own), Some(rtt)) if rtt.samples >= Self::SAMPLES_MIN => own,
            (own, _) => own.map_or(of_all, |own| own.max(of_all)),
        };
        Rtt::bounded(wait, config)
    }

    /// The same for a peer of whom nothing is known.
    pub(crate) fn rto_of_all(&self, config: &Config) -> Duration {
        self.all.timeout(config)
    }
}

impl Rtt {
    const UNMEASURED: Duration = Duration::from_millis(50);
    const SHORTEST: Duration = Duration::from_millis(10);

    pub(crate) fn sample(&mut self, rtt: Duration) {
        self.samples = self.samples.saturating_add(1);
        self.smoothed = Some(match self.smoothed {
            None => (rtt, rtt / 2),
            Some((mean, deviation)) => {
                ((mean * 7 + rtt) / 8, (deviation * 3 + mean.abs_diff(rtt)) / 4)
            }
        });
    }

    /// How long to wait: the mean and four deviations, between 10 ms and a quarter cycle; 50 ms
    /// while nothing was measured.
    pub(crate) fn timeout(&self, config: &Config) -> Duration {
        Self::bounded(self.wait().unwrap_or(Self::UNMEASURED), config)
    }

    fn bounded(wait: Duration, config: &Config) -> Duration {
        let longest = config.cycle() / 4;
        config.ack_timeout().unwrap_or(wait.max(Self::SHORTEST).min(longest))
    }

    fn wait(&self) -> Option<Duration> {
        self.smoothed.map(|(mean, deviation)| mean + deviation * 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn peer(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn the_wait_follows_the_round_trips_within_its_limits() {
        let config = Config::default();
        let mut rtts = Rtts::default();
        let patience = |rtts: &Rtts| rtts.rto(peer(1), &config);
        assert_eq!(patience(&rtts), MS * 50);
        rtts.sample(peer(1), MS * 20);
        assert_eq!(patience(&rtts), MS * 60);
        for _ in 0..100 {
            rtts.sample(peer(1), MS * 20);
        }
        assert!(patience(&rtts) < MS * 21);
        rtts.sample(peer(1), MS * 5_000);
        assert_eq!(patience(&rtts), MS * 250);
    }

    #[test]
    fn an_unmeasured_peer_is_given_the_wait_of_all() {
        let config = Config::default();
        let mut rtts = Rtts::default();
        rtts.sample(peer(1), MS * 20);
        assert_eq!(rtts.rto(peer(2), &config), MS * 60);
        assert_eq!(rtts.rto_of_all(&config), MS * 60);
    }

    #[test]
    fn a_near_peer_is_not_kept_waiting_by_a_far_one_once_it_is_known() {
        let config = Config::default();
        let mut rtts = Rtts::default();
        for sample in 1..=u32::from(Rtts::SAMPLES_MIN) {
            rtts.sample(peer(1), MS * 2);
            rtts.sample(peer(2), MS * 40);
            let near = rtts.rto(peer(1), &config);
            assert_eq!(near < MS * 20, sample == u32::from(Rtts::SAMPLES_MIN), "{sample}");
        }
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
    fn a_fixed_wait_overrides_the_round_trips() {
        let config = Config::builder().ack_timeout(MS * 21).build().unwrap();
        assert_eq!(Rtts::default().rto(peer(1), &config), MS * 21);
    }
}
