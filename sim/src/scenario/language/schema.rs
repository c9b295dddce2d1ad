//! The JSON Schema of scenario files, by which editors complete keys and mark wrong ones.
//!
//! Its keys are the very lists that the reader checks against, and what `[engine]` takes is asked
//! of the engine itself. It is no second reader: what depends on another value, and how a text is
//! written in detail, `sim check` knows alone.

use rumormill::config::Setting;
use rumormill::{Config, ConfigBuilder};
use serde_json::{Map, Value, json};

use super::actions::{self, packets, read};
use super::{BOOTSTRAP_KEYS, KEYS, NODES_MAX, engine, groups, links, network, nodes, protocol};
use crate::measures;
use crate::protocols::{self, Claim, KeyValue, Lie, Spec};

/// The schema.
pub(in crate::scenario) fn schema() -> Value {
    let mut schema = object(&KEYS, &["name", "nodes", "duration"], general);
    let head = [
        ("$schema", "https://json-schema.org/draft/2020-12/schema"),
        ("title", "A scenario of rumormill"),
    ];
    for (key, text) in head {
        schema[key] = text.into();
    }
    schema["$defs"] = json!({ "nodes": any_nodes() });
    schema
}

/// A table with these keys and no others.
fn object(keys: &[&str], required: &[&str], value: impl Fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|&key| (key.to_owned(), value(key))).collect();
    let mut object =
        json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

/// The value of a key that is described nowhere, which a test finds.
fn anything() -> Value {
    json!({})
}

fn text(example: &str, description: &str) -> Value {
    json!({ "type": "string", "description": description, "examples": [example] })
}

fn time(description: &str) -> Value {
    text("10s", description)
}

fn percent(description: &str) -> Value {
    text("1%", description)
}

fn number(low: u64, description: &str) -> Value {
    json!({ "type": "integer", "minimum": low, "description": description })
}

fn size(description: &str) -> Value {
    json!({
        "type": ["integer", "string"], "description": description, "examples": [1400, "64KiB"]
    })
}

fn words(words: &[&str], description: &str) -> Value {
    json!({ "enum": words, "description": description })
}

fn list(of: &Value) -> Value {
    json!({ "type": "array", "items": of })
}

fn either(options: &[Value]) -> Value {
    json!({ "anyOf": options })
}

fn general(key: &str) -> Value {
    match key {
        "name" => {
            let mut name = text("my-scenario", "names the folder of the results");
            name["pattern"] = "^[a-z0-9-]{1,64}$".into();
            name
        }
        "nodes" => {
            let mut nodes = number(1, "how many nodes there are at first");
            nodes["maximum"] = NODES_MAX.into();
            nodes
        }
        "duration" => text("60s", "virtual time that a run takes"),
        "bootstrap" => bootstrap(),
        "start" => text("0s..1s", "when the nodes start: a time, or a range"),
        "warmup" => time("what figures per second leave out at the beginning"),
        "sample" => text("100ms", "distance of two rows of series.csv"),
        "rumor_rows_max" => number(0, "rows after which rumors.csv ends"),
        "protocol" => protocol_table(),
        "engine" => settings(),
        "network" => object(&network::KEYS, &[], property),
        "groups" => {
            let group = object(&groups::KEYS, &["nodes"], of_group);
            json!({ "type": "object", "additionalProperties": group })
        }
        "link" => list(&link()),
        "at" => list(&at()),
        "expect" => expect(),
        _ => anything(),
    }
}

fn bootstrap() -> Value {
    let table = object(&BOOTSTRAP_KEYS, &[], |key| match key {
        "random" => number(1, "so many random seeds each"),
        "entries" => number(1, "each begins with the complete list and so many entries"),
        "knows" => text("95%", "each begins with a list of a random share of the others"),
        _ => anything(),
    });
    either(&[words(&["first", "full"], "how the nodes find each other"), table])
}

/// `[protocol]`: for each protocol its name and its own keys.
fn protocol_table() -> Value {
    let table = |spec: &Spec| {
        let keys: Vec<&str> = protocol::keys(spec).collect();
        object(&keys, &[protocol::NAME], |key| {
            match spec.keys.iter().find(|declared| declared.name == key) {
                None => words(&[spec.name], spec.about),
                Some(key) => json!({ "type": kind(&key.default), "description": key.about }),
            }
        })
    };
    either(&protocols::known().map(table).collect::<Vec<_>>())
}

fn kind(value: &KeyValue) -> &'static str {
    match value {
        KeyValue::Number(_) => "integer",
        KeyValue::Flag(_) => "boolean",
        KeyValue::Time(_) | KeyValue::Text(_) => "string",
    }
}

/// Every kind of packet of any protocol.
fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<&str> = Vec::new();
    for &kind in protocols::known().flat_map(|spec| spec.kinds) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

/// `[engine]`: which kinds of value a key takes is asked of the engine.
fn settings() -> Value {
    let keys: Vec<&str> = engine::keys().collect();
    let defaults = engine::rows(&Config::default());
    object(&keys, &[], |key| {
        let takes = |setting: Setting| ConfigBuilder::default().set(key, &setting);
        let mut kinds = Vec::new();
        // The largest that a time or size takes in its stead, and the least of all.
        if [5_000, 1].into_iter().any(|number| takes(Setting::Integer(number)).is_ok()) {
            kinds.push("integer");
        }
        if takes(Setting::List(vec!["role=db".to_owned()])).is_ok() {
            kinds.push("array");
        }
        if takes(Setting::Flag(true)).is_ok() {
            kinds.push("boolean");
        }
        let texts = ["1s", "1KiB", "?"].map(|text| takes(Setting::Text(text.to_owned())));
        let words = words_of(&texts[2]);
        if texts.iter().any(Result::is_ok) || words.is_some() {
            kinds.push("string");
        }
        let mut setting = json!({ "type": kinds });
        if let Some(words) = words {
            setting["enum"] = words.into();
        }
        if let Some((_, default)) = defaults.iter().find(|(row, _)| *row == key) {
            setting["description"] = format!("{default} by default").into();
        }
        setting
    })
}

/// The words that an engine's setting names when it is given another.
fn words_of<E: ToString>(refused: &Result<(), E>) -> Option<Vec<String>> {
    let why = refused.as_ref().err()?.to_string();
    let (_, words) = why.split_once("is none of ")?;
    let words = words.split_once(':').map_or(words, |(words, _)| words);
    Some(words.split(", ").map(str::to_owned).collect())
}

/// A property of links.
fn property(key: &str) -> Value {
    match key {
        "latency" => either(&[text("1ms..10ms", "one-way delay: a time, or a range"), lognormal()]),
        "jitter" => text("1ms", "added to each delay, uniform from zero to this"),
        "loss" => either(&[percent("share of packets that never arrive"), burst()]),
        "duplicate" => percent("share of packets that arrive twice"),
        "reorder" => percent("share of packets held back by one more delay"),
        "corrupt" => percent("share of packets in which a bit flips"),
        "mtu" => size("largest packet, headers included"),
        "bandwidth" => text("20Mbit/s", "bits per second"),
        "queue" => size("what may wait for the bandwidth"),
        _ => anything(),
    }
}

fn lognormal() -> Value {
    let law = object(&network::LOGNORMAL_KEYS, &network::LOGNORMAL_KEYS, |key| {
        time(if key == "median" { "half are shorter" } else { "99 of 100 are shorter" })
    });
    object(&network::LATENCY_KEYS, &["lognormal"], |key| match key {
        "lognormal" => law.clone(),
        _ => time("no delay is shorter"),
    })
}

fn burst() -> Value {
    let law = object(&network::BURST_KEYS, &network::BURST_KEYS, |key| match key {
        "enter" => percent("probability that a good link turns bad, before each packet"),
        "leave" => percent("probability that a bad link turns good"),
        _ => percent("share that a bad link loses"),
    });
    object(&network::LOSS_KEYS, &network::LOSS_KEYS, |_| law.clone())
}

fn of_group(key: &str) -> Value {
    match key {
        "nodes" => nodes_ref(),
        "name" => text("a-{i}", "their names; {i} is the place in the group"),
        "private_data" => text("zone=a", "what they say of themselves"),
        "zone" => text("a", "where they are: short for engine.zone"),
        "clock" => object(&groups::CLOCK_KEYS, &[], clock),
        "engine" => settings(),
        _ => anything(),
    }
}

fn tags() -> Value {
    let about = "what else they say from then on, KEY=VALUE each";
    json!({ "type": "array", "items": { "type": "string" }, "description": about })
}

fn clock(key: &str) -> Value {
    match key {
        "nodes" => nodes_ref(),
        "offset" => text("-2s", "how far the wall clock is ahead"),
        "jump" => text("-10s", "it is set ahead by so much"),
        "drift" => text("200ppm", "it goes faster by so much"),
        _ => anything(),
    }
}

fn nodes_ref() -> Value {
    json!({ "$ref": "#/$defs/nodes" })
}

/// NODES: a number, a text, a list of these, or a random choice.
fn any_nodes() -> Value {
    let random = object(&nodes::RANDOM_KEYS, &["random"], |key| match key {
        "random" => {
            json!({ "type": ["integer", "string"], "description": "how many, or which share" })
        }
        _ => nodes_ref(),
    });
    either(&[
        number(0, "a node"),
        text("0..25", "a range, a share, a group, \"all\", \"live\" or \"joined\""),
        list(&nodes_ref()),
        random,
    ])
}

fn scope(key: &str) -> Value {
    match key {
        "between" => list(&nodes_ref()),
        _ => nodes_ref(),
    }
}

/// A table of links and what changes of them.
fn link() -> Value {
    let keys = [links::SCOPE_KEYS.as_slice(), &network::KEYS].concat();
    object(
        &keys,
        &[],
        |key| {
            if links::SCOPE_KEYS.contains(&key) { scope(key) } else { property(key) }
        },
    )
}

/// One `[[at]]`.
fn at() -> Value {
    let keys = [actions::BESIDE.as_slice(), &actions::ACTIONS].concat();
    object(
        &keys,
        &["time"],
        |key| if actions::ACTIONS.contains(&key) { act(key) } else { beside(key) },
    )
}

fn beside(key: &str) -> Value {
    match key {
        "time" => time("when"),
        "for" => time("after this time it is undone"),
        "every" => time("it happens again and again, so far apart"),
        "until" => time("the last time at which it may happen again"),
        "count" => number(1, "how often it happens in all"),
        "jitter" => time("each time it happens up to this much later"),
        "stagger" => time("it goes from node to node, so far apart"),
        "label" => text("split", "a name, by which `heal` finds it"),
        _ => anything(),
    }
}

fn act(key: &str) -> Value {
    let struck = || either(&[nodes_ref(), object(&read::NODES_KEYS, &["nodes"], |_| nodes_ref())]);
    match key {
        "publish" => object(&read::PUBLISH_KEYS, &["node"], |key| match key {
            "node" => nodes_ref(),
            "data" => text("v1", "the value"),
            "size" => size("so many random bytes"),
            _ => anything(),
        }),
        "put" => object(&read::PUT_KEYS, &["node", "key"], of_entry),
        "delete" => object(&read::DELETE_KEYS, &["node", "key"], of_entry),
        "partition" => list(&nodes_ref()),
        "heal" => text("all", "a label, or \"all\""),
        "link" => link(),
        "loss" | "latency" => {
            let keys = [[key].as_slice(), &links::SCOPE_KEYS].concat();
            let table =
                object(
                    &keys,
                    &[key],
                    |inner| if inner == key { property(key) } else { scope(inner) },
                );
            either(&[property(key), table])
        }
        "restart" => either(&[nodes_ref(), restart()]),
        "join" => object(&read::JOIN_KEYS, &["count"], |key| match key {
            "count" => number(1, "how many newcomers"),
            "via" => nodes_ref(),
            "over" => time("they come evenly spread over this time"),
            _ => anything(),
        }),
        "starve" => object(&read::STARVE_KEYS, &read::STARVE_KEYS, |key| match key {
            "nodes" => nodes_ref(),
            "delay" => text("500ms..2s", "how late each packet is: a time, or a range"),
            _ => anything(),
        }),
        "slow" => object(&read::SLOW_KEYS, &read::SLOW_KEYS, |key| match key {
            "nodes" => nodes_ref(),
            "cpu" => text("5%", "the share of a processor that they have"),
            _ => anything(),
        }),
        "clock" => object(&read::CLOCK_KEYS, &["nodes"], clock),
        "update" => object(&read::UPDATE_KEYS, &["nodes"], |key| match key {
            "nodes" => nodes_ref(),
            "name" => text("b-{i}", "their names from then on; {i} is the place among the nodes"),
            "private_data" => text("zone=b", "what they say of themselves from then on"),
            "tags" => tags(),
            _ => anything(),
        }),
        "drop" => object(&packets::DROP_KEYS, &["kind"], of_packets),
        "replay" => object(&packets::REPLAY_KEYS, &["after"], of_packets),
        "inject" => object(&packets::INJECT_KEYS, &["to", "from", "kind"], |key| match key {
            "to" | "of" => nodes_ref(),
            "from" => either(&[nodes_ref(), text("10.9.9.9:8000", "as whom it comes")]),
            "kind" => {
                let lies = Lie::NAMED.map(|(name, _)| name);
                words(&[lies.as_slice(), &["bytes"]].concat(), "what the packet says")
            }
            "generation" => {
                words(&Claim::NAMED.map(|(name, _)| name), "in which generation, if not its own")
            }
            "bytes" => text("726d0100", "the packet in hex"),
            _ => anything(),
        }),
        "isolate" | "crash" | "stop" | "start" | "leave" | "pause" | "suspend" => struck(),
        _ => anything(),
    }
}

fn of_entry(key: &str) -> Value {
    match key {
        "node" => nodes_ref(),
        "key" => text("limits/login", "the key of the entry"),
        "data" => text("v1", "the value"),
        "size" => size("so many random bytes"),
        "ttl" => time("the age at which it expires"),
        "bound" => json!({ "type": "boolean", "description": "shown while its node is listed" }),
        _ => anything(),
    }
}

fn of_packets(key: &str) -> Value {
    match key {
        "kind" => words(&kinds(), "a kind of packet, as in traces"),
        "nth" => number(1, "the first, or a later one"),
        "from" | "to" => nodes_ref(),
        "after" => time("they arrive once more, so much later"),
        _ => anything(),
    }
}

fn restart() -> Value {
    object(&read::RESTART_KEYS, &["nodes"], |key| match key {
        "nodes" => nodes_ref(),
        "manner" => words(&["crash", "leave"], "how they go down"),
        "down" => time("for how long"),
        "address" => {
            let names = actions::Address::NAMED.map(|(name, _)| name);
            words(&names, "under which address they come back")
        }
        "private_data" => text("zone=b", "what they say of themselves from then on"),
        "forgets" => words(&["generation"], "what they don't know of their earlier life"),
        "keep" => json!({ "type": "boolean", "description": "what they held outlasts them" }),
        "stale_seeds" => time("for how long they are given the addresses of before as seeds"),
        "wire_max" => number(1, "up to which version of the wire they speak from then on"),
        _ => anything(),
    })
}

/// `[expect]`; a dotted key that stands without quotes is a table in a table.
fn expect() -> Value {
    let measure = |measure: &measures::Measure| {
        (measure.name.to_string(), text(measure.unit.example(), &measure.definition))
    };
    let mut properties: Map<String, Value> = measures::all().iter().map(measure).collect();
    properties.insert("seeds".into(), percent("share of seeds that must hold all of these"));
    json!({
        "type": "object", "properties": properties, "additionalProperties": { "type": "object" }
    })
}
