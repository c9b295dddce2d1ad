//! Named entries by the handle: put, read, followed, and refused in time.

use std::future::IntoFuture as _;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::config::{Config, Wire};
use crate::core::PutError;
use crate::link::Link;
use crate::net::MemoryNetwork;
use crate::node::Node;
use crate::node_list::{EntryNotice, EntryWatch, NodeList, NodeListError};

const DELAY: Duration = Duration::from_millis(2);

/// So many nodes that list each other, in virtual time.
async fn cluster(nodes: u16) -> Vec<NodeList> {
    let network = MemoryNetwork::new(1, Link::uniform(DELAY, DELAY));
    let node = |host| {
        let node = Node::new(format!("10.0.0.{host}:8000"));
        network.node(node, Config::default()).unwrap()
    };
    let lists: Vec<NodeList> = (1..=nodes).map(node).collect();
    for list in &lists {
        list.set("10.0.0.1:8000").unwrap();
        list.join().await.unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    assert!(lists.iter().all(|list| list.get().len() == lists.len()));
    lists
}

fn read(list: &NodeList, key: &str) -> Option<Vec<u8>> {
    list.entry(key).map(|entry| entry.data().unwrap().to_vec())
}

async fn next(watch: &mut EntryWatch) -> EntryNotice {
    let next = timeout(Duration::from_secs(20), watch.recv()).await;
    next.expect("something is told").expect("the list is there")
}

/// The key of what is present, and its value.
#[track_caller]
fn present(notice: &EntryNotice) -> (&str, &[u8]) {
    let EntryNotice::Present(entry) = notice else { panic!("{notice:?}") };
    (entry.key().as_str(), entry.data().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_metadata_is_the_entry_with_the_empty_key() {
    let lists = cluster(3).await;
    let mut watch = lists[2].watch("");
    let version = lists[0].put_to("", "v1", 2).await.unwrap();
    assert_eq!(&lists[1].read().unwrap().data()[..], b"v1");
    lists[0].put("a", "1").await.unwrap();
    sleep(10 * DELAY).await;
    for list in &lists {
        assert_eq!(list.entry("").unwrap().stamp().version, version);
        let all: Vec<_> = list.entries("").iter().map(|it| it.key().as_str().to_owned()).collect();
        assert_eq!(all, ["", "a"]);
        assert_eq!(list.entries("a").iter().count(), 1);
    }
    assert_eq!(present(&next(&mut watch).await), ("", &b"v1"[..]));
    assert_eq!(present(&next(&mut watch).await), ("a", &b"1"[..]));
    let refused =
        [lists[0].put("", "v2").bound().await.map(|_| ()), lists[0].delete("").await.map(|_| ())];
    for refused in refused {
        assert!(matches!(refused, Err(NodeListError::Put(PutError::Nameless))), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_others_are_to_hold_returns_when_they_do_or_says_how_many() {
    let lists = cluster(4).await;
    let version = lists[0].put_to("config/db", "a", 3).await.unwrap();
    for list in &lists {
        assert_eq!(list.entry("config/db").unwrap().stamp().version, version);
    }
    // Two at once of the same bytes, in the same moment: each hears of its own.
    let puts = ["x", "y"].map(|key| lists[0].put_to(key, "same", 2).into_future());
    for put in puts {
        put.await.unwrap();
    }
    let few = lists[1].put_to("config/db", "b", 4).ttl(Duration::from_secs(60)).await;
    let Err(NodeListError::NotConfirmed(why)) = few else { panic!("{few:?}") };
    assert_eq!(why.held_by, 3);
    assert_eq!(read(&lists[2], "config/db").as_deref(), Some(&b"b"[..]));
    let refused = lists[1].put_to("\n", "b", 1).await;
    assert!(matches!(refused, Err(NodeListError::EntryKey(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_put_is_read_here_at_once_and_elsewhere_after_a_few_delays() {
    let lists = cluster(3).await;
    let version = lists[0].put("limits/login", "10").await.unwrap();
    assert_eq!(lists[0].entry("limits/login").unwrap().stamp().version, version);
    sleep(10 * DELAY).await;
    assert!(lists.iter().all(|list| read(list, "limits/login").as_deref() == Some(b"10")));
    let deleted = lists[2].delete("limits/login").await.unwrap();
    assert!(deleted > Some(version));
    assert_eq!(lists[2].delete("limits/login").await.unwrap(), None);
    sleep(10 * DELAY).await;
    assert!(lists.iter().all(|list| list.entry("limits/login").is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_has_the_keys_of_its_prefix_in_order_and_stays_as_it_was() {
    let lists = cluster(2).await;
    for key in ["b/2", "a", "b/1", "b/10"] {
        lists[0].put(key, key).await.unwrap();
    }
    let snapshot = lists[0].entries("b/");
    lists[0].put("b/3", "").await.unwrap();
    let keys: Vec<_> = snapshot.iter().map(|entry| entry.key().as_str()).collect();
    assert_eq!(keys, ["b/1", "b/10", "b/2"]);
    assert!(snapshot.get("a").is_none() && snapshot.get("b/1").is_some());
    assert_eq!(lists[0].entries("").iter().count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_is_there_and_then_what_changes_of_its_prefix_alone() {
    let lists = cluster(2).await;
    lists[0].put("b/1", "one").await.unwrap();
    lists[0].put("a", "not of it").await.unwrap();
    sleep(10 * DELAY).await;
    let mut watch = lists[1].watch("b/");
    assert_eq!(present(&next(&mut watch).await), ("b/1", &b"one"[..]));
    lists[0].put("a", "nor this").await.unwrap();
    lists[0].put("b/2", "two").await.unwrap();
    assert_eq!(present(&next(&mut watch).await), ("b/2", &b"two"[..]));
    lists[0].delete("b/1").await.unwrap();
    let EntryNotice::Gone(key) = next(&mut watch).await else { panic!("it was deleted") };
    assert_eq!(key.as_str(), "b/1");
    lists[0].put("b/3", "3").ttl(Duration::from_secs(3)).await.unwrap();
    assert_eq!(present(&next(&mut watch).await), ("b/3", &b"3"[..]));
    let EntryNotice::Gone(key) = next(&mut watch).await else { panic!("it has expired") };
    assert_eq!((key.as_str(), read(&lists[1], "b/3")), ("b/3", None));
}

#[tokio::test(start_paused = true)]
async fn the_registration_of_a_service_goes_with_its_node() {
    let lists = cluster(3).await;
    lists[2].put("services/web/3", "10.0.0.3:80").bound().await.unwrap();
    sleep(10 * DELAY).await;
    let mut watch = lists[0].watch("services/");
    assert_eq!(present(&next(&mut watch).await).0, "services/web/3");
    lists[2].leave().await.unwrap();
    let EntryNotice::Gone(key) = next(&mut watch).await else { panic!("its node has left") };
    assert_eq!(key.as_str(), "services/web/3");
    assert!(lists[0].entry("services/web/3").is_none());
    // Who starts again registers again.
    lists[2].join().await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert!(lists.iter().all(|list| list.entry("services/web/3").is_none()));
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_put_is_an_error_at_once_that_says_why() {
    let lists = cluster(2).await;
    let told = lists[0].put("a\u{1b}", "").await.unwrap_err().to_string();
    assert!(told.contains("U+001B"), "{told}");
    let told = lists[0].put("k".repeat(257), "").await.unwrap_err().to_string();
    assert!(told.contains("257 bytes, the limit is 256"), "{told}");
    let large = vec![0; (1 << 20) + 1];
    let told = lists[0].put("a", &large).await.unwrap_err().to_string();
    assert!(told.contains("1048577 bytes, at most 1048576"), "{told}");
    lists[0].leave().await.unwrap();
    assert!(matches!(lists[0].put("a", "").await, Err(NodeListError::NotJoined)));
    let legacy = Config::builder().wire(Wire::Pekonode).build().unwrap();
    let legacy = NodeList::new(Node::new("127.0.0.1:0"), legacy).unwrap();
    legacy.join().await.unwrap();
    let refused = legacy.put("a", "").await.unwrap_err();
    assert!(matches!(refused, NodeListError::Put(PutError::NoEntries)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_told_that_it_missed_some_and_then_what_is_held() {
    let lists = cluster(2).await;
    let mut watch = lists[0].watch("k");
    for number in 0..3_000 {
        lists[0].put(format!("k{}", number % 10), number.to_string()).await.unwrap();
    }
    let EntryNotice::Missed(missed) = next(&mut watch).await else { panic!("there were many") };
    assert!(missed > 1_000, "{missed}");
    for key in 0..10 {
        let notice = next(&mut watch).await;
        let value = (2_990 + key).to_string();
        assert_eq!(present(&notice), (&*format!("k{key}"), value.as_bytes()));
    }
}
