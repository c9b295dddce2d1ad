//! The arguments of `sim model`.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use rumormill::rng::Probability;

use crate::commands::arguments::{SEEDS_MAX, format, paint, watched};
use crate::commands::{Failure, Report, beside, model};
use crate::model::{Epidemic, ModelSpread, Stop};
use crate::percent::Percent;
use crate::report::files::Pictures;
use crate::report::plots::Width;
use crate::rivals::Rival;

/// The most runs of one command.
const RUNS_MAX: u64 = 1_000_000;

pub(super) const EXAMPLES: &str = "\
Examples:
  sim model --stop feedback-counter:2       push until two contacts in a row knew it already
  sim model --spread pull --stop feedback-counter:1 --runs 1000
  sim model --fan-out 3 --loss 20%          push for ever: how many rounds until all hold it?
  sim model --stop blind-counter:3 --fan-out 3
                                            forward once, to three others
  sim model --nodes 1000000 --runs 1 --json | jq .rounds_to_all.mean
  sim model --beside scenarios/loss.toml --seeds 50
                                            the engine and other protocols on one network

When a node loses interest (--stop):
  never               it tells others in every round; the run ends when all hold the rumor
  blind-coin:K        after each contact with a probability of 1/K
  blind-counter:K     after K contacts
  feedback-coin:K     after each unnecessary contact with a probability of 1/K
  feedback-counter:K  after K unnecessary contacts without a useful one in between

Rounds are synchronous: what a node is counts as it was when the round began, so that two nodes
that tell the same third one in one round are both useful. A contact is unnecessary when the
other held the rumor already. With pull and push-pull all contacts of a node in a round are judged
together, once. Traffic counts tellings, lost and unnecessary ones too; a pull that finds nothing
costs nothing. The same seed gives the same figures with any number of threads.

With --beside the epidemics run on the network of a scenario instead, in virtual time: the last
publish as the engine spreads it, and beside it, with the same seeds and the same link model,
  push-once:F         who hears it for the first time tells F others at once
  periodic:F,T,M      every T each node tells F others, in all M * ceil(log10(nodes + 1)) times:
                      the rule of memberlist, whose defaults are periodic:3,200ms,4
Table, JSON and picture show when it was on how many nodes, in how many runs it reached all, and
the packets per node. The files are in OUT/<name>/beside/.";

#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Which way the rumor goes in a contact: push, pull or push-pull
    #[arg(long, value_name = "WAY", default_value = "push")]
    spread: ModelSpread,
    /// When a node that holds the rumor stops telling it (see below)
    #[arg(long, value_name = "RULE", default_value = "never")]
    stop: Stop,
    /// How many nodes, the source included
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    nodes: u32,
    /// How many others a node contacts in a round
    #[arg(long, value_name = "F", default_value_t = 1)]
    fan_out: u32,
    /// Share of tellings that get lost, such as 20% or 0.2
    #[arg(long, value_name = "P", default_value = "0%", value_parser = loss)]
    loss: Probability,
    /// How many times it is run
    #[arg(long, value_name = "R", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=RUNS_MAX))]
    runs: u64,
    /// The seed of all chance
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    beside: BesideArgs,
}

/// What only makes sense with a scenario.
#[derive(Debug, Args)]
#[command(next_help_heading = "On the network of a scenario")]
struct BesideArgs {
    /// Run protocols side by side: the engine in this scenario, and others on its network
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["spread", "stop", "nodes", "fan_out", "loss", "runs"])]
    beside: Option<PathBuf>,
    /// A protocol to put beside the engine (repeatable) [default: push-once with the fan-out of
    /// the scenario, and periodic:3,200ms,4]
    #[arg(long = "with", value_name = "PROTOCOL", requires = "beside")]
    rivals: Vec<Rival>,
    /// Run N seeds, S to S+N-1
    #[arg(long, value_name = "N", default_value_t = 20, requires = "beside",
          value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    seeds: u64,
    /// Replace a value of the scenario, such as network.loss=40% (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "beside")]
    sets: Vec<String>,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "out", requires = "beside")]
    out: PathBuf,
    /// Draw no picture
    #[arg(long, requires = "beside")]
    no_plots: bool,
    /// How many pixels wide the picture is
    #[arg(long, value_name = "PX", default_value_t = Width::NORMAL, requires = "beside",
          conflicts_with = "no_plots")]
    width: Width,
}

impl ModelArgs {
    /// Does what is asked for.
    pub(super) fn run(self) -> Result<Report, Failure> {
        match self.beside.beside.clone() {
            Some(file) => beside::run(&self.beside_request(file)),
            None => model::run(&self.request()?),
        }
    }

    fn request(self) -> Result<model::ModelRequest, Failure> {
        let epidemic = Epidemic::new(self.spread, self.stop, self.nodes, self.fan_out, self.loss);
        Ok(model::ModelRequest {
            epidemic: epidemic.map_err(Failure::wrong)?,
            runs: self.runs,
            seed: self.seed,
            threads: self.threads,
            format: format(self.json, false),
            paint: paint(&io::stdout()),
            audience: watched(false),
        })
    }

    fn beside_request(self, file: PathBuf) -> beside::BesideRequest {
        let BesideArgs { rivals, seeds, sets, out, no_plots, width, .. } = self.beside;
        beside::BesideRequest {
            file,
            seed: self.seed,
            seeds,
            sets,
            rivals,
            threads: self.threads,
            out,
            format: format(self.json, false),
            pictures: if no_plots { Pictures::Skip } else { Pictures::Draw(width) },
            paint: paint(&io::stdout()),
            error_paint: paint(&io::stderr()),
            audience: watched(false),
        }
    }
}

/// Reads a share, as a percentage or as a number from 0 to 1.
fn loss(text: &str) -> Result<Probability, String> {
    if text.trim().ends_with('%') {
        return Percent::parse(text).map(|percent| Probability::from_ppb(percent.ppb));
    }
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => {
            Ok(Probability::from_ppb((share * 1e9).round() as u64))
        }
        _ => Err(format!("`{text}` is no share: write it like 20% or 0.2")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_a_percentage_or_a_share() {
        let fifth = Probability::from_ppb(200_000_000);
        assert_eq!((loss("20%"), loss("0.2")), (Ok(fifth), Ok(fifth)));
        assert_eq!(loss("0"), Ok(Probability::ZERO));
        for text in ["20", "-0.1", "NaN", "x", "101%", "%"] {
            assert!(loss(text).is_err(), "{text}");
        }
    }
}
