//! `sim compare A B`: whether one of two is better, seed by seed, and how sure that is.
//!
//! A side is a folder of results or a scenario with settings; what is not there is run. What a
//! verdict rests on is told in [`comparison`].

mod side;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use rumormill::text::Printable;

use self::side::{ComparedSetting, Side};
use super::arguments::{SEEDS_MAX, Talk};
use super::progress::Progress;
use super::run::Format;
use super::{Exit, Failure, Report, interrupt, sweep, trial};
use crate::percent::Percent;
use crate::report::comparison::{self, Comparison, ComparisonVerdict};
use crate::report::human::counted;
use crate::report::{markdown, terminal};
use crate::results::Figures;
use crate::results::json;
use crate::sweep::{SeedRange, Trial};
use crate::world::Options;

/// What to compare, and how to tell of it.
#[derive(Clone, Debug, Args)]
pub struct CompareRequest {
    /// What is now: a folder of results, or FILE[,KEY=VALUE]...
    pub a: String,
    /// What may take its place
    pub b: String,
    /// End with exit code 1 when B is worse in any measure
    #[arg(long)]
    pub fail_if_worse: bool,
    /// A measure to look at, as in `sim measures` (repeatable) [default: all]
    #[arg(long = "measure", value_name = "MEASURE")]
    pub measures: Vec<String>,
    /// Differences up to this part of A's figure count as none
    #[arg(long, value_name = "PERCENT", default_value = "0%")]
    pub tolerance: String,
    /// The first seed, where no side has results
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Pairs, where no side has results
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    pub seeds: u64,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Compare though the two are of different scenarios
    #[arg(long)]
    pub across: bool,
    /// What to print
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub format: Layout,
    /// Print JSON instead of tables
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// How much is said.
    #[command(flatten)]
    pub talk: Talk,
}

/// How tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// For a terminal
    Table,
    /// The same as --json
    Json,
    /// For the summary of a CI run
    Markdown,
}

impl CompareRequest {
    /// Both sides, as typed.
    fn sides(&self) -> [&str; 2] {
        [&self.a, &self.b]
    }
}

/// Compares, running what is not there yet.
///
/// # Errors
/// When a side can't be read, or there is no pair.
pub fn run(request: &CompareRequest) -> Result<Report, Failure> {
    let wanted = SeedRange { first: request.seed, n: request.seeds };
    sweep::check_seeds(wanted)?;
    let asked = sweep::measures_of(&request.measures)?;
    let tolerance = Percent::parse(&request.tolerance)
        .map_err(|why| Failure::wrong(format!("--tolerance {}: {why}", request.tolerance)))?;
    let read = |side: &str| Side::read(side, request.talk.error_paint);
    let sides = [read(&request.a)?, read(&request.b)?];
    check_scenarios(request, &sides)?;
    let (seeds, unpaired) = seeds(request, wanted, &sides)?;
    interrupt::install();
    let pairs = pairs(request, &sides, &seeds)?;
    let names = request.sides().map(|side| Printable(side).to_string());
    let mut compared = Comparison::new(names, &pairs, &asked, tolerance.share());
    compared.unpaired = unpaired;
    report(request, &compared)
}

/// Two scenarios differ in everything, and a difference of their figures says nothing of either.
fn check_scenarios(request: &CompareRequest, sides: &[Side; 2]) -> Result<(), Failure> {
    let [a, b] = sides.each_ref().map(|side| Printable(side.scenario()).to_string());
    if a == b || request.across {
        return Ok(());
    }
    let [first, second] = request.sides().map(Printable);
    Err(Failure::wrong(format!(
        "{first} is of the scenario {a}, {second} of {b}: compare two settings of one, or say \
         --across if you mean it"
    )))
}

/// The seeds that both sides have or can have, and how many runs have no partner.
fn seeds(
    request: &CompareRequest,
    wanted: SeedRange,
    sides: &[Side; 2],
) -> Result<(Vec<u64>, usize), Failure> {
    let own = |side: &Side| match side {
        Side::Results(results) => Some(results.runs.keys().copied().collect::<BTreeSet<u64>>()),
        Side::Setting(_) => None,
    };
    match (own(&sides[0]), own(&sides[1])) {
        (None, None) => Ok((wanted.all().collect(), 0)),
        (Some(seeds), None) | (None, Some(seeds)) => Ok((seeds.into_iter().collect(), 0)),
        (Some(a), Some(b)) => {
            let common: Vec<u64> = a.intersection(&b).copied().collect();
            let unpaired = a.symmetric_difference(&b).count();
            match common.is_empty() {
                false => Ok((common, unpaired)),
                true => Err(Failure::wrong(format!(
                    "{} and {} have no seed in common: run both with the same --seed and --seeds",
                    request.a, request.b
                ))),
            }
        }
    }
}

fn pairs(
    request: &CompareRequest,
    sides: &[Side; 2],
    seeds: &[u64],
) -> Result<Vec<(Figures, Figures)>, Failure> {
    let settings: Vec<&ComparedSetting> = sides
        .iter()
        .filter_map(|side| match side {
            Side::Setting(setting) => Some(&**setting),
            Side::Results(_) => None,
        })
        .collect();
    let total: std::time::Duration =
        settings.iter().map(|setting| setting.scenario.duration()).sum();
    let count = settings.len() * seeds.len();
    let total = total.saturating_mul(seeds.len() as u32);
    let progress = Progress::new("compare", count, total, request.talk.audience());
    let pool = trial::pool(request.threads, count)?;
    let piece = |number: usize| {
        let (place, setting) = (number / settings.len(), settings[number % settings.len()]);
        one(request, setting, seeds[place], &progress)
    };
    let made = trial::each(&pool, count, piece);
    progress.finish();
    let mut made = made?.into_iter();
    let mut next = |side: &Side, seed: u64| match side {
        Side::Results(results) => results.runs[&seed].clone(),
        Side::Setting(_) => made.next().expect("each setting was run with each seed"),
    };
    // In the order in which they were made: seed by seed, A before B.
    Ok(seeds.iter().map(|&seed| (next(&sides[0], seed), next(&sides[1], seed))).collect())
}

fn one(
    request: &CompareRequest,
    setting: &ComparedSetting,
    seed: u64,
    progress: &Progress,
) -> Result<Figures, Failure> {
    let plan = setting.scenario.plan(seed);
    let plan = plan.map_err(|error| Failure::scenario(&error, request.talk.error_paint))?;
    let reproduction = || trial::command(&setting.file, seed, &setting.sets);
    let run = trial::run(&plan, Options::default(), None, progress, reproduction)?;
    let trial = Trial::of(&run.summary);
    match trial.broken_laws.first() {
        None => Ok(trial.figures),
        Some(law) => Err(Failure { text: format!("error: {law}"), exit: Exit::Failed }),
    }
}

fn report(request: &CompareRequest, compared: &Comparison) -> Result<Report, Failure> {
    let is_json = request.json || request.format == Layout::Json;
    let out = match (request.talk.format(is_json), request.format) {
        (Format::Nothing, _) => String::new(),
        (Format::Json, _) => json::document(&comparison::document(compared)),
        (Format::Table, Layout::Markdown) => markdown::comparison(compared),
        (Format::Table, Layout::Table | Layout::Json) => {
            terminal::comparison(compared, request.talk.paint)
        }
    };
    let worse = compared.of(ComparisonVerdict::Worse);
    let names: Vec<&str> = worse.iter().map(|row| row.measure.name.as_ref()).collect();
    let held = Report { out, err: String::new(), exit: Exit::Held };
    match compared.pairs_missing() {
        _ if !request.fail_if_worse => Ok(held),
        _ if !worse.is_empty() => {
            let err = format!("{} is worse: {}\n", compared.names[1], names.join(", "));
            Ok(Report { err, exit: Exit::Failed, ..held })
        }
        None => Ok(held),
        Some(needed) => Err(Failure::wrong(format!(
            "--fail-if-worse: {} cannot show that B is worse in any of {}, even if it is in each \
             pair: take --seeds {needed} or more, or name the --measure that matters",
            counted(compared.pairs as u64, "pair"),
            counted(compared.rows.len() as u64, "measure")
        ))),
    }
}
