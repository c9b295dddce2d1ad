//! Rumormill's own engine, as the world runs it.

use std::sync::Arc;

use rumormill::Config;
use rumormill::core::packet::{
    Body, Bulk, Delta, EntriesSummary, Gone, Join, MembershipUpdate, Padding, StateSummary,
};
use rumormill::core::{
    Age, AgeStep, Cause, Class, Engine, EntryKey, MemberState, Outbox, Packet, PacketKind,
    PreloadedEntries, PreloadedMembers, Record, Settings as PeerSettings, SharedRecords,
};
use rumormill::time::{Instant, Now, UnixNanos};
use rumormill::wire::{self, Guard, Run};

use super::keys::KeyError;
use super::simulated::{Forgery, FullState, Lie, Passage, Setup, Simulated};
use super::{ENTRY_LEN, SettingsPlace, bits};

/// The beat counter of a forged departure: beyond what a run comes to, below what is refused.
const COUNTER: u32 = 1 << 30;

/// The name of every kind, at the place of its tag.
const KINDS: [&str; PacketKind::ALL.len()] = {
    let mut names = [""; PacketKind::ALL.len()];
    let mut tag = 0;
    while tag < names.len() {
        names[tag] = PacketKind::ALL[tag].name();
        tag += 1;
    }
    names
};

/// Every lie, without its name.
const LIES: [Lie; Lie::NAMED.len()] = {
    let mut lies = [Lie::Goodbye; Lie::NAMED.len()];
    let mut place = 0;
    while place < lies.len() {
        lies[place] = Lie::NAMED[place].1;
        place += 1;
    }
    lies
};

impl Simulated for Engine {
    const NAME: &'static str = "rumormill";
    const ABOUT: &'static str = "rumors along arcs, and swaps: the engine that services embed";
    const KINDS: &'static [&'static str] = &KINDS;
    const LIES: &'static [Lie] = &LIES;
    const SETTINGS: SettingsPlace = SettingsPlace::Engine;

    fn settings(setup: &Setup<'_>) -> Result<Self::Settings, KeyError> {
        Ok((Arc::clone(setup.config), Arc::clone(setup.roster)))
    }

    fn encode(packet: &Packet, out: &mut Vec<u8>) {
        wire::encode(packet, out);
    }

    fn decode(bytes: &[u8], class: Class) -> Result<Packet, String> {
        let packet = match class {
            Class::Datagram => wire::decode(bytes),
            Class::Stream => wire::decode_from_stream(bytes, bytes.len()),
        };
        packet.map_err(|reject| reject.to_string())
    }

    fn guard_len(config: &Config) -> usize {
        config.guard_len()
    }

    fn datagram_len_max(config: &Config) -> usize {
        config.size()
    }

    fn flip(packet: &Packet, noise: u64, route: &Passage<'_>) -> Option<Packet> {
        let mut bytes = Vec::new();
        Guard::new(route.sender, route.run).encode(route.run.now, packet, &mut bytes);
        bits::flip(&mut bytes, noise);
        open(&mut bytes, route.class, route.run, route.receiver)
    }

    fn forge(forgery: &Forgery<'_>) -> Option<Packet> {
        Some(forge(forgery))
    }

    fn full_list<'a>(
        roster: &Arc<SharedRecords>,
        members: impl Iterator<Item = &'a Arc<Record>>,
        (entries, config): (u32, &Config),
    ) -> Option<FullState> {
        let members: Vec<_> = members.collect();
        let writer = members.first()?;
        let entries = (entries > 0).then(|| preloaded(entries, writer, config));
        Some(FullState { members: PreloadedMembers::of(roster, members).into(), entries })
    }

    fn share_list(&mut self, now: Now, list: &FullState, out: &mut Outbox) {
        self.restore_full(now, &list.members, out);
        if let Some(entries) = &list.entries {
            self.restore_entries(entries);
        }
    }
}

/// So many entries, as this node wrote them.
fn preloaded(count: u32, writer: &Record, config: &Config) -> PreloadedEntries {
    const KEY_LEN: usize = "held/".len() + 6;
    let key = |number| EntryKey::new(&format!("held/{number:06}")).expect("it is short");
    let value = [7; ENTRY_LEN - KEY_LEN];
    let values = (0..count).map(|number| (key(number), value.into()));
    let now = Now { mono: Instant::ZERO, wall: UnixNanos(writer.generation().get() as i64) };
    PreloadedEntries::of(config, writer, now, values).expect("the scenario's settings were checked")
}

/// Takes off what guards a packet, and decodes it as its receiver does.
fn open(bytes: &mut [u8], class: Class, run: &Run, receiver: &Config) -> Option<Packet> {
    let mut guard = Guard::new(receiver, run);
    let opened = match class {
        Class::Datagram => guard.decode_datagram(run.now, bytes, receiver.size()),
        Class::Stream => guard.decode_from_stream(run.now, bytes, receiver.transfer_len_max()),
    };
    opened.ok()
}

/// What a liar says of somebody.
fn forge(forgery: &Forgery<'_>) -> Packet {
    let record = &forgery.of;
    let (addr, generation) = (record.node().addr(), record.generation());
    let gone = |cause| MembershipUpdate::from(Gone { addr, generation, counter: COUNTER, cause });
    let me = MemberState { record: Arc::clone(record), counter: 1, age: Age(0) };
    let bulk = |news| Body::Bulk(Bulk { beats: Vec::new(), news: vec![news] });
    let body = match forgery.lie {
        Lie::Goodbye => bulk(gone(Cause::Left)),
        Lie::Tombstone => bulk(gone(Cause::Timeout)),
        Lie::Generation => bulk(MembershipUpdate::Member(me)),
        Lie::Record => Body::Delta(Delta { news: vec![MembershipUpdate::Member(me)] }),
        Lie::Join => {
            let summary = summary(forgery);
            Body::Join(Join { token: COUNTER, me, summary, padding: Padding(0) })
        }
    };
    Packet::new(AgeStep::of_timeout(forgery.receiver.timeout()), body)
}

/// What somebody holds who knows but itself.
fn summary(forgery: &Forgery<'_>) -> StateSummary {
    let (digest, settings) = (forgery.of.digest(), PeerSettings::of(forgery.receiver));
    let entries = EntriesSummary::default();
    StateSummary { members: 1, digest, version: None, wall: forgery.wall, settings, entries }
}

#[cfg(test)]
mod tests {
    use rumormill::core::packet::LastCall;
    use rumormill::time::{Instant, UnixNanos};

    use super::*;

    fn run() -> Run {
        let now = Now { mono: Instant::ZERO, wall: UnixNanos(1 << 60) };
        Run { addr: ([10, 0, 0, 1], 1).into(), random: [0; 8], now }
    }

    fn call() -> Packet {
        Packet::new(AgeStep(25_000), Body::LastCall(LastCall::default()))
    }

    #[test]
    fn no_flipped_bit_passes_the_checks_and_what_is_whole_does() {
        let secret = Config::builder().secret_key("ask nobody").build().unwrap();
        for config in [Config::default(), secret] {
            let (run, class) = (run(), Class::Datagram);
            let route = Passage { class, run: &run, sender: &config, receiver: &config };
            for bit in 0..8 * 64 {
                assert_eq!(Engine::flip(&call(), bit, &route), None, "bit {bit}");
            }
        }
        let mut bytes = Vec::new();
        Guard::new(&Config::default(), &run()).encode(run().now, &call(), &mut bytes);
        // The same bit twice is no change.
        (0..2).for_each(|_| bits::flip(&mut bytes, 1_234_567));
        assert_eq!(open(&mut bytes, Class::Datagram, &run(), &Config::default()), Some(call()));
        bits::flip(&mut bytes, 1_234_567);
        assert_eq!(open(&mut bytes, Class::Datagram, &run(), &Config::default()), None);
    }
}
