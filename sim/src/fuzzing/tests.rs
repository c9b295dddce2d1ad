//! The fuzz targets as property tests, over the same files that they begin with.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::commands::Exit;

#[test]
fn the_files_that_are_changed_are_right_before() {
    let root = Folder::new();
    let text = |bytes: &str| bytes.to_owned();
    root.write("seed-1/summary.json", &text(include_str!("summary.json")));
    root.write("seed-1/rumors.csv", &text(include_str!("rumors.csv")));
    root.write("seed-1/trace.jsonl", &text(include_str!("trace.jsonl")));
    let run = root.path().join("seed-1");
    let report = explained(&run, Some("metadata-0"), Some(2)).unwrap();
    assert_eq!(report.exit, Exit::Held, "{}", report.out);
    assert!(report.out.contains("what befell it meanwhile"), "{}", report.out);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_stands_in_a_scenario_it_is_right_or_its_mistake_is_told(
        bytes in vec(any::<u8>(), 0..40),
    ) {
        scenario(&bytes);
        scenario(&[&[0], &bytes[..]].concat());
    }

    #[test]
    fn whatever_stands_in_the_files_of_a_run_they_are_read_or_told_to_be_damaged(
        bytes in vec(any::<u8>(), 0..40),
    ) {
        run_files(&bytes);
    }

    #[test]
    fn whatever_stands_in_the_files_of_a_sweep_they_are_merged_or_refused(
        bytes in vec(any::<u8>(), 0..40),
    ) {
        sweep_files(&bytes);
    }
}
