//! Small clusters in one process, with a short cycle.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use rumormill::core::Cause;
use rumormill::{Config, Event, Events, Node, NodeList, Notice};

pub(crate) const CYCLE: Duration = Duration::from_millis(200);
pub(crate) const TIMEOUT: Duration = Duration::from_millis(1_000);

/// Far longer than anything takes: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node that has not joined yet.
pub(crate) fn node(addr: &str, seeds: &[&NodeList]) -> NodeList {
    node_of(addr, seeds, &config())
}

/// Nodes that list each other, joined through the first.
pub(crate) async fn cluster(count: usize) -> Vec<NodeList> {
    cluster_of(count, &config()).await
}

fn config() -> Config {
    let config = Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(2 * CYCLE);
    config.build().unwrap()
}

/// The same with these settings.
pub(crate) fn node_of(addr: &str, seeds: &[&NodeList], config: &Config) -> NodeList {
    let list = NodeList::new(Node::new(addr), config.clone()).unwrap();
    for seed in seeds {
        list.set(seed.node().addr().to_string()).unwrap();
    }
    list
}

/// A cluster with these settings.
pub(crate) async fn cluster_of(count: usize, config: &Config) -> Vec<NodeList> {
    let first = node_of("127.0.0.1:0", &[], config);
    first.join().await.unwrap();
    let mut nodes = vec![first];
    for _ in 1..count {
        let next = node_of("127.0.0.1:0", &[&nodes[0]], config);
        next.join().await.unwrap();
        nodes.push(next);
    }
    let full = |node: &NodeList| node.get().len() == count;
    eventually("all list all", || nodes.iter().all(full)).await;
    nodes
}

pub(crate) fn lists(node: &NodeList, addr: SocketAddr) -> bool {
    node.get().iter().any(|member| member.addr() == addr)
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the member at this address is removed, and says why it was.
pub(crate) async fn removal(mut events: Events, addr: SocketAddr) -> Cause {
    let removed = async {
        loop {
            let notice = events.recv().await.expect("the node runs");
            if let Notice::Event(Event::Removed { record, cause }) = notice
                && record.node().addr() == addr
            {
                return cause;
            }
        }
    };
    tokio::time::timeout(PATIENCE, removed).await.expect("it is removed in the end")
}
