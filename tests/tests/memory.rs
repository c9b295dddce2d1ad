//! Clusters in memory under paused time: what a service's own tests are built on.

use std::net::SocketAddr;
use std::time::Duration;

use rumormill::core::Cause;
use rumormill::link::{Link, LinkChange, Loss, Ways};
use rumormill::net::MemoryNetwork;
use rumormill::rng::Probability;
use rumormill::{Config, Event, Events, Node, NodeBuilder, NodeList, NodeListError, Notice};
use tokio::time::{Instant, sleep};

const SEED: u64 = 4711;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn network() -> MemoryNetwork {
    let link = Link::uniform(Duration::from_millis(1), Duration::from_millis(10));
    MemoryNetwork::new(SEED, link)
}

fn addr(host: usize) -> SocketAddr {
    format!("10.0.0.{host}:8000").parse().unwrap()
}

/// A node with the first one as its seed, not joined yet.
fn node(network: &MemoryNetwork, host: usize) -> NodeList {
    let node = Node::new(addr(host).to_string()).name(format!("n{host}"));
    let list = network.node(node, Config::default()).unwrap();
    list.set(addr(1).to_string()).unwrap();
    list
}

/// Joined nodes from 10.0.0.1 on, before they have heard of each other.
async fn joined(network: &MemoryNetwork, count: usize) -> Vec<NodeList> {
    let mut lists = Vec::new();
    for host in 1..=count {
        let list = node(network, host);
        list.join().await.unwrap();
        lists.push(list);
    }
    lists
}

fn addrs(lists: &[NodeList]) -> impl Iterator<Item = SocketAddr> {
    lists.iter().map(|list| list.node().addr())
}

fn all_list(lists: &[NodeList], count: usize) -> bool {
    lists.iter().all(|list| list.get().len() == count)
}

fn all_hold(lists: &[NodeList], data: &[u8]) -> bool {
    lists.iter().all(|list| list.read().is_some_and(|held| held.data()[..] == *data))
}

/// Sleeps until the condition holds, and says how long that took.
async fn until(limit: Duration, condition: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "it did not hold within {limit:?}");
        sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// The events that wait.
async fn waiting(events: &mut Events) -> Vec<Event> {
    let mut taken = Vec::new();
    while let Ok(Some(notice)) = tokio::time::timeout(Duration::ZERO, events.recv()).await {
        match notice {
            Notice::Event(event) => taken.push(event),
            Notice::Missed(count) => panic!("{count} events were missed"),
            Notice::Rejected(reason) => panic!("packets were refused: {reason}"),
            Notice::Left | Notice::Seed(_) | Notice::Alone(_) => {}
            other => panic!("the node runs, and yet: {other:?}"),
        }
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn twenty_nodes_list_each_other_and_agree() {
    let network = network();
    let lists = joined(&network, 20).await;
    let listed = until(secs(3), || all_list(&lists, 20)).await;
    assert!(listed <= secs(2), "{listed:?}");
    lists[7].publish("limit=10").await.unwrap();
    let agreed = until(secs(1), || all_hold(&lists, b"limit=10")).await;
    assert!(agreed <= Duration::from_millis(200), "{agreed:?}");
    assert_eq!(lists[7].local_addr(), Some(addr(8)));
}

#[tokio::test(start_paused = true)]
async fn both_sides_of_a_partition_go_on_alone_and_find_each_other_again() {
    let network = network();
    let lists = joined(&network, 20).await;
    until(secs(3), || all_list(&lists, 20)).await;
    let (near, far) = lists.split_at(12);
    let split = network.partition([addrs(near), addrs(far)]);
    until(secs(10), || all_list(near, 12) && all_list(far, 8)).await;
    near[3].publish("near").await.unwrap();
    sleep(secs(60)).await;
    assert!(all_list(near, 12) && all_list(far, 8));
    assert!(all_hold(near, b"near") && far.iter().all(|list| list.read().is_none()));
    assert!(network.stats().cut > 0);

    network.undo(split);
    // A period of re-dials and three cycles.
    until(secs(13), || all_list(&lists, 20) && all_hold(&lists, b"near")).await;
}

#[tokio::test(start_paused = true)]
async fn loss_delays_but_removes_nobody() {
    let network = network();
    let lists = joined(&network, 20).await;
    until(secs(3), || all_list(&lists, 20)).await;
    let mut changes: Vec<_> = lists.iter().map(NodeList::subscribe).collect();
    let loss = Some(Probability::from_ppb(200_000_000).into());
    network.degrade(LinkChange { loss, ..LinkChange::default() });
    lists[0].publish("v1").await.unwrap();
    until(secs(5), || all_hold(&lists, b"v1")).await;
    sleep(secs(120)).await;
    for changes in &mut changes {
        let events = waiting(changes).await;
        let removed = events.iter().find(|event| matches!(event, Event::Removed { .. }));
        assert_eq!(removed, None);
    }
    let stats = network.stats();
    let lost = stats.lost as f64 / stats.sent as f64;
    assert!((0.15..0.25).contains(&lost), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_isolated_is_removed_keeps_its_list_and_comes_back() {
    let network = network();
    let lists = joined(&network, 5).await;
    until(secs(3), || all_list(&lists, 5)).await;
    network.isolate([addr(5)]);
    until(secs(10), || all_list(&lists[..4], 4)).await;
    sleep(secs(5)).await;
    assert!(all_list(&lists[4..], 5), "it may be the others who are cut off");
    network.heal();
    until(secs(13), || all_list(&lists, 5)).await;
    // What one link loses goes round by the others.
    let cut = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
    network.degrade_between([addr(1)], [addr(2)], Ways::One, cut);
    sleep(secs(30)).await;
    assert!(all_list(&lists, 5));
}

/// Everything that happens to a cluster in a busy minute, as text.
async fn log_of_a_minute(seed: u64) -> String {
    let link = Link {
        loss: Probability::from_ppb(100_000_000).into(),
        duplicate: Probability::from_ppb(50_000_000),
        ..Link::uniform(Duration::from_millis(1), Duration::from_millis(30))
    };
    let network = MemoryNetwork::new(seed, link);
    let lists = joined(&network, 10).await;
    let mut changes: Vec<_> = lists.iter().map(NodeList::subscribe).collect();
    sleep(secs(5)).await;
    lists[2].publish("v1").await.unwrap();
    network.partition([addrs(&lists[6..])]);
    sleep(secs(15)).await;
    lists[9].leave().await.unwrap();
    network.heal();
    lists[4].update(NodeBuilder::from(lists[4].node()).private_data("draining")).unwrap();
    sleep(secs(20)).await;
    lists[9].join().await.unwrap();
    sleep(secs(20)).await;
    let mut log = format!("{:?}\n", network.stats());
    for (list, changes) in lists.iter().zip(&mut changes) {
        log += &format!("{} {:?}\n", list.node().addr(), list.stats());
        // Of values only the newest waits; that there were others is told in its place.
        while let Ok(Some(notice)) = tokio::time::timeout(Duration::ZERO, changes.recv()).await {
            log += &format!("  {notice:?}\n");
        }
    }
    log
}

#[test]
fn the_same_test_does_the_same_again() {
    let run = |seed| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(log_of_a_minute(seed))
    };
    let log = run(1);
    for happened in ["Joined", "Updated", "Removed", "Published"] {
        assert!(log.contains(happened), "no {happened} in\n{log}");
    }
    for _ in 0..3 {
        assert!(run(1) == log, "two runs with one seed differ");
    }
    assert!(run(2) != log, "the seed decides nothing");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_removed_at_once_and_its_address_is_free() {
    let network = network();
    let lists = joined(&network, 3).await;
    until(secs(3), || all_list(&lists, 3)).await;
    let second = node(&network, 3);
    let error = second.join().await.unwrap_err();
    assert!(matches!(error, NodeListError::Listen { .. }));
    assert!(error.to_string().contains("10.0.0.3:8000: the port is in use"), "{error}");
    let mut changes = lists[0].subscribe();
    assert_eq!(waiting(&mut changes).await.len(), 3, "the members that are listed");
    lists[2].leave().await.unwrap();
    assert_eq!(lists[2].local_addr(), None);
    until(secs(1), || all_list(&lists[..2], 2)).await;
    let events = waiting(&mut changes).await;
    assert!(matches!(events[..], [Event::Removed { cause: Cause::Left, .. }]), "{events:?}");
    second.join().await.unwrap();
    until(secs(3), || second.get().len() == 3 && all_list(&lists[..2], 3)).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_dropped_is_gone_with_port_and_tasks() {
    let network = network();
    let mut lists = joined(&network, 3).await;
    until(secs(3), || all_list(&lists, 3)).await;
    let mut changes = lists[0].subscribe();
    drop(lists.pop());
    let again = node(&network, 3);
    // The runtime ends a task at its next turn.
    tokio::task::yield_now().await;
    again.join().await.unwrap();
    drop(again);
    until(secs(10), || all_list(&lists, 2)).await;
    let is_timeout = |event: &Event| matches!(event, Event::Removed { cause: Cause::Timeout, .. });
    assert!(waiting(&mut changes).await.iter().any(is_timeout));
    drop((lists, changes));
    tokio::task::yield_now().await;
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 0, "tasks outlive their nodes");
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_five_nodes_are_over_in_no_time() {
    let network = network();
    let lists = joined(&network, 5).await;
    sleep(secs(600)).await;
    assert!(all_list(&lists, 5));
    let start = lists[0].publish("v").await.unwrap();
    let wall_secs = start.nanos / 1_000_000_000;
    assert!(wall_secs >= 1_800_000_600, "the wall clock goes with virtual time: {wall_secs}");
}

#[tokio::test(start_paused = true)]
async fn settled_returns_once_all_peers_report_the_same_and_tells_when_they_do_not() {
    let network = network();
    let lists = joined(&network, 20).await;
    let start = Instant::now();
    let agreement = lists[7].settled(secs(1), secs(30)).await;
    assert!(agreement.is_full() && agreement.peers >= 2, "{agreement:?}");
    // Whoever last reported while nodes still joined reports anew within a round of swaps.
    assert!((secs(1)..secs(20)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(all_list(&lists, 20));
    // A value that only this node holds: nobody reports it before the next swaps.
    lists[7].publish("news").await.unwrap();
    until(secs(1), || lists[7].agreement().same == 0).await;
    assert!(!lists[7].settled(Duration::ZERO, Duration::ZERO).await.is_full());
    assert!(lists[7].settled(Duration::ZERO, secs(60)).await.is_full());
    // Alone there is nobody to agree with.
    let alone = node(&network, 99);
    let start = Instant::now();
    assert_eq!(alone.settled(secs(1), secs(3)).await.peers, 0);
    assert_eq!(start.elapsed(), secs(3));
}
