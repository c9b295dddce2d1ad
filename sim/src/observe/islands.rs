//! Islands: live nodes that could reach each other, but have no way to hear of one another.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cast::{Cast, IncarnationNo};
use super::lists::Lists;
use super::truth::Truth;
use crate::bits;
use crate::scenario::plan::{NodeNo, Plan, WayIn};

/// Who ever heard of whom, and who was given whose address.
#[derive(Clone, Debug)]
pub(crate) struct Acquaintance {
    /// Incarnation by incarnation.
    heard: Lists,
    /// Whose addresses those that start with seeds are given.
    seeds: BTreeMap<IncarnationNo, Vec<NodeNo>>,
}

impl Acquaintance {
    pub(crate) fn of(plan: &Plan, cast: &Cast) -> Self {
        let parts = cast.parts().len();
        let initial: Vec<_> = cast.initial().collect();
        let mut heard = Lists::new(parts as u32, parts, cast.initial());
        let mut seeds = BTreeMap::new();
        for (number, incarnation) in (0..).zip(&plan.incarnations) {
            match &incarnation.way_in {
                WayIn::Seeds(given) => _ = seeds.insert(number, given.clone()),
                WayIn::Full => heard.fill_row(number),
                WayIn::Knows(known) => {
                    known.iter().for_each(|&node| _ = heard.set(number, initial[node as usize]));
                }
            }
        }
        Self { heard, seeds }
    }

    /// One incarnation lists another.
    pub(crate) fn hear(&mut self, one: IncarnationNo, other: IncarnationNo) {
        self.heard.set(one, other);
    }

    /// Two live nodes of one component that no chain joins of nodes which live there too. Who is
    /// down or cut off by now may have had no time to pass on what it knew.
    pub(crate) fn islands(&self, cast: &Cast, truth: &Truth) -> Option<(NodeNo, NodeNo)> {
        let live: Vec<_> = truth.live_nodes().collect();
        let mut first = BTreeMap::new();
        live.iter().for_each(|&(node, one)| _ = first.entry(truth.component(node)).or_insert(one));
        let mut chains = Chains::new(cast.parts().len(), live.len() - first.len());
        for &(node, one) in &live {
            let mut meet = |other: IncarnationNo| {
                if truth.holds(node, cast.node_of(other), other) {
                    chains.join(one, other);
                }
            };
            bits::ones(self.heard.row(one)).for_each(&mut meet);
            self.found(cast, truth, one).for_each(&mut meet);
            if chains.missing == 0 {
                return None;
            }
        }
        live.into_iter().find_map(|(node, one)| {
            let other = first[&truth.component(node)];
            let apart = chains.root(one) != chains.root(other);
            apart.then(|| (cast.node_of(other), node))
        })
    }

    /// Seeds that are found at the address that was given: not those that came back elsewhere, nor,
    /// to be sure, those that started elsewhere in the instant in which it was given.
    fn found<'a>(
        &'a self,
        cast: &'a Cast,
        truth: &'a Truth,
        one: IncarnationNo,
    ) -> impl Iterator<Item = IncarnationNo> + 'a {
        let own = cast.part(one).start;
        self.seeds.get(&one).into_iter().flatten().filter_map(move |&seed| {
            let given = [own, own + Duration::from_nanos(1)].map(|at| cast.before(seed, at).addr);
            truth.live(seed).filter(|&live| given == [cast.part(live).addr; 2])
        })
    }
}

/// Disjoint sets of incarnations, each known by the least of them.
struct Chains {
    parent: Vec<IncarnationNo>,
    /// How many joins are missing until every component is one chain.
    missing: usize,
}

impl Chains {
    fn new(parts: usize, missing: usize) -> Self {
        Self { parent: (0..).take(parts).collect(), missing }
    }

    fn join(&mut self, one: IncarnationNo, other: IncarnationNo) {
        let (one, other) = (self.root(one), self.root(other));
        if one != other {
            self.parent[one.max(other) as usize] = one.min(other);
            self.missing -= 1;
        }
    }

    fn root(&mut self, mut of: IncarnationNo) -> IncarnationNo {
        while self.parent[of as usize] != of {
            let next = self.parent[of as usize];
            self.parent[of as usize] = self.parent[next as usize];
            of = next;
        }
        of
    }
}
