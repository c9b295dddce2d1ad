//! `[[at]]`: one action each, with its time, its label and how long it holds.

use std::time::Duration;

use rumormill::units::{nearest, show_duration};
use rumormill::{Config, PRIVATE_DATA_LEN_MAX, Value as Metadata};

use super::network::{self, Properties};
use super::nodes::{Nodes, show_list};
use super::text_literal;
use crate::scenario::document::{Entry, Item, Place, Table, Value};
use crate::scenario::errors::Mistake;
use crate::scenario::plan::{Heal, Manner};
use crate::scenario::units::{parse_positive_time, parse_time};

const ACTIONS: [&str; 13] = [
    "publish",
    "partition",
    "heal",
    "isolate",
    "link",
    "loss",
    "latency",
    "crash",
    "restart",
    "stop",
    "start",
    "leave",
    "join",
];
const BESIDE: [&str; 3] = ["time", "for", "label"];
const LATER: [&str; 7] = ["every", "until", "count", "jitter", "stagger", "pause", "clock"];

const TIME: &str = "a duration in quotes, such as \"10s\"";

/// One `[[at]]`, as typed.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct At {
    pub(in crate::scenario) time: Duration,
    /// After how long it is undone, if ever.
    pub(in crate::scenario) hold: Option<Duration>,
    pub(in crate::scenario) label: String,
    label_at: Option<Place>,
    pub(in crate::scenario) act: Act,
    /// Where the value of the action stands.
    pub(in crate::scenario) at: Place,
}

/// What an `[[at]]` does, as typed.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Act {
    Publish { node: Nodes, payload: Payload, payload_at: Place },
    Partition(Vec<Nodes>),
    Heal(Heal),
    Isolate(Nodes),
    Link { verb: &'static str, scope: Scope, change: Box<Properties> },
    Crash(Nodes),
    Stop(Nodes),
    Start(Nodes),
    Leave(Nodes),
    Restart(Restart),
    Join { count: u32, via: Nodes, over: Duration },
}

/// What is published.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Payload {
    Data(String),
    /// So many random bytes.
    Size(usize),
}

/// Which links change.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Scope {
    Everywhere,
    FromTo(Nodes, Nodes),
    Between(Nodes, Nodes),
}

/// How nodes go down and come back.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Restart {
    pub(in crate::scenario) nodes: Nodes,
    pub(in crate::scenario) manner: Manner,
    pub(in crate::scenario) down: Duration,
    pub(in crate::scenario) address: Address,
    pub(in crate::scenario) private_data: Option<String>,
}

/// Under which address a node comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scenario) enum Address {
    Same,
    New,
}

/// Most nodes of one `join`.
const JOIN_MAX: u64 = 1_000_000;

/// Reads all of `[[at]]`.
pub(super) fn read(item: Option<&Item>, duration: Duration) -> Result<Vec<At>, Mistake> {
    let items = match item {
        None => &[],
        Some(Item { value: Value::Table(_), at }) => {
            return Err(Mistake::new(*at, "actions stand under [[at]], with two brackets"));
        }
        Some(item) => item.list("actions, each under [[at]]")?,
    };
    let mut actions = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        actions.push(read_at(item.table("an action under [[at]]")?, item.at, index, duration)?);
    }
    check_labels(&actions)?;
    Ok(actions)
}

fn read_at(table: &Table, at: Place, index: usize, duration: Duration) -> Result<At, Mistake> {
    let entry = single_action(table, at)?;
    let time = table.need("time", "time = \"10s\"")?;
    let at_time = time.parsed(TIME, parse_time)?;
    if at_time > duration {
        let (time_text, end) = (show_duration(at_time), show_duration(duration));
        let text = format!("the time {time_text} lies beyond the duration {end}");
        return Err(Mistake::new(time.at, text));
    }
    let hold = table.entry("for").map(|hold| read_hold(hold, &entry.key)).transpose()?;
    let act = read_act(entry)?;
    let label_item = table.item("label");
    let label =
        label_item.map_or_else(|| Ok(format!("{}-{}", entry.key, index + 1)), read_label)?;
    let label_at = label_item.map(|item| item.at);
    Ok(At { time: at_time, hold, label, label_at, act, at: entry.item.at })
}

/// The one entry that is an action.
fn single_action(table: &Table, at: Place) -> Result<&Entry, Mistake> {
    let known: Vec<&str> = ACTIONS.into_iter().chain(BESIDE).collect();
    table.only(&known, &LATER)?;
    let mut actions = table.entries.iter().filter(|entry| !BESIDE.contains(&entry.key.as_str()));
    let Some(first) = actions.next() else {
        let text = format!("this [[at]] has no action: add one of {}", ACTIONS.join(", "));
        return Err(Mistake::new(at, text));
    };
    match actions.next() {
        None => Ok(first),
        Some(second) => {
            let (one, two) = (&first.key, &second.key);
            let text = format!("two actions in one [[at]], `{one}` and `{two}`: give each its own");
            Err(Mistake::new(second.key_at, text))
        }
    }
}

fn read_hold(entry: &Entry, action: &str) -> Result<Duration, Mistake> {
    let undoable = ["partition", "isolate", "link", "loss", "latency", "crash", "stop", "leave"];
    if !undoable.contains(&action) {
        let text = format!("`{action}` can't be undone: leave `for` out");
        return Err(Mistake::new(entry.key_at, text));
    }
    entry.item.parsed(TIME, parse_positive_time)
}

fn read_label(item: &Item) -> Result<String, Mistake> {
    let label = item.text("a label in quotes")?;
    if label.is_empty() || label == "all" || label.chars().any(char::is_control) {
        let text = "a label is any text but \"\" and \"all\", without control characters";
        return Err(Mistake::new(item.at, text));
    }
    Ok(label.to_owned())
}

fn read_act(entry: &Entry) -> Result<Act, Mistake> {
    let item = &entry.item;
    Ok(match entry.key.as_str() {
        "publish" => read_publish(item)?,
        "partition" => read_partition(item)?,
        "heal" => match item.text("a label, or \"all\"")? {
            "all" => Act::Heal(Heal::All),
            label => Act::Heal(Heal::Label(label.to_owned())),
        },
        "isolate" => Act::Isolate(read_nodes(item)?),
        "crash" => Act::Crash(read_nodes(item)?),
        "stop" => Act::Stop(read_nodes(item)?),
        "start" => Act::Start(read_nodes(item)?),
        "leave" => Act::Leave(read_nodes(item)?),
        "link" => read_link(item)?,
        "loss" => read_property("loss", item)?,
        "latency" => read_property("latency", item)?,
        "restart" => Act::Restart(read_restart(item)?),
        "join" => read_join(item)?,
        other => unreachable!("`{other}` is no action"),
    })
}

/// NODES, or `{ nodes = NODES }`.
fn read_nodes(item: &Item) -> Result<Nodes, Mistake> {
    if let Value::Table(table) = &item.value
        && let Some(nodes) = table.item("nodes")
    {
        table.only(&["nodes"], &[])?;
        return Nodes::read(nodes);
    }
    Nodes::read(item)
}

fn read_publish(item: &Item) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { node = 0, data = \"v1\" }")?;
    table.only(&["node", "data", "size"], &[])?;
    let node = Nodes::read(table.need("node", "node = 0")?)?;
    let (payload, payload_at) = match (table.item("data"), table.entry("size")) {
        (Some(_), Some(size)) => {
            let text = "`data` and `size` exclude each other: keep one";
            return Err(Mistake::new(size.key_at, text));
        }
        (Some(data), None) => (Payload::Data(data.text("a text")?.to_owned()), data.at),
        (None, Some(Entry { item: size, .. })) => {
            let bytes = network::size(size, 0, 1 << 30)?;
            (Payload::Size(usize::try_from(bytes).expect("checked against 2^30")), size.at)
        }
        (None, None) => {
            let text = "nothing to publish: add `data = \"v1\"` or `size = \"1KiB\"`";
            return Err(Mistake::new(item.at, text));
        }
    };
    Ok(Act::Publish { node, payload, payload_at })
}

fn read_partition(item: &Item) -> Result<Act, Mistake> {
    let groups = item.list("a list of groups, such as [\"0..25\", \"25..50\"]")?;
    if groups.is_empty() {
        let text = "a partition needs at least one group, such as [\"0..25\"]";
        return Err(Mistake::new(item.at, text));
    }
    Ok(Act::Partition(groups.iter().map(Nodes::read).collect::<Result<_, _>>()?))
}

fn read_link(item: &Item) -> Result<Act, Mistake> {
    let example = "{ between = [\"0..25\", \"25..50\"], latency = \"20ms..40ms\" }";
    let table = item.table(&format!("a table, such as {example}"))?;
    let known: Vec<&str> = ["from", "to", "between"].into_iter().chain(network::KEYS).collect();
    table.only(&known, &[])?;
    let scope = read_scope(table)?;
    let change = Properties::among(table)?;
    if change.is_empty() {
        let text = format!("this link changes nothing: add one of {}", network::KEYS.join(", "));
        return Err(Mistake::new(item.at, text));
    }
    if matches!(scope, Scope::Everywhere) {
        let text = "which links? Add `from` and `to` for one way, or `between` for both";
        return Err(Mistake::new(item.at, text));
    }
    Ok(Act::Link { verb: "link", scope, change: Box::new(change) })
}

/// `loss = "20%"`, or a table that says between whom as well; `latency` likewise.
fn read_property(verb: &'static str, item: &Item) -> Result<Act, Mistake> {
    let Value::Table(table) = &item.value else { return everywhere(verb, item) };
    let law = ["lognormal", "burst"].iter().any(|key| table.entry(key).is_some());
    if law {
        return everywhere(verb, item);
    }
    table.only(&[verb, "from", "to", "between"], &[])?;
    let example = if verb == "loss" { "loss = \"20%\"" } else { "latency = \"20ms..40ms\"" };
    table.need(verb, example)?;
    let change = Box::new(Properties::among(table)?);
    Ok(Act::Link { verb, scope: read_scope(table)?, change })
}

fn everywhere(verb: &'static str, item: &Item) -> Result<Act, Mistake> {
    let change = Box::new(Properties::single(verb, item)?);
    Ok(Act::Link { verb, scope: Scope::Everywhere, change })
}

fn read_scope(table: &Table) -> Result<Scope, Mistake> {
    match (table.entry("from"), table.entry("to"), table.entry("between")) {
        (None, None, None) => Ok(Scope::Everywhere),
        (Some(from), Some(to), None) => {
            Ok(Scope::FromTo(Nodes::read(&from.item)?, Nodes::read(&to.item)?))
        }
        (None, None, Some(between)) => {
            let what = "a list of two, such as [\"0..25\", \"25..50\"]";
            let [one, other] = between.item.list(what)? else {
                return Err(Mistake::new(between.item.at, format!("expected {what}")));
            };
            Ok(Scope::Between(Nodes::read(one)?, Nodes::read(other)?))
        }
        (Some(one), None, None) | (None, Some(one), None) => {
            let text = "`from` and `to` stand together: add the other";
            Err(Mistake::new(one.key_at, text))
        }
        (_, _, Some(between)) => {
            let text = "`between` is both ways and excludes `from` and `to`: keep one of them";
            Err(Mistake::new(between.key_at, text))
        }
    }
}

fn read_restart(item: &Item) -> Result<Restart, Mistake> {
    let mut restart = Restart {
        nodes: Nodes::one(0, item.at),
        manner: Manner::Crash,
        down: Duration::from_secs(1),
        address: Address::Same,
        private_data: None,
    };
    let table = match &item.value {
        Value::Table(table) if table.entry("random").is_none() => table,
        _ => return Ok(Restart { nodes: Nodes::read(item)?, ..restart }),
    };
    table.only(&["nodes", "manner", "down", "address", "private_data"], &[])?;
    restart.nodes = Nodes::read(table.need("nodes", "nodes = 7")?)?;
    if let Some(item) = table.item("manner") {
        restart.manner = choice(item, [("crash", Manner::Crash), ("leave", Manner::Leave)])?;
    }
    if let Some(item) = table.item("down") {
        restart.down = item.parsed(TIME, parse_time)?;
    }
    if let Some(item) = table.item("address") {
        restart.address = choice(item, [("same", Address::Same), ("new", Address::New)])?;
    }
    if let Some(item) = table.item("private_data") {
        let data = item.text("a text")?;
        if data.len() > PRIVATE_DATA_LEN_MAX {
            let (len, max) = (data.len(), PRIVATE_DATA_LEN_MAX);
            let text = format!("private data has {len} bytes, the limit is {max}: shorten it");
            return Err(Mistake::new(item.at, text));
        }
        restart.private_data = Some(data.to_owned());
    }
    Ok(restart)
}

/// One of a closed set of words.
pub(super) fn choice<T: Copy, const N: usize>(
    item: &Item,
    options: [(&str, T); N],
) -> Result<T, Mistake> {
    let names = options.map(|(name, _)| name);
    let all = names.map(|name| format!("\"{name}\"")).join(" or ");
    let typed = item.text(&all)?;
    let found = options.iter().find(|(name, _)| *name == typed);
    found.map(|&(_, option)| option).ok_or_else(|| {
        let text = match nearest(typed, names) {
            Some(near) => format!("`{typed}` is neither {all}, did you mean `{near}`?"),
            None => format!("`{typed}` is neither {all}"),
        };
        Mistake::new(item.at, text.replace("neither \"", "none of \""))
    })
}

fn read_join(item: &Item) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { count = 5 }")?;
    table.only(&["count", "via", "over"], &[])?;
    let count = table.need("count", "count = 5")?.number("a number of newcomers", 1, JOIN_MAX)?;
    let count = u32::try_from(count).expect("checked against JOIN_MAX");
    let via = table.item("via").map(Nodes::read).transpose()?;
    let via = via.unwrap_or_else(|| Nodes::some_live(1, item.at));
    let over = table.item("over").map(|item| item.parsed(TIME, parse_time)).transpose()?;
    Ok(Act::Join { count, via, over: over.unwrap_or_default() })
}

/// Publishes must fit the engine's limits, whoever publishes.
pub(super) fn check_fits(actions: &[At], config: &Config) -> Result<(), Mistake> {
    for action in actions {
        let Act::Publish { payload, payload_at, .. } = &action.act else { continue };
        let data = match payload {
            Payload::Data(data) => data.as_bytes().to_vec(),
            Payload::Size(size) => vec![0; *size],
        };
        Metadata::new(data, config)
            .map_err(|error| Mistake::new(*payload_at, error.to_string()))?;
    }
    Ok(())
}

/// A heal names an action of the network that comes before it, and what `for` undoes has a label
/// of its own.
fn check_labels(actions: &[At]) -> Result<(), Mistake> {
    let network: Vec<&At> = actions.iter().filter(|at| at.act.is_network()).collect();
    for action in actions {
        if let Act::Heal(Heal::Label(label)) = &action.act {
            check_heal(action, label, &network)?;
        }
    }
    for (index, action) in network.iter().enumerate() {
        let twin = network[..index].iter().find(|earlier| earlier.label == action.label);
        let Some(twin) = twin else { continue };
        if twin.hold.is_some() || action.hold.is_some() {
            let label = &action.label;
            let text = format!(
                "the label `{label}` stands at two actions, and the end of `for` would undo both: \
                 rename one"
            );
            return Err(Mistake::new(action.label_at.unwrap_or(action.at), text));
        }
    }
    Ok(())
}

fn check_heal(heal: &At, label: &str, network: &[&At]) -> Result<(), Mistake> {
    let mut bearers = network.iter().filter(|at| at.label == label).peekable();
    if bearers.peek().is_none() {
        let labels = network.iter().map(|at| at.label.as_str());
        return Err(Mistake::unknown(heal.at, "label", label, labels));
    }
    if let Some(first) = bearers.map(|at| at.time).min()
        && first > heal.time
    {
        let (first, now) = (show_duration(first), show_duration(heal.time));
        let text = format!("`{label}` begins only at {first}, this heal is at {now}");
        return Err(Mistake::new(heal.at, text));
    }
    Ok(())
}

impl Act {
    /// Whether it changes the network and can be healed.
    fn is_network(&self) -> bool {
        matches!(self, Self::Partition(_) | Self::Isolate(_) | Self::Link { .. })
    }

    /// Newcomers that it brings.
    pub(in crate::scenario) fn newcomers(&self) -> u32 {
        if let Self::Join { count, .. } = self { *count } else { 0 }
    }

    /// The key and its value as TOML.
    fn toml(&self) -> (&'static str, String) {
        match self {
            Self::Publish { node, payload: Payload::Data(data), .. } => {
                ("publish", format!("{{ node = {node}, data = {} }}", text_literal(data)))
            }
            Self::Publish { node, payload: Payload::Size(size), .. } => {
                ("publish", format!("{{ node = {node}, size = {size} }}"))
            }
            Self::Partition(groups) => ("partition", format!("[{}]", show_list(groups))),
            Self::Heal(Heal::All) => ("heal", text_literal("all")),
            Self::Heal(Heal::Label(label)) => ("heal", text_literal(label)),
            Self::Isolate(nodes) => ("isolate", nodes.to_string()),
            Self::Link { verb, scope, change } => (verb, link_toml(scope, change)),
            Self::Crash(nodes) => ("crash", nodes.to_string()),
            Self::Stop(nodes) => ("stop", nodes.to_string()),
            Self::Start(nodes) => ("start", nodes.to_string()),
            Self::Leave(nodes) => ("leave", nodes.to_string()),
            Self::Restart(restart) => ("restart", restart.toml()),
            Self::Join { count, via, over } => {
                let over = text_literal(&show_duration(*over));
                ("join", format!("{{ count = {count}, via = {via}, over = {over} }}"))
            }
        }
    }
}

fn link_toml(scope: &Scope, change: &Properties) -> String {
    let rows = change.rows();
    let mut fields = match scope {
        Scope::Everywhere => {
            let [(_, value)] = rows.as_slice() else { unreachable!("read_link needs a scope") };
            return value.clone();
        }
        Scope::FromTo(from, to) => vec![format!("from = {from}"), format!("to = {to}")],
        Scope::Between(one, other) => vec![format!("between = [{one}, {other}]")],
    };
    fields.extend(rows.iter().map(|(key, value)| format!("{key} = {value}")));
    format!("{{ {} }}", fields.join(", "))
}

impl Restart {
    fn toml(&self) -> String {
        let Self { nodes, manner, down, address, private_data } = self;
        let manner = if *manner == Manner::Crash { "crash" } else { "leave" };
        let address = if *address == Address::Same { "same" } else { "new" };
        let down = show_duration(*down);
        let data =
            private_data.as_ref().map(|data| format!(", private_data = {}", text_literal(data)));
        format!(
            "{{ nodes = {nodes}, manner = \"{manner}\", down = \"{down}\", \
             address = \"{address}\"{} }}",
            data.unwrap_or_default()
        )
    }
}

impl At {
    /// Its keys and their values as TOML.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let time = |time: Duration| text_literal(&show_duration(time));
        let mut rows = vec![("time", time(self.time)), self.act.toml()];
        rows.extend(self.hold.map(|hold| ("for", time(hold))));
        rows.push(("label", text_literal(&self.label)));
        rows
    }
}
