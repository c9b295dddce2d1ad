//! Keys are gone from memory when nothing uses them any longer: the process looks for them in
//! its own memory. Linux shows it to whoever asks.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::BufRead as _;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use rumormill::config::TransportKind;
use rumormill::core::packet::{Body, LastCall};
use rumormill::core::{AgeStep, Packet};
use rumormill::time::{Instant, Now, UnixNanos};
use rumormill::wire::{Guard, Keyring, Run};
use rumormill::{Config, ConfigBuilder, NodeList, SecretKey};

/// A secret, with every bit flipped: it must not lie in memory because it is looked for.
const SECRET: [u8; 32] = [
    0x1a, 0x11, 0x41, 0x9a, 0x75, 0x91, 0x1a, 0x1d, 0xea, 0x43, 0x99, 0x96, 0xf8, 0xfe, 0xe9, 0x65,
    0xf5, 0x46, 0x01, 0xae, 0x25, 0x97, 0x6d, 0x35, 0x0d, 0x01, 0xa5, 0xfc, 0x17, 0x15, 0x97, 0xaf,
];

/// What HMAC-SHA256 makes of it, from which every key of ours can be derived: likewise.
const INNER: [u32; 8] = [
    0x5fdb_846c,
    0x5255_52e6,
    0x4ddc_9171,
    0x9037_df84,
    0x1fc5_6b94,
    0x129d_82b8,
    0xe77f_d19b,
    0x3d4e_f902,
];
const OUTER: [u32; 8] = [
    0x9154_5986,
    0x63d3_6ba1,
    0xd7a1_4a5e,
    0x9f7d_bae2,
    0x54cb_3b5d,
    0x1675_310b,
    0x3f1f_36bd,
    0x401b_219f,
];

/// The AES key of the datagrams of `run()`, likewise.
const DATAGRAMS: [u8; 32] = [
    0xd9, 0xdb, 0xd9, 0x13, 0x11, 0xd5, 0xa9, 0x36, 0x7b, 0x52, 0xc4, 0xc9, 0xa8, 0x2a, 0x4e, 0x2e,
    0xd9, 0x08, 0x26, 0x72, 0x87, 0xc0, 0x49, 0x4f, 0x26, 0x10, 0xfd, 0x46, 0xd8, 0xaf, 0x6c, 0xb4,
];

const NOW: Now = Now { mono: Instant::ZERO, wall: UnixNanos(1_800_000_000_000_000_000) };

fn run() -> Run {
    Run { addr: ([10, 0, 0, 1], 8_000).into(), random: [7; 8], now: NOW }
}

fn secret() -> SecretKey {
    SecretKey::from(SECRET.iter().map(|byte| !byte).collect::<Vec<_>>())
}

fn config() -> ConfigBuilder {
    Config::builder().cluster("blue").secret_key(secret())
}

fn bytes(words: [u32; 8]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// How often memory holds these bytes with every bit flipped. The stack of this thread does not
/// count: what lay there for a moment is out of reach of who is to wipe it.
fn found(flipped: &[u8]) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("a process knows its memory");
    let memory = File::open("/proc/self/mem").expect("a process may read its memory");
    let mut buffer = vec![0; 1 << 20];
    let mut count = 0;
    for line in maps.lines() {
        let (range, rights) = line.split_once(' ').expect("a range and more");
        let (start, end) = range.split_once('-').expect("a range");
        let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).expect("hex"));
        let here = &raw const count as usize;
        if !rights.starts_with("rw") || (start..end).contains(&here) {
            continue;
        }
        // The pieces overlap, so that nothing lies across a border unseen.
        for at in (start..end).step_by(buffer.len() - flipped.len() + 1) {
            let len = buffer.len().min(end - at);
            // What can't be read, such as memory of a device, is not where keys are.
            let Ok(read) = memory.read_at(&mut buffer[..len], at as u64) else { break };
            let own = buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.len();
            let others =
                places(&buffer[..read], flipped).filter(|&place| !own.contains(&(at + place)));
            count += others.count();
        }
    }
    // What was read must not be found by the next search.
    buffer.fill(0);
    black_box(&buffer);
    count
}

/// Where these bytes stand with every bit flipped. It goes by the first one, which the standard
/// library looks for fast even where this is not optimised.
fn places<'a>(bytes: &'a [u8], flipped: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while rest.skip_until(!flipped[0]).expect("memory has no errors") > 0 {
            let after = bytes.len() - rest.len();
            let found = &bytes[after - 1..bytes.len().min(after - 1 + flipped.len())];
            if found.len() == flipped.len() && found.iter().zip(flipped).all(|(a, b)| *a == !b) {
                return Some(after - 1);
            }
        }
        None
    })
}

/// How often the secret and what is derived of it is found.
fn keys_found() -> [usize; 3] {
    [found(&SECRET), found(&bytes(INNER)), found(&bytes(OUTER))]
}

/// In one test, for each has a stack of its own and looks at all the memory.
#[test]
fn no_key_stays_in_memory_when_nothing_uses_it_any_longer() {
    no_key_of_a_datagram_stays();
    no_key_of_a_node_stays_when_it_has_left();
}

fn no_key_of_a_datagram_stays() {
    assert_eq!(keys_found(), [0; 3]);
    let config = config().build().unwrap();
    let mut a = Guard::new(&config, &run());
    let other = Run { addr: ([10, 0, 0, 2], 8_000).into(), random: [6; 8], ..run() };
    let mut b = Guard::new(&config, &other);
    let packet = Packet::new(AgeStep(25_000), Body::LastCall(LastCall::default()));
    let mut datagram = Vec::new();
    a.encode(NOW, &packet, &mut datagram);
    assert_eq!(b.decode(NOW, &mut datagram), Ok(packet.clone()));
    assert!(keys_found().iter().all(|&count| count > 0), "the search finds what is there");
    // Without instructions of the processor's for it, a key lies there in other forms.
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("aes") {
        assert!(found(&DATAGRAMS) > 1, "that of the one that seals and of the one that opens");
    }
    // Another key takes the place of the one, in both.
    a.renew(NOW, [8; 8]);
    for _ in 0..10 {
        a.renew(NOW, [9; 8]);
        datagram.clear();
        a.encode(NOW, &packet, &mut datagram);
        let _ = black_box(b.decode(NOW, &mut datagram));
    }
    b.use_keys(&Keyring::new(secret()).unwrap());
    assert_eq!(found(&DATAGRAMS), 0, "a key that is used no longer");
    drop((a, b, config));
    assert_eq!(keys_found(), [0; 3]);
}

fn no_key_of_a_node_stays_when_it_has_left() {
    for protocol in [TransportKind::Udp, TransportKind::Tcp] {
        // One thread, so that there is one stack.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cycle = Duration::from_millis(20);
            let config = config().protocol(protocol).cycle(cycle).timeout(50 * cycle);
            let config = config.build().unwrap();
            let node = || NodeList::new(rumormill::Node::new("127.0.0.1:0"), config.clone());
            let (a, b) = (node().unwrap(), node().unwrap());
            a.join().await.unwrap();
            b.set(a.node().addr().to_string()).unwrap();
            b.join().await.unwrap();
            // It goes by stream with either protocol.
            b.publish(vec![7; 20_000]).await.unwrap();
            while a.read().is_none() {
                tokio::time::sleep(cycle).await;
            }
            assert!(keys_found()[0] > 0, "the search finds what is there");
            b.leave().await.unwrap();
            a.leave().await.unwrap();
        });
        drop(runtime);
        assert_eq!(keys_found(), [0; 3], "{protocol:?}");
    }
}
