//! Clusters on real TCP sockets: large values, everything by stream, and peers that misbehave.

mod helpers;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use tokio::time::Instant;

use rumormill::config::TransportKind;
use rumormill::core::packet::{
    Announcement, Body, Call, Fetch, LastCall, RingArc, Rumor, Subject, Token,
};
use rumormill::core::{AgeStep, Cause, Packet};
use rumormill::node::NodeId;
use rumormill::time::{Now, UnixNanos};
use rumormill::wire::{self, Guard, Reject, Run, StreamGuard, StreamSealer};
use rumormill::{Config, ConfigBuilder, NodeList, Version};

use helpers::cluster::{CYCLE, TIMEOUT, cluster, cluster_of, eventually, removal};

fn config() -> ConfigBuilder {
    Config::builder().cycle(CYCLE).timeout(TIMEOUT).redial(2 * CYCLE)
}

fn tcp() -> Config {
    config().protocol(TransportKind::Tcp).build().unwrap()
}

fn large(seed: usize) -> Vec<u8> {
    (0..1 << 20).map(|at: usize| (at.wrapping_mul(seed) >> 3) as u8).collect()
}

fn holds(node: &NodeList, data: &[u8]) -> bool {
    node.read().is_some_and(|held| held.data()[..] == *data)
}

async fn until_all_hold(nodes: &[NodeList], data: &[u8]) {
    eventually("all hold it", || nodes.iter().all(|node| holds(node, data))).await;
}

fn frame(body: Body) -> Vec<u8> {
    let mut packet = Vec::new();
    let now = Now { mono: rumormill::time::Instant::ZERO, wall: UnixNanos(0) };
    let addr = "127.0.0.1:9".parse().unwrap();
    let run = Run { addr, random: [0; 8], now };
    let mut guard = Guard::new(&Config::default(), &run);
    guard.encode(now, &Packet::new(AgeStep(5_000), body), &mut packet);
    let mut frame = (packet.len() as u32).to_le_bytes().to_vec();
    frame.extend(packet);
    frame
}

/// Calls a node as one that is reached at this port.
fn call(to: SocketAddr, port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(b"rms\x01").unwrap();
    stream.write_all(&port.to_le_bytes()).unwrap();
    stream
}

/// Waits, without blocking the runtime, until the other side has closed.
async fn until_closed(mut stream: TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let start = Instant::now();
    loop {
        match stream.read(&mut [0; 64]) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => return,
        }
        assert!(start.elapsed() < Duration::from_secs(20), "it is still open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_published_across_twenty_nodes_reaches_all_and_travels_about_once_to_each() {
    let nodes = cluster(20).await;
    for (writer, seed) in [(3, 7), (11, 13)] {
        let data = large(seed);
        nodes[writer].publish(&data).await.unwrap();
        until_all_hold(&nodes, &data).await;
    }
    let transfers: u64 = nodes.iter().map(|node| node.stats().engine.transfers).sum();
    // Where a busy machine keeps one waiting for long it asks again, and may get the value twice.
    assert!((2 * 19..3 * 19).contains(&transfers), "{transfers} transfers");
    let stats = nodes[5].stats();
    assert!(stats.received_bytes < 1 << 20, "not by datagram: {stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_byte_above_the_limit_is_an_error_to_the_publisher() {
    let nodes = cluster(1).await;
    let error = nodes[0].publish(vec![0; (1 << 20) + 1]).await.unwrap_err().to_string();
    assert!(error.contains("1048577") && error.contains("1048576"), "{error}");
    assert!(nodes[0].read().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tcp_nodes_join_publish_crash_and_leave_as_with_udp() {
    let mut nodes = cluster_of(5, &tcp()).await;
    UdpSocket::bind(nodes[0].local_addr().unwrap()).expect("no UDP socket is bound");
    for (writer, data) in [(0, b"v1".to_vec()), (4, large(3)), (2, b"v3".to_vec())] {
        nodes[writer].publish(&data).await.unwrap();
        until_all_hold(&nodes, &data).await;
    }
    let crashed = nodes.pop().unwrap();
    let addr = crashed.node().addr();
    let changes: Vec<_> = nodes.iter().map(NodeList::subscribe).collect();
    drop(crashed);
    for events in changes {
        assert_eq!(removal(events, addr).await, Cause::Timeout);
    }
    let leaver = nodes.pop().unwrap();
    let addr = leaver.node().addr();
    let changes: Vec<_> = nodes.iter().map(NodeList::subscribe).collect();
    leaver.leave().await.unwrap();
    for events in changes {
        assert_eq!(removal(events, addr).await, Cause::Left);
    }
    for node in &nodes {
        let stats = node.stats();
        assert_eq!((stats.sent, stats.received), (0, 0), "no datagram");
        assert_eq!(node.get().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_sealed_with_a_secret_and_strangers_are_refused() {
    for protocol in [TransportKind::Udp, TransportKind::Tcp] {
        let config = config().protocol(protocol).secret_key("secret").build().unwrap();
        let nodes = cluster_of(3, &config).await;
        let data = large(21);
        nodes[0].publish(&data).await.unwrap();
        until_all_hold(&nodes, &data).await;
        until_closed(call(nodes[0].node().addr(), 9)).await;
        let refused = || nodes[0].stats().rejected.of(Reject::Unsealed);
        eventually("it is refused", || refused() == 1).await;
    }
}

/// A connection of one that holds the secret, and all that was written to it.
struct SealedCall {
    stream: TcpStream,
    sealer: StreamSealer,
    written: Vec<u8>,
}

impl SealedCall {
    fn to(node: &NodeList, config: &Config) -> Self {
        let call = StreamGuard::of(config).dial(9, [1; 16]);
        let written = call.hello();
        let mut stream = TcpStream::connect(node.node().addr()).unwrap();
        stream.write_all(&written).unwrap();
        let mut answer = vec![0; call.answer_len()];
        stream.read_exact(&mut answer).unwrap();
        let sealer = call.answered(&answer).expect("the node holds the secret as well");
        Self { stream, sealer, written }
    }

    /// The next packet as it stands on the connection.
    fn frame(&mut self) -> Vec<u8> {
        let (mut packet, mut sealed) = (Vec::new(), Vec::new());
        wire::encode(
            &Packet::new(AgeStep(5_000), Body::LastCall(LastCall::default())),
            &mut packet,
        );
        self.sealer.seal(&packet, &mut sealed);
        [&(sealed.len() as u32).to_le_bytes()[..], &sealed].concat()
    }

    fn write(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).unwrap();
        self.written.extend(frame);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_repeated_left_out_moved_or_changed_end_a_sealed_connection() {
    let config = config().protocol(TransportKind::Tcp).secret_key("secret").build().unwrap();
    let nodes = cluster_of(1, &config).await;
    let stats = || nodes[0].stats();
    let meddle: [fn(&mut [Vec<u8>; 3]); 4] = [
        |frames| frames[1] = frames[0].clone(),
        |frames| drop(frames[1].drain(..)),
        |frames| frames.swap(1, 2),
        |frames| frames[1][20] ^= 1,
    ];
    for (before, meddle) in (0..).zip(meddle) {
        let mut call = SealedCall::to(&nodes[0], &config);
        let mut frames = [(); 3].map(|()| call.frame());
        meddle(&mut frames);
        call.write(&frames.concat());
        until_closed(call.stream).await;
        eventually("it is counted", || stats().streams.out_of_sequence == before + 1).await;
        assert_eq!(stats().rejected.of(Reject::BadSeal), before + 1);
    }
    // What is cut within a packet is no packet.
    let mut call = SealedCall::to(&nodes[0], &config);
    let frame = call.frame();
    call.write(&frame[..frame.len() - 1]);
    drop(call);
    eventually("it is counted", || stats().streams.broken == 1).await;
    assert_eq!(stats().streams.out_of_sequence, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_connection_that_is_played_back_opens_nothing() {
    let config = config().protocol(TransportKind::Tcp).secret_key("secret").build().unwrap();
    let nodes = cluster_of(1, &config).await;
    let stats = || nodes[0].stats();
    let mut call = SealedCall::to(&nodes[0], &config);
    let frame = call.frame();
    call.write(&frame);
    eventually("it is taken", || stats().streams.received == 1).await;
    let mut again = TcpStream::connect(nodes[0].node().addr()).unwrap();
    again.write_all(&call.written).unwrap();
    until_closed(again).await;
    eventually("it is counted", || stats().streams.out_of_sequence == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_free_after_leave_and_after_drop() {
    for protocol in [TransportKind::Udp, TransportKind::Tcp] {
        let config = config().protocol(protocol).build().unwrap();
        let mut nodes = cluster_of(3, &config).await;
        let data = large(5);
        nodes[0].publish(&data).await.unwrap();
        until_all_hold(&nodes, &data).await;
        let leaver = nodes.pop().unwrap();
        let addr = leaver.node().addr();
        leaver.leave().await.unwrap();
        TcpListener::bind(addr).expect("the port is free when leave returns");
        UdpSocket::bind(addr).expect("the port is free when leave returns");
        let addr = nodes.pop().unwrap().node().addr();
        let free = || TcpListener::bind(addr).is_ok() && UdpSocket::bind(addr).is_ok();
        eventually("the port of a dropped node is free", free).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_accepts_and_never_reads_delays_nobody() {
    let nodes = cluster_of(3, &tcp()).await;
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    // It announces a value that it will not send, and asks for ours again and again.
    let mut caller = call(nodes[0].node().addr(), hung.local_addr().unwrap().port());
    let data = large(9);
    let version = nodes[0].publish(&data).await.unwrap();
    let fetch = Fetch { version, call: Call::Send };
    let newer = Version { nanos: version.nanos + 1_000, writer: NodeId(1), digest: [0; 16] };
    let announcement = Announcement { version: newer, len: 1 << 20 };
    for _ in 0..50 {
        caller.write_all(&frame(Body::Fetch(fetch))).unwrap();
        caller.write_all(&frame(Body::Announced(announcement))).unwrap();
    }
    until_all_hold(&nodes, &data).await;
    for round in 0..5 {
        let start = Instant::now();
        let data = format!("v{round}");
        nodes[0].publish(&data).await.unwrap();
        until_all_hold(&nodes, data.as_bytes()).await;
        assert!(start.elapsed() < CYCLE, "round {round}: {:?}", start.elapsed());
    }
    tokio::time::sleep(2 * TIMEOUT).await;
    assert!(nodes.iter().all(|node| node.get().len() == 3), "nobody was removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_lengths_trickles_and_strangers_are_cut_off_and_delay_nobody() {
    let nodes = cluster(3).await;
    let addr = nodes[0].node().addr();
    let mut huge = call(addr, 9);
    huge.write_all(&u32::MAX.to_le_bytes()).unwrap();
    until_closed(huge).await;
    let mut stranger = TcpStream::connect(addr).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    until_closed(stranger).await;
    let mut trickle = call(addr, 9);
    trickle.write_all(&1_000_u32.to_le_bytes()).unwrap();
    trickle.write_all(&[0; 10]).unwrap();
    let silent = TcpStream::connect(addr).unwrap();
    let data = large(11);
    let start = Instant::now();
    nodes[1].publish(&data).await.unwrap();
    until_all_hold(&nodes, &data).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    until_closed(trickle).await;
    until_closed(silent).await;
    let seen = || nodes[0].stats().streams;
    eventually("all are counted", || seen().slow == 2).await;
    assert_eq!((seen().foreign, seen().over_length), (1, 1));
    assert!(nodes.iter().all(|node| node.get().len() == 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_by_stream_does_not_silence_a_node() {
    let nodes = cluster_of(2, &tcp()).await;
    let mut caller = call(nodes[0].node().addr(), 9);
    let flood = std::thread::spawn(move || {
        let calls = frame(Body::LastCall(LastCall::default())).repeat(100);
        let mut sent = 0;
        while caller.write_all(&calls).is_ok() {
            sent += 100;
        }
        sent
    });
    let before = nodes[1].stats().streams.received;
    tokio::time::sleep(20 * CYCLE).await;
    let heard = nodes[1].stats().streams.received - before;
    assert!(heard >= 20, "{heard} packets came of 20 cycles");
    let streams = nodes[0].stats().streams;
    assert!(streams.received < 10_000 && streams.held_back > 0, "read as fast: {streams:?}");
    assert!(nodes.iter().all(|node| node.get().len() == 2), "nobody was removed");
    for node in nodes {
        node.leave().await.unwrap();
    }
    assert!(flood.join().unwrap() > 10_000, "that is no flood");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_beyond_the_limit_take_the_place_of_the_quietest() {
    let nodes = cluster(2).await;
    let addr = nodes[0].node().addr();
    let callers: Vec<_> = (0..200).map(|_| call(addr, 9)).collect();
    let stats = || nodes[0].stats().streams;
    eventually("all were accepted", || stats().accepted >= 200).await;
    assert!(stats().open <= 128 + 1, "{}", stats().open);
    assert!(stats().evicted >= 72);
    let data = large(15);
    nodes[1].publish(&data).await.unwrap();
    until_all_hold(&nodes, &data).await;
    drop(callers);
    eventually("they are gone", || stats().open <= 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_arrives_while_hundreds_of_silent_callers_knock() {
    let nodes = cluster(2).await;
    let elsewhere = cluster(1).await;
    let to = nodes[0].node().addr();
    let stats = || nodes[0].stats().streams;
    let mut silent = Vec::new();
    // As the member, and as one that no member has heard of yet.
    for (port, seed) in [(nodes[1].node().addr().port(), 23), (9, 29)] {
        let data = large(seed);
        elsewhere[0].publish(&data).await.unwrap();
        let frame = frame(Body::Fetched(elsewhere[0].read().unwrap()));
        let mut transfer = call(to, port);
        for part in frame.chunks(frame.len() / 8 + 1) {
            transfer.write_all(part).unwrap();
            silent.extend((0..25).map(|_| TcpStream::connect(to).unwrap()));
            silent.extend((0..25).map(|_| call(to, 9)));
            let calls = silent.len() as u64;
            eventually("they were taken", || stats().accepted >= calls).await;
        }
        until_all_hold(&nodes, &data).await;
    }
    assert!(stats().open <= 1 + 8 + 4, "{} are open", stats().open);
    assert!(nodes.iter().all(|node| node.get().len() == 2), "nobody was removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_was_announced_and_never_comes_keeps_no_other_away() {
    let nodes = cluster(3).await;
    let liar = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut caller = call(nodes[0].node().addr(), liar.local_addr().unwrap().port());
    let version = nodes[0].publish("v1").await.unwrap();
    let ahead = Version { nanos: version.nanos + 5_000_000_000, ..version };
    let announcement = Announcement { version: ahead, len: 1 << 20 };
    let arc = RingArc::whole(NodeId(7));
    let topic = Subject::Announced(announcement);
    let rumor = Rumor { token: Token(1), acks: 1, arc, view: None, topic };
    caller.write_all(&frame(Body::Rumor(rumor))).unwrap();
    let data = large(19);
    let published = nodes[1].publish(&data).await.unwrap();
    assert!(published < ahead, "the lie is the newer one");
    until_all_hold(&nodes, &data).await;
}
