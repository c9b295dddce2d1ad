//! Laws that hold in every run, whatever the scenario does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rumormill::core::Stats;
use rumormill::{Config, Instant, Version};
use rustc_hash::FxHashMap;

use super::cast::{Cast, IncarnationNo};
use super::lists::Lists;
use crate::report::summary::{Invariant, Messages};
use crate::scenario::plan::NodeNo;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Law {
    /// Every packet sent or doubled has exactly one fate.
    PacketsConserved,
    /// The metadata of a node never becomes older, nor is it lost without a word.
    VersionsNeverGoBack,
    /// An incarnation that left or was replaced is not listed again by a node that knew.
    GoneStayGone,
    /// Nobody is removed by timeout before the timeout has passed since the last proof of life
    /// that the simulator knows of: its start, or its answer to a last call. With probes it is the
    /// shortest time that anybody is suspected, since the start or an answer to a probe.
    SilenceBeforeRemoval,
    /// Members and tombstones stay within their limits.
    StateIsBounded,
    /// Only nodes that the plan started are ever listed.
    OnlyRealNodes,
}

impl Law {
    const ALL: [Self; 6] = [
        Self::PacketsConserved,
        Self::VersionsNeverGoBack,
        Self::GoneStayGone,
        Self::SilenceBeforeRemoval,
        Self::StateIsBounded,
        Self::OnlyRealNodes,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::PacketsConserved => "packets_conserved",
            Self::VersionsNeverGoBack => "versions_never_go_back",
            Self::GoneStayGone => "gone_stay_gone",
            Self::SilenceBeforeRemoval => "silence_before_removal",
            Self::StateIsBounded => "state_is_bounded",
            Self::OnlyRealNodes => "only_real_nodes",
        }
    }
}

/// The laws of one run, and what broke them.
#[derive(Clone, Debug)]
pub(crate) struct Laws {
    cast: Arc<Cast>,
    timeout_max: Duration,
    cycle_max: Duration,
    /// How often each broken law was broken, and how for the first time.
    broken: BTreeMap<Law, (u64, String)>,
    /// Node by incarnation: which ones it knows to have left or been replaced.
    gone: Lists,
    /// When an incarnation last sent a node an answer, to a last call or a probe, that arrived.
    answers: FxHashMap<(NodeNo, IncarnationNo), Instant>,
}

impl Laws {
    pub(crate) fn new(cast: Arc<Cast>) -> Self {
        let gone = Lists::new(cast.nodes(), cast.parts().len(), [].into_iter());
        let timeout_max = cast.configs().map(Config::timeout).max().unwrap_or_default();
        let cycle_max = cast.configs().map(Config::cycle).max().unwrap_or_default();
        let (broken, answers) = (BTreeMap::new(), FxHashMap::default());
        Self { cast, timeout_max, cycle_max, broken, gone, answers }
    }

    /// A node begins and knows nothing.
    pub(crate) fn begin(&mut self, node: NodeNo) {
        self.gone.clear_row(node);
    }

    /// A node lists an incarnation.
    pub(crate) fn list(&mut self, at: Instant, node: NodeNo, incarnation: IncarnationNo) {
        if self.gone.has(node, incarnation) {
            let who = self.who(incarnation);
            self.breaks(Law::GoneStayGone, at, &format!("node {node} lists {who} again"));
        }
        if self.cast.is_alone(incarnation) {
            return;
        }
        for &part in self.cast.same_addr(incarnation) {
            if part < incarnation {
                self.gone.set(node, part);
            }
        }
    }

    /// A node lists somebody at an address that is not in the plan.
    pub(crate) fn list_stranger(&mut self, at: Instant, node: NodeNo, who: &str) {
        self.breaks(Law::OnlyRealNodes, at, &format!("node {node} lists {who}"));
    }

    /// A node heard a goodbye.
    pub(crate) fn heard_goodbye(&mut self, node: NodeNo, incarnation: IncarnationNo) {
        self.gone.set(node, incarnation);
    }

    /// An answer to a last call or a probe arrived.
    pub(crate) fn answered(&mut self, sent: Instant, node: NodeNo, incarnation: IncarnationNo) {
        self.answers.insert((node, incarnation), sent);
    }

    /// A node removes an incarnation by timeout.
    pub(crate) fn time_out(&mut self, at: Instant, node: NodeNo, incarnation: IncarnationNo) {
        let start = self.cast.part(incarnation).start;
        // Ages travel in steps of a 200th of the sender's timeout, rounded at each hop; and the
        // beat in an answer may be a cycle old.
        let timeout = self.cast.config(node).silence_min();
        let beat = self.cycle_max * 11 / 10;
        let from_start = timeout.saturating_sub(self.timeout_max / 20);
        let from_answer = from_start.saturating_sub(beat);
        let answer = self.answers.get(&(node, incarnation)).copied();
        // Who finds its wall clock far ahead must take it that it slept so long, and that the
        // beat in an answer is from before.
        let slept =
            |since: Instant| self.cast.clocks().set_ahead(node, since.saturating_sub(beat), at);
        let too_early = |since: Instant, wait: Duration| at - since + slept(since) < wait;
        if too_early(start, from_start) || answer.is_some_and(|sent| too_early(sent, from_answer)) {
            let (who, since) = (self.who(incarnation), answer.unwrap_or(start));
            let detail =
                format!("node {node} removes {who}, which proved at {since} that it lives");
            self.breaks(Law::SilenceBeforeRemoval, at, &detail);
        }
    }

    /// A node's metadata went from one version to one that is not newer.
    pub(crate) fn went_back(&mut self, at: Instant, node: NodeNo, from: Version, to: Version) {
        let detail = format!("node {node} goes from version {from} to {to}");
        self.breaks(Law::VersionsNeverGoBack, at, &detail);
    }

    /// A node does not hold the version any more that it last told of.
    pub(crate) fn lost(&mut self, at: Instant, node: NodeNo, version: Version) {
        let detail = format!("node {node} has lost version {version} without a word");
        self.breaks(Law::VersionsNeverGoBack, at, &detail);
    }

    /// The counters of an engine whose time is over.
    pub(crate) fn count_state(&mut self, at: Instant, node: NodeNo, stats: &Stats) {
        let members_max = self.cast.config(node).members_max();
        let Stats { members_max: members, tombstones_max: tombstones, .. } = *stats;
        if members > members_max || tombstones > members_max + 64 {
            let held = format!("{members} members and {tombstones} tombstones");
            let detail = format!("node {node} held {held}, with members_max {members_max}");
            self.breaks(Law::StateIsBounded, at, &detail);
        }
    }

    /// The fates of all packets.
    pub(crate) fn count_packets(&mut self, at: Instant, messages: &Messages) {
        let Messages { sent, duplicated, delivered, lost, cut, to_dead, .. } = *messages;
        let Messages { overflow, oversize, corrupted, in_flight, .. } = *messages;
        let put_in = sent + duplicated;
        let accounted =
            delivered + lost + cut + to_dead + overflow + oversize + corrupted + in_flight;
        if put_in != accounted {
            let detail = format!("{put_in} packets sent or doubled, {accounted} accounted for");
            self.breaks(Law::PacketsConserved, at, &detail);
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Invariant> {
        let judged = Law::ALL.map(|law| {
            let detail = self.broken.remove(&law).map(|(times, first)| match times {
                1 => first,
                _ => format!("{first} (and {} more)", times - 1),
            });
            Invariant { name: law.name().to_owned(), ok: detail.is_none(), detail }
        });
        judged.into()
    }

    fn who(&self, incarnation: IncarnationNo) -> String {
        let part = self.cast.part(incarnation);
        format!("node {} as started at {}", part.node, part.start)
    }

    fn breaks(&mut self, law: Law, at: Instant, detail: &str) {
        let first = || (0, format!("at {at}: {detail}"));
        self.broken.entry(law).or_insert_with(first).0 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::plan::{ClockChange, Deed};
    use crate::world::testkit::{self, at_ms};
    use rumormill::NodeId;

    fn laws() -> Laws {
        let cast = Arc::new(Cast::of(&testkit::plan_with_restarts(3)));
        Laws::new(cast)
    }

    fn broken(laws: Laws) -> Vec<(String, String)> {
        let broken = laws.finish().into_iter().filter(|invariant| !invariant.ok);
        broken.map(|invariant| (invariant.name, invariant.detail.unwrap())).collect()
    }

    #[test]
    fn a_run_without_offence_names_every_law() {
        let mut laws = laws();
        laws.list(at_ms(0), 0, 1);
        laws.time_out(at_ms(5_000), 0, 1);
        laws.list(at_ms(6_000), 0, 1);
        laws.list(at_ms(6_000), 0, 4);
        laws.count_packets(at_ms(9), &Messages { sent: 2, delivered: 2, ..Messages::default() });
        let invariants = laws.finish();
        assert_eq!(invariants.len(), 6);
        assert!(invariants.iter().all(|invariant| invariant.ok && invariant.detail.is_none()));
    }

    #[test]
    fn who_left_or_was_replaced_must_not_come_back_where_it_is_known() {
        let mut laws = laws();
        laws.list(at_ms(1), 0, 4);
        laws.list(at_ms(2), 0, 1);
        laws.heard_goodbye(0, 2);
        laws.list(at_ms(3), 0, 2);
        laws.list(at_ms(4), 2, 1);
        laws.begin(0);
        laws.list(at_ms(5), 0, 1);
        let [(name, detail)] = &broken(laws)[..] else { panic!("one law") };
        assert_eq!(name, "gone_stay_gone");
        assert!(detail.starts_with("at 0.002000s: node 0 lists node 1"), "{detail}");
        assert!(detail.ends_with("(and 1 more)"), "{detail}");
    }

    #[test]
    fn a_removal_before_the_timeout_is_noticed() {
        let mut laws = laws();
        laws.time_out(at_ms(4_700), 0, 1);
        laws.answered(at_ms(20_000), 0, 2);
        laws.time_out(at_ms(24_000), 0, 2);
        assert_eq!(laws.broken[&Law::SilenceBeforeRemoval].0, 1);
        laws.time_out(at_ms(23_000), 0, 2);
        assert_eq!(laws.broken[&Law::SilenceBeforeRemoval].0, 2);
    }

    #[test]
    fn who_finds_its_clock_far_ahead_has_slept_by_all_it_knows() {
        let mut plan = testkit::plan(3, Duration::from_secs(60));
        let change = ClockChange::Jump { nanos: 4_000_000_000 };
        testkit::act(&mut plan, 20_000, "", Deed::Clock { nodes: vec![0], change });
        let mut laws = Laws::new(Arc::new(Cast::of(&plan)));
        for node in [0, 1] {
            laws.answered(at_ms(19_000), node, 2);
            laws.time_out(at_ms(21_000), node, 2);
        }
        let [(name, detail)] = &broken(laws)[..] else { panic!("one law") };
        assert_eq!(name, "silence_before_removal");
        assert!(detail.contains("node 1 removes node 2"), "{detail}");
    }

    #[test]
    fn a_removal_is_early_by_the_timeout_of_the_node_that_removes() {
        let mut plan = testkit::plan(3, Duration::from_secs(60));
        let slow = Config::builder().timeout(Duration::from_secs(10)).build().unwrap();
        plan.incarnations[1].config = Arc::new(slow);
        let mut laws = Laws::new(Arc::new(Cast::of(&plan)));
        laws.time_out(at_ms(6_000), 0, 2);
        laws.time_out(at_ms(9_000), 1, 2);
        let [(_, detail)] = &broken(laws)[..] else { panic!("one law") };
        assert!(detail.contains("node 1 removes node 2"), "{detail}");
    }

    #[test]
    fn unbounded_state_lost_packets_strangers_and_old_versions_are_noticed() {
        let mut laws = laws();
        let mut stats = Stats::default();
        stats.members_max = 65_537;
        laws.count_state(at_ms(1), 0, &stats);
        laws.count_packets(at_ms(1), &Messages { sent: 2, lost: 1, ..Messages::default() });
        laws.list_stranger(at_ms(1), 0, "9.9.9.9:9");
        let version = Version { nanos: 1, writer: NodeId(1), digest: [0; 16] };
        laws.went_back(at_ms(1), 0, version, version);
        laws.lost(at_ms(1), 0, version);
        let names: Vec<_> = broken(laws).into_iter().map(|(name, _)| name).collect();
        let four =
            ["packets_conserved", "versions_never_go_back", "state_is_bounded", "only_real_nodes"];
        assert_eq!(names, four);
    }
}
