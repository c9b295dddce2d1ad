//! Several scenarios of one command that differ in their size: what they show together.

use std::collections::BTreeSet;

use super::theory::{self, mean_ms};
use super::{Job, Outcome};
use crate::model::ModelSpread;
use crate::report::plots::{Size, Sizes};
use crate::results::summary::Summary;
use crate::scenario::Scenario;
use crate::stats::Sample;

/// Kinds of rumors, the one to follow first.
const KINDS: [&str; 6] = ["metadata", "join", "restart", "update", "leave", "removal"];

/// Sizes that make a comparison.
const SIZES_MIN: usize = 3;

/// What the sizes show, if the scenarios have three or more of them, have the same settings and
/// network, and start a kind of rumor that all have. Anything else is no comparison.
pub(super) fn of(jobs: &[Job], outcomes: &[&[Outcome]]) -> Option<Sizes> {
    // The theory takes its time, so nobody waits for that of a single scenario.
    let different: BTreeSet<u32> = jobs.iter().map(|job| job.scenario.nodes()).collect();
    if different.len() < SIZES_MIN || different.len() < jobs.len() {
        return None;
    }
    let (Job { scenario: first, .. }, others) = jobs.split_first()?;
    let (engine, network) = (first.engine(), first.network());
    let alike = |one: &Scenario| one.engine() == engine && one.network() == network;
    if !others.iter().all(|job| alike(&job.scenario)) {
        return None;
    }
    let all = outcomes.iter().flat_map(|outcomes| outcomes.iter());
    let summaries: Vec<&Summary> = all.map(|outcome| &outcome.summary).collect();
    let starts = |kind: &str, one: &Summary| one.rumors.iter().any(|rumor| rumor.kind == kind);
    let kind = KINDS.into_iter().find(|kind| summaries.iter().all(|one| starts(kind, one)))?;
    let mut sizes: Vec<Size> =
        jobs.iter().zip(outcomes).map(|(job, outcomes)| size(job, outcomes, kind)).collect();
    for (size, job) in sizes.iter_mut().zip(jobs) {
        let push = theory::of(ModelSpread::Push, &job.scenario).ok();
        size.push_ms = push.and_then(|push| push.reached(0.99));
    }
    sizes.sort_by_key(|size| size.nodes);
    Some(Sizes {
        kind: kind.to_owned(),
        fan_out: engine.fan_out() as u32,
        hop_ms: mean_ms(&network.latency),
        sizes,
    })
}

fn size(job: &Job, outcomes: &[Outcome], kind: &str) -> Size {
    let rumors = |summary: &Summary, value: fn(&_) -> Option<f64>| {
        let own = summary.rumors.iter().filter(|rumor| rumor.kind == kind);
        Sample::new(own.map(value)).median()
    };
    let each = |value: &dyn Fn(&Summary) -> Option<f64>| {
        outcomes.iter().map(|outcome| value(&outcome.summary)).collect()
    };
    Size {
        nodes: job.scenario.nodes(),
        t50_ms: each(&|summary| rumors(summary, |rumor| rumor.t50_ms)),
        t99_ms: each(&|summary| rumors(summary, |rumor| rumor.t99_ms)),
        start_ms: each(&|summary| {
            let first = summary.node_list.episodes.first()?;
            Some(first.last_change_ms + first.converged_after_ms?)
        }),
        push_ms: None,
    }
}
