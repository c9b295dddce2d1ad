//! What an engine takes in it takes in without an allocation; only packets to send need some.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use rumormill::core::{Packet, Record, Roster};
use rumormill::{Config, Engine, Input, Instant, Now, Outbox, Output, UnixNanos};
use rumormill_bench::{bulks, members, vectors};

const MEMBERS: u32 = 1_000;
const MILLISECOND: Duration = Duration::from_millis(1);

/// An engine with a full list, and a clock.
struct Subject {
    engine: Engine,
    now: Now,
    outbox: Outbox,
}

impl Subject {
    fn new(members: &[Arc<Record>]) -> Self {
        let now =
            Now { mono: Instant::from_nanos(1 << 56), wall: UnixNanos(1_800_000_100_000_000_000) };
        let (me, config) = (Arc::clone(&members[0]), Arc::new(Config::default()));
        let mut engine = Engine::new(me, config, Arc::new(Roster::default()), 1, now);
        let mut outbox = Outbox::new();
        engine.restore(now, members, &mut outbox);
        outbox.drain().for_each(drop);
        Self { engine, now, outbox }
    }

    /// Gives it packets, a while after each other.
    fn take(&mut self, packets: &[Arc<Packet>]) {
        for packet in packets {
            self.now.mono = self.now.mono + Duration::from_micros(10);
            let (from, packet) = (([10, 0, 0, 1], 8000).into(), Arc::clone(packet));
            self.engine.handle(self.now, Input::Packet { from, packet }, &mut self.outbox);
        }
    }

    /// Does all that is due, and what will be within a millisecond.
    fn settle(&mut self) {
        while self.engine.deadline().is_some_and(|at| at < self.now.mono + MILLISECOND) {
            self.now.mono = self.now.mono.max(self.engine.deadline().expect("there is one"));
            self.engine.handle(self.now, Input::Timeout, &mut self.outbox);
        }
        self.outbox.drain().for_each(drop);
    }

    /// Lets time pass until it sends something; how many packets.
    fn wait(&mut self) -> usize {
        while self.outbox.is_empty() {
            self.now.mono = self.now.mono.max(self.engine.deadline().expect("it has plans"));
            self.engine.handle(self.now, Input::Timeout, &mut self.outbox);
        }
        let (mut packets, mut last) = (0, None);
        for output in self.outbox.drain() {
            let Output::Send { packet, .. } = output else { continue };
            packets += usize::from(last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &packet)));
            last = Some(packet);
        }
        packets
    }
}

#[test]
fn beats_are_taken_in_without_an_allocation_whether_they_are_news_or_known() {
    let members = members(MEMBERS);
    for (what, round) in [("bulk", bulks as fn(&[_], u8) -> _), ("vector", vectors)] {
        let [first, second, third] = [1, 2, 3].map(|counter| round(&members, counter));
        let mut subject = Subject::new(&members);
        // The first round makes room for what one packet may bring.
        subject.take(&first);
        subject.settle();
        let updates = subject.engine.stats().updates;
        for (news, packets) in [("new", &second), ("known", &second), ("newer", &third)] {
            let counted = measure(|| subject.take(packets));
            assert_eq!(counted.count_total, 0, "{what}, {news}: {counted:?}");
            assert!(subject.outbox.is_empty(), "beats are passed on later");
        }
        let taken = subject.engine.stats().updates - updates;
        assert_eq!(taken, 3 * u64::from(MEMBERS), "all beats of all packets are looked at");
    }
}

#[test]
fn a_relay_needs_memory_for_its_packets_and_little_else() {
    let members = members(MEMBERS);
    let mut subject = Subject::new(&members);
    let mut sent_most = 0;
    for counter in 1..6 {
        subject.settle();
        subject.take(&bulks(&members, counter));
        let mut sent = 0;
        let counted = measure(|| sent = subject.wait());
        // Each packet and its beats; and once the beats of all, the packets, and to whom.
        let most = 2 * sent as u64 + 3;
        assert!(sent > 0 && counted.count_total <= most, "{sent} packets: {counted:?}");
        sent_most = sent_most.max(sent);
    }
    assert_eq!(sent_most, bulks(&members, 1).len(), "one of them was the relay of all beats");
}
