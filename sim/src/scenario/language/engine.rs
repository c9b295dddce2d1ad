//! `[engine]`: the settings that the nodes run with, unless their group has others.

use std::sync::Arc;

use rumormill::config::{Setting, Wire};
use rumormill::node::Tags;
use rumormill::units::show_duration;
use rumormill::{Config, ConfigBuilder, ConfigError};

use super::text_literal;
use crate::protocols::{HANDED, SettingsPlace, Spec};
use crate::scenario::document::{Entry, Item, Table, Value};
use crate::scenario::errors::{Mistake, Mistakes};

/// Keys that a scenario decides by other means, and which.
const ELSEWHERE: [(&str, &str); 8] = [
    ("seeds", "`bootstrap` says how the nodes find each other"),
    ("listen_addr", "the simulator gives every node its address"),
    ("advertise", "the simulator gives every node its address"),
    ("secret_key", "a scenario is copied to the folder of every run, where no secret belongs"),
    ("secret_key_file", "simulated nodes take what is not sealed"),
    ("state_dir", "`restart = { .., keep = true }` says who comes back with what it held"),
    ("state_flush", "what a restart keeps is what was held at that moment"),
    ("print", "the run's table tells what happened"),
];

/// Every key of `[engine]`.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let here = |key: &&str| ELSEWHERE.iter().all(|(elsewhere, _)| elsewhere != key);
    ConfigBuilder::KEYS.into_iter().filter(here)
}

/// Reads `[engine]`, and what a group has of its own behind it, for a cluster of `nodes` nodes,
/// newcomers included. What a protocol is not handed is looked at all the same.
pub(super) fn read(
    tables: &[Option<&Table>],
    (nodes, spec): (u32, &Spec),
    found: &mut Mistakes,
) -> Option<Arc<Config>> {
    let (mut builder, mut unheard) = (Config::builder(), Config::builder());
    let entries = tables.iter().flatten().flat_map(|table| &table.entries);
    let (entries, others): (Vec<&Entry>, Vec<_>) = entries.partition(|it| is_handed(spec, it));
    let before = found.len();
    for entry in &entries {
        found.keep(read_one(&mut builder, entry));
    }
    for entry in others {
        found.keep(read_one(&mut unheard, entry));
    }
    // What is left out because it is wrong must not seem to disagree with the rest.
    if found.len() > before { None } else { found.keep(build(builder, &entries, nodes)) }
}

/// The keys of a table that a protocol is not handed.
pub(super) fn unheard<'a>(table: Option<&'a Table>, spec: &Spec) -> impl Iterator<Item = &'a str> {
    let entries = table.map_or(&[][..], |table| &table.entries).iter();
    entries.filter(|entry| !is_handed(spec, entry)).map(|entry| entry.key.as_str())
}

fn is_handed(spec: &Spec, entry: &Entry) -> bool {
    spec.settings == SettingsPlace::Engine || HANDED.contains(&entry.key.as_str())
}

fn build(
    mut builder: ConfigBuilder,
    entries: &[&Entry],
    nodes: u32,
) -> Result<Arc<Config>, Mistake> {
    let last = |key: &str| entries.iter().rev().find(|entry| entry.key == key);
    let limit = last("members_max");
    if limit.is_none() {
        let default = Config::default().members_max();
        builder = builder.members_max(default.max(nodes as usize));
    }
    let config = builder.build().map_err(|error| misfit(&error, entries))?;
    if let Some(entry) = limit
        && config.members_max() < nodes as usize
    {
        let max = config.members_max();
        let text = format!("{nodes} nodes take part, newcomers included, but only {max} may");
        return Err(Mistake::new(entry.item.at, text));
    }
    if let Some(entry) = last("wire")
        && config.wire() != Wire::Native
    {
        let text = "the simulator's nodes speak `native` to each other: leave it out, or run the \
                    other protocol: [protocol] name = \"pekonode\"";
        return Err(Mistake::new(entry.item.at, text.to_owned()));
    }
    Ok(Arc::new(config))
}

fn read_one(builder: &mut ConfigBuilder, entry: &Entry) -> Result<(), Mistake> {
    if let Some((key, instead)) = ELSEWHERE.iter().find(|(key, _)| *key == entry.key) {
        let text = format!("`{key}` has no place in a scenario: {instead}");
        return Err(Mistake::new(entry.key_at, text));
    }
    let setting = setting(&entry.item)?;
    builder.set(&entry.key, &setting).map_err(|error| match error {
        ConfigError::UnknownKey { key, .. } => Mistake::unknown(entry.key_at, "key", &key, keys()),
        _ => Mistake::new(entry.item.at, error.to_string()),
    })
}

fn setting(item: &Item) -> Result<Setting, Mistake> {
    Ok(match &item.value {
        Value::Integer(number) => {
            let limit = if *number < 0 { i64::MIN } else { i64::MAX };
            Setting::Integer(i64::try_from(*number).unwrap_or(limit))
        }
        Value::Text(_) => Setting::Text(item.text("a text")?.to_owned()),
        Value::Flag(flag) => Setting::Flag(*flag),
        Value::List(items) => {
            let texts = items.iter().map(|item| item.text("a text").map(str::to_owned));
            Setting::List(texts.collect::<Result<_, _>>()?)
        }
        Value::Float | Value::Date | Value::Table(_) => {
            return Err(item.expected("a number, a text, true or false, or a list of texts"));
        }
    })
}

/// An error that shows only beside the other settings: at its key, else at the last one typed,
/// which made a default impossible.
fn misfit(error: &ConfigError, entries: &[&Entry]) -> Mistake {
    let entry = entries.iter().rev().find(|entry| entry.key == error.key());
    let entry = entry.or(entries.last()).expect("the defaults are valid");
    Mistake::new(entry.item.at, error.to_string())
}

/// Every key that a protocol is handed, and its value, as TOML.
pub(super) fn rows_for(spec: &Spec, config: &Config) -> Vec<(&'static str, String)> {
    let mut rows = rows(config);
    rows.retain(|(key, _)| spec.settings == SettingsPlace::Engine || HANDED.contains(key));
    rows
}

/// Tags as they are typed: one text each.
pub(super) fn tags_literal(tags: &Tags) -> String {
    let each = tags.iter().map(|(key, value)| text_literal(&format!("{key}={value}")));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

/// Every key and its value as TOML.
pub(super) fn rows(config: &Config) -> Vec<(&'static str, String)> {
    let time = |time| text_literal(&show_duration(time));
    let mut rows = vec![
        ("fan_out", config.fan_out().to_string()),
        ("cycle", time(config.cycle())),
        ("timeout", time(config.timeout())),
        ("buffer", config.buffer().to_string()),
        ("size", config.size().to_string()),
        ("protocol", text_literal(&config.protocol().to_string())),
        ("liveness", text_literal(&config.liveness().to_string())),
        ("isolation", text_literal(&config.isolation().to_string())),
        ("swap", text_literal(&config.swap().to_string())),
        ("relay_delay", time(config.relay_delay())),
        ("redial", time(config.redial())),
        ("redial_for", time(config.redial_for())),
        ("metadata_len_max", config.metadata_len_max().to_string()),
        ("entry_len_max", config.entry_len_max().to_string()),
        ("entries_max", config.entries_max().to_string()),
        ("entries_bytes_max", config.entries_bytes_max().to_string()),
        ("tombstone_ttl", time(config.tombstone_ttl())),
        ("members_max", config.members_max().to_string()),
        ("clock_skew_max", time(config.clock_skew_max())),
        ("cluster", text_literal(config.cluster())),
        ("wire", text_literal(&config.wire().to_string())),
        ("wire_max", config.wire_max().to_string()),
    ];
    rows.extend((!config.zone().is_empty()).then(|| ("zone", text_literal(config.zone()))));
    rows.extend((!config.tags().is_empty()).then(|| ("tags", tags_literal(config.tags()))));
    rows.extend(config.ack_timeout().map(|wait| ("ack_timeout", time(wait))));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_engine_is_written_out_or_decided_elsewhere() {
        let config = Config::builder().ack_timeout(std::time::Duration::from_millis(50));
        let config = config.zone("a").tags("role=db".parse().unwrap());
        let rows = rows(&config.build().unwrap());
        for key in ConfigBuilder::KEYS {
            let written = rows.iter().any(|(row, _)| *row == key);
            let elsewhere = ELSEWHERE.iter().any(|(other, _)| *other == key);
            assert!(written || elsewhere, "{key} would be lost");
        }
    }
}
