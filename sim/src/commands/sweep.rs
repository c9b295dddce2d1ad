//! `sim sweep`: runs a scenario under every combination of settings and shows what they do.
//!
//! Runs of all cells and seeds are shared out among the threads one by one, cell after cell. Each
//! cell that is done is kept in a file of its own, so that a sweep that was ended goes on where it
//! was; results are always made from kept cells, so that nothing tells how they came about.

mod shards;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;

use super::arguments::{PictureArgs, ProtocolArgs, SEEDS_MAX, Talk};
use super::progress::Progress;
use super::run::Format;
use super::{Exit, Failure, Report, interrupt, trial};
use crate::measures::{self, Measure};
use crate::reading::{STDIN, shown};
use crate::report::files::{self, StagedFiles};
use crate::report::sweep::Results;
use crate::report::{human, sweep as report, terminal};
use crate::results::json;
use crate::scenario::Paint;
use crate::sweep::{Axis, Cell, Grid, GridError, SeedRange, Shard, Store, SweepPlan, Trial};
use crate::world::Options;

/// What to sweep, and how to tell of it.
#[derive(Clone, Debug, Args)]
pub struct SweepRequest {
    /// The scenario file; - is standard input
    pub file: PathBuf,
    /// Vary a key over a list or a closed range, such as engine.fan_out=1..=8 (repeatable)
    #[arg(long, value_name = "KEY=VALUES", required = true)]
    pub vary: Vec<String>,
    /// Replace a value of the scenario in every cell (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// What the nodes speak.
    #[command(flatten)]
    pub protocol: ProtocolArgs,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Seeds of each cell, S to S+N-1
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    pub seeds: u64,
    /// Run only slice I of N, 1/N to N/N, for `sim merge` to join
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Run nothing: print a command for each of N slices, and one that joins them
    #[arg(long, value_name = "N", conflicts_with = "shard")]
    pub print_shards: Option<NonZeroUsize>,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// How results are shown.
    #[command(flatten)]
    pub show: Show,
}

/// How the results of a sweep are shown.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// A measure for tables and pictures, as in `sim measures` (repeatable) [default: the usual]
    #[arg(long = "measure", value_name = "MEASURE")]
    pub measures: Vec<String>,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print sweep.json instead of tables
    #[arg(long)]
    pub json: bool,
    /// Whether pictures are drawn.
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// How much is said.
    #[command(flatten)]
    pub talk: Talk,
}

impl SweepRequest {
    /// The seeds of every cell.
    fn seeds(&self) -> SeedRange {
        SeedRange { first: self.seed, n: self.seeds }
    }
}

impl Show {
    fn format(&self) -> Format {
        self.talk.format(self.json)
    }
}

/// Runs what is not there yet, and shows all of it.
///
/// # Errors
/// When the command or the scenario is wrong, or something can't be written; finished cells stay.
pub fn run(request: &SweepRequest) -> Result<Report, Failure> {
    check_seeds(request.seeds())?;
    let asked = measures_of(&request.show.measures)?;
    let axes = request.vary.iter().map(|text| Axis::parse(text));
    let axes = axes.collect::<Result<Vec<_>, _>>().map_err(Failure::wrong)?;
    let shard = request.shard.as_deref().map(shard).transpose()?;
    let grid = Grid::new(&request.file, &request.sets, axes, request.seeds())
        .map_err(|error| grid_failure(&error, request.show.talk.error_paint))?;
    if let Some(of) = request.print_shards {
        if request.file == Path::new(STDIN) {
            let why = "--print-shards: each command reads the scenario: name a file instead of -";
            return Err(Failure::wrong(why));
        }
        return shards::commands(request, &grid.plan, of);
    }
    let plan = grid.plan.of_slice(shard);
    let folder = folder(&request.show.out, &plan);
    let store = Store::open(&folder, &plan)?;
    interrupt::install_keeping_cells();
    let own = plan.slice(shard);
    let cells = complete(request, &grid, &store, &own)?;
    match shard {
        Some(shard) => Ok(sliced(request, &plan, shard, &cells, &folder)),
        None => conclude(&request.show, &plan, cells, &asked, &folder),
    }
}

/// The measures of names that were typed.
///
/// # Errors
/// When one is none; the nearest is named.
pub(super) fn measures_of(names: &[String]) -> Result<Vec<&'static Measure>, Failure> {
    let find = |name: &String| {
        measures::find(name)
            .ok_or_else(|| Failure::wrong(format!("--measure {name}: {}", measures::unknown(name))))
    };
    names.iter().map(find).collect()
}

pub(super) fn check_seeds(seeds: SeedRange) -> Result<(), Failure> {
    let SeedRange { first, n } = seeds;
    let largest = u64::MAX - (n - 1);
    match first <= largest {
        true => Ok(()),
        false => {
            Err(Failure::wrong(format!("--seed {first} is too large: at most {largest} here")))
        }
    }
}

pub(super) fn grid_failure(error: &GridError, paint: Paint) -> Failure {
    match error {
        GridError::Command(text) => Failure::wrong(text),
        GridError::Scenario { cell, error } => {
            let mut failure = Failure::scenario(error, paint);
            if let Some(cell) = cell {
                failure.text = format!("with {cell}: {}", failure.text);
            }
            failure
        }
    }
}

fn shard(text: &str) -> Result<Shard, Failure> {
    Shard::parse(text).map_err(|why| Failure::wrong(format!("--shard {text}: {why}")))
}

/// The folder of a sweep's results, or of a slice of them.
pub(super) fn folder(out: &Path, plan: &SweepPlan) -> PathBuf {
    let whole = out.join(&*plan.scenario).join(plan.folder());
    match plan.shard {
        Some(Shard { number, of }) => whole.join(format!("shard-{number}-of-{of}")),
        None => whole,
    }
}

/// All cells that were asked for: those that are kept, and those that are run now.
fn complete(
    request: &SweepRequest,
    grid: &Grid,
    store: &Store,
    own: &[usize],
) -> Result<Vec<Cell>, Failure> {
    // A cell that can't be read is not there: it is run again, and its file replaced.
    let mut cells: Vec<Option<Cell>> =
        own.iter().map(|&cell| store.load(&grid.plan, cell).ok().flatten()).collect();
    let missing: Vec<usize> = (0..own.len()).filter(|&place| cells[place].is_none()).collect();
    let numbers: Vec<usize> = missing.iter().map(|&place| own[place]).collect();
    for (place, cell) in missing.into_iter().zip(run_cells(request, grid, store, &numbers)?) {
        cells[place] = Some(cell);
    }
    Ok(cells.into_iter().map(|cell| cell.expect("each was kept or run")).collect())
}

/// A cell that is being run: its trials by seed, and how many are still to come.
struct RunningSweep {
    trials: Vec<Option<Trial>>,
    left: usize,
}

/// Runs cells, and keeps each as soon as it is done.
fn run_cells(
    request: &SweepRequest,
    grid: &Grid,
    store: &Store,
    cells: &[usize],
) -> Result<Vec<Cell>, Failure> {
    let n = request.seeds().n as usize;
    // A cluster of ten nodes is soon done beside one of a thousand.
    let cost = |&cell: &usize| {
        let scenario = &grid.cells[cell].scenario;
        scenario.duration().saturating_mul(scenario.nodes())
    };
    let total: Duration = cells.iter().map(cost).sum();
    let total = total.saturating_mul(n as u32);
    let progress =
        Progress::new(&grid.plan.scenario, cells.len() * n, total, request.show.talk.audience());
    let pool = trial::pool(request.threads, cells.len() * n)?;
    let empty = || Mutex::new(RunningSweep { trials: vec![None; n], left: n });
    let running: Vec<Mutex<RunningSweep>> = cells.iter().map(|_| empty()).collect();
    let piece = |number: usize| -> Result<Option<Cell>, Failure> {
        let (place, seed) = (number / n, number % n);
        let trial = run_one(request, grid, cells[place], seed as u64, &progress)?;
        let mut running = running[place].lock().unwrap_or_else(PoisonError::into_inner);
        running.trials[seed] = Some(trial);
        running.left -= 1;
        if running.left > 0 {
            return Ok(None);
        }
        let trials: Vec<Trial> = running.trials.drain(..).flatten().collect();
        let cell = Cell::new(&grid.plan, cells[place], &trials);
        store.save(&cell)?;
        Ok(Some(cell))
    };
    let finished = trial::each(&pool, cells.len() * n, piece);
    progress.finish();
    // Whichever thread ran a cell's last seed has it: by number they are in order again.
    let mut finished: Vec<Cell> = finished?.into_iter().flatten().collect();
    finished.sort_by_key(|cell| cell.cell);
    Ok(finished)
}

fn run_one(
    request: &SweepRequest,
    grid: &Grid,
    cell: usize,
    place: u64,
    progress: &Progress,
) -> Result<Trial, Failure> {
    let own = &grid.cells[cell];
    let seed = request.seeds().first + place;
    let plan = own.scenario.plan(seed).map_err(|error| {
        let error =
            GridError::Scenario { cell: Some(grid.plan.name(cell)), error: Box::new(error) };
        grid_failure(&error, request.show.talk.error_paint)
    })?;
    let reproduction = || trial::command(&request.file, seed, &own.sets);
    let progress = progress.weighing(own.scenario.nodes());
    let run = trial::run(&plan, Options::default(), None, &progress, reproduction)?;
    Ok(Trial::of(&run.summary))
}

/// What is said of a slice: there is nothing to show before all of them are joined.
fn sliced(
    request: &SweepRequest,
    plan: &SweepPlan,
    shard: Shard,
    cells: &[Cell],
    folder: &Path,
) -> Report {
    let count = human::counted(cells.len() as u64, "cell");
    let all = folder.with_file_name(format!("shard-*-of-{}", shard.of));
    let line = format!(
        "{}: slice {shard}, {count} of {}\nfiles: {}\n{}\n",
        plan.scenario,
        plan.cells_len(),
        shown(folder),
        trial::hint("join all slices", &format!("sim merge {}", shown(&all)))
    );
    let out = match request.show.format() {
        Format::Table => line,
        Format::Json => json::document(plan),
        Format::Nothing => String::new(),
    };
    let broken: Vec<String> = cells.iter().flat_map(|cell| cell.broken_laws.clone()).collect();
    told(out, &broken)
}

/// Writes the results of all cells into their folder, and says what they are.
///
/// # Errors
/// When something can't be written.
pub(super) fn conclude(
    show: &Show,
    plan: &SweepPlan,
    cells: Vec<Cell>,
    asked: &[&'static Measure],
    folder: &Path,
) -> Result<Report, Failure> {
    let results = Results::new(plan, cells, asked);
    let stage = StagedFiles::new(folder)?;
    files::write_sweep(stage.root(), &results, show.pictures.wanted())?;
    stage.publish()?;
    let out = match show.format() {
        Format::Nothing => String::new(),
        Format::Json => json::document(&report::document(&results)),
        Format::Table => page(show, &results, folder),
    };
    Ok(told(out, &results.broken_laws()))
}

fn page(show: &Show, results: &Results, folder: &Path) -> String {
    let mut text = terminal::sweep(results, show.talk.paint);
    text += &format!("\nfiles: {}\n", shown(folder));
    if !show.pictures.no_plots {
        text += &format!("to look at: {}\n", shown(&folder.join("report.html")));
    }
    text
}

/// A law that is broken in any run is a bug, and a failure of the sweep.
fn told(out: String, broken_laws: &[String]) -> Report {
    match broken_laws.is_empty() {
        true => Report { out, err: String::new(), exit: Exit::Held },
        false => Report { out, err: broken_laws.join("\n") + "\n", exit: Exit::Failed },
    }
}
