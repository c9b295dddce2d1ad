//! Work: how much every node sends in each second, held against what there is to do.
//!
//! A cluster that answers its own answers sends more and more without end. What a node may send
//! follows from its settings, the size of the cluster, and how much has happened lately.

use std::time::Duration;

use rumormill::Config;
use rumormill::time::Instant;

use super::cast::Cast;
use crate::scenario::plan::NodeNo;

/// The packets of the present second.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    second: u64,
    /// By node: what it has sent in this second.
    sent: Vec<u32>,
    /// What happened in this second and in those before: joins, removals, publishes.
    happened: [u64; Self::MEMORY],
    /// By node: what its settings let it send when nothing happens.
    quiet: Vec<u64>,
    /// By node: what each happening adds.
    each: Vec<u64>,
}

/// A node that sends too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) node: NodeNo,
    pub(crate) sent: u32,
    pub(crate) most: u64,
}

impl Work {
    /// For so many seconds what happened makes work.
    const MEMORY: usize = 16;
    /// Each rumor is sent so often, as a multiple of the fan-out, and acknowledged as often.
    const SENDS_PER_FAN_OUT: u64 = 16;
    /// So many times too much is a run that does not end by itself.
    const RUNAWAY: u64 = 16;

    pub(crate) fn new(cast: &Cast) -> Self {
        let nodes = cast.nodes();
        let config = |node| &**cast.config(node);
        Self {
            second: 0,
            sent: vec![0; nodes as usize],
            happened: [u64::from(nodes), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            quiet: (0..nodes).map(|node| quiet(config(node), nodes)).collect(),
            each: (0..nodes).map(|node| each(config(node))).collect(),
        }
    }

    /// Something happens that all are told of.
    pub(crate) fn happen(&mut self, at: Instant) {
        self.enter(at);
        self.happened[self.second as usize % Self::MEMORY] += 1;
    }

    /// A node sends a packet; what is too much about it, for the first time in this second.
    pub(crate) fn send(&mut self, at: Instant, node: NodeNo) -> Option<Excess> {
        self.enter(at);
        self.sent[node as usize] += 1;
        let (sent, most) = (self.sent[node as usize], self.most(node));
        (u64::from(sent) == most + 1).then_some(Excess { node, sent, most })
    }

    /// True when a node has sent so much in this second that there is no end to be seen.
    pub(crate) fn is_runaway(&self, node: NodeNo) -> bool {
        u64::from(self.sent[node as usize]) > self.most(node) * Self::RUNAWAY
    }

    fn most(&self, node: NodeNo) -> u64 {
        let happened: u64 = self.happened.iter().sum();
        self.quiet[node as usize] + self.each[node as usize] * happened
    }

    fn enter(&mut self, at: Instant) {
        let second = at.as_nanos() / 1_000_000_000;
        if second == self.second {
            return;
        }
        for passed in (self.second + 1..=second).take(Self::MEMORY) {
            self.happened[passed as usize % Self::MEMORY] = 0;
        }
        self.second = second;
        self.sent.fill(0);
    }
}

/// Relays, swaps, dials and probes of one second, by the settings.
fn quiet(config: &Config, nodes: u32) -> u64 {
    let per_second = |every: Duration| 1_000_000_000 / every.as_nanos().max(1_000_000) as u64 + 1;
    let fan_out = config.fan_out() as u64;
    let relays = fan_out * per_second(config.relay_delay()).max(1);
    let rounds = per_second(config.cycle()) * (40 + 4 * u64::from(nodes));
    // Others swap with it, probe it and call it; what came in a pause is answered all at once.
    2 * relays + 2 * rounds + 4 * u64::from(nodes) + 100
}

fn each(config: &Config) -> u64 {
    config.fan_out() as u64 * Work::SENDS_PER_FAN_OUT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testkit::{self, at_ms};
    use rumormill::Liveness;

    #[test]
    fn what_is_too_much_follows_from_what_happened_lately_and_is_told_once_a_second() {
        let cast = Cast::of(&testkit::plan(3, Duration::from_secs(60)));
        let mut work = Work::new(&cast);
        let excesses = |work: &mut Work, ms, sends| {
            (0..sends).filter(|_| work.send(at_ms(ms), 1).is_some()).count()
        };
        let quiet = quiet(cast.config(1), 3);
        let start = quiet + 3 * each(cast.config(1));
        assert_eq!(excesses(&mut work, 0, start), 0, "at the start all join");
        assert_eq!(excesses(&mut work, 0, 10), 1);
        assert_eq!(excesses(&mut work, 30_000, quiet), 0);
        work.happen(at_ms(30_000));
        assert_eq!(excesses(&mut work, 30_000, each(cast.config(1))), 0);
        assert_eq!(excesses(&mut work, 30_000, quiet * 20), 1);
        assert!(work.is_runaway(1) && !work.is_runaway(0));
    }

    #[test]
    fn who_reads_all_that_came_in_a_pause_may_answer_it_at_once() {
        let mut plan = testkit::plan(9, Duration::from_secs(60));
        let timeout = Duration::from_secs(8);
        let config = Config::builder().fan_out(4).liveness(Liveness::Probes).timeout(timeout);
        testkit::configure(&mut plan, config.build().unwrap());
        let mut work = Work::new(&Cast::of(&plan));
        // So many were seen after three seconds, in a run in which nothing was wrong.
        assert!((0..321).all(|_| work.send(at_ms(30_000), 0).is_none()));
    }
}
