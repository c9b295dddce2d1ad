//! The fuzz targets as property tests: every packet there is, at any time, from anywhere.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::lives::Step;
use super::packets::Overheard;
use super::script::{Script, addr};
use super::subject::datagram;
use super::*;
use crate::config::{Config, Liveness, Swap};
use crate::core::{Command, Input, Packet, Value};
use crate::node::Node;
use crate::wire::arbitrary::packet;

/// Ordinary settings, in a script.
const PLAIN: [u8; 2] = [0, 0];

/// From nothing to an hour, short ones more often.
fn pause() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => 0..1_000_000_u64,
        8 => 0..1_000_000_000_u64,
        2 => 0..10_000_000_000_u64,
        1 => 0..3_600_000_000_000_u64,
    ]
    .prop_map(Duration::from_nanos)
}

fn command() -> impl Strategy<Value = Command> {
    let value = |data: Vec<u8>| Value::new(data, &Config::default()).expect("short enough");
    prop_oneof![
        Just(Command::Stop),
        Just(Command::Start),
        vec(any::<u8>(), 0..5)
            .prop_map(|hosts| Command::Seeds(hosts.into_iter().map(addr).collect())),
        vec(any::<u8>(), 0..600).prop_map(move |data| Command::Publish(value(data))),
        (vec(any::<u8>(), 0..600), 0..5_usize)
            .prop_map(move |(data, holders)| Command::PublishTo(value(data), holders)),
        "\\PC{0,30}"
            .prop_map(|name| Command::Update(Node::of(addr(0), &name, "").expect("short enough"))),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        16 => (any::<u8>(), packet())
            .prop_map(|(from, packet)| {
                let carrier = datagram(&packet, &Config::default());
                Input::Packet { from: addr(from), carrier, packet: packet.into() }
            }),
        1 => command().prop_map(Input::Command),
        2 => Just(Input::Timeout),
        1 => any::<u8>().prop_map(|to| Input::StreamFailed { to: addr(to) }),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let liveness = prop_oneof![
        3 => Just(Liveness::Beats),
        3 => Just(Liveness::Probes),
        1 => Just(Liveness::Off),
    ];
    let swap = prop_oneof![3 => Just(Swap::On), 1 => Just(Swap::Off)];
    (liveness, swap, 2..FuzzSubject::MEMBERS_MAX).prop_map(|(liveness, swap, members_max)| {
        let config = Config::builder().liveness(liveness).swap(swap).members_max(members_max);
        config.build().expect("a valid configuration")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_packet_at_no_time_breaks_an_engine(
        config in config(),
        steps in vec((pause(), input()), 1..60),
    ) {
        let mut subject = FuzzSubject::of(config);
        for (pause, input) in steps {
            subject.live(pause, 0, input);
        }
    }

    #[test]
    fn a_script_of_packets_is_lived_through(
        steps in vec((any::<u8>(), pause(), packet()), 1..20),
        flips in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut script = PLAIN.to_vec();
        for (from, pause, packet) in steps {
            script.extend(arrival(from, pause, &packet));
        }
        handle(&script);
        for flip in flips {
            let bit = flip.index(script.len() * 8);
            script[bit / 8] ^= 1 << (bit % 8);
        }
        handle(&script);
    }

    #[test]
    fn any_bytes_are_a_script_and_a_datagram(bytes in vec(any::<u8>(), 0..2_000)) {
        handle(&bytes);
        probes(&bytes);
        decode(&bytes);
        decode(&[b"rm\x01", &bytes[..]].concat());
        decode(&[b"rm\x02", &bytes[..]].concat());
    }

    #[test]
    fn any_bytes_are_a_script_of_all_there_is(bytes in vec(any::<u8>(), 0..600)) {
        talk(&bytes);
        seal(&bytes);
        pekonode(&bytes);
        #[cfg(feature = "net")]
        stream(&bytes);
    }

    #[test]
    fn any_bytes_are_a_packet_of_pekonode_or_a_connection(
        bytes in vec(any::<u8>(), 0..200),
        text in r#"[{},:"a-zA-Z0-9\\ \[\]]{0,80}"#,
    ) {
        for magic in [&b""[..], b"rms\x01", b"rss\x01"] {
            connection(&[magic, &bytes].concat());
        }
        decode_pekonode(&bytes);
        let open = r#"{"Node":{"Addr":"10.0.0.1","Port":1},"Name":"#;
        for text in [text.clone(), [open, &text, "}"].concat()] {
            decode_pekonode(text.as_bytes());
        }
    }

    #[test]
    fn a_script_says_what_was_put_into_it(from in any::<u8>(), packet in packet()) {
        let bytes = arrival(from, Duration::from_millis(300), &packet);
        let (config, mut overheard) = (Config::default(), Overheard::default());
        let step = Script(&bytes).step(&config, &mut overheard).expect("one step");
        let Step { pause, jump, input } = step;
        let Input::Packet { from: said, packet: told, .. } = input else { panic!("{input:?}") };
        let told = Packet { skipped: packet.skipped, ..told.as_ref().clone() };
        prop_assert_eq!((said, told, jump), (addr(from), packet.clone(), 0));
        let off = pause.abs_diff(Duration::from_millis(300));
        prop_assert!(off < Duration::from_millis(1), "{:?}", pause);
    }
}
