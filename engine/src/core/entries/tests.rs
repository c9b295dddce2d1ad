//! The laws of the map: what wins, what is refused, what gets old.

mod limits;

use proptest::prelude::*;

use super::*;
use crate::core::entry::Dot;
use crate::time::UnixNanos;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

pub(in crate::core::entries) const LIMITS: EntryLimits = EntryLimits {
    len_max: 1 << 20,
    metadata_len_max: 1 << 20,
    count_max: 100_000,
    bytes_max: 256 << 20,
    tombstone_ttl: Duration::from_secs(24 * 3_600),
    cycle: SECOND,
};

pub(in crate::core::entries) fn writer(number: u64) -> Incarnation {
    Incarnation { place: NodeId(number), generation: Generation::MIN }
}

pub(in crate::core::entries) fn map(number: u64) -> Entries {
    Entries::new(writer(number), LIMITS)
}

pub(in crate::core::entries) fn key(text: &str) -> EntryKey {
    EntryKey::new(text).unwrap()
}

pub(in crate::core::entries) fn at(after: Duration) -> Now {
    let mono = Instant::ZERO + after;
    Now { mono, wall: UnixNanos(1_000_000).saturating_add(after) }
}

fn put(entries: &mut Entries, text: &str, data: &[u8], now: Now) -> Entry {
    entries.put(key(text), data.into(), Terms::default(), now).unwrap()
}

fn put_for(entries: &mut Entries, text: &str, ttl: Duration, now: Now) -> Entry {
    let terms = Terms { ttl: Some(ttl), ..Terms::default() };
    entries.put(key(text), text.as_bytes().into(), terms, now).unwrap()
}

fn put_bound(entries: &mut Entries, text: &str, now: Now) -> Entry {
    let terms = Terms { bound: true, ..Terms::default() };
    entries.put(key(text), text.as_bytes().into(), terms, now).unwrap()
}

/// Hands an entry over as it would be sent.
fn tell(from: &Entries, to: &mut Entries, text: &str, now: Now) -> Merged {
    let entry = from.held(&key(text)).expect("it is held").clone();
    to.merge(&entry, from.age(&entry, now.mono), now.mono)
}

fn read<'e>(entries: &'e Entries, text: &str, now: Now) -> Option<&'e [u8]> {
    let found = entries.view().get(text, now.mono);
    found.map(|entry| &**entry.data().expect("what is shown is a put"))
}

fn keys(view: &EntriesView, prefix: &str, now: Now) -> Vec<String> {
    view.prefix(prefix, now.mono).map(|entry| entry.key().to_string()).collect()
}

/// Two maps that hold the same and know it.
fn agree(one: &mut Entries, two: &mut Entries) {
    let theirs: Vec<_> = one.coverage().iter().copied().collect();
    assert!(two.join(one.fingerprint(), &theirs));
    let theirs: Vec<_> = two.coverage().iter().copied().collect();
    assert!(one.join(two.fingerprint(), &theirs));
}

/// What it counts is what there is.
pub(in crate::core::entries) fn check(entries: &Entries) {
    let mut print = Fingerprint::default();
    entries.placed().for_each(|placed| print.add(Placed::of(placed.entry().clone()).print()));
    assert_eq!(entries.fingerprint(), print);
    let held = || entries.placed().map(Placed::entry);
    let puts = || held().filter(|entry| entry.kind() == EntryKind::Put);
    assert_eq!(entries.len(), puts().count());
    assert_eq!(entries.bytes(), puts().map(Entry::len).sum::<usize>());
    assert_eq!(entries.bound.len(), held().filter(|entry| entry.terms().bound).count());
    let tombstones = held().filter(|entry| entry.kind() != EntryKind::Put).count();
    assert_eq!(entries.view.ages().tombstones(), tombstones);
    let aging = held().filter(|entry| entries.view.ages().born(entry).is_some());
    assert_eq!(aging.count(), held().filter(|entry| entry.ages()).count());
    let mut coverage = Coverage::default();
    coverage.join(entries.coverage().iter());
    assert_eq!(coverage.fingerprint(), entries.coverage().fingerprint());
}

#[test]
fn a_value_is_read_until_it_is_replaced_or_deleted() {
    let mut entries = map(1);
    let now = at(SECOND);
    put(&mut entries, "a", b"one", now);
    put(&mut entries, "", b"metadata", now);
    assert_eq!(read(&entries, "a", now), Some(&b"one"[..]));
    put(&mut entries, "a", b"two", now);
    assert_eq!((entries.len(), entries.bytes()), (2, 1 + 3 + 8));
    assert_eq!(read(&entries, "a", now), Some(&b"two"[..]));
    assert_eq!(read(&entries, "", now), Some(&b"metadata"[..]));
    let tombstone = entries.delete(key("a"), now).unwrap().unwrap();
    assert_eq!((tombstone.kind(), tombstone.stamp().seq), (EntryKind::Delete, 4));
    assert_eq!((read(&entries, "a", now), entries.len(), entries.bytes()), (None, 1, 8));
    check(&entries);
}

#[test]
fn the_delete_of_nothing_writes_nothing() {
    let mut entries = map(1);
    assert_eq!(entries.delete(key("a"), at(SECOND)), Ok(None));
    put(&mut entries, "a", b"", at(SECOND));
    entries.delete(key("a"), at(SECOND)).unwrap();
    let before = entries.fingerprint();
    assert_eq!(entries.delete(key("a"), at(HOUR)), Ok(None));
    assert_eq!((entries.fingerprint(), entries.seq), (before, 2));
}

#[test]
fn a_prefix_gives_its_values_in_the_order_of_keys() {
    let mut entries = map(1);
    let now = at(SECOND);
    for text in ["b/2", "a", "b/10", "b", "b/1", "c", "b0"] {
        put(&mut entries, text, b"", now);
    }
    entries.delete(key("b/2"), now).unwrap();
    assert_eq!(keys(entries.view(), "b/", now), ["b/1", "b/10"]);
    assert_eq!(keys(entries.view(), "", now), ["a", "b", "b/1", "b/10", "b0", "c"]);
    assert_eq!(keys(entries.view(), "d", now), [""; 0]);
}

#[test]
fn a_view_shows_what_it_showed_whatever_is_written_since() {
    let mut entries = map(1);
    let now = at(SECOND);
    for number in 0..500 {
        put(&mut entries, &format!("{number:03}"), b"old", now);
    }
    let (view, clone) = (entries.view().clone(), entries.clone());
    for number in 0..500 {
        match number % 2 {
            0 => drop(entries.delete(key(&format!("{number:03}")), now).unwrap()),
            _ => drop(put(&mut entries, &format!("{number:03}"), b"new", now)),
        }
    }
    assert_eq!(keys(&view, "", now).len(), 500);
    assert!(view.prefix("", now.mono).all(|entry| &**entry.data().unwrap() == b"old"));
    assert_eq!(keys(entries.view(), "", now).len(), 250);
    check(&entries);
    check(&clone);
}

#[test]
fn a_write_ranks_above_what_is_held_even_when_the_clock_does_not() {
    let (mut one, mut two) = (map(1), map(2));
    let first = put(&mut one, "a", b"1", at(HOUR));
    assert!(matches!(tell(&one, &mut two, "a", at(SECOND)), Merged::Newer { .. }));
    let second = put(&mut two, "a", b"2", at(SECOND));
    assert_eq!(second.stamp().version.nanos, first.stamp().version.nanos + 1);
    let tombstone = two.delete(key("a"), at(SECOND)).unwrap().unwrap();
    assert_eq!(tombstone.stamp().version.nanos, first.stamp().version.nanos + 2);
    assert!(matches!(tell(&two, &mut one, "a", at(HOUR)), Merged::Newer { .. }));
    assert_eq!(one.fingerprint(), two.fingerprint());
}

#[test]
fn above_the_last_version_there_is_nothing_is_written() {
    let mut entries = map(1);
    let mut stamp = *put(&mut entries, "a", b"", at(SECOND)).stamp();
    (stamp.version.nanos, stamp.seq) = (Version::NANOS_MAX, 2);
    let last =
        Entry::new(key("a"), stamp, Content::Put { data: [].into(), terms: Terms::default() });
    entries.merge(&last, Duration::ZERO, at(SECOND).mono);
    let error = PutError::VersionsExhausted { held: stamp.version };
    assert_eq!(entries.delete(key("a"), at(SECOND)), Err(error.clone()));
    assert_eq!(entries.put(key("a"), [].into(), Terms::default(), at(SECOND)), Err(error));
    put(&mut entries, "b", b"", at(SECOND));
    check(&entries);
}

#[test]
fn of_two_ages_of_one_write_the_older_holds_and_receipt_makes_nothing_younger() {
    let (mut one, mut two) = (map(1), map(2));
    put(&mut one, "a", b"", at(SECOND));
    let tombstone = one.delete(key("a"), at(SECOND)).unwrap().unwrap();
    // The clock of the other began an hour ago, long after the delete.
    let now = at(HOUR);
    two.merge(&tombstone, 23 * HOUR, now.mono);
    assert_eq!(two.age(&tombstone, now.mono), 23 * HOUR, "older than its clock");
    assert_eq!(two.merge(&tombstone, HOUR, now.mono), Merged::Same);
    assert_eq!(two.age(&tombstone, now.mono), 23 * HOUR);
    assert_eq!(two.next_due(), Some(at(2 * HOUR).mono));
    assert_eq!(two.merge(&tombstone, 23 * HOUR + HOUR / 2, now.mono), Merged::Same);
    assert_eq!(two.next_due(), Some(at(HOUR + HOUR / 2).mono));
    assert_eq!(two.expire(at(HOUR + HOUR / 3).mono), []);
    assert_eq!(two.expire(at(HOUR + HOUR / 2).mono), [Turned::Forgotten(tombstone)]);
    assert_eq!((two.fingerprint(), two.next_due()), (Fingerprint::default(), None));
    check(&two);
}

#[test]
fn a_put_is_hidden_at_its_end_and_two_cycles_later_the_same_tombstone_everywhere() {
    let (mut one, mut two) = (map(1), map(2));
    put_for(&mut one, "lease", 10 * SECOND, at(SECOND));
    tell(&one, &mut two, "lease", at(5 * SECOND));
    let (before, end) = (one.fingerprint(), at(11 * SECOND));
    assert_eq!(read(&two, "lease", at(11 * SECOND - Duration::from_nanos(1))), Some(&b"lease"[..]));
    assert_eq!((read(&one, "lease", end), read(&two, "lease", end)), (None, None));
    assert_eq!(keys(two.view(), "", end), [""; 0]);
    for entries in [&mut one, &mut two] {
        assert_eq!(entries.next_due(), Some(end.mono));
        assert!(matches!(*entries.expire(end.mono), [Turned::Hidden(_)]));
        assert_eq!(entries.fingerprint(), before, "those who compare don't see it");
        assert_eq!(entries.expire(at(13 * SECOND - Duration::from_nanos(1)).mono), []);
    }
    assert!(matches!(*one.expire(at(13 * SECOND).mono), [Turned::Buried(_)]));
    assert_ne!(one.fingerprint(), before);
    // Who hears of the tombstone first, and who makes it, hold the same.
    let mut three = two.clone();
    assert!(matches!(tell(&one, &mut two, "lease", at(13 * SECOND)), Merged::Newer { .. }));
    assert!(matches!(*three.expire(at(20 * SECOND).mono), [Turned::Buried(_)]));
    assert_eq!([two.fingerprint(), three.fingerprint()], [one.fingerprint(); 2]);
    let forgotten = Some(at(11 * SECOND + 24 * HOUR).mono);
    assert_eq!([&one, &two, &three].map(Entries::next_due), [forgotten; 3]);
    [one, two, three].iter().for_each(check);
}

#[test]
fn a_put_again_has_the_whole_of_its_time_again() {
    let mut entries = map(1);
    put_for(&mut entries, "lease", 10 * SECOND, at(SECOND));
    put_for(&mut entries, "lease", 10 * SECOND, at(8 * SECOND));
    assert_eq!(entries.expire(at(17 * SECOND).mono), []);
    assert!(matches!(*entries.expire(at(18 * SECOND).mono), [Turned::Hidden(_)]));
    put(&mut entries, "lease", b"for good", at(19 * SECOND));
    assert_eq!(entries.next_due(), None);
    check(&entries);
}

#[test]
fn much_that_is_due_at_once_is_done_a_thousand_at_a_time() {
    let mut entries = map(1);
    for number in 0..2_500 {
        put_for(&mut entries, &format!("{number}"), SECOND, at(SECOND));
    }
    let late = at(HOUR).mono;
    let done: Vec<usize> =
        std::iter::repeat_with(|| entries.expire(late).len()).take_while(|len| *len > 0).collect();
    assert_eq!(done, [1_024, 1_024, 1_024, 1_024, 904], "each is hidden, then buried");
    assert_eq!(entries.len(), 0);
    check(&entries);
}

#[test]
fn the_bound_puts_of_a_writer_end_with_it_and_no_others_do() {
    let mut entries = map(1);
    put_bound(&mut entries, "first/a", at(SECOND));
    put(&mut entries, "first/free", b"", at(SECOND));
    let second = Incarnation { generation: Generation::new(7).unwrap(), ..writer(1) };
    entries.start_as(second);
    put_bound(&mut entries, "second/a", at(SECOND));
    put_bound(&mut entries, "second/b", at(SECOND));
    let mut other = map(2);
    put_bound(&mut other, "other", at(SECOND));
    tell(&other, &mut entries, "other", at(SECOND));
    put(&mut entries, "second/b", b"bound no more", at(SECOND));
    let before = entries.clone();
    let end = |entries: &mut Entries, place, generation: u64| {
        let up_to = Generation::new(generation).unwrap();
        let ended = entries.expire_bound(NodeId(place), up_to, at(HOUR).mono);
        ended.iter().map(|entry| entry.key().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(end(&mut entries, 1, 6), ["first/a"]);
    assert_eq!(end(&mut entries, 1, 6), [""; 0]);
    assert_eq!(end(&mut entries, 1, 7), ["second/a"]);
    assert_eq!(end(&mut entries, 3, 7), [""; 0]);
    assert_eq!(keys(entries.view(), "", at(HOUR)), ["first/free", "other", "second/b"]);
    let mut elsewhere = before;
    assert_eq!(end(&mut elsewhere, 1, 7), ["first/a", "second/a"]);
    assert_eq!(elsewhere.fingerprint(), entries.fingerprint());
    check(&entries);
}

/// A map that held a value, heard of its delete, and forgot the tombstone; the value and it.
fn forgetful() -> (Entries, Entry, Entry) {
    let (mut one, mut two) = (map(1), map(2));
    let value = put(&mut one, "a", b"1", at(SECOND));
    tell(&one, &mut two, "a", at(SECOND));
    agree(&mut one, &mut two);
    let tombstone = two.delete(key("a"), at(SECOND)).unwrap().unwrap();
    two.expire(at(25 * HOUR).mono);
    assert_eq!(two.fingerprint(), Fingerprint::default());
    (two, value, tombstone)
}

#[test]
fn what_was_deleted_and_forgotten_is_dead_and_not_taken() {
    let (mut two, value, tombstone) = forgetful();
    let now = at(25 * HOUR);
    assert_eq!(two.merge(&value, Duration::ZERO, now.mono), Merged::Dead);
    assert_eq!(two.merge(&tombstone, 25 * HOUR, now.mono), Merged::Dead);
    assert_eq!(read(&two, "a", now), None);
    // What was written since has nothing to do with it, even by a clock that is behind.
    put(&mut two, "a", b"2", at(Duration::ZERO));
    assert_eq!(two.merge(&value, Duration::ZERO, now.mono), Merged::Dead);
    assert_eq!(read(&two, "a", now), Some(&b"2"[..]));
}

#[test]
fn who_hears_of_a_delete_alone_will_not_take_what_it_deleted() {
    let (mut one, mut two) = (map(1), map(2));
    let value = put(&mut one, "a", b"1", at(SECOND));
    one.delete(key("a"), at(SECOND)).unwrap();
    tell(&one, &mut two, "a", at(SECOND));
    two.expire(at(25 * HOUR).mono);
    assert_eq!(two.fingerprint(), Fingerprint::default());
    assert_eq!(two.merge(&value, Duration::ZERO, at(25 * HOUR).mono), Merged::Dead);
}

#[test]
fn what_the_others_never_held_is_taken_however_old() {
    let (mut two, _, _) = forgetful();
    let mut one = map(1);
    put(&mut one, "a", b"1", at(SECOND));
    put(&mut one, "b", b"never told", at(SECOND));
    assert!(matches!(tell(&one, &mut two, "b", at(30 * HOUR)), Merged::Newer { .. }));
}

#[test]
fn only_the_very_version_that_is_dead_is_dropped() {
    let mut entries = map(1);
    let old = put(&mut entries, "a", b"1", at(SECOND)).stamp().version;
    let new = put(&mut entries, "a", b"2", at(SECOND));
    assert_eq!(entries.drop_dead(&key("a"), old), None);
    assert_eq!(entries.drop_dead(&key("b"), new.stamp().version), None);
    assert_eq!(entries.drop_dead(&key("a"), new.stamp().version), Some(new));
    assert_eq!(entries.fingerprint(), Fingerprint::default());
    check(&entries);
}

#[test]
fn the_tombstone_of_a_put_that_is_held_is_taken_although_its_write_is_covered() {
    let (mut one, mut two) = (map(1), map(2));
    put_bound(&mut one, "a", at(SECOND));
    tell(&one, &mut two, "a", at(SECOND));
    one.expire_bound(NodeId(1), Generation::MIN, at(SECOND).mono);
    assert!(two.coverage().covers(two.held(&key("a")).unwrap().stamp()));
    assert!(matches!(tell(&one, &mut two, "a", at(SECOND)), Merged::Newer { .. }));
}

#[test]
fn the_writes_that_came_are_covered_and_those_between_them_only_when_both_hold_the_same() {
    let (mut one, mut two) = (map(1), map(2));
    let stamps = ["a", "b", "c", "d"].map(|text| *put(&mut one, text, b"", at(SECOND)).stamp());
    let covered = |entries: &Entries| stamps.map(|stamp| entries.coverage().covers(&stamp));
    assert_eq!(covered(&one), [true; 4]);
    tell(&one, &mut two, "a", at(SECOND));
    tell(&one, &mut two, "c", at(SECOND));
    tell(&one, &mut two, "d", at(SECOND));
    assert_eq!(covered(&two), [true, false, true, true]);
    let theirs: Vec<_> = one.coverage().iter().copied().collect();
    assert!(!two.join(one.fingerprint(), &theirs), "they don't hold the same");
    assert_eq!(covered(&two), [true, false, true, true]);
    // It was replaced before anybody heard of it.
    put(&mut one, "b", b"again", at(SECOND));
    tell(&one, &mut two, "b", at(SECOND));
    assert_eq!(covered(&two), [true, false, true, true]);
    assert_eq!(two.coverage().iter().count(), 2);
    agree(&mut one, &mut two);
    assert_eq!(covered(&two), [true; 4]);
    assert_eq!(one.coverage().fingerprint(), two.coverage().fingerprint());
}

#[test]
fn coverage_is_limited_and_forgets_those_who_wrote_longest_ago_on_all_nodes_the_same() {
    let covered = |number: u64| {
        let nanos = (number as i64 * 7) % 6_000;
        Covered { writer: writer(number), first: 1, last: 1 + number, nanos }
    };
    let theirs: Vec<Covered> = (10..6_000).map(covered).collect();
    // One with many gaps, who wrote last.
    let gaps = (1..5_000).map(|at| Covered { first: 2 * at, last: 2 * at, ..covered(857) });
    let gaps: Vec<Covered> = gaps.collect();
    let join = |entries: &mut Entries, part: &[Covered]| {
        assert!(entries.join(entries.fingerprint(), part));
        assert!(entries.coverage().iter().count() <= 4_096);
        check(entries);
    };
    let (mut one, mut two) = (map(1), map(2));
    join(&mut one, &gaps);
    join(&mut one, &theirs);
    let kept: Vec<_> = one.coverage().iter().copied().collect();
    assert!(kept.len() > 3_500 && kept.iter().all(|run| run.first == 1));
    let oldest = kept.iter().map(|run| run.nanos).min().unwrap();
    assert!(theirs.iter().filter(|run| run.nanos > oldest).all(|run| kept.contains(run)));
    join(&mut two, &theirs[3_000..]);
    join(&mut two, &theirs[..3_000]);
    join(&mut two, &gaps);
    agree(&mut one, &mut two);
    let again: Vec<_> = one.coverage().iter().copied().collect();
    join(&mut two, &again);
    assert_eq!(one.coverage().fingerprint(), two.coverage().fingerprint());
}

#[test]
fn a_map_that_was_kept_is_what_it_was_and_covers_nothing_that_it_has_no_room_for_now() {
    let mut one = map(1);
    ["a", "b", "c"].iter().for_each(|text| drop(put(&mut one, text, b"1", at(SECOND))));
    one.delete(key("b"), at(SECOND)).unwrap();
    let kept = || one.placed().map(|placed| (placed.entry().clone(), 2 * HOUR));
    let coverage: Vec<_> = one.coverage().iter().copied().collect();
    let now = at(SECOND).mono;
    let again = Entries::restored(writer(9), LIMITS, kept(), &coverage, now);
    assert_eq!(again.fingerprint(), one.fingerprint());
    assert_eq!(again.coverage().fingerprint(), one.coverage().fingerprint());
    assert_eq!(again.next_due(), Some(now + 22 * HOUR));
    let limits = EntryLimits { count_max: 1, ..LIMITS };
    let again = Entries::restored(writer(9), limits, kept(), &coverage, now);
    let lacking =
        one.placed().map(Placed::entry).find(|it| again.held(it.key()).is_none()).unwrap();
    assert!(!again.is_dead(lacking) && again.len() == 1);
    check(&again);
}

/// A write of which nobody hears but that it was deleted.
pub(in crate::core::entries) const DELETED: Dot =
    Dot { writer: Incarnation { place: NodeId(99), generation: Generation::MIN }, seq: 9 };

/// Writes by several writers to few keys, each counted by its writer.
pub(in crate::core::entries) fn any_writes() -> impl Strategy<Value = Vec<Entry>> {
    let write = (0..4_u64, 0..6_u8, 0..20_i64, 0..8_u8);
    prop::collection::vec(write, 1..60).prop_map(|writes| {
        let mut seqs = [0; 4];
        let write = |(place, name, nanos, what): (u64, u8, i64, u8)| {
            seqs[place as usize] += 1;
            let ttl = (what == 1).then_some(HOUR);
            let terms = Terms { bound: what == 2, ttl };
            let data = vec![what; usize::from(what)];
            let digest = digest(if what == 0 { &[] } else { &data });
            let content = match what {
                0 => Content::Delete { replaced: DELETED },
                _ => Content::Put { data: data.into(), terms },
            };
            let version = Version { nanos, writer: NodeId(place), digest };
            let seq = seqs[place as usize];
            let stamp = Stamp { version, generation: Generation::MIN, seq };
            let entry = Entry::new(key(&format!("{name}")), stamp, content);
            if what == 3 { vec![entry.expired(), entry] } else { vec![entry] }
        };
        writes.into_iter().flat_map(write).collect()
    })
}

fn merged(entries: &mut Entries, writes: &[Entry]) {
    for write in writes {
        let merged = entries.merge(write, Duration::ZERO, at(SECOND).mono);
        assert_ne!(merged, Merged::Dead, "nothing was ever forgotten");
        check(entries);
    }
}

proptest! {
    #[test]
    fn whatever_the_order_and_however_often_writes_arrive_the_largest_are_held(
        (writes, again) in any_writes().prop_flat_map(|writes| {
            let again = prop::collection::vec(prop::sample::select(writes.clone()), 0..40);
            (Just(writes.clone()).prop_shuffle(), (again, Just(writes).prop_shuffle()))
        }),
    ) {
        let (mut one, mut two) = (map(8), map(9));
        merged(&mut one, &writes);
        merged(&mut two, &again.0);
        merged(&mut two, &again.1);
        prop_assert_eq!(one.fingerprint(), two.fingerprint());
        for placed in one.placed() {
            let of_key = writes.iter().filter(|write| write.key() == placed.entry().key());
            prop_assert_eq!(Some(placed.entry().rank()), of_key.map(Entry::rank).max());
        }
        let before = one.fingerprint();
        merged(&mut one, &writes);
        prop_assert_eq!(one.fingerprint(), before, "what is held already changes nothing");
    }
}
