//! Shrinking: from a scenario that breaks something to the smallest that still breaks the same.
//!
//! Pieces are taken away as long as what is left fails in the same way: actions, in halves first,
//! then nodes, settings, lengths of time. Chance falls otherwise in a smaller scenario, so each
//! attempt is run with a few seeds.

use std::time::Duration;

use rumormill::units::{parse_duration, show_duration};
use toml::{Table, Value};

use super::finding::{Broken, FindingTrial, Fingerprint};
use crate::scenario::ScenarioError;

/// What is left.
#[derive(Clone, Debug)]
pub(crate) struct Smallest {
    pub(crate) scenario: Table,
    pub(crate) seed: u64,
    pub(crate) broken: Broken,
    /// Runs that it took.
    pub(crate) runs: u64,
}

/// What comes of a scenario with a seed.
pub(crate) type Try<'a> = &'a dyn Fn(&Table, u64) -> Result<FindingTrial, ScenarioError>;

/// Makes a scenario smaller as long as it breaks the same, with at most so many runs. `told` hears
/// of the smallest so far before each.
pub(crate) fn shrink(first: Smallest, runs_max: u64, told: &mut dyn FnMut(&Smallest)) -> Smallest {
    shrink_by(&FindingTrial::of, first, runs_max, told)
}

/// The same where a run is not all that there is to try.
pub(crate) fn shrink_by(
    trial: Try<'_>,
    first: Smallest,
    runs_max: u64,
    told: &mut dyn FnMut(&Smallest),
) -> Smallest {
    let wanted = first.broken.fingerprint.clone();
    let mut search = Search { trial, best: first, wanted, runs_max, told };
    while search.pass() {}
    search.best
}

struct Search<'a> {
    trial: Try<'a>,
    best: Smallest,
    wanted: Fingerprint,
    runs_max: u64,
    told: &'a mut dyn FnMut(&Smallest),
}

impl Search<'_> {
    /// Seeds that an attempt is run with, beside the one that failed so far.
    const SEEDS: u64 = 3;
    /// In such a time all that follows from the default settings is over.
    const LONG: Duration = Duration::from_secs(240);

    /// Tries every kind of piece once; whether any could be taken away.
    fn pass(&mut self) -> bool {
        let before = self.best.scenario.clone();
        self.fewer_actions();
        self.fewer_nodes();
        self.fewer_keys();
        self.plainer_actions();
        self.shorter();
        self.best.scenario != before && !self.is_over()
    }

    fn is_over(&self) -> bool {
        self.best.runs >= self.runs_max
    }

    /// Keeps a scenario if it fails in the same way.
    fn attempt(&mut self, scenario: Table) -> bool {
        if scenario == self.best.scenario || self.is_over() {
            return false;
        }
        let own = self.best.seed;
        let seeds = [own].into_iter().chain((1..=Self::SEEDS).filter(|&seed| seed != own));
        for seed in seeds {
            self.best.runs += 1;
            (self.told)(&self.best);
            match (self.trial)(&scenario, seed) {
                Ok(FindingTrial::Broken(broken)) if broken.fingerprint.is_like(&self.wanted) => {
                    let runs = self.best.runs;
                    self.best = Smallest { scenario, seed, broken, runs };
                    return true;
                }
                Ok(_) => {}
                // It is no scenario with any seed.
                Err(_) => return false,
            }
        }
        false
    }

    fn try_with(&mut self, change: impl FnOnce(&mut Table)) -> bool {
        let mut scenario = self.best.scenario.clone();
        change(&mut scenario);
        self.attempt(scenario)
    }

    /// Takes away halves of the actions, then quarters, down to single ones.
    fn fewer_actions(&mut self) {
        let mut piece = self.actions().len().div_ceil(2);
        while piece > 0 {
            let mut from = 0;
            while from < self.actions().len() {
                let mut actions = self.actions().to_vec();
                actions.drain(from..(from + piece).min(actions.len()));
                let taken = self.try_with(|scenario| put_actions(scenario, actions));
                from += if taken { 0 } else { piece };
            }
            piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
        }
    }

    fn actions(&self) -> &[Value] {
        let actions = self.best.scenario.get("at").and_then(Value::as_array);
        actions.map_or(&[], Vec::as_slice)
    }

    /// Takes a setting away, if need be in a longer run: where all is slower it takes its time.
    fn without(&mut self, change: impl Fn(&mut Table)) {
        let long = Value::String(show_duration(Self::LONG));
        let mut scenario = self.best.scenario.clone();
        change(&mut scenario);
        if scenario != self.best.scenario && !self.attempt(scenario.clone()) {
            scenario.insert("duration".into(), long);
            self.attempt(scenario);
        }
    }

    /// Takes away the nodes at the end, those that nothing happens to, and makes sets smaller.
    fn fewer_nodes(&mut self) {
        let Some(nodes) = self.nodes() else { return };
        let (mut low, mut high) = (1, nodes);
        while low < high {
            let middle = (low + high) / 2;
            match self.try_with(|scenario| cut_nodes(scenario, middle)) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        for node in (0..self.nodes().unwrap_or(0)).rev() {
            self.try_with(|scenario| take_node(scenario, node));
        }
        for at in 0..self.actions().len() {
            self.smaller_sets(at);
        }
    }

    fn nodes(&self) -> Option<i64> {
        self.best.scenario.get("nodes").and_then(Value::as_integer)
    }

    /// Takes single nodes out of the sets of one action.
    fn smaller_sets(&mut self, at: usize) {
        let sets = self.actions().get(at).map_or(0, set_members);
        for member in (0..sets).rev() {
            self.try_with(|scenario| {
                if let Some(action) = action_mut(scenario, at) {
                    let mut left = member;
                    drop_member(action, &mut left);
                }
            });
        }
    }

    /// Takes away settings, sections and keys of actions that are not needed.
    fn fewer_keys(&mut self) {
        for key in ["groups", "link", "network", "engine", "bootstrap", "start", "expect"] {
            self.without(|scenario| _ = scenario.remove(key));
        }
        for section in ["engine", "network", "expect"] {
            let table = self.best.scenario.get(section).and_then(Value::as_table);
            let keys: Vec<String> =
                table.map_or(Vec::new(), |table| table.keys().cloned().collect());
            for key in keys {
                self.without(|scenario| {
                    let table = scenario.get_mut(section).and_then(Value::as_table_mut);
                    table.map(|table| table.remove(&key));
                });
            }
        }
        for key in ["warmup", "sample", "rumor_rows_max"] {
            self.try_with(|scenario| _ = scenario.remove(key));
        }
    }

    /// Takes away what actions have beside their verb.
    fn plainer_actions(&mut self) {
        for at in 0..self.actions().len() {
            let keys = ["label", "jitter", "stagger", "every", "until", "count", "for"];
            for key in keys {
                self.try_with(|scenario| {
                    action_mut(scenario, at).map(|action| action.remove(key));
                });
            }
            self.try_with(|scenario| {
                if let Some(action) = action_mut(scenario, at) {
                    for key in ["every", "until", "count"] {
                        action.remove(key);
                    }
                }
            });
        }
    }

    /// Rounds and shortens times.
    fn shorter(&mut self) {
        for at in 0..self.actions().len() {
            for key in ["time", "for"] {
                self.rounder(|scenario| {
                    action_mut(scenario, at).and_then(|action| action.get_mut(key))
                });
            }
        }
        self.rounder(|scenario| scenario.get_mut("duration"));
    }

    /// Halves a time as long as that goes, then rounds it.
    fn rounder(&mut self, place: impl Fn(&mut Table) -> Option<&mut Value>) {
        let mut scenario = self.best.scenario.clone();
        let now = place(&mut scenario).and_then(|value| parse_duration(value.as_str()?).ok());
        let Some(mut now) = now else { return };
        let put = |scenario: &mut Table, to: Duration| {
            if let Some(value) = place(scenario) {
                *value = Value::String(show_duration(to));
            }
        };
        loop {
            let half = Duration::from_millis(now.as_millis() as u64 / 2);
            if half == now || !self.try_with(|scenario| put(scenario, half)) {
                break;
            }
            now = half;
        }
        for unit in [10_000, 1_000, 100] {
            let rounded = Duration::from_millis(now.as_millis() as u64 / unit * unit);
            if rounded != now && self.try_with(|scenario| put(scenario, rounded)) {
                return;
            }
        }
    }
}

fn put_actions(scenario: &mut Table, actions: Vec<Value>) {
    match actions.is_empty() {
        true => _ = scenario.remove("at"),
        false => _ = scenario.insert("at".into(), Value::Array(actions)),
    }
}

fn action_mut(scenario: &mut Table, at: usize) -> Option<&mut Table> {
    scenario.get_mut("at")?.as_array_mut()?.get_mut(at)?.as_table_mut()
}

/// Leaves the first so many nodes.
fn cut_nodes(scenario: &mut Table, nodes: i64) {
    scenario.insert("nodes".into(), Value::Integer(nodes));
    renumber(scenario, &|node| (node < nodes).then_some(node));
}

/// Takes one node out; those behind it move up.
fn take_node(scenario: &mut Table, node: i64) {
    let nodes = scenario.get("nodes").and_then(Value::as_integer).unwrap_or(1);
    scenario.insert("nodes".into(), Value::Integer(nodes - 1));
    renumber(scenario, &|other| match other.cmp(&node) {
        std::cmp::Ordering::Less => Some(other),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(other - 1),
    });
}

/// Keys whose numbers are nodes.
const NODE_KEYS: [&str; 16] = [
    "nodes",
    "node",
    "partition",
    "isolate",
    "crash",
    "stop",
    "start",
    "leave",
    "pause",
    "suspend",
    "from",
    "to",
    "between",
    "via",
    "except",
    "of",
];

/// Gives the nodes of all actions and groups other numbers. An action that is left without any is
/// dropped.
fn renumber(scenario: &mut Table, to: &dyn Fn(i64) -> Option<i64>) {
    if let Some(actions) = scenario.get_mut("at").and_then(Value::as_array_mut) {
        actions.retain_mut(|action| {
            let action = action.as_table_mut();
            action.is_some_and(|action| action.iter_mut().all(|(key, value)| keep(key, value, to)))
        });
    }
    if let Some(groups) = scenario.get_mut("groups").and_then(Value::as_table_mut) {
        let groups = groups.iter_mut().filter_map(|(_, group)| group.as_table_mut());
        groups.for_each(|group| {
            group.iter_mut().for_each(|(key, value)| _ = keep(key, value, to));
        });
    }
}

/// Renumbers what stands under a key; whether anything is left.
fn keep(key: &str, value: &mut Value, to: &dyn Fn(i64) -> Option<i64>) -> bool {
    if NODE_KEYS.contains(&key) && !value.is_table() {
        return keep_nodes(value, to);
    }
    match value {
        Value::Table(table) => table.iter_mut().all(|(key, value)| keep(key, value, to)),
        _ => true,
    }
}

fn keep_nodes(value: &mut Value, to: &dyn Fn(i64) -> Option<i64>) -> bool {
    match value {
        Value::Integer(node) => to(*node).map(|other| *node = other).is_some(),
        Value::Array(items) => {
            items.retain_mut(|item| keep_nodes(item, to));
            !items.is_empty()
        }
        Value::String(text) => match range(text) {
            // A half-open range.
            Some((first, end)) => {
                let left: Vec<i64> = (first..end).filter_map(to).collect();
                let (Some(first), Some(last)) = (left.first(), left.last()) else { return false };
                *text = format!("{first}..{}", last + 1);
                true
            }
            None => true,
        },
        _ => true,
    }
}

fn range(text: &str) -> Option<(i64, i64)> {
    let (first, end) = text.split_once("..")?;
    Some((first.parse().ok()?, end.parse().ok()?))
}

/// How many nodes stand in the lists of an action.
fn set_members(action: &Value) -> usize {
    match action {
        Value::Table(table) => table.values().map(set_members).sum(),
        Value::Array(items) if items.iter().all(Value::is_integer) => items.len(),
        Value::Array(items) => items.iter().map(set_members).sum(),
        _ => 0,
    }
}

/// Takes the node at this place, counted through all lists, out of its list.
fn drop_member(action: &mut Table, left: &mut usize) {
    action.iter_mut().for_each(|(_, value)| drop_from(value, left));
}

fn drop_from(value: &mut Value, left: &mut usize) {
    match value {
        Value::Table(table) => drop_member(table, left),
        Value::Array(items) if items.iter().all(Value::is_integer) => {
            if *left < items.len() && items.len() > 1 {
                items.remove(*left);
                *left = usize::MAX;
            } else {
                *left = left.saturating_sub(items.len());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_from(item, left)),
        _ => {}
    }
}
