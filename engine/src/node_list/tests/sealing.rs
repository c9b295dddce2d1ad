//! Clusters with a secret in memory, whose clocks are wrong or whose machines sleep.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use crate::config::Config;
use crate::link::{Link, LinkChange};
use crate::net::{MemoryNetwork, Notice};
use crate::node::Node;
use crate::node_list::NodeList;
use crate::rng::Probability;
use crate::time::UnixNanos;
use crate::wire::Reject;

const START: i64 = 1_800_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;
const CYCLE: Duration = Duration::from_secs(1);

fn network() -> MemoryNetwork {
    MemoryNetwork::new(4711, Link::uniform(Duration::from_millis(1), Duration::from_millis(10)))
}

/// A node that has joined, with the first one as its seed.
async fn joined(network: &MemoryNetwork, host: usize) -> NodeList {
    let config = Config::builder().cycle(CYCLE).secret_key("secret").build().unwrap();
    let list = network.node(Node::new(format!("10.0.0.{host}:8000")), config).unwrap();
    list.set("10.0.0.1:8000").unwrap();
    list.join().await.unwrap();
    list
}

async fn cluster(network: &MemoryNetwork) -> Vec<NodeList> {
    let mut lists = Vec::new();
    for host in 1..=3 {
        lists.push(joined(network, host).await);
    }
    sleep(5 * CYCLE).await;
    assert!(lists.iter().all(|list| list.get().len() == 3));
    lists
}

/// How long it takes until all list all, each as it runs now.
async fn listed_after(lists: &[NodeList]) -> Duration {
    let start = Instant::now();
    let records = |list: &NodeList| list.shared.view.borrow().list.records().to_vec();
    let all = |list: &NodeList| {
        lists.iter().all(|other| records(list).contains(&other.record().expect("it runs")))
    };
    while !lists.iter().all(all) {
        assert!(start.elapsed() < Duration::from_secs(300), "not listed at all");
        sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

fn counted(list: &NodeList, reason: Reject) -> u64 {
    list.stats().rejected.of(reason)
}

#[tokio::test(start_paused = true)]
async fn a_node_that_restarts_with_its_clock_set_back_is_heard_within_a_cycle() {
    let network = network();
    let mut lists = cluster(&network).await;
    drop(lists.pop());
    sleep(Duration::from_millis(100)).await;
    network.set_wall(UnixNanos(START - 600 * SECOND));
    lists.push(joined(&network, 3).await);
    let took = listed_after(&lists).await;
    assert!(took <= CYCLE, "{took:?}");
    assert_eq!(counted(&lists[2], Reject::ClockDiffers), 1);
    let told = lists.iter().map(|list| counted(list, Reject::ClockBack)).sum::<u64>();
    assert!((1..=4).contains(&told), "{told} packets were refused before it knew");
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_clock_is_wrong_by_a_year_is_listed_within_a_cycle() {
    const YEAR: i64 = 365 * 86_400 * SECOND;
    for wall in [START - YEAR, START + YEAR, 0] {
        let network = network();
        let mut lists = cluster(&network).await;
        network.set_wall(UnixNanos(wall));
        lists.push(joined(&network, 4).await);
        let took = listed_after(&lists).await;
        assert!(took <= CYCLE, "{took:?} with a clock at {wall}");
        sleep(60 * CYCLE).await;
        assert!(lists.iter().all(|list| list.get().len() == 4), "with a clock at {wall}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_bad_network_doubles_and_loses_is_told_to_nobody() {
    let network = network();
    let lists = cluster(&network).await;
    let mut subscribed: Vec<_> = lists.iter().map(NodeList::subscribe).collect();
    let percent = |percent: u64| Probability::from_ppb(percent * 10_000_000);
    network.degrade(LinkChange {
        loss: Some(percent(25).into()),
        duplicate: Some(percent(20)),
        ..LinkChange::default()
    });
    for round in 0..30 {
        lists[round % 3].publish(format!("round {round}")).await.unwrap();
        sleep(CYCLE).await;
    }
    for (list, notices) in lists.iter().zip(&mut subscribed) {
        assert!(counted(list, Reject::Duplicate) > 10, "{:?}", list.stats().rejected);
        assert_eq!(list.stats().rejected.total(), counted(list, Reject::Duplicate));
        while let Ok(Some(notice)) = tokio::time::timeout(Duration::ZERO, notices.recv()).await {
            assert!(!matches!(notice, Notice::Rejected(_)), "{notice:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_changes_its_key_when_it_slept_and_every_ten_minutes_and_no_packet_is_refused() {
    let network = network();
    let lists = cluster(&network).await;
    // To nobody who is listed: what goes there is dialled.
    let spy = network.bind("10.0.0.9:8000".parse().unwrap()).unwrap();
    lists[0].set("10.0.0.9:8000").unwrap();
    let epochs = async |seconds: u64| {
        sleep(Duration::from_secs(seconds)).await;
        let (mut buffer, mut epochs) = ([0; 2_000], BTreeSet::new());
        while let Some((len, ..)) = spy.try_receive(&mut buffer) {
            assert!(len > 32 && buffer.starts_with(b"rs"));
            epochs.insert(buffer[16..32].to_vec());
        }
        epochs
    };
    let first = epochs(60).await;
    let second = &epochs(600).await - &first;
    assert_eq!((first.len(), second.len()), (1, 1), "ten minutes");
    assert_eq!(epochs(30).await, second);
    advance(Duration::from_secs(30)).await;
    let third = epochs(60).await;
    assert_eq!((third.len(), third.is_disjoint(&second)), (1, true), "a sleep");
    for list in &lists {
        assert_eq!(list.stats().rejected.total(), 0, "{:?}", list.stats().rejected);
    }
}
