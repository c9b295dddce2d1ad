//! Virtual beside real, for a person at a terminal.

use serde_json::Value;

use super::layout::{Align, TerminalPage, Tone};
use super::measured;
use crate::report::both::{Both, Pair};
use crate::report::human::{counted, span, three_digits};
use crate::scenario::Paint;

/// The measures that are shown; the file has all.
const SHOWN: [&str; 15] = [
    "node_list.converged_after",
    "node_list.converged_after_max",
    "metadata.converged_after",
    "detection.first",
    "detection.all",
    "removals.false",
    "view_error.missing_max",
    "view_error.ghosts_max",
    "per_node_per_second.messages_p50",
    "per_node_per_second.bytes_p50",
    "per_node_per_second.bytes_p99",
    "bytes.with_headers",
    "messages.sent",
    "inputs",
    "updates",
];

/// The table of both, and the ratio per measure.
pub fn both(both: &Both, paint: Paint) -> String {
    let mut page = TerminalPage::new(paint);
    let seeds = counted(both.seeds as u64, "seed");
    page.title(&format!("{}: virtual beside real ({}), {seeds}", both.scenario, both.net));
    page.section("Rumors, the median one of each kind");
    table(&mut page, &both.rumors, |pair| {
        [pair.of_virtual, pair.of_real].map(|ms| ms.map_or_else(|| "never".to_owned(), span))
    });
    page.section("Measures, median over the seeds");
    let shown = both.measures.iter().filter(|pair| SHOWN.contains(&pair.name.as_str()));
    let shown: Vec<Pair> = shown.cloned().collect();
    table(&mut page, &shown, |pair| {
        let text =
            |value: Option<f64>| measured(&pair.name, &value.map_or(Value::Null, Value::from));
        [pair.of_virtual, pair.of_real].map(text)
    });
    page.text()
}

fn table(page: &mut TerminalPage, pairs: &[Pair], texts: impl Fn(&Pair) -> [String; 2]) {
    if pairs.is_empty() {
        return page.line(Tone::Quiet, "none");
    }
    let mut table = page.table([Align::Left, Align::Right, Align::Right, Align::Right]);
    table.head(["", "virtual", "real", "real : virtual"]);
    for pair in pairs {
        let [of_virtual, of_real] = texts(pair);
        let ratio = pair.ratio.map_or_else(|| "-".to_owned(), three_digits);
        table.row([pair.name.clone(), of_virtual, of_real, ratio]);
    }
    page.add(&table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::both::BothRuns;
    use crate::results::fixture;

    #[test]
    fn each_shown_measure_is_one_and_has_a_line_with_its_ratio() {
        let run = fixture::partition(50, 3, 1);
        let side = BothRuns { summaries: &[run.summary], series: &run.series };
        let text = both(&Both::new(side, side), Paint::Plain);
        assert!(SHOWN.iter().all(|name| crate::measures::find(name).is_some()));
        let line = text.lines().find(|line| line.contains("bytes.with_headers")).unwrap();
        assert!(line.ends_with("  1"), "{line}");
        assert!(text.lines().any(|line| line.trim_start().starts_with("metadata t99")), "{text}");
    }
}
