//! Nodes of both versions of the wire on real UDP sockets, and the way from one to the other.

mod helpers;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use rumormill::config::WireVersion;
use rumormill::core::Cause;
use rumormill::{Config, Event, Events, Node, NodeBuilder, NodeList, Notice};

use helpers::cluster::{CYCLE, TIMEOUT, eventually};

use WireVersion::{One, Two};

/// A node with a zone in its settings and a tag of its own.
async fn join(addr: SocketAddr, wire: WireVersion, seeds: &[SocketAddr]) -> NodeList {
    let config = Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(2 * CYCLE);
    let config = config.wire_max(wire).zone(format!("zone of {wire}"));
    let config = config.seeds(seeds.iter().map(ToString::to_string)).build().unwrap();
    let node = Node::new(addr.to_string()).tag("speaks", wire.to_string());
    let list = NodeList::new(node, config).unwrap();
    list.join().await.unwrap();
    list
}

/// Nodes that speak up to these versions and list each other.
async fn cluster(wires: &[WireVersion]) -> Vec<NodeList> {
    let mut nodes: Vec<NodeList> = Vec::new();
    for wire in wires {
        let seeds: Vec<_> = nodes.first().map(|first| first.node().addr()).into_iter().collect();
        nodes.push(join("127.0.0.1:0".parse().unwrap(), *wire, &seeds).await);
    }
    eventually("all list all", || all_list_all(&nodes)).await;
    nodes
}

fn all_list_all(nodes: &[NodeList]) -> bool {
    nodes.iter().all(|node| node.get().len() == nodes.len())
}

/// True when one node knows zone and tag of the other.
fn knows(at: &NodeList, of: &NodeList) -> bool {
    let (members, of) = (at.get(), of.node());
    members.iter().any(|member| *member == of && !member.zone().is_empty())
}

fn hold(nodes: &[NodeList], data: &[u8]) -> bool {
    nodes.iter().all(|node| node.read().is_some_and(|held| held.data()[..] == *data))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_both_versions_are_one_cluster_and_new_ones_see_each_other_s_zones() {
    let nodes = cluster(&[One, Two, One, Two, Two]).await;
    for (writer, data) in [(0, "by an old node"), (3, "by a new one")] {
        nodes[writer].publish(data).await.unwrap();
        eventually("every node holds it", || hold(&nodes, data.as_bytes())).await;
    }
    let new = [&nodes[1], &nodes[3], &nodes[4]];
    let all_know = || new.iter().all(|at| new.iter().all(|of| knows(at, of)));
    eventually("new nodes know each other's zones", all_know).await;
    assert_eq!(nodes[1].node().tags().get("speaks"), Some("2"));
    for old in [&nodes[0], &nodes[2]] {
        assert!(new.iter().all(|new| !knows(old, new) && !knows(new, old)));
        assert!(old.get().iter().all(|it| *it == old.node() || it.tags().is_empty()));
    }
    nodes[4].update(NodeBuilder::from(nodes[4].node()).tag("role", "db")).unwrap();
    let is_updated = || nodes[4].node().tags().get("role") == Some("db");
    eventually("it says so itself", is_updated).await;
    eventually("an update comes through", || new.iter().all(|at| knows(at, &nodes[4]))).await;
}

/// Those who were taken for dead, as far as it was told.
async fn lost(events: &mut Events) -> Vec<SocketAddr> {
    let mut lost = Vec::new();
    while let Ok(Some(notice)) = timeout(Duration::from_millis(1), events.recv()).await {
        if let Notice::Event(Event::Removed { record, cause: Cause::Timeout }) = notice {
            lost.push(record.node().addr());
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_change_to_the_second_version_and_back_removes_nobody() {
    let mut nodes = cluster(&[One; 4]).await;
    let mut told: Vec<Events> = nodes.iter().map(NodeList::subscribe).collect();
    for (wire, data) in [(Two, "new"), (One, "old")] {
        for at in 0..nodes.len() {
            let addr = nodes[at].node().addr();
            let seed = nodes[(at + 1) % nodes.len()].node().addr();
            nodes[at].leave().await.unwrap();
            nodes[at] = join(addr, wire, &[seed]).await;
            told.push(nodes[at].subscribe());
            eventually("all list all", || all_list_all(&nodes)).await;
            if at == 1 {
                nodes[at].publish(data).await.unwrap();
                eventually("every node holds it", || hold(&nodes, data.as_bytes())).await;
            }
        }
        let is_told =
            |at: &NodeList, of: &NodeList| at.node() == of.node() || knows(at, of) == (wire == Two);
        let is_changed = || nodes.iter().all(|at| nodes.iter().all(|of| is_told(at, of)));
        eventually("all know all zones, or no other's", is_changed).await;
    }
    tokio::time::sleep(TIMEOUT).await;
    assert!(all_list_all(&nodes) && hold(&nodes, b"old"));
    for events in &mut told {
        assert_eq!(lost(events).await, []);
    }
}
