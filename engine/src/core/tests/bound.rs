//! What is bound to an incarnation of its writer, when it comes late or early.

use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, rumor};
use super::telling::packet;
use crate::config::Config;
use crate::core::packet::{AgedEntry, Subject};
use crate::core::{Content, Entry, EntryKey, Event, Output, Stamp, Terms, Version, digest};
use crate::node::{Generation, NodeId};

#[test]
fn a_bound_value_that_comes_late_is_hidden_or_over() {
    let mut cluster = Cluster::of(4, Config::default());
    cluster.run(3 * SECOND);
    let present = cluster.engine(2).me().generation();
    let terms = Terms { bound: true, ..Terms::default() };
    let bound = |generation, text: &str| {
        let version = Version { nanos: 5, writer: NodeId::of(addr(2)), digest: digest(b"up") };
        let stamp = Stamp { version, generation, seq: 1_000 };
        let content = Content::Put { data: b"up"[..].into(), terms };
        let entry = Entry::verified(EntryKey::new(text).unwrap(), stamp, content).unwrap();
        rumor(Subject::Entries(vec![AgedEntry { entry, age: Duration::ZERO }]))
    };
    let [former, next] = [present.get() - 1, present.get() + 1];
    let [former, next] = [former, next].map(|number| Generation::new(number).unwrap());
    for (generation, text, shown) in
        [(present, "is", true), (former, "was", false), (next, "will be", false)]
    {
        let outputs = cluster.outputs(1, 3, packet(bound(generation, text)));
        let told = outputs.iter().rev().find_map(|output| match output {
            Output::Event(Event::Entry(entry)) => Some(entry.data().is_some()),
            _ => None,
        });
        assert_eq!(told, Some(shown), "{text}");
    }
    let now = cluster.now;
    let held = cluster.engine(1).entries().unwrap();
    assert_eq!(held.get("was", now), None, "over for good");
    assert!(held.get("will be", now).is_some(), "hidden until that one is listed");
}
