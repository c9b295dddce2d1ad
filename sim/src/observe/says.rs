//! Says: whether what a node was told to say of itself is what the others list.
//!
//! Lists are judged by incarnations, of which a node that changes its name stays the same one. As
//! long as a node lives that speaks version 1 of the wire alone, nobody owes what that can't carry:
//! it may have come by way of that node.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rumormill::config::WireVersion;
use rumormill::core::Record;
use rumormill::{Node, NodeBuilder};

use super::cast::{Cast, Part};
use super::settling::SettlingVerdict;
use super::truth::Truth;
use crate::scenario::plan::{Deed, NodeNo, Plan};

/// What nodes should say of themselves, and what is listed of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Says {
    /// By whom it is said: the last update, as the plan has it, and in which incarnation.
    wanted: BTreeMap<NodeNo, (u32, Node)>,
    /// By who lists it, and its address; empty where nothing is wanted.
    listed: BTreeMap<(NodeNo, SocketAddr), Node>,
}

impl Says {
    pub(crate) fn of(plan: &Plan, cast: &Cast) -> Self {
        let mut wanted = BTreeMap::new();
        for action in &plan.actions {
            let Deed::Update(said) = &action.deed else { continue };
            for (node, says) in said {
                let lives =
                    |&(_, part): &(u32, &Part)| part.node == *node && part.start < action.at;
                if let Some((incarnation, _)) = (0..).zip(cast.parts()).filter(lives).last() {
                    wanted.insert(*node, (incarnation, says.clone()));
                }
            }
        }
        Self { wanted, listed: BTreeMap::new() }
    }

    /// A node begins a life, and lists itself.
    pub(crate) fn begin(&mut self, node: NodeNo, own: &Record) {
        self.listed.retain(|&(by, _), _| by != node);
        self.list(node, own);
    }

    /// A node lists a record, be it its own.
    pub(crate) fn list(&mut self, node: NodeNo, record: &Record) {
        if !self.wanted.is_empty() {
            self.listed.insert((node, record.node().addr()), record.node().clone());
        }
    }

    /// Whom a node that lives lists with other words than it was to say, where all lists are right.
    pub(crate) fn judge(&self, truth: &Truth, cast: &Cast) -> SettlingVerdict {
        let speaks = |(_, incarnation)| cast.part(incarnation).record.speaks();
        let carried = truth.live_nodes().map(speaks).min().unwrap_or_default();
        for (&of, (incarnation, says)) in &self.wanted {
            let addr = cast.part(*incarnation).record.node().addr();
            let says = words(&says.clone().with_addr(addr), carried);
            for (node, _) in truth.live_nodes().filter(|&(by, _)| truth.holds(by, of, *incarnation))
            {
                let listed = self.listed.get(&(node, addr));
                if listed.is_some_and(|listed| words(listed, carried) != says) {
                    let detail = format!("node {node} does not list what node {of} says of itself");
                    return SettlingVerdict::Unsettled { node, detail };
                }
            }
        }
        SettlingVerdict::Settled
    }
}

/// What this version of the wire carries of what a node says.
fn words(node: &Node, wire: WireVersion) -> Node {
    match wire {
        WireVersion::One => {
            let bare = NodeBuilder::from(node.clone()).zone("").no_tags().build();
            bare.expect("it says less than before")
        }
        _ => node.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::truth::State;
    use crate::world::testkit::{self, at_ms};
    use rumormill::link::LinkModel;

    #[test]
    fn who_lists_what_a_node_said_before_its_update_is_noticed() {
        let mut plan = testkit::plan(3, Duration::from_secs(60));
        let new = Node::new("10.0.0.1:7000").name("new").build().unwrap();
        testkit::act(&mut plan, 9_000, "", Deed::Update(vec![(1, new.clone())]));
        let cast = Cast::of(&plan);
        let mut truth = Truth::new(3, Duration::from_secs(5));
        for node in 0..3 {
            truth.set(at_ms(0), node, State::Live(node));
        }
        truth.commit(at_ms(0), &LinkModel::new(1, testkit::lan()));
        let mut says = Says::of(&plan, &cast);
        let generation = cast.part(1).record.generation();
        for node in 0..3 {
            says.list(node, &Record::new(new.clone(), generation));
        }
        assert_eq!(says.judge(&truth, &cast), SettlingVerdict::Settled);
        says.list(2, &cast.part(1).record);
        let SettlingVerdict::Unsettled { node, detail } = says.judge(&truth, &cast) else {
            panic!("not so")
        };
        assert_eq!((node, detail.contains("node 1 says")), (2, true));
        says.begin(2, &cast.part(2).record);
        assert_eq!(
            says.judge(&truth, &cast),
            SettlingVerdict::Settled,
            "it heard that in a former life"
        );
        says.begin(1, &cast.part(1).record);
        assert!(
            matches!(says.judge(&truth, &cast), SettlingVerdict::Unsettled { node: 1, .. }),
            "itself"
        );
        truth.set(at_ms(9), 1, State::Down);
        truth.commit(at_ms(9), &LinkModel::new(1, testkit::lan()));
        assert_eq!(says.judge(&truth, &cast), SettlingVerdict::Settled, "it is gone");
    }

    #[test]
    fn a_tag_is_owed_by_nobody_while_a_node_lives_that_speaks_the_first_version() {
        for (oldest, is_owed) in [(WireVersion::One, false), (WireVersion::Two, true)] {
            let mut plan = testkit::plan(2, Duration::from_secs(60));
            let config = plan.incarnations[0].config.with_wire_max(oldest);
            plan.incarnations[0].config = std::sync::Arc::new(config);
            let tagged = NodeBuilder::from(testkit::node(1)).tag("role", "db").build().unwrap();
            testkit::act(&mut plan, 9_000, "", Deed::Update(vec![(1, tagged)]));
            let cast = Cast::of(&plan);
            let mut truth = Truth::new(2, Duration::from_secs(5));
            for node in 0..2 {
                truth.set(at_ms(0), node, State::Live(node));
            }
            truth.commit(at_ms(0), &LinkModel::new(1, testkit::lan()));
            let mut says = Says::of(&plan, &cast);
            says.list(0, &cast.part(1).record);
            let judged = says.judge(&truth, &cast);
            assert_eq!(judged != SettlingVerdict::Settled, is_owed, "{judged:?}");
        }
    }
}
