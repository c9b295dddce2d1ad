//! Who a node is when it starts, and how the initial ones find each other.

use std::sync::Arc;

use rumormill::rng::Rng;
use rumormill::time::{Instant, nanos};
use rumormill::{Config, Node, NodeBuilder};

use crate::scenario::addresses::address;
use crate::scenario::language::{Bootstrap, Typed};
use crate::scenario::plan::{Incarnation, Memory, NodeNo, StartCause, WayIn};

/// What a node says of itself at first.
pub(super) fn public(typed: &Typed, node: NodeNo) -> Node {
    let name = typed.groups.name_of(node).unwrap_or_else(|| format!("node-{node}"));
    let data = typed.groups.private_data_of(node).unwrap_or_default();
    let settings = config(typed, node);
    let builder = NodeBuilder::from(Node::at(address(node)));
    builder
        .name(name)
        .private_data(data)
        .build()
        .and_then(|node| node.or_else(settings.zone(), settings.tags()))
        .expect("the language limits texts")
}

/// The settings of a node's engine.
pub(super) fn config(typed: &Typed, node: NodeNo) -> Arc<Config> {
    Arc::clone(typed.groups.engine_of(node).unwrap_or(&typed.engine))
}

/// The initial nodes, in order of number.
pub(super) fn initial(typed: &Typed, seed: u64) -> Vec<Incarnation> {
    let all: Vec<NodeNo> = (0..typed.nodes).collect();
    let (low, high) = (nanos(typed.start.min), nanos(typed.start.max));
    let start = |node: NodeNo| match low == high {
        true => low,
        false => Rng::fork(seed, "start", node.into()).between(low, high),
    };
    let way_in = |node: NodeNo| match typed.bootstrap {
        Bootstrap::Full | Bootstrap::Holds(_) => WayIn::Full,
        Bootstrap::Knows(share) => {
            let mut rng = Rng::fork(seed, "bootstrap", node.into());
            let known = share.of(typed.nodes - 1) as usize;
            WayIn::Knows(random_others(&all, node, known, &mut rng))
        }
        Bootstrap::First if node == 0 => WayIn::Seeds(Vec::new()),
        Bootstrap::First => WayIn::Seeds(vec![0]),
        Bootstrap::Random(count) => {
            let mut rng = Rng::fork(seed, "bootstrap", node.into());
            WayIn::Seeds(random_others(&all, node, count as usize, &mut rng))
        }
    };
    let begin = |&node: &NodeNo| Incarnation {
        node,
        start: Instant::from_nanos(start(node)),
        public: public(typed, node),
        config: config(typed, node),
        way_in: way_in(node),
        cause: StartCause::Initial,
        memory: Memory::Keeps,
        stale_seeds: None,
    };
    all.iter().map(begin).collect()
}

/// So many distinct nodes of `pool` but `node`, or all of them where there are no more.
pub(super) fn random_others(
    pool: &[NodeNo],
    node: NodeNo,
    count: usize,
    rng: &mut Rng,
) -> Vec<NodeNo> {
    if count * 2 >= pool.len() {
        let mut others: Vec<NodeNo> = pool.iter().copied().filter(|&other| other != node).collect();
        rng.shuffle(&mut others);
        others.truncate(count);
        return others;
    }
    let mut others = Vec::with_capacity(count);
    while others.len() < count {
        let other = pool[rng.below(pool.len())];
        if other != node && !others.contains(&other) {
            others.push(other);
        }
    }
    others
}
