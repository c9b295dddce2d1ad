//! A side of a comparison: results that are there, or a scenario with settings that is run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rumormill::text::Printable;
use serde_json::Value;

use crate::commands::Failure;
use crate::reading::{self, shown};
use crate::results::Figures;
use crate::results::summary::SUMMARY_LEN_MAX;
use crate::scenario::{self, Paint, Scenario, Set};
use crate::sweep::{Store, split};

/// What a command names as `A` or `B`.
#[derive(Clone, Debug)]
pub(super) enum Side {
    /// Runs that were made.
    Results(SideResults),
    /// Runs that are yet to be made.
    Setting(Box<ComparedSetting>),
}

/// Runs of one scenario.
#[derive(Clone, Debug)]
pub(super) struct SideResults {
    scenario: String,
    /// The figures, by seed.
    pub(super) runs: BTreeMap<u64, Figures>,
}

/// A scenario with settings.
#[derive(Clone, Debug)]
pub(super) struct ComparedSetting {
    pub(super) file: PathBuf,
    pub(super) sets: Vec<String>,
    pub(super) scenario: Scenario,
}

impl Side {
    /// Reads what was typed: a folder of results, a cell of a sweep, or `FILE[,KEY=VALUE]...`.
    pub(super) fn read(typed: &str, paint: Paint) -> Result<Self, Failure> {
        let path = Path::new(typed);
        if path.is_dir() {
            return results(path).map(Self::Results);
        }
        if path.extension().is_some_and(|extension| extension == "json") {
            return cell(path).map(Self::Results);
        }
        let mut parts = split(typed).into_iter();
        let file = PathBuf::from(parts.next().unwrap_or_default());
        let sets: Vec<String> = parts.map(|part| part.trim().to_owned()).collect();
        let failure = |error| Failure::scenario(&error, paint);
        let parsed = sets.iter().map(|set| Set::parse(set)).collect::<Result<Vec<_>, _>>();
        let scenario = scenario::load(&file, &parsed.map_err(failure)?).map_err(failure)?;
        Ok(Self::Setting(Box::new(ComparedSetting { file, sets, scenario })))
    }

    /// The name of the scenario that was run, or is to be.
    pub(super) fn scenario(&self) -> &str {
        match self {
            Self::Results(results) => &results.scenario,
            Self::Setting(setting) => setting.scenario.name(),
        }
    }
}

/// The runs of a folder: `out/NAME` with a folder for each seed, or one of those.
fn results(folder: &Path) -> Result<SideResults, Failure> {
    let mut paths = vec![folder.join("summary.json")];
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        if entry.file_name().to_string_lossy().starts_with("seed-") {
            paths.push(entry.path().join("summary.json"));
        }
    }
    paths.sort();
    let (mut runs, mut names) = (BTreeMap::new(), Vec::new());
    for path in paths.iter().filter(|path| path.exists()) {
        let Run { scenario, seed, figures } = summary(path)?;
        if runs.insert(seed, figures).is_some() {
            return Err(damaged(path, &format!("seed {seed} is in this folder twice")));
        }
        names.push(scenario);
    }
    names.dedup();
    match names.as_slice() {
        [scenario] => Ok(SideResults { scenario: scenario.clone(), runs }),
        [first, second, ..] => Err(Failure::wrong(format!(
            "{} holds runs of {} and of {}: name a folder with one scenario",
            shown(folder),
            Printable(first),
            Printable(second)
        ))),
        [] => Err(Failure::wrong(format!(
            "{} holds no results: name a folder such as out/partition, which `sim run` makes, or \
             a scenario file",
            shown(folder)
        ))),
    }
}

/// What a comparison needs of a `summary.json`.
struct Run {
    scenario: String,
    seed: u64,
    figures: Figures,
}

fn summary(path: &Path) -> Result<Run, Failure> {
    let value: Value = reading::json(path, SUMMARY_LEN_MAX)?;
    let seed = value["seed"].as_str().and_then(|seed| seed.parse().ok());
    let known = value["schema"] == crate::results::summary::SCHEMA;
    match (seed, value["scenario"].as_str()) {
        (Some(seed), Some(scenario)) if known => {
            Ok(Run { scenario: scenario.to_owned(), seed, figures: Figures::read(&value) })
        }
        _ => Err(damaged(path, &"it is no summary of schema summary/1")),
    }
}

/// A finished cell of a sweep: `out/NAME/sweep-DIGEST/cells/00003.json`.
fn cell(path: &Path) -> Result<SideResults, Failure> {
    if !path.is_file() {
        return Err(Failure::wrong(format!("{}: there is no such file", shown(path))));
    }
    let (plan, cell) = Store::cell_of(path).map_err(|error| {
        let example = "out/NAME/sweep-1a2b3c4d/cells/00003.json";
        let why = format!("it is no cell of a sweep: {error}; name one such as {example}");
        damaged(path, &why)
    })?;
    let runs = plan.seeds.all().enumerate().map(|(place, seed)| (seed, cell.figures(place)));
    Ok(SideResults { runs: runs.collect(), scenario: plan.scenario.to_string() })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::machine(format!("cannot read {}: {error}", shown(path)))
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::wrong(format!("{}: {why}", shown(path)))
}
