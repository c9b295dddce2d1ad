//! The value of each action, read and checked.

use std::time::Duration;

use rumormill::config::WireVersion;
use rumormill::core::{EntryKey, Terms};
use rumormill::node::Tags;

use super::packets::{read_drop, read_inject, read_replay};
use super::{
    Act, Address, Blow, ClockSetting, Healing, Payload, Restart, Return, TIME, Update, choice,
};
use crate::percent::Percent;
use crate::protocols::Spec;
use crate::scenario::document::{Entry, Item, Place, Table, Value};
use crate::scenario::errors::Mistake;
use crate::scenario::language::groups::{check_node_name, check_private_data};
use crate::scenario::language::links::{SCOPE_KEYS, read_change, read_scope};
use crate::scenario::language::network::{self, Properties};
use crate::scenario::language::nodes::{Names, Nodes};
use crate::scenario::plan::{Manner, Memory};
use crate::scenario::units::{
    Span, parse_drift, parse_positive_time, parse_signed_time, parse_time,
};

pub(in crate::scenario::language) const NODES_KEYS: [&str; 1] = ["nodes"];
pub(in crate::scenario::language) const PUBLISH_KEYS: [&str; 3] = ["node", "data", "size"];
pub(in crate::scenario::language) const RESTART_KEYS: [&str; 9] = [
    "nodes",
    "manner",
    "down",
    "address",
    "private_data",
    "forgets",
    "keep",
    "stale_seeds",
    "wire_max",
];
pub(in crate::scenario::language) const PUT_KEYS: [&str; 6] =
    ["node", "key", "data", "size", "ttl", "bound"];
pub(in crate::scenario::language) const DELETE_KEYS: [&str; 2] = ["node", "key"];
pub(in crate::scenario::language) const JOIN_KEYS: [&str; 3] = ["count", "via", "over"];
pub(in crate::scenario::language) const CLOCK_KEYS: [&str; 4] =
    ["nodes", "offset", "jump", "drift"];
pub(in crate::scenario::language) const STARVE_KEYS: [&str; 2] = ["nodes", "delay"];
pub(in crate::scenario::language) const SLOW_KEYS: [&str; 2] = ["nodes", "cpu"];
pub(in crate::scenario::language) const UPDATE_KEYS: [&str; 4] =
    ["nodes", "name", "private_data", "tags"];

/// Most nodes of one `join`.
const JOIN_MAX: u64 = 1_000_000;

/// What an entry does; `None` if its key is no action.
pub(super) fn read_act(
    entry: &Entry,
    names: Names<'_>,
    spec: &Spec,
) -> Option<Result<Act, Mistake>> {
    let item = &entry.item;
    let strike = |blow| read_nodes(item, names).map(|nodes| Act::Strike { nodes, blow });
    Some(match entry.key.as_str() {
        "publish" => read_publish(item, names),
        "put" => read_put(item, names),
        "delete" => read_delete(item, names),
        "partition" => read_partition(item, names),
        "heal" => read_heal(item),
        "isolate" => strike(Blow::Isolate),
        "crash" => strike(Blow::Crash),
        "stop" => strike(Blow::Stop),
        "start" => strike(Blow::Start),
        "leave" => strike(Blow::Leave),
        "link" => read_link(item, names),
        "loss" => read_property("loss", item, names),
        "latency" => read_property("latency", item, names),
        "restart" => read_restart(item, names),
        "join" => read_join(item, names),
        "pause" => strike(Blow::Pause),
        "suspend" => strike(Blow::Suspend),
        "starve" => read_starve(item, names),
        "slow" => read_slow(item, names),
        "clock" => read_clock(item, names),
        "update" => read_update(item, names),
        "drop" => read_drop(item, names, spec).map(Act::Drop),
        "replay" => read_replay(item, names).map(Act::Replay),
        "inject" => read_inject(item, names, spec).map(Box::new).map(Act::Inject),
        _ => return None,
    })
}

fn read_heal(item: &Item) -> Result<Act, Mistake> {
    Ok(Act::Heal(match item.text("a label, or \"all\"")? {
        "all" => Healing::All,
        label => Healing::Label(label.to_owned()),
    }))
}

/// NODES, or `{ nodes = NODES }`.
fn read_nodes(item: &Item, names: Names<'_>) -> Result<Nodes, Mistake> {
    if let Value::Table(table) = &item.value
        && let Some(nodes) = table.item("nodes")
    {
        table.only(&NODES_KEYS)?;
        return Nodes::read(nodes, names);
    }
    Nodes::read(item, names)
}

fn read_publish(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { node = 0, data = \"v1\" }")?;
    table.only(&PUBLISH_KEYS)?;
    let node = Nodes::read(table.need("node", "node = 0")?, names)?;
    let (payload, payload_at) = read_payload(item, table, "publish")?;
    Ok(Act::Publish { node, payload, payload_at })
}

/// What is published or put.
fn read_payload(item: &Item, table: &Table, verb: &str) -> Result<(Payload, Place), Mistake> {
    Ok(match (table.item("data"), table.entry("size")) {
        (Some(_), Some(size)) => {
            let text = "`data` and `size` exclude each other: keep one";
            return Err(Mistake::new(size.key_at, text));
        }
        (Some(data), None) => (Payload::Data(data.data("a text")?.to_owned()), data.at),
        (None, Some(Entry { item: size, .. })) => {
            let bytes = network::size(size, 0, 1 << 30)?;
            (Payload::Size(usize::try_from(bytes).expect("checked against 2^30")), size.at)
        }
        (None, None) => {
            let text = format!("nothing to {verb}: add `data = \"v1\"` or `size = \"1KiB\"`");
            return Err(Mistake::new(item.at, text));
        }
    })
}

fn read_put(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { node = 0, key = \"a\", data = \"v1\" }")?;
    table.only(&PUT_KEYS)?;
    let node = Nodes::read(table.need("node", "node = 0")?, names)?;
    let (payload, payload_at) = read_payload(item, table, "put")?;
    let ttl = table.item("ttl").map(|item| item.parsed(TIME, parse_positive_time)).transpose()?;
    let bound =
        table.item("bound").map(|item| item.flag("true or false")).transpose()?.unwrap_or(false);
    let put = Some((payload, Terms { bound, ttl }));
    Ok(Act::Write { node, key: read_key(table)?, put, payload_at })
}

fn read_delete(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { node = 0, key = \"a\" }")?;
    table.only(&DELETE_KEYS)?;
    let node = Nodes::read(table.need("node", "node = 0")?, names)?;
    Ok(Act::Write { node, key: read_key(table)?, put: None, payload_at: item.at })
}

/// The key of an entry.
fn read_key(table: &Table) -> Result<String, Mistake> {
    let item = table.need("key", "key = \"limits/login\"")?;
    let key = item.text("the key of an entry in quotes")?;
    EntryKey::new(key).map_err(|error| Mistake::new(item.at, error.to_string()))?;
    Ok(key.to_owned())
}

fn read_partition(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let groups = item.list("a list of groups, such as [\"0..25\", \"25..50\"]")?;
    if groups.is_empty() {
        let text = "a partition needs at least one group, such as [\"0..25\"]";
        return Err(Mistake::new(item.at, text));
    }
    Ok(Act::Partition(
        groups.iter().map(|group| Nodes::read(group, names)).collect::<Result<_, _>>()?,
    ))
}

fn read_link(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let example = "{ between = [\"0..25\", \"25..50\"], latency = \"20ms..40ms\" }";
    let table = item.table(&format!("a table, such as {example}"))?;
    let (scope, change) = read_change(item, table, |item| Nodes::read(item, names))?;
    Ok(Act::Link { verb: "link", scope: Some(scope), change: Box::new(change) })
}

/// `loss = "20%"`, or a table that says between whom as well; `latency` likewise.
fn read_property(verb: &'static str, item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let Value::Table(table) = &item.value else { return everywhere(verb, item) };
    let law = ["lognormal", "burst"].iter().any(|key| table.entry(key).is_some());
    if law {
        return everywhere(verb, item);
    }
    table.only(&[[verb].as_slice(), &SCOPE_KEYS].concat())?;
    let example = if verb == "loss" { "loss = \"20%\"" } else { "latency = \"20ms..40ms\"" };
    table.need(verb, example)?;
    let change = Box::new(Properties::among(table)?);
    let scope = read_scope(table, |item| Nodes::read(item, names))?;
    Ok(Act::Link { verb, scope, change })
}

fn everywhere(verb: &'static str, item: &Item) -> Result<Act, Mistake> {
    let change = Box::new(Properties::single(verb, item)?);
    Ok(Act::Link { verb, scope: None, change })
}

fn read_restart(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let how = Return::after(Duration::from_secs(1));
    let mut restart = Restart { manner: Manner::Crash, how };
    let struck = |nodes, restart| Act::Strike { nodes, blow: Blow::Restart(restart) };
    let table = match &item.value {
        Value::Table(table) if table.entry("random").is_none() => table,
        _ => return Ok(struck(Nodes::read(item, names)?, restart)),
    };
    table.only(&RESTART_KEYS)?;
    let nodes = Nodes::read(table.need("nodes", "nodes = 7")?, names)?;
    if let Some(item) = table.item("manner") {
        restart.manner = choice(item, [("crash", Manner::Crash), ("leave", Manner::Leave)])?;
    }
    if let Some(item) = table.item("down") {
        restart.how.down = item.parsed(TIME, parse_time)?;
    }
    if let Some(item) = table.item("address") {
        restart.how.address = choice(item, Address::NAMED)?;
    }
    restart.how.private_data = read_private_data(table)?;
    if let Some(item) = table.item("forgets") {
        restart.how.memory = choice(item, [("generation", Memory::Forgets)])?;
    }
    if let Some(item) = table.item("keep")
        && item.flag("true or false")?
    {
        if restart.how.memory == Memory::Forgets {
            let why = "who keeps all keeps its generation too: leave out `forgets` or `keep`";
            return Err(Mistake::new(item.at, why));
        }
        restart.how.memory = Memory::KeepsAll;
    }
    if let Some(item) = table.item("stale_seeds") {
        restart.how.stale_seeds = Some(item.parsed(TIME, parse_positive_time)?);
    }
    restart.how.wire_max = table.item("wire_max").map(read_wire_max).transpose()?;
    Ok(struck(nodes, restart))
}

fn read_wire_max(item: &Item) -> Result<WireVersion, Mistake> {
    let most = WireVersion::LATEST.number().into();
    let number = item.number("a version of the wire", 1, most)?;
    let version = u8::try_from(number).ok().and_then(WireVersion::of);
    Ok(version.expect("checked against the latest"))
}

fn read_tags(item: &Item) -> Result<Tags, Mistake> {
    let what = "a list of texts, such as [\"role=writer\"]";
    let Value::List(items) = &item.value else { return Err(item.expected(what)) };
    let mut tags = Vec::with_capacity(items.len());
    for tag in items {
        let text = tag.text("a tag in quotes, such as \"role=writer\"")?;
        let wrong = || Mistake::new(tag.at, format!("`{text}` is no tag: write KEY=VALUE"));
        tags.push(text.split_once('=').ok_or_else(wrong)?);
    }
    Tags::of(tags).map_err(|error| Mistake::new(item.at, error.to_string()))
}

fn read_private_data(table: &Table) -> Result<Option<String>, Mistake> {
    let Some(item) = table.item("private_data") else { return Ok(None) };
    let data = item.text("a text")?;
    check_private_data(data, item)?;
    Ok(Some(data.to_owned()))
}

fn read_update(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { nodes = 7, private_data = \"zone=b\" }")?;
    table.only(&UPDATE_KEYS)?;
    let nodes = Nodes::read(table.need("nodes", "nodes = 7")?, names)?;
    let name = match table.item("name") {
        None => None,
        Some(item) => {
            let name = item.text("a name in quotes, such as \"b-{i}\"")?;
            check_node_name(name, item)?;
            Some(name.to_owned())
        }
    };
    let private_data = read_private_data(table)?;
    let tags = table.item("tags").map(read_tags).transpose()?;
    if name.is_none() && private_data.is_none() && tags.is_none() {
        let text = "nothing to update: add `name = \"b-{i}\"`, `private_data = \"zone=b\"` or \
                    `tags = [\"role=writer\"]`";
        return Err(Mistake::new(item.at, text));
    }
    Ok(Act::Strike { nodes, blow: Blow::Update(Update { name, private_data, tags }) })
}

fn read_join(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { count = 5 }")?;
    table.only(&JOIN_KEYS)?;
    let count = table.need("count", "count = 5")?.number("a number of newcomers", 1, JOIN_MAX)?;
    let count = u32::try_from(count).expect("checked against JOIN_MAX");
    let via = table.item("via").map(|item| Nodes::read(item, names)).transpose()?;
    let via = via.unwrap_or_else(|| Nodes::some_live(1, item.at));
    let over = table.item("over").map(|item| item.parsed(TIME, parse_time)).transpose()?;
    Ok(Act::Join { count, via, over: over.unwrap_or_default() })
}

fn read_starve(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { nodes = 7, delay = \"500ms..2s\" }")?;
    table.only(&STARVE_KEYS)?;
    let nodes = Nodes::read(table.need("nodes", "nodes = 7")?, names)?;
    let what = "a range of time in quotes, such as \"500ms..2s\"";
    let delay = table.need("delay", "delay = \"500ms..2s\"")?.parsed(what, Span::parse)?;
    Ok(Act::Strike { nodes, blow: Blow::Starve(delay) })
}

fn read_slow(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { nodes = 7, cpu = \"5%\" }")?;
    table.only(&SLOW_KEYS)?;
    let nodes = Nodes::read(table.need("nodes", "nodes = 7")?, names)?;
    let cpu = table.need("cpu", "cpu = \"5%\"")?;
    let share = cpu.parsed("a percent in quotes, such as \"5%\"", Percent::parse)?;
    if share == Percent::default() {
        return Err(Mistake::new(cpu.at, "without a processor nothing is done: `pause` it"));
    }
    Ok(Act::Strike { nodes, blow: Blow::Slow(share) })
}

fn read_clock(item: &Item, names: Names<'_>) -> Result<Act, Mistake> {
    let table = item.table("a table, such as { nodes = 7, jump = \"-10s\" }")?;
    table.only(&CLOCK_KEYS)?;
    let nodes = Nodes::read(table.need("nodes", "nodes = 7")?, names)?;
    let mut changes = table.entries.iter().filter(|entry| entry.key != "nodes");
    let Some(Entry { key, item: value, .. }) = changes.next() else {
        let text = "what of the clock? Add one of `offset`, `jump` or `drift`";
        return Err(Mistake::new(item.at, text));
    };
    if let Some(second) = changes.next() {
        let text = format!("`{key}` and `{}`: one change of the clock at a time", second.key);
        return Err(Mistake::new(second.key_at, text));
    }
    let time = || value.parsed("a duration in quotes, such as \"-10s\"", parse_signed_time);
    let change = match key.as_str() {
        "offset" => ClockSetting::Offset { nanos: time()? },
        "jump" => ClockSetting::Jump { nanos: time()? },
        _ => ClockSetting::Drift {
            ppb: value.parsed("a drift in quotes, such as \"200ppm\"", parse_drift)?,
        },
    };
    Ok(Act::Strike { nodes, blow: Blow::Clock(change) })
}
