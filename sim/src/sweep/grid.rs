//! A sweep laid out: every combination of settings as a scenario of its own, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rumormill::units::show_duration;

use super::plan::{SCHEMA, digest, hex, places};
use super::{Axis, SeedRange, SweepPlan, witness};
use crate::reading::shown;
use crate::scenario::{self, Scenario, ScenarioError, Set};

/// All cells of a sweep.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What can be written down of it.
    pub plan: SweepPlan,
    /// The cells, in their order.
    pub cells: Vec<GridCell>,
}

/// One combination of settings.
#[derive(Clone, Debug)]
pub struct GridCell {
    /// The scenario with the settings in it.
    pub scenario: Scenario,
    /// Everything that was set, as `--set` takes it, the common settings first.
    pub sets: Vec<String>,
}

/// Why a sweep can't be laid out.
#[derive(Debug)]
pub enum GridError {
    /// The command is wrong: what and the fix.
    Command(String),
    /// The scenario is wrong, with these settings if not with any.
    Scenario {
        /// The combination of settings in words, where it matters.
        cell: Option<String>,
        /// What is wrong with it.
        error: Box<ScenarioError>,
    },
}

impl Grid {
    /// Lays out a scenario file, with `sets` in every cell, along all axes.
    ///
    /// # Errors
    /// When the file, a set or a value is wrong, or two cells would be the same.
    pub fn new(
        file: &Path,
        sets: &[String],
        axes: Vec<Axis>,
        seeds: SeedRange,
    ) -> Result<Self, GridError> {
        if axes.iter().any(|axis| axis.key == "name") {
            let why = "--vary name: the name names the folder of results, and is no setting";
            return Err(GridError::Command(why.to_owned()));
        }
        // What is wrong without any value of an axis is told as what it is.
        let scenario = scenario::load(file, &parsed("--set", sets)?)?;
        let mut plan = plan(&scenario, axes, seeds);
        (plan.file, plan.sets) = (shown(file).to_string(), sets.to_vec());
        plan.check().map_err(GridError::Command)?;
        let cells = (0..plan.cells_len()).map(|cell| grid_cell(&scenario, sets, &plan, cell));
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        no_twins(&plan, &cells)?;
        plan.nodes = cells[0].scenario.nodes();
        plan.duration = show_duration(cells[0].scenario.duration());
        plan.sweep = identity(&plan, &cells);
        Ok(Self { plan, cells })
    }
}

/// Combinations of settings to choose from, and why others can't be.
#[derive(Debug)]
pub struct Choice {
    /// What can be written down of it; the digest is not among it.
    pub plan: SweepPlan,
    /// The combinations that make a scenario, by their cells.
    pub cells: Vec<(usize, GridCell)>,
    /// What is wrong with those that make none.
    pub refused: Vec<GridError>,
}

impl Choice {
    /// As [`Grid::new`], but leaves out combinations that go wrong together, and twins.
    ///
    /// # Errors
    /// When the file or a set is wrong, or nothing is left.
    pub fn new(
        file: &Path,
        sets: &[String],
        axes: Vec<Axis>,
        seeds: SeedRange,
    ) -> Result<Self, GridError> {
        let scenario = scenario::load(file, &parsed("--set", sets)?)?;
        let mut plan = plan(&scenario, axes, seeds);
        (plan.nodes, plan.duration) = (scenario.nodes(), show_duration(scenario.duration()));
        plan.check().map_err(GridError::Command)?;
        let (mut cells, mut refused) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for cell in 0..plan.cells_len() {
            match grid_cell(&scenario, sets, &plan, cell) {
                Ok(own) if seen.insert(own.scenario.resolved().to_owned()) => {
                    cells.push((cell, own));
                }
                Ok(_twin) => {}
                Err(error) => refused.push(error),
            }
        }
        match (cells.is_empty(), refused.is_empty()) {
            (true, false) => Err(refused.remove(0)),
            _ => Ok(Self { plan, cells, refused }),
        }
    }
}

fn plan(scenario: &Scenario, axes: Vec<Axis>, seeds: SeedRange) -> SweepPlan {
    SweepPlan {
        schema: SCHEMA.to_owned(),
        sweep: String::new(),
        scenario: scenario.folder().clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        nodes: 0,
        duration: String::new(),
        seeds,
        axes,
        shard: None,
        file: String::new(),
        sets: Vec::new(),
    }
}

fn parsed(option: &'static str, texts: &[String]) -> Result<Vec<Set>, GridError> {
    let sets = texts.iter().map(|text| Set::after(option, text));
    sets.collect::<Result<_, _>>().map_err(GridError::from)
}

fn grid_cell(
    base: &Scenario,
    typed: &[String],
    plan: &SweepPlan,
    cell: usize,
) -> Result<GridCell, GridError> {
    let own = plan.sets(cell);
    let scenario = base.with(&parsed("--vary", &own)?).map_err(|error| GridError::Scenario {
        cell: Some(plan.name(cell)),
        error: Box::new(error),
    })?;
    Ok(GridCell { scenario, sets: [typed, &own].concat() })
}

/// Two cells that come to the same would be told as two findings.
fn no_twins(plan: &SweepPlan, cells: &[GridCell]) -> Result<(), GridError> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, cell) in cells.iter().enumerate() {
        let Some(twin) = seen.insert(cell.scenario.resolved(), place) else { continue };
        let pairs = places(&plan.axes, twin).into_iter().zip(places(&plan.axes, place));
        let differing = plan.axes.iter().zip(pairs).find(|(_, (one, other))| one != other);
        let (axis, (one, other)) = differing.expect("two cells differ in a place");
        return Err(GridError::Command(format!(
            "--vary {}: `{}` and `{}` come to the same scenario: keep one of them",
            axis.key, axis.values[one], axis.values[other]
        )));
    }
    Ok(())
}

/// The digest of everything that results depend on: what is run, with which seeds, and how this
/// build runs things.
fn identity(plan: &SweepPlan, cells: &[GridCell]) -> String {
    let SeedRange { first, n } = plan.seeds;
    let axes = serde_json::to_string(&plan.axes).expect("axes are texts");
    let (first, n, witness) = (first.to_string(), n.to_string(), witness::of_this_build());
    let mut texts = vec![SCHEMA, &plan.tool_version, &witness, &first, &n, &axes];
    texts.extend(cells.iter().map(|cell| cell.scenario.resolved()));
    hex(&digest(&texts))
}

impl From<ScenarioError> for GridError {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario { cell: None, error: Box::new(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = "name = 'g'\nnodes = 5\nduration = '5s'\n[engine]\ntimeout = '5s'\n";

    fn grid(sets: &[&str], axes: &[&str], n: u64) -> Result<Grid, GridError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("g.toml");
        std::fs::write(&file, SCENARIO).unwrap();
        let axes = axes.iter().map(|text| Axis::parse(text).unwrap()).collect();
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        Grid::new(&file, &sets, axes, SeedRange { first: 1, n })
    }

    fn told(result: Result<Grid, GridError>) -> String {
        match result.expect_err("no grid") {
            GridError::Command(text) => text,
            GridError::Scenario { cell, error } => {
                format!("{}: {}", cell.unwrap_or_default(), error.headline())
            }
        }
    }

    #[test]
    fn each_cell_is_the_scenario_with_its_settings() {
        let grid = grid(&["nodes=7"], &["engine.fan_out=1..=2", "engine.cycle=1s,2s"], 3).unwrap();
        let last = grid.cells.last().unwrap();
        assert_eq!(last.sets, ["nodes=7", "engine.fan_out=2", "engine.cycle=2s"]);
        assert_eq!((last.scenario.nodes(), last.scenario.engine().fan_out()), (7, 2));
        assert_eq!((grid.cells.len(), grid.plan.nodes), (4, 7));
        assert_eq!(grid.plan.duration, "5s");
    }

    #[test]
    fn the_digest_tells_sweeps_apart_by_all_that_matters() {
        let id = |sets: &[&str], axes: &[&str], n| grid(sets, axes, n).unwrap().plan.sweep;
        let one = id(&[], &["engine.fan_out=1,2"], 3);
        assert_eq!(one, id(&[], &["engine.fan_out=1..=2"], 3));
        let others = [
            id(&["nodes=6"], &["engine.fan_out=1,2"], 3),
            id(&[], &["engine.fan_out=2,1"], 3),
            id(&[], &["engine.fan_out=1,2"], 4),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn a_wrong_key_or_value_is_told_with_the_option_and_the_cell() {
        let text = told(grid(&[], &["engine.fanout=1,2"], 1));
        assert!(text.contains("--vary engine.fanout=1: unknown key `fanout`"), "{text}");
        assert!(text.contains("did you mean `fan_out`?"), "{text}");
        // Each value is right by itself; the file's timeout does not go with the last.
        let text = told(grid(&[], &["engine.fan_out=1,2", "engine.cycle=1s,4s"], 1));
        assert!(text.starts_with("fan_out 1, cycle 4s: ") && text.contains("timeout"), "{text}");
    }

    #[test]
    fn cells_that_come_to_the_same_are_refused() {
        let text = told(grid(&[], &["engine.cycle=1s,1000ms"], 1));
        assert!(text.contains("`1s` and `1000ms` come to the same scenario"), "{text}");
        assert!(told(grid(&[], &["name=a,b"], 1)).contains("names the folder"));
    }

    #[test]
    fn a_choice_leaves_out_what_goes_wrong_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("g.toml");
        std::fs::write(&file, SCENARIO).unwrap();
        let choice = |text: &str| {
            let axes = vec![Axis::parse(text).unwrap()];
            Choice::new(&file, &[], axes, SeedRange { first: 1, n: 1 })
        };
        let some = choice("engine.cycle=1s,4s,1000ms").unwrap();
        assert_eq!((some.cells.len(), some.refused.len()), (1, 1));
        assert!(choice("engine.cycle=4s,5s").is_err());
    }

    #[test]
    fn a_sweep_has_limits() {
        let axes = ["nodes=1..=1000", "engine.fan_out=1..=1000"];
        assert!(told(grid(&[], &axes, 1)).contains("1000000 combinations are too many"));
        let text = told(grid(&[], &["nodes=1..=20"], 100_000));
        assert!(text.contains("2000000 runs: at most 1000000"), "{text}");
    }
}
