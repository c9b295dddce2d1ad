//! The arguments of `sim sweep` and `sim merge`.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{PictureArgs, format, paint, watched};
use crate::commands::sweep::{Request, Show};
use crate::sweep::SeedRange;

pub(super) const SWEEP_EXAMPLES: &str = "\
Examples:
  sim sweep scenarios/loss.toml --vary engine.fan_out=1..=8
  sim sweep scenarios/loss.toml --vary engine.fan_out=1..=8 --vary engine.cycle=250ms,500ms,1s,2s
  sim sweep scenarios/loss.toml --vary network.loss=0%,5%,20% --measure metadata.t99 --seeds 50
  sim sweep scenarios/loss.toml --vary nodes=10,100,1000 --shard 1/4
                                            a quarter of it; `sim merge` joins the quarters
  sim sweep scenarios/loss.toml --vary nodes=10,100,1000 --print-shards 8 | head -n -1 | parallel
                                            a command for each eighth, the last line joins them

Every cell has the same seeds. Results are in OUT/<name>/sweep-<digest>/: a row for each run in
sweep.csv, each cell over its seeds in sweep.json, pictures, and report.html. A finished cell is
kept at once: the same command goes on where an ended one was. Results don't depend on the number
of threads, nor on whether a sweep was ended and went on.

Exit codes: 0 swept, whatever expectations of the scenario failed; 1 a law was broken, which is a
bug; 2 the command or the scenario is wrong; 3 disk or rights; 130 interrupted.";

pub(super) const MERGE_EXAMPLES: &str = "\
Examples:
  sim merge out/loss/sweep-1a2b3c4d/shard-*-of-4
  sim merge /from/node-1 /from/node-2 --out joined

Exit codes: 0 joined, 2 the slices are not those of one sweep, each once and all of them.";

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// The scenario file; - is standard input
    file: PathBuf,
    /// Vary a key over a list or a closed range, such as engine.fan_out=1..=8 (repeatable)
    #[arg(long, value_name = "KEY=VALUES", required = true)]
    vary: Vec<String>,
    /// Replace a value of the scenario in every cell (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Seeds of each cell, S to S+N-1
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=super::SEEDS_MAX))]
    seeds: u64,
    /// Run only slice I of N, 1/N to N/N, for `sim merge` to join
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Run nothing: print a command for each of N slices, and one that joins them
    #[arg(long, value_name = "N", conflicts_with = "shard")]
    print_shards: Option<NonZeroUsize>,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// The folders of all slices
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    show: ShowArgs,
}

/// How the results of a sweep are shown.
#[derive(Debug, Args)]
struct ShowArgs {
    /// A measure for tables and pictures, as in `sim measures` (repeatable) [default: the usual]
    #[arg(long = "measure", value_name = "MEASURE")]
    measures: Vec<String>,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print sweep.json instead of tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pictures: PictureArgs,
    /// Print nothing but errors (and JSON where asked for)
    #[arg(short, long)]
    quiet: bool,
}

impl SweepArgs {
    pub(super) fn request(self) -> Request {
        Request {
            file: self.file,
            sets: self.sets,
            vary: self.vary,
            seeds: SeedRange { first: self.seed, n: self.seeds },
            shard: self.shard,
            print_shards: self.print_shards,
            threads: self.threads,
            error_paint: paint(&io::stderr()),
            audience: watched(self.show.quiet),
            show: self.show.show(),
        }
    }
}

impl MergeArgs {
    pub(super) fn parts(self) -> (Vec<PathBuf>, Show) {
        (self.folders, self.show.show())
    }
}

impl ShowArgs {
    fn show(self) -> Show {
        Show {
            out: self.out,
            measures: self.measures,
            format: format(self.json, self.quiet),
            pictures: self.pictures.wanted(),
            paint: paint(&io::stdout()),
        }
    }
}
