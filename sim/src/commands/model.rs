//! `sim model`: runs an epidemic of the textbook many times and prints what the runs show.

use std::num::NonZeroUsize;

use rayon::prelude::*;

use super::progress::{Audience, Progress};
use super::run::Format;
use super::{Exit, Failure, Report, interrupt, trial};
use crate::model::Epidemic;
use crate::model::figures::{ModelFigures, ModelTally};
use crate::model::outbreak::Outbreak;
use crate::report::terminal;
use crate::results::json;
use crate::scenario::Paint;

/// Runs that are held in memory before they are added up.
const BLOCK: u64 = 4_096;

/// Nodes of all runs at a time: with more threads than that allows, memory would run out.
const NODES_AT_ONCE: u64 = 200_000_000;

/// What to run, and how to tell of it.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The epidemic.
    pub epidemic: Epidemic,
    /// How many times.
    pub runs: u64,
    /// The seed of all runs.
    pub seed: u64,
    /// Runs at a time; as many as the machine has processors if not given.
    pub threads: Option<NonZeroUsize>,
    /// What goes to standard output.
    pub format: Format,
    /// Whether tables have colours.
    pub paint: Paint,
    /// Who watches while it runs.
    pub audience: Audience,
}

/// Runs the epidemic and tells of it.
///
/// # Errors
/// When the machine can't start the threads.
pub fn run(request: &ModelRequest) -> Result<Report, Failure> {
    interrupt::install();
    let figures = figures(request)?;
    let out = match request.format {
        Format::Nothing => String::new(),
        Format::Json => json::document(&figures),
        Format::Table => terminal::epidemic(&figures, request.paint),
    };
    Ok(Report { out, err: String::new(), exit: Exit::Held })
}

/// Runs in parallel and adds up in the order of the runs, so that no thread can be seen in it.
fn figures(request: &ModelRequest) -> Result<ModelFigures, Failure> {
    let ModelRequest { epidemic, runs, seed, .. } = *request;
    let nodes = u64::from(epidemic.nodes());
    let pool = trial::pool(request.threads, runs.min(NODES_AT_ONCE / nodes) as usize)?;
    let progress = Progress::steps("model", runs, runs * nodes, request.audience);
    let one = |run: u64| {
        let mut left = nodes;
        let outbreak = Outbreak::nth(&epidemic, seed, run, &mut |reached| {
            left -= u64::from(reached);
            progress.advance(reached.into());
        });
        progress.advance(left);
        progress.end_run();
        outbreak
    };
    let mut tally = ModelTally::default();
    for first in (0..runs).step_by(BLOCK as usize) {
        let block = first..runs.min(first + BLOCK);
        let outbreaks: Vec<Outbreak> = pool.install(|| block.into_par_iter().map(one).collect());
        outbreaks.iter().for_each(|outbreak| tally.add(outbreak));
    }
    progress.finish();
    Ok(tally.figures(&epidemic, seed))
}

#[cfg(test)]
mod tests {
    use rumormill::rng::Probability;

    use super::*;

    fn request(threads: usize, runs: u64) -> ModelRequest {
        let stop = "feedback-counter:2".parse().unwrap();
        let spread = "push".parse().unwrap();
        ModelRequest {
            epidemic: Epidemic::new(spread, stop, 50, 1, Probability::ZERO).unwrap(),
            runs,
            seed: 9,
            threads: NonZeroUsize::new(threads),
            format: Format::Json,
            paint: Paint::Plain,
            audience: Audience::Nobody,
        }
    }

    #[test]
    fn the_number_of_threads_cannot_be_seen() {
        let [one, four] = [1, 4].map(|threads| run(&request(threads, 5_000)).unwrap());
        assert_eq!(one, four);
    }

    #[test]
    fn blocks_leave_no_run_out() {
        let runs = BLOCK + 1;
        assert_eq!(figures(&request(2, runs)).unwrap().reached_all.n as u64, runs);
    }
}
