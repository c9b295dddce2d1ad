//! What many outbreaks of one epidemic show together: means, with spread and interval.

use serde::Serialize;

use super::Epidemic;
use super::outbreak::Outbreak;
use super::theory::{self, SpreadLaw};
use crate::stats::{Mean, Means, Share};

/// The schema of [`ModelFigures`].
pub const SCHEMA: &str = "model/1";

/// The figures of an epidemic over its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelFigures {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Which way the rumor went.
    pub spread: String,
    /// When nodes lost interest.
    pub stop: String,
    /// How many nodes there were.
    pub nodes: u32,
    /// How many others each contacted in a round.
    pub fan_out: u32,
    /// Share of tellings that got lost.
    pub loss: f64,
    /// How many outbreaks there were.
    pub runs: u64,
    /// The seed of all of them, as text: it may be beyond what numbers in JSON hold.
    pub seed: String,
    /// Share of nodes that never held the rumor.
    pub residue: Mean,
    /// Tellings per node.
    pub traffic: Mean,
    /// Rounds until a node that came to hold the rumor did.
    pub t_ave: Mean,
    /// Rounds until the last of those did.
    pub t_last: Mean,
    /// Rounds until all nodes did; unknown when there is a run in which not all did.
    pub rounds_to_all: Mean,
    /// In how many runs all nodes came to hold it.
    pub reached_all: Share,
    /// What formulas say of some figures.
    pub theory: Vec<SpreadLaw>,
    /// Share of nodes that held the rumor after each round, up to the last that changed anything
    /// in any run; the first is before the first round.
    pub coverage_by_round: Vec<Mean>,
}

/// Outbreaks, added up one after another.
#[derive(Clone, Debug, Default)]
pub struct ModelTally {
    residue: Means,
    traffic: Means,
    t_ave: Means,
    t_last: Means,
    rounds_to_all: Means,
    all_reached: Vec<bool>,
    coverage_by_round: Vec<Means>,
    /// The coverage at the end: what all so far had in any round that none of them came to.
    coverage: Means,
}

impl ModelTally {
    /// Takes the next outbreak, in the order of the runs.
    pub fn add(&mut self, outbreak: &Outbreak) {
        self.residue.add(Some(outbreak.residue()));
        self.traffic.add(Some(outbreak.traffic()));
        self.t_ave.add(Some(outbreak.t_ave()));
        self.t_last.add(Some(outbreak.t_last().into()));
        self.rounds_to_all.add(outbreak.rounds_to_all().map(f64::from));
        self.all_reached.push(outbreak.rounds_to_all().is_some());
        let rounds = self.coverage_by_round.len().max(outbreak.t_last() as usize + 1);
        self.coverage_by_round.resize(rounds, self.coverage);
        for (round, coverage) in (0..).zip(&mut self.coverage_by_round) {
            coverage.add(Some(outbreak.coverage(round)));
        }
        self.coverage.add(Some(outbreak.coverage(u32::MAX)));
    }

    /// What all of them show: outbreaks of this epidemic, seeded with `seed`.
    pub fn figures(&self, epidemic: &Epidemic, seed: u64) -> ModelFigures {
        let traffic = self.traffic.mean();
        ModelFigures {
            schema: SCHEMA,
            spread: epidemic.spread().to_string(),
            stop: epidemic.stop().to_string(),
            nodes: epidemic.nodes(),
            fan_out: epidemic.fan_out(),
            loss: epidemic.loss().as_ppb() as f64 / 1e9,
            runs: self.all_reached.len() as u64,
            seed: seed.to_string(),
            residue: self.residue.mean(),
            traffic,
            t_ave: self.t_ave.mean(),
            t_last: self.t_last.mean(),
            rounds_to_all: self.rounds_to_all.mean(),
            reached_all: Share::new(self.all_reached.iter().copied()),
            theory: traffic.mean.map_or_else(Vec::new, |mean| theory::laws(epidemic, mean)),
            coverage_by_round: self.coverage_by_round.iter().map(Means::mean).collect(),
        }
    }
}
