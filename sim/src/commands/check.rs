//! `sim check FILE...`: reads scenarios and says what is wrong, without running them.

use std::path::{Path, PathBuf};

use rumormill::units::show_duration;

use super::{Exit, Failure, Report, holds, unheard};
use crate::reading::shown;
use crate::scenario::{self, Paint, Scenario, ScenarioError, Set};

/// Checks files: a line for each when all are good, and a warning of settings that can't hold.
///
/// # Errors
/// What is wrong with each of the others.
pub fn run(files: &[PathBuf], sets: &[String], paint: Paint) -> Result<Report, Failure> {
    let (mut lines, mut warnings, mut failures) = (String::new(), String::new(), Vec::new());
    for file in files {
        match load(file, sets) {
            Ok(scenario) => {
                lines += &line(file, &scenario);
                warnings.extend(holds::warning(&scenario));
                warnings.extend(unheard::warning(&scenario));
            }
            Err(error) => failures.push(Failure::scenario(&error, paint)),
        }
    }
    match failures.is_empty() {
        true => Ok(Report { out: lines, err: warnings, exit: Exit::Held }),
        false => Err(Failure::all(&failures)),
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
        shown(file),
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

    fn checked(files: &[(&str, &str)], sets: &[&str]) -> (Exit, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.path().join(name)).collect();
        for (path, (_, text)) in paths.iter().zip(files) {
            fs::write(path, text).unwrap();
        }
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        let text = |text: &str| text.replace(&format!("{}/", folder.path().display()), "");
        match run(&paths, &sets, Paint::Plain) {
            Ok(report) => (report.exit, text(&report.out), text(&report.err)),
            Err(failure) => (failure.exit, String::new(), text(&failure.text)),
        }
    }

    const GOOD: &str = "name = 'good'\nnodes = 1\nduration = '90s'\n\
                        [[at]]\ntime = '3s'\nloss = '5%'\n[expect]\nremovals.false = '== 0'\n";

    #[test]
    fn a_line_tells_what_is_in_each_good_file() {
        let (exit, out, err) = checked(&[("a.toml", GOOD), ("b.toml", GOOD)], &["nodes=7"]);
        let line = |file| format!("{file}: good, 7 nodes, 1m 30s, 1 action, 1 expectation\n");
        assert_eq!((exit, out, err.as_str()), (Exit::Held, line("a.toml") + &line("b.toml"), ""));
    }

    #[test]
    fn settings_that_cannot_hold_are_warned_of_and_are_no_error() {
        let sets = [
            "nodes=60",
            "engine.liveness=beats",
            "engine.fan_out=1",
            "engine.timeout=3s",
            "network.loss=20%",
        ];
        let (exit, out, err) = checked(&[("a.toml", GOOD)], &sets);
        assert_eq!((exit, out.lines().count(), err.lines().count()), (Exit::Held, 1, 1));
        assert!(err.starts_with("warning: good: `fan_out = 1` and `timeout = \"3s\"`"), "{err}");
    }

    #[test]
    fn every_bad_file_is_told_and_then_nothing_stands_on_standard_output() {
        let files = [("a.toml", "nodes = 1"), ("b.toml", GOOD), ("c.toml", "x = [")];
        let (exit, out, err) = checked(&files, &[]);
        assert_eq!((exit, out.as_str()), (Exit::Wrong, ""));
        assert!(err.starts_with("a.toml:1:1: `name` is missing"), "{err}");
        assert!(err.contains("\nc.toml:1:"), "{err}");
    }

    #[test]
    fn a_set_that_is_none_is_an_error_of_the_command() {
        let (exit, out, err) = checked(&[("a.toml", GOOD)], &["nodes"]);
        assert_eq!((exit, out.as_str()), (Exit::Wrong, ""));
        assert!(err.starts_with("--set nodes: this is no KEY=VALUE"), "{err}");
    }
}
