//! What outlasts a node: given moment by moment, taken back, and kept before it is confirmed.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::cluster::{Cluster, SECOND, addr, rumor};
use crate::config::Config;
use crate::core::packet::{AgedEntry, Body, Covered, Probe, Reply, Subject};
use crate::core::{
    Answer, Command, EntryKey, Event, Input, KeptState, Metadata, Moment, Output, Packet,
    PacketKind, Terms, Value,
};
use crate::time::Instant;

fn key(text: &str) -> EntryKey {
    EntryKey::new(text).unwrap()
}

#[track_caller]
fn put(cluster: &mut Cluster, node: u16, text: &str, terms: Terms) {
    cluster.command(node, Command::Put(key(text), text.as_bytes().into(), terms));
}

/// The keys that a node shows.
fn shown(cluster: &mut Cluster, node: u16) -> Vec<String> {
    let now = cluster.now;
    let held = cluster.engine(node).entries().into_iter().flat_map(|held| held.prefix("", now));
    held.map(|entry| entry.key().to_string()).collect()
}

fn kept(cluster: &mut Cluster, node: u16) -> KeptState {
    let now = cluster.clock();
    cluster.engine(node).moment(now).kept()
}

/// All nodes go at once.
fn power_cut(cluster: &mut Cluster, nodes: u16) -> Vec<KeptState> {
    let kept = (1..=nodes).map(|node| kept(cluster, node)).collect();
    (1..=nodes).for_each(|node| cluster.crash(node));
    kept
}

#[test]
fn a_cluster_that_went_at_once_comes_back_with_all_it_kept_and_nobody_told_where_to_look() {
    let mut cluster = Cluster::of(5, Config::default());
    let ttl = Terms { bound: false, ttl: Some(60 * SECOND) };
    for (node, text) in [(1, "a"), (2, "b"), (3, "gone")] {
        put(&mut cluster, node, text, Terms::default());
    }
    put(&mut cluster, 4, "leased", ttl);
    cluster.publish(5, b"v");
    cluster.run(SECOND);
    cluster.command(1, Command::Delete(key("gone")));
    // One has not heard of the delete when it goes, and comes back first.
    let early = kept(&mut cluster, 2);
    cluster.run(9 * SECOND);
    let mut all = power_cut(&mut cluster, 5);
    all[1] = early;
    assert!(all.iter().all(|kept| kept.members.len() == 4));
    cluster.run(20 * SECOND);
    for (node, kept) in (1..).zip(all).skip(1) {
        cluster.start_with(node, kept.clone(), 20 * SECOND);
        if node == 2 {
            assert!(shown(&mut cluster, 2).contains(&"gone".to_owned()));
        }
        if node == 5 {
            cluster.start_with(1, kept, 20 * SECOND);
        }
    }
    cluster.run_until(10 * SECOND, Cluster::all_list_all);
    cluster.run(5 * SECOND);
    for node in 1..=5 {
        assert_eq!(shown(&mut cluster, node), ["a", "b", "leased"], "node {node}");
        assert_eq!(cluster.engine(node).metadata().map(|it| it.data().to_vec()), Some(b"v".into()));
    }
    // It is 30 seconds old when they come back.
    cluster.run(40 * SECOND);
    assert_eq!(shown(&mut cluster, 3), ["a", "b"]);
}

#[test]
fn a_new_life_writes_above_what_it_kept_and_ends_what_was_bound_to_the_old_one() {
    let mut cluster = Cluster::of(2, Config::default());
    put(&mut cluster, 1, "bound", Terms { bound: true, ttl: None });
    put(&mut cluster, 1, "a", Terms::default());
    cluster.run(SECOND);
    let all = power_cut(&mut cluster, 2);
    for (node, kept) in [(2, all[1].clone()), (1, all[0].clone())] {
        cluster.start_with(node, kept, SECOND);
    }
    let told = |node| {
        move |(_, at, event): &&(Instant, u16, Event)| {
            *at == node && matches!(event, Event::Entry(entry) if entry.key().as_str() == "bound")
        }
    };
    assert_eq!(cluster.events.iter().filter(told(2)).count(), 1, "when it was put, and not now");
    cluster.command(1, Command::Delete(key("a")));
    cluster.run(10 * SECOND);
    let now = cluster.now;
    for node in 1..=2 {
        let held = kept(&mut cluster, node);
        let bound = held.entries.iter().find(|aged| aged.entry.key().as_str() == "bound").unwrap();
        assert_eq!(bound.entry.data(), None, "node {node} has it on at {now:?}");
        assert!(shown(&mut cluster, node).is_empty());
    }
}

#[test]
fn who_is_remembered_is_dialled_beside_the_seeds_and_kept_until_it_is_met() {
    let mut cluster = Cluster::of(200, Config::default());
    let first = kept(&mut cluster, 7);
    assert!((32..=64).contains(&first.members.len()) && !first.members.contains(&addr(7)));
    cluster.crash(7);
    // Its network is down, and it goes once more before it has met anybody.
    cluster.far_side.insert(7);
    cluster.start_with(7, first.clone(), SECOND);
    cluster.run(5 * SECOND);
    let second = kept(&mut cluster, 7);
    let sorted = |mut kept: KeptState| {
        kept.members.sort_unstable();
        kept.members
    };
    assert_eq!(sorted(second.clone()), sorted(first));
    cluster.crash(7);
    cluster.far_side.clear();
    cluster.start_with(7, second, SECOND);
    cluster.run_until(20 * SECOND, Cluster::all_list_all);
}

fn keeping() -> Config {
    Config::default().with_state_dir("/state")
}

fn metadata(cluster: &Cluster, data: &[u8]) -> Metadata {
    let value = Value::new(data, &Config::default()).unwrap();
    Metadata::above(None, value, super::cluster::place(2), cluster.clock().wall).unwrap()
}

/// What is sent before a flush is asked for, and what behind it.
fn around(outputs: &[Output]) -> (Vec<PacketKind>, Vec<PacketKind>) {
    let sent = |outputs: &[Output]| {
        let kind = |output: &Output| match output {
            Output::Send { packet, .. } => Some(packet.kind()),
            Output::Event(_) | Output::Answer(_) | Output::Flush => None,
        };
        outputs.iter().filter_map(kind).collect()
    };
    let flush = outputs.iter().position(|output| matches!(output, Output::Flush));
    let (before, behind) = outputs.split_at(flush.unwrap_or(outputs.len()));
    (sent(before), sent(behind))
}

#[test]
fn who_keeps_acknowledges_a_value_behind_a_flush_and_tells_it_on_before() {
    for (config, flushes) in [(keeping(), true), (Config::default(), false)] {
        let mut cluster = Cluster::of(5, config);
        cluster.run(3 * SECOND);
        let entry = kept(&mut cluster, 1);
        assert!(entry.entries.is_empty());
        let value = metadata(&cluster, b"v");
        let mut other = Cluster::of(2, Config::default());
        put(&mut other, 2, "a", Terms::default());
        let entries = kept(&mut other, 2).entries;
        for topic in [Subject::Metadata(value), Subject::Entries(entries)] {
            let packet = Packet::new(crate::core::AgeStep(1), rumor(topic))
                .in_version(crate::config::WireVersion::LATEST);
            let (before, behind) = around(&cluster.outputs(1, 2, packet));
            let all = [before.clone(), behind.clone()].concat();
            assert!(all.contains(&PacketKind::RumorAck) && all.contains(&PacketKind::Rumor));
            let expected = if flushes { vec![PacketKind::RumorAck] } else { vec![] };
            assert_eq!(behind, expected, "before: {before:?}");
        }
    }
}

#[test]
fn who_keeps_answers_a_swap_behind_a_flush_and_a_probe_at_once() {
    let mut cluster = Cluster::of(3, keeping());
    let request = cluster.swap_request(2, 1);
    let (_, behind) = around(&cluster.outputs(1, 2, request));
    assert!(behind.contains(&PacketKind::SwapAnswer), "{behind:?}");
    let holds = cluster.engine(2).holds();
    let probe = Body::Probe(Probe { token: 7, holds, reply: Reply::Datagram });
    let probe = Packet::new(crate::core::AgeStep(1), probe);
    let outputs = cluster.outputs(1, 2, probe);
    let (before, behind) = around(&outputs);
    assert!(before.contains(&PacketKind::ProbeAnswer) && behind.is_empty(), "{outputs:?}");
}

#[test]
fn a_publisher_that_keeps_counts_on_its_own_copy_too() {
    let mut cluster = Cluster::of(3, keeping());
    let value = Value::new(*b"v", &keeping()).unwrap();
    let publish = Input::Command(Command::PublishTo(value, 0));
    let outputs = cluster.outputs_of(1, publish);
    let at = |wanted: fn(&Output) -> bool| outputs.iter().position(wanted);
    let flush = at(|output| matches!(output, Output::Flush));
    let answer = at(|output| matches!(output, Output::Answer(Answer::Published(Ok(_)))));
    assert!(flush.is_some() && flush < answer, "{outputs:?}");
    assert!(around(&outputs).0.contains(&PacketKind::Rumor), "it is told at once: {outputs:?}");
}

/// What is written of a node, changed by changes alone.
#[derive(Debug, Default)]
struct Disk {
    kept: KeptState,
    entries: BTreeMap<EntryKey, AgedEntry>,
    coverage: BTreeMap<(u64, u64, u64), Covered>,
}

fn start(run: &Covered) -> (u64, u64, u64) {
    (run.writer.place.0, run.writer.generation.get(), run.first)
}

impl Disk {
    fn write(&mut self, moment: &Moment, earlier: &Moment) {
        let changes = moment.since(earlier);
        self.kept.generation = changes.generation;
        self.kept.metadata = changes.metadata.or(self.kept.metadata.take());
        for key in &changes.gone {
            assert!(self.entries.remove(key).is_some(), "{key} was not there");
        }
        for aged in changes.entries {
            self.entries.insert(aged.entry.key().clone(), aged);
        }
        for run in &changes.uncovered {
            assert!(self.coverage.remove(&start(run)).is_some());
        }
        self.coverage.extend(changes.covered.into_iter().map(|run| (start(&run), run)));
        self.kept.members = changes.members.unwrap_or(std::mem::take(&mut self.kept.members));
    }

    /// Ages are those of when each was written.
    fn holds(&self, kept: &KeptState) -> bool {
        let entry = |aged: &AgedEntry| aged.entry.clone();
        self.entries.values().map(entry).eq(kept.entries.iter().map(entry))
            && self.coverage.values().eq(&kept.coverage)
            && self.kept.metadata == kept.metadata
            && self.kept.members == kept.members
            && self.kept.generation == kept.generation
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn changes_from_moment_to_moment_add_up_to_all_of_the_last(
        steps in prop::collection::vec((0..3_u8, 1..=3_u16, 0..120_u8, 0..5_u8), 1..160),
    ) {
        let config = Config::builder().entries_max(60).tombstone_ttl(10 * SECOND).build().unwrap();
        let mut cluster = Cluster::of(3, config);
        let (mut disk, mut earlier) = (Disk::default(), Moment::default());
        for (step, node, number, pause) in steps {
            let text = format!("key-{number}");
            match step {
                0 => cluster.command(node, Command::Delete(key(&text))),
                1 => cluster.publish(node, text.as_bytes()),
                _ => put(&mut cluster, node, &text, Terms::default()),
            }
            cluster.run(Duration::from_millis(1 << (3 * pause)));
            if number % 4 == 0 {
                let now = cluster.clock();
                let moment = cluster.engine(1).moment(now);
                disk.write(&moment, &earlier);
                prop_assert!(disk.holds(&moment.kept()), "{:?}\n{:?}", disk, moment.kept());
                earlier = moment;
            }
        }
    }
}
