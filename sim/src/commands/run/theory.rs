//! The line of theory in pictures: the textbook's epidemic with the fan-out, loss and delay of a
//! scenario, one round for each hop.

use rumormill::link::Latency;

use super::Request;
use crate::commands::Failure;
use crate::model::figures::ModelTally;
use crate::model::outbreak::Outbreak;
use crate::model::theory::mean_loss;
use crate::model::{Epidemic, FAN_OUT_MAX, ModelSpread, Stop};
use crate::results::theory::Theory;
use crate::scenario::Scenario;

/// Outbreaks whose mean is drawn: few are enough for a line.
const RUNS: u64 = 20;
/// Where the line ends: the search for the very last nodes would flatten all that comes before.
const ENOUGH: f64 = 0.9999;

/// The line that was asked for, if one was.
///
/// # Errors
/// When the scenario has no epidemic of that kind.
pub(super) fn asked(request: &Request, scenario: &Scenario) -> Result<Option<Theory>, Failure> {
    let theory = request.model.map(|spread| of(spread, scenario)).transpose();
    theory.map_err(|why| Failure::wrong(format!("--model: {}: {why}", scenario.name())))
}

/// An epidemic that never stops, among the nodes of a scenario and on its network.
///
/// # Errors
/// A sentence that says why there is none.
pub(super) fn of(spread: ModelSpread, scenario: &Scenario) -> Result<Theory, String> {
    let (nodes, network) = (scenario.nodes(), scenario.network());
    let others = nodes.saturating_sub(1).max(1);
    let fan_out = (scenario.engine().fan_out() as u32).min(others).min(FAN_OUT_MAX);
    let epidemic = Epidemic::new(spread, Stop::Never, nodes, fan_out, mean_loss(network.loss))?;
    let mut tally = ModelTally::default();
    for run in 0..RUNS {
        // The seed of the run must not matter: theory has no seed.
        tally.add(&Outbreak::nth(&epidemic, 0, run, &mut |_| {}));
    }
    let figures = tally.figures(&epidemic, 0);
    let mut coverage: Vec<f64> =
        figures.coverage_by_round.iter().filter_map(|round| round.mean).collect();
    let end = coverage.iter().position(|&share| share >= ENOUGH);
    coverage.truncate(end.map_or(coverage.len(), |end| end + 1));
    let title = format!("textbook: {spread}, fan-out {fan_out}");
    Ok(Theory { title, round_ms: mean_ms(&network.latency), coverage })
}

/// The mean delay of a link.
pub(super) fn mean_ms(latency: &Latency) -> f64 {
    match latency {
        Latency::Uniform { min, max } => (min.as_secs_f64() + max.as_secs_f64()) * 500.0,
        Latency::Table(quantiles) => {
            let sum: f64 = quantiles.iter().map(|&ns| ns as f64 / 1e6).sum();
            sum / quantiles.len().max(1) as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario;

    #[test]
    fn the_mean_of_a_range_is_its_middle_and_that_of_a_table_its_average() {
        let (min, max) = (Duration::from_millis(1), Duration::from_millis(10));
        assert_eq!(mean_ms(&Latency::Uniform { min, max }), 5.5);
        let table = [1_000_000, 2_000_000, 6_000_000];
        assert_eq!(mean_ms(&Latency::Table(table[..].into())), 3.0);
    }

    #[test]
    fn a_line_has_the_fan_out_and_the_delays_of_its_scenario() {
        let text = "name = 'a'\nnodes = 200\nduration = '1s'\n[engine]\nfan_out = 4\n\
                    [network]\nlatency = '1ms..9ms'\nloss = '10%'\n";
        let scenario = scenario::parse("a.toml", text, &[]).unwrap();
        let theory = of(ModelSpread::Push, &scenario).unwrap();
        assert_eq!(theory.title, "textbook: push, fan-out 4");
        assert!((theory.round_ms - 5.0).abs() < 1e-9, "{}", theory.round_ms);
        assert_eq!(theory.coverage[0], 0.005);
        // Four tellings, of which a tenth gets lost, in the first round.
        assert!((theory.coverage[1] - 4.6 / 200.0).abs() < 0.002, "{:?}", theory.coverage);
        assert!(*theory.coverage.last().unwrap() >= ENOUGH);
    }

    #[test]
    fn a_scenario_without_an_epidemic_says_why() {
        let text = "name = 'a'\nnodes = 1\nduration = '1s'\n";
        let scenario = scenario::parse("a.toml", text, &[]).unwrap();
        assert!(of(ModelSpread::Pull, &scenario).unwrap_err().contains("2 to"));
    }
}
