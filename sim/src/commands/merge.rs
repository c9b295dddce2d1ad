//! `sim merge DIR...`: joins the slices of a sweep that were run apart.
//!
//! It takes nothing on trust: slices of another sweep, cells that are there twice and cells that
//! are missing are refused, each with what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;

use super::sweep::{Show, conclude, folder, measures_of};
use super::{Failure, Report};
use crate::reading::{ReadError, shown};
use crate::sweep::{Cell, Store, SweepPlan};

/// Absent slices that are named; a plan may tell of many more.
const SLICES_TOLD_MAX: usize = 16;

/// What to join, and how to show it.
#[derive(Clone, Debug, Args)]
pub struct MergeRequest {
    /// The folders of all slices
    #[arg(required = true, value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// How the whole is shown.
    #[command(flatten)]
    pub show: Show,
}

/// Joins slices, and shows the whole of the sweep.
///
/// # Errors
/// When the folders are not the slices of one sweep, each once and all of them.
pub fn run(MergeRequest { folders, show }: &MergeRequest) -> Result<Report, Failure> {
    let asked = measures_of(&show.measures)?;
    let slices = folders.iter().map(|folder| Slice::read(folder));
    let slices = slices.collect::<Result<Vec<_>, _>>()?;
    let plan = one_sweep(&slices)?;
    let mut found: BTreeMap<usize, (&Slice, Cell)> = BTreeMap::new();
    for slice in &slices {
        for cell in slice.cells()? {
            let number = cell.cell;
            if let Some((other, _)) = found.insert(number, (slice, cell)) {
                return Err(overlap(&plan, number, other, slice));
            }
        }
    }
    no_holes(&plan, &found, &slices)?;
    let cells: Vec<Cell> = found.into_values().map(|(_, cell)| cell).collect();
    let folder = folder(&show.out, &plan);
    let store = Store::open(&folder, &plan)?;
    for cell in &cells {
        store.save(cell)?;
    }
    conclude(show, &plan, cells, &asked, &folder)
}

/// The folder of a slice.
struct Slice {
    folder: PathBuf,
    plan: SweepPlan,
}

impl Slice {
    fn read(folder: &Path) -> Result<Self, Failure> {
        match Store::plan_of(folder) {
            Ok(plan) => Ok(Self { folder: folder.to_owned(), plan }),
            Err(ReadError::Missing { .. }) => {
                let what = if folder.is_dir() { "has no slice of a sweep" } else { "is no folder" };
                Err(Failure::wrong(format!(
                    "{} {what}: name folders such as out/NAME/sweep-1a2b3c4d/shard-1-of-4, which \
                     `sim sweep --shard 1/4` makes",
                    shown(folder)
                )))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Its cells, all of them.
    fn cells(&self) -> Result<Vec<Cell>, Failure> {
        let own = self.plan.slice(self.plan.shard);
        let store = Store::at(&self.folder);
        let cells = own.iter().map(|&cell| store.load(&self.plan, cell));
        let cells: Vec<Cell> = cells.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        match own.len() - cells.len() {
            0 => Ok(cells),
            missing => Err(Failure::wrong(format!(
                "{} is not finished: {missing} of its {} cells are missing; run the command that \
                 made it again, it goes on from there",
                shown(&self.folder),
                own.len()
            ))),
        }
    }

    fn name(&self) -> String {
        match self.plan.shard {
            Some(shard) => format!("{} (slice {shard})", shown(&self.folder)),
            None => format!("{} (all cells)", shown(&self.folder)),
        }
    }
}

/// The plan that all slices have in common.
fn one_sweep(slices: &[Slice]) -> Result<SweepPlan, Failure> {
    let first = slices.first().ok_or_else(|| Failure::wrong("there is no slice to merge"))?;
    for other in &slices[1..] {
        if other.plan.sweep != first.plan.sweep {
            return Err(Failure::wrong(format!(
                "{} and {} are slices of two sweeps: they differ in {}",
                shown(&first.folder),
                shown(&other.folder),
                difference(&first.plan, &other.plan)
            )));
        }
    }
    Ok(first.plan.of_slice(None))
}

/// What tells two sweeps apart, in words.
fn difference(one: &SweepPlan, other: &SweepPlan) -> String {
    let pairs = [
        ("the scenario", one.scenario.to_string(), other.scenario.to_string()),
        ("the version of sim", one.tool_version.clone(), other.tool_version.clone()),
        ("the seeds", format!("{:?}", one.seeds.all()), format!("{:?}", other.seeds.all())),
        ("what is varied", varied(one), varied(other)),
    ];
    match pairs.into_iter().find(|(_, one, other)| one != other) {
        Some((what, one, other)) => format!("{what}: {one} and {other}"),
        None => "the content of the scenario, or in how the two builds of sim run it".to_owned(),
    }
}

fn varied(plan: &SweepPlan) -> String {
    let axes = plan.axes.iter().map(|axis| format!("{}={}", axis.key, axis.values.join(",")));
    axes.collect::<Vec<_>>().join(" ")
}

fn overlap(plan: &SweepPlan, cell: usize, one: &Slice, other: &Slice) -> Failure {
    Failure::wrong(format!(
        "the cell `{}` is in {} and in {}: name each slice once, and slices of one division only",
        plan.name(cell),
        one.name(),
        other.name()
    ))
}

fn no_holes(
    plan: &SweepPlan,
    found: &BTreeMap<usize, (&Slice, Cell)>,
    slices: &[Slice],
) -> Result<(), Failure> {
    let all = plan.cells_len();
    let Some(hole) = (0..all).find(|cell| !found.contains_key(cell)) else { return Ok(()) };
    let missing = all - found.len();
    let of = slices.iter().filter_map(|slice| slice.plan.shard).map(|shard| shard.of).max();
    let of = of.unwrap_or(1);
    let dealt = plan.dealt().into_iter().enumerate();
    let holes = dealt.filter(|(_, cell)| !found.contains_key(cell));
    let absent: BTreeSet<usize> = holes.map(|(place, _)| place % of + 1).collect();
    let mut told: Vec<String> =
        absent.iter().take(SLICES_TOLD_MAX).map(|number| format!("{number}/{of}")).collect();
    if absent.len() > told.len() {
        told.push(format!("… ({} in all)", absent.len()));
    }
    Err(Failure::wrong(format!(
        "{missing} of {all} cells are in no slice, such as `{}`: add {}",
        plan.name(hole),
        told.join(", ")
    )))
}
