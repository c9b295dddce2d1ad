//! What of a resolved scenario the figures depend on.

use sha2::{Digest, Sha256};
use toml::{Table, Value};

/// A scenario file, as far as it is needed. Times are in nanoseconds.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) digest: String,
    pub(crate) nodes: usize,
    pub(crate) duration: u64,
    pub(crate) warmup: u64,
    pub(crate) cycle: u64,
    pub(crate) timeout: u64,
    /// Whether anybody puts or deletes an entry.
    pub(crate) writes: bool,
    /// Directions of the links under `[[link]]`: who sends, and who receives.
    pub(crate) links: Vec<(Vec<usize>, Vec<usize>)>,
    /// Name and condition.
    pub(crate) expect: Vec<(String, String)>,
}

impl Setting {
    pub(crate) fn read(text: &str) -> Self {
        let table: Table = text.parse().unwrap();
        let time = |value: &Value| duration(value.as_str().unwrap());
        let engine = table["engine"].as_table().unwrap();
        let groups = table.get("groups").and_then(Value::as_table).cloned().unwrap_or_default();
        let times = |group: &Value| {
            let own = group.get("engine").and_then(Value::as_table);
            own.is_some_and(|own| own.contains_key("cycle") || own.contains_key("timeout"))
        };
        assert!(!groups.values().any(times), "one cycle and one timeout for all");
        assert_ne!(table["bootstrap"].as_str(), Some("full"), "lists begin empty");
        let set = |nodes: &Value| set(nodes, &groups);
        let links = table.get("link").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut actions = table.get("at").and_then(Value::as_array).into_iter().flatten();
        let expect = table["expect"].as_table().unwrap().iter();
        let expect = expect.filter(|(name, _)| *name != "seeds");
        let mut expect: Vec<(String, String)> =
            expect.map(|(name, want)| (name.clone(), want.as_str().unwrap().to_owned())).collect();
        // In the order of the file.
        expect.sort_by_key(|(name, _)| text.find(&format!("\n\"{name}\" = ")));
        Self {
            digest: Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect(),
            nodes: table["nodes"].as_integer().unwrap() as usize,
            duration: time(&table["duration"]),
            warmup: time(&table["warmup"]),
            cycle: time(&engine["cycle"]),
            timeout: time(&engine["timeout"]),
            writes: actions.any(|it| it.get("put").or(it.get("delete")).is_some()),
            links: links.iter().flat_map(|link| directions(link, set)).collect(),
            expect,
        }
    }
}

fn directions(link: &Value, set: impl Fn(&Value) -> Vec<usize>) -> Vec<(Vec<usize>, Vec<usize>)> {
    let Some(between) = link.get("between") else {
        return vec![(set(&link["from"]), set(&link["to"]))];
    };
    let sides: Vec<_> = between.as_array().unwrap().iter().map(set).collect();
    let pairs = (0..sides.len()).flat_map(|a| (0..sides.len()).map(move |b| (a, b)));
    let pairs = pairs.filter(|(a, b)| a != b);
    pairs.map(|(a, b)| (sides[a].clone(), sides[b].clone())).collect()
}

/// A number, `"0..25"`, the name of a group, or several of them.
fn set(nodes: &Value, groups: &Table) -> Vec<usize> {
    match nodes {
        Value::Integer(node) => vec![*node as usize],
        Value::Array(several) => several.iter().flat_map(|one| set(one, groups)).collect(),
        Value::String(text) => match text.split_once("..") {
            Some((from, to)) => (from.parse().unwrap()..to.parse().unwrap()).collect(),
            None => match text.parse() {
                Ok(node) => vec![node],
                Err(_) => set(&groups[text.as_str()]["nodes"], groups),
            },
        },
        other => panic!("{other} is no set of nodes"),
    }
}

/// A duration such as `1m 10s`, in nanoseconds.
pub(crate) fn duration(text: &str) -> u64 {
    let part = |part: &str| {
        let digits = part.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap();
        let unit = match &part[digits..] {
            "h" => 3_600_000_000_000.0,
            "m" => 60_000_000_000.0,
            "s" => 1_000_000_000.0,
            "ms" => 1_000_000.0,
            "us" => 1_000.0,
            "ns" => 1.0,
            other => panic!("{other} is no unit"),
        };
        (part[..digits].parse::<f64>().unwrap() * unit).round() as u64
    };
    text.split_whitespace().map(part).sum()
}
