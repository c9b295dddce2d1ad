//! `sim compare A B`: whether one of two is better, seed by seed, and how sure that is.
//!
//! A side is a folder of results or a scenario with settings; what is not there is run. What a
//! verdict rests on is told in [`comparison`].

mod side;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use rumormill::text::Printable;

use self::side::{Setting, Side};
use super::progress::{Audience, Progress};
use super::run::Format;
use super::{Exit, Failure, Report, interrupt, sweep, trial};
use crate::percent::Percent;
use crate::report::comparison::{self, Comparison, Verdict};
use crate::report::human::counted;
use crate::report::{markdown, terminal};
use crate::results::Figures;
use crate::results::json;
use crate::scenario::Paint;
use crate::sweep::{SeedRange, Trial};
use crate::world::Options;

/// What to compare, and how to tell of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// A and B: a folder of results, a cell of a sweep, or `FILE[,KEY=VALUE]...`.
    pub sides: [String; 2],
    /// Seeds of what is run, where no side has results.
    pub seeds: SeedRange,
    /// Measures to look at, by name; all if none are given.
    pub measures: Vec<String>,
    /// Differences up to this percent of A's figure count as none.
    pub tolerance: String,
    /// Whether the two may be of different scenarios.
    pub pairing: Pairing,
    /// Whether it is a failure when B is worse in any measure.
    pub worse: Worse,
    /// Runs at a time; as many as the machine has processors if not given.
    pub threads: Option<NonZeroUsize>,
    /// What goes to standard output.
    pub format: CompareFormat,
    /// Whether tables have colours.
    pub paint: Paint,
    /// Whether errors have colours.
    pub error_paint: Paint,
    /// Who watches while it runs.
    pub audience: Audience,
}

/// What may stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Runs of one scenario, whatever its settings.
    Within,
    /// Runs of any two scenarios, which share no more than their seeds.
    Across,
}

/// In what form a comparison is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareFormat {
    /// Like other commands.
    Usual(Format),
    /// A table that code hosts draw in a summary of CI.
    Markdown,
}

/// What it means that B is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// It is worth knowing.
    Finding,
    /// It fails the command.
    Failure,
}

/// Compares, running what is not there yet.
///
/// # Errors
/// When a side can't be read, or there is no pair.
pub fn run(request: &Request) -> Result<Report, Failure> {
    sweep::check_seeds(request.seeds)?;
    let asked = sweep::measures_of(&request.measures)?;
    let tolerance = Percent::parse(&request.tolerance)
        .map_err(|why| Failure::wrong(format!("--tolerance {}: {why}", request.tolerance)))?;
    let [a, b] = &request.sides;
    let sides = [Side::read(a, request.error_paint)?, Side::read(b, request.error_paint)?];
    check_scenarios(request, &sides)?;
    let (seeds, unpaired) = seeds(request, &sides)?;
    interrupt::install();
    let pairs = pairs(request, &sides, &seeds)?;
    let names = request.sides.each_ref().map(|side| Printable(side).to_string());
    let mut compared = Comparison::new(names, &pairs, &asked, tolerance.share());
    compared.unpaired = unpaired;
    report(request, &compared)
}

/// Two scenarios differ in everything, and a difference of their figures says nothing of either.
fn check_scenarios(request: &Request, sides: &[Side; 2]) -> Result<(), Failure> {
    let [a, b] = sides.each_ref().map(|side| Printable(side.scenario()).to_string());
    if a == b || request.pairing == Pairing::Across {
        return Ok(());
    }
    let [first, second] = request.sides.each_ref().map(Printable);
    Err(Failure::wrong(format!(
        "{first} is of the scenario {a}, {second} of {b}: compare two settings of one, or say \
         --across if you mean it"
    )))
}

/// The seeds that both sides have or can have, and how many runs have no partner.
fn seeds(request: &Request, sides: &[Side; 2]) -> Result<(Vec<u64>, usize), Failure> {
    let own = |side: &Side| match side {
        Side::Results(results) => Some(results.runs.keys().copied().collect::<BTreeSet<u64>>()),
        Side::Setting(_) => None,
    };
    match (own(&sides[0]), own(&sides[1])) {
        (None, None) => Ok((request.seeds.all().collect(), 0)),
        (Some(seeds), None) | (None, Some(seeds)) => Ok((seeds.into_iter().collect(), 0)),
        (Some(a), Some(b)) => {
            let common: Vec<u64> = a.intersection(&b).copied().collect();
            let unpaired = a.symmetric_difference(&b).count();
            match common.is_empty() {
                false => Ok((common, unpaired)),
                true => Err(Failure::wrong(format!(
                    "{} and {} have no seed in common: run both with the same --seed and --seeds",
                    request.sides[0], request.sides[1]
                ))),
            }
        }
    }
}

fn pairs(
    request: &Request,
    sides: &[Side; 2],
    seeds: &[u64],
) -> Result<Vec<(Figures, Figures)>, Failure> {
    let settings: Vec<&Setting> = sides
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
    let progress = Progress::new("compare", count, total, request.audience);
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
    request: &Request,
    setting: &Setting,
    seed: u64,
    progress: &Progress,
) -> Result<Figures, Failure> {
    let plan = setting.scenario.plan(seed);
    let plan = plan.map_err(|error| Failure::scenario(&error, request.error_paint))?;
    let reproduction = || trial::command(&setting.file, seed, &setting.sets);
    let run = trial::run(&plan, Options::default(), None, progress, reproduction)?;
    let trial = Trial::of(&run.summary);
    match trial.broken_laws.first() {
        None => Ok(trial.figures),
        Some(law) => Err(Failure { text: format!("error: {law}"), exit: Exit::Failed }),
    }
}

fn report(request: &Request, compared: &Comparison) -> Result<Report, Failure> {
    let out = match request.format {
        CompareFormat::Usual(Format::Nothing) => String::new(),
        CompareFormat::Usual(Format::Json) => json::document(&comparison::document(compared)),
        CompareFormat::Usual(Format::Table) => terminal::comparison(compared, request.paint),
        CompareFormat::Markdown => markdown::comparison(compared),
    };
    let worse = compared.of(Verdict::Worse);
    let names: Vec<&str> = worse.iter().map(|row| row.measure.name.as_ref()).collect();
    match request.worse {
        Worse::Failure if !worse.is_empty() => {
            let err = format!("{} is worse: {}\n", compared.names[1], names.join(", "));
            Ok(Report { out, err, exit: Exit::Failed })
        }
        Worse::Failure => match compared.pairs_missing() {
            None => Ok(Report { out, err: String::new(), exit: Exit::Held }),
            Some(needed) => Err(Failure::wrong(format!(
                "--fail-if-worse: {} cannot show that B is worse in any of {}, even if it is in \
                 each pair: take --seeds {needed} or more, or name the --measure that matters",
                counted(compared.pairs as u64, "pair"),
                counted(compared.rows.len() as u64, "measure")
            ))),
        },
        Worse::Finding => Ok(Report { out, err: String::new(), exit: Exit::Held }),
    }
}
