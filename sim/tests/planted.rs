//! Planted faults: each breaks the law that its scenario names, and none is broken without it.

mod bench;
mod calls;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rumormill::planted::{FaultKind, Planted};
use rumormill_sim::commands::planted::{ShownFault, shown};

use bench::Bench;
use calls::call;

/// Faults of several subjects that random runs find soon.
const SOON: [&str; 4] =
    ["tombstone-outranked", "suspects-unjudged", "tombstones-stay", "dials-end"];

/// A scenario that shows a fault: `tests/planted/NAME.toml`.
struct Case {
    fault: Planted,
    law: String,
    seed: u64,
    lines: usize,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// The scenarios by the names of their faults.
fn cases() -> BTreeMap<String, Case> {
    let folder = root().join("tests/planted");
    let files = fs::read_dir(folder).expect("tests/planted").map(|entry| entry.unwrap().path());
    files.map(|path| Case::read(&path)).map(|case| (case.fault.name(), case)).collect()
}

impl Case {
    /// Its first line names the law, the second the command that shows it.
    #[track_caller]
    fn read(path: &PathBuf) -> Self {
        let text = fs::read_to_string(path).expect("a scenario");
        let mut lines = text.lines();
        let law = lines.next().and_then(|line| line.strip_prefix("# ")?.split_once(": "));
        let command = lines.next().and_then(|line| line.strip_prefix("# sim run "));
        let (Some((law, _)), Some(command)) = (law, command) else {
            panic!("{path:?}: no heading")
        };
        let words: Vec<&str> = command.split(' ').collect();
        let [_, "--seed", seed, "--planted", name] = words[..] else {
            panic!("{path:?}: {command}")
        };
        let seed = seed.parse().expect("a seed");
        let fault = Planted::named(name).unwrap_or_else(|| panic!("{path:?}: no fault {name}"));
        let says = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        let lines = text.lines().filter(says).count();
        Self { fault, law: law.to_owned(), seed, lines, text }
    }
}

#[test]
fn each_subject_has_three_faults_at_least_and_all_kinds_are_there() {
    let count = |is: &dyn Fn(Planted) -> bool| Planted::ALL.iter().filter(|it| is(**it)).count();
    for subject in Planted::ALL.iter().map(|fault| fault.subject()) {
        assert!(count(&|fault| fault.subject() == subject) >= 3, "{subject}");
    }
    for kind in [
        FaultKind::WrongBound,
        FaultKind::MissingCall,
        FaultKind::SwappedOrder,
        FaultKind::StaleState,
    ] {
        assert!(count(&|fault| fault.kind() == kind) >= 2, "{kind}");
    }
    for &fault in Planted::ALL {
        assert_eq!(Planted::named(&fault.name()), Some(fault));
    }
    assert_eq!(Planted::TombstonesStay.name(), "tombstones-stay");
    assert_eq!(FaultKind::WrongBound.to_string(), "wrong bound");
}

#[test]
fn each_scenario_breaks_its_law_with_its_fault_and_none_without() {
    let mut wrong = Vec::new();
    for (name, Case { fault, law, seed, text, .. }) in cases() {
        let wanted = ShownFault { with: Some(law), without: None };
        match shown(fault, &text, seed) {
            Ok(got) if got == wanted => {}
            got => wrong.push(format!("{name}: {got:?}, not {wanted:?}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_page_tells_of_every_fault_what_its_scenario_shows() {
    let page = fs::read_to_string(root().join("docs/planted.md")).expect("docs/planted.md");
    let cases = cases();
    assert!(cases.len() >= 40, "{} scenarios", cases.len());
    for &fault in Planted::ALL {
        let start = format!(
            "| `{}`: {} | {} | {} | ",
            fault.name(),
            fault.says(),
            fault.subject(),
            fault.kind()
        );
        let row = page.lines().find_map(|line| line.strip_prefix(&start));
        let row = row.unwrap_or_else(|| panic!("docs/planted.md has no row {start}"));
        match cases.get(&fault.name()) {
            Some(Case { law, lines, .. }) => {
                assert!(*lines <= 12, "{}: {lines} lines", fault.name());
                assert!(row.starts_with(&format!("`{law}` | ")), "{start}{row}");
                assert!(row.ends_with(&format!(" | {lines} |")), "{start}{row}");
            }
            None => assert!(row.starts_with("nothing | "), "{start}{row}"),
        }
    }
}

#[test]
fn random_runs_find_faults_soon_and_the_same_with_any_number_of_threads() {
    let bench = Bench::with(&[]);
    let hunt = |threads: u32, out: &str, names: &str, code: i32| {
        let arguments = format!(
            "fuzz --planted {names} --budget 100 --nodes 2..=8 --threads {threads} --out {out}"
        );
        call(bench.sim().args(arguments.split(' ')), code).0
    };
    let said = hunt(2, "two", &SOON.join(","), 0);
    assert!(said.contains("4 of 4 faults found"), "{said}");
    hunt(1, "one", SOON[0], 0);
    hunt(2, "again", SOON[0], 0);
    for file in ["planted.json".to_owned(), format!("{}.toml", SOON[0])] {
        let read = |out| {
            fs::read(bench.path(&format!("{out}/fuzz/planted-seed-1/{file}"))).expect("written")
        };
        assert_eq!(read("one"), read("again"), "{file}");
    }
}

#[test]
fn a_fault_that_there_is_not_is_named() {
    let bench = Bench::with(&[]);
    let arguments = ["fuzz", "--planted", "watch-end", "--out", "out"];
    let (_, said) = call(bench.sim().args(arguments), 2);
    assert!(said.contains("did you mean `watch-ends`?"), "{said}");
}
