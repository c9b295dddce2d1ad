//! The bytes of packets, as the engine's wire format has them.

use rumormill::Config;
use rumormill::core::{Class, Packet};
use rumormill::wire::{self, Guard, Run};

/// A packet after its way through bytes. One that our own engine sends must survive it unchanged.
pub(crate) fn round_trip(packet: &Packet) -> Packet {
    let mut bytes = Vec::with_capacity(wire::encoded_len(packet));
    wire::encode(packet, &mut bytes);
    assert_eq!(bytes.len(), wire::encoded_len(packet), "the length of {:?}", packet.kind());
    match wire::decode_from_stream(&bytes, bytes.len()) {
        Ok(decoded) => decoded,
        Err(reject) => panic!("our own {:?} does not decode: {reject}", packet.kind()),
    }
}

/// What a receiver takes a packet for in which one bit flipped on its way, which `noise` picks;
/// nothing if its checks drop it. `run` is that of the sender; the configurations are its own and
/// the receiver's.
pub(crate) fn flip(
    packet: &Packet,
    class: Class,
    noise: u64,
    run: &Run,
    [sender, receiver]: [&Config; 2],
) -> Option<Packet> {
    let mut bytes = Vec::new();
    Guard::new(sender, run).encode(run.now, packet, &mut bytes);
    flip_bit(&mut bytes, noise);
    open(&mut bytes, class, run, receiver)
}

fn flip_bit(bytes: &mut [u8], noise: u64) {
    let bit = (noise % (8 * bytes.len() as u64)) as usize;
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// Takes off what guards a packet, and decodes it as its receiver does.
fn open(bytes: &mut [u8], class: Class, run: &Run, receiver: &Config) -> Option<Packet> {
    let mut guard = Guard::new(receiver, run);
    let opened = match class {
        Class::Datagram => guard.decode_datagram(run.now, bytes, receiver.size()),
        Class::Stream => guard.decode_from_stream(run.now, bytes, receiver.metadata_len_max()),
    };
    opened.ok()
}

#[cfg(test)]
mod tests {
    use rumormill::core::AgeStep;
    use rumormill::core::packet::{Body, LastCall};
    use rumormill::time::{Instant, Now, UnixNanos};

    use super::*;

    fn run() -> Run {
        let now = Now { mono: Instant::ZERO, wall: UnixNanos(1 << 60) };
        Run { addr: ([10, 0, 0, 1], 1).into(), random: [0; 8], now }
    }

    fn call() -> Packet {
        Packet { step: AgeStep(25_000), body: Body::LastCall(LastCall::default()) }
    }

    #[test]
    fn no_flipped_bit_passes_the_checks_and_what_is_whole_does() {
        let secret = Config::builder().secret_key("ask nobody").build().unwrap();
        for config in [Config::default(), secret] {
            let configs = [&config, &config];
            for bit in 0..8 * 64 {
                assert_eq!(flip(&call(), Class::Datagram, bit, &run(), configs), None, "bit {bit}");
            }
        }
        let mut bytes = Vec::new();
        Guard::new(&Config::default(), &run()).encode(run().now, &call(), &mut bytes);
        // The same bit twice is no change.
        (0..2).for_each(|_| flip_bit(&mut bytes, 1_234_567));
        assert_eq!(open(&mut bytes, Class::Datagram, &run(), &Config::default()), Some(call()));
        flip_bit(&mut bytes, 1_234_567);
        assert_eq!(open(&mut bytes, Class::Datagram, &run(), &Config::default()), None);
    }
}
