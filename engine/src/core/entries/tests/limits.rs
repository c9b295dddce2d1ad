//! The laws of limits: what is an error, what goes first, and that nobody else loses by it.

use super::*;

#[test]
fn a_put_beyond_a_limit_is_an_error_with_both_numbers_and_changes_nothing() {
    let limits =
        EntryLimits { len_max: 4, metadata_len_max: 2, count_max: 3, bytes_max: 10, ..LIMITS };
    let mut entries = Entries::new(writer(1), limits);
    let now = at(SECOND);
    let mut put = |text: &str, len: usize| {
        let before = entries.fingerprint();
        let done = entries.put(key(text), vec![7; len].into(), Terms::default(), now);
        assert_eq!(done.is_err(), entries.fingerprint() == before);
        check(&entries);
        done.map(|entry| entry.stamp().seq)
    };
    assert_eq!(put("a", 5), Err(PutError::TooLarge { len: 5, max: 4 }));
    assert_eq!(put("", 3), Err(PutError::TooLarge { len: 3, max: 2 }));
    assert_eq!((put("", 2), put("a", 4), put("b", 2)), (Ok(1), Ok(2), Ok(3)));
    assert_eq!(put("c", 0), Err(PutError::TooMany { count: 4, max: 3 }));
    assert_eq!(put("b", 3), Err(PutError::TooMuch { bytes: 11, max: 10 }));
    assert_eq!(put("b", 1), Ok(4), "an error is no write");
}

/// Three keys in the order of their places.
fn by_place() -> [&'static str; 3] {
    let mut keys = ["a", "b", "c"];
    keys.sort_by_key(|text| EntryKey::place(text));
    keys
}

#[test]
fn at_the_limit_the_last_place_goes_and_what_goes_is_no_longer_covered() {
    let [first, second, third] = by_place();
    let mut one = map(1);
    let stamps = [third, first, second].map(|text| *put(&mut one, text, b"1", at(SECOND)).stamp());
    let mut two = Entries::new(writer(2), EntryLimits { count_max: 2, ..LIMITS });
    tell(&one, &mut two, third, at(SECOND));
    tell(&one, &mut two, first, at(SECOND));
    let covered = |entries: &Entries| stamps.map(|stamp| entries.coverage().covers(&stamp));
    assert_eq!(covered(&two), [true, true, false]);
    let evicted = vec![one.held(&key(third)).unwrap().clone()];
    assert_eq!(tell(&one, &mut two, second, at(SECOND)), Merged::Newer { old: None, evicted });
    assert_eq!(covered(&two), [false, true, true], "or it would tell others to drop it");
    assert_eq!(
        tell(&one, &mut two, third, at(SECOND)),
        Merged::Refused(Excess::Count { count: 3, max: 2 })
    );
    check(&two);
    // Once there is room it is taken again.
    one.delete(key(first), at(SECOND)).unwrap();
    tell(&one, &mut two, first, at(SECOND));
    assert!(matches!(tell(&one, &mut two, third, at(SECOND)), Merged::Newer { .. }));
    agree(&mut one, &mut two);
}

#[test]
fn what_has_no_room_even_when_all_behind_it_went_is_refused_and_they_stay() {
    let [first, second, third] = by_place();
    let mut one = map(1);
    put(&mut one, second, &[0; 9], at(SECOND));
    let limits = EntryLimits { len_max: 8, bytes_max: 10, ..LIMITS };
    let mut two = Entries::new(writer(2), limits);
    assert_eq!(
        tell(&one, &mut two, second, at(SECOND)),
        Merged::Refused(Excess::Len { len: 9, max: 8 })
    );
    put(&mut two, first, &[0; 3], at(SECOND));
    put(&mut two, third, &[0; 3], at(SECOND));
    put(&mut one, second, &[0; 8], at(SECOND));
    let before = two.fingerprint();
    assert_eq!(
        tell(&one, &mut two, second, at(SECOND)),
        Merged::Refused(Excess::Bytes { bytes: 17, max: 10 })
    );
    assert_eq!(two.fingerprint(), before);
    put(&mut one, second, &[0; 4], at(SECOND));
    assert!(matches!(tell(&one, &mut two, second, at(SECOND)), Merged::Newer { .. }));
    assert_eq!((read(&two, third, at(SECOND)), two.bytes()), (None, 9));
    check(&two);
}

#[test]
fn the_metadata_is_the_last_to_go() {
    let mut one = map(1);
    put(&mut one, "", b"metadata", at(SECOND));
    (0..9).for_each(|number| drop(put(&mut one, &format!("{number}"), b"", at(SECOND))));
    let mut two = Entries::new(writer(2), EntryLimits { count_max: 1, ..LIMITS });
    for number in 0..9 {
        tell(&one, &mut two, &format!("{number}"), at(SECOND));
        if number == 5 {
            tell(&one, &mut two, "", at(SECOND));
        }
    }
    assert_eq!(keys(two.view(), "", at(SECOND)), [""]);
}

#[test]
fn of_too_many_tombstones_the_oldest_are_forgotten() {
    let mut entries = Entries::new(writer(1), EntryLimits { count_max: 3, ..LIMITS });
    for number in 1..6 {
        put(&mut entries, &format!("{number}"), b"", at(number * SECOND));
        entries.delete(key(&format!("{number}")), at(number * SECOND)).unwrap();
    }
    let held: Vec<_> = entries.placed().map(|placed| placed.entry().key().to_string()).collect();
    assert_eq!(held, ["3", "4", "5"]);
    check(&entries);
}

proptest! {
    #[test]
    fn nodes_with_the_same_limits_hold_the_same_whatever_came_last(
        order in Just((0..60_u32).collect::<Vec<_>>()).prop_shuffle(),
        (count_max, bytes_max) in (1..50_usize, 20..400_usize),
    ) {
        let mut one = map(1);
        let names: Vec<String> = (10..70).map(|number| format!("{number}")).collect();
        names.iter().for_each(|name| drop(put(&mut one, name, &[0; 6], at(SECOND))));
        let limits = EntryLimits { count_max, bytes_max, ..LIMITS };
        let mut two = Entries::new(writer(2), limits);
        for number in order {
            tell(&one, &mut two, &names[number as usize], at(SECOND));
            check(&two);
        }
        let mut expected = names;
        expected.sort_by_key(|name| EntryKey::place(name));
        expected.truncate(count_max.min(bytes_max / 8));
        expected.sort();
        prop_assert_eq!(keys(two.view(), "", at(SECOND)), expected);
    }
}
