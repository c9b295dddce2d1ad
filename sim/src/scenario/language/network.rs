//! The properties of links: `[network]`, and the actions that change them.

use std::time::Duration;

use rumormill::link::{Burst, Latency, Link, LinkChange, Loss};
use rumormill::units::{parse_size, show_duration};

use crate::percent::Percent;
use crate::scenario::document::{Entry, Item, Table, Value};
use crate::scenario::errors::{Mistake, Mistakes};
use crate::scenario::units::{
    Span, parse_bandwidth, parse_positive_time, parse_time, show_bandwidth,
};

/// Every property a link can be given.
pub(in crate::scenario) const KEYS: [&str; 9] =
    ["latency", "jitter", "loss", "duplicate", "reorder", "corrupt", "mtu", "bandwidth", "queue"];

pub(super) const LOSS_KEYS: [&str; 1] = ["burst"];
pub(super) const BURST_KEYS: [&str; 3] = ["enter", "leave", "loss"];
pub(super) const LATENCY_KEYS: [&str; 2] = ["lognormal", "min"];
pub(super) const LOGNORMAL_KEYS: [&str; 2] = ["median", "p99"];

const PERCENT: &str = "a percent in quotes, such as \"1%\"";
const TIME: &str = "a duration in quotes, such as \"5ms\"";

/// The smallest datagram every network must carry, and the largest there is, headers included.
const MTU_MIN: u64 = 68;
const MTU_MAX: u64 = 65_535;
const QUEUE_MAX: u64 = 1 << 40;

/// Properties of a link as typed; those left out keep what they were.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario) struct Properties {
    latency: Option<Delay>,
    jitter: Option<Duration>,
    loss: Option<Losses>,
    duplicate: Option<Percent>,
    reorder: Option<Percent>,
    corrupt: Option<Percent>,
    mtu: Option<u32>,
    bandwidth: Option<u64>,
    queue: Option<u64>,
}

/// A law of delay as typed, with its table where it has one.
#[derive(Clone, Debug)]
enum Delay {
    Uniform(Span),
    Lognormal { median: Duration, p99: Duration, min: Duration, table: Latency },
}

/// A law of loss as typed.
#[derive(Clone, Copy, Debug)]
enum Losses {
    Each(Percent),
    Bursts { enter: Percent, leave: Percent, loss: Percent },
}

impl Properties {
    /// `[network]`, with the defaults for what it leaves out.
    pub(super) fn of_network(table: Option<&Table>, found: &mut Mistakes) -> Self {
        let mut properties = Self {
            latency: Some(Delay::Uniform(Span {
                min: Duration::from_millis(1),
                max: Duration::from_millis(10),
            })),
            jitter: Some(Duration::ZERO),
            loss: Some(Losses::Each(Percent::default())),
            duplicate: Some(Percent::default()),
            reorder: Some(Percent::default()),
            corrupt: Some(Percent::default()),
            mtu: None,
            bandwidth: None,
            queue: Some(256 << 10),
        };
        if let Some(table) = table {
            found.extend(table.unknown(&KEYS));
            for entry in &table.entries {
                found.keep(properties.read_one(&entry.key, &entry.item));
            }
        }
        properties
    }

    /// The properties among the entries of a table; other keys are passed over.
    pub(super) fn among(table: &Table) -> Result<Self, Mistake> {
        let mut properties = Self::default();
        properties.read_entries(&table.entries)?;
        Ok(properties)
    }

    /// One property, such as that of `loss = "20%"`.
    pub(super) fn single(key: &str, item: &Item) -> Result<Self, Mistake> {
        let mut properties = Self::default();
        properties.read_one(key, item)?;
        Ok(properties)
    }

    fn read_entries(&mut self, entries: &[Entry]) -> Result<(), Mistake> {
        entries.iter().try_for_each(|entry| self.read_one(&entry.key, &entry.item))
    }

    fn read_one(&mut self, key: &str, item: &Item) -> Result<(), Mistake> {
        match key {
            "latency" => self.latency = Some(Delay::read(item)?),
            "jitter" => self.jitter = Some(item.parsed(TIME, parse_time)?),
            "loss" => self.loss = Some(Losses::read(item)?),
            "duplicate" => self.duplicate = Some(item.parsed(PERCENT, Percent::parse)?),
            "reorder" => self.reorder = Some(item.parsed(PERCENT, Percent::parse)?),
            "corrupt" => self.corrupt = Some(item.parsed(PERCENT, Percent::parse)?),
            "mtu" => {
                let bytes = size(item, MTU_MIN, MTU_MAX)?;
                self.mtu = Some(u32::try_from(bytes).expect("checked against MTU_MAX"));
            }
            "bandwidth" => {
                let what = "a bandwidth in quotes, such as \"20Mbit/s\"";
                self.bandwidth = Some(item.parsed(what, parse_bandwidth)?);
            }
            "queue" => self.queue = Some(size(item, 1, QUEUE_MAX)?),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows().is_empty()
    }

    /// What an action changes.
    pub(in crate::scenario) fn change(&self) -> LinkChange {
        LinkChange {
            latency: self.latency.as_ref().map(Delay::latency),
            jitter: self.jitter,
            loss: self.loss.map(Losses::loss),
            duplicate: self.duplicate.map(Percent::probability),
            reorder: self.reorder.map(Percent::probability),
            corrupt: self.corrupt.map(Percent::probability),
            mtu: self.mtu,
            bandwidth: self.bandwidth,
            queue: self.queue,
        }
    }

    /// The default link; only for the properties of `[network]`, which are complete.
    pub(in crate::scenario) fn link(&self) -> Link {
        let change = self.change();
        let complete = "of_network fills this in";
        Link {
            latency: change.latency.expect(complete),
            jitter: change.jitter.expect(complete),
            loss: change.loss.expect(complete),
            duplicate: change.duplicate.expect(complete),
            reorder: change.reorder.expect(complete),
            corrupt: change.corrupt.expect(complete),
            mtu: change.mtu,
            bandwidth: change.bandwidth,
            queue: change.queue.expect(complete),
        }
    }

    /// Keys and their values as TOML.
    pub(in crate::scenario) fn rows(&self) -> Vec<(&'static str, String)> {
        let time = |time: Duration| quoted(&show_duration(time));
        let percent = |percent: Percent| quoted(&percent.to_string());
        let values = [
            self.latency.as_ref().map(Delay::toml),
            self.jitter.map(time),
            self.loss.map(Losses::toml),
            self.duplicate.map(percent),
            self.reorder.map(percent),
            self.corrupt.map(percent),
            self.mtu.map(|bytes| bytes.to_string()),
            self.bandwidth.map(|bits| quoted(&show_bandwidth(bits))),
            self.queue.map(|bytes| bytes.to_string()),
        ];
        KEYS.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// For a person: `latency 20ms..40ms, loss 1%`.
    pub(in crate::scenario) fn text(&self) -> String {
        let show = |(key, value): (&str, String)| format!("{key} {}", value.replace('"', ""));
        self.rows().into_iter().map(show).collect::<Vec<_>>().join(", ")
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A number of bytes within limits.
pub(super) fn size(item: &Item, low: u64, high: u64) -> Result<u64, Mistake> {
    let what = "a size, such as 1400 or \"256KiB\"";
    let Value::Text(_) = item.value else { return item.number(what, low, high) };
    let bytes = item.parsed(what, parse_size)?;
    if !(low..=high).contains(&bytes) {
        let text = format!("{bytes} bytes are out of range: from {low} to {high}");
        return Err(Mistake::new(item.at, text));
    }
    Ok(bytes)
}

impl Losses {
    fn read(item: &Item) -> Result<Self, Mistake> {
        let example = "burst = { enter = \"0.1%\", leave = \"20%\", loss = \"80%\" }";
        let Value::Table(table) = &item.value else {
            return Ok(Self::Each(item.parsed(PERCENT, Percent::parse)?));
        };
        table.only(&LOSS_KEYS)?;
        let law = table.need("burst", example)?;
        let fields = law.table("a table, such as { enter = \"0.1%\", leave = \"20%\" }")?;
        fields.only(&BURST_KEYS)?;
        let share = |key: &str, example| fields.need(key, example)?.parsed(PERCENT, Percent::parse);
        let enter = share("enter", "enter = \"0.1%\"")?;
        let leave = share("leave", "leave = \"20%\"")?;
        if leave == Percent::default() {
            let at = fields.item("leave").unwrap_or(law).at;
            return Err(Mistake::new(at, "a burst must end some time: more than 0%"));
        }
        let loss = share("loss", "loss = \"80%\"")?;
        Ok(Self::Bursts { enter, leave, loss })
    }

    fn loss(self) -> Loss {
        match self {
            Self::Each(percent) => percent.probability().into(),
            Self::Bursts { enter, leave, loss } => Loss::Bursts(Burst {
                enter: enter.probability(),
                leave: leave.probability(),
                loss: loss.probability(),
            }),
        }
    }

    fn toml(self) -> String {
        match self {
            Self::Each(percent) => quoted(&percent.to_string()),
            Self::Bursts { enter, leave, loss } => format!(
                "{{ burst = {{ enter = \"{enter}\", leave = \"{leave}\", loss = \"{loss}\" }} }}"
            ),
        }
    }
}

impl Delay {
    fn read(item: &Item) -> Result<Self, Mistake> {
        let what = "a range of time in quotes, such as \"1ms..10ms\", or { lognormal = { .. } }";
        match &item.value {
            Value::Table(table) => Self::read_lognormal(table),
            _ => Ok(Self::Uniform(item.parsed(what, Span::parse)?)),
        }
    }

    fn read_lognormal(table: &Table) -> Result<Self, Mistake> {
        table.only(&LATENCY_KEYS)?;
        let example = "lognormal = { median = \"5ms\", p99 = \"60ms\" }";
        let law = table.need("lognormal", example)?;
        let fields = law.table("a table, such as { median = \"5ms\", p99 = \"60ms\" }")?;
        fields.only(&LOGNORMAL_KEYS)?;
        let median =
            fields.need("median", "median = \"5ms\"")?.parsed(TIME, parse_positive_time)?;
        let p99 = fields.need("p99", "p99 = \"60ms\"")?.parsed(TIME, parse_positive_time)?;
        let min = table.item("min").map(|item| item.parsed(TIME, parse_time)).transpose()?;
        let min = min.unwrap_or_default();
        if min > median {
            let at = table.item("min").unwrap_or(law).at;
            let (min, median) = (show_duration(min), show_duration(median));
            let text = format!("the least delay {min} lies above the median {median}");
            return Err(Mistake::new(at, text));
        }
        let Some(table) = Latency::lognormal(median, p99, min) else {
            let (median, p99) = (show_duration(median), show_duration(p99));
            let text = format!("upside down: the median {median} must lie below the p99 {p99}");
            return Err(Mistake::new(law.at, text));
        };
        Ok(Self::Lognormal { median, p99, min, table })
    }

    fn latency(&self) -> Latency {
        match self {
            Self::Uniform(span) => Latency::Uniform { min: span.min, max: span.max },
            Self::Lognormal { table, .. } => table.clone(),
        }
    }

    fn toml(&self) -> String {
        match self {
            Self::Uniform(span) => quoted(&span.to_string()),
            Self::Lognormal { median, p99, min, .. } => format!(
                "{{ lognormal = {{ median = \"{}\", p99 = \"{}\" }}, min = \"{}\" }}",
                show_duration(*median),
                show_duration(*p99),
                show_duration(*min)
            ),
        }
    }
}
