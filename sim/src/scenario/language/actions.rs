//! `[[at]]`: one action each, with its time, how often it repeats and how long it holds.

pub(in crate::scenario) mod packets;
pub(super) mod read;
mod texts;
mod toml;

use std::time::Duration;

use rumormill::Config;
use rumormill::config::WireVersion;
use rumormill::core::{CommandKind, PublishError, PutError, Terms};
use rumormill::node::Tags;
use rumormill::units::{nearest, show_duration};

use self::read::read_act;
pub(super) use self::texts::check_texts;
pub(super) use self::toml::clock_row;
use super::links::Scope;
use super::network::Properties;
use super::nodes::{Names, Nodes};
use crate::percent::Percent;
use crate::protocols::Spec;
use crate::scenario::document::{Entry, Item, Place, Table, Value};
use crate::scenario::errors::{Mistake, Mistakes};
use crate::scenario::plan::{ClockChange, Heal, Manner, Memory};
use crate::scenario::units::{Span, parse_positive_time, parse_time};

pub(super) const ACTIONS: [&str; 24] = [
    "publish",
    "put",
    "delete",
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
    "pause",
    "suspend",
    "starve",
    "slow",
    "clock",
    "update",
    "drop",
    "replay",
    "inject",
];
pub(super) const BESIDE: [&str; 8] =
    ["time", "for", "every", "until", "count", "jitter", "stagger", "label"];

const TIME: &str = "a duration in quotes, such as \"10s\"";

/// Most times that one action is repeated.
const REPEATS_MAX: u64 = 100_000;

/// One `[[at]]`, as typed.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct At {
    pub(in crate::scenario) time: Duration,
    /// After how long it is undone, if ever.
    pub(in crate::scenario) hold: Option<Duration>,
    pub(in crate::scenario) repeat: Repeat,
    /// Each time it happens up to this much later.
    pub(in crate::scenario) jitter: Duration,
    /// How long after one node the next has its turn.
    pub(in crate::scenario) stagger: Duration,
    pub(in crate::scenario) label: String,
    pub(in crate::scenario) act: Act,
    /// Where the value of the action stands.
    pub(in crate::scenario) at: Place,
}

/// How often something happens, and how far apart.
#[derive(Clone, Copy, Debug)]
pub(in crate::scenario) struct Repeat {
    pub(in crate::scenario) every: Duration,
    pub(in crate::scenario) count: u32,
}

/// What an `[[at]]` does, as typed.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Act {
    Publish {
        node: Nodes,
        payload: Payload,
        payload_at: Place,
    },
    /// Of an entry: a value and how long it holds, or its end.
    Write {
        node: Nodes,
        key: String,
        put: Option<(Payload, Terms)>,
        payload_at: Place,
    },
    Partition(Vec<Nodes>),
    Heal(Healing),
    Link {
        verb: &'static str,
        scope: Option<Scope>,
        change: Box<Properties>,
    },
    Join {
        count: u32,
        via: Nodes,
        over: Duration,
    },
    Drop(packets::Drop),
    Replay(packets::ReplaySpec),
    Inject(Box<packets::Inject>),
    Strike {
        nodes: Nodes,
        blow: Blow,
    },
}

/// What happens to one node after the other.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Blow {
    Isolate,
    Crash,
    Stop,
    Start,
    Leave,
    Pause,
    Suspend,
    Starve(Span),
    /// The share of a processor that is left.
    Slow(Percent),
    Restart(Restart),
    Clock(ClockSetting),
    Update(Update),
}

/// What somebody heals.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Healing {
    All,
    Label(String),
}

impl Healing {
    pub(in crate::scenario) fn heal(&self) -> Heal {
        match self {
            Self::All => Heal::All,
            Self::Label(label) => Heal::Label(label.clone()),
        }
    }
}

/// What somebody sets of a clock.
#[derive(Clone, Copy, Debug)]
pub(in crate::scenario) enum ClockSetting {
    Offset { nanos: i64 },
    Jump { nanos: i64 },
    Drift { ppb: i64 },
}

impl ClockSetting {
    pub(in crate::scenario) fn change(self) -> ClockChange {
        match self {
            Self::Offset { nanos } => ClockChange::Offset { nanos },
            Self::Jump { nanos } => ClockChange::Jump { nanos },
            Self::Drift { ppb } => ClockChange::Drift { ppb },
        }
    }
}

/// What nodes say of themselves from then on; what is none stays as it was.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Update {
    /// The pattern of their names.
    pub(in crate::scenario) name: Option<String>,
    pub(in crate::scenario) private_data: Option<String>,
    pub(in crate::scenario) tags: Option<Tags>,
}

/// What is published.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Payload {
    Data(String),
    /// So many random bytes.
    Size(usize),
}

impl Payload {
    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Size(size) => *size,
        }
    }
}

/// How nodes go down and come back.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Restart {
    pub(in crate::scenario) manner: Manner,
    pub(in crate::scenario) how: Return,
}

/// How nodes that are down come back.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Return {
    pub(in crate::scenario) down: Duration,
    pub(in crate::scenario) address: Address,
    pub(in crate::scenario) private_data: Option<String>,
    pub(in crate::scenario) memory: Memory,
    /// For how long the name service gives the addresses of before.
    pub(in crate::scenario) stale_seeds: Option<Duration>,
    /// Up to which version of the wire they speak from then on.
    pub(in crate::scenario) wire_max: Option<WireVersion>,
}

impl Return {
    /// As if nothing had been.
    pub(in crate::scenario) fn after(down: Duration) -> Self {
        let (address, memory) = (Address::Same, Memory::Keeps);
        Self { down, address, private_data: None, memory, stale_seeds: None, wire_max: None }
    }
}

/// Under which address a node comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scenario) enum Address {
    Same,
    New,
    /// The one that it had before its present one; a new one if it has had one only.
    Former,
}

impl Address {
    pub(super) const NAMED: [(&'static str, Self); 3] =
        [("same", Self::Same), ("new", Self::New), ("former", Self::Former)];

    /// As a scenario names it.
    pub(in crate::scenario) fn name(self) -> &'static str {
        let named = Self::NAMED.iter().find(|(_, address)| *address == self);
        named.expect("every address has a name").0
    }
}

/// Reads all of `[[at]]`.
pub(super) fn read(
    item: Option<&Item>,
    duration: Duration,
    (names, spec): (Names<'_>, &Spec),
    found: &mut Mistakes,
) -> Vec<At> {
    let items = match item {
        None => Ok(&[][..]),
        Some(Item { value: Value::Table(_), at }) => {
            Err(Mistake::new(*at, "actions stand under [[at]], with two brackets"))
        }
        Some(item) => item.list("actions, each under [[at]]"),
    };
    let items = found.keep(items).unwrap_or_default();
    let before = found.len();
    let mut actions = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if let Some(table) = found.keep(item.table("an action under [[at]]")) {
            actions.extend(read_at(table, item.at, index, (duration, names, spec), found));
        }
    }
    // An action that is wrong may have the label that is looked for.
    if found.len() == before {
        check_labels(&actions, found);
    }
    actions
}

fn read_at(
    table: &Table,
    at: Place,
    index: usize,
    (duration, names, spec): (Duration, Names<'_>, &Spec),
    found: &mut Mistakes,
) -> Option<At> {
    let entry = single_action(table, at, found);
    let time = found.keep(read_start(table, duration));
    let act = entry.and_then(|entry| found.keep(read_act(entry, names, spec)?));
    let obeyed = entry.zip(act.as_ref()).map(|(entry, act)| check_obeyed(entry, act, spec));
    found.keep(obeyed.unwrap_or(Ok(())));
    let hold = entry.zip(table.entry("for"));
    let hold = found.keep(hold.map(|(act, hold)| read_hold(hold, &act.key)).transpose());
    let jitter = found.keep(read_optional(table, "jitter"));
    let stagger = found.keep(read_stagger(table, act.as_ref()));
    let repeat = found.keep(read_repeat(table, time.unwrap_or_default(), duration));
    let label = found.keep(table.item("label").map(read_label).transpose());
    let (entry, label) = (entry?, label?);
    Some(At {
        time: time?,
        hold: hold?,
        repeat: repeat?,
        jitter: jitter?,
        stagger: stagger?,
        label: label.unwrap_or_else(|| format!("{}-{}", entry.key, index + 1)),
        act: act?,
        at: entry.item.at,
    })
}

/// What nodes are told to do, their protocol must know.
fn check_obeyed(entry: &Entry, act: &Act, spec: &Spec) -> Result<(), Mistake> {
    let (name, verb) = (spec.name, act.verb());
    if !command(act).is_some_and(|command| spec.refuses.contains(&command)) {
        return Ok(());
    }
    let text = format!("`{name}` can't `{verb}`: leave this action out, or run another protocol");
    Err(Mistake::new(entry.key_at, text))
}

fn command(act: &Act) -> Option<CommandKind> {
    Some(match act.verb() {
        "publish" => CommandKind::Publish,
        "put" => CommandKind::Put,
        "delete" => CommandKind::Delete,
        "stop" => CommandKind::Stop,
        "start" => CommandKind::Start,
        "leave" => CommandKind::Leave,
        "update" => CommandKind::Update,
        "restart" if act.is_polite() => CommandKind::Leave,
        _ => return None,
    })
}

fn read_start(table: &Table, duration: Duration) -> Result<Duration, Mistake> {
    let item = table.need("time", "time = \"10s\"")?;
    let time = item.parsed(TIME, parse_time)?;
    check_within(item, "time", time, duration)?;
    Ok(time)
}

fn read_optional(table: &Table, key: &str) -> Result<Duration, Mistake> {
    table.item(key).map_or(Ok(Duration::ZERO), |item| item.parsed(TIME, parse_time))
}

fn read_stagger(table: &Table, act: Option<&Act>) -> Result<Duration, Mistake> {
    if let (Some(entry), Some(act)) = (table.entry("stagger"), act)
        && act.struck().is_none()
    {
        let text = format!("`{}` happens at once: leave `stagger` out", act.verb());
        return Err(Mistake::new(entry.key_at, text));
    }
    read_optional(table, "stagger")
}

fn check_within(item: &Item, key: &str, time: Duration, duration: Duration) -> Result<(), Mistake> {
    if time <= duration {
        return Ok(());
    }
    let (time, end) = (show_duration(time), show_duration(duration));
    let what = if key == "time" { "the time" } else { "`until`" };
    Err(Mistake::new(item.at, format!("{what} {time} lies beyond the duration {end}")))
}

/// The one entry that is an action.
fn single_action<'a>(table: &'a Table, at: Place, found: &mut Mistakes) -> Option<&'a Entry> {
    let known: Vec<&str> = ACTIONS.into_iter().chain(BESIDE).collect();
    let before = found.len();
    found.extend(table.unknown(&known));
    let is_action = |entry: &&Entry| ACTIONS.contains(&entry.key.as_str());
    let mut actions = table.entries.iter().filter(is_action);
    let (first, second) = (actions.next(), actions.next());
    if let (Some(first), Some(second)) = (first, second) {
        let (one, two) = (&first.key, &second.key);
        let text = format!("two actions in one [[at]], `{one}` and `{two}`: give each its own");
        found.note(Mistake::new(second.key_at, text));
    }
    // The unknown key may be its action.
    if first.is_none() && found.len() == before {
        let text = format!("this [[at]] has no action: add one of {}", ACTIONS.join(", "));
        found.note(Mistake::new(at, text));
    }
    first
}

fn read_hold(entry: &Entry, action: &str) -> Result<Duration, Mistake> {
    let undoable = [
        "partition",
        "isolate",
        "link",
        "loss",
        "latency",
        "crash",
        "stop",
        "leave",
        "pause",
        "suspend",
        "starve",
        "slow",
        "clock",
        "replay",
    ];
    if !undoable.contains(&action) {
        let text = format!("`{action}` can't be undone: leave `for` out");
        return Err(Mistake::new(entry.key_at, text));
    }
    entry.item.parsed(TIME, parse_positive_time)
}

/// `every`, with `until` (that time included) or `count`.
fn read_repeat(table: &Table, time: Duration, duration: Duration) -> Result<Repeat, Mistake> {
    let (until, count) = (table.entry("until"), table.entry("count"));
    let Some(every) = table.entry("every") else {
        return match until.or(count) {
            None => Ok(Repeat { every: Duration::ZERO, count: 1 }),
            Some(alone) => {
                let text = format!("`{}` goes with `every`: add `every = \"5s\"`", alone.key);
                Err(Mistake::new(alone.key_at, text))
            }
        };
    };
    let apart = every.item.parsed(TIME, parse_positive_time)?;
    let fitting = u64::try_from((duration - time).as_nanos() / apart.as_nanos() + 1);
    let fitting = fitting.unwrap_or(u64::MAX);
    let count = match (until, count) {
        (None, Some(Entry { item, .. })) => {
            let count = item.number("a number of times", 1, REPEATS_MAX)?;
            if count > fitting {
                let text = format!("only {fitting} of {count} times lie within the duration");
                return Err(Mistake::new(item.at, text));
            }
            count
        }
        (Some(Entry { item, .. }), None) => {
            let end = item.parsed(TIME, parse_time)?;
            check_within(item, "until", end, duration)?;
            let (time, end) = (time.as_nanos(), end.as_nanos());
            let Some(span) = end.checked_sub(time) else {
                let text = "`until` lies before the first `time`: nothing would happen";
                return Err(Mistake::new(item.at, text));
            };
            u64::try_from(span / apart.as_nanos() + 1).unwrap_or(u64::MAX)
        }
        (Some(_), Some(second)) => {
            let text = "`until` and `count` exclude each other: keep one";
            return Err(Mistake::new(second.key_at, text));
        }
        (None, None) => {
            let text = "until when? Add `until = \"50s\"` or `count = 3`";
            return Err(Mistake::new(every.key_at, text));
        }
    };
    if count > REPEATS_MAX {
        let text = format!("this makes {count} times: at most {REPEATS_MAX}");
        return Err(Mistake::new(every.item.at, text));
    }
    let count = u32::try_from(count).expect("checked against REPEATS_MAX");
    Ok(Repeat { every: apart, count })
}

fn read_label(item: &Item) -> Result<String, Mistake> {
    let label = item.text("a label in quotes")?;
    if label.is_empty() || label == "all" {
        let text = "a label is any text but \"\" and \"all\"";
        return Err(Mistake::new(item.at, text));
    }
    Ok(label.to_owned())
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

/// Publishes must fit the engine's limits, whoever publishes.
pub(super) fn check_fits(actions: &[At], config: &Config, found: &mut Mistakes) {
    for action in actions {
        // The bytes themselves need not be there: they may be more than the machine has.
        let (at, error) = match &action.act {
            Act::Publish { payload, payload_at, .. } => {
                let (len, max) = (payload.len(), config.metadata_len_max());
                (payload_at, (len > max).then(|| PublishError::TooLarge { len, max }.to_string()))
            }
            Act::Write { put: Some((payload, _)), payload_at, .. } => {
                let (len, max) = (payload.len(), config.entry_len_max());
                (payload_at, (len > max).then(|| PutError::TooLarge { len, max }.to_string()))
            }
            _ => continue,
        };
        if let Some(error) = error {
            found.note(Mistake::new(*at, error));
        }
    }
}

/// A heal names an action of the network that comes before it.
fn check_labels(actions: &[At], found: &mut Mistakes) {
    let network: Vec<&At> = actions.iter().filter(|at| at.act.is_network()).collect();
    for action in actions {
        if let Act::Heal(Healing::Label(label)) = &action.act {
            found.keep(check_heal(action, label, &network));
        }
    }
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
    /// Whether those whom it strikes say goodbye before they come back.
    fn is_polite(&self) -> bool {
        let Self::Strike { blow: Blow::Restart(restart), .. } = self else { return false };
        restart.manner == Manner::Leave
    }

    /// Whether it changes the network and can be healed.
    fn is_network(&self) -> bool {
        let isolates = matches!(self, Self::Strike { blow: Blow::Isolate, .. });
        isolates || matches!(self, Self::Partition(_) | Self::Link { .. })
    }

    /// The nodes to each of which it happens, if it is such an action.
    pub(in crate::scenario) fn struck(&self) -> Option<&Nodes> {
        match self {
            Self::Strike { nodes, .. } => Some(nodes),
            _ => None,
        }
    }

    /// The word for what it does, which is its key.
    pub(in crate::scenario) fn verb(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::Write { put: Some(_), .. } => "put",
            Self::Write { put: None, .. } => "delete",
            Self::Partition(_) => "partition",
            Self::Heal(_) => "heal",
            Self::Link { verb, .. } => verb,
            Self::Join { .. } => "join",
            Self::Drop(_) => "drop",
            Self::Replay(_) => "replay",
            Self::Inject(_) => "inject",
            Self::Strike { blow, .. } => blow.verb(),
        }
    }
}

impl Blow {
    fn verb(&self) -> &'static str {
        match self {
            Self::Isolate => "isolate",
            Self::Crash => "crash",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Leave => "leave",
            Self::Pause => "pause",
            Self::Suspend => "suspend",
            Self::Starve(_) => "starve",
            Self::Slow(_) => "slow",
            Self::Restart(_) => "restart",
            Self::Clock(_) => "clock",
            Self::Update(_) => "update",
        }
    }
}

impl At {
    /// Newcomers that it brings, all times together.
    pub(in crate::scenario) fn newcomers(&self) -> u64 {
        let Act::Join { count, .. } = self.act else { return 0 };
        u64::from(count) * u64::from(self.repeat.count)
    }
}
