//! What removals were, and how long crashes took to be noticed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cluster::{Cluster, Life, State};
use super::lists::Lists;
use super::ms;

#[derive(Debug, Default)]
pub(crate) struct Removals {
    right: u64,
    wrong: u64,
    paused: u64,
    cut: u64,
    replaced: u64,
}

impl Removals {
    /// A node takes a life off its list that has not said goodbye.
    pub(crate) fn judge(
        &mut self,
        cluster: &Cluster,
        since: u64,
        (by, life): (usize, Life),
        change: &str,
    ) {
        let node = cluster.node_of[life];
        let lives = cluster.live(node) == Some(life) && cluster.lived_since(since, node);
        let reached = |from, to| cluster.reached_since(since, from, to);
        *match lives {
            false if change == "replaced" => &mut self.replaced,
            false => &mut self.right,
            true if !cluster.lived_since(since, by) => &mut self.cut,
            true if !cluster.awake_since(since, node) => &mut self.paused,
            true if reached(node, by) && reached(by, node) => &mut self.wrong,
            true => &mut self.cut,
        } += 1;
    }

    pub(crate) fn figures(&self, [healthy, flaps, flaps_max]: [u64; 3]) -> Value {
        json!({
            "right": self.right,
            "false": self.wrong,
            "paused": self.paused,
            "cut": self.cut,
            "replaced": self.replaced,
            "healthy": healthy,
            "flaps": flaps,
            "flaps_max": flaps_max,
        })
    }
}

#[derive(Debug)]
struct Crash {
    at: u64,
    life: Life,
    node: usize,
    watchers: BTreeSet<usize>,
    first: Option<u64>,
    all: Option<u64>,
    came_back: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Crashes(Vec<Crash>);

impl Crashes {
    /// A node crashes that still runs for the cluster.
    pub(crate) fn crash(&mut self, cluster: &Cluster, lists: &Lists, at: u64, node: usize) {
        let Some(life) = cluster.running(node) else { return };
        let truth = &cluster.truth;
        let stopped = matches!(cluster.states[node], State::Stopped(_));
        let component = truth[node].map(|(_, component)| component);
        let watches = |other: &usize| {
            let own = truth[*other].map(|(_, component)| component);
            *other != node && own.is_some() && (stopped || own == component)
        };
        let watchers: BTreeSet<usize> = (0..truth.len()).filter(watches).collect();
        if watchers.iter().any(|&by| lists.lists(by, life)) {
            let (first, all, came_back) = (None, None, false);
            self.0.push(Crash { at, life, node, watchers, first, all, came_back });
        }
    }

    /// A node lists a life from now on, or does so no longer.
    pub(crate) fn listing(
        &mut self,
        lists: &Lists,
        at: u64,
        by: usize,
        (life, listed): (Life, bool),
    ) {
        let watched = |crash: &&mut Crash| crash.life == life && crash.watchers.contains(&by);
        for crash in self.0.iter_mut().filter(watched) {
            if listed {
                crash.all = None;
            } else {
                crash.first.get_or_insert(at);
                crash.look(lists, at);
            }
        }
    }

    /// What a node lists does not matter any more.
    pub(crate) fn blind(&mut self, lists: &Lists, at: u64, node: usize) {
        for crash in &mut self.0 {
            if crash.watchers.remove(&node) && lists.lists(node, crash.life) {
                crash.look(lists, at);
            }
        }
    }

    pub(crate) fn came_back(&mut self, node: usize) {
        let pending = self.0.iter_mut().filter(|it| it.node == node && it.all.is_none());
        pending.for_each(|crash| crash.came_back = true);
    }

    pub(crate) fn figures(&self) -> Value {
        let counted = || self.0.iter().filter(|crash| !crash.came_back);
        let slowest = |when: fn(&Crash) -> Option<u64>| {
            let took: Option<Vec<_>> = counted().map(|it| Some(when(it)? - it.at)).collect();
            took?.into_iter().max().map(ms)
        };
        json!({ "first_ms": slowest(|it| it.first), "all_ms": slowest(|it| it.all) })
    }
}

impl Crash {
    fn look(&mut self, lists: &Lists, at: u64) {
        if !self.watchers.iter().any(|&by| lists.lists(by, self.life)) {
            self.all = Some(at);
        }
    }
}
