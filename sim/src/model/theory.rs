//! What formulas say of an epidemic: laws for many nodes, to hold the figures of outbreaks against,
//! and which settings can't keep those who live on the lists.
//!
//! The laws come from the differential equations of the continuous case, with the contacts that get
//! through as the unit of time. Nothing here is exact for a given number of nodes.

use std::time::Duration;

use rumormill::config::Swap;
use rumormill::link::Loss;
use rumormill::rng::Probability;
use serde::Serialize;

use super::{Cause, Epidemic, ModelSpread, Rule, Stop};

/// A formula, and what it comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpreadLaw {
    /// The figure it is about, by its name in the figures.
    pub figure: &'static str,
    /// What it should be.
    pub value: f64,
    /// The formula, in words of a person.
    pub law: String,
}

/// The laws that hold for an epidemic, given the traffic that it was seen to have.
pub fn laws(epidemic: &Epidemic, traffic: f64) -> Vec<SpreadLaw> {
    if epidemic.spread() != ModelSpread::Push {
        return Vec::new();
    }
    match epidemic.stop() {
        Stop::Never => vec![rounds_law(epidemic)],
        Stop::After(cause, rule, k) => {
            let by_traffic = residue_of_traffic(traffic, got_through(epidemic));
            let law = "s = e^-m, with the traffic m that got through".to_owned();
            let by_traffic = SpreadLaw { figure: "residue", value: by_traffic, law };
            let of_rule = residue_law(epidemic, cause, rule, k);
            std::iter::once(by_traffic).chain(of_rule).collect()
        }
    }
}

/// Rounds until all of `nodes` hold what each holder tells to `gain` others a round: those of
/// growth from one to many, and those in which the last are found. About one more is usual.
pub fn push_rounds(nodes: f64, gain: f64) -> f64 {
    libm::log(nodes) / libm::log(1.0 + gain) + libm::log(nodes) / gain
}

/// Share of nodes that nobody ever told, where each node was told evenly and so often by others.
pub fn residue_of_traffic(traffic: f64, got_through: f64) -> f64 {
    libm::exp(-traffic * got_through)
}

/// The least solution of `s = e^(-tellings * (1 - s))`: the residue where each node that is ever
/// reached tells so many others.
pub fn residue_of_tellings(tellings: f64) -> f64 {
    let (mut residue, mut before) = (0.0, 1.0);
    // It only rises, and ever less; rounding ends it at the latest.
    while residue != before && residue < 1.0 - 1e-9 {
        before = residue;
        residue = libm::exp(-tellings * (1.0 - residue)).max(before);
    }
    residue
}

/// The settings that decide whether nodes that run stay on the lists of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// How many nodes there are.
    pub nodes: u32,
    /// Share of packets that never arrive, each way.
    pub loss: f64,
    /// The period of background work.
    pub cycle: Duration,
    /// Silence after which a node is removed.
    pub timeout: Duration,
    /// By what silence is found.
    pub detector: Detector,
}

/// By what a cluster finds out that a node is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// Each node beats once a cycle, and each passes every beat on once to so many others.
    Beats {
        /// How many.
        fan_out: u32,
        /// Whether two nodes exchange all they have once a cycle.
        swap: Swap,
    },
    /// Each node probes one other a cycle, three times if it does not answer, then asks three more
    /// to do so and goes by stream, and tells all whom it suspects, so that the suspect refutes it.
    Probes,
}

impl Watch {
    /// Calls to a silent node before it is removed.
    const CALLS: f64 = 8.0;
    /// Calls a cycle, in the last two fifths of the timeout, where it lasts many cycles.
    const CALLS_PER_CYCLE: f64 = 4.0 * 0.4;
    /// Datagrams with which a node is probed in its turn, and with which a suspect is called in the
    /// last cycle; beside them goes a stream.
    const ASKS: f64 = 3.0;
    /// Others who are asked to probe a node that does not answer.
    const WITNESSES: f64 = 3.0;
    /// Times that each is told of a rumor until it acknowledges it.
    const TELLINGS: f64 = 10.0;
    /// After so long a stream sends again what it lost.
    const RESEND: Duration = Duration::from_millis(200);

    /// False removals that are to be expected in an hour of nothing but losses.
    ///
    /// A beat comes to a node by as many packets as each node passes it on to, and by two swaps a
    /// cycle, its own and another's, each a packet there and one back: it misses it with the
    /// probability of evenly spread traffic. To lose a node, all beats of one timeout must be
    /// missed, and all calls or their answers be lost. With probes, a node comes into doubt when
    /// its turn is in vain and somebody says that he too heard nothing, and each of the others
    /// removes it that misses the rumor with which it refutes that, and calls it in vain. Losses
    /// are taken for independent, which is why this is good for the order of magnitude and no more;
    /// simulations lose some where it expects many: what was removed or is known to be slow is not
    /// suspected like others.
    pub fn false_removals_per_hour(&self) -> f64 {
        let through = 1.0 - self.loss;
        let in_vain = 1.0 - through * through;
        let others = f64::from(self.nodes) - 1.0;
        let cycles = 3_600.0 / self.cycle.as_secs_f64();
        let beats = self.timeout.as_secs_f64() / self.cycle.as_secs_f64();
        match self.detector {
            Detector::Beats { fan_out, swap } => {
                let relays = f64::from(fan_out).min(others);
                let swaps = if swap == Swap::On { 2.0 * through } else { 0.0 };
                let told = relays + swaps;
                let silent = libm::pow(residue_of_traffic(told, through), beats);
                let calls = Self::CALLS.max(Self::CALLS_PER_CYCLE * beats);
                f64::from(self.nodes) * others * cycles * silent * libm::pow(in_vain, calls)
            }
            Detector::Probes => {
                let asked = libm::pow(in_vain, Self::ASKS);
                let turn = asked * self.stream_is_late(self.cycle / 4) * self.witnessed();
                let call = asked * self.stream_is_late(self.cycle / 2);
                let unrefuted = libm::pow(self.loss, Self::TELLINGS);
                f64::from(self.nodes) * cycles * turn * others * call * unrefuted
            }
        }
    }

    /// The probability that of those who are asked to probe a node that lives nobody gets an answer
    /// through, and at least one says so: else the asker takes itself to be cut off. Who gets the
    /// question, and its word back, says the one or the other. Of two nodes there is nobody to ask.
    fn witnessed(&self) -> f64 {
        let witnesses = Self::WITNESSES.min(f64::from(self.nodes) - 2.0);
        if witnesses <= 0.0 {
            return 1.0;
        }
        let there_and_back = (1.0 - self.loss) * (1.0 - self.loss);
        let none_vouches = libm::pow(1.0 - there_and_back * there_and_back, witnesses);
        none_vouches - libm::pow(1.0 - there_and_back, witnesses)
    }

    /// The probability that a question and its answer by stream take longer than this: that in both
    /// together more is lost than there is time to send again.
    fn stream_is_late(&self, wait: Duration) -> f64 {
        let resends = wait.as_nanos() / Self::RESEND.as_nanos();
        let (mut in_time, mut lost) = (0.0, 1.0);
        for losses in 0..=resends.min(1_000) {
            in_time += (losses + 1) as f64 * lost;
            lost *= self.loss;
        }
        1.0 - (1.0 - self.loss) * (1.0 - self.loss) * in_time
    }
}

/// The share of packets that a link loses in the long run.
pub fn mean_loss(loss: Loss) -> Probability {
    match loss {
        Loss::Each(each) => each,
        Loss::Bursts(burst) => {
            let (enter, leave) = (burst.enter.as_ppb(), burst.leave.as_ppb());
            let within = burst.loss.as_ppb() * enter / (enter + leave).max(1);
            Probability::from_ppb(within)
        }
    }
}

fn rounds_law(epidemic: &Epidemic) -> SpreadLaw {
    let gain = f64::from(epidemic.fan_out()) * got_through(epidemic);
    let law = match gain {
        1.0 => "log2 n + ln n".to_owned(),
        _ => format!("ln n / ln {:.4} + ln n / {:.4}", 1.0 + gain, gain),
    };
    let law = law + ", and about one more";
    SpreadLaw { figure: "rounds_to_all", value: push_rounds(epidemic.nodes().into(), gain), law }
}

/// What follows from the rule alone, where something does.
fn residue_law(epidemic: &Epidemic, cause: Cause, rule: Rule, k: u32) -> Option<SpreadLaw> {
    let (tellings, law) = match (cause, rule) {
        // A coin is thrown for those who know, 1 - s of all: ds/di has no time in it.
        (Cause::Feedback, Rule::Coin) if epidemic.fan_out() == 1 => {
            (f64::from(k) + 1.0, "s = e^-(k+1)(1-s), for many nodes".to_owned())
        }
        // More contacts in a round come whole, and so some after interest was lost.
        (Cause::Feedback, _) => return None,
        (Cause::Blind, rule) => {
            let tellings = blind_tellings(rule, k, epidemic.fan_out()) * got_through(epidemic);
            let shown = (tellings * 1_000.0).round() / 1_000.0;
            (tellings, format!("s = e^-{shown}(1-s), for many nodes"))
        }
    };
    Some(SpreadLaw { figure: "residue", value: residue_of_tellings(tellings), law })
}

/// How often a node tells others, on average, before it loses interest blindly; always in whole
/// rounds.
fn blind_tellings(rule: Rule, k: u32, fan_out: u32) -> f64 {
    let rounds = match rule {
        Rule::Counter => f64::from(k.div_ceil(fan_out)),
        Rule::Coin => {
            let stays = 1.0 - 1.0 / f64::from(k);
            1.0 / (1.0 - (0..fan_out).fold(1.0, |product, _| product * stays))
        }
    };
    rounds * f64::from(fan_out)
}

/// Share of tellings that arrive.
fn got_through(epidemic: &Epidemic) -> f64 {
    (1_000_000_000 - epidemic.loss().as_ppb()) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use rumormill::link::Burst;
    use rumormill::rng::Rng;

    use super::*;

    fn epidemic(stop: &str, fan_out: u32, loss_percent: u64) -> Epidemic {
        let loss = Probability::from_ppb(loss_percent * 10_000_000);
        let stop = stop.parse().unwrap();
        Epidemic::new(ModelSpread::Push, stop, 1_000, fan_out, loss).unwrap()
    }

    #[test]
    fn a_residue_solves_its_equation_and_is_the_least_that_does() {
        for (tellings, published) in [(2.0, 0.203), (3.0, 0.0595), (4.0, 0.0198)] {
            let residue = residue_of_tellings(tellings);
            assert!((residue - published).abs() < 5e-4, "{tellings}: {residue}");
            let again = libm::exp(-tellings * (1.0 - residue));
            assert!((residue - again).abs() < 1e-12);
        }
        assert!(residue_of_tellings(1.0) > 0.99, "who tells one other each, tells next to nobody");
    }

    #[test]
    fn bursts_lose_their_share_of_the_time_they_last() {
        let ppb = |percent: u64| Probability::from_ppb(percent * 10_000_000);
        let burst = Burst { enter: ppb(1), leave: ppb(19), loss: ppb(80) };
        let mean = mean_loss(Loss::Bursts(burst)).as_ppb();
        assert!(mean.abs_diff(40_000_000) < 10, "{mean}");
        assert_eq!(mean_loss(Loss::Each(ppb(7))), ppb(7));
    }

    #[test]
    fn a_node_is_lost_when_all_beats_swaps_and_calls_are() {
        let secs = Duration::from_secs;
        let beats = |fan_out, swap| Detector::Beats { fan_out, swap };
        let watch = Watch {
            nodes: 11,
            loss: 0.5,
            cycle: secs(1),
            timeout: secs(4),
            detector: beats(2, Swap::Off),
        };
        // 110 pairs, 3,600 cycles, four beats that come by one packet each, eight calls.
        let want = 110.0 * 3_600.0 * (-4.0_f64).exp() * 0.75_f64.powi(8);
        assert!((watch.false_removals_per_hour() / want - 1.0).abs() < 1e-12);
        let swaps = Watch { detector: beats(2, Swap::On), ..watch }.false_removals_per_hour();
        // Two more packets a beat, of which a quarter comes there and back.
        assert!((swaps / want / (-0.5_f64 * 4.0).exp() - 1.0).abs() < 1e-12);
        let long = Watch { timeout: secs(10), ..watch }.false_removals_per_hour();
        let want = 110.0 * 3_600.0 * (-10.0_f64).exp() * 0.75_f64.powi(16);
        assert!((long / want - 1.0).abs() < 1e-12, "sixteen calls");
        let alone = Watch { nodes: 1, ..watch }.false_removals_per_hour();
        assert_eq!([alone, Watch { loss: 0.0, ..watch }.false_removals_per_hour()], [0.0; 2]);
    }

    /// Whether one node removes another that lives, from its own turn or that of a third: each
    /// packet is drawn.
    fn removes(rng: &mut Rng, loss: Probability, witnesses: usize) -> bool {
        let mut arrives = || !rng.chance(loss);
        let mut stream = |resends: u32| {
            let mut losses = 0;
            for _ in 0..2 {
                while !arrives() {
                    losses += 1;
                }
            }
            losses <= resends
        };
        if stream(1) || stream(2) {
            return false;
        }
        let mut answers = || arrives() && arrives();
        // All are drawn, for one may answer after another.
        let asks: Vec<bool> = (0..6).map(|_| answers()).collect();
        let (mut vouched, mut heard) = (false, false);
        for _ in 0..witnesses {
            let lives = answers();
            if answers() {
                vouched |= lives;
                heard = true;
            }
        }
        let told = (0..10).any(|_| arrives());
        !asks.contains(&true) && !vouched && heard && !told
    }

    #[test]
    fn a_node_that_is_probed_is_lost_as_often_as_when_each_packet_is_drawn() {
        let draws = 200_000_u32;
        for (percent, nodes) in [(80, 3), (80, 4), (80, 9), (70, 9)] {
            let loss = Probability::from_ppb(percent * 10_000_000);
            let mut rng = Rng::fork(percent, "theory", u64::from(nodes));
            let witnesses = 3.min(nodes as usize - 2);
            let lost = (0..draws).filter(|_| removes(&mut rng, loss, witnesses)).count();
            let watch = Watch {
                nodes,
                loss: percent as f64 / 100.0,
                cycle: Duration::from_secs(1),
                timeout: Duration::from_secs(5),
                detector: Detector::Probes,
            };
            let turns = f64::from(nodes) * f64::from(nodes - 1) * 3_600.0;
            let want = watch.false_removals_per_hour() / turns * f64::from(draws);
            // Five deviations of a count.
            let close = (lost as f64 - want).abs() < 5.0 * want.sqrt();
            assert!(lost > 200 && close, "{nodes} nodes, {percent} %: {lost} and {want}");
        }
    }

    #[test]
    fn of_two_that_probe_nobody_is_asked_and_nothing_is_lost_where_nothing_gets_lost() {
        let watch = |nodes, loss| Watch {
            nodes,
            loss,
            cycle: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            detector: Detector::Probes,
        };
        let half = watch(2, 0.5).false_removals_per_hour();
        // A stream in time: nothing lost, or once in two tries, or twice for the longer wait.
        let (turn, call) = (1.0 - 0.25 * 2.0, 1.0 - 0.25 * 2.75);
        let want = 7_200.0 * 0.75_f64.powi(6) * turn * call * 0.5_f64.powi(10);
        assert!((half / want - 1.0).abs() < 1e-12);
        for (nodes, loss) in [(1, 0.5), (2, 0.0), (50, 0.0)] {
            assert_eq!(watch(nodes, loss).false_removals_per_hour(), 0.0, "of {nodes}");
        }
    }

    #[test]
    fn forwarding_once_to_three_reaches_94_percent() {
        let laws = laws(&epidemic("blind-counter:3", 3, 0), 3.0);
        assert_eq!(laws.len(), 2);
        assert!((1.0 - laws[1].value - 0.94).abs() < 0.001, "{laws:?}");
    }

    #[test]
    fn the_rounds_of_push_are_doublings_and_then_a_search_for_the_last() {
        let [law] = &laws(&epidemic("never", 1, 0), 9.0)[..] else { panic!("one law") };
        assert!((law.value - (1000_f64.log2() + 1000_f64.ln())).abs() < 1e-9);
        assert_eq!((law.figure, &*law.law), ("rounds_to_all", "log2 n + ln n, and about one more"));
        let [law] = &laws(&epidemic("never", 3, 20), 9.0)[..] else { panic!("one law") };
        let by_hand = 1000_f64.ln() / 3.4_f64.ln() + 1000_f64.ln() / 2.4;
        assert!((law.value - by_hand).abs() < 1e-6, "{law:?}");
    }

    #[test]
    fn blind_tellings_come_in_whole_rounds() {
        assert_eq!(blind_tellings(Rule::Counter, 4, 3), 6.0);
        assert!((blind_tellings(Rule::Coin, 5, 1) - 5.0).abs() < 1e-12);
        // Of two tellings a round, both keep it with 1/4: 4/3 rounds on average.
        assert!((blind_tellings(Rule::Coin, 2, 2) - 8.0 / 3.0).abs() < 1e-12);
    }
}
