//! Outbreaks against what is published of them, and (in `exact`) against exact probabilities.

use rumormill::rng::Probability;

use super::*;
use crate::model::figures::{ModelFigures, ModelTally};
use crate::model::theory;
use crate::stats::{Interval, Mean};

mod exact;

/// An epidemic by its names.
fn epidemic(spread: &str, stop: &str, nodes: u32, fan_out: u32, loss_percent: u64) -> Epidemic {
    let loss = Probability::from_ppb(loss_percent * 10_000_000);
    let (spread, stop) = (spread.parse().unwrap(), stop.parse().unwrap());
    Epidemic::new(spread, stop, nodes, fan_out, loss).unwrap()
}

fn figures(epidemic: &Epidemic, runs: u64) -> ModelFigures {
    let mut tally = ModelTally::default();
    (0..runs).for_each(|run| tally.add(&Outbreak::nth(epidemic, 1, run, &mut |_| {})));
    tally.figures(epidemic, 1)
}

/// The mean lies within so much of what was published.
fn assert_near(what: &str, mean: &Mean, published: f64, tolerance: f64) {
    let got = mean.mean.expect("a mean");
    let distance = (got - published).abs();
    assert!(distance <= tolerance, "{what}: got {got}, published {published} +- {tolerance}");
}

/// A row of a table of Demers et al.: residue, traffic and `t_last` of 1,000 sites, the last digit
/// as uncertain as it is printed, and our own chance on top.
fn assert_row(spread: &str, stop: &str, runs: u64, published: [(f64, f64); 3]) {
    let got = figures(&epidemic(spread, stop, 1_000, 1, 0), runs);
    let means = [("residue", got.residue), ("traffic", got.traffic), ("t_last", got.t_last)];
    for ((name, mean), (value, tolerance)) in means.into_iter().zip(published) {
        assert_near(&format!("{name} of {spread}, {stop}"), &mean, value, tolerance);
    }
}

#[test]
fn push_with_feedback_and_counter_does_as_in_table_1() {
    for (k, residue, traffic, t_last) in [
        (1, (0.18, 0.01), (1.7, 0.06), (16.8, 0.4)),
        (2, (0.037, 0.002), (3.3, 0.06), (16.9, 0.4)),
        (3, (0.011, 0.001), (4.5, 0.06), (17.4, 0.4)),
        (4, (0.0036, 0.0004), (5.6, 0.06), (17.5, 0.4)),
        (5, (0.0012, 0.0003), (6.7, 0.06), (17.7, 0.4)),
    ] {
        assert_row("push", &format!("feedback-counter:{k}"), 300, [residue, traffic, t_last]);
    }
}

#[test]
fn push_with_blind_coins_does_as_in_table_2() {
    for (k, residue, traffic, t_last) in [
        (1, (0.96, 0.005), (0.04, 0.005), (38.0, 3.0)),
        (2, (0.20, 0.015), (1.6, 0.06), (33.0, 1.0)),
        (3, (0.060, 0.003), (2.8, 0.06), (32.0, 1.0)),
        (4, (0.021, 0.002), (3.9, 0.06), (32.0, 1.0)),
        (5, (0.008, 0.0015), (4.9, 0.08), (32.0, 1.0)),
    ] {
        assert_row("push", &format!("blind-coin:{k}"), 300, [residue, traffic, t_last]);
    }
}

#[test]
fn pull_with_feedback_and_counter_does_as_in_table_3() {
    for (k, runs, residue, traffic, t_last) in [
        (1, 200, (3.1e-2, 1.5e-3), (2.7, 0.06), (17.63, 0.3)),
        (2, 500, (5.8e-4, 8e-5), (4.5, 0.06), (15.39, 0.3)),
        (3, 1_000, (4.0e-6, 4e-6), (6.1, 0.06), (14.0, 0.3)),
    ] {
        assert_row("pull", &format!("feedback-counter:{k}"), runs, [residue, traffic, t_last]);
    }
}

#[test]
fn what_push_leaves_out_is_what_its_traffic_does_not_hit() {
    for (stop, fan_out, loss) in [
        ("feedback-counter:1", 1, 0),
        ("feedback-counter:2", 3, 0),
        ("feedback-coin:2", 1, 20),
        ("blind-coin:3", 1, 0),
        ("blind-counter:8", 2, 40),
    ] {
        let epidemic = epidemic("push", stop, 2_000, fan_out, loss);
        let got = figures(&epidemic, 100);
        let arrived = 1.0 - loss as f64 / 100.0;
        let law = theory::residue_of_traffic(got.traffic.mean.unwrap(), arrived);
        assert_near(&format!("residue of {epidemic:?}"), &got.residue, law, law * 0.1);
    }
}

#[test]
fn rules_with_a_law_of_their_own_follow_it() {
    for (stop, fan_out, loss) in [
        ("feedback-coin:2", 1, 0),
        ("feedback-coin:3", 1, 20),
        ("blind-coin:3", 1, 0),
        ("blind-counter:3", 3, 0),
        ("blind-counter:8", 8, 40),
    ] {
        let epidemic = epidemic("push", stop, 2_000, fan_out, loss);
        let got = figures(&epidemic, 100);
        let law = got.theory[1].value;
        assert_near(&format!("residue of {epidemic:?}"), &got.residue, law, law * 0.2);
    }
}

#[test]
fn rounds_of_push_follow_the_law_of_fan_out_and_loss() {
    for (fan_out, loss) in [(1, 0), (3, 0), (3, 20), (8, 40)] {
        let epidemic = epidemic("push", "never", 1_000, fan_out, loss);
        let got = figures(&epidemic, 100);
        let law = got.theory[0].value;
        assert_near(&format!("rounds of {epidemic:?}"), &got.rounds_to_all, law + 1.0, 1.0);
    }
}

#[test]
fn an_outbreak_follows_from_its_seed_and_run_alone() {
    let epidemic = epidemic("push-pull", "feedback-coin:2", 200, 2, 10);
    let outbreak = |seed, run| Outbreak::nth(&epidemic, seed, run, &mut |_| {});
    assert_eq!(outbreak(7, 3), outbreak(7, 3));
    assert_ne!(outbreak(7, 3), outbreak(7, 4));
    assert_ne!(outbreak(7, 3), outbreak(8, 3));
}

#[test]
fn figures_of_an_outbreak_are_those_of_its_history() {
    // One node, two more in round 1, nobody in round 2, one in round 3; the fifth never.
    let outbreak = Outbreak { nodes: 5, holders: vec![1, 3, 3, 4], tellings: 10 };
    assert_eq!((outbreak.residue(), outbreak.traffic()), (0.2, 2.0));
    assert_eq!((outbreak.t_ave(), outbreak.t_last()), (f64::from(1 + 1 + 3) / 4.0, 3));
    assert_eq!(outbreak.rounds_to_all(), None);
    let coverage = [0, 1, 2, 3, 9].map(|round| outbreak.coverage(round));
    assert_eq!(coverage, [0.2, 0.6, 0.6, 0.8, 0.8]);
    let whole = Outbreak { holders: vec![1, 5], ..outbreak };
    assert_eq!((whole.rounds_to_all(), whole.residue()), (Some(1), 0.0));
}

#[test]
fn a_run_that_ended_early_keeps_its_coverage_in_later_rounds() {
    let epidemic = epidemic("push", "feedback-counter:1", 5, 1, 0);
    let outbreak = |holders: &[u32]| Outbreak { nodes: 5, holders: holders.to_vec(), tellings: 1 };
    let mut tally = ModelTally::default();
    let runs: [&[u32]; 3] = [&[1, 2], &[1, 2, 3, 5], &[1, 1, 4]];
    runs.iter().for_each(|run| tally.add(&outbreak(run)));
    let figures = tally.figures(&epidemic, 1);
    let means: Vec<f64> =
        figures.coverage_by_round.iter().map(|one| one.mean.unwrap() * 15.0).collect();
    for (got, sum) in means.iter().zip([3.0, 5.0, 9.0, 11.0]) {
        assert!((got - sum).abs() < 1e-9, "{means:?}");
    }
    assert_eq!((means.len(), figures.rounds_to_all.mean), (4, None));
    assert_eq!((figures.reached_all.held, figures.reached_all.n), (1, 3));
}

#[test]
fn all_runs_begin_with_the_source_alone() {
    let got = figures(&epidemic("pull", "never", 8, 3, 0), 20);
    let first = got.coverage_by_round[0];
    let interval = Some(Interval(Some(0.125), Some(0.125)));
    assert_eq!(first, Mean { mean: Some(0.125), sd: Some(0.0), ci95: interval });
    assert_eq!(got.coverage_by_round.last().unwrap().mean, Some(1.0));
    assert_eq!(got.residue.mean, Some(0.0));
}
