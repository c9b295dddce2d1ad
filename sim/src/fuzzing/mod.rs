//! The bodies of the fuzz targets for the files that `sim` reads, as ordinary functions that the
//! tests run as well: whatever stands in a file, a command says what is wrong and ends.
//!
//! Not part of the public interface: the feature `fuzzing` is for the fuzz package alone.

mod edits;
mod folder;
#[cfg(test)]
mod tests;

use std::path::Path;

use rumormill::text::is_unprintable;

use self::edits::Edits;
use self::folder::Folder;
use crate::commands::arguments::{PictureArgs, Talk};
use crate::commands::compare::{self, Layout};
use crate::commands::run::Format;
use crate::commands::sweep::Show;
use crate::commands::{Failure, Report, diff, explain, merge};
use crate::report::plots::Width;
use crate::scenario::plan::NodeNo;
use crate::scenario::{self, Paint};

/// Tables as they go to a file.
const PLAIN: Talk = Talk { quiet: false, paint: Paint::Plain, error_paint: Paint::Plain };

/// Larger scenarios show nothing that a smaller one doesn't, and take seconds to lay out.
const NODES_DIGITS_MAX: usize = 4;

/// Takes any bytes for a scenario, or for changes to one. What is right stays the same when every
/// default is written out; what is wrong is told in one place.
pub fn scenario(bytes: &[u8]) {
    let text = match bytes.split_first() {
        Some((0, edits)) => Edits(edits).toml(include_str!("scenario.toml")),
        Some((_, text)) => String::from_utf8_lossy(text).into_owned(),
        None => return,
    };
    if has_large_number(&text) {
        return;
    }
    match scenario::parse("fuzz.toml", &text, &[]) {
        Ok(read) => {
            let again = scenario::parse("fuzz.toml", read.resolved(), &[]);
            let again = again.unwrap_or_else(|error| panic!("{}\n{error}", read.resolved()));
            assert_eq!(again.resolved(), read.resolved(), "a second reading differs");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "what is wrong is told"),
    }
}

/// Whether a number of nodes may stand in a text that would take long to lay out, and is allowed.
fn has_large_number(text: &str) -> bool {
    /// Ten millions have eight.
    const DIGITS_MAX: usize = 9;
    let text = text.replace('_', "");
    let digits = text.split(|char: char| !char.is_ascii_digit());
    digits.map(str::len).any(|len| (NODES_DIGITS_MAX + 1..=DIGITS_MAX).contains(&len))
}

/// Takes any bytes for changes to the files of a run, and has every command read them that does.
pub fn run_files(bytes: &[u8]) {
    let mut edits = Edits(bytes);
    let root = Folder::new();
    let run = root.path().join("seed-1");
    let rumors = edits.lines(include_str!("rumors.csv"), Edits::row);
    let trace = edits.lines(include_str!("trace.jsonl"), Edits::json);
    root.write("seed-1/summary.json", &edits.json(include_str!("summary.json")));
    root.write("seed-1/rumors.csv", &rumors);
    root.write("seed-1/trace.jsonl", &trace);
    told(explained(&run, None, None));
    told(explained(&run, Some("metadata-0"), None));
    for node in [0, 2, u32::MAX] {
        told(explained(&run, Some("metadata-0"), Some(node)));
        told(explained(&run, None, Some(node)));
    }
    told(diff::run(&run, &run));
    let side = run.to_str().expect("a folder of our own").to_owned();
    told(compare::run(&compare::CompareRequest {
        a: side.clone(),
        b: side,
        fail_if_worse: false,
        measures: Vec::new(),
        tolerance: "0%".to_owned(),
        seed: 1,
        seeds: 1,
        threads: None,
        across: true,
        format: Layout::Table,
        json: false,
        talk: PLAIN,
    }));
}

fn explained(folder: &Path, rumor: Option<&str>, node: Option<NodeNo>) -> Result<Report, Failure> {
    explain::run(&explain::ExplainRequest { folder, rumor, node, format: Format::Table })
}

/// Takes any bytes for changes to the files of two slices of a sweep, and merges them.
pub fn sweep_files(bytes: &[u8]) {
    let mut edits = Edits(bytes);
    let root = Folder::new();
    let plan = edits.json(include_str!("plan.json"));
    let cells = [include_str!("cell-0.json"), include_str!("cell-1.json")];
    for (slice, cell) in cells.into_iter().enumerate() {
        let number = format!("\"number\":{}", slice + 1);
        root.write(&format!("{slice}/plan.json"), &plan.replace("\"number\":1", &number));
        // By the digest of the sweep either slice may have either cell.
        for name in ["00000", "00001"] {
            root.write(&format!("{slice}/cells/{name}.json"), &edits.json(cell));
        }
    }
    let show = Show {
        out: root.path().join("out"),
        measures: Vec::new(),
        json: false,
        pictures: PictureArgs { no_plots: true, width: Width::NORMAL },
        talk: PLAIN,
    };
    let mut request =
        merge::MergeRequest { folders: vec![root.path().join("0"), root.path().join("1")], show };
    told(merge::run(&request));
    request.folders.pop();
    told(merge::run(&request));
    root.holds_only(&["0", "1", "out"]);
}

/// A command says something, and nothing that a terminal would act on.
fn told(result: Result<Report, Failure>) {
    let texts = match result {
        Ok(Report { out, err, .. }) => [out, err],
        Err(Failure { text, .. }) => {
            assert!(!text.is_empty(), "what is wrong is told");
            [text, String::new()]
        }
    };
    for text in texts {
        let raw = text.chars().find(|&char| char != '\n' && is_unprintable(char));
        assert_eq!(raw, None, "{text:?} writes on the terminal");
    }
}
