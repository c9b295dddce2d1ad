//! What nodes did that no action of the plan had touched.

use std::collections::{BTreeMap, BTreeSet};

use rumormill_sim::scenario::parse;
use rumormill_sim::scenario::plan::{Content, Deed, Links, Plan, Speaker};

use super::cluster::Life;

#[derive(Debug)]
pub(crate) struct Bystanders {
    /// By node: the time of the first action that touches it.
    touched: Vec<Option<u64>>,
    healthy: u64,
    given_up: BTreeSet<(usize, Life)>,
    flaps: BTreeMap<(usize, Life), u64>,
    /// When who was told of how many members, in which episode.
    views: Vec<(u64, usize, usize, usize)>,
}

impl Bystanders {
    /// Those of a resolved scenario, run with a seed.
    pub(crate) fn of(text: &str, seed: u64) -> Self {
        let plan = parse("scenario.toml", text, &[]).unwrap().plan(seed).unwrap();
        let first = |node: u32| {
            let mut own =
                plan.actions.iter().filter(|it| touches(&plan, it.at.as_nanos(), &it.deed, node));
            own.next().map(|action| action.at.as_nanos())
        };
        Self {
            touched: (0..plan.nodes_ever).map(first).collect(),
            healthy: 0,
            given_up: BTreeSet::new(),
            flaps: BTreeMap::new(),
            views: Vec::new(),
        }
    }

    fn is_healthy(&self, at: u64, node: usize) -> bool {
        self.touched[node].is_none_or(|from| at < from)
    }

    pub(crate) fn time_out(&mut self, at: u64, by: usize, (node, life): (usize, Life)) {
        if self.is_healthy(at, by) {
            self.given_up.insert((by, life));
            self.healthy += u64::from(self.is_healthy(at, node));
        }
    }

    pub(crate) fn list(&mut self, at: u64, by: usize, life: Life) {
        if self.given_up.remove(&(by, life)) && self.is_healthy(at, by) {
            *self.flaps.entry((by, life)).or_default() += 1;
        }
    }

    pub(crate) fn view(&mut self, at: u64, node: usize, members: usize, episode: usize) {
        if self.is_healthy(at, node) {
            self.views.push((at, node, members, episode));
        }
    }

    /// The most sizes of one episode, and the most views of one node from a time on.
    pub(crate) fn view_figures(&self, from: u64) -> [usize; 2] {
        let episodes: BTreeSet<usize> = self.views.iter().map(|view| view.3).collect();
        let sizes = episodes.into_iter().map(|episode| {
            let own = self.views.iter().filter(|view| view.3 == episode);
            own.map(|view| view.2).collect::<BTreeSet<_>>().len()
        });
        let changes = (0..self.touched.len())
            .map(|node| self.views.iter().filter(|view| view.0 >= from && view.1 == node).count());
        [sizes.max().unwrap_or(0), changes.max().unwrap_or(0)]
    }

    /// Removals among them, listings again, and the most of one pair.
    pub(crate) fn figures(&self) -> [u64; 3] {
        let most = self.flaps.values().copied().max().unwrap_or(0);
        [self.healthy, self.flaps.values().sum(), most]
    }
}

/// Who is there when something happens, newcomers of that time included.
fn present(plan: &Plan, at: u64) -> BTreeSet<u32> {
    let came = plan.actions.iter().filter(|action| action.at.as_nanos() <= at);
    let newcomers = came.filter_map(|action| match &action.deed {
        Deed::Join(range) => Some(&plan.incarnations[range.clone()]),
        _ => None,
    });
    (0..plan.nodes).chain(newcomers.flatten().map(|newcomer| newcomer.node)).collect()
}

/// Whether an action touches a node.
fn touches(plan: &Plan, at: u64, deed: &Deed, node: u32) -> bool {
    let part = |set: &[u32]| set.contains(&node) && set.len() < present(plan, at).len();
    match deed {
        Deed::Partition(groups) => {
            let side = |node: u32| groups.iter().position(|group| group.contains(&node));
            let size = |place| present(plan, at).iter().filter(|it| side(**it) == place).count();
            let named = (0..groups.len()).map(Some);
            let sizes: Vec<usize> = named.chain([None]).map(size).collect();
            let largest = sizes.iter().position(|size| size == sizes.iter().max().unwrap());
            Some(side(node).unwrap_or(groups.len())) != largest && present(plan, at).contains(&node)
        }
        Deed::Link { links: Links::OneWay { from, to }, .. } => part(from) || part(to),
        Deed::Link { links: Links::Between(sets), .. } => sets.iter().any(|set| part(set)),
        Deed::Drop { ends, .. } | Deed::Replay { ends, .. } => {
            [&ends.from, &ends.to].into_iter().flatten().any(|set| part(set))
        }
        Deed::Update(said) => said.iter().any(|(updated, _)| *updated == node),
        Deed::Join(range) => plan.incarnations[range.clone()].iter().any(|it| it.node == node),
        Deed::Inject(injection) => {
            let of = match injection.content {
                Content::Of { of, .. } => Some(of),
                Content::Bytes(_) => None,
            };
            let speakers = [Some(injection.from), of];
            speakers.contains(&Some(Speaker::Node(node))) || injection.to.contains(&node)
        }
        _ => deed.done_to().is_some_and(|nodes| nodes.contains(&node)),
    }
}
