//! How single pieces of news spread: versions of metadata and entries, and membership changes.
//!
//! A rumor is held by a node once its state holds it or a newer one of its kind. The starts of the
//! initial nodes are no rumors, and beats are counted in aggregate only.

mod figures;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use rumormill::Version;
use rumormill::core::{Cause, Channel, EntryKey, Load, NewsAbout, Traced};
use rumormill::node::Generation;
use rumormill::time::Instant;

use super::cast::{Cast, IncarnationNo};
use super::meant::Meant;
use crate::scenario::plan::NodeNo;

pub(crate) use self::figures::Presence;

/// The place of a rumor in order of start.
pub(crate) type RumorNo = u32;

/// A rumor in a packet, and what the packet brings of it.
pub(crate) type CarriedRumor = (RumorNo, Load);

/// Rumors times nodes beyond which no more rumors are followed: 24 bytes each.
const CELLS_MAX: usize = 1 << 24;

/// What a rumor is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Metadata,
    Entry,
    Join,
    Restart,
    Update,
    Leave,
    Removal,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Entry => "entry",
            Self::Join => "join",
            Self::Restart => "restart",
            Self::Update => "update",
            Self::Leave => "leave",
            Self::Removal => "removal",
        }
    }
}

/// By what a node learned something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By itself: it did it, or it judged so by its own timeout.
    Source,
    /// From a former life of its own, which had kept it.
    Kept,
    /// By a packet.
    Packet { from: NodeNo, sent: Instant, by: Channel },
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Kept => "kept",
            Self::Packet { by, .. } => by.name(),
        }
    }
}

/// All rumors of a run.
#[derive(Clone, Debug)]
pub(crate) struct Rumors {
    cast: Arc<Cast>,
    rumors: Vec<Rumor>,
    left_out: u64,
    metadata: VersionRumors,
    /// By key.
    entries: BTreeMap<EntryKey, VersionRumors>,
    /// By the tag of their tokens: the rumors that were told along arcs.
    tags: BTreeMap<u32, Vec<RumorNo>>,
    /// By incarnation: the rumors of its start and of its end.
    about: Vec<About>,
    /// By incarnation: what it has changed of what it says, in order of generation.
    updates: BTreeMap<IncarnationNo, Vec<(Generation, RumorNo)>>,
    rows: Vec<Row>,
    rows_max: usize,
    rows_left_out: u64,
}

/// The versions of one value.
#[derive(Clone, Debug)]
struct VersionRumors {
    /// In their order, with their rumors.
    order: Vec<(Version, RumorNo)>,
    /// By node: the newest version it held. Kept over a restart, for what was held stays held.
    newest: Vec<Option<Version>>,
}

impl VersionRumors {
    fn new(nodes: u32) -> Self {
        Self { order: Vec::new(), newest: vec![None; nodes as usize] }
    }

    fn rumor(&self, version: Version) -> Option<RumorNo> {
        let place = self.order.binary_search_by_key(&version, |known| known.0).ok()?;
        Some(self.order[place].1)
    }

    fn add(&mut self, version: Version, rumor: RumorNo) {
        let place = self.order.partition_point(|&(other, _)| other < version);
        self.order.insert(place, (version, rumor));
    }

    /// A node holds this version: the rumors that are no news to it any more, and were until now.
    fn hold(&mut self, node: NodeNo, version: Version) -> Vec<RumorNo> {
        let newest = &mut self.newest[node as usize];
        if *newest >= Some(version) {
            return Vec::new();
        }
        let before = newest.replace(version);
        let from = self.order.partition_point(|&(other, _)| Some(other) <= before);
        let upto = self.order.partition_point(|&(other, _)| other <= version);
        self.order[from..upto].iter().map(|&(_, rumor)| rumor).collect()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct About {
    start: Option<RumorNo>,
    leave: Option<RumorNo>,
    removal: Option<RumorNo>,
}

impl About {
    fn ends(self) -> impl Iterator<Item = RumorNo> {
        self.leave.into_iter().chain(self.removal)
    }
}

#[derive(Clone, Debug)]
struct Rumor {
    kind: Kind,
    node: NodeNo,
    start: Instant,
    version: Option<Version>,
    /// By node.
    cells: Vec<RumorCell>,
    messages: u64,
    control_messages: u64,
    /// Packets with its value that arrived.
    delivered: u64,
    /// Nodes that came to hold it, the sources too.
    receivers: u32,
    /// Of the last of them.
    last_hop: u32,
    swap_first: u32,
}

#[derive(Clone, Copy, Debug)]
struct RumorCell {
    /// When the node first held the rumor.
    first: Option<Instant>,
    hop: u32,
    /// Packets it sent that carry the rumor.
    sent: u32,
}

/// A first receipt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) rumor: RumorNo,
    pub(crate) node: NodeNo,
    pub(crate) at: Instant,
    pub(crate) hop: u32,
    pub(crate) way: Way,
}

impl Rumors {
    pub(crate) fn new(cast: Arc<Cast>, rows_max: usize) -> Self {
        let about = vec![About::default(); cast.parts().len()];
        let metadata = VersionRumors::new(cast.nodes());
        Self {
            cast,
            rumors: Vec::new(),
            left_out: 0,
            metadata,
            entries: BTreeMap::new(),
            tags: BTreeMap::new(),
            about,
            updates: BTreeMap::new(),
            rows: Vec::new(),
            rows_max,
            rows_left_out: 0,
        }
    }

    /// A node published this version.
    pub(crate) fn publish(&mut self, at: Instant, node: NodeNo, version: Version) {
        if let Some(rumor) = self.open(Kind::Metadata, node, at, Some(version)) {
            self.metadata.add(version, rumor);
            excuse_newer(&mut self.rumors[rumor as usize], &self.metadata.newest, version);
        }
    }

    /// A node put a value or deleted a key, which made this version.
    pub(crate) fn write(&mut self, at: Instant, node: NodeNo, key: &EntryKey, version: Version) {
        if let Some(rumor) = self.open(Kind::Entry, node, at, Some(version)) {
            let versions = self.entries.entry(key.clone());
            let versions = versions.or_insert_with(|| VersionRumors::new(self.cast.nodes()));
            versions.add(version, rumor);
            excuse_newer(&mut self.rumors[rumor as usize], &versions.newest, version);
        }
    }

    /// An incarnation started that is not an initial one.
    pub(crate) fn start(&mut self, at: Instant, kind: Kind, incarnation: IncarnationNo) {
        let node = self.cast.part(incarnation).node;
        if let Some(rumor) = self.open(kind, node, at, None) {
            self.about[incarnation as usize].start = Some(rumor);
            self.take(rumor, node, at, Way::Source);
        }
    }

    /// An incarnation says something else of itself from now on, as this generation.
    pub(crate) fn update(
        &mut self,
        at: Instant,
        incarnation: IncarnationNo,
        generation: Generation,
    ) {
        let node = self.cast.part(incarnation).node;
        if let Some(rumor) = self.open(Kind::Update, node, at, None) {
            self.updates.entry(incarnation).or_default().push((generation, rumor));
            self.take(rumor, node, at, Way::Source);
        }
    }

    /// An incarnation said goodbye.
    pub(crate) fn leave(
        &mut self,
        at: Instant,
        incarnation: IncarnationNo,
        lists: impl Fn(NodeNo) -> bool,
    ) {
        let subject = self.cast.part(incarnation).node;
        let Some(rumor) = self.open(Kind::Leave, subject, at, None) else { return };
        self.about[incarnation as usize].leave = Some(rumor);
        self.excuse(rumor, lists);
        self.take(rumor, subject, at, Way::Source);
    }

    /// An incarnation is removed by timeout somewhere. That is a rumor the first time only, and
    /// none of its own after a goodbye.
    pub(crate) fn removal(
        &mut self,
        at: Instant,
        incarnation: IncarnationNo,
        lists: impl Fn(NodeNo) -> bool,
    ) {
        if self.about[incarnation as usize].ends().next().is_some() {
            return;
        }
        let subject = self.cast.part(incarnation).node;
        let Some(rumor) = self.open(Kind::Removal, subject, at, None) else { return };
        self.about[incarnation as usize].removal = Some(rumor);
        self.excuse(rumor, lists);
    }

    /// A node holds another metadata version.
    pub(crate) fn hold(&mut self, at: Instant, node: NodeNo, version: Version, way: Way) {
        let held = self.metadata.hold(node, version);
        held.into_iter().for_each(|rumor| self.take(rumor, node, at, way));
    }

    /// A node holds another version of a key.
    pub(crate) fn hold_entry(
        &mut self,
        at: Instant,
        node: NodeNo,
        (key, version): (&EntryKey, Version),
        way: Way,
    ) {
        let versions = self.entries.entry(key.clone());
        let versions = versions.or_insert_with(|| VersionRumors::new(self.cast.nodes()));
        let held = versions.hold(node, version);
        held.into_iter().for_each(|rumor| self.take(rumor, node, at, way));
    }

    /// A node lists an incarnation by a record of this generation: it has heard of its start and of
    /// what it changed up to then, and need not hear of what was at this address before.
    pub(crate) fn list(
        &mut self,
        at: Instant,
        node: NodeNo,
        (incarnation, generation): (IncarnationNo, Generation),
        way: Way,
    ) {
        if self.rumors.is_empty() {
            return;
        }
        let cast = Arc::clone(&self.cast);
        for &part in cast.same_addr(incarnation) {
            let about = self.about[part as usize];
            if part <= incarnation {
                about.start.into_iter().for_each(|rumor| self.take(rumor, node, at, way));
            }
            if part < incarnation {
                about.ends().for_each(|rumor| self.take(rumor, node, at, way));
            }
            let upto = if part < incarnation { Generation::MAX } else { generation };
            if part <= incarnation {
                self.take_updates(part, upto, node, at, way);
            }
        }
    }

    fn take_updates(
        &mut self,
        incarnation: IncarnationNo,
        upto: Generation,
        node: NodeNo,
        at: Instant,
        way: Way,
    ) {
        let Some(updates) = self.updates.get(&incarnation) else { return };
        let known = updates.iter().filter(|(of, _)| *of <= upto).map(|&(_, rumor)| rumor);
        let known: Vec<RumorNo> = known.collect();
        known.into_iter().for_each(|rumor| self.take(rumor, node, at, way));
    }

    /// A node removed an incarnation.
    pub(crate) fn unlist(
        &mut self,
        at: Instant,
        node: NodeNo,
        incarnation: IncarnationNo,
        way: Way,
    ) {
        let about = self.about[incarnation as usize];
        about.ends().for_each(|rumor| self.take(rumor, node, at, way));
    }

    /// Which rumors a packet carries, or acknowledges.
    pub(crate) fn carried<T: Traced>(
        &self,
        at: Instant,
        packet: &T,
        meant: &Meant,
        carried: &mut Vec<CarriedRumor>,
    ) {
        if self.rumors.is_empty() {
            return;
        }
        for news in packet.carries() {
            match news.about {
                NewsAbout::Tagged(tag) => {
                    let rumors = self.tags.get(&tag).into_iter().flatten();
                    carried.extend(rumors.map(|&rumor| (rumor, news.load)));
                }
                about => carried.extend(self.about(at, about, meant).map(|it| (it, news.load))),
            }
        }
    }

    /// The rumor that a piece of news is, if it is one.
    fn about(&self, at: Instant, news: NewsAbout<'_>, meant: &Meant) -> Option<RumorNo> {
        match news {
            NewsAbout::Version(version) => self.metadata.rumor(version),
            NewsAbout::Entry { key, version } => self.entries.get(key)?.rumor(version),
            NewsAbout::Member { addr, generation } => {
                self.told_by(self.cast.find(addr, generation)?, generation)
            }
            NewsAbout::Node(node) => {
                let (incarnation, generation) = meant.find(at, node)?;
                self.told_by(incarnation, generation)
            }
            NewsAbout::Departure { addr, generation, cause } => {
                let about = self.about[self.cast.find(addr, generation)? as usize];
                if cause == Cause::Left { about.leave } else { about.removal }
            }
            NewsAbout::Tagged(_) => None,
        }
    }

    /// A node sent a packet that carries these, or acknowledges them; acknowledgements of it will
    /// have this tag.
    pub(crate) fn sent(&mut self, node: NodeNo, tag: Option<u32>, carried: &[CarriedRumor]) {
        if let (Some(tag), false) = (tag, carried.is_empty()) {
            let rumors = carried.iter().map(|&(rumor, _)| rumor);
            let known = self.tags.entry(tag).or_default();
            if !rumors.clone().eq(known.iter().copied()) {
                *known = rumors.collect();
            }
        }
        for &(rumor, load) in carried {
            let rumor = &mut self.rumors[rumor as usize];
            if load == Load::Ack {
                rumor.control_messages += 1;
                continue;
            }
            rumor.messages += 1;
            rumor.cells[node as usize].sent += 1;
        }
    }

    /// A packet that carries these arrived.
    pub(crate) fn delivered(&mut self, carried: &[CarriedRumor]) {
        for &(rumor, _) in carried.iter().filter(|(_, load)| *load == Load::Value) {
            self.rumors[rumor as usize].delivered += 1;
        }
    }

    /// How many rumors were started.
    pub(crate) fn count(&self) -> usize {
        self.rumors.len()
    }

    /// `kind-index`, counted within the kind in order of start.
    pub(crate) fn id(&self, number: RumorNo) -> String {
        let kind = self.rumors[number as usize].kind;
        let before = self.rumors[..number as usize].iter().filter(|rumor| rumor.kind == kind);
        format!("{}-{}", kind.name(), before.count())
    }

    /// First receipts in order of time, as many as there is room for.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// True when somebody is known to have published this version.
    pub(crate) fn knows(&self, version: Version) -> bool {
        self.metadata.rumor(version).is_some()
    }

    /// What a record tells: that its incarnation changed what it says, or else that it started.
    fn told_by(&self, incarnation: IncarnationNo, generation: Generation) -> Option<RumorNo> {
        let mut updates = self.updates.get(&incarnation).into_iter().flatten();
        let update = updates.find(|(of, _)| *of == generation).map(|&(_, rumor)| rumor);
        update.or(self.about[incarnation as usize].start)
    }

    /// Who does not list the subject of a removal has nothing to learn.
    fn excuse(&mut self, rumor: RumorNo, lists: impl Fn(NodeNo) -> bool) {
        let Rumor { node: subject, start, cells, .. } = &mut self.rumors[rumor as usize];
        for (node, cell) in (0..).zip(cells) {
            cell.first = (node != *subject && !lists(node)).then_some(*start);
        }
    }

    fn open(
        &mut self,
        kind: Kind,
        node: NodeNo,
        start: Instant,
        version: Option<Version>,
    ) -> Option<RumorNo> {
        let nodes = self.cast.nodes() as usize;
        if (self.rumors.len() + 1) * nodes > CELLS_MAX {
            self.left_out += 1;
            return None;
        }
        let cells = vec![RumorCell { first: None, hop: 0, sent: 0 }; nodes];
        self.rumors.push(Rumor {
            kind,
            node,
            start,
            version,
            cells,
            messages: 0,
            control_messages: 0,
            delivered: 0,
            receivers: 0,
            last_hop: 0,
            swap_first: 0,
        });
        Some(self.rumors.len() as RumorNo - 1)
    }

    /// A node holds a rumor; only the first time counts.
    fn take(&mut self, number: RumorNo, node: NodeNo, at: Instant, way: Way) {
        let rumor = &mut self.rumors[number as usize];
        if rumor.cells[node as usize].first.is_some() {
            return;
        }
        let hop = match way {
            Way::Source | Way::Kept => 0,
            // The sender held it when it sent, and its hop has not changed since.
            Way::Packet { from, .. } => rumor.cells[from as usize].hop + 1,
        };
        rumor.swap_first += u32::from(way.name() == "swap");
        rumor.receivers += 1;
        rumor.last_hop = hop;
        let cell = &mut rumor.cells[node as usize];
        (cell.first, cell.hop) = (Some(at), hop);
        if self.rows.len() < self.rows_max {
            self.rows.push(Row { rumor: number, node, at, hop, way });
        } else {
            self.rows_left_out += 1;
        }
    }
}

/// A newer version may be about already where two nodes write in one instant.
fn excuse_newer(rumor: &mut Rumor, newest: &[Option<Version>], version: Version) {
    let start = rumor.start;
    for (cell, held) in rumor.cells.iter_mut().zip(newest) {
        cell.first = (*held > Some(version)).then_some(start);
    }
}
