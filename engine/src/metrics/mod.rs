//! What a node counts: one registry of names, kinds and units, with what each of them means.
//!
//! The counters of a node are the fields of [`NetStats`], which [`NodeList::stats`] gives, and of
//! [`Stats`], those of its engine. Each is defined once: the definition is the field, its docs, and
//! a [`Metric`] of the registry, which `metrics()` of the same types goes through. `readings()` has
//! each metric with what it shows now, and [`prometheus`] makes a page of them that Prometheus
//! scrapes:
//!
//! ```
//! # #[cfg(feature = "net")] {
//! use rumormill::NodeList;
//! use rumormill::metrics::{CONTENT_TYPE, prometheus};
//!
//! /// What `GET /metrics` answers.
//! fn scrape(list: &NodeList) -> (&'static str, String) {
//!     (CONTENT_TYPE, prometheus(list.stats().readings()))
//! }
//! # }
//! ```
//!
//! All counters begin at zero with each join, as after a restart of the process. A [`Histogram`]
//! has the same buckets everywhere, so that those of many nodes may be added up.
//!
//! [`NetStats`]: crate::net::NetStats
//! [`NodeList::stats`]: crate::NodeList::stats
//! [`Stats`]: crate::core::Stats
//!
//! # All of them
#![doc = include_str!("table.md")]

mod histogram;
mod prometheus;

pub use histogram::Histogram;
pub use prometheus::{CONTENT_TYPE, prometheus};

/// One thing that is counted or measured: an entry of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Metric {
    /// What counts it: `engine`, `net` or `streams`.
    pub group: &'static str,
    /// Its name within that: the field of the counters.
    pub name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// What its numbers are.
    pub unit: Unit,
    /// The docs of its field.
    docs: &'static str,
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// Up only, from zero at a join.
    Counter,
    /// Up and down.
    Gauge,
    /// Many durations, counted by how long they were.
    Histogram,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Things: packets, calls, nodes.
    One,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// What a metric shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// One number.
    Number(u64),
    /// A number for each value of a label.
    Labelled {
        /// The label.
        label: &'static str,
        /// Its values, each with its number.
        counts: Vec<(String, u64)>,
    },
    /// The durations so far.
    Histogram(Histogram),
}

impl Metric {
    pub(crate) const fn new(
        (group, name): (&'static str, &'static str),
        kind: MetricKind,
        unit: Unit,
        docs: &'static str,
    ) -> Self {
        Self { group, name, kind, unit, docs }
    }

    /// What it means, as plain text on one line: the docs of its field without their markup.
    pub fn help(&self) -> String {
        let words: Vec<_> = self.docs.split_whitespace().collect();
        words.join(" ").replace(['`', '[', ']'], "")
    }

    /// Its name for Prometheus: the group, the name and the unit; a counter ends in `_total`.
    pub fn prometheus_name(&self) -> String {
        let mut name = format!("rumormill_{}_{}", self.group, self.name);
        let unit = match self.unit {
            Unit::One => "",
            Unit::Bytes => "_bytes",
            Unit::Seconds => "_seconds",
        };
        if !name.ends_with(unit) {
            name.push_str(unit);
        }
        if self.kind == MetricKind::Counter {
            name.push_str("_total");
        }
        name
    }
}

impl From<u64> for Reading {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Reading {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<Histogram> for Reading {
    fn from(histogram: Histogram) -> Self {
        Self::Histogram(histogram)
    }
}

/// Defines counters: a struct, its docs and its part of the registry, at once. The counters `with`
/// it are of its parts, and follow its own in the registry.
macro_rules! counters {
    (
        $(#[$about:meta])*
        pub struct $name:ident in $group:literal {
            $($(#[doc = $docs:literal])+ $field:ident: $type:ty => $kind:ident($unit:ident),)+
        }
        $(with { $($(#[doc = $part_docs:literal])+ $part:ident: $part_type:ty,)+ })?
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize))]
        #[non_exhaustive]
        pub struct $name {
            $($($(#[doc = $part_docs])+ pub $part: $part_type,)+)?
            $($(#[doc = $docs])+ pub $field: $type,)+
        }

        impl $name {
            const OWN: &'static [$crate::metrics::Metric] = &[$(
                $crate::metrics::Metric::new(
                    ($group, stringify!($field)),
                    $crate::metrics::MetricKind::$kind,
                    $crate::metrics::Unit::$unit,
                    concat!($($docs, " "),+),
                ),
            )+];

            /// The registry of these metrics, in the order of the fields; those of parts last.
            pub fn metrics() -> impl Iterator<Item = &'static $crate::metrics::Metric> {
                Self::OWN.iter()$($(.chain(<$part_type>::metrics()))+)?
            }

            /// Each metric of the registry, with what it shows.
            pub fn readings(
                &self,
            ) -> impl Iterator<Item = (&'static $crate::metrics::Metric, $crate::metrics::Reading)>
            {
                let own = [$($crate::metrics::Reading::from(self.$field)),+];
                Self::OWN.iter().zip(own)$($(.chain(self.$part.readings()))+)?
            }
        }
    };
}

pub(crate) use counters;

#[cfg(all(test, feature = "net"))]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;
    use crate::net::NetStats;

    /// The table of the docs, as the registry has it.
    fn table() -> String {
        let mut table = "\n| metric | kind | meaning |\n|---|---|---|\n".to_owned();
        for metric in NetStats::metrics() {
            let (name, kind) = (metric.prometheus_name(), format!("{:?}", metric.kind));
            let kind = kind.to_lowercase();
            writeln!(table, "| `{name}` | {kind} | {} |", metric.help()).unwrap();
        }
        table
    }

    #[test]
    fn the_docs_list_the_registry() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics/table.md");
        if std::env::var_os("RUMORMILL_BLESS").is_some() {
            std::fs::write(path, table()).unwrap();
        }
        let held = std::fs::read_to_string(path).unwrap();
        assert_eq!(held, table(), "rewrite it: RUMORMILL_BLESS=1 cargo test -p rumormill metrics");
    }

    #[test]
    fn every_metric_has_a_name_of_its_own_and_says_what_it_means() {
        let names: BTreeSet<_> = NetStats::metrics().map(Metric::prometheus_name).collect();
        assert_eq!(names.len(), NetStats::metrics().count());
        for metric in NetStats::metrics() {
            let help = metric.help();
            assert!(
                help.ends_with('.') && !help.starts_with("Their"),
                "alone it says little: {help}"
            );
            assert!(!help.contains(['`', '[', '\n']) && !help.contains("  "), "{help}");
            let is_histogram = metric.kind == MetricKind::Histogram;
            assert_eq!(is_histogram, metric.unit == Unit::Seconds, "{}", metric.name);
        }
    }

    #[test]
    fn a_name_has_its_unit_once_and_a_counter_its_ending() {
        let named = |name: &str| {
            let metric = NetStats::metrics().find(|metric| metric.name == name).unwrap();
            metric.prometheus_name()
        };
        assert_eq!(named("inputs"), "rumormill_engine_inputs_total");
        assert_eq!(named("queue_bytes"), "rumormill_net_queue_bytes");
        assert_eq!(named("received_bytes"), "rumormill_net_received_bytes_total");
        assert_eq!(named("round_trip"), "rumormill_engine_round_trip_seconds");
        assert_eq!(named("open"), "rumormill_streams_open");
    }

    #[test]
    fn a_reading_is_that_of_its_field() {
        let mut stats = NetStats { received: 3, queue_bytes: 5, ..NetStats::default() };
        (stats.engine.members, stats.streams.open) = (7, 11);
        let reading = |name: &str| {
            let all = stats.readings().find(|(metric, _)| metric.name == name);
            all.map(|(_, reading)| reading)
        };
        for (name, number) in [("received", 3), ("queue_bytes", 5), ("members", 7), ("open", 11)] {
            assert_eq!(reading(name), Some(Reading::Number(number)));
        }
        assert_eq!(stats.readings().count(), NetStats::metrics().count());
    }
}
