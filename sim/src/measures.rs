//! The registry of measures: every figure that can be asked for by name, and what it means.
//!
//! A measure's name is its path in `summary.json`, without the suffix of its unit: the duration
//! `node_list.converged_after` stands there as `node_list.converged_after_ms`. Expectations, and
//! whatever else asks for figures, use these names and no others. What a figure is worth is read
//! from the summary as JSON, so that a summary in a file serves as well as one in memory.

use std::borrow::Cow;
use std::sync::LazyLock;

use rumormill::Event;
use rumormill::core::Stats;
use rumormill::metrics::{self, Metric};
use rumormill::units::{self, parse_duration, parse_size};
use serde_json::Value;

use crate::percent::Percent;

/// A figure of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its path in `summary.json`, without the suffix of the unit.
    pub name: Cow<'static, str>,
    /// What it counts in.
    pub unit: Unit,
    /// Which direction is progress.
    pub better: Better,
    /// What it is, in one sentence.
    pub definition: Cow<'static, str>,
}

/// What a measure counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds in the file, written with a unit in conditions.
    Duration,
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// From 0 to 1 in the file, a percent or a number in conditions.
    Share,
    /// True or false.
    Flag,
    /// A number without a unit, that may be below zero.
    Ratio,
    /// A number of things per second.
    Rate,
    /// Bytes per second.
    ByteRate,
}

/// Which direction of a measure is progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// It says what was, not how good it was.
    Neither,
}

/// The kinds of rumors, as in the ids of `rumors[]`.
pub const RUMOR_KINDS: [&str; 7] =
    ["metadata", "entry", "join", "leave", "restart", "update", "removal"];

/// The kinds of faults, by the names of the actions that do it; `burst`, `reorder` and
/// `corrupt` are what links do by themselves.
pub const FAULT_KINDS: [&str; 22] = [
    "partition",
    "isolate",
    "link",
    "loss",
    "latency",
    "crash",
    "restart",
    "stop",
    "leave",
    "join",
    "pause",
    "suspend",
    "starve",
    "slow",
    "clock",
    "update",
    "drop",
    "replay",
    "inject",
    "burst",
    "reorder",
    "corrupt",
];

/// Every measure, in the order of `summary.json`.
pub fn all() -> &'static [Measure] {
    static ALL: LazyLock<Vec<Measure>> = LazyLock::new(|| {
        let fixed = FIXED.iter().map(|&(name, unit, better, definition)| Measure {
            name: name.into(),
            unit,
            better,
            definition: definition.into(),
        });
        let rumors = RUMOR_KINDS.into_iter().flat_map(of_rumors);
        let faults = FAULT_KINDS.into_iter().map(of_faults);
        let events = Event::NAMES.iter().map(|&name| of_events(name));
        let engine = engine_counters().map(of_engine);
        fixed.chain(rumors).chain(faults).chain(events).chain(engine).collect()
    });
    &ALL
}

/// The measure of a name.
pub fn find(name: &str) -> Option<&'static Measure> {
    all().iter().find(|measure| measure.name == name)
}

/// A measure that we name ourselves. Panics when there is none.
pub(crate) fn known(name: &'static str) -> &'static Measure {
    find(name).expect("the registry has it")
}

/// The name nearest to what was typed, when one is near enough to be what was meant; the last
/// word of a name is enough.
pub fn nearest(typed: &str) -> Option<&'static str> {
    let names = || all().iter().map(|measure| measure.name.as_ref());
    let tail = || names().find(|name| name.rsplit('.').next() == Some(typed));
    units::nearest(typed, names()).or_else(tail)
}

/// What to say of a name that no measure has.
pub fn unknown(typed: &str) -> String {
    let hint = match nearest(typed) {
        Some(near) => format!(", did you mean `{near}`?"),
        None => ": `sim measures` lists them all".to_owned(),
    };
    format!("unknown measure `{typed}`{hint}")
}

/// What a run was worth in a measure: a number, true or false, or null when it was not reached
/// or there was nothing to measure.
pub fn value(summary: &Value, measure: &Measure) -> Value {
    let key = measure.key();
    match key.strip_prefix("rumors.").and_then(|rest| rest.split_once('.')) {
        Some((kind, field)) => worst_rumor(summary, kind, field, measure),
        None => key.split('.').try_fold(summary, |at, step| at.get(step)).cloned(),
    }
    // What never happened is not in the list of what did.
    .or_else(|| {
        let kind = key.strip_prefix("faults.")?;
        summary.get("faults")?.get(kind).is_none().then(|| 0.into())
    })
    .unwrap_or(Value::Null)
}

/// The worst rumor of a kind; one that took too long to be timed is worse than all, and one
/// without such a figure is none of them.
fn worst_rumor(summary: &Value, kind: &str, field: &str, measure: &Measure) -> Option<Value> {
    let rumors = summary.get("rumors")?.as_array()?;
    let of_kind = rumors.iter().filter(|rumor| rumor["kind"] == kind);
    let mut worst: Option<&Value> = None;
    for rumor in of_kind {
        let figure = rumor.get(field)?;
        let Some(number) = as_number(figure) else {
            if measure.unit == Unit::Duration {
                return None;
            }
            continue;
        };
        let is_worse = worst.and_then(as_number).is_none_or(|worst| match measure.better {
            Better::Higher => number < worst,
            Better::Lower | Better::Neither => number > worst,
        });
        if is_worse {
            worst = Some(figure);
        }
    }
    worst.cloned()
}

/// A figure as a number, so that conditions can be held against it; true is 1 and false is 0.
pub(crate) fn as_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|flag| f64::from(u8::from(flag))))
}

impl Measure {
    /// Its path in `summary.json`, the suffix of the unit included. In `rumors.KIND.FIELD` the
    /// kind picks among the elements of `rumors[]`.
    pub fn key(&self) -> String {
        let suffix = if self.unit == Unit::Duration { "_ms" } else { "" };
        format!("{}{suffix}", self.name)
    }

    /// Reads a condition such as `<= 5s`.
    ///
    /// # Errors
    /// When there is no operator, or the value is not one of this measure's unit; the text says
    /// how it is written.
    pub fn condition(&self, text: &str) -> Result<(Operator, f64), String> {
        let trimmed = text.trim();
        let found = Operator::ALL
            .into_iter()
            .find_map(|operator| Some((operator, trimmed.strip_prefix(operator.symbol())?)));
        let Some((operator, operand)) = found else {
            let example = self.unit.example();
            return Err(format!(
                "`{text}` is no condition: begin with <, <=, ==, !=, >= or >, such as `{example}`"
            ));
        };
        let operand = operand.trim();
        self.unit.parse(operand).map(|value| (operator, value)).ok_or_else(|| {
            let (name, what, example) = (&self.name, self.unit.text(), self.unit.example());
            format!("`{name}` is {what} and `{operand}` is none: write such as `{example}`")
        })
    }
}

impl Unit {
    /// What it is, for a person.
    pub fn text(self) -> &'static str {
        match self {
            Self::Duration => "a duration",
            Self::Count => "a count",
            Self::Bytes => "a number of bytes",
            Self::Share => "a share",
            Self::Ratio => "a ratio",
            Self::Flag => "true or false",
            Self::Rate => "a rate per second",
            Self::ByteRate => "bytes per second",
        }
    }

    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Duration => "<= 5s",
            Self::Count => "== 0",
            Self::Bytes => "<= 64KiB",
            Self::Share => ">= 99%",
            Self::Flag => "== true",
            Self::Ratio => "<= 0.5",
            Self::Rate => "<= 12.5",
            Self::ByteRate => "<= 2kB",
        }
    }

    /// A value as typed, in the unit of `summary.json`.
    fn parse(self, text: &str) -> Option<f64> {
        match self {
            // Through nanoseconds, so that 1.5s is exactly the 1500 of the file.
            Self::Duration => {
                parse_duration(text).ok().map(|value| value.as_nanos() as f64 / 1_000_000.0)
            }
            Self::Count | Self::Rate => plain_number(text),
            Self::Ratio => match text.strip_prefix('-') {
                Some(below_zero) => plain_number(below_zero).map(|number| -number),
                None => plain_number(text),
            },
            Self::Bytes | Self::ByteRate => {
                let text = text.strip_suffix("/s").unwrap_or(text);
                parse_size(text).ok().map(|bytes| bytes as f64).or_else(|| plain_number(text))
            }
            // Percents through billionths, so that 99.9% is exactly the 0.999 of the file.
            Self::Share => Percent::parse(text)
                .map(Percent::share)
                .ok()
                .or_else(|| plain_number(text))
                .filter(|share| (0.0..=1.0).contains(share)),
            Self::Flag => match text {
                "true" => Some(1.0),
                "false" => Some(0.0),
                _ => None,
            },
        }
    }
}

/// Digits with at most one point: neither infinity nor an exponent.
fn plain_number(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { text.parse().ok() } else { None }
}

/// How a figure is held against an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operator {
    Less,
    AtMost,
    Equal,
    NotEqual,
    AtLeast,
    Greater,
}

impl Operator {
    /// All, a symbol before its own beginnings.
    const ALL: [Self; 6] =
        [Self::AtMost, Self::AtLeast, Self::Equal, Self::NotEqual, Self::Less, Self::Greater];

    /// How it is typed.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::AtLeast => ">=",
            Self::Greater => ">",
        }
    }

    /// Whether a figure stands so to a limit.
    pub fn holds(self, got: f64, limit: f64) -> bool {
        match self {
            Self::Less => got < limit,
            Self::AtMost => got <= limit,
            Self::Equal => got == limit,
            Self::NotEqual => got != limit,
            Self::AtLeast => got >= limit,
            Self::Greater => got > limit,
        }
    }
}

/// True for a counter that says how many there were at most.
pub(crate) fn is_peak(counter: &str) -> bool {
    counter.ends_with("_max")
}

/// The counters of an engine that are added up, and those that keep the greatest.
pub(crate) fn engine_counters() -> impl Iterator<Item = &'static Metric> {
    Stats::metrics()
        .filter(|metric| metric.kind == metrics::MetricKind::Counter || is_peak(metric.name))
}

fn of_rumors(kind: &'static str) -> impl Iterator<Item = Measure> {
    RUMOR.iter().map(move |&(field, unit, better, definition)| Measure {
        name: format!("rumors.{kind}.{field}").into(),
        unit,
        better,
        definition: format!("Of the worst {kind} rumor: {definition}").into(),
    })
}

fn of_faults(kind: &'static str) -> Measure {
    let definition = match kind {
        "burst" => "Bursts of losses that began.".to_owned(),
        "reorder" => "Packets held back so that later ones could pass them.".to_owned(),
        "corrupt" => "Packets that passed every check though a bit had flipped.".to_owned(),
        "drop" => "Packets that a `drop` action lost.".to_owned(),
        "replay" => "Packets that `replay` actions handed over once more.".to_owned(),
        "inject" => "Packets that `inject` actions made up.".to_owned(),
        "partition" | "link" | "loss" | "latency" => {
            format!("How often a `{kind}` action changed the network.")
        }
        _ => format!("Nodes that a `{kind}` action struck, each time counted."),
    };
    let name = format!("faults.{kind}").into();
    Measure { name, unit: Unit::Count, better: Better::Neither, definition: definition.into() }
}

fn of_events(name: &'static str) -> Measure {
    let definition = format!("Events `{name}` that engines raised, all nodes together.").into();
    let name = format!("events.{name}").into();
    Measure { name, unit: Unit::Count, better: Better::Neither, definition }
}

fn of_engine(metric: &'static Metric) -> Measure {
    let how = match is_peak(metric.name) {
        true => "The greatest of all engines.",
        false => "All engines together.",
    };
    let definition = format!("{} {how}", metric.help()).into();
    let name = format!("engine.{}", metric.name).into();
    Measure { name, unit: Unit::Count, better: Better::Neither, definition }
}

#[rustfmt::skip]
const FIXED: &[(&str, Unit, Better, &str)] = {
    use Better::{Higher, Lower, Neither};
    use Unit::{ByteRate, Bytes, Count, Duration, Flag, Rate, Share};
    &[
        ("nodes.start", Count, Neither, "Live nodes when the run begins."),
        ("nodes.end", Count, Neither, "Live nodes when the run ends."),
        ("inputs", Count, Lower, "Calls of the engines: packets, timeouts and commands."),
        ("updates", Count, Lower, "Beats, records and versions that were compared with state."),
        ("messages.sent", Count, Lower, "Packets handed to the network."),
        ("messages.duplicated", Count, Neither, "Second copies that the network made."),
        ("messages.delivered", Count, Neither, "Packets that reached an engine."),
        ("messages.lost", Count, Neither, "Packets that the network lost by chance."),
        ("messages.cut", Count, Neither, "Packets sent where a partition cut the way."),
        ("messages.to_dead", Count, Neither, "Packets that arrived where no node ran."),
        ("messages.overflow", Count, Lower, "Packets dropped by a full queue."),
        ("messages.oversize", Count, Lower, "Packets larger than the way lets through."),
        ("messages.corrupted", Count, Neither, "Packets dropped because a bit had flipped."),
        ("messages.in_flight", Count, Neither, "Packets still under way at the end."),
        ("bytes.payload", Bytes, Lower, "Encoded bytes of all packets sent."),
        ("bytes.with_headers", Bytes, Lower,
            "Encoded bytes of all packets sent, with 28 bytes of UDP and IP header each."),
        ("per_node_per_second.messages_p50", Rate, Lower,
            "Packets that the median node sends a second of the time that it ran (a cycle at \
             least), warm-up left out."),
        ("per_node_per_second.bytes_p50", ByteRate, Lower,
            "Bytes with headers that the median node sends a second, warm-up left out."),
        ("per_node_per_second.bytes_p99", ByteRate, Lower,
            "Bytes with headers that the node at 99 % sends a second, warm-up left out."),
        ("per_node_per_second.bytes_max", ByteRate, Lower,
            "Bytes with headers that the busiest node sends a second, warm-up left out."),
        ("links.messages", Count, Lower,
            "Packets sent over links that the scenario describes under [[link]]."),
        ("links.bytes", Bytes, Lower,
            "Bytes with headers sent over links that the scenario describes under [[link]]."),
        ("links.bytes_per_second", ByteRate, Lower,
            "Bytes with headers sent a second, by all nodes together, over links that the scenario \
             describes under [[link]], warm-up left out."),
        ("node_list.converged", Flag, Higher,
            "Whether all lists equal the truth from some time of the last episode to the end."),
        ("node_list.converged_after", Duration, Lower,
            "From the last change of truth until all lists equal it and stay so. The truth of a \
             live node, one that runs and is not stopped, are the live nodes that it can reach \
             and be reached by; what ends and begins again at one instant does not change it, \
             and what happens at the very end counts no more."),
        ("node_list.converged_after_max", Duration, Lower,
            "The longest of the times from a change of truth until all lists equal it."),
        ("metadata.converged", Flag, Higher,
            "Whether all live nodes that can reach each other hold the same version at the end, \
             and some the newest that was published: false where it died with its publisher."),
        ("metadata.converged_after", Duration, Lower,
            "From the later of last publish and last change of truth until all reachable live \
             nodes hold the newest version."),
        ("metadata.t50", Duration, Lower,
            "From the last publish until half of the nodes held it or a newer version."),
        ("metadata.t90", Duration, Lower,
            "From the last publish until 90 % of the nodes held it or a newer version."),
        ("metadata.t99", Duration, Lower,
            "From the last publish until 99 % of the nodes held it or a newer version."),
        ("metadata.t100", Duration, Lower,
            "From the last publish until all nodes held it or a newer version."),
        ("metadata.staleness", Share, Lower,
            "Share of its life in which a node held nothing, or an older version, while a newer \
             had been published: the mean over all nodes that were ever live, each over the \
             time that it ran unstopped, warm-up included."),
        ("entries.converged", Flag, Higher,
            "Whether all live nodes that can reach each other read the same of each key at the \
             end, that of metadata too, and one of them has heard of the newest write to it; nodes \
             that speak version 1 of the wire aside."),
        ("entries.converged_after", Duration, Lower,
            "From the later of last put, delete or publish and last change of truth until all \
             reachable live nodes read the same of each key."),
        ("entries.t50", Duration, Lower,
            "From the last put or delete until half of the nodes held it or a newer version."),
        ("entries.t90", Duration, Lower,
            "From the last put or delete until 90 % of the nodes held it or a newer version."),
        ("entries.t99", Duration, Lower,
            "From the last put or delete until 99 % of the nodes held it or a newer version."),
        ("entries.t100", Duration, Lower,
            "From the last put or delete until all nodes held it or a newer version."),
        ("entries.lost", Count, Lower,
            "Keys whose newest value no live node reads at the end though one has heard of it, and \
             nobody of a write that had seen it: bound and expired ones, and what goes for a \
             limit, are none."),
        ("entries.zombies", Count, Lower,
            "At the end: pairs of a live node and a deleted key of which it reads a value that \
             somebody it can reach has seen the end of."),
        ("entries.repaired", Count, Neither,
            "First receipts of puts and deletes by a swap, all nodes together."),
        ("removals.right", Count, Neither, "Removals by timeout of a node that was gone."),
        ("removals.false", Count, Lower,
            "Removals, by timeout or for its name, of a node that ran, and could be heard by and \
             hear the one that removed it, during the whole timeout before."),
        ("removals.paused", Count, Neither, "Removals of a node whose process was paused."),
        ("removals.cut", Count, Neither,
            "Removals of a running node by one that at some time of the timeout before could \
             not hear it, could not be heard by it, or was itself stopped: who is heard but \
             hears nobody must be given up, for the truth holds only who is reached both ways."),
        ("removals.replaced", Count, Neither,
            "Removals of a node that was gone, before any timeout, because another had taken \
             its name."),
        ("removals.healthy", Count, Lower,
            "Removals by timeout of a node that no fault had touched by one that none had. From \
             its first time to the end, an action touches the nodes that it names, of links the \
             ends that are not all nodes, of a partition all outside the largest group; publishes, \
             heals, `[network]` and `[[link]]` touch nobody."),
        ("removals.flaps", Count, Lower,
            "How often a node that no fault had touched listed an incarnation again that it had \
             removed by timeout."),
        ("removals.flaps_max", Count, Lower,
            "The most that one node that no fault had touched listed one and the same incarnation \
             again that it had removed by timeout."),
        ("detection.first", Duration, Lower,
            "Of the slowest crash: until the first of the nodes that lived and could reach the \
             crashed one removed it; a crash whose node came back before all had removed it is \
             left out."),
        ("detection.all", Duration, Lower,
            "Of the slowest crash: until all that lived and could reach the crashed one when it \
             crashed had removed it; who starts after the crash is not waited for."),
        ("view_error.missing_end", Count, Lower,
            "At the end: pairs of live nodes of which the first should list the second and \
             doesn't."),
        ("view_error.ghosts_end", Count, Lower,
            "At the end: entries of live nodes' lists that should not be there."),
        ("view_error.missing_max", Count, Lower,
            "The most pairs at a time of which the first should list the second and didn't."),
        ("view_error.ghosts_max", Count, Lower,
            "The most entries at a time that should not have been in lists."),
        ("views.unique", Count, Lower,
            "Distinct sizes of the list that `view` events told nodes that no fault had touched, \
             in the episode with the most."),
        ("views.changes", Count, Lower,
            "`view` events that one node was told before any fault touched it, warm-up left out: \
             the most of one."),
        ("peaks.members", Count, Lower, "The most members that one node listed."),
        ("peaks.tombstones", Count, Lower, "The most tombstones that one node kept."),
        ("peaks.queue", Count, Lower, "The most events that waited in the simulator."),
        ("peaks.packet_bytes", Bytes, Lower, "The largest packet, as encoded."),
    ]
};

#[rustfmt::skip]
const RUMOR: &[(&str, Unit, Better, &str)] = {
    use Better::{Higher, Lower, Neither};
    use Unit::{Count, Duration, Ratio, Share};
    &[
        ("t50", Duration, Lower, "time until half of the nodes held it."),
        ("t90", Duration, Lower, "time until 90 % of the nodes held it."),
        ("t99", Duration, Lower, "time until 99 % of the nodes held it."),
        ("t100", Duration, Lower, "time until all nodes held it."),
        ("coverage", Share, Higher,
            "share of the nodes that held it at the end, of those that ran unstopped from its \
             start to the end (whoever left or was removed is none of them); times go by the \
             same nodes."),
        ("excluded", Count, Neither,
            "nodes that ran at its start or later, but not unstopped from its start to the end, \
             or that it says are removed."),
        ("messages", Count, Lower, "packets sent that carried it."),
        ("control_messages", Count, Lower, "acknowledgements and other control packets of it."),
        ("node_messages_max", Count, Lower, "most packets that one node sent for it."),
        ("swap_first", Count, Lower, "nodes that first learned it from a swap."),
        ("rmr", Ratio, Lower,
            "relative message redundancy: packets with its value that arrived, for each node \
             that came to hold it or a newer one but the first, less 1. A packet that only \
             announces a value has none; below 0 where nodes found it out by themselves, or were \
             told a newer one."),
        ("ldh", Count, Lower,
            "last delivery hop: by how many hops it came to the last node that it came to."),
    ]
};

#[cfg(test)]
mod tests;
