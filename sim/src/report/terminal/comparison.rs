//! Two sides on one screen: what differs first, and what each pair of runs says of it.

use super::layout::{Align, TerminalPage, Tone};
use crate::measures::{Measure, Unit};
use crate::report::comparison::{Comparison, ComparisonRow, ComparisonVerdict};
use crate::report::human::{counted, percent};
use crate::report::sweep::{figure, shown};
use crate::scenario::Paint;
use crate::stats::{Interval, Sample};

/// Pairs from which on a difference of one among many measures can be shown.
const PAIRS_ENOUGH: usize = 12;

/// The table of a comparison.
pub fn comparison(comparison: &Comparison, paint: Paint) -> String {
    let mut page = TerminalPage::new(paint);
    let [a, b] = &comparison.names;
    page.title(&format!("A: {a}"));
    page.title(&format!("B: {b}"));
    page.line(Tone::Plain, &pairs(comparison));
    let told = [
        ComparisonVerdict::Worse,
        ComparisonVerdict::Better,
        ComparisonVerdict::Differs,
        ComparisonVerdict::NoDifferenceShown,
    ];
    for verdict in told {
        let rows = comparison.of(verdict);
        if !rows.is_empty() {
            table(&mut page, verdict, &rows);
        }
    }
    page.section(&verdicts(comparison));
    page.text()
}

/// What it comes to, in one line.
pub(crate) fn summary(comparison: &Comparison) -> String {
    format!("{}. {}.", pairs(comparison), verdicts(comparison))
}

fn pairs(comparison: &Comparison) -> String {
    let mut text =
        format!("{} of runs with the same seed", counted(comparison.pairs as u64, "pair"));
    if comparison.unpaired > 0 {
        text += &format!("; {} without a partner", counted(comparison.unpaired as u64, "run"));
    }
    if comparison.tolerance > 0.0 {
        text += &format!("; differences up to {} count as none", percent(comparison.tolerance));
    }
    if comparison.pairs < PAIRS_ENOUGH {
        text += &format!("; few can be told from chance, take {PAIRS_ENOUGH} or more");
    }
    text
}

fn table(page: &mut TerminalPage, verdict: ComparisonVerdict, rows: &[&ComparisonRow]) {
    let heading = match verdict {
        ComparisonVerdict::Worse => "B is worse",
        ComparisonVerdict::Better => "B is better",
        ComparisonVerdict::Differs => "B differs",
        ComparisonVerdict::NoDifferenceShown | ComparisonVerdict::Same => "No difference shown",
    };
    page.section(heading);
    let tone = match verdict {
        ComparisonVerdict::Worse => Tone::Bad,
        ComparisonVerdict::Better => Tone::Good,
        _ => Tone::Plain,
    };
    let columns =
        [Align::Left, Align::Right, Align::Right, Align::Right, Align::Left, Align::Right];
    let mut table = page.table(columns);
    table.head(["median", "A", "B", "B less A", "95 % sure", "less/more"]);
    for row in rows {
        table.toned_row(tone, cells(row));
    }
    page.add(&table);
}

/// A measure, both sides, their difference, how sure that is, and how the pairs part.
pub(crate) fn cells(row: &ComparisonRow) -> [String; 6] {
    let [a, b] = &row.sides;
    [
        row.measure.name.to_string(),
        side(row.measure, a),
        side(row.measure, b),
        row.difference.median().map_or(String::new(), |by| signed(row.measure, by)),
        interval(row),
        format!("{}/{}", row.less, row.more),
    ]
}

/// A side's median; of a flag, how often it was true.
fn side(measure: &Measure, sample: &Sample) -> String {
    match (measure.unit, sample.mean()) {
        (Unit::Flag, Some(share)) => percent(share),
        _ => shown(measure, sample),
    }
}

fn interval(row: &ComparisonRow) -> String {
    let end = |end: Option<f64>| end.map_or("never".to_owned(), |end| signed(row.measure, end));
    match row.difference.median_interval() {
        Some(Interval(low, high)) => format!("{} to {}", end(low), end(high)),
        None => String::new(),
    }
}

/// A difference with its sign.
fn signed(measure: &Measure, by: f64) -> String {
    match measure.unit {
        _ if by == f64::INFINITY => "to never".to_owned(),
        _ if by == f64::NEG_INFINITY => "from never".to_owned(),
        Unit::Flag => format!("{by:+}"),
        _ if by > 0.0 => format!("+{}", figure(measure, by)),
        _ if by < 0.0 => format!("-{}", figure(measure, -by)),
        _ => figure(measure, 0.0),
    }
}

fn verdicts(comparison: &Comparison) -> String {
    let count = |verdict| comparison.of(verdict).len();
    let same = counted(count(ComparisonVerdict::Same) as u64, "measure");
    format!(
        "{} worse, {} better, {} that may be chance; {same} the same \
         in every pair",
        count(ComparisonVerdict::Worse),
        count(ComparisonVerdict::Better),
        count(ComparisonVerdict::NoDifferenceShown)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::comparison::tests::example;

    #[test]
    fn what_differs_stands_first_with_its_pairs() {
        let text = comparison(&example(), Paint::Plain);
        let sentences = [
            "A: one\nB: other\n  20 pairs of runs with the same seed\n\nB is worse\n",
            "metadata.t99  109 ms  114 ms     +5 ms  +5 ms to +5 ms       0/20",
            "1 worse, 1 better, 0 that may be chance; 1 measure the same in every pair\n",
        ];
        for sentence in sentences {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
    }
}
