//! What two maps say to each other until they hold the same, and what they refuse to hear.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::super::EntryLimits;
use super::super::tests::{DELETED, LIMITS, any_writes, at, check, key, map, writer};
use super::*;
use crate::core::entry::{Content, Terms};
use crate::rng::Rng;
use crate::time::Now;

const SECOND: Duration = Duration::from_secs(1);

fn now() -> Now {
    at(1_000 * SECOND)
}

impl Differences {
    /// The bytes it takes: what has a fixed length in full, nothing packed.
    fn len(&self) -> usize {
        let part = |part: &RangePart| match &part.content {
            RangeContent::Sums(sums) => 9 + 8 * sums.len(),
            RangeContent::List(list) => 10 + 16 * list.len(),
        };
        // Version, generation, number and kind.
        let stamp = 32 + 8 + 8 + 1;
        let key = |key: &EntryKey| 2 + key.as_str().len();
        let entry = |aged: &AgedEntry| {
            let data = aged.entry.data().map_or(0, |data| data.len());
            let age = if aged.entry.ages() { 16 } else { 0 };
            key(aged.entry.key()) + stamp + 4 + data + age
        };
        let parts = self.parts.iter().map(part).sum::<usize>();
        let entries = self.entries.iter().map(entry).sum::<usize>();
        let dead = self.dead.iter().map(|dead| key(&dead.key) + 32).sum::<usize>();
        5 + parts + 16 * self.wanted.len() + (8 + stamp) * self.heads.len() + entries + dead
    }
}

/// What an exchange took.
#[derive(Debug, Default, PartialEq, Eq)]
struct Took {
    messages: usize,
    bytes: usize,
    longest: usize,
    values: usize,
    by_stream: bool,
}

/// Two maps that exchange; of each message as many copies arrive as is said.
fn exchange(
    one: &mut Entries,
    two: &mut Entries,
    path: ExchangePath,
    mut copies: impl FnMut() -> usize,
) -> Took {
    let (ours, first) = Exchange::begin(path, one);
    let mut sides = [(one, ours), (two, Exchange::answering(path))];
    let (mut took, mut flying) = (Took::default(), VecDeque::from([(1, first)]));
    while let Some((to, message)) = flying.pop_front() {
        took.messages += 1;
        took.bytes += message.len();
        took.longest = took.longest.max(message.len());
        took.values += message.entries.len();
        for _ in 0..copies() {
            let (entries, exchange) = &mut sides[to];
            let done = exchange.take(entries, message.clone(), now().mono);
            match done.expect("they answer what was asked").answer {
                ExchangeAnswer::Nothing => {}
                ExchangeAnswer::Differences(answer) => flying.push_back((1 - to, *answer)),
                ExchangeAnswer::ByStream => took.by_stream = true,
            }
        }
    }
    took
}

fn put(entries: &mut Entries, text: &str, data: &[u8]) -> Entry {
    entries.put(key(text), data.into(), Terms::default(), now()).unwrap()
}

/// Two maps with the same entries, each of 100 bytes with its key.
fn twins(count: usize) -> (Entries, Entries) {
    let mut one = Entries::new(writer(1), EntryLimits { count_max: 200_000, ..LIMITS });
    for number in 0..count {
        put(&mut one, &format!("service/{number:06}"), &[b'x'; 86]);
    }
    let mut two = one.clone();
    two.start_as(writer(2));
    (one, two)
}

/// Makes them differ: an entry each is new on either side, or newer.
fn part(one: &mut Entries, two: &mut Entries, differences: usize) {
    for number in 0..differences {
        let name = format!("service/{:06}", number * 977);
        match number % 4 {
            0 => drop(put(one, &name, &[b'y'; 86])),
            1 => drop(put(two, &name, &[b'z'; 86])),
            2 => drop(put(one, &format!("new/{number:010}"), &[b'y'; 86])),
            _ => drop(put(two, &format!("new/{number:010}"), &[b'z'; 86])),
        }
    }
}

#[test]
fn a_range_is_cut_into_64_that_have_each_of_its_places_once() {
    let mut range = HashRange::ALL;
    assert_eq!((range.first(), range.last()), (0, u64::MAX));
    for depth in 1..=HashRange::DEPTH_MAX {
        let children: Vec<HashRange> = range.children().collect();
        assert_eq!((children.len(), children[0].first()), (64, range.first()));
        assert_eq!(children[63].last(), range.last());
        for pair in children.windows(2) {
            assert_eq!(pair[0].last() + 1, pair[1].first());
        }
        for &child in &children {
            assert_eq!(child.parent(), Some(range));
            assert_eq!(HashRange::around(child.last(), depth), child);
            assert_eq!(HashRange::new(child.first(), depth), Some(child));
            assert_eq!(HashRange::new(child.first() | 1, depth), None);
        }
        range = children[depth as usize * 5];
    }
    assert_eq!(range.children().count(), 0);
    assert_eq!((range.parent().is_some(), HashRange::ALL.parent()), (true, None));
    assert_eq!(HashRange::new(0, 11), None);
}

#[test]
fn ten_differences_of_a_hundred_thousand_take_16_kb_and_three_round_trips() {
    let (mut one, mut two) = twins(100_000);
    part(&mut one, &mut two, 10);
    let took = exchange(&mut one, &mut two, ExchangePath::Datagrams, || 1);
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert!(took.bytes <= 16_000 && took.messages <= 6 && !took.by_stream, "{took:?}");
    assert_eq!(took.values, 10, "no value is sent in vain");
    println!("10 differences: {took:?}");
}

#[test]
fn a_hundred_differences_go_by_stream_and_take_90_kb() {
    let (mut one, mut two) = twins(100_000);
    part(&mut one, &mut two, 100);
    let took = exchange(&mut one, &mut two, ExchangePath::Datagrams, || 1);
    assert!(took.by_stream && took.messages == 1 && took.bytes < 1_000, "{took:?}");
    let took = exchange(&mut one, &mut two, ExchangePath::Stream, || 1);
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert!(took.bytes <= 90_000 && took.messages <= 6, "{took:?}");
    assert_eq!(took.values, 100);
    println!("100 differences: {took:?}");
}

#[test]
fn the_same_maps_need_one_message_and_no_answer() {
    for count in [0, 1, 48, 49, 5_000] {
        let (mut one, mut two) = twins(count);
        let took = exchange(&mut one, &mut two, ExchangePath::Datagrams, || 1);
        assert!(took.messages == 1 && took.bytes <= 800, "{count}: {took:?}");
    }
}

#[test]
fn a_newcomer_gets_all_by_stream() {
    let (mut one, _) = twins(5_000);
    let mut two = map(2);
    assert!(exchange(&mut two, &mut one, ExchangePath::Datagrams, || 1).by_stream || two.len() > 0);
    for begins in [true, false] {
        let mut two = map(2);
        let took = match begins {
            true => exchange(&mut two, &mut one, ExchangePath::Stream, || 1),
            false => exchange(&mut one, &mut two, ExchangePath::Stream, || 1),
        };
        assert_eq!((two.fingerprint(), took.values), (one.fingerprint(), 5_000));
    }
}

#[test]
fn what_is_dead_is_dropped_by_who_still_has_it_and_stays_away() {
    let (mut one, mut two) = twins(100);
    let name = key("service/000042");
    one.delete(name.clone(), now()).unwrap();
    one.expire(now().mono + LIMITS.tombstone_ttl);
    let mut dropped = two.clone();
    for (first, second) in [(&mut one.clone(), &mut two), (&mut dropped, &mut one)] {
        exchange(first, second, ExchangePath::Datagrams, || 1);
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!((first.held(&name), first.len()), (None, 99));
    }
    // The same where something older stands in its place by now.
    let (mut one, mut two) = twins(100);
    one.delete(name.clone(), now()).unwrap();
    one.expire(now().mono + LIMITS.tombstone_ttl);
    let again = one.put(name.clone(), [1].into(), Terms::default(), at(SECOND)).unwrap();
    assert!(again.rank() < two.held(&name).unwrap().rank());
    exchange(&mut two, &mut one, ExchangePath::Datagrams, || 1);
    assert_eq!((one.held(&name), two.held(&name)), (Some(&again), Some(&again)));
}

#[test]
fn an_entry_that_was_sent_keeps_its_age() {
    let (mut one, mut two) = (map(1), map(2));
    let terms = Terms { ttl: Some(60 * SECOND), ..Terms::default() };
    let put = one.put(key("a"), [].into(), terms, at(970 * SECOND)).unwrap();
    exchange(&mut one, &mut two, ExchangePath::Datagrams, || 1);
    assert_eq!(two.age(&put, now().mono), 30 * SECOND);
}

/// One that has sent sums of all, a message it would take, and the range of its first part.
fn asked() -> (Entries, Exchange, Differences) {
    let (mut one, mut two) = twins(5_000);
    part(&mut one, &mut two, 4);
    let (ours, first) = Exchange::begin(ExchangePath::Datagrams, &one);
    let mut theirs = Exchange::answering(ExchangePath::Datagrams);
    let done = theirs.take(&mut two, first, now().mono).unwrap();
    let ExchangeAnswer::Differences(answer) = done.answer else { panic!("they differ") };
    (one, ours, *answer)
}

/// Has it refuse a message, of which nothing is taken.
fn refused(change: impl FnOnce(&mut Differences)) -> Uninvited {
    let (mut one, mut ours, mut message) = asked();
    change(&mut message);
    let before = (one.fingerprint(), format!("{ours:?}"));
    let error = ours.take(&mut one, message, now().mono).unwrap_err();
    assert_eq!((one.fingerprint(), format!("{ours:?}")), before);
    error
}

#[test]
fn parts_of_what_was_not_asked_about_are_refused() {
    let (mut one, mut ours, message) = asked();
    assert!(ours.take(&mut one, message, now().mono).is_ok());
    let sums = || RangeContent::Sums(Box::new([7; HashRange::CUT]));
    for depth in [0, 2, 3, HashRange::DEPTH_MAX] {
        let range = HashRange::around(u64::MAX / 3, depth);
        let error = refused(|it| it.parts = vec![RangePart { range, content: sums() }]);
        assert_eq!(error, Uninvited::Range, "depth {depth}");
    }
    let range = HashRange::around(0, 1);
    let twice = || vec![RangePart { range, content: sums() }; 2];
    assert_eq!(refused(|it| it.parts = twice()), Uninvited::Range);
    assert_eq!(refused(|it| it.parts.reverse()), Uninvited::Range);
}

#[test]
fn a_million_ranges_are_refused_at_the_first_that_is_out_of_place() {
    let list = |place| RangePart {
        range: HashRange::around(place, HashRange::DEPTH_MAX),
        content: RangeContent::List(Vec::new()),
    };
    let error = refused(|it| it.parts = (0..1_000_000).map(|at| list(at << 4)).collect());
    assert_eq!(error, Uninvited::Range);
}

#[test]
fn lists_that_are_too_long_out_of_order_or_of_elsewhere_are_refused() {
    let range = HashRange::around(0, 1);
    let listed = |places: &[u64]| {
        let list = places.iter().map(|&place| PlacedRank { place, rank_hash: 1 }).collect();
        let content = RangeContent::List(list);
        refused(move |it| it.parts = vec![RangePart { range, content }])
    };
    let many: Vec<u64> = (0..49).collect();
    for places in [&many[..], &[2, 1], &[1, 1], &[range.last() + 1]] {
        assert_eq!(listed(places), Uninvited::Range, "{places:?}");
    }
    let (mut one, mut ours, mut message) = asked();
    let list = many[..48].iter().map(|&place| PlacedRank { place, rank_hash: 1 }).collect();
    message.parts = vec![RangePart { range, content: RangeContent::List(list) }];
    assert!(ours.take(&mut one, message, now().mono).is_ok());
}

#[test]
fn entries_and_words_about_them_from_where_nothing_was_listed_are_refused() {
    let (one, ..) = asked();
    let placed = one.placed().next().unwrap();
    let aged = AgedEntry { entry: placed.entry().clone(), age: Duration::ZERO };
    let dead =
        DeadEntry { key: placed.entry().key().clone(), version: placed.entry().stamp().version };
    assert_eq!(refused(|it| it.entries.push(aged)), Uninvited::Entry);
    assert_eq!(refused(|it| it.wanted.push(placed.into())), Uninvited::Entry);
    assert_eq!(refused(|it| it.heads.push(EntryHead::of(placed))), Uninvited::Entry);
    assert_eq!(refused(|it| it.dead.push(dead)), Uninvited::Entry);
}

#[test]
fn what_is_asked_for_twice_in_one_message_is_refused() {
    let (mut one, mut two) = twins(20);
    put(&mut one, "new", b"");
    let (mut ours, first) = Exchange::begin(ExchangePath::Datagrams, &one);
    let mut theirs = Exchange::answering(ExchangePath::Datagrams);
    let ExchangeAnswer::Differences(mut answer) =
        theirs.take(&mut two, first, now().mono).unwrap().answer
    else {
        panic!("they differ")
    };
    assert_eq!(answer.wanted.len(), 1);
    answer.wanted.push(answer.wanted[0]);
    assert_eq!(ours.take(&mut one, *answer, now().mono), Err(Uninvited::Entry));
}

#[test]
fn who_began_is_not_asked_about_all() {
    let (mut one, two) = twins(100);
    let (mut ours, _) = Exchange::begin(ExchangePath::Datagrams, &one);
    let (_, theirs) = Exchange::begin(ExchangePath::Datagrams, &two);
    assert_eq!(ours.take(&mut one, theirs, now().mono), Err(Uninvited::Range));
}

fn map_of(number: u64, writes: &[Entry]) -> Entries {
    let mut entries = map(number);
    for write in writes {
        entries.merge(write, Duration::ZERO, now().mono);
    }
    entries
}

/// Entries of many keys, so that ranges are cut.
fn any_crowd() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec((0..900_u32, 0..3_i64, 0..3_u64), 0..1_500).prop_map(|crowd| {
        let written = |(number, nanos, place): (u32, i64, u64)| {
            let digest = crate::core::metadata::digest(&[]);
            let version = Version { nanos, writer: crate::node::NodeId(place), digest };
            let stamp = Stamp { version, generation: writer(1).generation, seq: 0 };
            let content = match number % 7 {
                0 => Content::Delete { replaced: DELETED },
                _ => Content::Put { data: [].into(), terms: Terms::default() },
            };
            Entry::new(key(&format!("{number}")), stamp, content)
        };
        crowd.into_iter().map(written).collect()
    })
}

/// The same, each a write of its own.
fn numbered(writes: &[Entry], from: u64) -> Vec<Entry> {
    let with = |(seq, write): (u64, &Entry)| {
        Entry::new(write.key().clone(), Stamp { seq, ..*write.stamp() }, write.content())
    };
    (from..).zip(writes).map(with).collect()
}

fn merge_of_both(
    (first, second): (Vec<Entry>, Vec<Entry>),
    shared: &[Entry],
    seed: u64,
    path: ExchangePath,
) -> Result<(), TestCaseError> {
    let shared = numbered(shared, 1);
    let own = |own: &[Entry], from| [&numbered(own, from)[..], &shared].concat();
    let (first, second) = (own(&first, 10_000), own(&second, 20_000));
    let (mut one, mut two) = (map_of(8, &first), map_of(9, &second));
    let merged = map_of(7, &[first, second].concat());
    // What is lost or comes twice does no harm.
    let mut rng = Rng::fork(seed, "exchange", 0);
    exchange(&mut one, &mut two, path, || [0, 1, 1, 2][rng.below(4)]);
    for entries in [&one, &two] {
        check(entries);
        for placed in entries.placed() {
            let best = merged.held(placed.entry().key()).map(Entry::rank);
            prop_assert!(Some(placed.entry().rank()) <= best);
        }
    }
    let took = exchange(&mut two, &mut one, path, || 1);
    prop_assert!(took.messages <= 8, "{:?}", took);
    if !took.by_stream {
        prop_assert_eq!(one.fingerprint(), merged.fingerprint());
        prop_assert_eq!(two.fingerprint(), merged.fingerprint());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_exchange_ends_with_both_equal_to_the_merge_whatever_was_lost_before(
        first in any_crowd(),
        second in any_crowd(),
        shared in any_crowd(),
        seed: u64,
    ) {
        merge_of_both((first.clone(), second.clone()), &shared, seed, ExchangePath::Stream)?;
        merge_of_both((first, second), &shared, seed, ExchangePath::Datagrams)?;
    }

    #[test]
    fn small_maps_end_equal_to_the_merge_by_datagrams(
        first in any_writes(),
        second in any_writes(),
        seed: u64,
    ) {
        merge_of_both((first, second), &[], seed, ExchangePath::Datagrams)?;
    }
}
