//! Round trips: how long to wait for an answer before asking again.

use std::time::Duration;

use crate::config::Config;

/// The smoothed round trip and its variation (Jacobson 1988, as in RFC 6298).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    smoothed: Option<(Duration, Duration)>,
}

impl Rtt {
    const UNMEASURED: Duration = Duration::from_millis(50);
    const SHORTEST: Duration = Duration::from_millis(10);

    /// Takes a measured round trip.
    pub(super) fn sample(&mut self, rtt: Duration) {
        self.smoothed = Some(match self.smoothed {
            None => (rtt, rtt / 2),
            Some((mean, deviation)) => {
                ((mean * 7 + rtt) / 8, (deviation * 3 + mean.abs_diff(rtt)) / 4)
            }
        });
    }

    /// How long to wait: the mean and four deviations, between 10 ms and a quarter cycle.
    pub(super) fn timeout(&self, config: &Config) -> Duration {
        let wait = self.smoothed.map_or(Self::UNMEASURED, |(mean, deviation)| mean + deviation * 4);
        let longest = config.cycle() / 4;
        config.ack_timeout().unwrap_or(wait.max(Self::SHORTEST).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_wait_follows_the_round_trips_within_its_limits() {
        let config = Config::default();
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(&config), MS * 50);
        rtt.sample(MS * 20);
        assert_eq!(rtt.timeout(&config), MS * 60);
        for _ in 0..100 {
            rtt.sample(MS * 20);
        }
        assert!(rtt.timeout(&config) < MS * 21);
        rtt.sample(MS * 5_000);
        assert_eq!(rtt.timeout(&config), MS * 250);
    }

    #[test]
    fn a_fixed_wait_overrides_the_round_trips() {
        let config = Config::builder().ack_timeout(MS * 21).build().unwrap();
        assert_eq!(Rtt::default().timeout(&config), MS * 21);
    }
}
