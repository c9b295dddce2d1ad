//! The known faults of pekonode, by name: our node has none of them, whatever its wire.
//!
//! Those that show only beside Go nodes stand with the machine for that wire, under the same
//! names.

mod helpers;

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rumormill::config::{Setting, TransportKind, Wire};
use rumormill::core::{
    Carrier, Class, Command, Engine, Input, Outbox, Output, Record, SharedRecords, Value,
};
use rumormill::node::Generation;
use rumormill::time::{Instant, Now, UnixNanos};
use rumormill::{
    Config, ConfigBuilder, Event, Node, NodeBuilder, NodeList, NodeListError, pekonode, wire,
};
use rumormill_sim::scenario::{self, Scenario};
use rumormill_tests::assert_holds;

use helpers::cluster::{CYCLE, TIMEOUT, cluster_of, eventually};

/// A node's settings on either wire, by datagram and by stream.
fn configs() -> [Config; 4] {
    let [native, pekonode] = [Wire::Native, Wire::Pekonode];
    let [udp, tcp] = [TransportKind::Udp, TransportKind::Tcp];
    let ways = [(native, udp), (pekonode, udp), (native, tcp), (pekonode, tcp)];
    ways.map(|(wire, protocol)| config(wire, protocol))
}

fn config(wire: Wire, protocol: TransportKind) -> Config {
    let config = Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(2 * CYCLE);
    config.wire(wire).protocol(protocol).build().unwrap()
}

fn node(addr: &str, config: &Config) -> NodeList {
    NodeList::new(Node::new(addr).name("A"), config.clone()).unwrap()
}

fn scenario(text: &str) -> Scenario {
    let text = format!("duration = \"60s\"\n{text}");
    scenario::parse("faults.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn exponential_copies() {
    // Among thirty Go nodes it is 68,889 packets. Here each is told once, but for a repeat or two
    // of what was answered later than any before.
    let publish = scenario(
        r#"
        name = "copies"
        nodes = 30
        bootstrap = "full"
        [engine]
        swap = "off" # it would bring the value once more to whom it was on its way
        [[at]]
        time = "30s"
        publish = { node = 0, data = "v" }
        [expect]
        "rumors.metadata.messages" = "<= 31"
        "rumors.metadata.coverage" = "== 100%"
        "#,
    );
    assert_holds(&publish, 1);
}

#[test]
fn same_swap_partner_for_ever() {
    // With the rumor lost to most, only swaps with ever other partners reach all.
    let swaps = scenario(
        r#"
        name = "partners"
        nodes = 20
        bootstrap = "full"
        [[at]]
        time = "20s"
        loss = "95%"
        for = "1s"
        [[at]]
        time = "20s"
        publish = { node = 0, data = "v" }
        [expect]
        "rumors.metadata.coverage" = "== 100%"
        "#,
    );
    assert_holds(&swaps, 1);
}

#[test]
fn removed_nodes_revived_by_an_old_copy() {
    let crash = scenario(
        r#"
        name = "revived"
        nodes = 30
        bootstrap = "full"
        [network]
        latency = "1ms..100ms"
        duplicate = "20%"
        [[at]]
        time = "20s"
        crash = 7
        [expect]
        "view_error.ghosts_end" = "== 0"
        "removals.right" = "== 29"
        "#,
    );
    assert_holds(&crash, 1);
}

/// An age leaves out the time that a copy was in flight, for no clock shows it. So a node that
/// missed the last beats may list the dead once more by a newer one that was long under way: never
/// by a copy of what it knew, and for no longer than the timeout and the flights of the last beat,
/// here at most three of two seconds. What a network so slow costs is false removals.
#[test]
fn removed_nodes_revived_by_an_old_copy_stay_gone_when_the_last_beats_have_landed() {
    for seed in 1..=3 {
        let crash = scenario(
            r#"
            name = "slow"
            nodes = 30
            bootstrap = "full"
            [engine]
            liveness = "beats"
            timeout = "5s"
            [network]
            latency = "1ms..2s"
            duplicate = "20%"
            [[at]]
            time = "20s"
            crash = 7
            [expect]
            "view_error.ghosts_end" = "== 0"
            "detection.all" = "<= 11500ms"
            "removals.right" = "<= 35"
            "#,
        );
        assert_holds(&crash, seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_private_data_lists_a_node_twice() {
    for config in configs() {
        let nodes = cluster_of(3, &config).await;
        let changed = NodeBuilder::from(nodes[1].node()).private_data("zone=2");
        nodes[1].update(changed).unwrap();
        let holds = |node: &NodeList| node.get().iter().any(|it| it.private_data() == "zone=2");
        eventually("all have heard", || nodes.iter().all(holds)).await;
        assert!(nodes.iter().all(|node| node.get().len() == 3));
    }
}

#[test]
fn a_future_update_wins_for_ever() {
    let mut pair = Pair::new();
    pair.run(2);
    pair.wall_ahead[1] = HOUR;
    pair.publish(1, b"future");
    pair.run(3);
    pair.publish(0, b"present");
    pair.run(3);
    for engine in &pair.engines {
        assert_eq!(engine.metadata().map(|held| &held.data()[..]), Some(&b"present"[..]));
    }
}

#[test]
fn equal_update_diverges_for_ever() {
    // All clocks are the same here, so the two versions have one time.
    let tie = scenario(
        r#"
        name = "tie"
        nodes = 10
        bootstrap = "full"
        [[at]]
        time = "10s"
        publish = { node = 3, data = "a" }
        [[at]]
        time = "10s"
        publish = { node = 4, data = "b" }
        [expect]
        "metadata.converged" = "== true"
        "#,
    );
    assert_holds(&tie, 1);
}

#[test]
fn partitions_longer_than_timeout_never_heal() {
    let split = scenario(
        r#"
        name = "split"
        nodes = 20
        bootstrap = "full"
        [engine]
        timeout = "5s"
        [[at]]
        time = "10s"
        partition = ["0..10", "10..20"]
        for = "25s"
        [expect]
        "node_list.converged_after" = "<= 13s"
        "#,
    );
    assert_holds(&split, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_datagram_kills_the_process() {
    for config in configs() {
        let nodes = cluster_of(2, &config).await;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = nodes[0].node().addr();
        let counted = || {
            let stats = nodes[0].stats();
            stats.rejected.total() + stats.streams.broken
        };
        let before = counted();
        for bytes in [&b"{}"[..], b"", b"null", b"{\"Node\":", b"\xff\xfe", b"[[[[[[[["] {
            match config.protocol() {
                TransportKind::Udp => drop(socket.send_to(bytes, addr).unwrap()),
                TransportKind::Tcp => TcpStream::connect(addr).unwrap().write_all(bytes).unwrap(),
                other => unreachable!("no Go node speaks {other}"),
            }
        }
        eventually("all are counted", || counted() >= before + 6).await;
        let version = nodes[0].publish("alive").await.unwrap();
        let holds = || nodes[1].read().is_some_and(|held| held.version() == version);
        eventually("the node lives", holds).await;
    }
}

#[tokio::test]
async fn the_key_travels_readable() {
    // On the wire of pekonode its MD5 does, as the Go nodes want it; on ours nothing of it.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let config = Config::builder().secret_key("test_key").build().unwrap();
    let list = node("127.0.0.1:0", &config);
    list.set(socket.local_addr().unwrap().to_string()).unwrap();
    list.join().await.unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let mut buffer = [0; 2_000];
        let len = socket.recv(&mut buffer).expect("the node asks to join");
        buffer[..len].to_vec()
    });
    let heard = String::from_utf8_lossy(&heard.await.unwrap()).into_owned();
    for readable in ["test_key", "8c32d1183251df9828f929b935ae0419", "127.0.0.1"] {
        assert!(!heard.contains(readable), "{heard}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_then_start_doubles_beats() {
    for config in configs() {
        let nodes = cluster_of(2, &config).await;
        for _ in 0..10 {
            nodes[0].stop();
            tokio::time::sleep(CYCLE / 20).await;
            nodes[0].start();
            tokio::time::sleep(CYCLE / 20).await;
        }
        tokio::time::sleep(2 * CYCLE).await;
        let sent = || nodes[0].stats().sent + nodes[0].stats().streams.sent;
        let before = sent();
        tokio::time::sleep(10 * CYCLE).await;
        let sent = sent() - before;
        // A beat or two, a swap and its answers a cycle; ten times as many if each start counted.
        assert!(sent <= 120, "{sent} packets in ten cycles");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_twice_doubles_everything() {
    for config in configs() {
        let list = node("127.0.0.1:0", &config);
        list.join().await.unwrap();
        let addr = list.local_addr();
        for _ in 0..3 {
            list.join().await.unwrap();
        }
        assert_eq!((list.local_addr(), list.get().len()), (addr, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_close() {
    for config in configs() {
        for _ in 0..2 {
            let list = node("127.0.0.1:0", &config);
            list.join().await.unwrap();
            let addr = list.local_addr().unwrap();
            list.leave().await.unwrap();
            assert!(is_free(addr), "the port is free when leave returns");
        }
        let list = node("127.0.0.1:0", &config);
        list.join().await.unwrap();
        let addr = list.local_addr().unwrap();
        drop(list);
        eventually("the port is free after drop", || is_free(addr)).await;
    }
}

fn is_free(addr: SocketAddr) -> bool {
    UdpSocket::bind(addr).is_ok() && TcpListener::bind(addr).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_accepted_connections_never_closed() {
    for wire in [Wire::Native, Wire::Pekonode] {
        let list = node("127.0.0.1:0", &config(wire, TransportKind::Tcp));
        list.join().await.unwrap();
        let addr = list.local_addr().unwrap();
        let callers: Vec<_> = (0..40).map(|_| TcpStream::connect(addr).unwrap()).collect();
        let stats = || list.stats().streams;
        eventually("all are accepted", || stats().accepted == 40).await;
        // None of them says a word, and none of them hangs up.
        // Those beyond the share of one address had to go before.
        let closed = || stats().slow + stats().evicted;
        eventually("all are closed and counted", || (closed(), stats().open) == (40, 0)).await;
        drop(callers);
    }
}

/// A beat of a Go node at this address, as it stands on the wire.
fn beat_of(addr: SocketAddr) -> Vec<u8> {
    let node = Node::new(addr.to_string()).name("go").private_data("x".repeat(500));
    let packet = pekonode::LegacyPacket {
        node: node.build().unwrap(),
        infected: (1..400).map(|port| pekonode::mark(([10, 0, 0, 1], port).into())).collect(),
        metadata: pekonode::Carried::NONE,
        kind: pekonode::Kind::Beat,
        secret_key: pekonode::SecretDigest::default(),
    };
    let mut bytes = Vec::new();
    rumormill::wire::pekonode::encode(&packet, &mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_read_per_message() {
    let list = node("127.0.0.1:0", &config(Wire::Pekonode, TransportKind::Tcp));
    list.join().await.unwrap();
    let go = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(list.local_addr().unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in beat_of(go.local_addr().unwrap()).chunks(2_000) {
        stream.write_all(piece).unwrap();
        tokio::time::sleep(CYCLE / 10).await;
    }
    drop(stream);
    eventually("it is listed", || list.get().len() == 2).await;
    // Towards a Go node, which reads once, each packet goes out in one piece and then ends.
    let heard = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = go.accept().unwrap();
        let mut buffer = [0; 16_384];
        let len = stream.read(&mut buffer).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the sender closes");
        rumormill::wire::pekonode::decode(&buffer[..len], 16_384)
    });
    assert_eq!(heard.await.unwrap().unwrap().node, list.node());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hung_peer_stops_all_beats() {
    let nodes = cluster_of(2, &config(Wire::Pekonode, TransportKind::Tcp)).await;
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = hung.local_addr().unwrap();
    // It takes no call, and what the system takes for it is full.
    let mut callers = Vec::new();
    while let Ok(caller) = TcpStream::connect_timeout(&addr, CYCLE) {
        callers.push(caller);
        assert!(callers.len() < 10_000, "this system has no end of room for calls");
    }
    let beat = beat_of(addr);
    for round in 0..20 {
        for node in &nodes {
            TcpStream::connect(node.node().addr()).unwrap().write_all(&beat).unwrap();
        }
        let start = tokio::time::Instant::now();
        let version = nodes[round % 2].publish("v").await.unwrap();
        let holds = |node: &NodeList| node.read().is_some_and(|held| held.version() == version);
        eventually("both hold it", || nodes.iter().all(holds)).await;
        assert!(start.elapsed() < TIMEOUT, "round {round}: {:?}", start.elapsed());
        tokio::time::sleep(CYCLE).await;
        assert!(nodes.iter().all(|node| node.get().len() == 3), "nobody is removed");
    }
    assert!(nodes.iter().any(|node| node.stats().streams.dropped_by_failure > 0), "it hangs");
}

#[tokio::test]
async fn bind_failure_only_prints() {
    for config in configs() {
        let taken = node("127.0.0.1:0", &config);
        taken.join().await.unwrap();
        let list = node(&taken.local_addr().unwrap().to_string(), &config);
        let error = list.join().await.unwrap_err();
        assert!(matches!(error, NodeListError::Listen { .. }), "{error}");
        assert!(list.local_addr().is_none());
    }
}

#[test]
fn negative_settings_crash() {
    for key in ["fan_out", "buffer", "size", "members_max", "metadata_len_max"] {
        let mut builder = ConfigBuilder::default();
        let error = builder.set(key, &Setting::Integer(-1)).unwrap_err();
        assert_eq!(error.key(), key, "{error}");
    }
    for key in ["cycle", "timeout", "redial"] {
        for wrong in [Setting::Integer(-1), Setting::Text("-1s".into())] {
            assert_eq!(ConfigBuilder::default().set(key, &wrong).unwrap_err().key(), key);
        }
    }
    assert!(Config::builder().cycle(Duration::ZERO).build().is_err());
}

#[test]
fn clock_jumps_empty_the_list() {
    let mut pair = Pair::new();
    pair.run(5);
    for jumps in [[HOUR, 0], [-HOUR, 0], [-HOUR, HOUR], [0, 0]] {
        pair.wall_ahead = jumps;
        pair.run(20);
        assert!(pair.engines.iter().all(|engine| engine.members_len() == 2));
    }
    assert_eq!(pair.removals, 0);
}

const HOUR: i64 = 3_600_000_000_000;

/// Two engines whose packets arrive at once and whose wall clocks may be wrong.
struct Pair {
    engines: [Engine; 2],
    /// Nanoseconds.
    wall_ahead: [i64; 2],
    mono: Instant,
    removals: usize,
}

impl Pair {
    fn new() -> Self {
        let mono = Instant::from_nanos(1 << 56);
        let addrs = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let now = Self::wall(mono, 0);
        let engine = |addr| {
            let record = Record::new(Node::at(addr), Generation::start(None, now.wall));
            let (config, roster) =
                (Arc::new(Config::default()), Arc::new(SharedRecords::default()));
            Engine::new(record.into(), config, roster, 1, now)
        };
        let mut pair = Self { engines: addrs.map(engine), wall_ahead: [0; 2], mono, removals: 0 };
        pair.input(1, Input::Command(Command::Seeds(vec![addrs[0]])));
        pair
    }

    fn wall(mono: Instant, ahead: i64) -> Now {
        let run = i64::try_from(mono.as_nanos() - (1 << 56)).unwrap();
        Now { mono, wall: UnixNanos(1_800_000_000_000_000_000 + run + ahead) }
    }

    fn publish(&mut self, at: usize, data: &[u8]) {
        let value = Value::new(data, self.engines[at].config()).unwrap();
        self.input(at, Input::Command(Command::Publish(value)));
    }

    fn run(&mut self, seconds: u32) {
        for _ in 0..seconds * 20 {
            self.mono = self.mono + Duration::from_millis(50);
            self.input(0, Input::Timeout);
            self.input(1, Input::Timeout);
        }
    }

    fn input(&mut self, at: usize, input: Input) {
        let mut inputs = VecDeque::from([(at, input)]);
        let mut out = Outbox::new();
        while let Some((at, input)) = inputs.pop_front() {
            let now = Self::wall(self.mono, self.wall_ahead[at]);
            self.engines[at].handle(now, input, &mut out);
            let from = self.engines[at].me().node().addr();
            for output in out.drain() {
                match output {
                    Output::Send { packet, class, .. } => {
                        let carrier = match class {
                            Class::Datagram => Carrier::Datagram(wire::encoded_len(&packet)),
                            Class::Stream => Carrier::Stream,
                        };
                        inputs.push_back((1 - at, Input::Packet { from, carrier, packet }));
                    }
                    Output::Event(Event::Removed { .. }) => self.removals += 1,
                    Output::Event(_) | Output::Answer(_) | Output::Flush => {}
                }
            }
        }
    }
}
