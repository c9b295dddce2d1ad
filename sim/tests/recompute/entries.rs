//! What every node reads of every key, who agrees since when, and what was lost or came back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::cluster::{Cluster, Truth};
use super::ms;
use super::trace::Line;
use super::values::Version;

/// A put or a delete of a key.
#[derive(Debug)]
struct Write {
    key: String,
    version: Version,
    is_put: bool,
    is_bound: bool,
    ttl: Option<u64>,
    start: u64,
    /// The writes to the key that its writer had heard of.
    after: BTreeSet<usize>,
    /// Lives of nodes that heard of it.
    hearers: usize,
}

/// What one life of a node knows.
#[derive(Clone, Debug, Default)]
struct Knows {
    reads: BTreeMap<String, usize>,
    heard: BTreeSet<usize>,
    ended: BTreeSet<usize>,
}

#[derive(Debug)]
pub(crate) struct Entries {
    writes: Vec<Write>,
    nodes: Vec<Knows>,
    /// Those that have expired somewhere.
    over: BTreeSet<usize>,
    /// Those of which anybody ever saw the end.
    ended: BTreeSet<usize>,
    last_write: Option<u64>,
    agreed_since: Option<u64>,
}

impl Entries {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            writes: Vec::new(),
            nodes: vec![Knows::default(); nodes],
            over: BTreeSet::new(),
            ended: BTreeSet::new(),
            last_write: None,
            agreed_since: None,
        }
    }

    pub(crate) fn begin(&mut self, node: usize) {
        self.nodes[node] = Knows::default();
    }

    fn find(&self, key: &str, version: &Version) -> Option<usize> {
        self.writes.iter().position(|it| it.key == key && it.version == *version)
    }

    /// A line says what a node reads of a key. True when that was written by it just now.
    pub(crate) fn told(&mut self, line: &Line, version: &Version, is_own: bool) -> bool {
        let said = line.entry.as_ref();
        let (key, says) = said.map_or(("", "put"), |said| (&said.key, &said.says));
        let found = self.find(key, version);
        if says == "expired" {
            let of_age = |&write: &usize| {
                let Write { start, ttl, .. } = self.writes[write];
                ttl.is_some_and(|ttl| line.t_ns >= start + ttl - ttl / 10)
            };
            self.over.extend(found.filter(of_age));
            self.nodes[line.node].reads.remove(key);
            return false;
        }
        let is_new = found.is_none();
        assert!(!is_new || is_own, "nobody wrote it: {line:?}");
        let write = found.unwrap_or_else(|| self.write(line, key, version, says == "put"));
        let (knows, it) = (&mut self.nodes[line.node], &mut self.writes[write]);
        let ended: Vec<usize> = it.after.intersection(&knows.heard).copied().collect();
        knows.ended.extend(&ended);
        self.ended.extend(&ended);
        it.hearers += usize::from(knows.heard.insert(write));
        match it.is_put {
            true => _ = knows.reads.insert(key.to_owned(), write),
            false => _ = knows.reads.remove(key),
        }
        is_new
    }

    fn write(&mut self, line: &Line, key: &str, version: &Version, is_put: bool) -> usize {
        let of_key = |&&write: &&usize| self.writes[write].key == key;
        let after = self.nodes[line.node].heard.iter().filter(of_key).copied().collect();
        let said = line.entry.as_ref();
        self.writes.push(Write {
            key: key.to_owned(),
            version: version.clone(),
            is_put,
            is_bound: said.is_some_and(|said| said.bound),
            ttl: said.and_then(|said| said.ttl_ns),
            start: line.t_ns,
            after,
            hearers: 0,
        });
        (self.last_write, self.agreed_since) = (Some(line.t_ns), None);
        self.writes.len() - 1
    }

    /// Truth changed: those who agree do so anew.
    pub(crate) fn change(&mut self) {
        self.agreed_since = None;
    }

    pub(crate) fn settle(&mut self, at: u64, truth: &Truth) {
        let live: Vec<(usize, usize)> =
            truth.iter().enumerate().filter_map(|(node, it)| Some((node, (*it)?.1))).collect();
        let agree = |key: &str| {
            let mut pairs = live.iter().flat_map(|a| live.iter().map(move |b| (a, b)));
            let same = pairs.all(|((a, of_a), (b, of_b))| {
                of_a != of_b || self.reads(*a, key) == self.reads(*b, key)
            });
            let newest = self.newest(key, |_| true).filter(|write| !self.over.contains(write));
            let is_heard =
                |write| live.iter().any(|(node, _)| self.nodes[*node].heard.contains(&write));
            same && newest.is_none_or(is_heard)
        };
        let agree = self.keys().into_iter().all(agree);
        self.agreed_since = agree.then(|| self.agreed_since.unwrap_or(at));
    }

    fn keys(&self) -> BTreeSet<&str> {
        self.writes.iter().map(|write| write.key.as_str()).collect()
    }

    fn reads(&self, node: usize, key: &str) -> Option<usize> {
        self.nodes[node].reads.get(key).copied().filter(|write| !self.over.contains(write))
    }

    fn newest(&self, key: &str, of: impl Fn(usize) -> bool) -> Option<usize> {
        let of_key = (0..self.writes.len()).filter(|&it| self.writes[it].key == key && of(it));
        of_key.max_by(|&a, &b| self.writes[a].version.cmp(&self.writes[b].version))
    }

    /// Whether the newest value of a key is read by nobody alive though one has heard of it.
    fn is_lost(&self, key: &str, live: &[usize], end: u64) -> bool {
        let heard = |write: usize| live.iter().any(|&node| self.nodes[node].heard.contains(&write));
        let newest = self.newest(key, |write| heard(write) || self.writes[write].hearers > 1);
        let Some(newest) = newest.filter(|&newest| heard(newest)) else { return false };
        let Write { is_put, is_bound, ttl, start, .. } = self.writes[newest];
        let is_over = ttl.is_some_and(|ttl| end >= start + ttl - ttl / 10);
        let is_read = live.iter().any(|&node| self.reads(node, key) == Some(newest));
        is_put && !is_bound && !is_over && !is_read && !self.ended.contains(&newest)
    }

    /// How many of a component read what is deleted.
    fn zombies(&self, key: &str, side: &[usize]) -> usize {
        let heard = |write: usize| side.iter().any(|&node| self.nodes[node].heard.contains(&write));
        let Some(newest) = self.newest(key, heard).filter(|&it| !self.writes[it].is_put) else {
            return 0;
        };
        let is_ended = |read| side.iter().any(|&node| self.nodes[node].ended.contains(&read));
        assert!(heard(newest));
        side.iter().filter(|&&node| self.reads(node, key).is_some_and(is_ended)).count()
    }

    pub(crate) fn figures(
        &self,
        cluster: &Cluster,
        (last_change, end): (u64, u64),
        rumors: &[Value],
    ) -> Value {
        let after = self.agreed_since.zip(self.last_write);
        let after = after.map(|(since, write)| since.saturating_sub(write.max(last_change)));
        let writes: Vec<&Value> = rumors.iter().filter(|rumor| rumor["kind"] == "entry").collect();
        let time = |key: &str| writes.last().map_or(Value::Null, |last| last[key].clone());
        let mut sides: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (node, of) in cluster.truth.iter().enumerate() {
            of.iter().for_each(|(_, side)| sides.entry(*side).or_default().push(node));
        }
        let live = sides.values().flatten().copied().collect::<Vec<_>>();
        let zombies = sides
            .values()
            .flat_map(|side| self.keys().into_iter().map(|key| self.zombies(key, side)));
        json!({
            "converged": self.last_write.map(|_| after.is_some()),
            "converged_after_ms": after.map(ms),
            "t50_ms": time("t50_ms"),
            "t90_ms": time("t90_ms"),
            "t99_ms": time("t99_ms"),
            "t100_ms": time("t100_ms"),
            "lost": self.keys().into_iter().filter(|key| self.is_lost(key, &live, end)).count(),
            "zombies": zombies.sum::<usize>(),
            "repaired": writes.iter().map(|it| it["swap_first"].as_u64().unwrap()).sum::<u64>(),
        })
    }
}
