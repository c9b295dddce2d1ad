//! Which metadata the nodes hold, and since when those who can reach each other agree.

use std::collections::BTreeMap;
use std::time::Duration;

use rumormill::Version;
use rumormill::time::Instant;

use super::ms;
use super::rumors::Kind;
use super::truth::Truth;
use crate::results::summary::{MetadataFigures, RumorFigures, Summary};
use crate::scenario::plan::NodeNo;

/// The metadata versions of all nodes.
///
/// Live nodes agree when in every component all hold the newest version that one of them holds.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    held: Vec<Option<Version>>,
    /// By component of live nodes: the newest version, and how many hold it.
    newest: BTreeMap<u32, (Option<Version>, u64)>,
    /// Live nodes that hold less than their component's newest.
    behind: u64,
    last_publish: Option<Instant>,
    /// The newest version that anybody has published.
    published: Option<Version>,
    agreed_since: Option<Instant>,
}

/// How the newest version of a node's state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// From this to a newer one.
    Up(Option<Version>),
    /// It stayed or went back, which must not be.
    Back(Version),
}

impl Agreement {
    pub(crate) fn new(nodes: u32) -> Self {
        Self {
            held: vec![None; nodes as usize],
            newest: BTreeMap::new(),
            behind: 0,
            last_publish: None,
            published: None,
            agreed_since: None,
        }
    }

    /// A node begins without metadata.
    pub(crate) fn begin(&mut self, node: NodeNo) {
        self.held[node as usize] = None;
    }

    /// A node published.
    pub(crate) fn publish(&mut self, at: Instant, version: Version) {
        self.last_publish = Some(at);
        self.published = self.published.max(Some(version));
        self.agreed_since = None;
    }

    /// A node holds another version.
    pub(crate) fn hold(&mut self, truth: &Truth, node: NodeNo, version: Version) -> Step {
        let before = self.held[node as usize].replace(version);
        if truth.live(node).is_some() {
            let (newest, holders) = self.newest.entry(truth.component(node)).or_default();
            let was_newest = *newest == before;
            if Some(version) > *newest {
                // Everybody else who was up to date falls behind.
                self.behind = self.behind + *holders - 1;
                (*newest, *holders) = (Some(version), 1);
            } else if Some(version) == *newest && !was_newest {
                self.behind -= 1;
                *holders += 1;
            } else if Some(version) < *newest && was_newest {
                self.behind += 1;
                *holders -= 1;
            }
        }
        match before {
            Some(before) if version <= before => Step::Back(before),
            before => Step::Up(before),
        }
    }

    /// The truth may have shifted.
    pub(crate) fn shift(&mut self, truth: &Truth) {
        self.newest.clear();
        for (node, _) in truth.live_nodes() {
            let held = self.held[node as usize];
            let (newest, holders) = self.newest.entry(truth.component(node)).or_default();
            if held > *newest {
                (*newest, *holders) = (held, 0);
            }
            *holders += u64::from(held == *newest);
        }
        let live = truth.live_nodes().count() as u64;
        self.behind = live - self.newest.values().map(|(_, holders)| holders).sum::<u64>();
    }

    /// The truth changed: who agrees does so anew.
    pub(crate) fn change(&mut self) {
        self.agreed_since = None;
    }

    /// To be called once everything of an instant's input is in.
    pub(crate) fn settle(&mut self, at: Instant) {
        // All may agree on an older one, or on none, when the newest died with its publisher.
        let is_held = self.newest.values().any(|&(newest, _)| newest >= self.published);
        let agree = self.behind == 0 && is_held;
        self.agreed_since = agree.then_some(self.agreed_since.unwrap_or(at));
    }

    /// True when in every component all hold its newest version.
    pub(crate) fn is_complete(&self) -> bool {
        self.behind == 0
    }

    /// Fills in how it converged after the last change of truth, and how the last publish among the
    /// rumors spread.
    pub(crate) fn finish(&self, truth: &Truth, last_change: Instant, summary: &mut Summary) {
        let after = self.converged_after(last_change);
        let is_publish = |rumor: &&RumorFigures| rumor.kind == Kind::Metadata.name();
        let last = summary.rumors.iter().rfind(is_publish);
        summary.metadata = MetadataFigures {
            converged: self.last_publish.map(|_| after.is_some()),
            converged_after_ms: after.map(|after| ms(Instant::ZERO + after)),
            version: self.newest(truth).map(|version| version.to_string()),
            t50_ms: last.and_then(|rumor| rumor.t50_ms),
            t90_ms: last.and_then(|rumor| rumor.t90_ms),
            t99_ms: last.and_then(|rumor| rumor.t99_ms),
            t100_ms: last.and_then(|rumor| rumor.t100_ms),
            staleness: None,
        };
    }

    /// How long after the later of the last publish and the last change of truth all live nodes
    /// agreed for good, if anybody published and they do.
    fn converged_after(&self, last_change: Instant) -> Option<Duration> {
        Some(self.agreed_since? - self.last_publish?.max(last_change))
    }

    /// The version that a node holds, as far as it has told.
    pub(crate) fn version(&self, node: NodeNo) -> Option<Version> {
        self.held[node as usize]
    }

    /// The newest version that a live node holds.
    pub(crate) fn newest(&self, truth: &Truth) -> Option<Version> {
        truth.live_nodes().filter_map(|(node, _)| self.held[node as usize]).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::truth::State;
    use crate::world::testkit;
    use proptest::prelude::*;
    use rumormill::link::{LinkModel, NetworkChange};
    use rumormill::node::NodeId;

    const NODES: u32 = 5;

    fn version(nanos: i64) -> Version {
        Version { nanos, writer: NodeId(1), digest: [0; 16] }
    }

    /// Counts, node by node, who holds less than somebody it can reach.
    fn naive(agreement: &Agreement, truth: &Truth) -> u64 {
        let held = |node: NodeNo| agreement.held[node as usize];
        let behind = |node: &NodeNo| {
            let reached =
                truth.live_nodes().filter(|&(other, part)| truth.holds(*node, other, part));
            reached.map(|(other, _)| held(other)).max() > Some(held(*node))
        };
        truth.live_nodes().map(|(node, _)| node).filter(behind).count() as u64
    }

    proptest! {
        #[test]
        fn those_behind_are_those_of_a_naive_count(
            steps in prop::collection::vec((0..NODES, 0_i64..6, 0_u8..9), 0..60),
        ) {
            let mut truth = Truth::new(NODES, Duration::from_secs(5));
            let mut links = LinkModel::new(1, testkit::lan());
            let mut agreement = Agreement::new(NODES);
            let mut splits = Vec::new();
            for (node, nanos, kind) in steps {
                match kind {
                    0 => {
                        agreement.begin(node);
                        truth.set(Instant::ZERO, node, State::Live(node));
                    }
                    1 => truth.set(Instant::ZERO, node, State::Down),
                    2 => {
                        let split = NetworkChange::Partition(vec![vec![node, nanos as u32]]);
                        splits.push(links.apply(split));
                    }
                    3 => splits.drain(..).for_each(|id| links.undo(id)),
                    _ => {
                        if agreement.held[node as usize] < Some(version(nanos)) {
                            agreement.hold(&truth, node, version(nanos));
                        }
                    }
                }
                if kind < 4 {
                    truth.commit(Instant::ZERO, &links);
                    agreement.shift(&truth);
                }
                prop_assert_eq!(agreement.behind, naive(&agreement, &truth));
            }
        }
    }

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    /// Two nodes that run from the start on and can talk.
    fn two_live() -> (Truth, Agreement, LinkModel) {
        let links = LinkModel::new(1, testkit::lan());
        let mut truth = Truth::new(2, Duration::from_secs(5));
        (0..2).for_each(|node| truth.set(at(0), node, State::Live(node)));
        truth.commit(at(0), &links);
        let mut agreement = Agreement::new(2);
        agreement.shift(&truth);
        (truth, agreement, links)
    }

    #[test]
    fn agreement_lasts_from_the_last_node_on_until_the_next_publish() {
        let (truth, mut agreement, _) = two_live();
        agreement.publish(at(1), version(7));
        assert_eq!(agreement.hold(&truth, 0, version(7)), Step::Up(None));
        agreement.settle(at(1));
        assert_eq!(agreement.converged_after(at(0)), None);
        agreement.hold(&truth, 1, version(7));
        agreement.settle(at(3));
        agreement.settle(at(4));
        let after = |last_change| agreement.converged_after(at(last_change)).unwrap().as_secs();
        assert_eq!([after(0), after(2), after(9)], [2, 1, 0]);
        assert_eq!(agreement.newest(&truth), Some(version(7)));
        assert_eq!(agreement.hold(&truth, 1, version(6)), Step::Back(version(7)));
    }

    #[test]
    fn a_value_that_died_with_its_publisher_is_agreed_on_by_nobody() {
        let (mut truth, mut agreement, links) = two_live();
        agreement.publish(at(1), version(7));
        agreement.hold(&truth, 0, version(7));
        truth.set(at(2), 0, State::Down);
        truth.commit(at(2), &links);
        agreement.shift(&truth);
        agreement.change();
        agreement.settle(at(2));
        assert_eq!(agreement.converged_after(at(2)), None);
        // The packet was under way.
        agreement.hold(&truth, 1, version(7));
        agreement.settle(at(4));
        assert_eq!(agreement.converged_after(at(2)), Some(Duration::from_secs(2)));
    }

    #[test]
    fn the_last_publish_is_the_last_rumor_that_is_one() {
        let mut summary = crate::results::fixture::partition(50, 5, 1).summary;
        let kinds: Vec<_> = summary.rumors.iter().map(|rumor| rumor.kind.clone()).collect();
        assert_eq!(kinds, ["metadata", "join", "metadata", "metadata", "join"]);
        let truth = Truth::new(1, Duration::ZERO);
        Agreement::new(1).finish(&truth, at(0), &mut summary);
        let (last, figures) = (&summary.rumors[3], &summary.metadata);
        let times = [figures.t50_ms, figures.t90_ms, figures.t99_ms, figures.t100_ms];
        assert_eq!(times, [last.t50_ms, last.t90_ms, last.t99_ms, last.t100_ms]);
        assert!(last.t100_ms.is_some() && last.t100_ms != summary.rumors[2].t100_ms);
        assert_eq!((figures.converged, &figures.version), (None, &None), "nobody published");
    }
}
