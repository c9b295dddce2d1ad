//! Entries by hand: who reads what, who agrees, and what is lost or has come back.

use proptest::prelude::*;
use rumormill::core::{Channel, Content, Entry, Incarnation, Stamp, Terms};
use rumormill::link::{LinkModel, NetworkChange};
use rumormill::node::{Generation, NodeId};

use super::*;
use crate::observe::truth::State;
use crate::world::testkit::{self, at_ms};

const NODES: u32 = 3;
/// The first half of the SHA-256 of no bytes.
const OF_NOTHING: [u8; 16] = 0xe3b0_c442_98fc_1c14_9afb_f4c8_996f_b924_u128.to_be_bytes();

/// Three nodes that live and can talk, and what they read of entries.
struct Readers {
    truth: Truth,
    links: LinkModel,
    entries: Entries,
}

/// A write that is told to nodes.
#[derive(Clone, Debug)]
struct Wrote(Entry);

impl Wrote {
    fn new(key: &str, nanos: i64, content: Content) -> Self {
        let version = Version { nanos, writer: NodeId(1), digest: OF_NOTHING };
        let stamp = Stamp { version, generation: Generation::MIN, seq: nanos as u64 };
        let key = EntryKey::new(key).unwrap();
        Self(Entry::verified(key, stamp, content).unwrap())
    }

    fn put(nanos: i64) -> Self {
        Self::with(nanos, Terms::default())
    }

    fn with(nanos: i64, terms: Terms) -> Self {
        Self::new("k", nanos, Content::Put { data: [][..].into(), terms })
    }

    fn delete(nanos: i64) -> Self {
        let writer = Incarnation { place: NodeId(1), generation: Generation::MIN };
        let replaced = rumormill::core::Dot { writer, seq: 1 };
        Self::new("k", nanos, Content::Delete { replaced })
    }

    fn expired(&self) -> Self {
        let (key, stamp) = (self.0.key().clone(), *self.0.stamp());
        Self(Entry::verified(key, stamp, Content::Expired).unwrap())
    }
}

impl Readers {
    fn new() -> Self {
        let links = LinkModel::new(1, testkit::lan());
        let mut truth = Truth::new(NODES, Duration::from_secs(5));
        let mut entries = Entries::new(NODES);
        for node in 0..NODES {
            truth.set(at_ms(0), node, State::Live(node));
            entries.begin(node, WireVersion::LATEST);
        }
        truth.commit(at_ms(0), &links);
        entries.shift(&truth);
        Self { truth, links, entries }
    }

    fn writes(&mut self, ms: u64, node: NodeNo, wrote: &Wrote) {
        assert!(self.entries.on_entry(&self.truth, at_ms(ms), node, (&wrote.0, Way::Source)));
        self.entries.settle(at_ms(ms));
    }

    fn hears(&mut self, ms: u64, node: NodeNo, wrote: &Wrote) {
        let way = Way::Packet { from: 0, sent: at_ms(ms), by: Channel::Rumor };
        assert!(!self.entries.on_entry(&self.truth, at_ms(ms), node, (&wrote.0, way)));
        self.entries.settle(at_ms(ms));
    }

    fn set(&mut self, node: NodeNo, state: State) {
        self.truth.set(at_ms(0), node, state);
        self.shift();
    }

    fn shift(&mut self) {
        self.truth.commit(at_ms(0), &self.links);
        self.entries.shift(&self.truth);
    }

    fn figures(&self, end_ms: u64) -> EntriesFigures {
        let mut summary = Summary::default();
        self.entries.finish(&self.truth, at_ms(end_ms), at_ms(0), &mut summary);
        summary.entries.unwrap()
    }
}

#[test]
fn all_agree_once_the_last_reads_what_was_written() {
    let mut readers = Readers::new();
    assert_eq!(readers.figures(100).converged, None, "nobody wrote");
    let put = Wrote::put(1);
    readers.writes(100, 0, &put);
    readers.hears(150, 1, &put);
    let (node, detail) = readers.entries.difference(&readers.truth).unwrap();
    assert_eq!((node, readers.figures(200).converged), (2, Some(false)));
    assert!(detail.starts_with("node 2 reads nothing of `k`, and node 0 1-"), "{detail}");
    readers.hears(170, 2, &put);
    let figures = readers.figures(200);
    assert_eq!((figures.converged, figures.converged_after_ms), (Some(true), Some(70.0)));
    assert_eq!(readers.entries.difference(&readers.truth), None);
}

#[test]
fn who_never_heard_of_what_is_deleted_reads_the_same_as_who_heard_of_the_end() {
    let mut readers = Readers::new();
    let put = Wrote::put(1);
    readers.writes(100, 0, &put);
    readers.hears(110, 1, &put);
    readers.writes(120, 0, &Wrote::delete(2));
    assert!(!readers.entries.is_complete(), "node 1 still reads it");
    readers.hears(130, 1, &Wrote::delete(2));
    assert!(readers.entries.is_complete());
}

#[test]
fn a_value_that_expired_where_it_was_first_held_is_over_for_all() {
    let mut readers = Readers::new();
    let lease = Wrote::with(1, Terms { bound: false, ttl: Some(Duration::from_millis(500)) });
    readers.writes(100, 0, &lease);
    (1..NODES).for_each(|node| readers.hears(110, node, &lease));
    // Too early to be for its age: it is one that reads nothing.
    let mut early = readers.entries.clone();
    early.on_entry(&readers.truth, at_ms(300), 1, (&lease.expired().0, Way::Source));
    assert!(!early.is_complete());
    let expired = lease.expired();
    readers.entries.on_entry(&readers.truth, at_ms(600), 1, (&expired.0, Way::Source));
    assert!(readers.entries.is_complete(), "the others follow");
    assert_eq!(readers.figures(700).converged_after_ms, Some(10.0));
    assert_eq!(readers.figures(700).lost, 0);
}

#[test]
fn the_newest_value_is_lost_when_nobody_alive_reads_it_who_heard_of_it() {
    let mut readers = Readers::new();
    let put = Wrote::put(1);
    readers.writes(100, 0, &put);
    assert_eq!(readers.figures(200).lost, 0);
    readers.hears(110, 1, &put);
    readers.set(0, State::Down);
    assert_eq!(readers.figures(200).lost, 0, "node 1 reads it");
    readers.hears(120, 1, &put.expired());
    assert_eq!(readers.figures(200).lost, 1, "dropped though nobody deleted it");
    let told = readers.entries.lost(&readers.truth, at_ms(200)).next().unwrap();
    assert!(told.starts_with("the newest value of `k` is lost: 1-"), "{told}");
    readers.set(1, State::Down);
    assert_eq!(readers.figures(200).lost, 0, "it died with all who knew of it");
}

#[test]
fn what_died_with_its_writer_before_anybody_heard_hides_no_loss() {
    let mut readers = Readers::new();
    let put = Wrote::put(1);
    readers.writes(100, 0, &put);
    readers.hears(110, 1, &put);
    readers.hears(120, 1, &put.expired());
    readers.writes(130, 2, &Wrote::put(5));
    readers.set(0, State::Down);
    assert_eq!(readers.figures(200).lost, 0, "node 2 reads a newer one");
    readers.set(2, State::Down);
    assert_eq!(readers.figures(200).lost, 1);
}

#[test]
fn a_value_whose_end_was_seen_is_neither_lost_nor_to_be_read_again() {
    let mut readers = Readers::new();
    let put = Wrote::put(1);
    readers.writes(100, 0, &put);
    readers.hears(110, 1, &put);
    readers.writes(120, 1, &Wrote::delete(2));
    assert_eq!(readers.figures(200).lost, 0, "it was deleted");
    assert_eq!(readers.figures(200).zombies, 1, "node 0 has not heard of that");
    readers.hears(130, 0, &Wrote::delete(2));
    assert_eq!(readers.figures(200).zombies, 0);
    assert_eq!(readers.entries.returned(), []);
    readers.hears(140, 0, &put);
    let [(at, node, detail)] = readers.entries.returned() else { panic!("it came back once") };
    assert_eq!((*at, *node), (at_ms(140), 0));
    assert!(detail.contains("of `k` again, of which it had seen the end"), "{detail}");
}

#[test]
fn a_value_that_the_deleter_never_saw_may_live_where_the_delete_is_forgotten() {
    let mut readers = Readers::new();
    let seen = Wrote::put(1);
    readers.writes(100, 0, &seen);
    // Node 1 puts another, of which node 0 has not heard when it deletes the first.
    let unseen = Wrote::put(2);
    readers.writes(110, 1, &unseen);
    readers.writes(120, 0, &Wrote::delete(3));
    assert_eq!(readers.figures(200).zombies, 0);
    readers.hears(130, 0, &unseen);
    assert_eq!(readers.entries.returned(), []);
    assert_eq!(readers.figures(200).zombies, 0);
}

#[test]
fn who_starts_anew_knows_of_no_end_and_who_has_no_word_for_entries_is_not_asked() {
    let mut readers = Readers::new();
    let put = Wrote::put(1);
    readers.writes(100, 0, &put);
    readers.writes(110, 0, &Wrote::delete(2));
    readers.entries.begin(0, WireVersion::LATEST);
    readers.shift();
    readers.hears(120, 0, &put);
    assert_eq!(readers.entries.returned(), []);
    readers.hears(130, 1, &put);
    assert!(!readers.entries.is_complete());
    readers.entries.begin(2, WireVersion::One);
    readers.shift();
    assert!(readers.entries.is_complete(), "node 2 speaks version 1 of the wire");
    let converged = |readers: &Readers| readers.figures(200).converged;
    assert_eq!(converged(&readers), Some(false), "nobody knows of the delete any more");
    readers.writes(140, 1, &Wrote::put(9));
    readers.hears(150, 0, &Wrote::put(9));
    assert_eq!(converged(&readers), Some(true));
}

#[test]
fn of_very_many_writes_the_oldest_are_forgotten() {
    let mut readers = Readers::new();
    for nanos in 1..=300 {
        readers.writes(100, 0, &Wrote::put(nanos));
    }
    (1..NODES).for_each(|node| readers.hears(110, node, &Wrote::put(300)));
    assert!(readers.entries.is_complete());
    readers.hears(120, 0, &Wrote::put(299));
    assert_eq!(readers.entries.returned().len(), 1);
    assert!(!readers.entries.is_complete());
}

/// Compares all pairs of nodes that can reach each other, key by key: how many keys are read
/// differently, and of how many nobody alive has heard of the newest write.
fn naive(entries: &Entries, truth: &Truth) -> (usize, usize) {
    let live = || truth.live_nodes().filter(|(node, _)| entries.speaks[*node as usize]);
    let is_apart = |key: &&KeyHistory| {
        live().any(|(one, _)| {
            let mut reached = live().filter(|&(other, part)| truth.holds(one, other, part));
            reached.any(|(other, _)| key.reads(other) != key.reads(one))
        })
    };
    let is_unheard = |key: &&KeyHistory| {
        let newest = (0..key.writes.len()).max_by_key(|&write| key.writes[write].version);
        newest.is_some_and(|newest| {
            live().all(|(node, _)| !key.readers[node as usize].seen.has(newest as WriteNo))
        })
    };
    let keys = entries.keys.values();
    (keys.clone().filter(is_apart).count(), keys.filter(is_unheard).count())
}

proptest! {
    #[test]
    fn keys_that_are_apart_are_those_of_a_naive_count(
        steps in prop::collection::vec((0..NODES, 1_i64..6, 0_u8..9), 0..60),
    ) {
        let mut readers = Readers::new();
        let mut splits = Vec::new();
        for (node, nanos, kind) in steps {
            match kind {
                0 => {
                    readers.entries.begin(node, WireVersion::LATEST);
                    readers.truth.set(Instant::ZERO, node, State::Live(node));
                }
                1 => readers.truth.set(Instant::ZERO, node, State::Down),
                2 => {
                    let split = NetworkChange::Partition(vec![vec![node, nanos as u32 % NODES]]);
                    splits.push(readers.links.apply(split));
                }
                3 => splits.drain(..).for_each(|id| readers.links.undo(id)),
                _ => {
                    let wrote = match kind {
                        4 => Wrote::delete(10 + nanos),
                        5 => Wrote::put(nanos).expired(),
                        _ => Wrote::put(nanos),
                    };
                    let way = Way::Packet { from: 0, sent: at_ms(1), by: Channel::Rumor };
                    let told = (&wrote.0, way);
                    readers.entries.on_entry(&readers.truth, at_ms(1), node, told);
                }
            }
            if kind < 4 {
                readers.shift();
            }
            let counted = (readers.entries.apart, readers.entries.unheard);
            prop_assert_eq!(counted, naive(&readers.entries, &readers.truth));
        }
    }
}
