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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checked(files: &[(&str, &str)], sets: &[&str]) -> (u8, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.path().join(name)).collect();
        for (path, (_, text)) in paths.iter().zip(files) {
            fs::write(path, text).unwrap();
        }
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = check(&paths, &sets, Paint::Plain, &mut out, &mut err);
        let text = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&format!("{}/", folder.path().display()), "")
        };
        (exit, text(out), text(err))
    }

    const GOOD: &str = "name = 'good'\nnodes = 1\nduration = '90s'\n\
                        [[at]]\ntime = '3s'\nloss = '5%'\n[expect]\nremovals.false = '== 0'\n";

    #[test]
    fn a_line_tells_what_is_in_each_good_file() {
        let (exit, out, err) = checked(&[("a.toml", GOOD), ("b.toml", GOOD)], &["nodes=7"]);
        let line = |file| format!("{file}: good, 7 nodes, 1m 30s, 1 action, 1 expectation\n");
        assert_eq!((exit, out, err.as_str()), (EXIT_GOOD, line("a.toml") + &line("b.toml"), ""));
    }

    #[test]
    fn every_bad_file_is_told_and_then_nothing_stands_on_standard_output() {
        let files = [("a.toml", "nodes = 1"), ("b.toml", GOOD), ("c.toml", "x = [")];
        let (exit, out, err) = checked(&files, &[]);
        assert_eq!((exit, out.as_str()), (EXIT_WRONG, ""));
        assert!(err.starts_with("a.toml:1:1: `name` is missing"), "{err}");
        assert!(err.contains("\nc.toml:1:"), "{err}");
    }

    #[test]
    fn a_set_that_is_none_is_an_error_of_the_command() {
        let (exit, out, err) = checked(&[("a.toml", GOOD)], &["nodes"]);
        assert_eq!((exit, out.as_str()), (EXIT_WRONG, ""));
        assert!(err.starts_with("--set nodes: this is no KEY=VALUE"), "{err}");
    }
}
