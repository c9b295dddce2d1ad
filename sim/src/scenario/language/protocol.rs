//! `[protocol]`: which protocol the nodes speak, and its own settings.

use rumormill::units::{parse_duration, show_duration};

use super::text_literal;
use crate::protocols::{self, Chosen, Key, KeyValue, Keys, SettingsPlace, Spec};
use crate::scenario::document::{Item, Table};
use crate::scenario::errors::{Mistake, Mistakes};

pub(super) const NAME: &str = "name";

/// Reads `[protocol]`. What is wrong with a key leaves it at its default.
pub(super) fn read(table: Option<&Table>, found: &mut Mistakes) -> Option<Chosen> {
    let Some(table) = table else { return Some(Chosen::default()) };
    let spec = found.keep(read_name(table))?;
    let known: Vec<&str> = keys(spec).collect();
    found.extend(table.unknown(&known));
    let mut keys = Keys::defaults(spec.keys);
    for key in spec.keys {
        if let Some(item) = table.item(key.name)
            && let Some(value) = found.keep(read_value(key, item))
        {
            keys.set(key.name, value);
        }
    }
    Some(Chosen { spec: *spec, keys })
}

/// Every key of `[protocol]` with this protocol.
pub(super) fn keys(spec: &Spec) -> impl Iterator<Item = &'static str> + use<> {
    std::iter::once(NAME).chain(spec.keys.iter().map(|key| key.name))
}

fn read_name(table: &Table) -> Result<&'static Spec, Mistake> {
    let item = table.need(NAME, "name = \"pekonode\"")?;
    let typed = item.text("a protocol in quotes, such as \"pekonode\"")?;
    let names = protocols::known().map(|spec| spec.name);
    let found = protocols::known().find(|spec| spec.name == typed);
    found.ok_or_else(|| Mistake::unknown(item.at, "protocol", typed, names))
}

fn read_value(key: &Key, item: &Item) -> Result<KeyValue, Mistake> {
    Ok(match &key.default {
        KeyValue::Number(_) => KeyValue::Number(item.number(key.about, 0, i64::MAX as u64)?),
        KeyValue::Time(_) => {
            KeyValue::Time(item.parsed("a duration in quotes, such as \"1s\"", parse_duration)?)
        }
        KeyValue::Flag(_) => KeyValue::Flag(item.flag("true or false")?),
        KeyValue::Text(_) => KeyValue::Text(item.text("a text in quotes")?.to_owned().into()),
    })
}

/// A setting that makes no sense with the others is told at its key.
pub(super) fn check(
    chosen: &Chosen,
    config: &std::sync::Arc<rumormill::Config>,
    table: Option<&Table>,
) -> Result<(), Mistake> {
    let Some(table) = table else { return Ok(()) };
    chosen.spec.check(config, &chosen.keys).map_err(|error| {
        let at = table.item(error.key).map_or(table.at, |item| item.at);
        Mistake::new(at, error.why)
    })
}

/// Name and keys as TOML; nothing of the protocol that is meant where none is named.
pub(super) fn rows(chosen: &Chosen) -> Vec<(&'static str, String)> {
    if chosen.spec.settings == SettingsPlace::Engine {
        return Vec::new();
    }
    let name = (NAME, text_literal(chosen.spec.name));
    let keys = chosen.keys.iter().map(|(key, value)| (key, literal(value)));
    std::iter::once(name).chain(keys).collect()
}

/// A value as TOML.
pub(super) fn literal(value: &KeyValue) -> String {
    match value {
        KeyValue::Number(number) => number.to_string(),
        KeyValue::Time(time) => text_literal(&show_duration(*time)),
        KeyValue::Flag(flag) => flag.to_string(),
        KeyValue::Text(text) => text_literal(text),
    }
}
