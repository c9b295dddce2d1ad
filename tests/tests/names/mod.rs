//! Names and claims in the code that ships: one name for one type of a crate, and few places that
//! are said to be never reached.

use std::collections::BTreeMap;

use super::arrows::code::Code;
use super::arrows::{ENGINE, House, SIM};
use super::assert_none;

/// Most `unreachable!` of both crates together: two over enums of another crate that may grow, and
/// one over a variant that was just written.
const UNREACHABLE_MAX: usize = 3;

/// Names that several types of a crate have, all of which are to have one of their own.
const SHARED: [(&House, &str); 2] = [(&ENGINE, ""), (&SIM, "")];

/// A place in a file: `engine/src/rng.rs:7`.
fn place(name: &str, text: &str, at: usize) -> String {
    format!("{name}:{}", text[..at].matches('\n').count() + 1)
}

/// Where a macro is called that says that nobody gets there; and where without a word.
fn unreachable(name: &str, Code { text, .. }: &Code) -> (Vec<String>, Vec<String>) {
    let calls = text.match_indices("unreachable!(");
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for (at, call) in calls {
        found.push(place(name, text, at));
        if text[at + call.len()..].starts_with(')') {
            silent.push(format!("{}: `unreachable!` without its why", place(name, text, at)));
        }
    }
    (found, silent)
}

#[test]
fn few_places_are_said_to_be_never_reached_and_each_says_why() {
    let (mut all, mut complaints) = (Vec::new(), Vec::new());
    for house in [&ENGINE, &SIM] {
        let files = house.files();
        for (name, _, code) in house.production(&files) {
            let (found, silent) = unreachable(name, &code);
            all.extend(found);
            complaints.extend(silent);
        }
    }
    if all.len() > UNREACHABLE_MAX {
        let fix = "let the types say it: a narrower enum, an `Option` that its caller handles";
        complaints.push(format!("{} `unreachable!`, at most {UNREACHABLE_MAX}: {fix}", all.len()));
        complaints.extend(all);
    }
    assert_none(&complaints);
}

/// The name of a type that a line defines at the margin: what is indented is an item's own, or a
/// macro's.
fn defined(line: &str) -> Option<&str> {
    let mut words = line.split(' ').filter(|word| !word.starts_with("pub"));
    // `pub(in crate::net)` is two words.
    let kind = words.find(|word| !word.starts_with("crate::"))?;
    let is_type = ["struct", "enum", "union", "trait", "type"].contains(&kind);
    let name = words.next().filter(|_| is_type)?;
    name.split(|char: char| !char.is_alphanumeric()).next().filter(|name| !name.is_empty())
}

/// Every type by its name, with the places where it is defined.
fn types(house: &House, files: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, _, Code { text, .. }) in house.production(files) {
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(defined) = defined(line) {
                found.entry(defined.to_owned()).or_default().push(format!("{name}:{number}"));
            }
        }
    }
    found
}

#[test]
fn no_two_types_of_a_crate_have_one_name() {
    let mut complaints = Vec::new();
    for (house, names) in SHARED {
        let names: Vec<&str> = names.split_whitespace().collect();
        let types = types(house, &house.files());
        assert!(types.len() > 300, "only {} types were found in {}", types.len(), house.src);
        for (name, places) in &types {
            match (places.len(), names.contains(&name.as_str())) {
                (1, true) => complaints.push(format!("`{name}` is shared no more: strike it off")),
                (1, false) | (_, true) => {}
                (_, false) => {
                    let places = places.join(" ");
                    complaints.push(format!("`{name}` means several types: {places}"));
                }
            }
        }
        let gone = names.iter().filter(|&&name| !types.contains_key(name));
        complaints.extend(gone.map(|name| format!("`{name}` is no type: strike it off")));
    }
    assert_none(&complaints);
}

#[test]
fn a_type_is_found_however_public_it_is_and_neither_in_an_item_nor_in_a_test() {
    let text = "struct A;\npub enum B {\n    struct,\n}\n\
                pub(in crate::x) trait C: D {\n    type E;\n}\npub(crate) type F<T> = Vec<T>;\n\
                fn f() {\n    struct G;\n}\n// struct H;\n\
                #[cfg(test)]\nstruct I;\nimpl A {}\nlet enum_ = 1;\n";
    let code = Code::read(text).text;
    assert_eq!(code.lines().filter_map(defined).collect::<Vec<_>>(), ["A", "B", "C", "F"]);
}

#[test]
fn a_place_that_is_never_reached_is_found_with_its_line_and_without_its_why() {
    let text = "fn f() {\n    unreachable!(\"why {}\", x);\n    unreachable!();\n}\n\
                // unreachable!()\n#[cfg(test)]\nmod tests { fn g() { unreachable!() } }\n";
    let (found, silent) = unreachable("a.rs", &Code::read(text));
    assert_eq!(found, ["a.rs:2", "a.rs:3"]);
    assert_eq!(silent, ["a.rs:3: `unreachable!` without its why"]);
}
