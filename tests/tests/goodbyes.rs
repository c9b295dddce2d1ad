//! Goodbyes on real sockets: of many at once, and of nodes that have just published.

mod helpers;

use std::time::Duration;

use tokio::time::Instant;

use rumormill::core::{Cause, NotConfirmed};
use rumormill::{Config, Event, Events, NodeList, NodeListError, Notice};

use helpers::cluster::{cluster_of, eventually};

/// So long that nothing here can be its doing.
const TIMEOUT: Duration = Duration::from_secs(30);

fn config() -> Config {
    Config::builder().cycle(Duration::from_secs(1)).timeout(TIMEOUT).build().unwrap()
}

/// Everybody leaves at the same time; how long the last of them took.
async fn all_leave(leavers: Vec<NodeList>) -> Duration {
    let start = Instant::now();
    let leaves: Vec<_> =
        leavers.into_iter().map(|node| tokio::spawn(async move { node.leave().await })).collect();
    for leave in leaves {
        leave.await.unwrap().unwrap();
    }
    start.elapsed()
}

/// Why members were removed, as far as was told by now.
async fn causes(mut events: Events) -> Vec<Cause> {
    let mut causes = Vec::new();
    while let Ok(notice) = tokio::time::timeout(Duration::ZERO, events.recv()).await {
        if let Notice::Event(Event::Removed { cause, .. }) = notice.expect("the node runs") {
            causes.push(cause);
        }
    }
    causes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_most_of_a_cluster_leaves_at_once_the_others_are_told_by_goodbyes() {
    let mut nodes = cluster_of(50, &config()).await;
    for stay in [25, 3] {
        let leavers = nodes.split_off(stay);
        let (left, start) = (leavers.len(), Instant::now());
        let changes: Vec<_> = nodes.iter().map(NodeList::subscribe).collect();
        let all = all_leave(leavers).await;
        let right = |node: &NodeList| node.get().len() == stay;
        eventually("all lists are right", || nodes.iter().all(right)).await;
        let took = start.elapsed();
        assert!(took < TIMEOUT / 6, "{left} leave: after {took:?}, the last was off after {all:?}");
        for events in changes {
            assert_eq!(causes(events).await, vec![Cause::Left; left]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_exceeds_a_datagram_outlives_a_publisher_that_leaves_at_once() {
    for secret in ["", "secret"] {
        let builder = Config::builder().cycle(Duration::from_secs(1)).timeout(TIMEOUT);
        let config = match secret {
            "" => builder.build().unwrap(),
            secret => builder.secret_key(secret).build().unwrap(),
        };
        let mut nodes = cluster_of(14, &config).await;
        for round in 0..6_u8 {
            let data = vec![round; 20_000 * usize::from(round + 1)];
            let publisher = nodes.pop().unwrap();
            publisher.publish(&data).await.unwrap();
            publisher.leave().await.unwrap();
            let holds = |node: &NodeList| node.read().is_some_and(|held| held.data()[..] == data);
            assert!(nodes.iter().any(holds), "round {round}: somebody holds it when leave returns");
            eventually("all hold it", || nodes.iter().all(holds)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_to_others_returns_when_so_many_hold_it_or_says_how_many_do() {
    let config = Config::builder().cycle(Duration::from_millis(200)).timeout(TIMEOUT / 10);
    let nodes = cluster_of(12, &config.build().unwrap()).await;
    for (data, holders) in [(vec![1; 100], 11), (vec![2; 200_000], 3)] {
        let version = nodes[0].publish_to(&data, holders).await.unwrap();
        let holds = |node: &&NodeList| node.read().is_some_and(|held| held.version() == version);
        assert!(nodes[1..].iter().filter(holds).count() >= holders);
    }
    let error = nodes[0].publish_to("v3", 12).await.unwrap_err();
    let NodeListError::NotConfirmed(NotConfirmed { held_by, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(held_by, 11);
    let told = error.to_string();
    assert!(told.contains("only 11 other nodes"), "{told}");
}
