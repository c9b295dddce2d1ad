//! `sim check FILE...`: reads scenarios and says what is wrong, without running them.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use rumormill::units::show_duration;

use crate::scenario::{self, Blame, Paint, Scenario, ScenarioError, Set};

/// Every scenario is fine.
pub const EXIT_GOOD: u8 = 0;
/// A scenario or the command is wrong.
pub const EXIT_WRONG: u8 = 2;
/// The machine failed: disk or rights.
pub const EXIT_MACHINE: u8 = 3;

/// Checks files and returns the exit code: when all are good, a line for each on standard output;
/// else an error for each other on standard error and nothing more.
pub fn run(files: &[PathBuf], sets: &[String]) -> u8 {
    let paint = if io::stderr().is_terminal() { Paint::Coloured } else { Paint::Plain };
    check(files, sets, paint, &mut io::stdout().lock(), &mut io::stderr().lock())
}

fn check(
    files: &[PathBuf],
    sets: &[String],
    paint: Paint,
    out: &mut impl Write,
    err: &mut impl Write,
) -> u8 {
    let mut exit = EXIT_GOOD;
    let (mut lines, mut errors) = (String::new(), String::new());
    for file in files {
        match load(file, sets) {
            Ok(scenario) => lines += &line(file, &scenario),
            Err(error) => {
                exit = exit.max(match error.blame() {
                    Blame::Scenario => EXIT_WRONG,
                    Blame::Machine => EXIT_MACHINE,
                });
                errors += &format!("{}\n", error.render(paint));
            }
        }
    }
    let written = match exit {
        EXIT_GOOD => out.write_all(lines.as_bytes()).and_then(|()| out.flush()),
        _ => err.write_all(errors.as_bytes()),
    };
    match written {
        // A reader who closed the pipe has read enough; the exit code still tells.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => EXIT_MACHINE,
        _ => exit,
    }
}

fn load(file: &Path, sets: &[String]) -> Result<Scenario, ScenarioError> {
    let sets = sets.iter().map(|set| Set::parse(set)).collect::<Result<Vec<_>, _>>()?;
    scenario::load(file, &sets)
}

fn line(file: &Path, scenario: &Scenario) -> String {
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    format!(
        "{}: {}, {}, {}, {}, {}\n",
        file.display(),
        scenario.name(),
        count(scenario.nodes() as usize, "node"),
        show_duration(scenario.duration()),
        count(scenario.actions(), "action"),
        count(scenario.expectations(), "expectation")
    )
}
