//! The second way: probabilities of every course of an epidemic among few nodes, by listing all.
//!
//! Nothing of the outbreak's own code is used: a state is a list of what each node is, a round
//! lists every choice of contacts, loss and coins with its probability, and states that differ
//! only in the order of the nodes are one, because all nodes are alike.

use std::collections::BTreeMap;

use super::{epidemic, figures};
use crate::model::{Cause, Epidemic, ModelSpread, Rule, Stop};
use crate::stats::Mean;

/// What one node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Is {
    Lacking,
    /// With the contacts that count against its interest.
    Active(u32),
    Done,
}

/// What became of the contacts of an active node in a round, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Useful,
    Unnecessary,
    Lost,
}

/// Possible things with their probabilities.
type Chances<T> = Vec<(f64, T)>;

/// What can be said exactly of an epidemic.
struct Exact {
    residue: f64,
    traffic: f64,
    /// By round, the first before the first.
    coverage: Vec<f64>,
    rounds_to_all: f64,
}

/// Follows all courses until what still moves weighs nothing.
fn exact(epidemic: &Epidemic) -> Exact {
    let nodes = epidemic.nodes() as usize;
    let mut first = vec![Is::Lacking; nodes];
    first[0] = Is::Active(0);
    let mut states = BTreeMap::from([(sorted(first), 1.0)]);
    let (mut traffic, mut coverage, mut rounds_to_all) = (0.0, Vec::new(), 0.0);
    loop {
        let lacking = |state: &[Is]| state.iter().filter(|is| **is == Is::Lacking).count();
        let weighed = |value: &dyn Fn(&[Is]) -> f64| -> f64 {
            states.iter().map(|(state, chance)| chance * value(state)).sum()
        };
        coverage.push(1.0 - weighed(&|state| lacking(state) as f64) / nodes as f64);
        let is_over = |state: &[Is]| match epidemic.stop() {
            Stop::Never => lacking(state) == 0,
            Stop::After(..) => !state.iter().any(|is| matches!(is, Is::Active(_))),
        };
        let moving = weighed(&|state| f64::from(u8::from(!is_over(state))));
        if moving < 1e-9 {
            let residue = 1.0 - coverage[coverage.len() - 1];
            return Exact { residue, traffic: traffic / nodes as f64, coverage, rounds_to_all };
        }
        rounds_to_all += weighed(&|state| f64::from(u8::from(lacking(state) > 0)));
        let mut next = BTreeMap::new();
        for (state, chance) in &states {
            let outcomes = if is_over(state) {
                vec![(1.0, (0, state.clone()))]
            } else {
                round(epidemic, state)
            };
            for (share, (tellings, after)) in outcomes {
                traffic += chance * share * f64::from(tellings);
                *next.entry(sorted(after)).or_insert(0.0) += chance * share;
            }
        }
        states = next;
    }
}

fn sorted(mut state: Vec<Is>) -> Vec<Is> {
    state.sort();
    state
}

/// Every way in which a round can go, with the tellings in it.
fn round(epidemic: &Epidemic, state: &[Is]) -> Chances<(u32, Vec<Is>)> {
    let is_active = |node: usize| matches!(state[node], Is::Active(_));
    let spread = epidemic.spread();
    let callers = (0..state.len()).filter(|&node| spread != ModelSpread::Push || is_active(node));
    let mut calls: Chances<Vec<(usize, usize)>> = vec![(1.0, Vec::new())];
    for caller in callers {
        calls = joined(&calls, &contacts(caller, state.len(), epidemic.fan_out() as usize));
    }
    let mut ways = Vec::new();
    for (chance, calls) in calls {
        let mut tellings = Vec::new();
        for (caller, other) in calls {
            if spread != ModelSpread::Pull && is_active(caller) {
                tellings.push((caller, other));
            }
            if spread != ModelSpread::Push && is_active(other) {
                tellings.push((other, caller));
            }
        }
        for (share, arrived) in fates(tellings.len(), epidemic) {
            for (part, after) in after(epidemic, state, &tellings, &arrived) {
                ways.push((chance * share * part, (tellings.len() as u32, after)));
            }
        }
    }
    ways
}

/// All pairs of one way and another.
fn joined<T: Clone>(ways: &Chances<Vec<T>>, more: &Chances<Vec<T>>) -> Chances<Vec<T>> {
    let pairs = ways.iter().flat_map(|way| more.iter().map(move |other| (way, other)));
    pairs.map(|((a, one), (b, two))| (a * b, [one.clone(), two.clone()].concat())).collect()
}

/// Whom a node may contact: `fan_out` different others in any order.
fn contacts(caller: usize, nodes: usize, fan_out: usize) -> Chances<Vec<(usize, usize)>> {
    let mut lists: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..fan_out {
        let longer = |list: &Vec<usize>| -> Vec<Vec<usize>> {
            let others = (0..nodes).filter(|node| *node != caller && !list.contains(node));
            others.map(|other| [list.clone(), vec![other]].concat()).collect()
        };
        lists = lists.iter().flat_map(longer).collect();
    }
    let chance = 1.0 / lists.len() as f64;
    let pairs = |list: Vec<usize>| list.into_iter().map(|other| (caller, other)).collect();
    lists.into_iter().map(|list| (chance, pairs(list))).collect()
}

/// Which of so many tellings arrive.
fn fates(count: usize, epidemic: &Epidemic) -> Chances<Vec<bool>> {
    let loss = epidemic.loss().as_ppb() as f64 / 1e9;
    let one = match loss > 0.0 {
        true => vec![(1.0 - loss, vec![true]), (loss, vec![false])],
        false => vec![(1.0, vec![true])],
    };
    (0..count).fold(vec![(1.0, Vec::new())], |ways, _| joined(&ways, &one))
}

/// What all nodes may be after a round.
fn after(
    epidemic: &Epidemic,
    state: &[Is],
    tellings: &[(usize, usize)],
    arrived: &[bool],
) -> Chances<Vec<Is>> {
    let mut ways = vec![(1.0, Vec::new())];
    for (node, is) in state.iter().enumerate() {
        let told = tellings.iter().zip(arrived);
        let own = told.clone().filter(|((teller, _), _)| *teller == node);
        let said: Vec<Said> = own
            .map(|((_, other), arrived)| match (arrived, state[*other]) {
                (false, _) => Said::Lost,
                (true, Is::Lacking) => Said::Useful,
                (true, _) => Said::Unnecessary,
            })
            .collect();
        let mut reached = told.filter(|((_, other), arrived)| *other == node && **arrived);
        let one = match *is {
            Is::Lacking if reached.next().is_some() => vec![(1.0, vec![Is::Active(0)])],
            Is::Active(count) => interest(epidemic, count, &said),
            same => vec![(1.0, vec![same])],
        };
        ways = joined(&ways, &one);
    }
    ways
}

/// What an active node may be after a round in which it said so much.
fn interest(epidemic: &Epidemic, count: u32, said: &[Said]) -> Chances<Vec<Is>> {
    let Stop::After(cause, rule, k) = epidemic.stop() else {
        return vec![(1.0, vec![Is::Active(0)])];
    };
    // Nodes that are asked judge a round as one contact.
    let together = [Said::Useful, Said::Unnecessary, Said::Lost];
    let judged: Vec<Said> = match epidemic.spread() {
        ModelSpread::Push => said.to_vec(),
        _ => together.into_iter().filter(|kind| said.contains(kind)).take(1).collect(),
    };
    let counts = |one: &Said| cause == Cause::Blind || *one == Said::Unnecessary;
    match rule {
        Rule::Coin => {
            let coins = judged.iter().filter(|one| counts(one)).count();
            let stays = (1.0 - 1.0 / f64::from(k)).powi(coins as i32);
            vec![(stays, vec![Is::Active(0)]), (1.0 - stays, vec![Is::Done])]
        }
        Rule::Counter => {
            let (mut count, mut is_done) = (count, false);
            for one in &judged {
                count = if counts(one) { count + 1 } else { count };
                count = if *one == Said::Useful && !counts(one) { 0 } else { count };
                is_done |= count >= k;
            }
            vec![(1.0, vec![if is_done { Is::Done } else { Is::Active(count) }])]
        }
    }
}

/// The mean lies within five standard errors of what is true; what is so rare that no run shows
/// it may be missing.
fn assert_agrees(what: &str, mean: &Mean, runs: u64, truth: f64) {
    let (mean, sd) = (mean.mean.unwrap(), mean.sd.unwrap());
    let slack = 5.0 * sd / (runs as f64).sqrt() + 3.0 / runs as f64;
    assert!((mean - truth).abs() <= slack, "{what}: got {mean}, exactly {truth} +- {slack}");
}

fn assert_exact(epidemic: &Epidemic) {
    const RUNS: u64 = 4_000;
    let (got, exact) = (figures(epidemic, RUNS), exact(epidemic));
    let of = |figure: &str| format!("{figure} of {epidemic:?}");
    assert_agrees(&of("residue"), &got.residue, RUNS, exact.residue);
    assert_agrees(&of("traffic"), &got.traffic, RUNS, exact.traffic);
    for (round, mean) in got.coverage_by_round.iter().enumerate() {
        let truth = exact.coverage[round.min(exact.coverage.len() - 1)];
        assert_agrees(&of(&format!("coverage {round}")), mean, RUNS, truth);
    }
    if got.rounds_to_all.mean.is_some() && epidemic.stop() == Stop::Never {
        assert_agrees(&of("rounds to all"), &got.rounds_to_all, RUNS, exact.rounds_to_all);
    }
}

const STOPS: [&str; 5] =
    ["never", "blind-coin:2", "blind-counter:2", "feedback-coin:2", "feedback-counter:2"];

#[test]
fn four_nodes_that_push_do_what_probability_says() {
    for stop in STOPS {
        assert_exact(&epidemic("push", stop, 4, 1, 0));
        assert_exact(&epidemic("push", stop, 4, 2, 0));
        assert_exact(&epidemic("push", stop, 4, 1, 30));
    }
    assert_exact(&epidemic("push", "feedback-counter:3", 5, 1, 0));
}

#[test]
fn few_nodes_that_pull_do_what_probability_says() {
    for stop in STOPS {
        assert_exact(&epidemic("pull", stop, 4, 1, 0));
        assert_exact(&epidemic("pull", stop, 4, 1, 30));
        assert_exact(&epidemic("pull", stop, 3, 2, 0));
    }
}

#[test]
fn three_nodes_that_push_and_pull_do_what_probability_says() {
    for stop in STOPS {
        assert_exact(&epidemic("push-pull", stop, 3, 1, 0));
        assert_exact(&epidemic("push-pull", stop, 3, 1, 30));
    }
}

/// Expected rounds until push without a stop has reached all: from `holding` nodes the number of
/// new ones is that of boxes hit by balls, of which each hits a box that lacks the rumor with
/// `lacking / (nodes - 1)`.
fn rounds_of_push(nodes: usize) -> f64 {
    let mut rounds = vec![0.0; nodes + 1];
    for holding in (1..nodes).rev() {
        let lacking = nodes - holding;
        let mut hit = vec![0.0; lacking + 2];
        hit[0] = 1.0;
        for thrown in 0..holding {
            for boxes in (0..=lacking.min(thrown)).rev() {
                let new = (lacking - boxes) as f64 / (nodes - 1) as f64;
                hit[boxes + 1] += hit[boxes] * new;
                hit[boxes] *= 1.0 - new;
            }
        }
        let later: f64 = (1..=lacking).map(|new| hit[new] * rounds[holding + new]).sum();
        rounds[holding] = (1.0 + later) / (1.0 - hit[0]);
    }
    rounds[1]
}

#[test]
fn push_takes_as_many_rounds_as_its_markov_chain() {
    for nodes in 2..=8 {
        let epidemic = epidemic("push", "never", nodes, 1, 0);
        let got = figures(&epidemic, 4_000).rounds_to_all;
        assert_agrees("rounds to all", &got, 4_000, rounds_of_push(nodes as usize));
    }
    let listed = exact(&epidemic("push", "never", 5, 1, 0)).rounds_to_all;
    assert!((listed - rounds_of_push(5)).abs() < 1e-6, "both exact ways agree");
    for (nodes, published, runs) in [(100, 12.30, 2_000), (1_000, 18.04, 300)] {
        let chain = rounds_of_push(nodes);
        assert!((chain - published).abs() < 0.005, "{nodes} nodes: {chain}");
        let got = figures(&epidemic("push", "never", nodes as u32, 1, 0), runs).rounds_to_all;
        assert_agrees("rounds to all", &got, runs, chain);
    }
}
