//! What the map takes: memory and allocations, which are the same on every machine.

use allocation_counter::{AllocationInfo, measure};

use super::tests::{LIMITS, at, key, writer};
use super::*;
use crate::rng::Rng;

const COUNT: usize = 100_000;
const SECOND: Duration = Duration::from_secs(1);

/// Keys in no order, as a service makes them.
fn names() -> Vec<EntryKey> {
    let mut rng = Rng::fork(1, "names", 0);
    (0..COUNT).map(|_| key(&format!("service/{:016x}", rng.bits()))).collect()
}

fn filled(names: &[EntryKey], terms: Terms) -> Entries {
    let mut entries = Entries::new(writer(1), LIMITS);
    for name in names {
        entries.put(name.clone(), [7; 100].into(), terms, at(SECOND)).unwrap();
    }
    entries
}

/// What something takes that is there in the end.
fn memory<T>(make: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut made = None;
    let counted = measure(|| made = Some(make()));
    (made.expect("it was made"), counted)
}

/// Bytes an entry beside its key and value, rounded up.
fn bytes_beside(entries: &Entries, counted: &AllocationInfo) -> u64 {
    let beside = u64::try_from(counted.bytes_current).unwrap() - entries.bytes() as u64;
    beside.div_ceil(COUNT as u64)
}

#[test]
fn an_entry_takes_160_bytes_beside_its_key_and_value() {
    let names = names();
    let (entries, counted) = memory(|| filled(&names, Terms::default()));
    let beside = bytes_beside(&entries, &counted);
    assert!((140..=160).contains(&beside), "{beside} bytes");
    let mut sorted = names.clone();
    sorted.sort();
    let (entries, counted) = memory(|| filled(&sorted, Terms::default()));
    let in_order = bytes_beside(&entries, &counted);
    assert!((140..=160).contains(&in_order), "{in_order} bytes");
    let terms = Terms { ttl: Some(SECOND), bound: true };
    let (entries, counted) = memory(|| filled(&names, terms));
    let with_terms = bytes_beside(&entries, &counted);
    assert!((180..=240).contains(&with_terms), "{with_terms} bytes with an age and a bond");
    println!("bytes an entry: {beside}, put in order {in_order}, with terms {with_terms}");
}

#[test]
fn a_view_and_a_clone_take_no_memory_that_grows_with_the_entries() {
    let entries = filled(&names(), Terms::default());
    let (_view, counted) = memory(|| entries.view().clone());
    assert_eq!(counted.count_total, 0, "{counted:?}");
    let (_clone, counted) = memory(|| entries.clone());
    assert_eq!(counted.count_total, 0, "{counted:?}");
    let mut all = 0;
    let counted = measure(|| all = entries.view().prefix("service/", at(SECOND).mono).count());
    assert!(all == COUNT && counted.count_total <= 2, "{counted:?}");
}

#[test]
fn a_put_behind_a_view_copies_the_way_to_its_entry_and_no_more() {
    let names = names();
    let mut entries = filled(&names, Terms::default());
    for name in names.iter().step_by(997) {
        let (name, data) = (name.clone(), [8; 100].into());
        let alone = measure(|| drop(entries.put(name.clone(), data, Terms::default(), at(SECOND))));
        let view = entries.view().clone();
        let data = [9; 100].into();
        let shared =
            measure(|| drop(entries.put(name.clone(), data, Terms::default(), at(SECOND))));
        drop(view);
        assert!(alone.count_total <= 12, "{alone:?}");
        assert!(shared.count_total <= 24 && shared.bytes_total <= 16_000, "{shared:?}");
    }
}
