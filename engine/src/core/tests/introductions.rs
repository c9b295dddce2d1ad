//! Newcomers who are introduced by newcomers.

use std::sync::Arc;

use super::cluster::{Cluster, addr};
use super::routes::{forged_addr, generation, grown, handle, packet};
use crate::config::Config;
use crate::core::packet::{Body, Delta, MembershipUpdate};
use crate::core::{Age, MemberState, Packet, Record};
use crate::node::Node;

/// What introduces a stranger of this number, with so many beats.
fn introduces(number: u16, counter: u32) -> Packet {
    let record = Arc::new(Record::new(Node::at(forged_addr(number)), generation(1)));
    let member = MemberState { record, counter, age: Age(0) };
    packet(Body::Delta(Delta { news: vec![MembershipUpdate::Member(member)] }))
}

#[test]
fn whom_one_introduced_before_he_was_known_to_be_a_member_is_no_rumor() {
    for echoes in [false, true] {
        let mut cluster = grown(Config::default());
        for (by, of) in [(2, 3), (1, 2), (9, 1)] {
            handle(&mut cluster, forged_addr(by), introduces(of, 1));
        }
        let now = cluster.clock();
        let is_rumored = |cluster: &mut Cluster, number| {
            let list = cluster.engine(1).list();
            list.is_rumored(list.node(forged_addr(number)).expect("it is listed"))
        };
        assert!([1, 2, 3].iter().all(|&number| is_rumored(&mut cluster, number)));
        match echoes {
            true => {
                let engine = cluster.engine(1);
                engine.with(now, |cx| {
                    let first = cx.members.node(forged_addr(1)).expect("it is listed");
                    cx.members.confirm(first);
                });
            }
            false => _ = handle(&mut cluster, addr(2), introduces(1, 2)),
        }
        assert!(
            ![1, 2, 3].iter().any(|&number| is_rumored(&mut cluster, number)),
            "by an echo of the first of them: {echoes}, or by the word of a member"
        );
    }
}
