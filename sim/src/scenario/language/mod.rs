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
mod schema;

pub(super) use self::schema::schema;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rumormill::units::{nearest, show_duration};
use rumormill::{Config, NetworkChange};

use self::actions::At;
use self::groups::Groups;
use self::links::StaticLink;
use self::network::Properties;
use super::document::{Item, Table, Value};
use super::errors::{Mistake, did_you_mean};
use super::name::Name;
use super::plan::{Expectation, SeedShare};
use super::units::{Percent, Span, parse_positive_time, parse_time};

/// Most nodes of a scenario, newcomers included.
pub(crate) const NODES_MAX: u64 = 10_000_000;
/// Most rows of a time series, and of `rumors.csv`.
const ROWS_MAX: u64 = 100_000_000;
const SAMPLES_MAX: u128 = 1_000_000;

const BOOTSTRAP_KEYS: [&str; 2] = ["random", "knows"];
const KEYS: [&str; 14] = [
    "name",
    "nodes",
    "duration",
    "bootstrap",
    "start",
    "warmup",
    "sample",
    "rumor_rows_max",
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
    /// Each begins with a list of a random share of the others.
    Knows(Percent),
}

impl Typed {
    pub(super) fn read(root: &Table) -> Result<Self, Mistake> {
        check_keys(root)?;
        let name = root
            .need("name", "name = \"my-scenario\"")?
            .parsed("a name in quotes, such as \"my-scenario\"", Name::parse)?;
        let nodes = root.need("nodes", "nodes = 50")?;
        let nodes_at = nodes.at;
        let nodes = count(nodes.number("a number of nodes", 1, NODES_MAX)?);
        let time = "a duration in quotes, such as \"60s\"";
        let duration =
            root.need("duration", "duration = \"60s\"")?.parsed(time, parse_positive_time)?;
        let table = |key, what| root.item(key).map(|item| item.table(what)).transpose();
        let groups = table("groups", "groups: [groups.NAME]")?;
        let named = Groups::read(groups)?;
        let actions = actions::read(root.item("at"), duration, named.names())?;
        let links = links::read(root.item("link"), named.names())?;
        let newcomers: u64 = actions.iter().map(At::newcomers).sum();
        if u64::from(nodes) + newcomers > NODES_MAX {
            let text = format!("{nodes} nodes and {newcomers} newcomers: at most {NODES_MAX}");
            return Err(Mistake::new(nodes_at, text));
        }
        let newcomers = count(newcomers);
        let settings = table("engine", "a table: [engine]")?;
        let engine = engine::read(&[settings], nodes + newcomers)?;
        let groups = named.complete(groups, settings, (nodes, nodes + newcomers))?;
        for engine in [&engine].into_iter().chain(groups.engines()) {
            actions::check_fits(&actions, engine)?;
        }
        let link_changes = link_changes(&links, &groups, (nodes, nodes + newcomers))?;
        let (expect, expect_seeds) = expect::read(table("expect", "a table: [expect]")?)?;
        Ok(Self {
            name,
            nodes,
            newcomers,
            duration,
            bootstrap: root.item("bootstrap").map_or(Ok(Bootstrap::First), Bootstrap::read)?,
            start: read_start(root.item("start"), duration)?,
            warmup: read_warmup(root.item("warmup"), duration, engine.cycle())?,
            sample: read_sample(root.item("sample"), duration)?,
            rumor_rows_max: read_rows_max(root.item("rumor_rows_max"))?,
            engine,
            network: Properties::of_network(table("network", "a table: [network]")?)?,
            groups,
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
        rows(&mut toml, "\n[engine]", engine::rows(&self.engine));
        rows(&mut toml, "\n[network]", self.network.rows());
        for (heading, group) in self.groups.rows(&self.engine) {
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

fn link_changes(
    links: &[StaticLink],
    groups: &Groups,
    (initial, ever): (u32, u32),
) -> Result<Vec<NetworkChange>, Mistake> {
    let change = |link: &StaticLink| {
        let (from, to, ways) = link.scope.evaluate(&mut groups.fixed(initial, ever))?;
        Ok(NetworkChange::Links { from, to, ways, change: link.change.change() })
    };
    links.iter().map(change).collect()
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
fn check_keys(root: &Table) -> Result<(), Mistake> {
    let sections: [(&str, Vec<&str>); 2] =
        [("engine", engine::keys().collect()), ("network", network::KEYS.to_vec())];
    for entry in &root.entries {
        let known = KEYS.contains(&entry.key.as_str());
        if known || nearest(&entry.key, KEYS).is_some() {
            continue;
        }
        for (section, keys) in &sections {
            if let Some(near) = nearest(&entry.key, keys.iter().copied()) {
                let hint = did_you_mean(&format!("[{section}] {near}"));
                let text = format!("unknown key `{}`{hint}", entry.key);
                return Err(Mistake::new(entry.key_at, text));
            }
        }
    }
    root.only(&KEYS)
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
    let nanos = rumormill::nanos(duration);
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
        let seeds = table.need("random", "random = 3")?.number("a number of seeds", 1, 1_000)?;
        Ok(Self::Random(count(seeds)))
    }

    fn toml(self) -> String {
        match self {
            Self::First => text_literal("first"),
            Self::Random(seeds) => format!("{{ random = {seeds} }}"),
            Self::Full => text_literal("full"),
            Self::Knows(share) => format!("{{ knows = \"{share}\" }}"),
        }
    }
}
