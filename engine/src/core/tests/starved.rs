//! Those who read late, and those who are taken for such: who tells them what, in sentences.

use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, datagram};
use super::probes::{records, settled, suspicion};
use super::suspicions::alone_for;
use super::telling::packet;
use crate::core::packet::{Body, Cause, MembershipUpdate, PingReq};
use crate::core::{Command, Input, Outbox, Output};

/// Of whom a node is told that they are gone, and that they are in doubt.
fn told(outputs: &[Output], node: u16) -> (Vec<u16>, Vec<u16>) {
    let (mut gone, mut doubted) = (Vec::new(), Vec::new());
    for output in outputs {
        let Output::Send { to, packet, .. } = output else { continue };
        let Body::Delta(delta) = &packet.body else { continue };
        for news in delta.news.iter().filter(|_| *to == addr(node)) {
            match news {
                MembershipUpdate::Gone(it) => gone.push(it.addr.port()),
                MembershipUpdate::Suspected(it) => doubted.push(it.addr.port()),
                MembershipUpdate::Member(_) => {}
            }
        }
    }
    (gone, doubted)
}

/// Six nodes of which the third is gone, and what one says of it that has not heard of that.
#[track_caller]
fn without_the_third(cause: Cause) -> (Cluster, [Body; 2]) {
    let mut cluster = settled(6);
    let doubt = records(MembershipUpdate::from(suspicion(&mut cluster, 3)));
    let request = Body::PingReq(PingReq { token: 7, target: addr(3) });
    match cause {
        Cause::Timeout => cluster.crash(3),
        Cause::Left => cluster.command(3, Command::Leave),
    }
    cluster.run(8 * SECOND);
    assert!(!cluster.engine(1).lists(addr(3)));
    (cluster, [doubt, request])
}

#[test]
fn who_looks_for_one_that_we_have_removed_is_told_so_and_may_remove_it_as_well() {
    for (cause, tells) in [(Cause::Timeout, true), (Cause::Left, false)] {
        let (mut cluster, asks) = without_the_third(cause);
        for ask in asks {
            let kind = packet(ask.clone()).kind();
            let outputs = cluster.outputs(1, 2, packet(ask.clone()));
            assert_eq!(told(&outputs, 2).0, if tells { vec![3] } else { vec![] }, "{kind:?}");
            let to_stranger = cluster.outputs(1, 99, packet(ask));
            assert_eq!(told(&to_stranger, 99).0, [0; 0], "{kind:?} of a stranger");
        }
    }
}

#[test]
fn who_reads_late_asks_others_soon_whether_they_have_removed_a_suspect() {
    for is_late in [false, true] {
        let mut cluster = settled(6);
        let doubt = packet(records(MembershipUpdate::from(suspicion(&mut cluster, 3))));
        let (mut engine, mut out) = (cluster.engine(1).clone(), Outbox::new());
        let mut asks = 0;
        for quarter in 0..8 {
            if is_late {
                engine.handle(cluster.clock(), Input::Waited(SECOND), &mut out);
            }
            if quarter == 0 {
                engine.handle(cluster.clock(), datagram(addr(2), doubt.clone()), &mut out);
            }
            let outputs = alone_for(&mut cluster, &mut engine, SECOND / 4);
            let outputs: Vec<_> = outputs.into_iter().map(|(_, output)| output).collect();
            let doubts = |&other: &u16| told(&outputs, other).1.contains(&3);
            asks += [2, 4, 5, 6].iter().filter(|other| doubts(other)).count();
            cluster.now = cluster.now + SECOND / 4;
        }
        assert!(if is_late { asks >= 7 } else { asks == 0 }, "{asks}, late: {is_late}");
    }
}

/// How long it takes until all have removed the fifth of eight, which just crashed.
#[track_caller]
fn removed_after(cluster: &mut Cluster) -> Duration {
    cluster.crash(5);
    cluster.run_until(16 * SECOND, |cluster| cluster.removals_of(5).len() == 7)
}

#[test]
fn who_clears_itself_at_once_has_no_more_time_than_others_when_it_is_silent_again() {
    for (is_deaf, took) in [(false, 3..6), (true, 9..13)] {
        let mut cluster = settled(8);
        let doubt = suspicion(&mut cluster, 5);
        cluster.deaf.extend(is_deaf.then_some(5));
        for other in (1..=8).filter(|&other| other != 5) {
            cluster.body(other, 2, records(MembershipUpdate::from(doubt.clone())));
        }
        cluster.run(SECOND);
        cluster.deaf.clear();
        cluster.run(4 * SECOND);
        assert!(cluster.engine(1).lists(addr(5)) && !cluster.engine(1).suspects(addr(5)));
        let after = removed_after(&mut cluster);
        assert!(took.contains(&after.as_secs()), "deaf for a second: {is_deaf}, {after:?}");
    }
}
