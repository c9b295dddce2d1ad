//! Losses that come in bursts: the model of Gilbert and Elliott, one state for each direction.
//!
//! A link is either good, and then loses nothing, or in a burst, and then loses a share. Before
//! each packet it may turn from one to the other, so that a burst lasts `1 / leave` packets on
//! average, and a share of `enter / (enter + leave)` of all packets falls into one. Time without
//! packets changes nothing.

use rustc_hash::FxHashMap;

use crate::rng::Probability;

/// How a link turns bad and good again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Before each packet of a good link: that a burst begins.
    pub enter: Probability,
    /// Before each packet in a burst: that it ends.
    pub leave: Probability,
    /// Share of the packets in a burst that never arrive.
    pub loss: Probability,
}

impl Burst {
    /// The share of all packets that is lost, in the long run.
    pub(super) fn mean_loss(self) -> f64 {
        let turns = self.enter.share() + self.leave.share();
        let inside = if turns > 0.0 { self.enter.share() / turns } else { 0.0 };
        inside * self.loss.share()
    }
}

/// The directions that are in a burst, and how many bursts there were.
#[derive(Clone, Debug, Default)]
pub(super) struct Bursts {
    /// Directions that ever were in one, and whether they are.
    inside: FxHashMap<(u32, u32), bool>,
    pub(super) begun: u64,
}

impl Bursts {
    /// Whether the next packet in a direction is lost, by two draws of 32 bits.
    pub(super) fn lose(
        &mut self,
        burst: Burst,
        direction: (u32, u32),
        turn: u32,
        chance: u32,
    ) -> bool {
        let inside = match (self.inside.get_mut(&direction), turn) {
            (Some(inside), turn) if *inside => {
                *inside = !burst.leave.covers(turn);
                *inside
            }
            (_, turn) => {
                let enters = burst.enter.covers(turn);
                if enters {
                    self.inside.insert(direction, true);
                    self.begun += 1;
                }
                enters
            }
        };
        inside && burst.loss.covers(chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const fn percent(percent: u64) -> Probability {
        Probability::from_ppb(percent * 10_000_000)
    }

    const BURST: Burst = Burst { enter: percent(1), leave: percent(25), loss: Probability::ONE };

    /// Whether each of so many packets is lost, as a walk between two states says it.
    fn naive(burst: Burst, draws: &[(u32, u32)]) -> Vec<bool> {
        let mut bad = false;
        let step = |&(turn, chance): &(u32, u32)| {
            bad = if bad { !burst.leave.covers(turn) } else { burst.enter.covers(turn) };
            bad && burst.loss.covers(chance)
        };
        draws.iter().map(step).collect()
    }

    #[test]
    fn losses_are_those_of_a_walk_between_two_states() {
        let mut rng = Rng::fork(1, "burst", 0);
        let draws: Vec<_> = (0..20_000).map(|_| (rng.bits() as u32, rng.bits() as u32)).collect();
        for burst in [BURST, Burst { loss: percent(60), ..BURST }] {
            let mut bursts = Bursts::default();
            let lost: Vec<_> = draws
                .iter()
                .map(|&(turn, chance)| bursts.lose(burst, (0, 1), turn, chance))
                .collect();
            assert_eq!(lost, naive(burst, &draws));
        }
    }

    #[test]
    fn bursts_have_their_length_and_their_share_of_packets() {
        let mut rng = Rng::fork(2, "burst", 0);
        let mut bursts = Bursts::default();
        let mut lose = || bursts.lose(BURST, (0, 1), rng.bits() as u32, rng.bits() as u32);
        let lost = (0..200_000).filter(|_| lose()).count() as u64;
        // 1 of 26 packets, in bursts of 4.
        assert!((7_000..8_400).contains(&lost), "{lost} of 200000");
        assert!((0.037..0.040).contains(&BURST.mean_loss()), "{}", BURST.mean_loss());
        let length_percent = lost * 100 / bursts.begun;
        assert!((370..430).contains(&length_percent), "{length_percent} packets in 100 bursts");
    }

    #[test]
    fn each_direction_has_a_state_of_its_own() {
        let mut bursts = Bursts::default();
        assert!(bursts.lose(BURST, (0, 1), 0, 0), "a draw of zero begins a burst");
        let never = u32::MAX;
        assert!(bursts.lose(BURST, (0, 1), never, 0), "and it goes on");
        assert!(!bursts.lose(BURST, (1, 0), never, 0), "the way back is good");
        assert!(!bursts.lose(BURST, (0, 1), 0, 0), "a draw of zero ends it");
        assert_eq!(bursts.begun, 1);
    }
}
