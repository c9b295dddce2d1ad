//! `sim shrink FILE`: the smallest scenario that fails as this one does.

use std::path::PathBuf;

use rumormill::text::Printable;
use toml::Table;

use super::progress::{Audience, Progress};
use super::{Exit, Failure, Report, fuzz, interrupt, trial};
use crate::explore::{self, Smallest, Trial};
use crate::reading::shown;
use crate::scenario::{self, Paint, Scenario};
use crate::sweep::SeedRange;
use crate::writing;

/// What to make smaller.
#[derive(Clone, Debug)]
pub struct Request {
    /// A scenario that breaks a law, or one of its own expectations.
    pub file: PathBuf,
    /// Seeds to look for a failure with.
    pub seeds: SeedRange,
    /// Where the smallest goes; to standard output if not given.
    pub out: Option<PathBuf>,
    /// Most runs that it may take.
    pub runs_max: u64,
    /// Whether errors have colours.
    pub error_paint: Paint,
    /// Who watches while it runs.
    pub audience: Audience,
}

/// Shrinks.
///
/// # Errors
/// When the file is wrong, holds with all seeds, or the result can't be written.
pub fn run(request: &Request) -> Result<Report, Failure> {
    let read = scenario::load(&request.file, &[]);
    let read = read.map_err(|error| Failure::scenario(&error, request.error_paint))?;
    let scenario = read.text().parse::<Table>();
    let scenario = scenario.map_err(|error| Failure::wrong(error.message()))?;
    let first = first_failure(request, &read, scenario)?;
    interrupt::install();
    let before = fuzz::lines(&explore::text(&first.scenario));
    let runs = request.runs_max;
    let progress = Progress::steps("shrink", runs, runs, request.audience);
    let smallest = explore::shrink(first, runs, &mut |_| {
        progress.end_run();
        progress.advance(1);
    });
    progress.finish();
    let name = match &request.out {
        Some(path) => trial::quoted_path(path),
        None => "FILE".to_owned(),
    };
    let text = fuzz::explained(&smallest, &name);
    let after = fuzz::lines(&text);
    let said = format!(
        "{}: {} lines, of {before}, after {} runs\nreproduce: sim run {name} --seed {}\n",
        Printable(&smallest.broken.fingerprint.law),
        after,
        smallest.runs,
        smallest.seed
    );
    match &request.out {
        None => Ok(Report { out: text, err: said, exit: Exit::Held }),
        Some(path) => {
            writing::write_whole(path, &text)?;
            Ok(Report { out: said, err: String::new(), exit: Exit::Held })
        }
    }
}

fn first_failure(request: &Request, read: &Scenario, scenario: Table) -> Result<Smallest, Failure> {
    let SeedRange { first, n } = request.seeds;
    for seed in first..first.saturating_add(n) {
        let plan = read.plan(seed);
        let plan = plan.map_err(|error| Failure::scenario(&error, request.error_paint))?;
        if let Trial::Broken(broken) = Trial::of_plan(&plan) {
            return Ok(Smallest { scenario, seed, broken, runs: 0 });
        }
    }
    let (file, last) = (shown(&request.file), first.saturating_add(n) - 1);
    Err(Failure::wrong(format!(
        "{file}: nothing to shrink: all laws and expectations hold with seeds {first} to {last}; \
         name others with --seed S --seeds N"
    )))
}
