//! `sim diff A B`: the first event in which two runs part.
//!
//! Traces are compared line by line, so the answer is exact: up to that event both runs did the
//! same things in the same order. It looks at nothing else of the runs.

use std::path::{Path, PathBuf};

use super::traces::TraceChoice;
use super::{Exit, Failure, Report};
use crate::observe::trace::line::Line;
use crate::reading::shown;

/// Events before the parting that are shown.
const CONTEXT: usize = 3;

/// Compares the traces of two runs' folders.
///
/// # Errors
/// When one has no trace, or they were not filtered alike.
pub fn run(a: &Path, b: &Path) -> Result<Report, Failure> {
    let (mut one, mut two) = (TraceChoice::open(a)?, TraceChoice::open(b)?);
    if one.head.filter != two.head.filter {
        return Err(Failure::wrong(format!(
            "the traces of {} and {} leave out different things: make both with the same \
             --trace-.. filters",
            shown(a),
            shown(b)
        )));
    }
    let mut common = Common::default();
    loop {
        let (left, right) = (one.text()?, two.text()?);
        match (left, right) {
            (None, None) => return Ok(same(a, b, common.count)),
            (Some(left), Some(right)) if left == right => common.push(one.parse(&left)?),
            (left, right) => {
                let left = left.map(|text| one.parse(&text)).transpose()?;
                let right = right.map(|text| two.parse(&text)).transpose()?;
                let (name_a, name_b) = (name(a, &one), name(b, &two));
                return Ok(parted(&[(name_a, left), (name_b, right)], &common));
            }
        }
    }
}

/// What both runs have in common.
#[derive(Default)]
struct Common {
    count: u64,
    last: Vec<Line>,
}

impl Common {
    fn push(&mut self, line: Line) {
        self.count += 1;
        if self.last.len() == CONTEXT {
            self.last.remove(0);
        }
        self.last.push(line);
    }
}

fn name(folder: &Path, trace: &TraceChoice) -> String {
    let folder: PathBuf = folder.components().collect();
    format!("{} ({}, seed {})", shown(&folder), trace.head.scenario, trace.head.seed)
}

fn same(a: &Path, b: &Path, count: u64) -> Report {
    let out = format!("{} and {} are the same, all {count} events\n", shown(a), shown(b));
    Report { out, err: String::new(), exit: Exit::Held }
}

fn parted(sides: &[(String, Option<Line>); 2], common: &Common) -> Report {
    let [(name_a, a), (name_b, b)] = sides;
    let mut out = format!("A: {name_a}\nB: {name_b}\n");
    match common.count {
        0 => out += "they part at the first event\n",
        count => out += &format!("{count} events are the same, the last of them\n"),
    }
    common.last.iter().for_each(|line| out += &format!("     {}\n", told(line)));
    out += "and then\n";
    for (letter, line) in [("A", a), ("B", b)] {
        let text = line.as_ref().map_or("(its trace ends here)".to_owned(), told);
        out += &format!("  {letter}  {text}\n");
    }
    Report { out, err: String::new(), exit: Exit::Failed }
}

/// A line as a person reads it.
fn told(line: &Line) -> String {
    format!("{}  {}", at(line.t_ns), line.event)
}

/// A time of a run, exact to the nanosecond.
fn at(t_ns: u64) -> String {
    format!("{:>5}.{:09} s", t_ns / 1_000_000_000, t_ns % 1_000_000_000)
}
