//! Go nodes and ours over real TCP, faults included: one connection a packet, read once, never
//! closed by its receiver.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::go::{Go, Sent};
use crate::config::{Config, TransportKind, Wire};
use crate::net::Environment;
use crate::node::Node;
use crate::node_list::NodeList;
use crate::pekonode::LegacyPacket;
use crate::time::Now;
use crate::wire::pekonode::{decode, encode};

const SECOND: Duration = Duration::from_secs(1);
const SIZE: usize = 16_384;

/// A Go node in threads of its own.
#[derive(Clone)]
struct Process {
    go: Arc<Mutex<Go>>,
    node: Node,
    ends: Arc<AtomicBool>,
    /// Packets that it took for none: a Go node would end by them.
    fatal: Arc<AtomicUsize>,
}

fn now() -> Now {
    // The wall clock is all that a Go node goes by.
    Environment::System.clock().now()
}

impl Process {
    fn start(name: &str, seed: Option<&Node>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let node = Node::new(addr).name(name).build().unwrap();
        let mut go = Go::new(node.clone(), 3, 5);
        for known in [Some(&node), seed].into_iter().flatten() {
            go.set(now(), known);
        }
        let (ends, fatal) = (Arc::default(), Arc::default());
        let process = Self { go: Mutex::new(go).into(), node, ends, fatal };
        let (acceptor, beater) = (process.clone(), process.clone());
        std::thread::spawn(move || acceptor.accept(&listener));
        std::thread::spawn(move || beater.beat());
        process
    }

    #[expect(clippy::disallowed_methods, reason = "a process of its own, on real sockets")]
    fn beat(&self) {
        while !self.ends.load(Ordering::Relaxed) {
            let sent = self.go.lock().unwrap().on_cycle(now());
            send(sent);
            std::thread::sleep(SECOND);
        }
    }

    fn accept(&self, listener: &TcpListener) {
        // Go never closes what it accepted.
        let mut accepted = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            let mut buffer = vec![0; SIZE];
            let len = stream.read(&mut buffer).unwrap_or(0);
            match decode(&buffer[..len], SIZE) {
                Ok(packet) => send(self.on_packet(&packet)),
                Err(_) => drop(self.fatal.fetch_add(1, Ordering::Relaxed)),
            }
            accepted.push(stream);
        }
    }

    fn on_packet(&self, packet: &LegacyPacket) -> Sent {
        self.go.lock().unwrap().on_packet(now(), packet)
    }

    fn publish(&self, data: &[u8]) {
        let sent = self.go.lock().unwrap().publish(now(), data);
        send(sent);
    }

    fn holds(&self, data: &[u8]) -> bool {
        self.go.lock().unwrap().metadata.data.as_deref() == Some(data)
    }

    fn lists(&self, count: usize) -> bool {
        self.go.lock().unwrap().list(now()).len() == count
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes the one that waits for a call; if it is gone there is nobody to wake.
        let _ = TcpStream::connect(self.node.addr());
    }
}

/// Each packet on a connection of its own, and the next one when it is out.
fn send(sent: Sent) {
    for (to, packet) in sent {
        if let Ok(mut stream) = TcpStream::connect(to) {
            let mut bytes = Vec::new();
            encode(&packet, &mut bytes);
            // One that is gone meanwhile gets nothing.
            let _ = stream.write_all(&bytes);
        }
    }
}

async fn ours(name: &str, seed: SocketAddr) -> NodeList {
    let config = Config::builder().wire(Wire::Pekonode).protocol(TransportKind::Tcp);
    let config = config.timeout(5 * SECOND).redial(2 * SECOND).build().unwrap();
    let list = NodeList::new(Node::new("127.0.0.1:0").name(name), config).unwrap();
    list.set(seed.to_string()).unwrap();
    list.join().await.unwrap();
    list
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_go_nodes_over_tcp_ours_are_listed_and_metadata_goes_both_ways() {
    let first = Process::start("g1", None);
    let go = [Process::start("g2", Some(&first.node)), first.clone()];
    let ours = [ours("a", first.node.addr()).await, ours("b", first.node.addr()).await];
    eventually("ours list all", || ours.iter().all(|list| list.get().len() == 4)).await;
    // What a Go node was set has no name yet, so until it times out the first is listed twice.
    eventually("the first lists all", || go[1].lists(4)).await;
    ours[0].publish("of ours").await.unwrap();
    let all_hold = |data: &[u8]| {
        let holds = |list: &NodeList| list.read().is_some_and(|held| held.data()[..] == *data);
        go.iter().all(|node| node.holds(data)) && ours.iter().all(holds)
    };
    eventually("all hold what ours published", || all_hold(b"of ours")).await;
    go[0].publish(b"of theirs");
    eventually("all hold what theirs published", || all_hold(b"of theirs")).await;
    assert_eq!(go.map(|node| node.fatal.load(Ordering::Relaxed)), [0, 0]);
    for list in &ours {
        let stats = list.stats();
        assert_eq!((stats.sent, stats.received), (0, 0), "no datagram");
        assert_eq!(stats.rejected.total(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_go_node_that_is_gone_is_removed_over_tcp() {
    let go = Process::start("g1", None);
    let ours = [ours("a", go.node.addr()).await, ours("b", go.node.addr()).await];
    eventually("ours list all", || ours.iter().all(|list| list.get().len() == 3)).await;
    let addr = go.node.addr();
    drop(go);
    let lists = |list: &NodeList| list.get().iter().any(|node| node.addr() == addr);
    eventually("it is removed", || !ours.iter().any(lists)).await;
    assert!(ours.iter().all(|list| list.get().len() == 2));
}
