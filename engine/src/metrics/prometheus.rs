//! The text that Prometheus scrapes.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::{Histogram, Metric, MetricKind, Reading};

/// What the text of [`prometheus`] is, for the header `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics with what they show, as Prometheus reads them.
///
/// ```
/// use rumormill::core::Stats;
///
/// let text = rumormill::metrics::prometheus(Stats::default().readings());
/// let mut lines = text.lines();
/// let mut next = || lines.next().unwrap();
/// assert_eq!(next(), "# HELP rumormill_engine_inputs_total Calls of Engine::handle.");
/// assert_eq!(next(), "# TYPE rumormill_engine_inputs_total counter");
/// assert_eq!(next(), "rumormill_engine_inputs_total 0");
/// ```
pub fn prometheus<'a>(readings: impl IntoIterator<Item = (&'a Metric, Reading)>) -> String {
    let mut text = String::new();
    for (metric, reading) in readings {
        write_family(&mut text, metric, &reading).expect("a string takes everything");
    }
    text
}

fn write_family(text: &mut String, metric: &Metric, reading: &Reading) -> fmt::Result {
    let name = metric.prometheus_name();
    let kind = match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    writeln!(text, "# HELP {name} {}", escaped(&metric.help()))?;
    writeln!(text, "# TYPE {name} {kind}")?;
    match reading {
        Reading::Number(number) => writeln!(text, "{name} {number}"),
        Reading::Labelled { label, counts } => counts.iter().try_for_each(|(value, count)| {
            let value = escaped(value).replace('"', "\\\"");
            writeln!(text, "{name}{{{label}=\"{value}\"}} {count}")
        }),
        Reading::Histogram(histogram) => write_histogram(text, &name, histogram),
    }
}

fn write_histogram(text: &mut String, name: &str, histogram: &Histogram) -> fmt::Result {
    for (bound, count) in histogram.buckets() {
        writeln!(text, "{name}_bucket{{le=\"{}\"}} {count}", Seconds(bound))?;
    }
    let (sum, count) = (Seconds(histogram.sum()), histogram.count());
    writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(text, "{name}_sum {sum}\n{name}_count {count}")
}

/// What may stand behind a `HELP`, on its line.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// A duration as a decimal number, to the nanosecond and without zeros at its end.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = format!("{}.{:09}", self.0.as_secs(), self.0.subsec_nanos());
        f.write_str(decimal.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(all(test, feature = "net"))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::Unit;
    use super::*;
    use crate::net::NetStats;

    /// What a scraper reads of one family.
    #[derive(Debug, Default)]
    struct Family {
        kind: String,
        help: String,
        /// The name and labels of each sample, with its value.
        samples: Vec<(String, f64)>,
    }

    /// Reads a text as the format's own page says it is to be read.
    fn scrape(text: &str) -> BTreeMap<String, Family> {
        assert!(text.ends_with('\n'), "the last line must end with a line feed");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(!families.contains_key(name), "{name} comes twice");
                current = name.to_owned();
                families.entry(current.clone()).or_default().help = help.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                let family = families.get_mut(name).unwrap();
                assert!(name == current && family.samples.is_empty(), "{line}");
                family.kind = kind.to_owned();
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                let name = sample.split('{').next().unwrap();
                let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
                assert!(name.chars().all(is_name) && name.starts_with(&current), "{line}");
                let family = families.get_mut(&current).unwrap();
                family.samples.push((sample[current.len()..].to_owned(), value.parse().unwrap()));
            }
        }
        families
    }

    fn some_stats() -> NetStats {
        let mut stats = NetStats { received_bytes: 1_400, ..NetStats::default() };
        stats.engine.members = 3;
        stats.rejected.count(crate::wire::Reject::TooShort);
        for micros in [90, 900, 900, 61_000_000] {
            stats.engine.round_trip.observe(Duration::from_micros(micros));
        }
        stats
    }

    #[test]
    fn every_metric_is_a_family_of_its_kind_with_its_help() {
        let families = scrape(&prometheus(some_stats().readings()));
        assert_eq!(families.len(), NetStats::metrics().count());
        for metric in NetStats::metrics() {
            let name = metric.prometheus_name();
            let Family { kind, help, samples } = &families[&name];
            assert_eq!(*kind, format!("{:?}", metric.kind).to_lowercase());
            assert_eq!(*help, metric.help());
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            let base = name.trim_end_matches("_total");
            assert_eq!(metric.unit == Unit::Bytes, base.ends_with("_bytes"), "{name}");
            assert_eq!(metric.unit == Unit::Seconds, base.ends_with("_seconds"), "{name}");
            let labels: BTreeSet<_> = samples.iter().map(|(labels, _)| labels).collect();
            assert_eq!(labels.len(), samples.len(), "{name} has a sample twice");
        }
        let sample = |name: &str| families[name].samples[0].clone();
        assert_eq!(sample("rumormill_net_received_bytes_total"), (String::new(), 1_400.0));
        assert_eq!(sample("rumormill_engine_members"), (String::new(), 3.0));
        let rejected = &families["rumormill_net_rejected_total"].samples;
        assert_eq!(rejected.len(), crate::wire::Reject::ALL.len());
        assert_eq!(rejected[0], ("{reason=\"too_short\"}".to_owned(), 1.0));
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_a_sum_and_a_count() {
        let families = scrape(&prometheus(some_stats().readings()));
        let samples = &families["rumormill_engine_round_trip_seconds"].samples;
        let (buckets, rest) = samples.split_at(Histogram::BOUNDS.len() + 1);
        let mut bounds = Vec::new();
        for (labels, count) in buckets {
            let le = labels.strip_prefix("_bucket{le=\"").unwrap().strip_suffix("\"}").unwrap();
            let bound: f64 = le.parse().unwrap();
            let lasted = [0.000_09, 0.000_9, 0.000_9, 61.0].iter().filter(|&&it| it <= bound);
            assert_eq!(lasted.count() as f64, *count, "{le}");
            bounds.push(bound);
        }
        assert!(bounds.is_sorted() && bounds.ends_with(&[30.0, 60.0, f64::INFINITY]));
        assert_eq!(rest, [("_sum".to_owned(), 61.001_89), ("_count".to_owned(), 4.0)]);
    }

    #[test]
    fn what_would_end_a_line_or_a_label_is_escaped() {
        let metric =
            Metric::new(("test", "odd"), MetricKind::Counter, Unit::One, "A \\ stands here.");
        let counts = vec![("a\"b\\c\nd".to_owned(), 1)];
        let reading = Reading::Labelled { label: "reason", counts };
        let text = prometheus([(&metric, reading)]);
        assert!(
            text.starts_with("# HELP rumormill_test_odd_total A \\\\ stands here.\n"),
            "{text}"
        );
        assert!(text.ends_with("{reason=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
    }

    #[test]
    fn seconds_are_exact_and_short() {
        let shown = |nanos| Seconds(Duration::from_nanos(nanos)).to_string();
        assert_eq!(shown(0), "0");
        assert_eq!(shown(100_000), "0.0001");
        assert_eq!(shown(10_000_000_000), "10");
        assert_eq!(shown(u64::MAX), "18446744073.709551615");
    }
}
