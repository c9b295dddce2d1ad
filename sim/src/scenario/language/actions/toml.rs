//! Actions as TOML, every default written out.

use std::time::Duration;

use rumormill::core::Terms;
use rumormill::units::show_duration;

use super::{Act, At, Blow, ClockSetting, Healing, Payload, Repeat, Restart, Return, Update};
use crate::scenario::language::engine::tags_literal;
use crate::scenario::language::links::Scope;
use crate::scenario::language::network::Properties;
use crate::scenario::language::nodes::{Nodes, show_list};
use crate::scenario::language::text_literal;
use crate::scenario::plan::{Manner, Memory};
use crate::scenario::units::{show_drift, show_signed_time};

impl Act {
    /// The key and its value as TOML.
    pub(super) fn toml(&self) -> (&'static str, String) {
        match self {
            Self::Publish { node, payload: Payload::Data(data), .. } => {
                ("publish", format!("{{ node = {node}, data = {} }}", text_literal(data)))
            }
            Self::Publish { node, payload: Payload::Size(size), .. } => {
                ("publish", format!("{{ node = {node}, size = {size} }}"))
            }
            Self::Write { node, key, put: Some((payload, terms)), .. } => {
                let key = text_literal(key);
                ("put", format!("{{ node = {node}, key = {key}{} }}", put_fields(payload, *terms)))
            }
            Self::Write { node, key, put: None, .. } => {
                ("delete", format!("{{ node = {node}, key = {} }}", text_literal(key)))
            }
            Self::Partition(groups) => ("partition", format!("[{}]", show_list(groups))),
            Self::Heal(Healing::All) => ("heal", text_literal("all")),
            Self::Heal(Healing::Label(label)) => ("heal", text_literal(label)),
            Self::Link { verb, scope, change } => (verb, link_toml(scope.as_ref(), change)),
            Self::Drop(drop) => ("drop", drop.toml()),
            Self::Replay(replay) => ("replay", replay.toml()),
            Self::Inject(inject) => ("inject", inject.toml()),
            Self::Join { count, via, over } => {
                let over = text_literal(&show_duration(*over));
                ("join", format!("{{ count = {count}, via = {via}, over = {over} }}"))
            }
            Self::Strike { nodes, blow } => (blow.verb(), blow.toml(nodes)),
        }
    }
}

impl Blow {
    fn toml(&self, nodes: &Nodes) -> String {
        match self {
            Self::Isolate
            | Self::Crash
            | Self::Stop
            | Self::Start
            | Self::Leave
            | Self::Pause
            | Self::Suspend => nodes.to_string(),
            Self::Starve(delay) => format!("{{ nodes = {nodes}, delay = \"{delay}\" }}"),
            Self::Slow(cpu) => format!("{{ nodes = {nodes}, cpu = \"{cpu}\" }}"),
            Self::Restart(restart) => restart.toml(nodes),
            Self::Update(update) => update.toml(nodes),
            Self::Clock(setting) => {
                let (key, value) = clock_row(*setting);
                format!("{{ nodes = {nodes}, {key} = {value} }}")
            }
        }
    }
}

/// The key of a clock's setting and its value.
pub(in crate::scenario::language) fn clock_row(setting: ClockSetting) -> (&'static str, String) {
    let time = |nanos| text_literal(&show_signed_time(nanos));
    match setting {
        ClockSetting::Offset { nanos } => ("offset", time(nanos)),
        ClockSetting::Jump { nanos } => ("jump", time(nanos)),
        ClockSetting::Drift { ppb } => ("drift", text_literal(&show_drift(ppb))),
    }
}

/// A table; or the value alone where it is one that holds everywhere.
fn link_toml(scope: Option<&Scope>, change: &Properties) -> String {
    let rows = change.rows();
    let Some(scope) = scope else { return rows.into_iter().map(|(_, value)| value).collect() };
    let mut fields: Vec<String> =
        scope.rows().into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
    fields.extend(rows.iter().map(|(key, value)| format!("{key} = {value}")));
    format!("{{ {} }}", fields.join(", "))
}

impl Restart {
    fn toml(&self, nodes: &Nodes) -> String {
        let Self { manner, how } = self;
        let Return { down, address, private_data, memory, stale_seeds, wire_max } = how;
        let manner = if *manner == Manner::Crash { "crash" } else { "leave" };
        let address = address.name();
        let down = show_duration(*down);
        let data = text_field("private_data", private_data.as_deref());
        let forgets = match memory {
            Memory::Keeps => "",
            Memory::KeepsAll => ", keep = true",
            Memory::Forgets => ", forgets = \"generation\"",
        };
        let stale = text_field("stale_seeds", stale_seeds.map(show_duration).as_deref());
        let wire_max = wire_max.map(|wire| format!(", wire_max = {wire}")).unwrap_or_default();
        format!(
            "{{ nodes = {nodes}, manner = \"{manner}\", down = \"{down}\", \
             address = \"{address}\"{data}{forgets}{stale}{wire_max} }}"
        )
    }
}

impl Update {
    fn toml(&self, nodes: &Nodes) -> String {
        let Self { name, private_data, tags } = self;
        let name = text_field("name", name.as_deref());
        let data = text_field("private_data", private_data.as_deref());
        let tags = tags.as_ref().map(|tags| format!(", tags = {}", tags_literal(tags)));
        let tags = tags.unwrap_or_default();
        format!("{{ nodes = {nodes}{name}{data}{tags} }}")
    }
}

/// What is put, and how long it holds.
fn put_fields(payload: &Payload, terms: Terms) -> String {
    let payload = match payload {
        Payload::Data(data) => text_field("data", Some(data)),
        Payload::Size(size) => format!(", size = {size}"),
    };
    let ttl = text_field("ttl", terms.ttl.map(show_duration).as_deref());
    let bound = if terms.bound { ", bound = true" } else { "" };
    format!("{payload}{ttl}{bound}")
}

/// A further field of a table in one line, if it is there.
fn text_field(key: &str, text: Option<&str>) -> String {
    text.map(|text| format!(", {key} = {}", text_literal(text))).unwrap_or_default()
}

impl At {
    /// Its keys and their values as TOML.
    pub(in crate::scenario::language) fn rows(&self) -> Vec<(&'static str, String)> {
        let time = |time: Duration| text_literal(&show_duration(time));
        let mut rows = vec![("time", time(self.time)), self.act.toml()];
        rows.extend(self.hold.map(|hold| ("for", time(hold))));
        let Repeat { every, count } = self.repeat;
        if !every.is_zero() {
            rows.extend([("every", time(every)), ("count", count.to_string())]);
        }
        let spread = [("jitter", self.jitter), ("stagger", self.stagger)];
        let spread = spread.into_iter().filter(|(_, by)| !by.is_zero());
        rows.extend(spread.map(|(key, by)| (key, time(by))));
        rows.push(("label", text_literal(&self.label)));
        rows
    }
}
