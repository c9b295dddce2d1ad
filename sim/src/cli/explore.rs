//! The arguments of `sim fuzz` and `sim shrink`.

use std::io;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rumormill::units::parse_duration;

use super::{paint, watched};
use crate::commands::{Failure, Report, fuzz, planted, shrink};
use crate::sweep::SeedRange;

pub(super) const FUZZ_EXAMPLES: &str = "\
Examples:
  sim fuzz                                  1,000 random scenarios; is any law broken?
  sim fuzz --for 10m --nodes 5..=30         as many as fit into ten minutes
  sim fuzz scenarios/churn.toml --runs 200  more faults in a scenario of your own

What is found is made as small as it gets and written to OUT/fuzz/seed-S/: findings.json, and a
scenario for each failure. The same command goes on where it ended.

Exit codes: 0 nothing broke, 1 something did, 2 the command is wrong, 3 disk or rights, 130
interrupted.";

pub(super) const SHRINK_EXAMPLES: &str = "\
Examples:
  sim shrink out/fuzz/seed-1/convergence-0.toml
  sim shrink scenarios/mine.toml --seeds 20 --out small.toml

Exit codes: 0 here is the smallest, 2 the file is wrong or holds, 3 disk or rights, 130
interrupted.";

/// Larger clusters show nothing here that smaller ones don't, and few fit into a minute.
const NODES: RangeInclusive<u32> = 1..=200;

#[derive(Debug, Args)]
pub(super) struct FuzzArgs {
    /// A scenario to which more faults are added [default: any scenario is drawn]
    file: Option<PathBuf>,
    /// Runs, those of earlier calls included
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Real time instead of a number of runs, such as 10m
    #[arg(long = "for", value_name = "TIME", conflicts_with = "runs", value_parser = duration)]
    time: Option<Duration>,
    /// The seed of all that is drawn
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Plant these faults in the engine, one at a time, and say which law finds each: all, or names
    #[arg(long, value_name = "NAMES", conflicts_with_all = ["file", "runs", "time"],
          hide = !planted::IS_BUILT_IN)]
    planted: Option<String>,
    /// Runs after which a planted fault counts as not found
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "planted",
          value_parser = clap::value_parser!(u64).range(1..), hide = !planted::IS_BUILT_IN)]
    budget: u64,
    /// How many nodes a scenario has, such as 5..=30
    #[arg(long, value_name = "RANGE", default_value = "2..=40", value_parser = nodes,
          conflicts_with = "file")]
    nodes: RangeInclusive<u32>,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print nothing while it runs
    #[arg(short, long)]
    quiet: bool,
}

impl FuzzArgs {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let Some(faults) = self.planted else { return fuzz::run(&self.request()) };
        planted::run(&planted::Request {
            faults,
            budget: self.budget,
            seed: self.seed,
            nodes: self.nodes,
            threads: self.threads,
            out: self.out,
            audience: watched(self.quiet),
        })
    }

    fn request(self) -> fuzz::Request {
        fuzz::Request {
            file: self.file,
            seed: self.seed,
            until: match self.time {
                Some(time) => fuzz::Until::Elapsed(time),
                None => fuzz::Until::Runs(self.runs),
            },
            nodes: self.nodes,
            threads: self.threads,
            out: self.out,
            error_paint: paint(&io::stderr()),
            audience: watched(self.quiet),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ShrinkArgs {
    /// A scenario that fails
    file: PathBuf,
    /// The first seed to look for a failure with
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// So many seeds from there on
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=super::SEEDS_MAX))]
    seeds: u64,
    /// Where the smallest is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Most runs that it may take
    #[arg(long, value_name = "N", default_value_t = 5_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Print nothing while it runs
    #[arg(short, long)]
    quiet: bool,
}

impl ShrinkArgs {
    pub(super) fn request(self) -> shrink::Request {
        shrink::Request {
            file: self.file,
            seeds: SeedRange { first: self.seed, n: self.seeds },
            out: self.out,
            runs_max: self.runs,
            error_paint: paint(&io::stderr()),
            audience: watched(self.quiet),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// A range of numbers of nodes; both ends belong to it.
fn nodes(text: &str) -> Result<RangeInclusive<u32>, String> {
    let wrong = || {
        let (least, most) = (NODES.start(), NODES.end());
        format!("this is no range: write it like 2..=40, from {least} to {most}")
    };
    let (first, last) = text.split_once("..=").ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| NODES.contains(number));
    let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
    if first <= last { Ok(first..=last) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_nodes_holds_both_its_ends_and_has_limits() {
        assert_eq!(nodes("2..=40"), Ok(2..=40));
        for wrong in ["2..40", "5", "0..=3", "9..=2", "2..=9999", "a..=b"] {
            assert!(nodes(wrong).unwrap_err().contains("1 to 200"), "{wrong}");
        }
    }
}
