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

/// How the first of them turns out to be a member.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    /// It echoes a token of ours.
    Echo,
    /// A member speaks of it, of whom strangers have spoken.
    Word,
    /// A member speaks of it, of whom nobody has.
    FirstWord,
}

#[test]
fn whom_one_introduced_before_he_was_known_to_be_a_member_is_no_rumor() {
    for shown in [Shown::Echo, Shown::Word, Shown::FirstWord] {
        let mut cluster = grown(Config::default());
        for (by, of) in [(2, 3), (1, 2)] {
            handle(&mut cluster, forged_addr(by), introduces(of, 1));
        }
        if shown != Shown::FirstWord {
            handle(&mut cluster, forged_addr(9), introduces(1, 1));
        }
        let is_rumored = |cluster: &mut Cluster, number| {
            let list = cluster.engine(1).list();
            list.is_rumored(list.node(forged_addr(number)).expect("it is listed"))
        };
        assert!([2, 3].iter().all(|&number| is_rumored(&mut cluster, number)));
        if shown == Shown::Echo {
            let now = cluster.clock();
            cluster.engine(1).with(now, |cx| {
                let first = cx.members.node(forged_addr(1)).expect("it is listed");
                cx.members.confirm(first);
            });
        } else {
            handle(&mut cluster, addr(2), introduces(1, 2));
        }
        let rumored: Vec<_> =
            [1, 2, 3].into_iter().filter(|&number| is_rumored(&mut cluster, number)).collect();
        assert_eq!(rumored, [0; 0], "the first was shown by {shown:?}");
    }
}
