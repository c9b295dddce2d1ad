//! `[groups.NAME]`: names for sets of nodes, and settings that they have to themselves.

use std::sync::Arc;

use rumormill::Config;
use rumormill::node::{NAME_LEN_MAX, PRIVATE_DATA_LEN_MAX};

use super::actions::ClockSetting;
use super::nodes::{Moment, Names, Nodes, Present};
use super::{Tables, actions, engine, text_literal};
use crate::protocols::Spec;
use crate::scenario::document::{Entry, Item, Table};
use crate::scenario::errors::{Mistake, Mistakes};
use crate::scenario::plan::{ClockChange, NodeNo};
use crate::scenario::units::{parse_drift, parse_signed_time};

pub(super) const CLOCK_KEYS: [&str; 2] = ["offset", "drift"];
pub(super) const KEYS: [&str; 6] = ["nodes", "name", "private_data", "zone", "clock", "engine"];

/// What stands for a node's place in its group, in a pattern of names.
pub(in crate::scenario) const PLACE: &str = "{i}";

/// Places are numbers of at most as many digits as this.
const PLACE_MAX: &str = "9999999";

/// All groups, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario) struct Groups {
    names: Vec<String>,
    groups: Vec<Group>,
    /// By group: its nodes, sorted.
    sets: Vec<Vec<NodeNo>>,
}

/// One group, as typed.
#[derive(Clone, Debug)]
struct Group {
    typed: Nodes,
    /// The pattern of its nodes' names.
    name: Option<String>,
    private_data: Option<String>,
    clock: Vec<ClockSetting>,
    engine: Option<Arc<Config>>,
}

impl Groups {
    /// Reads what does not depend on how many nodes there are. [`Groups::complete`] does the rest.
    ///
    /// A group that is wrong has a name all the same, so that whoever uses it is not told off.
    pub(super) fn read(table: Option<&Table>, found: &mut Mistakes) -> Self {
        let mut all = Self::default();
        for entry in table.map_or(&[][..], |table| &table.entries) {
            found.keep(check_name(entry));
            let group = Group::read(&entry.item, Names(&all.names), found);
            all.names.push(entry.key.clone());
            all.groups.extend(group);
        }
        all
    }

    /// The names that NODES may use.
    pub(super) fn names(&self) -> Names<'_> {
        Names(&self.names)
    }

    /// Finds out who is in which group, and reads `engine` for each. All of them must have been
    /// read without a mistake.
    pub(super) fn complete(
        mut self,
        tables: &Tables<'_>,
        ((initial, ever), spec): ((u32, u32), &Spec),
        found: &mut Mistakes,
    ) -> Option<Self> {
        let what = "settings of the engine, such as { fan_out = 4 }";
        for (index, entry) in tables.groups.iter().flat_map(|table| &table.entries).enumerate() {
            let mut fixed = Fixed { initial, ever, sets: &self.sets };
            // Later groups may be made of this one.
            let set = found.keep(self.groups[index].typed.evaluate(&mut fixed))?;
            let settings = found.keep(entry.item.table("a group"))?;
            let own = settings.item("engine").map(|own| found.keep(own.table(what)));
            let zone = zone_alone(settings);
            if own.is_some() || zone.is_some() {
                let all = [tables.engine, own.flatten(), zone.as_ref()];
                self.groups[index].engine = engine::read(&all, (ever, spec), found);
            }
            found.keep(self.check_apart(index, &set, settings));
            found.keep(self.check_names(index, &set, settings));
            self.sets.push(set);
        }
        Some(self)
    }

    /// A node has every setting from one group only.
    fn check_apart(&self, index: usize, set: &[NodeNo], table: &Table) -> Result<(), Mistake> {
        for (earlier, nodes) in self.sets.iter().enumerate() {
            let shared = set.iter().find(|node| nodes.binary_search(node).is_ok());
            let Some(node) = shared else { continue };
            let (one, other) = (&self.groups[earlier], &self.groups[index]);
            let both = [
                ("name", one.name.is_some() && other.name.is_some()),
                ("private_data", one.private_data.is_some() && other.private_data.is_some()),
                ("clock", !one.clock.is_empty() && !other.clock.is_empty()),
                ("engine", one.engine.is_some() && other.engine.is_some()),
            ];
            if let Some((key, _)) = both.iter().find(|(_, both)| *both) {
                // A zone is a setting of the engine.
                let entry = table.entry(key).or(table.entry("zone")).expect("it was read");
                let name = &self.names[earlier];
                let text = format!("node {node} has its `{key}` from the group `{name}` already");
                return Err(Mistake::new(entry.key_at, text));
            }
        }
        Ok(())
    }

    fn check_names(&self, index: usize, set: &[NodeNo], table: &Table) -> Result<(), Mistake> {
        let Some(pattern) = &self.groups[index].name else { return Ok(()) };
        let last = pattern.replace(PLACE, &(set.len() - 1).to_string());
        if last.len() > NAME_LEN_MAX {
            let text = format!("`{last}` is too long a name: at most {NAME_LEN_MAX} bytes");
            return Err(Mistake::new(table.item("name").expect("it was read").at, text));
        }
        Ok(())
    }

    /// The nodes of a group, sorted.
    pub(in crate::scenario) fn set(&self, group: usize) -> &[NodeNo] {
        &self.sets[group]
    }

    /// The moment at which nodes are evaluated that are the same all the time.
    pub(super) fn fixed(&self, initial: u32, ever: u32) -> Fixed<'_> {
        Fixed { initial, ever, sets: &self.sets }
    }

    /// The name that its group gives a node.
    pub(in crate::scenario) fn name_of(&self, node: NodeNo) -> Option<String> {
        let (place, name) = self.setting(node, |group| group.name.as_deref())?;
        Some(name.replace(PLACE, &place.to_string()))
    }

    /// The same, where no other node has it.
    pub(super) fn own_name_of(&self, node: NodeNo) -> Option<String> {
        self.namer_of(node).and_then(|_| self.name_of(node))
    }

    /// The group that gives a node a name of its own.
    pub(super) fn namer_of(&self, node: NodeNo) -> Option<usize> {
        let names = |(group, set): &(&Group, &Vec<NodeNo>)| {
            group.name.is_some() && set.binary_search(&node).is_ok()
        };
        let (place, (group, set)) =
            self.groups.iter().zip(&self.sets).enumerate().find(|(_, it)| names(it))?;
        let apart = set.len() == 1 || group.name.as_ref().is_some_and(|name| name.contains(PLACE));
        apart.then_some(place)
    }

    /// The name of each group and its nodes, sorted.
    pub(in crate::scenario) fn sets(&self) -> impl Iterator<Item = (&str, &[NodeNo])> {
        self.names.iter().map(String::as_str).zip(self.sets.iter().map(Vec::as_slice))
    }

    /// The private data that its group gives a node.
    pub(in crate::scenario) fn private_data_of(&self, node: NodeNo) -> Option<&str> {
        Some(self.setting(node, |group| group.private_data.as_deref())?.1)
    }

    /// The longest of all private data of groups.
    pub(super) fn longest_private_data(&self) -> &str {
        let all = self.groups.iter().filter_map(|group| group.private_data.as_deref());
        all.max_by_key(|data| data.len()).unwrap_or_default()
    }

    /// The settings of the engine that its group gives a node.
    pub(in crate::scenario) fn engine_of(&self, node: NodeNo) -> Option<&Arc<Config>> {
        Some(self.setting(node, |group| group.engine.as_ref())?.1)
    }

    /// How clocks differ from the beginning on.
    pub(in crate::scenario) fn clocks(&self) -> Vec<(Vec<NodeNo>, ClockChange)> {
        let of_group = |(group, set): (&Group, &Vec<NodeNo>)| {
            group.clock.iter().map(|it| (set.clone(), it.change())).collect::<Vec<_>>()
        };
        self.groups.iter().zip(&self.sets).flat_map(of_group).collect()
    }

    /// A setting of a node, with the node's place in the group that has it.
    fn setting<'g, T>(
        &'g self,
        node: NodeNo,
        setting: impl Fn(&'g Group) -> Option<T>,
    ) -> Option<(usize, T)> {
        self.groups.iter().zip(&self.sets).find_map(|(group, set)| {
            let setting = setting(group)?;
            Some((set.binary_search(&node).ok()?, setting))
        })
    }

    /// The engines' settings, default and of groups, of which publishes must fit the least.
    pub(super) fn engines(&self) -> impl Iterator<Item = &Arc<Config>> {
        self.groups.iter().filter_map(|group| group.engine.as_ref())
    }

    /// The heading of each group, its keys and their values as TOML.
    pub(super) fn rows(
        &self,
        spec: &Spec,
        default: &Config,
    ) -> Vec<(String, Vec<(&'static str, String)>)> {
        let heading = |name: &str| format!("\n[groups.{name}]");
        let rows = self.groups.iter().map(|group| group.rows(spec, default));
        self.names.iter().map(|name| heading(name)).zip(rows).collect()
    }
}

impl Group {
    fn read(item: &Item, names: Names<'_>, found: &mut Mistakes) -> Option<Self> {
        let table = found.keep(item.table("a group, such as { nodes = \"0..25\" }"))?;
        found.extend(table.unknown(&KEYS));
        let nodes = table.need("nodes", "nodes = \"0..25\"");
        let typed = found.keep(nodes.and_then(|nodes| Nodes::read_fixed(nodes, names)));
        let mut text = |key, check: fn(&str, &Item) -> Result<(), Mistake>| {
            let item = table.item(key)?;
            let checked = |text: &str| check(text, item).map(|()| text.to_owned());
            found.keep(item.text("a text").and_then(checked))
        };
        let name = text("name", |_, _| Ok(()));
        let private_data = text("private_data", check_private_data);
        let clock = found.keep(table.item("clock").map_or(Ok(Vec::new()), read_clock));
        Some(Self { typed: typed?, name, private_data, clock: clock?, engine: None })
    }

    fn rows(&self, spec: &Spec, default: &Config) -> Vec<(&'static str, String)> {
        let mut rows = vec![("nodes", self.typed.to_string())];
        rows.extend(self.name.as_ref().map(|name| ("name", text_literal(name))));
        rows.extend(self.private_data.as_ref().map(|data| ("private_data", text_literal(data))));
        let show = |row: &(&str, String)| format!("{} = {}", row.0, row.1);
        let clock: Vec<String> =
            self.clock.iter().map(|&change| show(&actions::clock_row(change))).collect();
        rows.extend((!clock.is_empty()).then(|| ("clock", format!("{{ {} }}", clock.join(", ")))));
        if let Some(config) = &self.engine {
            // Only what differs: the rest is that of [engine], where every default stands.
            let defaults = engine::rows_for(spec, default);
            let own = engine::rows_for(spec, config);
            let differs = own.iter().filter(|row| !defaults.contains(row)).map(show);
            let differs: Vec<String> = differs.collect();
            rows.push(("engine", format!("{{ {} }}", differs.join(", "))));
        }
        rows
    }
}

/// `zone = "a"` of a group, which is short for `engine.zone`.
fn zone_alone(settings: &Table) -> Option<Table> {
    let zone = settings.entry("zone")?;
    Some(Table { entries: vec![zone.clone()], at: zone.key_at })
}

fn check_name(Entry { key, key_at, .. }: &Entry) -> Result<(), Mistake> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if key.is_empty() || !key.chars().all(plain) || key.starts_with(char::is_numeric) {
        let text = format!("`{key}` names no group: a letter, then letters, 0-9, - and _");
        return Err(Mistake::new(*key_at, text));
    }
    if Names::is_taken(key) {
        let text = format!("`{key}` names nodes already: take another name");
        return Err(Mistake::new(*key_at, text));
    }
    Ok(())
}

/// Private data must be short.
/// A pattern of names, whoever it is for.
pub(super) fn check_node_name(pattern: &str, item: &Item) -> Result<(), Mistake> {
    let longest = pattern.replace(PLACE, PLACE_MAX);
    if longest.len() > NAME_LEN_MAX {
        let text = format!("`{longest}` is too long a name: at most {NAME_LEN_MAX} bytes");
        return Err(Mistake::new(item.at, text));
    }
    Ok(())
}

pub(super) fn check_private_data(data: &str, item: &Item) -> Result<(), Mistake> {
    if data.len() > PRIVATE_DATA_LEN_MAX {
        let (len, max) = (data.len(), PRIVATE_DATA_LEN_MAX);
        let text = format!("private data has {len} bytes, the limit is {max}: shorten it");
        return Err(Mistake::new(item.at, text));
    }
    Ok(())
}

fn read_clock(item: &Item) -> Result<Vec<ClockSetting>, Mistake> {
    let table = item.table("a table, such as { offset = \"-2s\", drift = \"50ppm\" }")?;
    table.only(&CLOCK_KEYS)?;
    let mut changes = Vec::new();
    if let Some(offset) = table.item("offset") {
        let nanos = offset.parsed("a duration in quotes, such as \"-2s\"", parse_signed_time)?;
        changes.push(ClockSetting::Offset { nanos });
    }
    if let Some(drift) = table.item("drift") {
        let ppb = drift.parsed("a drift in quotes, such as \"200ppm\"", parse_drift)?;
        changes.push(ClockSetting::Drift { ppb });
    }
    Ok(changes)
}

/// All the time as one moment: who is live or drawn means nothing in it.
pub(super) struct Fixed<'g> {
    initial: u32,
    ever: u32,
    sets: &'g [Vec<NodeNo>],
}

impl Moment for Fixed<'_> {
    fn initial(&self) -> u32 {
        self.initial
    }

    /// Percents are shares of the initial nodes.
    fn so_far(&self) -> u32 {
        self.initial
    }

    fn ever(&self) -> u32 {
        self.ever
    }

    /// Newcomers too.
    fn all(&self) -> u32 {
        self.ever
    }

    fn group(&self, group: usize) -> &[NodeNo] {
        &self.sets[group]
    }

    fn present(&mut self) -> Option<&mut dyn Present> {
        None
    }
}
