//! Nodes that can't reach each other, with others between them who reach both.

use super::cluster::{Cluster, SECOND, addr};
use super::probes::{records, settled, suspicion};
use super::telling::packet;
use crate::config::Config;
use crate::core::packet::{AckOrNack, Body, Delta, IndirectAck, MembershipUpdate};
use crate::core::{Event, Output};

/// Parts two thirds of twelve nodes from each other.
fn bridged() -> Cluster {
    let mut cluster = Cluster::of(12, Config::default());
    cluster.run(5 * SECOND);
    for (near, far) in (1..=4).flat_map(|near| (9..=12).map(move |far| (near, far))) {
        cluster.cuts.extend([(near, far), (far, near)]);
    }
    cluster
}

#[test]
fn over_a_bridge_hardly_anybody_is_removed() {
    let mut cluster = bridged();
    cluster.run(600 * SECOND);
    let removed = |it: &&(_, u16, Event)| matches!(it.2, Event::Removed { .. });
    let removals: Vec<_> = cluster.events.iter().filter(removed).collect();
    // Twelve and more where nobody asks others once more before he judges.
    assert!(removals.len() <= 2, "{} {removals:?}", removals.len());
}

/// To whom suspicions go.
fn told(outputs: &[Output]) -> Vec<u16> {
    let told = |output: &Output| match output {
        Output::Send { to, packet, .. } => match &packet.body {
            Body::Delta(Delta { news }) => {
                let is_one = news.iter().any(|it| matches!(it, MembershipUpdate::Suspected(_)));
                is_one.then_some(to.port())
            }
            _ => None,
        },
        _ => None,
    };
    outputs.iter().filter_map(told).collect()
}

#[test]
fn who_is_told_that_a_member_is_in_doubt_which_he_does_not_doubt_tells_it() {
    let mut cluster = settled(6);
    let of = suspicion(&mut cluster, 3);
    let doubt = || packet(records(MembershipUpdate::from(of.clone())));
    let outputs = cluster.outputs(1, 2, doubt());
    assert_eq!(told(&outputs), [3]);
    cluster.run(SECOND / 100);
    let again = cluster.outputs(1, 4, doubt());
    assert_eq!(told(&again), [0; 0], "it was told");
}

#[test]
fn an_answer_that_another_has_had_clears_a_suspect_and_a_word_against_it_does_not() {
    for (word, is_cleared) in [(AckOrNack::Nack, false), (AckOrNack::Ack, true)] {
        let mut cluster = settled(6);
        let of = suspicion(&mut cluster, 3);
        cluster.outputs(1, 2, packet(records(MembershipUpdate::from(of))));
        let suspected = |cluster: &mut Cluster| cluster.engine(1).list().suspected_len();
        assert_eq!(suspected(&mut cluster), 1);
        let now = cluster.clock();
        let token = cluster.engine(1).token_for(now, addr(3));
        let strange = Body::IndirectAck(IndirectAck { token: token ^ 2, word });
        cluster.outputs(1, 2, packet(strange));
        assert_eq!(suspected(&mut cluster), 1, "it answers no question of ours");
        cluster.outputs(1, 66, packet(Body::IndirectAck(IndirectAck { token, word })));
        assert_eq!(suspected(&mut cluster), 1, "no member says so");
        cluster.outputs(1, 2, packet(Body::IndirectAck(IndirectAck { token, word })));
        assert_eq!(suspected(&mut cluster), usize::from(!is_cleared));
    }
}
