//! The arguments of `sim tune`.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{PictureArgs, format, paint, watched};
use crate::commands::tune::Request;

pub(super) const EXAMPLES: &str = "\
Examples:
  sim tune scenarios/loss.toml --target 'metadata.t99 <= 1s'
  sim tune scenarios/loss.toml --target 'detection.all <= 4s' --target 'removals.false == 0'
  sim tune my.toml --target 'metadata.t99 <= 200ms' --share 95% --minimize messages.sent
  sim tune my.toml --target 'detection.all <= 4s' --vary engine.timeout=2s,3s,4s

Searched are fan_out and cycle, and what --vary names beside or instead of them. Every run must
hold all targets unless --share says otherwise. What is recommended has held on fresh seeds, which
had no part in its choice.

Exit codes: 0 a setting is recommended, 1 none meets the targets, 2 the command or the scenario is
wrong.";

#[derive(Debug, Args)]
pub(super) struct TuneArgs {
    /// The scenario file; - is standard input
    file: PathBuf,
    /// What must hold: a measure of `sim measures`, an operator and a value (repeatable)
    #[arg(long = "target", value_name = "CONDITION", required = true)]
    targets: Vec<String>,
    /// The measure to keep as little as possible
    #[arg(long, value_name = "MEASURE", default_value = "bytes.with_headers")]
    minimize: String,
    /// The share of runs that must hold all targets
    #[arg(long, value_name = "PERCENT", default_value = "100%")]
    share: String,
    /// Search these values of a setting, beside or instead of the usual ones (repeatable)
    #[arg(long, value_name = "KEY=VALUES")]
    vary: Vec<String>,
    /// Replace a value of the scenario for all settings (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Fresh seeds on which the recommended setting must hold
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u64).range(1..=super::SEEDS_MAX))]
    fresh: u64,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print tune.json instead of tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pictures: PictureArgs,
    /// Print nothing but errors (and JSON where asked for)
    #[arg(short, long)]
    quiet: bool,
}

impl TuneArgs {
    pub(super) fn request(self) -> Request {
        Request {
            file: self.file,
            sets: self.sets,
            vary: self.vary,
            targets: self.targets,
            share: self.share,
            minimize: self.minimize,
            seed: self.seed,
            fresh: self.fresh,
            threads: self.threads,
            out: self.out,
            format: format(self.json, self.quiet),
            pictures: self.pictures.wanted(),
            paint: paint(&io::stdout()),
            error_paint: paint(&io::stderr()),
            audience: watched(self.quiet),
        }
    }
}
