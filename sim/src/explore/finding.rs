//! Findings: what a run broke, and what makes two of them the same.

use std::collections::BTreeSet;

use rumormill::time::Instant;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::draft;
use crate::caught::caught;
use crate::results::judge;
use crate::results::summary::Summary;
use crate::scenario::plan::{Deed, NodeNo, Plan, StartCause};
use crate::scenario::{self, ScenarioError};
use crate::world::{self, Options};

/// What makes two failures the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// The law that was broken, `panic`, or the measure of an expectation that failed.
    pub(crate) law: String,
    /// What the first offender had been through.
    pub(crate) role: String,
    /// The kinds of faults in the scenario.
    pub(crate) faults: BTreeSet<String>,
}

impl Fingerprint {
    /// Whether a smaller scenario shows the same: it can't have the same faults all the while.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.law, &self.role) == (&other.law, &other.role)
    }
}

/// A run that broke something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) fingerprint: Fingerprint,
    /// Node, time and what happened.
    pub(crate) detail: String,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) enum FindingTrial {
    /// Everything held.
    Held,
    /// The first law that was broken, else the first expectation that failed.
    Broken(Broken),
}

impl FindingTrial {
    /// Runs a scenario with a seed.
    ///
    /// # Errors
    /// When it is no scenario.
    pub(crate) fn of(scenario: &Table, seed: u64) -> Result<Self, ScenarioError> {
        let read = scenario::parse("scenario", &draft::text(scenario), &[])?;
        Ok(Self::of_plan(&read.plan(seed)?))
    }

    /// Runs a plan.
    pub(crate) fn of_plan(plan: &Plan) -> Self {
        match caught(|| world::run(plan, &Options::default(), &mut |_| {})) {
            Ok(mut run) => {
                judge::judge_run(plan, &mut run.summary);
                judged(plan, &run.summary)
            }
            Err(detail) => {
                // The same place in the code is the same fault, whoever met it.
                let role = detail.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
                broken(plan, "panic", role, detail)
            }
        }
    }
}

/// The first law that was broken, else the first expectation that failed.
fn judged(plan: &Plan, summary: &Summary) -> FindingTrial {
    if let Some(law) = summary.invariants.iter().find(|law| !law.ok) {
        let role = match law.first {
            Some(first) => role(plan, first.node, first.at_ms),
            None => "nobody".into(),
        };
        return broken(plan, &law.name, role, law.detail.clone().unwrap_or_default());
    }
    match summary.expectations.iter().find(|result| !result.ok) {
        None => FindingTrial::Held,
        Some(failed) => {
            let detail = format!("{} {}, got {}", failed.name, failed.want, failed.got);
            broken(plan, &failed.name, "expectation".into(), detail)
        }
    }
}

fn broken(plan: &Plan, law: &str, role: String, detail: String) -> FindingTrial {
    let fingerprint = Fingerprint { law: law.to_owned(), role, faults: faults(plan) };
    FindingTrial::Broken(Broken { fingerprint, detail })
}

/// How a node came in, and the last fault before that time that names it.
fn role(plan: &Plan, node: Option<NodeNo>, at_ms: f64) -> String {
    let Some(node) = node else { return "nobody".into() };
    let at = Instant::from_nanos((at_ms * 1e6) as u64);
    let starts = plan.incarnations.iter().filter(|start| start.node == node && start.start <= at);
    let birth = match starts.max_by_key(|start| start.start).map(|start| start.cause) {
        None | Some(StartCause::Initial) => "initial",
        Some(StartCause::Join) => "newcomer",
        Some(StartCause::Restart) => "restarted",
    };
    let before = plan.actions.iter().rev().filter(|action| action.at <= at);
    let last = before.map(|action| &action.deed).find(|deed| names(deed, node));
    match last {
        None => birth.into(),
        Some(deed) => format!("{birth}, {}", deed.kind()),
    }
}

fn names(deed: &Deed, node: NodeNo) -> bool {
    match deed {
        // How a node came in says it already.
        Deed::Restart { .. } => false,
        Deed::Update(said) => said.iter().any(|&(updated, _)| updated == node),
        Deed::Inject(injection) => injection.to.contains(&node),
        _ => deed.done_to().is_some_and(|nodes| nodes.contains(&node)),
    }
}

fn faults(plan: &Plan) -> BTreeSet<String> {
    plan.actions.iter().map(|action| action.deed.kind().to_owned()).collect()
}
