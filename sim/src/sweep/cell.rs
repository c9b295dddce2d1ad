//! What one combination of settings showed, and the file that keeps it until the sweep is done.
//!
//! A file is written under another name and then renamed, and says what it is of: a half-written
//! one, or one of another sweep, is never taken for a result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SweepPlan;
use crate::measures::{self, Measure};
use crate::reading::{self, ReadError, printable};
use crate::results::Figures;
use crate::results::json;
use crate::results::summary::Summary;
use crate::stats::{Sample, Share};
use crate::writing::{self, WriteError};

const SCHEMA: &str = "cell/1";

/// Longest file of a cell without any seed: names and settings, which are those of the plan.
const LEN_MAX: u64 = 16 << 20;
/// What each seed adds at the most: a figure of every measure, and a law or two that it broke.
const SEED_LEN_MAX: u64 = 16 << 10;

/// The figures of all seeds under one combination of settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    schema: String,
    /// The digest of the sweep.
    pub sweep: String,
    /// The cell's number.
    pub cell: usize,
    /// Its settings, for a reader of the file; those of its plan, or it is no cell of it.
    settings: BTreeMap<String, String>,
    /// Of each seed, whether it held all expectations of the scenario.
    pub held: Vec<bool>,
    /// Laws that were broken, which is a bug: each with its seed.
    #[serde(deserialize_with = "printable")]
    pub broken_laws: Vec<String>,
    /// Of each measure that any seed has a figure of, the figures in the order of the seeds.
    figures: BTreeMap<String, Vec<Option<f64>>>,
}

/// What is kept of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The figures.
    pub figures: Figures,
    /// Whether the run held all expectations.
    pub held: bool,
    /// Laws that it broke.
    pub broken_laws: Vec<String>,
}

impl Trial {
    /// Of a run that was judged.
    pub fn of(summary: &Summary) -> Self {
        let broken = summary.invariants.iter().filter(|law| !law.ok);
        let broken = broken.map(|law| {
            let detail = law.detail.as_deref().unwrap_or_default();
            format!("seed {}: the law `{}` is broken: {detail}", summary.seed, law.name)
        });
        Self { figures: Figures::of(summary), held: summary.ok, broken_laws: broken.collect() }
    }
}

impl Cell {
    /// Puts the runs of all seeds together, in their order.
    pub fn new(plan: &SweepPlan, cell: usize, trials: &[Trial]) -> Self {
        let column = |measure: &Measure| {
            let column: Vec<Option<f64>> =
                trials.iter().map(|trial| trial.figures.get(measure)).collect();
            let known = column.iter().any(Option::is_some);
            known.then(|| (measure.name.to_string(), column))
        };
        Self {
            schema: SCHEMA.to_owned(),
            sweep: plan.sweep.clone(),
            cell,
            settings: settings(plan, cell),
            held: trials.iter().map(|trial| trial.held).collect(),
            broken_laws: trials.iter().flat_map(|trial| trial.broken_laws.clone()).collect(),
            figures: measures::all().iter().filter_map(column).collect(),
        }
    }

    /// The figures of a measure over the seeds.
    pub fn column(&self, measure: &Measure) -> Vec<Option<f64>> {
        let known = self.figures.get(measure.name.as_ref());
        known.cloned().unwrap_or_else(|| vec![None; self.held.len()])
    }

    /// All figures of the seed at a place.
    pub fn figures(&self, place: usize) -> Figures {
        let figure = |measure: &Measure| *self.figures.get(measure.name.as_ref())?.get(place)?;
        Figures::from_each(figure)
    }

    /// The same as a sample, from which percentiles are taken.
    pub fn sample(&self, measure: &Measure) -> Sample {
        Sample::new(self.column(measure))
    }

    /// How many seeds held all expectations.
    pub fn share(&self) -> Share {
        Share::new(self.held.iter().copied())
    }

    /// Whether any seed has a figure of a measure.
    pub fn knows(&self, measure: &Measure) -> bool {
        self.figures.contains_key(measure.name.as_ref())
    }

    /// Whether it is a cell of that sweep, and whole.
    fn check(&self, plan: &SweepPlan) -> Result<(), &'static str> {
        let n = plan.seeds.n as usize;
        if self.schema != SCHEMA || self.sweep != plan.sweep {
            return Err("it is no cell of this sweep");
        }
        if self.cell >= plan.cells_len() || self.settings != settings(plan, self.cell) {
            return Err("the sweep has no cell of this number with these settings");
        }
        match self.held.len() == n && self.figures.values().all(|column| column.len() == n) {
            true => Ok(()),
            false => Err("it is not whole: some seeds are missing, or there are too many"),
        }
    }

    /// Reads a cell of a plan.
    fn read(path: &Path, plan: &SweepPlan) -> Result<Self, ReadError> {
        let cell: Self = reading::json(path, LEN_MAX + plan.seeds.n * SEED_LEN_MAX)?;
        match cell.check(plan) {
            Ok(()) => Ok(cell),
            Err(why) => Err(ReadError::wrong(path, None, why)),
        }
    }
}

fn settings(plan: &SweepPlan, cell: usize) -> BTreeMap<String, String> {
    let values = plan.values(cell).into_iter().map(str::to_owned);
    plan.axes.iter().map(|axis| axis.key.clone()).zip(values).collect()
}

/// The folder in which a sweep keeps its plan and its finished cells.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Makes the folder where there is none, writes the plan, and clears away what a killed
    /// process left half-written.
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub fn open(folder: &Path, plan: &SweepPlan) -> Result<Self, WriteError> {
        let store = Self { folder: folder.to_owned() };
        writing::make_all(&store.cells())?;
        writing::clear_unfinished(folder);
        writing::clear_unfinished(&store.cells());
        writing::write_whole(&folder.join("plan.json"), &json::document(plan))?;
        Ok(store)
    }

    /// The plan that a folder keeps.
    ///
    /// # Errors
    /// When there is none, or it says what no command could have made.
    pub(crate) fn plan_of(folder: &Path) -> Result<SweepPlan, ReadError> {
        SweepPlan::read(&folder.join("plan.json"))
    }

    /// A cell by its file and with its plan, which lies in the folder above.
    ///
    /// # Errors
    /// When the file is no cell, or not a whole one, or there is no plan above it.
    pub(crate) fn cell_of(file: &Path) -> Result<(SweepPlan, Cell), ReadError> {
        let folder = file.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        let plan = Self::plan_of(folder)?;
        let cell = Cell::read(file, &plan)?;
        Ok((plan, cell))
    }

    /// The store of a folder whose plan was read.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// A cell that was finished, if it is there.
    ///
    /// # Errors
    /// When what is there is not that cell, or not whole.
    pub(crate) fn load(&self, plan: &SweepPlan, cell: usize) -> Result<Option<Cell>, ReadError> {
        let path = self.path(cell);
        match Cell::read(&path, plan) {
            Ok(found) if found.cell == cell => Ok(Some(found)),
            Ok(found) => {
                let why = format!("it is the cell {} in the place of {cell}", found.cell);
                Err(ReadError::wrong(&path, None, why))
            }
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a finished cell.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, cell: &Cell) -> Result<(), WriteError> {
        let text = serde_json::to_string(cell).expect("figures have string keys") + "\n";
        writing::write_whole(&self.path(cell.cell), &text)
    }

    fn cells(&self) -> PathBuf {
        self.folder.join("cells")
    }

    fn path(&self, cell: usize) -> PathBuf {
        self.cells().join(format!("{cell:05}.json"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::plan::example;
    use super::*;
    use crate::measures::find;
    use crate::results::fixture;

    fn told(loaded: Result<Option<Cell>, ReadError>) -> String {
        loaded.unwrap_err().to_string()
    }

    fn trials(n: u64) -> Vec<Trial> {
        (1..=n).map(|seed| Trial::of(&fixture::partition(50, 3, seed).summary)).collect()
    }

    #[test]
    fn a_cell_has_the_figures_of_its_seeds_in_their_order() {
        let plan = example(&["nodes=50,60"], 4);
        let cell = Cell::new(&plan, 1, &trials(4));
        let name = find("node_list.converged_after").unwrap();
        let expected: Vec<Option<f64>> = (1..=4)
            .map(|seed| fixture::partition(50, 3, seed).summary.node_list.converged_after_ms)
            .collect();
        assert_eq!(cell.column(name), expected);
        assert_eq!(cell.sample(find("detection.all").unwrap()).spread().censored, 4);
        assert!(!cell.knows(find("detection.all").unwrap()));
        assert_eq!(cell.settings["nodes"], "60");
    }

    #[test]
    fn a_kept_cell_reads_back_exactly_and_only_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let plan = example(&["nodes=50,60"], 4);
        let store = Store::open(folder.path(), &plan).unwrap();
        let cell = Cell::new(&plan, 1, &trials(4));
        store.save(&cell).unwrap();
        assert_eq!(store.load(&plan, 1).unwrap(), Some(cell));
        assert_eq!(store.load(&plan, 0).unwrap(), None);
        let mut other = plan.clone();
        other.sweep = "another".to_owned();
        assert!(told(store.load(&other, 1)).contains("no cell of this sweep"));
        let longer = example(&["nodes=50,60"], 5);
        assert!(told(store.load(&longer, 1)).contains("not whole"));
        let others = SweepPlan { axes: example(&["nodes=50,70"], 4).axes, ..plan.clone() };
        assert!(told(store.load(&others, 1)).contains("no cell of this number with these"));
        fs::copy(store.path(1), store.path(0)).unwrap();
        assert!(told(store.load(&plan, 0)).contains("the cell 1 in the place of 0"));
        assert_eq!(Store::plan_of(folder.path()).unwrap(), plan);
    }

    #[test]
    fn half_a_file_is_no_cell_and_what_a_killed_process_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let plan = example(&["nodes=50,60"], 4);
        let store = Store::open(folder.path(), &plan).unwrap();
        store.save(&Cell::new(&plan, 0, &trials(4))).unwrap();
        let whole = fs::read_to_string(store.path(0)).unwrap();
        fs::write(store.path(0), &whole[..whole.len() / 2]).unwrap();
        let damage = told(store.load(&plan, 0));
        assert!(damage.contains("00000.json:1: EOF"), "{damage}");
        let left = store.cells().join(".00001.json.4711.tmp");
        fs::write(&left, &whole).unwrap();
        Store::open(folder.path(), &plan).unwrap();
        assert!(!left.exists());
    }
}
