//! Datagrams that no node would send.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rumormill::Config;
use rumormill::core::packet::{Body, Bulk};
use rumormill::core::{Age, AgeStep, Beat, Packet, PacketKind, RecordId};
use rumormill::rng::Rng;
use rumormill::time::{Instant, Now, UnixNanos};
use rumormill::wire::{self, Guard, Run};

use super::cluster::eventually;

/// Sends every kind of bad datagram, waiting after each lot until as many are counted, and
/// returns how many they were.
pub(crate) async fn send_all(to: SocketAddr, counted: impl Fn() -> u64) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = counted();
    // A few at a time, so that the system's queue drops none.
    for lot in datagrams().chunks(8) {
        for datagram in lot {
            socket.send_to(datagram, to).unwrap();
        }
        sent += lot.len() as u64;
        eventually("all bad datagrams are counted", || counted() >= sent).await;
    }
    sent
}

fn datagrams() -> Vec<Vec<u8>> {
    let mut rng = Rng::fork(1, "hostile", 0);
    let mut random = |len: usize| (0..len).map(|_| rng.bits() as u8).collect::<Vec<_>>();
    let packet = bulk();
    let header = [b'r', b'm', 1, PacketKind::Bulk as u8, 1, 0, 0, 0];
    let mut all = vec![
        vec![],
        vec![0],
        b"{}".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 65_507],
        vec![255; 65_507],
        packet.clone(),
    ];
    let lies = [
        [&packet[..], &[0]].concat(),
        [&packet[..], &vec![0; 60_000]].concat(),
        // 2^32 - 1 beats are announced, and one follows.
        [&header[..], &[252, 255, 255, 255, 255], &[0; 6]].concat(),
        [&header[..], &[253, 255, 255, 255, 255, 255, 255, 255, 255]].concat(),
        [&header[..], &random(1_000)].concat(),
        [&header[..], &[3]].concat(),
        header.to_vec(),
    ];
    let cut = (0..packet.len()).map(|len| packet[..len].to_vec());
    for packet in lies.into_iter().chain(cut) {
        all.push(guarded(&packet));
        all.push(packet);
    }
    all.extend((1..200).map(|len| random(len * 7)));
    all
}

fn bulk() -> Vec<u8> {
    let beat = Beat { id: RecordId(1), counter: 2, age: Age(3) };
    let body = Body::Bulk(Bulk { beats: vec![beat; 10], news: vec![] });
    let mut bytes = Vec::new();
    wire::encode(&Packet::new(AgeStep(1_000), body), &mut bytes);
    bytes
}

/// A datagram of these bytes with the checksum of a cluster without a name.
pub(crate) fn guarded(packet: &[u8]) -> Vec<u8> {
    let now = Now { mono: Instant::ZERO, wall: UnixNanos(0) };
    let run = Run { addr: ([127, 0, 0, 1], 1).into(), random: [0; 8], now };
    let mut datagram = Vec::new();
    let mut guard = Guard::new(&Config::default(), &run);
    guard.guard(now, &mut datagram, |out| out.extend_from_slice(packet));
    datagram
}

/// A thread that sends one datagram again and again.
pub(crate) struct Flood {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Flood {
    pub(crate) fn start(to: SocketAddr, datagram: Vec<u8>) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut sent = 0;
            while !ended.load(Ordering::Relaxed) {
                // A full queue is the very thing that is wanted.
                sent += u64::from(socket.send_to(&datagram, to).is_ok());
            }
            sent
        });
        Self { ends, thread }
    }

    /// Ends the flood and says how many datagrams it was.
    pub(crate) fn stop(self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
