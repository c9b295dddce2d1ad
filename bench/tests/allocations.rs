//! What an engine takes in it takes in without an allocation; only packets to send need some.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use rumormill::core::{Input, Output, Packet};
use rumormill_bench::{Subject, bulks, members, vectors};

const MEMBERS: u32 = 1_000;
const MILLISECOND: Duration = Duration::from_millis(1);

/// Gives it packets, a while after each other.
fn take(subject: &mut Subject, packets: &[Arc<Packet>]) {
    packets.iter().for_each(|packet| subject.take(packet, Duration::from_micros(10)));
}

/// Has it do what it has planned next.
fn go_on(subject: &mut Subject) {
    let deadline = subject.engine.deadline().expect("it has plans");
    subject.now.mono = subject.now.mono.max(deadline);
    subject.engine.handle(subject.now, Input::Timeout, &mut subject.outbox);
}

/// Has it do all that is due, and what will be within a millisecond.
fn settle(subject: &mut Subject) {
    while subject.engine.deadline().is_some_and(|at| at < subject.now.mono + MILLISECOND) {
        go_on(subject);
    }
    subject.outbox.drain().for_each(drop);
}

/// Lets time pass until it sends something; how many packets.
fn wait(subject: &mut Subject) -> usize {
    while subject.outbox.is_empty() {
        go_on(subject);
    }
    let (mut packets, mut last) = (0, None);
    for output in subject.outbox.drain() {
        let Output::Send { packet, .. } = output else { continue };
        packets += usize::from(last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &packet)));
        last = Some(packet);
    }
    packets
}

#[test]
fn beats_are_taken_in_without_an_allocation_whether_they_are_news_or_known() {
    let members = members(MEMBERS);
    for (what, round) in [("bulk", bulks as fn(&[_], u8) -> _), ("vector", vectors)] {
        let [first, second, third] = [1, 2, 3].map(|counter| round(&members, counter));
        let mut subject = Subject::new(&members);
        // The first round makes room for what one packet may bring.
        take(&mut subject, &first);
        settle(&mut subject);
        let updates = subject.engine.stats().updates;
        for (news, packets) in [("new", &second), ("known", &second), ("newer", &third)] {
            let counted = measure(|| take(&mut subject, packets));
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
        settle(&mut subject);
        take(&mut subject, &bulks(&members, counter));
        let mut sent = 0;
        let counted = measure(|| sent = wait(&mut subject));
        // Each packet and its beats; and once the beats of all, the packets, and to whom.
        let most = 2 * sent as u64 + 3;
        assert!(sent > 0 && counted.count_total <= most, "{sent} packets: {counted:?}");
        sent_most = sent_most.max(sent);
    }
    assert_eq!(sent_most, bulks(&members, 1).len(), "one of them was the relay of all beats");
}
