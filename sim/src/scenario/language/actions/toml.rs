//! Actions as TOML, every default written out.

use std::time::Duration;

use rumormill::units::show_duration;

use super::{Act, At, Payload, Repeat, Restart};
use crate::scenario::language::links::Scope;
use crate::scenario::language::network::Properties;
use crate::scenario::language::nodes::show_list;
use crate::scenario::language::text_literal;
use crate::scenario::plan::{ClockChange, Heal, Manner};
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
            Self::Partition(groups) => ("partition", format!("[{}]", show_list(groups))),
            Self::Heal(Heal::All) => ("heal", text_literal("all")),
            Self::Heal(Heal::Action(_)) => unreachable!("nobody can type that"),
            Self::Heal(Heal::Label(label)) => ("heal", text_literal(label)),
            Self::Isolate(nodes) => ("isolate", nodes.to_string()),
            Self::Link { verb, scope, change } => (verb, link_toml(scope.as_ref(), change)),
            Self::Crash(nodes) => ("crash", nodes.to_string()),
            Self::Stop(nodes) => ("stop", nodes.to_string()),
            Self::Start(nodes) => ("start", nodes.to_string()),
            Self::Leave(nodes) => ("leave", nodes.to_string()),
            Self::Pause(nodes) => ("pause", nodes.to_string()),
            Self::Clock { nodes, change } => {
                let (key, value) = clock_row(*change);
                ("clock", format!("{{ nodes = {nodes}, {key} = {value} }}"))
            }
            Self::Restart(restart) => ("restart", restart.toml()),
            Self::Join { count, via, over } => {
                let over = text_literal(&show_duration(*over));
                ("join", format!("{{ count = {count}, via = {via}, over = {over} }}"))
            }
        }
    }
}

/// The key of a change of a clock and its value.
pub(in crate::scenario::language) fn clock_row(change: ClockChange) -> (&'static str, String) {
    let time = |nanos| text_literal(&show_signed_time(nanos));
    match change {
        ClockChange::Offset { nanos } => ("offset", time(nanos)),
        ClockChange::Jump { nanos } => ("jump", time(nanos)),
        ClockChange::Drift { ppb } => ("drift", text_literal(&show_drift(ppb))),
        ClockChange::Unjump { .. } | ClockChange::OwnOffset | ClockChange::OwnDrift => {
            unreachable!("nobody can type that")
        }
    }
}

fn link_toml(scope: Option<&Scope>, change: &Properties) -> String {
    let rows = change.rows();
    let Some(scope) = scope else {
        let [(_, value)] = rows.as_slice() else { unreachable!("read_link needs a scope") };
        return value.clone();
    };
    let mut fields: Vec<String> =
        scope.rows().into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
    fields.extend(rows.iter().map(|(key, value)| format!("{key} = {value}")));
    format!("{{ {} }}", fields.join(", "))
}

impl Restart {
    fn toml(&self) -> String {
        let Self { nodes, manner, down, address, private_data } = self;
        let manner = if *manner == Manner::Crash { "crash" } else { "leave" };
        let address = address.name();
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
