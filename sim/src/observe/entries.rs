//! Which named entries the nodes read, and since when those who can reach each other agree.
//!
//! Metadata is the entry without a name, and is followed with them. What a node reads is what its
//! events tell: a value, or nothing where it was deleted, has expired or is hidden.

mod causes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use rumormill::config::WireVersion;
use rumormill::core::{EntriesView, Entry, EntryKey, EntryKind, Terms};
use rumormill::time::Instant;
use rumormill::{Metadata, Version};

use self::causes::{Marks, Reader, Write, WriteNo};
use super::cast::Cast;
use super::ms;
use super::rumors::{Kind, Way};
use super::truth::Truth;
use crate::results::summary::{EntriesFigures, RumorFigures, Summary};
use crate::scenario::plan::{Deed, NodeNo, Plan};

/// The entries of all nodes.
///
/// Live nodes agree when in every component all read the same of each key, and somebody alive has
/// heard of the newest write to it.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    keys: BTreeMap<EntryKey, KeyHistory>,
    /// By node: whether its wire has a word for entries.
    speaks: Vec<bool>,
    /// Components that have live nodes which speak of entries.
    components: usize,
    /// Keys of which not all read the same.
    apart: usize,
    /// Keys whose newest write nobody alive has heard of.
    unheard: usize,
    last_write: Option<Instant>,
    agreed_since: Option<Instant>,
    /// Values that came back to a node which had seen their end: when, to whom and what.
    returned: Vec<(Instant, NodeNo, String)>,
}

/// One key.
#[derive(Clone, Debug)]
struct KeyHistory {
    /// In the order in which they were first seen.
    writes: Vec<Write>,
    /// By node.
    readers: Vec<Reader>,
    /// How many live nodes of a component read this.
    groups: BTreeMap<(u32, Option<WriteNo>), u32>,
    /// Writes of which anybody ever saw the end.
    ended: Marks,
    is_apart: bool,
    is_unheard: bool,
}

/// Who is asked: live nodes that speak of entries.
#[derive(Clone, Copy, Debug)]
struct Listeners<'a> {
    truth: &'a Truth,
    speaks: &'a [bool],
    components: usize,
}

impl Listeners<'_> {
    /// The component of a node, if it is asked.
    fn side(&self, node: NodeNo) -> Option<u32> {
        let is_asked = self.speaks[node as usize] && self.truth.live(node).is_some();
        is_asked.then(|| self.truth.component(node))
    }

    fn sides(&self) -> impl Iterator<Item = (NodeNo, u32)> + '_ {
        let live = self.truth.live_nodes().map(|(node, _)| node);
        live.filter_map(|node| Some((node, self.side(node)?)))
    }
}

/// What a node is told of a key, and when.
#[derive(Clone, Copy, Debug)]
struct EntryTold<'a> {
    at: Instant,
    node: NodeNo,
    key: &'a EntryKey,
    version: Version,
    kind: EntryKind,
    ttl: Option<Duration>,
    bound: bool,
}

impl Entries {
    /// Those of a run, if its scenario writes any.
    pub(crate) fn of(plan: &Plan, cast: &Cast) -> Option<Self> {
        let writes = plan.actions.iter().any(|it| matches!(it.deed, Deed::Write { .. }));
        writes.then(|| Self::new(cast.nodes()))
    }

    fn new(nodes: u32) -> Self {
        Self {
            keys: BTreeMap::new(),
            speaks: vec![false; nodes as usize],
            components: 0,
            apart: 0,
            unheard: 0,
            last_write: None,
            agreed_since: None,
            returned: Vec::new(),
        }
    }

    /// A node begins and holds nothing; in force with the next [`Entries::shift`].
    pub(crate) fn begin(&mut self, node: NodeNo, speaks: WireVersion) {
        self.speaks[node as usize] = speaks > WireVersion::One;
        self.keys.values_mut().for_each(|key| key.readers[node as usize] = Reader::default());
    }

    /// A node holds another value as metadata.
    pub(crate) fn on_published(
        &mut self,
        truth: &Truth,
        at: Instant,
        node: NodeNo,
        (metadata, way): (&Metadata, Way),
    ) {
        let (key, version) = (&EntryKey::default(), metadata.version());
        let kind = EntryKind::Put;
        let told = EntryTold { at, node, key, version, kind, ttl: None, bound: false };
        self.tell(truth, &told, way);
    }

    /// A node tells what it reads of a key. True when it has just written that.
    pub(crate) fn on_entry(
        &mut self,
        truth: &Truth,
        at: Instant,
        node: NodeNo,
        (entry, way): (&Entry, Way),
    ) -> bool {
        let (terms, key) = (entry.terms(), entry.key());
        let (version, kind) = (entry.stamp().version, entry.kind());
        let Terms { ttl, bound } = terms;
        self.tell(truth, &EntryTold { at, node, key, version, kind, ttl, bound }, way)
    }

    fn tell(&mut self, truth: &Truth, told: &EntryTold<'_>, way: Way) -> bool {
        let Self { keys, speaks, components, .. } = self;
        let audience = Listeners { truth, speaks, components: *components };
        let state = keys.entry(told.key.clone()).or_insert_with(|| KeyHistory::new(audience));
        let was = (state.is_apart, state.is_unheard);
        let is_own = way == Way::Source && told.kind != EntryKind::Expired;
        let is_new = is_own && state.find(told.version).is_none();
        if let Some(detail) = state.tell(audience, told, is_new) {
            self.returned.push((told.at, told.node, detail));
        }
        self.apart = self.apart + usize::from(state.is_apart) - usize::from(was.0);
        self.unheard = self.unheard + usize::from(state.is_unheard) - usize::from(was.1);
        if is_new {
            self.last_write = Some(told.at);
            self.agreed_since = None;
        }
        is_new
    }

    /// The truth may have shifted.
    pub(crate) fn shift(&mut self, truth: &Truth) {
        let Self { keys, speaks, components, .. } = self;
        let mut audience = Listeners { truth, speaks, components: 0 };
        let mut sides: Vec<u32> = audience.sides().map(|(_, side)| side).collect();
        sides.sort_unstable();
        sides.dedup();
        (audience.components, *components) = (sides.len(), sides.len());
        keys.values_mut().for_each(|key| key.regroup(audience));
        self.apart = keys.values().filter(|key| key.is_apart).count();
        self.unheard = keys.values().filter(|key| key.is_unheard).count();
    }

    /// The truth changed: who agrees does so anew.
    pub(crate) fn change(&mut self) {
        self.agreed_since = None;
    }

    /// To be called once everything of an instant's input is in.
    pub(crate) fn settle(&mut self, at: Instant) {
        // All may agree on an older one, or on none, when the newest died with its writer.
        let agree = self.is_complete() && self.unheard == 0;
        self.agreed_since = agree.then_some(self.agreed_since.unwrap_or(at));
    }

    /// True when all read the same of each key.
    pub(crate) fn is_complete(&self) -> bool {
        self.apart == 0
    }

    /// Who reads something else than others that it can reach, if anybody does.
    pub(crate) fn difference(&self, truth: &Truth) -> Option<(NodeNo, String)> {
        let audience = self.audience(truth);
        let (name, key) = self.keys.iter().find(|(_, key)| key.is_apart)?;
        let mut of_side = BTreeMap::new();
        for (node, side) in audience.sides() {
            let read = key.reads(node);
            let (other, others) = *of_side.entry(side).or_insert((node, read));
            if others != read {
                let (read, others) = (key.show(read), key.show(others));
                let name = name.as_str();
                let detail =
                    format!("node {node} reads {read} of `{name}`, and node {other} {others}");
                return Some((node, detail));
            }
        }
        None
    }

    /// What a node told last differs from what it holds: how. Of what it began with it tells
    /// nothing.
    pub(crate) fn misread(&self, node: NodeNo, held: &EntriesView) -> Option<String> {
        let is_told = |key: &KeyHistory| key.readers[node as usize].seen != Marks::default();
        let is_followed =
            |(name, key): &(&EntryKey, &KeyHistory)| !name.as_str().is_empty() && is_told(key);
        self.keys.iter().filter(is_followed).find_map(|(name, key)| {
            let entry = held.get(name.as_str(), Instant::ZERO);
            // What hides by itself depends on clocks and lists.
            let stays = |bound: bool, ttl: Option<Duration>| !bound && ttl.is_none();
            let entry = entry.filter(|it| stays(it.terms().bound, it.terms().ttl));
            let read = key.readers[node as usize].reads.map(|write| &key.writes[write as usize]);
            let told = read.filter(|write| stays(write.bound, write.ttl));
            let (holds, told) =
                (entry.map(|entry| entry.stamp().version), told.map(|write| write.version));
            (holds != told).then(|| {
                let (holds, told) = (shown(holds), shown(told));
                format!("node {node} holds {holds} of `{}` and has told {told}", name.as_str())
            })
        })
    }

    /// Values that a node was told of again after it had seen their end.
    pub(crate) fn returned(&self) -> &[(Instant, NodeNo, String)] {
        &self.returned
    }

    /// Live nodes that read a value of which somebody whom they can reach has seen the end, the
    /// newest write to its key being a delete; by key.
    pub(crate) fn zombies<'a>(
        &'a self,
        truth: &'a Truth,
    ) -> impl Iterator<Item = (NodeNo, String)> + 'a {
        let audience = self.audience(truth);
        self.keys.iter().flat_map(move |(name, key)| {
            key.zombies(audience).into_iter().map(move |(node, write)| {
                let (name, version) = (name.as_str(), key.writes[write as usize].version);
                (node, format!("node {node} reads {version} of `{name}`, which is deleted"))
            })
        })
    }

    /// Keys whose newest value nobody alive reads though one has heard of it.
    pub(crate) fn lost<'a>(
        &'a self,
        truth: &'a Truth,
        end: Instant,
    ) -> impl Iterator<Item = String> + 'a {
        let audience = self.audience(truth);
        self.keys.iter().filter_map(move |(name, key)| {
            let version = key.writes[key.lost(audience, end)? as usize].version;
            Some(format!("the newest value of `{}` is lost: {version}", name.as_str()))
        })
    }

    /// Fills in how they converged after the last change of truth, and how the last write among the
    /// rumors spread.
    pub(crate) fn finish(
        &self,
        truth: &Truth,
        end: Instant,
        last_change: Instant,
        summary: &mut Summary,
    ) {
        let after = self.converged_after(last_change);
        let is_write = |rumor: &&RumorFigures| rumor.kind == Kind::Entry.name();
        let writes = summary.rumors.iter().filter(is_write);
        let last = writes.clone().next_back();
        summary.entries = Some(EntriesFigures {
            converged: self.last_write.map(|_| after.is_some()),
            converged_after_ms: after.map(|after| ms(Instant::ZERO + after)),
            t50_ms: last.and_then(|rumor| rumor.t50_ms),
            t90_ms: last.and_then(|rumor| rumor.t90_ms),
            t99_ms: last.and_then(|rumor| rumor.t99_ms),
            t100_ms: last.and_then(|rumor| rumor.t100_ms),
            lost: self.lost(truth, end).count() as u64,
            zombies: self.zombies(truth).count() as u64,
            repaired: writes.map(|rumor| u64::from(rumor.swap_first)).sum(),
        });
    }

    /// How long after the later of the last write and the last change of truth all live nodes
    /// agreed for good, if anybody wrote and they do.
    fn converged_after(&self, last_change: Instant) -> Option<Duration> {
        Some(self.agreed_since? - self.last_write?.max(last_change))
    }

    fn audience<'a>(&'a self, truth: &'a Truth) -> Listeners<'a> {
        Listeners { truth, speaks: &self.speaks, components: self.components }
    }
}

impl KeyHistory {
    fn new(audience: Listeners<'_>) -> Self {
        let mut key = Self {
            writes: Vec::new(),
            readers: vec![Reader::default(); audience.speaks.len()],
            groups: BTreeMap::new(),
            ended: Marks::default(),
            is_apart: false,
            is_unheard: false,
        };
        key.regroup(audience);
        key
    }

    /// What a node reads, but for what has expired somewhere: the others follow by their ages.
    fn reads(&self, node: NodeNo) -> Option<WriteNo> {
        let read = self.readers[node as usize].reads;
        read.filter(|&write| !self.writes[write as usize].is_over)
    }

    /// Has a node read something else.
    fn read(&mut self, audience: Listeners<'_>, node: NodeNo, reads: Option<WriteNo>) {
        let before = self.reads(node);
        self.readers[node as usize].reads = reads;
        if let Some(side) = audience.side(node) {
            let after = self.reads(node);
            if let Some(count) = self.groups.get_mut(&(side, before)) {
                *count -= 1;
            }
            self.groups.retain(|_, count| *count > 0);
            *self.groups.entry((side, after)).or_default() += 1;
        }
        self.compare(audience);
    }

    fn regroup(&mut self, audience: Listeners<'_>) {
        self.groups.clear();
        for (node, side) in audience.sides() {
            *self.groups.entry((side, self.reads(node))).or_default() += 1;
        }
        self.compare(audience);
    }

    fn compare(&mut self, audience: Listeners<'_>) {
        let newest = self.newest(|_| true).filter(|&write| !self.writes[write as usize].is_over);
        let is_heard =
            |write| audience.sides().any(|(node, _)| self.readers[node as usize].seen.has(write));
        self.is_unheard = newest.is_some_and(|newest| !is_heard(newest));
        self.is_apart = self.groups.len() > audience.components;
    }

    fn show(&self, write: Option<WriteNo>) -> String {
        shown(write.map(|write| self.writes[write as usize].version))
    }
}

fn shown(version: Option<Version>) -> String {
    version.map_or("nothing".to_owned(), |version| version.to_string())
}
