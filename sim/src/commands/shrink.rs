//! `sim shrink FILE`: the smallest scenario that fails as this one does.

use std::path::PathBuf;

use clap::Args;
use rumormill::text::Printable;
use toml::Table;

use super::arguments::{SEEDS_MAX, Talk};
use super::progress::Progress;
use super::{Exit, Failure, Report, fuzz, interrupt, trial};
use crate::explore::{self, FindingTrial, Smallest};
use crate::reading::shown;
use crate::scenario::{self, Scenario};
use crate::writing;

/// What to make smaller.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("quiet", |quiet| quiet.help(fuzz::QUIET)))]
pub struct ShrinkRequest {
    /// A scenario that fails
    pub file: PathBuf,
    /// The first seed to look for a failure with
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// So many seeds from there on
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    pub seeds: u64,
    /// Where the smallest is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Most runs that it may take
    #[arg(long, value_name = "N", default_value_t = 5_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// How much is said.
    #[command(flatten)]
    pub talk: Talk,
}

/// Shrinks.
///
/// # Errors
/// When the file is wrong, holds with all seeds, or the result can't be written.
pub fn run(request: &ShrinkRequest) -> Result<Report, Failure> {
    let read = scenario::load(&request.file, &[]);
    let read = read.map_err(|error| Failure::scenario(&error, request.talk.error_paint))?;
    let scenario = read.text().parse::<Table>();
    let scenario = scenario.map_err(|error| Failure::wrong(error.message()))?;
    let first = first_failure(request, &read, scenario)?;
    interrupt::install();
    let before = fuzz::lines(&explore::text(&first.scenario));
    let runs = request.runs;
    let progress = Progress::steps("shrink", runs, runs, request.talk.audience());
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

fn first_failure(
    request: &ShrinkRequest,
    read: &Scenario,
    scenario: Table,
) -> Result<Smallest, Failure> {
    let (first, n) = (request.seed, request.seeds);
    for seed in first..first.saturating_add(n) {
        let plan = read.plan(seed);
        let plan = plan.map_err(|error| Failure::scenario(&error, request.talk.error_paint))?;
        if let FindingTrial::Broken(broken) = FindingTrial::of_plan(&plan) {
            return Ok(Smallest { scenario, seed, broken, runs: 0 });
        }
    }
    let (file, last) = (shown(&request.file), first.saturating_add(n) - 1);
    Err(Failure::wrong(format!(
        "{file}: nothing to shrink: all laws and expectations hold with seeds {first} to {last}; \
         name others with --seed S --seeds N"
    )))
}
