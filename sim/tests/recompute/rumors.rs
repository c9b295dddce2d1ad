//! How each piece of news spread, by what nodes say of their state and by the packets they got.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cluster::{Cluster, Life};
use super::lists::Lists;
use super::ms;
use super::trace::Line;
use super::values::Version;

/// By what a node learned: nothing but itself, or a packet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    pub(crate) from: Option<usize>,
    pub(crate) kind: String,
}

impl Way {
    fn name(&self) -> &'static str {
        match (self.from, self.kind.as_str()) {
            (None, _) => "source",
            (_, "rumor") => "rumor",
            (_, "bulk") => "bulk",
            (_, "fetched") => "stream",
            _ => "swap",
        }
    }
}

/// A first receipt, as a trace and `rumors.csv` tell it.
pub(crate) type Receipt = (String, usize, u64, u32, Option<usize>, String);

#[derive(Debug)]
struct Rumor {
    id: String,
    kind: &'static str,
    node: usize,
    start: u64,
    /// Of metadata and of entries: the key, and the version.
    version: Option<(String, Version)>,
    first: Vec<Option<u64>>,
    hop: Vec<u32>,
    receipts: Vec<Receipt>,
}

/// When a node ran: never, until then, or since then and to the end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presence {
    Never,
    Until(u64),
    Since(u64),
}

#[derive(Debug)]
pub(crate) struct Rumors {
    rumors: Vec<Rumor>,
    /// By life.
    starts: BTreeMap<Life, usize>,
    ends: BTreeMap<Life, Vec<usize>>,
    /// By key, then by node: the newest version that it ever held.
    newest: BTreeMap<String, Vec<Option<Version>>>,
    nodes: usize,
    pub(crate) presence: Vec<Presence>,
    /// By rumor and sender: packets with it, and acknowledgements of it.
    sent: BTreeMap<String, BTreeMap<usize, u64>>,
    acks: BTreeMap<String, u64>,
    delivered: BTreeMap<String, u64>,
}

impl Rumors {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            rumors: Vec::new(),
            starts: BTreeMap::new(),
            ends: BTreeMap::new(),
            newest: BTreeMap::new(),
            nodes,
            presence: vec![Presence::Never; nodes],
            sent: BTreeMap::new(),
            acks: BTreeMap::new(),
            delivered: BTreeMap::new(),
        }
    }

    fn open(&mut self, kind: &'static str, node: usize, start: u64) -> usize {
        let number = self.rumors.iter().filter(|rumor| rumor.kind == kind).count();
        let nodes = self.nodes;
        self.rumors.push(Rumor {
            id: format!("{kind}-{number}"),
            kind,
            node,
            start,
            version: None,
            first: vec![None; nodes],
            hop: vec![0; nodes],
            receipts: Vec::new(),
        });
        self.rumors.len() - 1
    }

    fn take(&mut self, rumor: usize, node: usize, at: u64, way: &Way) {
        let rumor = &mut self.rumors[rumor];
        if rumor.first[node].is_none() {
            let hop = way.from.map_or(0, |from| rumor.hop[from] + 1);
            (rumor.first[node], rumor.hop[node]) = (Some(at), hop);
            let receipt = (rumor.id.clone(), node, at, hop, way.from, way.name().to_owned());
            rumor.receipts.push(receipt);
        }
    }

    /// A node wrote a version of a key, which is empty for metadata.
    pub(crate) fn write(&mut self, at: u64, node: usize, key: Option<&str>, version: &Version) {
        let rumor = self.open(if key.is_some() { "entry" } else { "metadata" }, node, at);
        let key = name(key);
        let newer = |held: &Option<Version>| held.as_ref().is_some_and(|held| held > version);
        let first = self.newest_of(&key).iter().map(|held| newer(held).then_some(at)).collect();
        self.rumors[rumor].version = Some((key, version.clone()));
        self.rumors[rumor].first = first;
    }

    pub(crate) fn is_known(&self, version: &Version) -> bool {
        let known = (name(None), version.clone());
        self.rumors.iter().any(|rumor| rumor.version.as_ref() == Some(&known))
    }

    fn newest_of(&mut self, key: &str) -> &mut Vec<Option<Version>> {
        let none = vec![None; self.nodes];
        self.newest.entry(key.to_owned()).or_insert(none)
    }

    pub(crate) fn hold(
        &mut self,
        at: u64,
        node: usize,
        (key, version): (Option<&str>, &Version),
        way: &Way,
    ) {
        let key = name(key);
        let newest = &mut self.newest_of(&key)[node];
        let before = newest.clone();
        if before.as_ref() >= Some(version) {
            return;
        }
        *newest = Some(version.clone());
        for place in 0..self.rumors.len() {
            let Some((of, told)) = self.rumors[place].version.clone() else { continue };
            if of == key && Some(&told) > before.as_ref() && told <= *version {
                self.take(place, node, at, way);
            }
        }
    }

    pub(crate) fn start(&mut self, kind: &'static str, at: u64, node: usize, life: Life) {
        let rumor = self.open(kind, node, at);
        self.starts.insert(life, rumor);
        self.take(rumor, node, at, &Way::default());
    }

    pub(crate) fn leave(&mut self, lists: &Lists, at: u64, node: usize, life: Life) {
        let rumor = self.end("leave", lists, at, node, life);
        self.take(rumor, node, at, &Way::default());
    }

    /// A live node removes a life: a rumor, if nothing is said of its end yet.
    pub(crate) fn removal(&mut self, lists: &Lists, at: u64, node: usize, life: Life) {
        if !self.ends.contains_key(&life) {
            self.end("removal", lists, at, node, life);
        }
    }

    fn end(
        &mut self,
        kind: &'static str,
        lists: &Lists,
        at: u64,
        node: usize,
        life: Life,
    ) -> usize {
        let rumor = self.open(kind, node, at);
        self.ends.entry(life).or_default().push(rumor);
        for (other, first) in self.rumors[rumor].first.iter_mut().enumerate() {
            *first = (other != node && !lists.lists(other, life)).then_some(at);
        }
        rumor
    }

    pub(crate) fn list(&mut self, cluster: &Cluster, at: u64, node: usize, life: Life, way: &Way) {
        let addr = &cluster.addr_of[life];
        for other in (0..=life).filter(|&other| cluster.addr_of[other] == *addr) {
            let ends = self.ends.get(&other).filter(|_| other < life).cloned();
            let news = self.starts.get(&other).copied().into_iter().chain(ends.unwrap_or_default());
            news.for_each(|rumor| self.take(rumor, node, at, way));
        }
    }

    pub(crate) fn unlist(&mut self, at: u64, node: usize, life: Life, way: &Way) {
        let ends = self.ends.get(&life).cloned().unwrap_or_default();
        ends.into_iter().for_each(|rumor| self.take(rumor, node, at, way));
    }

    pub(crate) fn packet(&mut self, line: &Line) {
        let from = line.from.unwrap();
        for rumor in &line.rumors {
            let count = match (line.event.as_str(), line.kind.as_str()) {
                ("send", "rumor_ack") => self.acks.entry(rumor.clone()).or_default(),
                ("send", _) => self.sent.entry(rumor.clone()).or_default().entry(from).or_default(),
                ("deliver", kind) if kind != "rumor_ack" && !line.announces => {
                    self.delivered.entry(rumor.clone()).or_default()
                }
                _ => continue,
            };
            *count += 1;
        }
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.rumors.iter().flat_map(|rumor| rumor.receipts.clone()).collect()
    }

    pub(crate) fn figures(&self) -> Vec<Value> {
        self.rumors.iter().enumerate().map(|(place, it)| self.figures_of(place, it)).collect()
    }

    /// The next version, or the next change of the same node.
    fn superseded_by(&self, place: usize) -> Option<&str> {
        let rumor = &self.rumors[place];
        let next = match &rumor.version {
            Some(version) => {
                let is_newer = |it: &&Rumor| {
                    it.version.as_ref().is_some_and(|it| it.0 == version.0 && it.1 > version.1)
                };
                self.rumors.iter().filter(is_newer).min_by(|a, b| a.version.cmp(&b.version))
            }
            None => self.rumors[place + 1..]
                .iter()
                .find(|it| it.version.is_none() && it.node == rumor.node),
        };
        next.map(|next| next.id.as_str())
    }

    fn figures_of(&self, place: usize, rumor: &Rumor) -> Value {
        let (mut audience, mut present) = (Vec::new(), 0);
        for (node, presence) in self.presence.iter().enumerate() {
            let (was_there, stayed) = match *presence {
                Presence::Never => (false, false),
                Presence::Until(end) => (end >= rumor.start, false),
                Presence::Since(since) => (true, since <= rumor.start),
            };
            present += usize::from(was_there);
            if stayed && !(rumor.kind == "removal" && node == rumor.node) {
                audience.push(node);
            }
        }
        let delays = audience.iter().filter_map(|&node| rumor.first[node]);
        let mut delays: Vec<u64> = delays.map(|first| first - rumor.start).collect();
        delays.sort_unstable();
        let all = audience.len();
        // The least time at which so many of a hundred hold it, rounded up to whole nodes.
        let t = |percent: usize| match all {
            0 => None,
            _ => delays.get((percent * all).div_ceil(100).max(1) - 1).copied().map(ms),
        };
        let by_sender = self.sent.get(&rumor.id).cloned().unwrap_or_default();
        let count = |counts: &BTreeMap<String, u64>| counts.get(&rumor.id).copied().unwrap_or(0);
        let others = rumor.receipts.len().saturating_sub(1);
        let swaps = rumor.receipts.iter().filter(|receipt| receipt.5 == "swap").count();
        json!({
            "id": rumor.id,
            "kind": rumor.kind,
            "node": rumor.node,
            "start_ms": ms(rumor.start),
            "t50_ms": t(50),
            "t90_ms": t(90),
            "t99_ms": t(99),
            "t100_ms": t(100),
            "coverage": (all > 0).then(|| delays.len() as f64 / all as f64),
            "excluded": present - all,
            "messages": by_sender.values().sum::<u64>(),
            "control_messages": count(&self.acks),
            "node_messages_max": by_sender.values().max().copied().unwrap_or(0),
            "swap_first": swaps,
            "rmr": (others > 0).then(|| count(&self.delivered) as f64 / others as f64 - 1.0),
            "ldh": rumor.receipts.last().map(|receipt| receipt.3),
            "superseded_by": self.superseded_by(place),
        })
    }
}

/// What a key is called here: metadata is told from the entry of an empty name, of which there is
/// none.
fn name(key: Option<&str>) -> String {
    key.unwrap_or_default().to_owned()
}
