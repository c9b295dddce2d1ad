//! Nodes on IPv6, and on sockets that speak both families, by datagram and by stream.
//!
//! Where the kernel has no IPv6 there is nothing to try, and each test says so.

mod helpers;

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

use rumormill::config::TransportKind;
use rumormill::core::Cause;
use rumormill::{Config, NodeList};

use helpers::cluster::{CYCLE, TIMEOUT, eventually, lists, node_of, removal};

/// False, with a word, where no socket can be bound to the loopback of IPv6.
fn has_ipv6() -> bool {
    let bound = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0));
    if let Err(error) = &bound {
        eprintln!("skipped: this machine has no IPv6, for [::1] cannot be bound: {error}");
    }
    bound.is_ok()
}

fn config(protocol: TransportKind, listen: Option<&str>) -> Config {
    let mut config = Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(2 * CYCLE);
    config = config.protocol(protocol);
    if let Some(listen) = listen {
        config = config.listen_addr(listen.parse::<SocketAddr>().unwrap());
    }
    config.build().unwrap()
}

/// Nodes at these addresses that have joined through the first.
async fn joined(addrs: &[&str], config: &Config) -> Vec<NodeList> {
    let mut nodes: Vec<NodeList> = Vec::new();
    for addr in addrs {
        let seeds: Vec<_> = nodes.first().into_iter().collect();
        let next = node_of(addr, &seeds, config);
        next.join().await.unwrap();
        nodes.push(next);
    }
    nodes
}

/// They list each other, hold what each publishes, large and small, and miss who leaves or dies.
async fn live_together(mut nodes: Vec<NodeList>) {
    let all = nodes.len();
    eventually("all list all", || nodes.iter().all(|node| node.get().len() == all)).await;
    for (writer, len) in [(0, 10), (all - 1, 300_000), (1, 50_000)] {
        let version = nodes[writer].publish(vec![7; len]).await.unwrap();
        let holds = |node: &NodeList| node.read().is_some_and(|held| held.version() == version);
        eventually("all hold it", || nodes.iter().all(holds)).await;
    }
    for cause in [Cause::Left, Cause::Timeout] {
        let gone = nodes.pop().unwrap();
        let addr = gone.node().addr();
        let changes: Vec<_> = nodes.iter().map(NodeList::subscribe).collect();
        if cause == Cause::Left {
            gone.leave().await.unwrap();
        }
        drop(gone);
        for events in changes {
            assert_eq!(removal(events, addr).await, cause);
        }
        assert!(nodes.iter().all(|node| !lists(node, addr)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_on_ipv6_lives_as_one_on_ipv4() {
    if !has_ipv6() {
        return;
    }
    for protocol in [TransportKind::Udp, TransportKind::Tcp] {
        let nodes = joined(&["[::1]:0"; 4], &config(protocol, None)).await;
        assert!(nodes.iter().all(|node| node.local_addr().unwrap().ip() == Ipv6Addr::LOCALHOST));
        live_together(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_either_family_on_sockets_of_both_are_one_cluster() {
    if !has_ipv6() {
        return;
    }
    for protocol in [TransportKind::Udp, TransportKind::Tcp] {
        let addrs = ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0", "[::1]:0", "127.0.0.1:0"];
        let nodes = joined(&addrs, &config(protocol, Some("[::]:0"))).await;
        assert!(nodes.iter().all(|node| node.local_addr().unwrap().is_ipv6()));
        live_together(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_ipv4_alone_join_through_one_that_listens_on_both() {
    if !has_ipv6() {
        return;
    }
    for protocol in [TransportKind::Udp, TransportKind::Tcp] {
        let both = config(protocol, Some("[::]:0"));
        let mut nodes = joined(&["127.0.0.1:0", "127.0.0.1:0"], &both).await;
        for _ in 0..2 {
            let next = node_of("127.0.0.1:0", &[&nodes[0]], &config(protocol, None));
            next.join().await.unwrap();
            assert!(next.local_addr().unwrap().is_ipv4());
            nodes.push(next);
        }
        live_together(nodes).await;
    }
}
