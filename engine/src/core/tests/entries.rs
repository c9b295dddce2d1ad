//! Named entries: told along arcs, repaired by exchanges, deleted for good.

use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, datagram};
use crate::config::{Config, WireVersion};
use crate::core::packet::{AgedEntry, Body, Compare, Differences};
use crate::core::{
    Answer, Command, Difference, Entry, EntryKey, Event, NotConfirmed, Output, PacketKind,
    PutError, Terms, Version,
};
use crate::time::Instant;

fn key(text: &str) -> EntryKey {
    EntryKey::new(text).unwrap()
}

#[track_caller]
fn put(cluster: &mut Cluster, node: u16, text: &str, data: &[u8]) {
    cluster.command(node, Command::Put(key(text), data.into(), Terms::default()));
}

#[track_caller]
fn delete(cluster: &mut Cluster, node: u16, text: &str) {
    cluster.command(node, Command::Delete(key(text)));
}

/// The value that a node holds of a key.
fn value(cluster: &mut Cluster, node: u16, text: &str) -> Option<Vec<u8>> {
    let now = cluster.now;
    let entries = cluster.engine(node).entries();
    entries.and_then(|held| held.get(text, now)).map(|entry| entry.data().unwrap().to_vec())
}

fn all_read(cluster: &mut Cluster, nodes: u16, text: &str, data: Option<&[u8]>) -> bool {
    (1..=nodes).all(|node| value(cluster, node, text).as_deref() == data)
}

fn sent(cluster: &Cluster, kind: PacketKind) -> usize {
    cluster.sent.get(&kind).copied().unwrap_or(0)
}

/// So many nodes that have known each other for a while.
fn settled(nodes: u16, config: Config) -> Cluster {
    let mut cluster = Cluster::of(nodes, config);
    cluster.run(3 * SECOND);
    cluster
}

/// How many values a node shows.
fn count(cluster: &mut Cluster, node: u16) -> usize {
    let now = cluster.now;
    let entries = cluster.engine(node).entries();
    entries.map_or(0, |held| held.prefix("", now).count())
}

#[test]
fn a_put_is_told_to_each_node_once_in_a_few_hops_and_so_is_a_delete() {
    let mut cluster = settled(100, Config::builder().fan_out(8).build().unwrap());
    // By then each knows how long answers take.
    cluster.run(10 * SECOND);
    let before = sent(&cluster, PacketKind::Rumor);
    put(&mut cluster, 42, "limits/login", b"10");
    let took = cluster.run_until(SECOND, |it| all_read(it, 100, "limits/login", Some(b"10")));
    assert_eq!(sent(&cluster, PacketKind::Rumor) - before, 99);
    assert!(took < SECOND * 3 / 100, "three hops of at most 10 ms, not {took:?}");
    assert!((1..=100).all(|node| cluster.engine(node).metadata().is_none()));
    delete(&mut cluster, 7, "limits/login");
    cluster.run_until(SECOND, |it| all_read(it, 100, "limits/login", None));
    put(&mut cluster, 9, "limits/login", b"11");
    cluster.run_until(SECOND, |it| all_read(it, 100, "limits/login", Some(b"11")));
}

#[test]
fn whoever_writes_is_told_the_version_or_what_is_wrong_and_everybody_of_the_change() {
    let config = Config::builder().entry_len_max(4).entries_max(1).build().unwrap();
    let mut cluster = settled(3, config);
    let from = cluster.events.len();
    put(&mut cluster, 1, "a", b"1234");
    put(&mut cluster, 1, "a", b"12345");
    put(&mut cluster, 1, "b", b"");
    delete(&mut cluster, 1, "b");
    let told: Vec<Answer> = cluster.answers.iter().map(|answer| answer.2.clone()).collect();
    let [Answer::Written(Ok(Some(_))), large, many, nothing] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*large, Answer::Written(Err(PutError::TooLarge { len: 5, max: 4 })));
    assert_eq!(*many, Answer::Written(Err(PutError::TooMany { count: 2, max: 1 })));
    assert_eq!(*nothing, Answer::Written(Ok(None)));
    cluster.run(SECOND);
    let changes = cluster.events[from..].iter().filter(|(_, _, event)| match event {
        Event::Entry(entry) => entry.key().as_str() == "a" && entry.data().is_some(),
        _ => false,
    });
    assert_eq!(changes.count(), 3, "one on each node");
}

#[test]
fn of_writes_to_one_key_everywhere_at_once_all_nodes_keep_the_same() {
    let mut cluster = settled(20, Config::default());
    for node in 1..=20 {
        put(&mut cluster, node, "leader", node.to_string().as_bytes());
    }
    cluster.run(2 * SECOND);
    let first = value(&mut cluster, 1, "leader");
    assert!(first.is_some() && all_read(&mut cluster, 20, "leader", first.as_deref()));
}

#[test]
fn what_is_written_within_a_few_milliseconds_travels_together() {
    let mut cluster = settled(20, Config::default());
    let before = sent(&cluster, PacketKind::Rumor);
    for number in 0..100 {
        put(&mut cluster, 1, &format!("k{number:02}"), &[7; 8]);
    }
    // The newest of a key alone is worth telling.
    put(&mut cluster, 1, "k99", b"last");
    cluster.run_until(SECOND, |cluster| (1..=20).all(|node| count(cluster, node) == 100));
    assert!(all_read(&mut cluster, 20, "k99", Some(b"last")));
    let rumors = sent(&cluster, PacketKind::Rumor) - before;
    assert!(rumors <= 19 * 12, "{rumors} rumors for a hundred entries of 90 bytes");
}

/// Puts by some nodes in turn, one each so many milliseconds, for a second; rumors each node got.
fn rumors_of_a_second(writers: u16, each: u64) -> f64 {
    let mut cluster = settled(20, Config::default());
    let before = sent(&cluster, PacketKind::Rumor);
    for number in 0..1_000 / each {
        let writer = 1 + (number % u64::from(writers)) as u16;
        put(&mut cluster, writer, &format!("k{number}"), &[7; 8]);
        cluster.run(Duration::from_millis(each));
    }
    let all = (1_000 / each) as usize;
    cluster.run_until(SECOND / 10, |cluster| (1..=20).all(|node| count(cluster, node) == all));
    (sent(&cluster, PacketKind::Rumor) - before) as f64 / 19.0
}

#[test]
fn who_writes_alone_has_each_write_told_at_once_and_many_share_rumors() {
    let alone = rumors_of_a_second(1, 5);
    assert!((195.0..=205.0).contains(&alone), "{alone} rumors for 200 puts");
    let many = rumors_of_a_second(10, 1);
    assert!((200.0..=450.0).contains(&many), "{many} rumors for 1000 puts of ten");
}

#[test]
fn what_was_written_just_before_a_leave_is_not_lost_with_who_leaves() {
    let mut cluster = settled(5, Config::default());
    for number in 0..10 {
        put(&mut cluster, 1, &format!("k{number}"), b"1");
    }
    cluster.command(1, Command::Leave);
    cluster.run_until(SECOND, |cluster| (2..=5).all(|node| count(cluster, node) == 10));
}

#[test]
fn what_is_replaced_before_anybody_answers_is_not_told_again() {
    let mut cluster = settled(10, Config::default());
    cluster.loss = crate::rng::Probability::ONE;
    let before = sent(&cluster, PacketKind::Rumor);
    for number in 0..20_u8 {
        put(&mut cluster, 1, "k", &[number]);
        cluster.run(Duration::from_millis(4));
    }
    cluster.run(SECOND);
    let rumors = sent(&cluster, PacketKind::Rumor) - before;
    assert!(rumors <= 140, "{rumors} rumors: three first sends of each, and repeats of the last");
}

fn put_to(cluster: &mut Cluster, node: u16, text: &str, data: &[u8], holders: usize) {
    let put = Command::PutTo(key(text), data.into(), Terms::default(), holders);
    cluster.command(node, put);
}

/// What those were answered who wait for others to hold their value of a key.
fn kept(cluster: &Cluster, text: &str) -> Vec<Result<Version, NotConfirmed>> {
    let answers = cluster.answers.iter().filter_map(|(_, _, answer)| match answer {
        Answer::Kept(of, kept) if of.as_str() == text => Some(*kept),
        _ => None,
    });
    answers.collect()
}

#[test]
fn a_put_to_many_is_answered_once_so_many_others_hold_it() {
    for holders in [1, 5, 29] {
        let mut cluster = settled(30, Config::default());
        put_to(&mut cluster, 1, "a", b"1", holders);
        put_to(&mut cluster, 1, "b", b"1", holders);
        cluster.run_until(SECOND / 10, |cluster| cluster.answers.len() == 4);
        for text in ["a", "b"] {
            let [Ok(_)] = kept(&cluster, text)[..] else { panic!("{:?}", cluster.answers) };
            let held = (2..=30).filter(|&node| value(&mut cluster, node, text).is_some()).count();
            assert!(held >= holders, "{held} instead of {holders}");
        }
        cluster.run(6 * SECOND);
        assert_eq!(cluster.answers.len(), 4, "each is answered once");
    }
}

#[test]
fn a_put_to_more_than_there_are_says_after_a_timeout_how_many_hold_it() {
    let mut cluster = settled(6, Config::default());
    put_to(&mut cluster, 1, "a", b"1", 6);
    let took = cluster.run_until(6 * SECOND, |cluster| !kept(cluster, "a").is_empty());
    assert_eq!(took, 5 * SECOND);
    let [Err(NotConfirmed { held_by, .. })] = kept(&cluster, "a")[..] else {
        panic!("{:?}", cluster.answers)
    };
    assert_eq!(held_by, 5);
}

/// Three nodes with room for a hundred entries, but for the third, which has less.
fn with_less_room(entries_max: usize) -> Cluster {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=3 {
        let entries_max = if node == 3 { entries_max } else { 100 };
        cluster.configure(Config::builder().entries_max(entries_max).build().unwrap());
        cluster.start(node, &[1]);
    }
    cluster
}

#[test]
fn who_acknowledges_and_has_no_room_for_an_entry_is_not_taken_to_hold_it() {
    let mut cluster = with_less_room(1);
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    cluster.run(3 * SECOND);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for text in names {
        put_to(&mut cluster, 1, text, b"1", 2);
        cluster.run(6 * SECOND);
    }
    let mut held = 0;
    for text in names {
        let confirmed = match kept(&cluster, text)[..] {
            [Ok(_)] => true,
            [Err(NotConfirmed { held_by: 1, .. })] => false,
            _ => panic!("{:?}", cluster.answers),
        };
        let was_told = cluster.events.iter().any(|(_, by, event)| match event {
            Event::Entry(entry) => *by == 3 && entry.key().as_str() == text,
            _ => false,
        });
        assert_eq!(confirmed, was_told, "{text}");
        held += usize::from(confirmed);
    }
    assert!((1..8).contains(&held), "{held} of 8");
}

#[test]
fn whose_room_differs_is_told_once_of_each_limit() {
    let mut cluster = with_less_room(7);
    cluster.run(30 * SECOND);
    let told = |by: u16| -> Vec<_> {
        let events = cluster.events.iter().filter(|(_, node, _)| *node == by);
        let of_room = events.filter_map(|(_, _, event)| match event {
            Event::SettingsDiffer {
                peer,
                difference: Difference::EntryRoom { key, ours, theirs },
            } => Some((peer.port(), *key, *ours, *theirs)),
            _ => None,
        });
        of_room.collect()
    };
    assert_eq!(told(1), [(3, "entries_max", 100, 7)]);
    let mut of_both = told(3);
    of_both.sort_unstable();
    assert_eq!(of_both, [(1, "entries_max", 7, 100), (2, "entries_max", 7, 100)]);
}

#[test]
fn whoever_has_the_entry_by_a_swap_counts_as_well() {
    let mut cluster = settled(3, Config::default());
    cluster.mute.insert(PacketKind::Rumor);
    put_to(&mut cluster, 1, "a", b"1", 2);
    cluster.run_until(5 * SECOND, |cluster| !kept(cluster, "a").is_empty());
    assert!(matches!(kept(&cluster, "a")[..], [Ok(_)]), "{:?}", cluster.answers);
}

#[test]
fn what_a_cut_kept_from_some_is_brought_by_a_few_datagrams_after_it() {
    let mut cluster = settled(12, Config::default());
    for number in 0..300 {
        put(&mut cluster, 1, &format!("service/{number}"), &[7; 40]);
        cluster.run(Duration::from_millis(3));
    }
    cluster.run_until(5 * SECOND, |cluster| (1..=12).all(|node| count(cluster, node) == 300));
    cluster.run(2 * SECOND);
    cluster.far_side = (1..=6).collect();
    put(&mut cluster, 1, "near", b"1");
    delete(&mut cluster, 2, "service/7");
    put(&mut cluster, 12, "far", b"2");
    cluster.run(SECOND);
    assert_eq!(value(&mut cluster, 12, "near"), None);
    cluster.far_side.clear();
    cluster.streams.clear();
    cluster.run_until(5 * SECOND, |cluster| {
        all_read(cluster, 12, "near", Some(b"1"))
            && all_read(cluster, 12, "far", Some(b"2"))
            && all_read(cluster, 12, "service/7", None)
    });
    assert_eq!(cluster.streams.get(&PacketKind::Compare), None);
}

#[test]
fn a_newcomer_gets_all_that_is_held_by_stream() {
    let mut cluster = settled(4, Config::default());
    for number in 0..2_000 {
        put(&mut cluster, 1 + number % 4, &format!("service/{number}"), &[7; 100]);
        if number % 50 == 0 {
            cluster.run(Duration::from_millis(20));
        }
    }
    cluster.run_until(10 * SECOND, |cluster| (1..=4).all(|node| count(cluster, node) == 2_000));
    cluster.start(5, &[1]);
    let took = cluster.run_until(5 * SECOND, |cluster| count(cluster, 5) == 2_000);
    assert!(took < 2 * SECOND, "{took:?}");
    assert!(cluster.streams.contains_key(&PacketKind::Compare));
}

#[test]
fn a_newcomer_is_sent_much_by_one_node_and_only_as_fast_as_it_takes_it() {
    // Half a page may be on its way beside the one that always may.
    let config = Config::builder().entry_len_max(1_000).metadata_len_max(1_000).build().unwrap();
    let mut cluster = settled(8, config);
    for number in 0..4_000 {
        put(&mut cluster, 1 + number % 8, &format!("service/{number}"), &[7; 100]);
        if number % 50 == 0 {
            cluster.run(Duration::from_millis(20));
        }
    }
    cluster.run_until(20 * SECOND, |cluster| (1..=8).all(|node| count(cluster, node) == 4_000));
    cluster.run(3 * SECOND);
    cluster.streams.clear();
    cluster.start(9, &[1]);
    let mut most = 0;
    while count(&mut cluster, 9) < 4_000 {
        cluster.run(Duration::from_millis(1));
        most = most.max(cluster.streams_on_the_way());
    }
    // Some fifteen pages, as many acknowledgements, and what is found to differ.
    let streamed = cluster.streams[&PacketKind::Compare];
    assert!((15..60).contains(&streamed), "{streamed}");
    assert!(most <= 6, "{most} at once");
}

#[test]
fn where_much_is_lost_all_come_to_hold_all() {
    let mut cluster = settled(20, Config::default());
    cluster.loss = crate::rng::Probability::from_ppb(300_000_000);
    for number in 0..60 {
        put(&mut cluster, 1 + number % 20, &format!("k{number}"), &[7; 20]);
        cluster.run(Duration::from_millis(10));
    }
    cluster.run_until(20 * SECOND, |cluster| (1..=20).all(|node| count(cluster, node) == 60));
}

#[test]
fn nodes_that_hold_the_same_say_no_more_to_each_other_than_with_none() {
    let bytes = |entries: u16| {
        let mut cluster = settled(6, Config::default());
        for number in 0..entries {
            put(&mut cluster, 1, &format!("k{number}"), &[7; 20]);
        }
        cluster.run(40 * SECOND);
        let before = cluster.sent.clone();
        cluster.run(40 * SECOND);
        let compared = sent(&cluster, PacketKind::Compare);
        assert_eq!(compared, before.get(&PacketKind::Compare).copied().unwrap_or(0));
        let all: usize = cluster.sent.values().sum();
        all - before.values().sum::<usize>()
    };
    let (none, many) = (bytes(0), bytes(500));
    assert!(many.abs_diff(none) * 20 <= none, "{none} packets without entries, {many} with");
}

#[test]
fn who_was_away_longer_than_deletes_are_remembered_brings_nothing_back() {
    let ttl = 40 * SECOND;
    let config = Config::builder().tombstone_ttl(ttl).build().unwrap();
    let mut cluster = settled(5, config);
    for name in ["stays", "goes"] {
        put(&mut cluster, 1, name, b"1");
    }
    // Long enough for swaps to tell everybody what everybody has.
    cluster.run(60 * SECOND);
    assert!(all_read(&mut cluster, 5, "goes", Some(b"1")));
    cluster.far_side = [5].into();
    delete(&mut cluster, 2, "goes");
    put(&mut cluster, 5, "new", b"2");
    cluster.run(ttl + 10 * SECOND);
    assert_eq!(value(&mut cluster, 5, "goes").as_deref(), Some(&b"1"[..]), "nobody told it");
    cluster.far_side.clear();
    cluster.run_until(30 * SECOND, |cluster| {
        all_read(cluster, 5, "goes", None) && all_read(cluster, 5, "new", Some(b"2"))
    });
    cluster.run(20 * SECOND);
    assert!(all_read(&mut cluster, 5, "goes", None), "{}", cluster.state());
    assert!(all_read(&mut cluster, 5, "stays", Some(b"1")));
}

#[test]
fn a_value_that_expires_is_gone_everywhere_by_its_age_whatever_the_clocks_show() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=6 {
        cluster.clocks.insert(node, i64::from(node) * 7_000_000_000);
        cluster.start(node, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    let terms = Terms { ttl: Some(4 * SECOND), ..Terms::default() };
    cluster.command(3, Command::Put(key("lease"), b"x"[..].into(), terms));
    cluster.run_until(SECOND, |cluster| all_read(cluster, 6, "lease", Some(b"x")));
    // One that hears of it late hears how old it is.
    cluster.run(3 * SECOND);
    cluster.start(7, &[1]);
    cluster.run_until(SECOND, |cluster| value(cluster, 7, "lease").is_some());
    cluster.run(SECOND);
    assert!(all_read(&mut cluster, 7, "lease", None));
    let from = cluster.now.saturating_sub(2 * SECOND);
    let gone = |(at, _, event): &&(Instant, u16, Event)| match event {
        Event::Entry(entry) => *at > from && entry.data().is_none(),
        _ => false,
    };
    assert_eq!(cluster.events.iter().filter(gone).count(), 7, "each service is told once");
    cluster.run(20 * SECOND);
    let same: Vec<_> = (1..=7).map(|node| cluster.engine(node).agreement().is_full()).collect();
    assert_eq!(same, [true; 7]);
}

#[test]
fn nodes_of_version_1_are_not_told_of_entries_and_the_others_are_none_the_worse() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=12 {
        let wire = if node % 3 == 0 { WireVersion::One } else { WireVersion::Two };
        cluster.configure(Config::builder().wire_max(wire).build().unwrap());
        cluster.start(node, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    cluster.run(30 * SECOND);
    cluster.refused.clear();
    put(&mut cluster, 1, "a", b"1");
    let newer: Vec<u16> = (1..=12).filter(|node| node % 3 != 0).collect();
    cluster
        .run_until(SECOND, |cluster| newer.iter().all(|&node| value(cluster, node, "a").is_some()));
    assert!(cluster.refused.is_empty(), "{:?}", cluster.refused);
    cluster.publish(3, b"v1");
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"v1"));
    cluster.run(30 * SECOND);
    for node in 1..=12 {
        assert!(cluster.engine(node).agreement().is_full(), "node {node}");
    }
    assert!([3, 6, 9, 12].iter().all(|&node| value(&mut cluster, node, "a").is_none()));
}

#[test]
fn a_stranger_is_not_compared_with() {
    let mut cluster = settled(3, Config::default());
    put(&mut cluster, 1, "a", b"1");
    let compare = Compare { token: 7, differences: Differences::default() };
    let packet = super::telling::packet(Body::Compare(compare));
    let outputs = cluster.outputs_of(1, datagram(addr(99), packet));
    assert!(outputs.is_empty(), "{outputs:?}");
    assert_eq!(cluster.engine(1).stats().exchanges_refused, 1);
}

#[test]
fn entries_that_nobody_listed_are_refused_from_a_member_too() {
    let mut cluster = settled(3, Config::default());
    put(&mut cluster, 1, "a", b"1");
    cluster.run(SECOND);
    let now = cluster.now;
    let held: Entry = cluster.engine(2).entries().unwrap().get("a", now).unwrap().clone();
    let entries = vec![AgedEntry { entry: held, age: Duration::ZERO }];
    let differences = Differences { entries, ..Differences::default() };
    let packet = super::telling::packet(Body::Compare(Compare { token: 7, differences }));
    let outputs = cluster.outputs_of(1, datagram(addr(2), packet));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Send { .. })), "{outputs:?}");
    assert_eq!(cluster.engine(1).stats().exchanges_refused, 1);
}

/// Whether a node's service was last told that a key has a value.
fn is_told(cluster: &Cluster, node: u16, text: &str) -> Option<bool> {
    let told = cluster.events.iter().rev().filter(|(_, by, _)| *by == node);
    let mut of_key = told.filter_map(|(_, _, event)| match event {
        Event::Entry(entry) if entry.key().as_str() == text => Some(entry.data().is_some()),
        _ => None,
    });
    of_key.next()
}

#[test]
fn a_bound_value_is_hidden_while_its_writer_is_not_listed_and_over_when_it_leaves() {
    let mut cluster = settled(6, Config::default());
    let terms = Terms { bound: true, ..Terms::default() };
    for writer in [5, 6] {
        let name = key(&format!("services/{writer}"));
        cluster.command(writer, Command::Put(name, b"up"[..].into(), terms));
    }
    cluster.run(SECOND);
    assert!((1..=6).all(|node| is_told(&cluster, node, "services/5") == Some(true)));
    cluster.far_side = [5].into();
    cluster.run(10 * SECOND);
    assert!([1, 2, 3, 4].iter().all(|&node| is_told(&cluster, node, "services/5") == Some(false)));
    assert!(value(&mut cluster, 1, "services/5").is_some(), "hidden, not deleted");
    cluster.far_side.clear();
    cluster.run_until(20 * SECOND, |cluster| {
        [1, 2, 3, 4].iter().all(|&node| is_told(cluster, node, "services/5") == Some(true))
    });
    cluster.command(6, Command::Leave);
    cluster.run_until(5 * SECOND, |cluster| {
        (1..=5).all(|node| value(cluster, node, "services/6").is_none())
    });
    cluster.run(20 * SECOND);
    for node in 1..=5 {
        assert_eq!(is_told(&cluster, node, "services/6"), Some(false));
        assert!(cluster.engine(node).agreement().is_full(), "node {node}");
    }
}

#[test]
fn a_value_longer_than_a_datagram_goes_along_arcs_by_stream_once_to_each() {
    let mut cluster = settled(20, Config::default());
    let data = vec![7; 300_000];
    put(&mut cluster, 1, "large", &data);
    cluster.run_until(2 * SECOND, |cluster| all_read(cluster, 20, "large", Some(&data)));
    cluster.run(2 * SECOND);
    assert_eq!(cluster.streams.get(&PacketKind::Rumor), Some(&19));
}

#[test]
fn who_came_after_a_delete_knows_what_was_deleted_before_it_came() {
    let ttl = 40 * SECOND;
    let config = Config::builder().tombstone_ttl(ttl).build().unwrap();
    let mut cluster = settled(3, config);
    put(&mut cluster, 1, "goes", b"1");
    cluster.run(2 * SECOND);
    assert!(all_read(&mut cluster, 3, "goes", Some(b"1")));
    cluster.far_side = [3].into();
    cluster.run(15 * SECOND);
    put(&mut cluster, 1, "goes", b"2");
    delete(&mut cluster, 2, "goes");
    // They hear of the end of the second value, and never of the first.
    for node in [4, 5] {
        cluster.start(node, &[1]);
    }
    cluster.run(ttl + 30 * SECOND);
    for node in [1, 2] {
        cluster.command(node, Command::Leave);
    }
    cluster.run(5 * SECOND);
    assert_eq!(cluster.list(4), [4, 5]);
    cluster.far_side.clear();
    cluster.command(3, Command::Seeds(vec![addr(4)]));
    cluster.run_until(20 * SECOND, Cluster::all_list_all);
    cluster.run(30 * SECOND);
    for node in [3, 4, 5] {
        assert_eq!(value(&mut cluster, node, "goes"), None, "node {node}");
    }
}

#[test]
fn of_a_key_that_is_written_time_and_again_only_the_newest_value_is_told() {
    let mut cluster = settled(5, Config::default());
    let before = sent(&cluster, PacketKind::Rumor);
    for number in 0..50 {
        put(&mut cluster, 1, "k", &[number; 500]);
    }
    cluster.run_until(SECOND, |cluster| all_read(cluster, 5, "k", Some(&[49; 500])));
    let rumors = sent(&cluster, PacketKind::Rumor) - before;
    assert_eq!(rumors, 2 * 4, "the first and the last");
}
