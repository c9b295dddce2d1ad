//! Clusters on real UDP sockets, on loopback and ports that the system picks.

mod helpers;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use rumormill::config::TransportKind;
use rumormill::core::packet::{Body, LastCall};
use rumormill::core::{AgeStep, Cause, Packet};
use rumormill::wire::{self, Reject};
use rumormill::{Config, Event, NodeBuilder, NodeList, Notice};

use helpers::cluster::{
    CYCLE, TIMEOUT, cluster, cluster_of, eventually, lists, node, node_of, removal,
};
use helpers::hostile;

/// What a busy machine may add to any wait.
const SLACK: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_list_each_other_within_two_cycles() {
    let start = Instant::now();
    let nodes = cluster(3).await;
    assert!(start.elapsed() <= 2 * CYCLE + SLACK, "{:?}", start.elapsed());
    for node in &nodes {
        let addrs: Vec<_> = node.get().iter().map(rumormill::Node::addr).collect();
        assert_eq!(addrs.len(), 3);
        assert!(addrs.is_sorted(), "{addrs:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_shows_up_on_all_and_the_later_one_wins() {
    let nodes = cluster(3).await;
    for (writer, data) in [(0, "v1"), (2, "v2"), (1, "v3")] {
        let version = nodes[writer].publish(data).await.unwrap();
        let holds = |node: &NodeList| node.read().is_some_and(|held| held.version() == version);
        assert!(holds(&nodes[writer]), "visible locally at once");
        eventually("every node holds it", || nodes.iter().all(holds)).await;
        assert!(nodes.iter().all(|node| &node.read().unwrap().data()[..] == data.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_is_told_that_its_value_was_superseded() {
    let nodes = cluster(2).await;
    let ours = nodes[0].publish("ours").await.unwrap();
    let mut changes = nodes[0].subscribe();
    eventually("the other holds it", || nodes[1].read().is_some()).await;
    let theirs = nodes[1].publish("theirs").await.unwrap();
    let superseded = Event::Superseded { ours, theirs, theirs_ahead_by: None };
    let superseded = Notice::Event(superseded);
    while changes.recv().await.expect("the node runs") != superseded {}
    let Some(Notice::Event(Event::Published(held))) = changes.recv().await else {
        panic!("what took its place is told next");
    };
    assert_eq!(held.version(), theirs);
    // It is no longer ours, so the next one supersedes nothing of ours.
    nodes[1].publish("again").await.unwrap();
    assert!(matches!(changes.recv().await, Some(Notice::Event(Event::Published(_)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_is_removed_by_the_others_within_timeout_and_a_cycle() {
    let mut nodes = cluster(3).await;
    let gone = nodes.pop().unwrap();
    let addr = gone.node().addr();
    let changes: Vec<_> = nodes.iter().map(NodeList::subscribe).collect();
    let start = Instant::now();
    drop(gone);
    for events in changes {
        assert_eq!(removal(events, addr).await, Cause::Timeout);
    }
    let took = start.elapsed();
    assert!(took <= TIMEOUT + CYCLE + SLACK, "late: {took:?}");
    assert!(took >= TIMEOUT - 2 * CYCLE, "early: {took:?}");
    assert!(nodes.iter().all(|node| !lists(node, addr)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_is_seen_by_the_others_at_once_and_the_port_is_free() {
    let mut nodes = cluster(3).await;
    let leaver = nodes.pop().unwrap();
    let addr = leaver.node().addr();
    let changes: Vec<_> = nodes.iter().map(NodeList::subscribe).collect();
    let start = Instant::now();
    leaver.leave().await.unwrap();
    std::net::UdpSocket::bind(addr).expect("the port is free when leave returns");
    for events in changes {
        assert_eq!(removal(events, addr).await, Cause::Left);
    }
    assert!(start.elapsed() < CYCLE, "not by silence: {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_left_is_listed_again_when_it_joins_again() {
    let nodes = cluster(3).await;
    let addr = nodes[2].node().addr();
    let again = node(&addr.to_string(), &[&nodes[0]]);
    nodes[2].leave().await.unwrap();
    let others = &nodes[..2];
    eventually("it is gone", || others.iter().all(|node| !lists(node, addr))).await;
    again.join().await.unwrap();
    eventually("it is back", || others.iter().all(|node| lists(node, addr))).await;
    eventually("it sees all", || again.get().len() == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_node_is_removed_and_a_started_one_listed_again() {
    let nodes = cluster(3).await;
    let addr = nodes[1].node().addr();
    let others = [&nodes[0], &nodes[2]];
    nodes[1].stop();
    nodes[1].stop();
    eventually("it is removed", || others.iter().all(|node| !lists(node, addr))).await;
    nodes[1].start();
    nodes[1].start();
    eventually("it is listed", || others.iter().all(|node| lists(node, addr))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_says_of_itself_may_change() {
    let nodes = cluster(3).await;
    let addr = nodes[1].node().addr();
    nodes[1].update(NodeBuilder::from(nodes[1].node()).name("B").private_data("zone=2")).unwrap();
    let renamed = |node: &NodeList| {
        let members = node.get();
        let member = members.iter().find(|member| member.addr() == addr);
        member.is_some_and(|member| (member.name(), member.private_data()) == ("B", "zone=2"))
    };
    eventually("all have heard", || nodes.iter().all(renamed)).await;
    assert!(nodes.iter().all(|node| node.get().len() == 3), "it is no second node");
    assert_eq!(nodes[1].node().name(), "B");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_may_be_a_host_name_or_be_named_after_the_join() {
    let first = node("127.0.0.1:0", &[]);
    first.join().await.unwrap();
    let port = first.node().addr().port();
    let second = node("127.0.0.1:0", &[]);
    second.join().await.unwrap();
    second.set(format!("localhost:{port}")).unwrap();
    eventually("both list both", || first.get().len() == 2 && second.get().len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_datagrams_are_counted_by_reason_and_change_nothing() {
    let nodes = cluster(2).await;
    let target = nodes[0].node().addr();
    let sent = hostile::send_all(target, || nodes[0].stats().rejected.total()).await;
    let rejected = nodes[0].stats().rejected;
    assert_eq!(rejected.total(), sent, "{:?}", rejected.iter().collect::<Vec<_>>());
    for reason in [
        Reject::TooShort,
        Reject::ForeignMagic,
        Reject::Damaged,
        Reject::FalseLength,
        Reject::Truncated,
    ] {
        assert!(rejected.of(reason) > 0, "{reason}");
    }
    assert_eq!(nodes[0].get().len(), 2);
    let version = nodes[0].publish("still here").await.unwrap();
    let holds = || nodes[1].read().is_some_and(|held| held.version() == version);
    eventually("the other node holds it", holds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_does_not_silence_a_node() {
    // With a long timeout, who is not heard through the flood stays listed, and is beaten to.
    let cycle = Duration::from_millis(50);
    let config = Config::builder().cycle(cycle).timeout(100 * cycle).build().unwrap();
    let nodes = cluster_of(2, &config).await;
    let start = Instant::now();
    let flood = hostile::Flood::start(nodes[0].node().addr(), last_call());
    tokio::time::sleep(10 * cycle).await;
    let heard = nodes[1].stats().received;
    tokio::time::sleep(20 * cycle).await;
    let heard = nodes[1].stats().received - heard;
    let flood = flood.stop();
    assert!(flood > 10_000, "{flood} datagrams are no flood");
    assert!(heard >= 20, "{heard} packets came of 20 cycles");
    // Nor does the node keep the runtime from the timers of the service.
    assert!(start.elapsed() < 30 * cycle + 2 * SLACK, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_system_will_not_send_is_counted_and_survived() {
    for protocol in [TransportKind::Udp, TransportKind::Tcp] {
        let config = Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(CYCLE);
        let config = config.protocol(protocol).build().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let first = node_of("127.0.0.1:0", &[], &config);
        // Nobody there, and not permitted: a broadcast.
        for seed in [closed.to_string(), "127.255.255.255:9".into()] {
            first.set(seed).unwrap();
        }
        first.join().await.unwrap();
        let second = node_of("127.0.0.1:0", &[&first], &config);
        second.join().await.unwrap();
        eventually("both list both", || first.get().len() == 2 && second.get().len() == 2).await;
        let errors = || first.stats().send_errors + first.stats().streams.dial_errors;
        eventually("errors are counted", || errors() >= 4).await;
        let version = first.publish("still here").await.unwrap();
        let holds = || second.read().is_some_and(|held| held.version() == version);
        eventually("the other node holds it", holds).await;
    }
}

#[tokio::test]
async fn a_packet_of_the_next_version_or_of_an_unknown_kind_is_counted_and_skipped() {
    let nodes = cluster(2).await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let rejected = || nodes[0].stats().rejected;
    for (place, reason) in [(2, Reject::UnknownVersion), (3, Reject::UnknownKind)] {
        let mut packet = encoded_last_call();
        packet[place] = 99;
        socket.send_to(&hostile::guarded(&packet), nodes[0].node().addr()).unwrap();
        eventually("it is counted", || rejected().of(reason) == 1).await;
    }
    socket.send_to(&last_call(), nodes[0].node().addr()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let answer = tokio::task::spawn_blocking(move || socket.recv(&mut [0; 2_000]));
    assert!(answer.await.unwrap().is_ok(), "the next packet is answered");
    assert_eq!(rejected().total(), 2);
}

/// A packet that is answered, so that a flood of it costs the most.
fn last_call() -> Vec<u8> {
    hostile::guarded(&encoded_last_call())
}

fn encoded_last_call() -> Vec<u8> {
    let packet = Packet::new(AgeStep(1_000), Body::LastCall(LastCall::default()));
    let mut bytes = Vec::new();
    wire::encode(&packet, &mut bytes);
    bytes
}

#[tokio::test]
async fn nodes_on_ipv6_list_each_other() {
    // A machine without IPv6 has nothing to show here.
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return;
    }
    let first = node("[::1]:0", &[]);
    first.join().await.unwrap();
    let second = node("[::1]:0", &[&first]);
    second.join().await.unwrap();
    eventually("both list both", || first.get().len() == 2 && second.get().len() == 2).await;
}

#[tokio::test]
async fn an_address_left_open_is_filled_in_so_that_others_reach_it() {
    let first = node("0.0.0.0:0", &[]);
    first.join().await.unwrap();
    assert!(!first.node().addr().ip().is_unspecified());
    let port = first.node().addr().port();
    // Towards a seed on loopback, loopback is the way.
    let second = node("0.0.0.0:0", &[]);
    second.set(SocketAddr::from(([127, 0, 0, 1], port)).to_string()).unwrap();
    second.join().await.unwrap();
    assert!(second.node().addr().ip().is_loopback());
    eventually("both list both", || first.get().len() == 2 && second.get().len() == 2).await;
}
