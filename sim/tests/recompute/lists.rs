//! The lists of all nodes, held against the truth pair by pair, and the episodes of the run.

use serde_json::{Value, json};

use super::cluster::{Cluster, Life};
use super::{Setting, ms};

#[derive(Debug)]
pub(crate) struct Lists {
    /// By node and life.
    listed: Vec<Vec<bool>>,
    /// What a node knows to have left or been replaced.
    gone: Vec<Vec<bool>>,
    missing_max: u64,
    ghosts_max: u64,
    members_max: usize,
    pub(crate) gone_stay_gone: bool,
    pub(crate) only_real_nodes: bool,
}

fn mark(row: &mut Vec<bool>, life: Life, value: bool) -> bool {
    if row.len() <= life {
        row.resize(life + 1, false);
    }
    std::mem::replace(&mut row[life], value) != value
}

impl Lists {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            listed: vec![Vec::new(); nodes],
            gone: vec![Vec::new(); nodes],
            missing_max: 0,
            ghosts_max: 0,
            members_max: 0,
            gone_stay_gone: true,
            only_real_nodes: true,
        }
    }

    pub(crate) fn lists(&self, node: usize, life: Life) -> bool {
        self.listed[node].get(life).copied().unwrap_or(false)
    }

    pub(crate) fn begin(&mut self, node: usize, life: Life) {
        self.listed[node].clear();
        self.gone[node].clear();
        mark(&mut self.listed[node], life, true);
        self.count(node);
    }

    /// A node lists a life, and nobody else at that address; what changed by it.
    pub(crate) fn list(&mut self, cluster: &Cluster, node: usize, life: Life) -> Vec<(Life, bool)> {
        self.gone_stay_gone &= !self.gone[node].get(life).copied().unwrap_or(false);
        let same = |other: &Life| {
            *other != life
                && !cluster.addr_of[*other].is_empty()
                && cluster.addr_of[*other] == cluster.addr_of[life]
        };
        let others: Vec<_> = (0..cluster.node_of.len()).filter(same).collect();
        let mut changed = Vec::new();
        for other in others {
            if other < life {
                mark(&mut self.gone[node], other, true);
            }
            if self.unlist(cluster, node, other) {
                changed.push((other, false));
            }
        }
        if mark(&mut self.listed[node], life, true) {
            changed.push((life, true));
        }
        self.count(node);
        changed
    }

    pub(crate) fn unlist(&mut self, cluster: &Cluster, node: usize, life: Life) -> bool {
        // It never takes itself off.
        cluster.running(node) != Some(life) && mark(&mut self.listed[node], life, false)
    }

    pub(crate) fn goodbye(&mut self, node: usize, life: Life) {
        mark(&mut self.gone[node], life, true);
    }

    fn count(&mut self, node: usize) {
        let members = self.listed[node].iter().filter(|listed| **listed).count();
        self.members_max = self.members_max.max(members);
    }

    /// Pairs that are missing, and entries that are ghosts.
    fn errors(&self, cluster: &Cluster) -> (u64, u64) {
        let (mut missing, mut ghosts) = (0, 0);
        let truth = &cluster.truth;
        for (node, own) in truth.iter().enumerate() {
            let Some((own, component)) = *own else { continue };
            for life in (0..cluster.node_of.len()).filter(|&life| life != own) {
                let right = truth[cluster.node_of[life]] == Some((life, component));
                missing += u64::from(right && !self.lists(node, life));
                ghosts += u64::from(!right && self.lists(node, life));
            }
        }
        (missing, ghosts)
    }

    /// Whether all lists are true at the end of an instant.
    pub(crate) fn settle(&mut self, cluster: &Cluster) -> bool {
        let (missing, ghosts) = self.errors(cluster);
        self.missing_max = self.missing_max.max(missing);
        self.ghosts_max = self.ghosts_max.max(ghosts);
        missing + ghosts == 0
    }

    pub(crate) fn members_max(&self) -> usize {
        self.members_max
    }

    pub(crate) fn view_error(&self, cluster: &Cluster) -> Value {
        let (missing, ghosts) = self.errors(cluster);
        json!({
            "missing_end": missing,
            "ghosts_end": ghosts,
            "missing_max": self.missing_max,
            "ghosts_max": self.ghosts_max,
        })
    }
}

/// The times from one change of truth to the next.
#[derive(Debug)]
pub(crate) struct Episodes {
    cycle: u64,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    cause: String,
    from: u64,
    last_change: u64,
    true_since: Option<u64>,
}

impl Episodes {
    pub(crate) fn new(setting: &Setting) -> Self {
        let start = Span { cause: "start".into(), from: 0, last_change: 0, true_since: None };
        Self { cycle: setting.cycle, spans: vec![start] }
    }

    pub(crate) fn change(&mut self, at: u64, cause: &str) {
        let current = self.spans.last_mut().unwrap();
        if at - current.last_change < self.cycle {
            (current.last_change, current.true_since) = (at, None);
        } else {
            let cause = cause.to_owned();
            self.spans.push(Span { cause, from: at, last_change: at, true_since: None });
        }
    }

    pub(crate) fn settle(&mut self, at: u64, lists_are_true: bool) {
        let current = self.spans.last_mut().unwrap();
        current.true_since = lists_are_true.then(|| current.true_since.unwrap_or(at));
    }

    /// The place of the one that is open.
    pub(crate) fn open(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn last_change(&self) -> u64 {
        self.spans.last().unwrap().last_change
    }

    pub(crate) fn figures(&self, end: u64) -> Value {
        let ends = self.spans.iter().skip(1).map(|span| span.from).chain([end]);
        let after = |span: &Span| span.true_since.map(|since| ms(since - span.last_change));
        let episodes: Vec<_> = self
            .spans
            .iter()
            .zip(ends)
            .map(|(span, end)| {
                json!({
                    "cause": span.cause,
                    "at_ms": ms(span.from),
                    "last_change_ms": ms(span.last_change),
                    "end_ms": ms(end),
                    "converged_after_ms": after(span),
                })
            })
            .collect();
        let all: Option<Vec<f64>> = self.spans.iter().map(after).collect();
        let last = after(self.spans.last().unwrap());
        json!({
            "converged": last.is_some(),
            "converged_after_ms": last,
            "converged_after_max_ms": all.map(|all| all.into_iter().fold(0.0, f64::max)),
            "episodes": episodes,
        })
    }
}
