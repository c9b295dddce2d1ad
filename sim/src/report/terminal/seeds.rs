//! Many seeds of one scenario on one screen: medians, where most lie, and what failed how often.

use super::layout::{Align, Rows, TerminalPage, Tone};
use super::{measured, nodes};
use crate::report::human::{bytes, count, percent, span, three_digits};
use crate::results::summary::Summary;
use crate::scenario::Paint;
use crate::stats::{Interval, Sample, Share};

/// All seeds of a scenario: `wanted` is the share of them that must hold, as typed and as number.
///
/// # Panics
/// Without a summary, or when `worst` is no place in them.
pub fn seeds(summaries: &[Summary], worst: usize, wanted: (&str, f64), paint: Paint) -> String {
    let mut page = TerminalPage::new(paint);
    let (first, last) = (&summaries[0], &summaries[summaries.len() - 1]);
    page.title(&format!(
        "{}: {}, {}, seeds {} to {}",
        first.scenario,
        nodes(first),
        span(first.virtual_ms),
        first.seed,
        last.seed
    ));
    figures(&mut page, summaries);
    expectations(&mut page, summaries, wanted.1);
    page.section("Seeds");
    let held = Share::new(summaries.iter().map(|summary| summary.ok));
    let tone = if held.reaches(wanted.1) { Tone::Good } else { Tone::Bad };
    let expected = summaries.iter().any(|summary| !summary.expectations.is_empty());
    let text = match expected || held.held < held.n {
        true => format!("{} held everything (wanted: {})", of(held), wanted.0),
        false => "no [expect]: nothing was to hold but the laws, which did".to_owned(),
    };
    page.line(tone, &text);
    let last = &summaries[worst];
    let after = last.node_list.converged_after_max_ms.map(span);
    let after = after.map_or("did not agree".to_owned(), |after| format!("agreed after {after}"));
    let called = if last.ok { "slowest" } else { "worst" };
    page.line(Tone::Plain, &format!("{called}: seed {}, its node lists {after}", last.seed));
    page.text()
}

fn figures(page: &mut TerminalPage, summaries: &[Summary]) {
    let mut rows = SeedFigures {
        rows: page.table([Align::Left].into_iter().chain([Align::Right; 4]).collect::<Vec<_>>()),
        summaries,
    };
    rows.rows.head(["", "p5", "median", "p95", "never"]);
    rows.add("node lists agreed after", span, |run| run.node_list.converged_after_ms);
    rows.add("  slowest change", span, |run| run.node_list.converged_after_max_ms);
    let whole = |number: f64| count(number as u64);
    if summaries.iter().any(|summary| summary.metadata.converged.is_some()) {
        rows.add("metadata agreed, after last change", span, |run| run.metadata.converged_after_ms);
        rows.add("  last publish on 50 %", span, |run| run.metadata.t50_ms);
        rows.add("  last publish on 99 %", span, |run| run.metadata.t99_ms);
        rows.add("  last publish on all", span, |run| run.metadata.t100_ms);
    }
    if summaries.iter().any(|summary| summary.entries.is_some()) {
        let of = |run: &Summary| run.entries.clone().unwrap_or_default();
        rows.add("entries agreed, after last change", span, |run| of(run).converged_after_ms);
        rows.add("  last write on 50 %", span, |run| of(run).t50_ms);
        rows.add("  last write on 99 %", span, |run| of(run).t99_ms);
        rows.add("  last write on all", span, |run| of(run).t100_ms);
        rows.add("  keys lost", whole, |run| Some(of(run).lost as f64));
        rows.add("  deleted still read", whole, |run| Some(of(run).zombies as f64));
        rows.add("  came by swaps", whole, |run| Some(of(run).repaired as f64));
    }
    if summaries.iter().any(|summary| summary.detection.first_ms.is_some()) {
        rows.add("crash removed by all after", span, |run| run.detection.all_ms);
    }
    rows.add("packets sent", whole, |run| Some(run.messages.sent as f64));
    rows.add("bytes with headers", bytes, |run| Some(run.bytes.with_headers as f64));
    rows.add("packets per node and second", three_digits, |run| {
        run.per_node_per_second.messages_p50
    });
    rows.add("bytes per node and second", bytes, |run| run.per_node_per_second.bytes_p50);
    rows.add("false removals", whole, |run| Some(run.removals.wrong as f64));
    rows.add("other removals", whole, |run| {
        let removals = &run.removals;
        Some((removals.right + removals.paused + removals.cut + removals.replaced) as f64)
    });
    if summaries.iter().any(|run| run.views.unique > 0) {
        rows.add("sizes told in one episode", whole, |run| Some(run.views.unique as f64));
        rows.add("  views told to one node", whole, |run| Some(run.views.changes as f64));
    }
    if summaries.iter().any(|run| run.removals.healthy + run.removals.flaps > 0) {
        rows.add("removals among the untouched", whole, |run| Some(run.removals.healthy as f64));
        rows.add("  listed again by them", whole, |run| Some(run.removals.flaps as f64));
        rows.add("  the most of one pair", whole, |run| Some(run.removals.flaps_max as f64));
    }
    let rows = rows.rows;
    page.section("Figures over seeds");
    page.add(&rows);
}

/// A table of figures, a row each.
struct SeedFigures<'a> {
    rows: Rows,
    summaries: &'a [Summary],
}

impl SeedFigures<'_> {
    fn add(&mut self, name: &str, shown: fn(f64) -> String, of: impl Fn(&Summary) -> Option<f64>) {
        let sample = Sample::new(self.summaries.iter().map(of));
        let figure = |percent| sample.percentile(percent).map_or("never".to_owned(), shown);
        let never = match sample.spread().censored {
            0 => String::new(),
            censored => count(censored as u64),
        };
        self.rows.row([name.to_owned(), figure(5), figure(50), figure(95), never]);
    }
}

fn expectations(page: &mut TerminalPage, summaries: &[Summary], wanted: f64) {
    let names = &summaries[0].expectations;
    if names.is_empty() {
        return;
    }
    page.section("Expectations");
    let columns = [Align::Left, Align::Left, Align::Left, Align::Left, Align::Right];
    let mut table = page.table(columns).keyed_by(2);
    table.head(["", "", "wanted", "held", "median"]);
    for (place, expectation) in names.iter().enumerate() {
        let results = || summaries.iter().filter_map(|summary| summary.expectations.get(place));
        let held = Share::new(results().map(|result| result.ok));
        let median = Sample::new(results().map(|result| result.got.as_f64())).median();
        let median = median.map(|median| measured(&expectation.name, &median.into()));
        let (verdict, tone) =
            if held.reaches(wanted) { ("ok", Tone::Good) } else { ("FAIL", Tone::Bad) };
        table.toned_row(
            tone,
            [
                verdict.to_owned(),
                expectation.name.clone(),
                expectation.want.clone(),
                of(held),
                median.unwrap_or_default(),
            ],
        );
    }
    page.add(&table);
}

/// How many did, and for a part of them how sure that share is.
pub(super) fn of(share: Share) -> String {
    let counts = format!("{} of {}", count(share.held as u64), count(share.n as u64));
    match share.wilson {
        Some(Interval(Some(low), Some(high))) if share.n > 1 => {
            format!("{counts} ({} to {})", percent(low), percent(high))
        }
        _ => counts,
    }
}
