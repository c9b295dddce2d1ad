//! Told views: which sizes the list had for those who are told of it as a whole, and how often.
//!
//! Whoever moves work about when members come or go does so at each of them. A change that all see
//! at once is seen by each as a few sizes on the way, and the fewer nodes agree the more there are.

use std::collections::BTreeSet;

use rumormill::time::Instant;

use crate::results::summary::ViewFigures;
use crate::scenario::plan::{NodeNo, Plan};

/// What nodes were told of their lists as a whole.
#[derive(Clone, Debug)]
pub(crate) struct ToldViews {
    /// From when on it is counted how often.
    window: Instant,
    /// By node.
    times: Vec<u64>,
    /// How many episodes had closed when the last was told.
    episode: usize,
    /// Distinct sizes in that one.
    sizes: BTreeSet<usize>,
    /// The most of one before.
    unique: usize,
}

impl ToldViews {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            window: Instant::ZERO + plan.warmup,
            times: vec![0; plan.nodes_ever as usize],
            episode: 0,
            sizes: BTreeSet::new(),
            unique: 0,
        }
    }

    /// A node is told that it lists so many members now, when so many episodes have closed.
    pub(crate) fn tell(&mut self, at: Instant, node: NodeNo, members: usize, episode: usize) {
        if episode != self.episode {
            self.unique = self.unique.max(self.sizes.len());
            self.sizes.clear();
            self.episode = episode;
        }
        self.sizes.insert(members);
        if at >= self.window {
            self.times[node as usize] += 1;
        }
    }

    pub(crate) fn finish(&self) -> ViewFigures {
        let changes = self.times.iter().copied().max().unwrap_or(0);
        ViewFigures { unique: self.unique.max(self.sizes.len()) as u64, changes }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::world::testkit::{self, at_ms};

    fn figures(told: &[(u64, NodeNo, usize, usize)]) -> (u64, u64) {
        let mut plan = testkit::plan(3, Duration::from_secs(60));
        plan.warmup = Duration::from_secs(5);
        let mut views = ToldViews::of(&plan);
        told.iter().for_each(|&(ms, node, members, episode)| {
            views.tell(at_ms(ms), node, members, episode);
        });
        let ViewFigures { unique, changes } = views.finish();
        (unique, changes)
    }

    #[test]
    fn the_episode_with_the_most_sizes_counts_whoever_was_told_of_them() {
        let first = [(1, 0, 1, 0), (1, 1, 1, 0), (2, 0, 2, 0), (2, 1, 3, 0)];
        assert_eq!(figures(&first), (3, 0));
        let later = [(9_000, 0, 4, 1), (9_000, 0, 5, 1)];
        assert_eq!(figures(&[&first[..], &later].concat()).0, 3, "another");
        let most = [(9_001, 0, 6, 1), (9_002, 2, 1, 1), (9_003, 2, 4, 3)];
        assert_eq!(figures(&[&first[..], &later, &most].concat()).0, 4);
        assert_eq!(figures(&[]), (0, 0));
    }

    #[test]
    fn the_node_that_was_told_most_often_after_the_warm_up_counts() {
        let told = [(4_999, 0, 1, 0), (5_000, 0, 2, 0), (6_000, 1, 3, 0), (7_000, 1, 3, 1)];
        assert_eq!(figures(&told).1, 2);
        assert_eq!(figures(&told[..3]).1, 1);
        assert_eq!(figures(&told[..1]).1, 0);
    }
}
