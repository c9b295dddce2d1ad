//! Clusters with a secret, or with a name of their own, on real UDP sockets on loopback.

mod helpers;

use std::time::Duration;

use rumormill::config::TransportKind;
use rumormill::wire::{Keyring, KeyringError, Reject};
use rumormill::{Config, ConfigBuilder, NodeList, NodeListError, SecretKey};

use helpers::cluster::{cluster_of, eventually, node_of};

const CYCLE: Duration = Duration::from_millis(100);

fn config() -> ConfigBuilder {
    Config::builder().cycle(CYCLE).timeout(20 * CYCLE).redial(2 * CYCLE)
}

fn sealed(secret: &str) -> Config {
    config().secret_key(secret).build().unwrap()
}

/// Publishes on one node and waits until all hold it.
async fn publish(nodes: &[NodeList], writer: usize, data: &str) {
    let version = nodes[writer].publish(data).await.unwrap();
    let holds = |node: &NodeList| node.read().is_some_and(|held| held.version() >= version);
    eventually("every node holds it", || nodes.iter().all(holds)).await;
}

fn rejected(nodes: &[NodeList]) -> Vec<(Reject, u64)> {
    nodes.iter().flat_map(|node| node.stats().rejected.iter().collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_nodes_change_their_secret_under_load_and_no_packet_is_refused() {
    rotate_under_load(sealed("old")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_nodes_that_talk_by_stream_change_their_secret_under_load_and_nothing_is_refused() {
    rotate_under_load(config().protocol(TransportKind::Tcp).secret_key("old").build().unwrap())
        .await;
}

async fn rotate_under_load(config: Config) {
    let nodes = cluster_of(10, &config).await;
    let [old, new] = ["old", "new"].map(SecretKey::from);
    let mut writer = 0;
    let mut load = async || {
        for _ in 0..3 {
            writer = (writer + 3) % nodes.len();
            publish(&nodes, writer, "under load").await;
        }
        tokio::time::sleep(2 * CYCLE).await;
    };
    load().await;
    for node in &nodes {
        node.keys().add(new.clone()).await.unwrap();
        publish(&nodes, 0, "adding").await;
    }
    load().await;
    for node in &nodes {
        node.keys().promote(&new).await.unwrap();
        publish(&nodes, 1, "promoting").await;
    }
    load().await;
    for node in &nodes {
        node.keys().remove(&old).await.unwrap();
        publish(&nodes, 2, "removing").await;
    }
    load().await;
    assert_eq!(rejected(&nodes), []);
    assert!(nodes.iter().all(|node| node.get().len() == nodes.len()));
}

/// Two nodes that do not belong together, each counting the other's packets.
async fn strangers(ours: &Config, theirs: &Config) -> [NodeList; 2] {
    let first = node_of("127.0.0.1:0", &[], ours);
    first.join().await.unwrap();
    let second = node_of("127.0.0.1:0", &[&first], theirs);
    second.join().await.unwrap();
    first.set(second.node().addr().to_string()).unwrap();
    [first, second]
}

async fn count_each_other(ours: &Config, theirs: &Config, reasons: [Reject; 2]) {
    let nodes = strangers(ours, theirs).await;
    for (node, reason) in nodes.iter().zip(reasons) {
        eventually("it is counted", || node.stats().rejected.of(reason) >= 2).await;
        let others: Vec<_> = node.stats().rejected.iter().filter(|(r, _)| *r != reason).collect();
        // Without a secret the first packet of a cluster can't be told from a damaged one.
        assert!(others.iter().all(|&other| other == (Reject::Damaged, 1)), "{others:?}");
        assert_eq!(node.get().len(), 1);
    }
}

#[tokio::test]
async fn packets_of_another_cluster_are_dropped_and_counted() {
    let [blue, green] = ["blue", "green"].map(|cluster| config().cluster(cluster).build().unwrap());
    count_each_other(&blue, &green, [Reject::WrongCluster; 2]).await;
    let sealed = |cluster: &str| config().cluster(cluster).secret_key("same").build();
    let [blue, green] = ["blue", "green"].map(|cluster| sealed(cluster).unwrap());
    count_each_other(&blue, &green, [Reject::WrongCluster; 2]).await;
}

#[tokio::test]
async fn calls_of_another_secret_cluster_or_without_a_seal_are_refused_and_counted() {
    let tcp = || config().protocol(TransportKind::Tcp);
    let with =
        |secret: &str, cluster: &str| tcp().secret_key(secret).cluster(cluster).build().unwrap();
    let blue = with("one", "blue");
    count_each_other(&blue, &with("one", "green"), [Reject::WrongCluster; 2]).await;
    count_each_other(&blue, &with("two", "blue"), [Reject::UnknownKey; 2]).await;
    let plain = tcp().build().unwrap();
    count_each_other(&plain, &blue, [Reject::Sealed, Reject::Unsealed]).await;
}

#[tokio::test]
async fn packets_of_another_secret_or_without_a_seal_are_dropped_and_counted() {
    count_each_other(&sealed("one"), &sealed("another"), [Reject::UnknownKey; 2]).await;
    let plain = config().build().unwrap();
    count_each_other(&plain, &sealed("one"), [Reject::Sealed, Reject::Unsealed]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_secret_may_restart() {
    let nodes = cluster_of(3, &sealed("secret")).await;
    let addr = nodes[2].node().addr();
    // Once with the handle and a goodbye, once as another process after a crash.
    nodes[2].leave().await.unwrap();
    nodes[2].join().await.unwrap();
    eventually("all list all", || nodes.iter().all(|node| node.get().len() == 3)).await;
    let mut nodes = nodes;
    drop(nodes.pop());
    let free = || std::net::UdpSocket::bind(addr).is_ok();
    eventually("the port is free", free).await;
    let again = node_of(&addr.to_string(), &[&nodes[0]], &sealed("secret"));
    again.join().await.unwrap();
    nodes.push(again);
    publish(&nodes, 2, "back again").await;
    publish(&nodes, 0, "heard").await;
    assert_eq!(rejected(&nodes[..2]), []);
}

#[tokio::test]
async fn what_can_not_be_done_with_secrets_is_said() {
    let plain = node_of("127.0.0.1:0", &[], &config().build().unwrap());
    let error = plain.keys().add("hush".into()).await.unwrap_err();
    assert!(matches!(error, NodeListError::Keyring(KeyringError::Unsealed)), "{error}");

    let list = node_of("127.0.0.1:0", &[], &sealed("hush"));
    let hush = SecretKey::from("hush");
    let error = list.keys().remove(&hush).await.unwrap_err();
    assert!(matches!(error, NodeListError::Keyring(KeyringError::Sealing)), "{error}");
    assert!(!format!("{error} {error:?} {list:?}").contains("hush"));
    for more in 1..Keyring::LEN_MAX {
        list.keys().add(more.to_string().as_str().into()).await.unwrap();
    }
    let error = list.keys().add("more".into()).await.unwrap_err();
    assert!(matches!(error, NodeListError::Keyring(KeyringError::Full)), "{error}");
}

#[tokio::test]
async fn secrets_changed_before_the_join_are_those_that_seal() {
    let list = node_of("127.0.0.1:0", &[], &sealed("old"));
    let new = SecretKey::from("new");
    list.keys().add(new.clone()).await.unwrap();
    list.keys().promote(&new).await.unwrap();
    list.join().await.unwrap();
    let other = node_of("127.0.0.1:0", &[&list], &sealed("new"));
    other.join().await.unwrap();
    eventually("both list both", || list.get().len() == 2 && other.get().len() == 2).await;
}
