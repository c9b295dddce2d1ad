//! The scenario language: from a tree of TOML to a scenario as typed, every value checked.
//!
//! What needs the seed, such as who a random choice falls on, is left to `layout`.

pub(super) mod actions;
mod engine;
mod expect;
pub(super) mod groups;
pub(super) mod links;
mod names;
pub(super) mod network;
pub(super) mod nodes;
mod protocol;
mod schema;

pub(super) use self::schema::schema;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rumormill::Config;
use rumormill::config::WireVersion;
use rumormill::core::CommandKind;
use rumormill::link::NetworkChange;
use rumormill::units::{nearest, show_duration};

use self::actions::At;
use self::groups::Groups;
use self::links::StaticLink;
use self::network::Properties;
use super::document::{Entry, Item, Place, Table, Value};
use super::errors::{Mistake, Mistakes, did_you_mean};
use super::name::Name;
use super::plan::{Expectation, SeedShare};
use super::units::{Span, TIME_MAX, parse_positive_time, parse_time};
use crate::percent::Percent;
use crate::protocols::{Chosen, ENTRY_LEN, Spec};

/// Most nodes of a scenario, newcomers included.
pub(crate) const NODES_MAX: u64 = 10_000_000;
/// Most rows of a time series, and of `rumors.csv`.
const ROWS_MAX: u64 = 100_000_000;
const SAMPLES_MAX: u128 = 1_000_000;

const BOOTSTRAP_KEYS: [&str; 3] = ["random", "knows", "entries"];
const KEYS: [&str; 15] = [
    "name",
    "nodes",
    "duration",
    "bootstrap",
    "start",
    "warmup",
    "sample",
    "rumor_rows_max",
    "protocol",
    "engine",
    "network",
    "groups",
    "link",
    "at",
    "expect",
];

/// A scenario as typed, complete with its defaults.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) name: Name,
    pub(super) nodes: u32,
    /// Newcomers of all `join` actions.
    pub(super) newcomers: u32,
    pub(super) duration: Duration,
    pub(super) bootstrap: Bootstrap,
    pub(super) start: Span,
    pub(super) warmup: Duration,
    pub(super) sample: Duration,
    pub(super) rumor_rows_max: usize,
    pub(super) protocol: Chosen,
    /// Keys of `[engine]` that the protocol is not handed.
    pub(super) unheard: BTreeSet<String>,
    pub(super) engine: Arc<Config>,
    pub(super) network: Properties,
    pub(super) groups: Groups,
    pub(super) links: Vec<StaticLink>,
    /// What the links come to.
    pub(super) link_changes: Vec<NetworkChange>,
    pub(super) actions: Vec<At>,
    pub(super) expect: Vec<Expectation>,
    pub(super) expect_seeds: SeedShare,
}

/// How the initial nodes find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bootstrap {
    /// Node 0 is everyone's seed.
    First,
    /// Each has so many random others as seeds.
    Random(u32),
    /// Each begins with the complete list.
    Full,
    /// The same, and with so many entries.
    Holds(u32),
    /// Each begins with a list of a random share of the others.
    Knows(Percent),
}

impl Typed {
    /// How many entries the initial nodes hold at first.
    pub(super) fn entries(&self) -> u32 {
        match self.bootstrap {
            Bootstrap::Holds(entries) => entries,
            _ => 0,
        }
    }

    /// Reads a whole scenario. What is wrong is noted, and the rest looked at all the same: none
    /// is what comes of a part that is wrong.
    pub(super) fn read(root: &Table, found: &mut Mistakes) -> Option<Self> {
        check_keys(root, found);
        let name = found.keep(read_name(root));
        let typed_nodes = found.keep(read_nodes(root));
        let duration = found.keep(read_duration(root));
        let tables = Tables::find(root, found);
        let before = found.len();
        let groups = Groups::read(tables.groups, found);
        let are_groups_right = found.len() == before;
        let time = duration.unwrap_or(TIME_MAX);
        let protocol = protocol::read(tables.protocol, found);
        // One that is not known is told of alone, not by what it can't do.
        let chosen = protocol.clone().unwrap_or_default();
        let spec = &chosen.spec;
        let actions = actions::read(root.item("at"), time, (groups.names(), spec), found);
        let links = links::read(root.item("link"), groups.names(), found);
        let newcomers: u64 = actions.iter().map(At::newcomers).sum();
        let nodes = typed_nodes.and_then(|nodes| found.keep(within_limit(nodes, newcomers)));
        let cast = nodes.map(|nodes| (nodes, nodes + count(newcomers)));
        let ever = cast.map_or(0, |(_, ever)| ever);
        let engine = engine::read(&[tables.engine], (ever, spec), found);
        let groups = match (cast, &engine) {
            (Some(cast), Some(_)) if are_groups_right => {
                groups.complete(&tables, (cast, spec), found)
            }
            _ => None,
        };
        let link_changes = match (&groups, cast) {
            (Some(groups), Some(cast)) => link_changes(&links, groups, cast, found),
            _ => Vec::new(),
        };
        for engine in engine.iter().chain(groups.iter().flat_map(Groups::engines)) {
            actions::check_fits(&actions, engine, found);
            if let Some(groups) = &groups {
                let settings = tables.groups.or(tables.engine).map_or(root.at, |table| table.at);
                actions::check_texts(&actions, groups, (engine, settings), found);
            }
            found.keep(protocol::check(&chosen, engine, tables.protocol));
        }
        let (expect, expect_seeds) = expect::read(tables.expect, found);
        let bootstrap = found.keep(read_bootstrap(root.item("bootstrap"), (&engine, spec)));
        let start = found.keep(read_start(root.item("start"), time));
        let cycle = engine.as_ref().map_or(Duration::ZERO, |engine| engine.cycle());
        let warmup = found.keep(read_warmup(root.item("warmup"), time, cycle));
        let sample = found.keep(read_sample(root.item("sample"), time));
        let rumor_rows_max = found.keep(read_rows_max(root.item("rumor_rows_max")));
        let network = Properties::of_network(tables.network, found);
        Some(Self {
            name: name?,
            nodes: nodes?,
            newcomers: count(newcomers),
            duration: duration?,
            bootstrap: bootstrap?,
            start: start?,
            warmup: warmup?,
            sample: sample?,
            rumor_rows_max: rumor_rows_max?,
            unheard: tables.unheard(spec),
            protocol: protocol?,
            engine: engine?,
            network,
            groups: groups?,
            links,
            link_changes,
            actions,
            expect,
            expect_seeds,
        })
    }

    /// The scenario with every default written out, as TOML.
    pub(super) fn resolved(&self) -> String {
        let mut toml = String::new();
        rows(&mut toml, "", self.general());
        let spec = &self.protocol.spec;
        let protocol = protocol::rows(&self.protocol);
        if !protocol.is_empty() {
            rows(&mut toml, "\n[protocol]", protocol);
        }
        rows(&mut toml, "\n[engine]", engine::rows_for(spec, &self.engine));
        rows(&mut toml, "\n[network]", self.network.rows());
        for (heading, group) in self.groups.rows(spec, &self.engine) {
            rows(&mut toml, &heading, group);
        }
        for link in &self.links {
            rows(&mut toml, "\n[[link]]", link.rows());
        }
        for action in &self.actions {
            rows(&mut toml, "\n[[at]]", action.rows());
        }
        rows(&mut toml, "\n[expect]", self.expectations());
        toml
    }

    fn general(&self) -> Vec<(&'static str, String)> {
        let time = |time: Duration| text_literal(&show_duration(time));
        vec![
            ("name", text_literal(&self.name)),
            ("nodes", self.nodes.to_string()),
            ("duration", time(self.duration)),
            ("bootstrap", self.bootstrap.toml()),
            ("start", text_literal(&self.start.to_string())),
            ("warmup", time(self.warmup)),
            ("sample", time(self.sample)),
            ("rumor_rows_max", self.rumor_rows_max.to_string()),
        ]
    }

    fn expectations(&self) -> Vec<(String, String)> {
        let measures = self
            .expect
            .iter()
            .map(|expectation| (text_literal(&expectation.name), text_literal(&expectation.want)));
        let seeds = ("seeds".to_owned(), text_literal(&self.expect_seeds.text));
        measures.chain([seeds]).collect()
    }
}

fn read_name(root: &Table) -> Result<Name, Mistake> {
    let what = "a name in quotes, such as \"my-scenario\"";
    root.need("name", "name = \"my-scenario\"")?.parsed(what, Name::parse)
}

/// How many nodes, and where that stands.
fn read_nodes(root: &Table) -> Result<(u32, Place), Mistake> {
    let nodes = root.need("nodes", "nodes = 50")?;
    Ok((count(nodes.number("a number of nodes", 1, NODES_MAX)?), nodes.at))
}

fn read_duration(root: &Table) -> Result<Duration, Mistake> {
    let what = "a duration in quotes, such as \"60s\"";
    root.need("duration", "duration = \"60s\"")?.parsed(what, parse_positive_time)
}

fn within_limit((nodes, at): (u32, Place), newcomers: u64) -> Result<u32, Mistake> {
    if u64::from(nodes) + newcomers > NODES_MAX {
        let text = format!("{nodes} nodes and {newcomers} newcomers: at most {NODES_MAX}");
        return Err(Mistake::new(at, text));
    }
    Ok(nodes)
}

/// How the nodes find each other, if such nodes can.
fn read_bootstrap(
    item: Option<&Item>,
    (engine, spec): (&Option<Arc<Config>>, &Spec),
) -> Result<Bootstrap, Mistake> {
    let Some(item) = item else { return Ok(Bootstrap::First) };
    let bootstrap = Bootstrap::read(item)?;
    if let (Bootstrap::Holds(entries), Some(engine)) = (bootstrap, engine) {
        check_entries(item, entries, (engine, spec))?;
    }
    Ok(bootstrap)
}

/// Whether nodes of these settings can begin with so many entries.
fn check_entries(
    item: &Item,
    entries: u32,
    (engine, spec): (&Config, &Spec),
) -> Result<(), Mistake> {
    let refuse = |text| Err(Mistake::new(item.at, text));
    if spec.refuses.contains(&CommandKind::Put) || engine.wire_max() == WireVersion::One {
        return refuse("these nodes hold no entries: leave `entries` out".to_owned());
    }
    let bytes = entries as usize * ENTRY_LEN;
    let fits = entries as usize <= engine.entries_max() && bytes <= engine.entries_bytes_max();
    if !fits || engine.entry_len_max() < ENTRY_LEN {
        return refuse(format!(
            "{entries} entries of {ENTRY_LEN} bytes do not fit: raise `entries_max`, \
             `entries_bytes_max` or `entry_len_max` in [engine]"
        ));
    }
    Ok(())
}

/// The sections of a file that are tables.
#[derive(Clone, Copy)]
struct Tables<'a> {
    protocol: Option<&'a Table>,
    engine: Option<&'a Table>,
    network: Option<&'a Table>,
    groups: Option<&'a Table>,
    expect: Option<&'a Table>,
}

impl<'a> Tables<'a> {
    fn find(root: &'a Table, found: &mut Mistakes) -> Self {
        let mut table = |key, what| root.item(key).and_then(|item| found.keep(item.table(what)));
        Self {
            protocol: table("protocol", "a table: [protocol]"),
            engine: table("engine", "a table: [engine]"),
            network: table("network", "a table: [network]"),
            groups: table("groups", "groups: [groups.NAME]"),
            expect: table("expect", "a table: [expect]"),
        }
    }

    /// Keys of all engines' settings that a protocol is not handed.
    fn unheard(&self, spec: &Spec) -> BTreeSet<String> {
        let groups = self.groups.iter().flat_map(|groups| &groups.entries);
        let table = |item: &'a Item| item.table("a table").ok();
        let of_group = |entry: &'a Entry| table(table(&entry.item)?.item("engine")?);
        let tables = groups.filter_map(of_group).chain(self.engine);
        tables.flat_map(|table| engine::unheard(Some(table), spec)).map(str::to_owned).collect()
    }
}

fn link_changes(
    links: &[StaticLink],
    groups: &Groups,
    (initial, ever): (u32, u32),
    found: &mut Mistakes,
) -> Vec<NetworkChange> {
    let mut changes = Vec::new();
    for link in links {
        let Some(scope) = found.keep(link.scope.evaluate(&mut groups.fixed(initial, ever))) else {
            continue;
        };
        changes.extend(scope.changes(&link.change.change()));
    }
    changes
}

fn rows<K: AsRef<str>>(toml: &mut String, heading: &str, rows: Vec<(K, String)>) {
    if !heading.is_empty() {
        writeln!(toml, "{heading}").expect("a String takes everything");
    }
    for (key, value) in rows {
        writeln!(toml, "{} = {value}", key.as_ref()).expect("a String takes everything");
    }
}

/// A text as TOML writes it, quotes included.
fn text_literal(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn count(number: u64) -> u32 {
    u32::try_from(number).expect("checked against NODES_MAX")
}

/// Like any unknown key, but one that belongs to a section is sent there.
fn check_keys(root: &Table, found: &mut Mistakes) {
    let sections: [(&str, Vec<&str>); 2] =
        [("engine", engine::keys().collect()), ("network", network::KEYS.to_vec())];
    for mut mistake in root.unknown(&KEYS) {
        let typed = root.entries.iter().find(|entry| entry.key_at == mistake.at);
        let key = typed.map_or("", |entry| entry.key.as_str());
        let elsewhere = sections.iter().find_map(|(section, keys)| {
            Some(format!("[{section}] {}", nearest(key, keys.iter().copied())?))
        });
        if let Some(near) = elsewhere.filter(|_| nearest(key, KEYS).is_none()) {
            mistake.text = format!("unknown key `{key}`{}", did_you_mean(&near));
        }
        found.note(mistake);
    }
}

fn read_start(item: Option<&Item>, duration: Duration) -> Result<Span, Mistake> {
    let Some(item) = item else { return Ok(Span::default()) };
    let span = item.parsed("a range of time in quotes, such as \"0s..1s\"", Span::parse)?;
    if span.max > duration {
        let (max, end) = (show_duration(span.max), show_duration(duration));
        let text = format!("the last start {max} lies beyond the duration {end}");
        return Err(Mistake::new(item.at, text));
    }
    Ok(span)
}

fn read_warmup(
    item: Option<&Item>,
    duration: Duration,
    cycle: Duration,
) -> Result<Duration, Mistake> {
    let Some(item) = item else { return Ok((cycle * 10).min(duration / 5)) };
    let warmup = item.parsed("a duration in quotes, such as \"5s\"", parse_time)?;
    if warmup >= duration {
        let (warmup, end) = (show_duration(warmup), show_duration(duration));
        let text = format!("the warm-up {warmup} leaves nothing of the duration {end}");
        return Err(Mistake::new(item.at, text));
    }
    Ok(warmup)
}

fn read_sample(item: Option<&Item>, duration: Duration) -> Result<Duration, Mistake> {
    let Some(item) = item else { return Ok(default_sample(duration)) };
    let sample = item.parsed("a duration in quotes, such as \"100ms\"", parse_positive_time)?;
    if duration.as_nanos() / sample.as_nanos() > SAMPLES_MAX {
        let sample = show_duration(sample);
        let text = format!("a sample every {sample} makes more than {SAMPLES_MAX} rows");
        return Err(Mistake::new(item.at, text));
    }
    Ok(sample)
}

/// A 600th of the run in whole milliseconds, or of a very short one exactly.
fn default_sample(duration: Duration) -> Duration {
    let nanos = rumormill::time::nanos(duration);
    match (nanos / 600 + 500_000) / 1_000_000 {
        0 => Duration::from_nanos((nanos / 600).max(1)),
        millis => Duration::from_millis(millis),
    }
}

fn read_rows_max(item: Option<&Item>) -> Result<usize, Mistake> {
    let Some(item) = item else { return Ok(200_000) };
    let rows = item.number("a limit on rows", 0, ROWS_MAX)?;
    Ok(usize::try_from(rows).expect("checked against ROWS_MAX"))
}

impl Bootstrap {
    fn read(item: &Item) -> Result<Self, Mistake> {
        let Value::Table(table) = &item.value else {
            return actions::choice(item, [("first", Self::First), ("full", Self::Full)]);
        };
        table.only(&BOOTSTRAP_KEYS)?;
        if let Some(share) = table.item("knows") {
            let percent = share.text("a share of the other nodes, such as \"95%\"")?;
            let percent = Percent::parse(percent).map_err(|text| Mistake::new(share.at, text))?;
            return Ok(Self::Knows(percent));
        }
        if let Some(entries) = table.item("entries") {
            return Ok(Self::Holds(count(entries.number("a number of entries", 1, 100_000)?)));
        }
        let seeds = table.need("random", "random = 3")?.number("a number of seeds", 1, 1_000)?;
        Ok(Self::Random(count(seeds)))
    }

    fn toml(self) -> String {
        match self {
            Self::First => text_literal("first"),
            Self::Random(seeds) => format!("{{ random = {seeds} }}"),
            Self::Full => text_literal("full"),
            Self::Holds(entries) => format!("{{ entries = {entries} }}"),
            Self::Knows(share) => format!("{{ knows = \"{share}\" }}"),
        }
    }
}
