//! A sweep on one screen: a small table for each measure, with the last axis across.

use super::layout::{Align, TerminalPage, Tone};
use crate::measures::Measure;
use crate::report::human::counted;
use crate::report::sweep::{Results, shown};
use crate::scenario::Paint;
use crate::stats::Share;
use crate::sweep::Axis;

/// Columns of a table; with more values than that, cells stand one below another.
const COLUMNS_MAX: usize = 8;

/// The tables of a sweep.
pub fn sweep(results: &Results, paint: Paint) -> String {
    let mut page = TerminalPage::new(paint);
    let sizes: Vec<String> =
        results.plan.axes.iter().map(|axis| axis.values.len().to_string()).collect();
    let cells = counted(results.cells.len() as u64, "cell");
    let grid = if sizes.len() > 1 { format!(" ({})", sizes.join(" x ")) } else { String::new() };
    page.title(&format!("{}, {cells}{grid}", results.title()));
    let last = results.plan.axes.last().expect("a sweep varies something");
    if results.plan.axes.len() > 1 && last.values.len() <= COLUMNS_MAX {
        for measure in &results.shown {
            page.section(&format!("{}, median over seeds", measure.name));
            across(&mut page, results, last, |cell| {
                shown(measure, &results.cells[cell].sample(measure))
            });
        }
        if any_failed(results) {
            page.section("Held all expectations");
            across(&mut page, results, last, |cell| share(results.cells[cell].share()));
        }
    } else {
        list(&mut page, results);
    }
    page.text()
}

fn any_failed(results: &Results) -> bool {
    results.cells.iter().any(|cell| cell.held.iter().any(|held| !held))
}

fn share(share: Share) -> String {
    format!("{} of {}", share.held, share.n)
}

/// A table with the values of the last axis across and all others down.
fn across(page: &mut TerminalPage, results: &Results, last: &Axis, text: impl Fn(usize) -> String) {
    let plan = &results.plan;
    let others = &plan.axes[..plan.axes.len() - 1];
    let mut columns = vec![Align::Left; others.len()];
    columns.extend(vec![Align::Right; last.values.len()]);
    let mut rows = page.table(columns).keyed_by(others.len());
    let mut head: Vec<String> = others.iter().map(|axis| axis.short().to_owned()).collect();
    head.extend(last.values.iter().map(|value| format!("{} {value}", last.short())));
    rows.add(Tone::Quiet, head);
    for first in (0..results.cells.len()).step_by(last.values.len()) {
        let values = plan.values(first);
        let mut row: Vec<String> =
            values[..others.len()].iter().map(|&value| value.to_owned()).collect();
        row.extend((first..first + last.values.len()).map(&text));
        rows.add(Tone::Plain, row);
    }
    page.add(&rows);
}

/// A row for each cell, a column for each measure.
fn list(page: &mut TerminalPage, results: &Results) {
    page.section("Median over seeds");
    let axes = &results.plan.axes;
    let failed = any_failed(results);
    let mut columns = vec![Align::Left; axes.len()];
    columns.extend(vec![Align::Right; results.shown.len() + usize::from(failed)]);
    let mut rows = page.table(columns).keyed_by(axes.len());
    let mut head: Vec<String> = axes.iter().map(|axis| axis.short().to_owned()).collect();
    head.extend(results.shown.iter().map(|measure| measure.name.to_string()));
    head.extend(failed.then(|| "held".to_owned()));
    rows.add(Tone::Quiet, head);
    for cell in &results.cells {
        let values = results.plan.values(cell.cell).into_iter().map(str::to_owned);
        let figure = |measure: &&'static Measure| shown(measure, &cell.sample(measure));
        let mut row: Vec<String> = values.chain(results.shown.iter().map(figure)).collect();
        row.extend(failed.then(|| share(cell.share())));
        rows.add(Tone::Plain, row);
    }
    page.add(&rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sweep::tests::results;

    #[test]
    fn the_last_axis_stands_across_and_the_others_down() {
        let results = results(&["engine.fan_out=1..=2", "engine.cycle=1s,2s,3s,4s"], 5);
        let text = sweep(&results, Paint::Plain);
        let sentences = [
            "example: 50 nodes, 30s, seeds 1 to 5, 8 cells (2 x 4)\n",
            "metadata.t99, median over seeds\n",
            "fan_out  cycle 1s  cycle 2s  cycle 3s  cycle 4s\n",
            "1         20.3 ms   40.3 ms   60.3 ms     never\n",
            "2         10.3 ms   20.3 ms   30.3 ms   40.3 ms\n",
        ];
        for sentence in sentences {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
    }

    #[test]
    fn one_axis_is_a_list_with_all_measures_across() {
        let results = results(&["engine.fan_out=1..=3"], 5);
        let text = sweep(&results, Paint::Plain);
        assert!(text.contains("fan_out  metadata.t99"), "{text}");
        assert!(text.contains("2             10.3 ms"), "{text}");
    }
}
