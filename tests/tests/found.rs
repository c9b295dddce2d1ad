//! What random scenarios found holds since it was mended: the files of `scenarios/found`.

use std::fs;

use rumormill_tests::{assert_holds, load, root, scenarios, stem};

#[test]
fn what_was_found_holds_since_it_was_mended() {
    let files = scenarios("scenarios/found");
    assert!(!files.is_empty(), "scenarios/found has scenarios");
    let told = fs::read_to_string(root().join("docs/found.md")).expect("docs/found.md");
    for file in files {
        let name = stem(&file);
        assert!(told.contains(&format!("`{name}`")), "docs/found.md does not tell of {name}");
        for seed in 1..=5 {
            assert_holds(&load(&format!("found/{name}"), &[]), seed);
        }
    }
}
