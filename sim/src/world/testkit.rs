//! Plans by hand, for tests.

use std::sync::Arc;
use std::time::Duration;

use rumormill::{Config, Instant, Link, Node};

use crate::scenario::plan::{
    Action, Deed, Incarnation, NodeNo, Plan, SeedShare, StartCause, WayIn,
};

pub(crate) fn lan() -> Link {
    Link::uniform(Duration::from_millis(1), Duration::from_millis(10))
}

pub(crate) fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

pub(crate) fn node(number: NodeNo) -> Node {
    let addr = format!("10.{}.{}.{}:7000", number >> 16, (number >> 8) & 255, number & 255);
    Node::new(addr).name(format!("n{number}")).build().expect("a valid node")
}

/// Nodes that start at zero, node 0 being everyone's seed, and then nothing happens.
pub(crate) fn plan(nodes: u32, duration: Duration) -> Plan {
    let incarnations = (0..nodes).map(|number| Incarnation {
        node: number,
        start: Instant::ZERO,
        public: node(number),
        way_in: WayIn::Seeds(if number == 0 { vec![] } else { vec![0] }),
        cause: StartCause::Initial,
    });
    Plan {
        name: "test".into(),
        seed: 1,
        duration,
        warmup: duration / 5,
        sample: Duration::from_millis(100),
        rumor_rows_max: 200_000,
        engine: Arc::new(Config::default()),
        network: lan(),
        incarnations: incarnations.collect(),
        nodes,
        nodes_ever: nodes,
        actions: Vec::new(),
        expect: Vec::new(),
        expect_seeds: SeedShare { text: "100%".into(), share: 1.0 },
        resolved: String::new(),
        overridden: false,
    }
}

/// Every node starts twice: incarnation `i` is node `i`, `nodes + i` its second one.
pub(crate) fn plan_with_restarts(nodes: u32) -> Plan {
    let mut plan = plan(nodes, Duration::from_secs(10));
    for number in 0..nodes {
        restart(&mut plan, number, at_ms(1_000));
    }
    plan
}

/// Adds an incarnation that starts again at a time, and says its place in the plan.
pub(crate) fn restart(plan: &mut Plan, number: NodeNo, start: Instant) -> usize {
    let way_in = WayIn::Seeds(if number == 0 { vec![1] } else { vec![0] });
    let (public, cause) = (node(number), StartCause::Restart);
    plan.incarnations.push(Incarnation { node: number, start, public, way_in, cause });
    plan.incarnations.len() - 1
}

/// Adds a newcomer, and says its place in the plan.
pub(crate) fn join(plan: &mut Plan, start: Instant) -> usize {
    let number = plan.nodes_ever;
    plan.nodes_ever += 1;
    let way_in = WayIn::Seeds(vec![0]);
    let (public, cause) = (node(number), StartCause::Join);
    plan.incarnations.push(Incarnation { node: number, start, public, way_in, cause });
    plan.incarnations.len() - 1
}

/// Adds an action under a label.
pub(crate) fn act(plan: &mut Plan, ms: u64, label: &str, deed: Deed) {
    let (label, text) = (label.to_owned(), format!("{deed:?}"));
    plan.actions.push(Action { at: at_ms(ms), deed, label, text });
}
