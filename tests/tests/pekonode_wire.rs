//! Nodes with `wire = "pekonode"` on real sockets: among themselves, and towards packets that Go
//! nodes sent.

mod helpers;

use std::net::UdpSocket;
use std::time::Duration;

use rumormill::config::{TransportKind, Wire};
use rumormill::core::Cause;
use rumormill::pekonode::{Carried, Kind, LegacyPacket, SecretDigest};
use rumormill::wire::Reject;
use rumormill::wire::pekonode::{decode, encode};
use rumormill::{Config, Node, NodeList};

use helpers::cluster::{CYCLE, TIMEOUT, cluster_of, eventually, lists, removal};

fn config() -> Config {
    config_of(TransportKind::Udp)
}

fn config_of(protocol: TransportKind) -> Config {
    let config = Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(2 * CYCLE);
    config.wire(Wire::Pekonode).protocol(protocol).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_list_each_other_agree_and_remove_one_that_is_gone() {
    live_together(&config_of(TransportKind::Udp)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_over_tcp_list_each_other_agree_and_remove_one_that_is_gone() {
    live_together(&config_of(TransportKind::Tcp)).await;
}

async fn live_together(config: &Config) {
    let mut nodes = cluster_of(3, config).await;
    for (writer, data) in [(0, "v1"), (2, "v2")] {
        let version = nodes[writer].publish(data).await.unwrap();
        let holds = |node: &NodeList| node.read().is_some_and(|held| held.version() == version);
        eventually("every node holds it", || nodes.iter().all(holds)).await;
    }
    let gone = nodes.pop().unwrap();
    let addr = gone.node().addr();
    let changes: Vec<_> = nodes.iter().map(NodeList::subscribe).collect();
    gone.leave().await.unwrap();
    for events in changes {
        assert_eq!(removal(events, addr).await, Cause::Timeout);
    }
    assert!(nodes.iter().all(|node| !lists(node, addr)));
}

/// A socket that speaks as a Go node does.
struct Peer {
    socket: UdpSocket,
    node: Node,
}

impl Peer {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let node = Node::new(socket.local_addr().unwrap().to_string()).name("go").build().unwrap();
        Self { socket, node }
    }

    fn send(&self, to: &NodeList, kind: Kind, metadata: Carried) {
        let node = self.node.clone();
        let secret_key = SecretDigest::default();
        let packet = LegacyPacket { node, infected: [].into(), metadata, kind, secret_key };
        let mut bytes = Vec::new();
        encode(&packet, &mut bytes);
        self.socket.send_to(&bytes, to.local_addr().unwrap()).unwrap();
    }

    /// The next packet of this kind, and its text.
    fn receive(&self, kind: Kind) -> (LegacyPacket, String) {
        let mut buffer = [0; 16_384];
        loop {
            let len = self.socket.recv(&mut buffer).expect("a packet comes in time");
            let packet = decode(&buffer[..len], 16_384).expect("it is a packet of pekonode");
            if packet.kind == kind {
                return (packet, String::from_utf8(buffer[..len].to_vec()).unwrap());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_beats_is_listed_beaten_to_and_answered() {
    let list = NodeList::new(Node::new("127.0.0.1:0").name("A").private_data("d"), config());
    let list = list.unwrap();
    list.join().await.unwrap();
    let peer = Peer::new();
    peer.send(&list, Kind::Beat, Carried::NONE);
    eventually("it is listed", || lists(&list, peer.node.addr())).await;
    let (beat, text) = peer.receive(Kind::Beat);
    assert_eq!(beat.node, list.node());
    let (us, them) = (list.node().addr(), peer.node.addr());
    let mut marks = [format!("\"{us}\":true"), format!("\"{them}\":true")];
    marks.sort();
    let (port, marks) = (us.port(), marks.join(","));
    let expected = [
        r#"{"Node":{"Addr":"127.0.0.1","Port":"#,
        &port.to_string(),
        r#","Name":"A","PrivateData":"d"},"Infected":{"#,
        &marks,
        r#"},"Metadata":{"Data":null,"Update":0},"IsUpdate":false,"IsSwap":0,"SecretKey":""}"#,
    ]
    .concat();
    assert_eq!(text, expected);
    let version = list.publish("v").await.unwrap();
    let (publish, _) = peer.receive(Kind::Publish);
    assert_eq!(publish.metadata.update, version.nanos);
    // Asked by one that holds nothing, it answers at the address that the packet names.
    peer.send(&list, Kind::SwapRequest, Carried::NEVER);
    let (answer, text) = peer.receive(Kind::SwapAnswer);
    assert_eq!(answer.metadata.data.as_deref(), Some(&b"v"[..]));
    assert!(text.contains(r#""Infected":{},"Metadata":{"Data":"dg==","#), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_secret_the_go_nodes_that_have_it_are_heard_and_no_others() {
    let config = Config::builder().wire(Wire::Pekonode).secret_key("test_key").build().unwrap();
    let list = NodeList::new(Node::new("127.0.0.1:0"), config).unwrap();
    list.join().await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for vector in ["14_publish_secret", "01_heartbeat_plain"] {
        let file = format!("engine/tests/vectors/{vector}.json");
        let bytes = std::fs::read(rumormill_tests::root().join(file)).unwrap();
        socket.send_to(&bytes, list.local_addr().unwrap()).unwrap();
    }
    eventually("both have arrived", || list.stats().received >= 2).await;
    eventually("one is listed", || list.get().len() == 2).await;
    eventually("the other is counted", || list.stats().engine.keys_wrong == 1).await;
    assert!(list.get().iter().any(|node| node.addr().port() == 18_101));
    let changed = list.keys().add("other".into()).await;
    assert!(changed.is_err(), "a Go node has one key for its life, and so have we among them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_go_nodes_sent_is_taken_in_and_wrong_keys_and_odd_names_are_counted() {
    let list = NodeList::new(Node::new("127.0.0.1:0"), config()).unwrap();
    list.join().await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = rumormill_tests::root().join("engine/tests/vectors");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    for file in &files {
        socket.send_to(&std::fs::read(file).unwrap(), list.local_addr().unwrap()).unwrap();
    }
    let secret = files.iter().filter(|file| file.to_string_lossy().contains("_secret")).count();
    eventually("all have arrived", || list.stats().received >= files.len() as u64).await;
    eventually("the wrong key is counted", || list.stats().engine.keys_wrong == secret as u64)
        .await;
    // The node at 18005 has a name that would write on a terminal.
    let rejected = list.stats().rejected;
    assert_eq!((rejected.of(Reject::BadText), rejected.total()), (3, 3));
    let ports: Vec<_> = list.get().iter().map(|node| node.addr().port()).collect();
    for port in [18_001, 18_003, 18_006] {
        assert!(ports.contains(&port), "{port} in {ports:?}");
    }
    assert!(!ports.contains(&18_005), "{ports:?}");
    socket.send_to(b"rm\x01\x01", list.local_addr().unwrap()).unwrap();
    eventually("a packet of our own wire is refused", || {
        list.stats().rejected.of(Reject::Malformed) == 1
    })
    .await;
}
