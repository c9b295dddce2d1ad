//! How often each kind of event was raised, and what the engines counted, all nodes together.

use std::collections::BTreeMap;

use rumormill::Event;
use rumormill::core::Stats;
use rumormill::metrics::Reading;
use rustc_hash::FxHashMap;

use crate::measures::{engine_counters, is_peak};

/// Counts over a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By name; nobody goes through it in its own order.
    events: FxHashMap<&'static str, u64>,
    engine: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// An engine raised an event.
    pub(crate) fn raised(&mut self, event: &Event) {
        *self.events.entry(event.name()).or_default() += 1;
    }

    /// An engine took over a list of so many others, of whom it tells nobody.
    pub(crate) fn took_over(&mut self, others: u64) {
        *self.events.entry("joined").or_default() += others;
    }

    /// The time of an engine is over: its counters are added up, and of its greatest the greatest
    /// is kept.
    pub(crate) fn retire(&mut self, stats: &Stats) {
        for (name, count) in counters(stats) {
            let sum = self.engine.entry(name).or_default();
            *sum = if is_peak(name) { count.max(*sum) } else { count + *sum };
        }
    }

    /// Every kind of event with its count.
    pub(crate) fn events(&self) -> BTreeMap<&'static str, u64> {
        let count = |&name: &&'static str| (name, self.events.get(name).copied().unwrap_or(0));
        Event::NAMES.iter().map(count).collect()
    }

    /// Every counter of the engines.
    pub(crate) fn engine(&self) -> BTreeMap<&'static str, u64> {
        let mut all: BTreeMap<_, _> = counters(&Stats::default()).collect();
        all.extend(&self.engine);
        all
    }
}

fn counters(stats: &Stats) -> impl Iterator<Item = (&'static str, u64)> {
    stats.readings().filter_map(|(metric, reading)| match reading {
        Reading::Number(count) if engine_counters().any(|counted| counted == metric) => {
            Some((metric.name, count))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_and_of_peaks_the_highest_stays() {
        let mut tally = Tally::default();
        assert_eq!((tally.engine()["probes_failed"], tally.events()["woke"]), (0, 0));
        for (probes_failed, members_max) in [(3, 7), (4, 9), (0, 8)] {
            let mut stats = Stats::default();
            (stats.probes_failed, stats.members_max) = (probes_failed, members_max);
            tally.retire(&stats);
        }
        assert_eq!((tally.engine()["probes_failed"], tally.engine()["members_max"]), (7, 9));
        let slept = Event::Woke(std::time::Duration::from_secs(1));
        tally.raised(&slept);
        tally.raised(&slept);
        assert_eq!((tally.events()["woke"], tally.events()["joined"]), (2, 0));
        assert_eq!(tally.events().len(), Event::NAMES.len());
        // All but the members listed now and the histograms.
        assert_eq!(tally.engine().len(), engine_counters().count());
        assert!(tally.engine().len() > 25 && !tally.engine().contains_key("members"));
    }
}
