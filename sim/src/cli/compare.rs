//! The arguments of `sim compare`.

use std::io;
use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};

use super::{format, paint, watched};
use crate::commands::compare::{CompareFormat, Pairing, Request, Worse};
use crate::sweep::SeedRange;

pub(super) const EXAMPLES: &str = "\
Examples:
  sim compare scenarios/loss.toml scenarios/loss.toml,engine.fan_out=5
  sim compare before/loss after/loss --fail-if-worse
                                            two folders of `sim run --seeds`, as CI does
  sim compare before/loss scenarios/loss.toml --measure metadata.t99 --measure bytes.with_headers
  sim compare before/loss after/loss --fail-if-worse --format markdown >> summary.md

A and B are each a folder of results, a cell of a sweep (out/NAME/sweep-DIGEST/cells/00003.json),
or a scenario with settings, FILE,KEY=VALUE,..., which is run. Runs are paired by their seeds.

Exit codes: 0 compared, 1 B is worse in a measure (with --fail-if-worse), 2 a side is wrong, or
there are too few pairs to show anything (with --fail-if-worse).";

/// How tables are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Layout {
    /// For a terminal
    Table,
    /// The same as --json
    Json,
    /// For the summary of a CI run
    Markdown,
}

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// What is now: a folder of results, or FILE[,KEY=VALUE]...
    a: String,
    /// What may take its place
    b: String,
    /// End with exit code 1 when B is worse in any measure
    #[arg(long)]
    fail_if_worse: bool,
    /// A measure to look at, as in `sim measures` (repeatable) [default: all]
    #[arg(long = "measure", value_name = "MEASURE")]
    measures: Vec<String>,
    /// Differences up to this part of A's figure count as none
    #[arg(long, value_name = "PERCENT", default_value = "0%")]
    tolerance: String,
    /// The first seed, where no side has results
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Pairs, where no side has results
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=super::SEEDS_MAX))]
    seeds: u64,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Compare though the two are of different scenarios
    #[arg(long)]
    across: bool,
    /// What to print
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    format: Layout,
    /// Print JSON instead of tables
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Print nothing but errors (and JSON where asked for)
    #[arg(short, long)]
    quiet: bool,
}

impl CompareArgs {
    pub(super) fn request(self) -> Request {
        Request {
            sides: [self.a, self.b],
            seeds: SeedRange { first: self.seed, n: self.seeds },
            measures: self.measures,
            tolerance: self.tolerance,
            worse: if self.fail_if_worse { Worse::Failure } else { Worse::Finding },
            threads: self.threads,
            pairing: if self.across { Pairing::Across } else { Pairing::Within },
            format: match self.format {
                Layout::Markdown if !self.quiet => CompareFormat::Markdown,
                Layout::Json => CompareFormat::Usual(format(true, self.quiet)),
                Layout::Table | Layout::Markdown => {
                    CompareFormat::Usual(format(self.json, self.quiet))
                }
            },
            paint: paint(&io::stdout()),
            error_paint: paint(&io::stderr()),
            audience: watched(self.quiet),
        }
    }
}
