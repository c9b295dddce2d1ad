//! What a run showed, for a person at a terminal: one screen for an ordinary run.
//!
//! Long lists are cut to what matters most, and say how much was cut; the files have it all.

mod beside;
mod both;
mod comparison;
mod epidemic;
mod layout;
mod seeds;
mod sweep;
mod tuning;

use serde_json::Value;

use crate::measures::{self, Unit};
use crate::report::human::{
    bytes, count, counted, moment, percent, shortened, span, span_or, three_digits,
};
use crate::results::summary::{
    EntriesFigures, ExpectationResult, MetadataFigures, Removals, RumorFigures, RunResult, Summary,
    ViewFigures,
};
use crate::scenario::Paint;
use crate::stats::Sample;

use layout::{Align, TerminalPage, Tone};

pub(crate) use layout::WIDTH;

pub use beside::beside;
pub use both::both;
pub use comparison::comparison;
pub(super) use comparison::{cells as compared_cells, summary as comparison_summary};
pub use epidemic::epidemic;
pub use seeds::seeds;
pub use sweep::sweep;
pub use tuning::tuning;

/// Lines of the time line beyond which its middle is left out.
const TIMELINE_MAX: usize = 12;
/// Episodes beyond which only the slowest are listed.
const EPISODES_MAX: usize = 8;
/// Rumors beyond which only the slowest of each kind are listed.
const RUMORS_MAX: usize = 6;
/// Characters of what brought a change about.
const CAUSE_MAX: usize = 30;

/// One run: what happened, how fast all agreed, what it cost, and whether that was as expected.
pub fn run(run: &RunResult, paint: Paint) -> String {
    let mut page = TerminalPage::new(paint);
    let summary = &run.summary;
    page.title(&format!(
        "{}: {}, {}, seed {}",
        summary.scenario,
        nodes(summary),
        span(summary.virtual_ms),
        summary.seed
    ));
    timeline(&mut page, run);
    node_lists(&mut page, summary);
    metadata(&mut page, summary);
    entries(&mut page, summary);
    rumors(&mut page, run);
    traffic(&mut page, summary);
    removals(&mut page, summary);
    broken_laws(&mut page, summary);
    expectations(&mut page, &summary.expectations);
    page.text()
}

fn nodes(summary: &Summary) -> String {
    let (start, end) = (u64::from(summary.nodes.start), u64::from(summary.nodes.end));
    match start == end {
        true => counted(start, "node"),
        false => format!("{} (at the end {})", counted(start, "node"), count(end)),
    }
}

fn timeline(page: &mut TerminalPage, run: &RunResult) {
    let lines = &run.timeline;
    if lines.is_empty() {
        return;
    }
    page.section("What happened");
    let mut table = page.table([Align::Right, Align::Left]);
    let cut = lines.len().saturating_sub(TIMELINE_MAX);
    let kept_first = if cut > 0 { TIMELINE_MAX / 2 } else { lines.len() };
    for (at, text) in &lines[..kept_first] {
        table.row([moment(*at), text.clone()]);
    }
    if cut > 0 {
        table.row(["...".to_owned(), format!("{} more", count(cut as u64))]);
        for (at, text) in &lines[kept_first + cut..] {
            table.row([moment(*at), text.clone()]);
        }
    }
    page.add(&table);
}

fn node_lists(page: &mut TerminalPage, summary: &Summary) {
    let episodes = &summary.node_list.episodes;
    page.section("Node lists");
    let mut table = page.table([Align::Left, Align::Right, Align::Right, Align::Right]);
    table.head(["change", "at", "until", "all agreed after"]);
    let slowest = slowest_first(episodes, |episode| (episode.converged_after_ms, 0.0));
    let mut kept: Vec<usize> = slowest.into_iter().take(EPISODES_MAX).collect();
    kept.sort_unstable();
    for &place in &kept {
        let episode = &episodes[place];
        let is_last = place + 1 == episodes.len();
        let never = if is_last { "not before the end" } else { "not before the next" };
        table.row([
            shortened(&episode.cause, CAUSE_MAX),
            moment(episode.at_ms),
            moment(episode.end_ms),
            span_or(episode.converged_after_ms, never),
        ]);
    }
    page.add(&table);
    if kept.len() < episodes.len() {
        let left_out = counted((episodes.len() - kept.len()) as u64, "quicker one");
        page.line(Tone::Quiet, &format!("{left_out} not shown"));
    }
}

fn metadata(page: &mut TerminalPage, summary: &Summary) {
    let MetadataFigures { converged, converged_after_ms, .. } = summary.metadata;
    let Some(converged) = converged else { return };
    page.section("Metadata");
    let since = last_change(summary, "publish", |rumor| rumor.kind == "metadata");
    agreement(page, converged, converged_after_ms, &since);
}

fn entries(page: &mut TerminalPage, summary: &Summary) {
    let Some(entries) = &summary.entries else { return };
    page.section("Entries");
    if let Some(converged) = entries.converged {
        let is_write = |rumor: &RumorFigures| ["metadata", "entry"].contains(&&*rumor.kind);
        let since = last_change(summary, "write", is_write);
        agreement(page, converged, entries.converged_after_ms, &since);
    }
    let EntriesFigures { lost, zombies, repaired, .. } = *entries;
    let tone = if lost + zombies > 0 { Tone::Bad } else { Tone::Plain };
    let [lost, zombies, repaired] = [lost, zombies, repaired].map(count);
    let text = format!("{lost} lost, {zombies} deleted still read, {repaired} came by swaps");
    page.line(tone, &text);
}

fn agreement(page: &mut TerminalPage, converged: bool, after_ms: Option<f64>, since: &str) {
    let text = match (converged, after_ms) {
        (true, Some(0.0)) => format!("all agreed before {since} already, and after it"),
        (true, Some(after)) => format!("all agreed {} after {since}", span(after)),
        (true, None) => "all agree at the end".to_owned(),
        (false, _) => "live nodes disagree at the end".to_owned(),
    };
    let tone = if converged { Tone::Plain } else { Tone::Bad };
    page.line(tone, &text);
}

/// What agreement is counted from: the last of some rumors, or the last change of who can reach
/// whom.
fn last_change(summary: &Summary, what: &str, is: impl Fn(&RumorFigures) -> bool) -> String {
    let last = summary.rumors.iter().rfind(|rumor| is(rumor));
    let published = last.map_or(0.0, |rumor| rumor.start_ms);
    match summary.node_list.episodes.last() {
        Some(episode) if episode.at_ms > published => {
            let cause = shortened(&episode.cause, CAUSE_MAX);
            format!("the last change, {cause} at {}", moment(episode.at_ms))
        }
        _ => format!("the last {what} at {}", moment(published)),
    }
}

fn rumors(page: &mut TerminalPage, run: &RunResult) {
    let rumors = &run.summary.rumors;
    if rumors.is_empty() {
        return;
    }
    page.section("Rumors");
    let mut table =
        page.table([Align::Left].into_iter().chain([Align::Right; 7]).collect::<Vec<_>>());
    table.head(["", "from", "50 %", "90 %", "99 %", "all", "reached", "packets"]);
    let kinds = kinds(rumors);
    let each = (RUMORS_MAX / kinds.len()).max(1);
    let mut shown = 0;
    for kind in kinds {
        let of_kind: Vec<&RumorFigures> =
            rumors.iter().filter(|rumor| rumor.kind == kind).collect();
        // Those that never reached all lead, and of these the ones that fell shortest.
        let slowest =
            slowest_first(&of_kind, |rumor| (slowness(rumor), rumor.coverage.unwrap_or(1.0)));
        let mut kept: Vec<usize> = slowest.into_iter().take(each).collect();
        kept.sort_unstable();
        kept.iter().for_each(|&place| table.row(rumor_row(of_kind[place])));
        shown += kept.len();
        if kept.len() < of_kind.len() {
            table.row(median_row(&of_kind));
        }
    }
    page.add(&table);
    if shown < rumors.len() {
        let of = counted(rumors.len() as u64, "rumor");
        page.line(Tone::Quiet, &format!("shown are the slowest of each kind, {shown} of {of}"));
    }
    if run.rumors_left_out > 0 {
        let left_out = counted(run.rumors_left_out, "more rumor");
        page.line(Tone::Quiet, &format!("{left_out} not followed: there are too many"));
    }
    if run.rumor_rows_left_out > 0 {
        let left_out = counted(run.rumor_rows_left_out, "row");
        page.line(Tone::Quiet, &format!("rumors.csv lacks {left_out}: see rumor_rows_max"));
    }
}

/// How long it took to reach all; who had nobody to reach was done at once.
fn slowness(rumor: &RumorFigures) -> Option<f64> {
    if rumor.coverage.is_none() { Some(0.0) } else { rumor.t100_ms }
}

fn rumor_row(rumor: &RumorFigures) -> [String; 8] {
    let nobody = rumor.coverage.is_none();
    let time = |ms| span_or(ms, if nobody { "-" } else { "never" });
    [
        rumor.id.clone(),
        moment(rumor.start_ms),
        time(rumor.t50_ms),
        time(rumor.t90_ms),
        time(rumor.t99_ms),
        time(rumor.t100_ms),
        rumor.coverage.map_or("nobody".to_owned(), percent),
        count(rumor.messages),
    ]
}

fn kinds(rumors: &[RumorFigures]) -> Vec<&str> {
    let mut kinds: Vec<&str> = Vec::new();
    for rumor in rumors {
        if !kinds.contains(&rumor.kind.as_str()) {
            kinds.push(&rumor.kind);
        }
    }
    kinds
}

/// The medians over all rumors of a kind, of which the rows above are some.
fn median_row(of_kind: &[&RumorFigures]) -> [String; 8] {
    // Of those that had somebody to reach: never is a time, nobody is none.
    let median = |figure: fn(&RumorFigures) -> Option<f64>| {
        let aimed = of_kind.iter().filter(|rumor| rumor.coverage.is_some());
        Sample::new(aimed.map(|rumor| figure(rumor))).median()
    };
    let nobody = of_kind.iter().all(|rumor| rumor.coverage.is_none());
    let time = |figure| span_or(median(figure), if nobody { "-" } else { "never" });
    [
        format!("  median of {}", count(of_kind.len() as u64)),
        String::new(),
        time(|rumor| rumor.t50_ms),
        time(|rumor| rumor.t90_ms),
        time(|rumor| rumor.t99_ms),
        time(|rumor| rumor.t100_ms),
        median(|rumor| rumor.coverage).map(percent).unwrap_or_default(),
        median(|rumor| Some(rumor.messages as f64)).map(three_digits).unwrap_or_default(),
    ]
}

fn traffic(page: &mut TerminalPage, summary: &Summary) {
    let (messages, total) = (&summary.messages, &summary.bytes);
    page.section("Traffic");
    page.line(
        Tone::Plain,
        &format!(
            "{} sent, {} ({} with headers)",
            counted(messages.sent, "packet"),
            bytes(total.payload as f64),
            bytes(total.with_headers as f64)
        ),
    );
    page.line(Tone::Plain, &fates(summary));
    let rate = &summary.per_node_per_second;
    if let (Some(packets), Some(p50)) = (rate.messages_p50, rate.bytes_p50) {
        let most = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), bytes);
        page.line(
            Tone::Plain,
            &format!(
                "median node: {} packets and {} a second (99 % {}, most {})",
                three_digits(packets),
                bytes(p50),
                most(rate.bytes_p99),
                most(rate.bytes_max)
            ),
        );
    }
}

/// What became of the packets; fates that befell none are left out.
fn fates(summary: &Summary) -> String {
    let messages = &summary.messages;
    let all = (messages.sent + messages.duplicated).max(1) as f64;
    let fates = [
        ("delivered", messages.delivered),
        ("lost", messages.lost),
        ("cut", messages.cut),
        ("to the dead", messages.to_dead),
        ("overflown", messages.overflow),
        ("too large", messages.oversize),
        ("corrupted", messages.corrupted),
        ("in flight", messages.in_flight),
        ("sent twice by the network", messages.duplicated),
    ];
    let told = fates.into_iter().filter(|&(_, number)| number > 0);
    let told = told.map(|(fate, number)| format!("{} {fate}", percent(number as f64 / all)));
    told.collect::<Vec<_>>().join(", ")
}

fn removals(page: &mut TerminalPage, summary: &Summary) {
    let removals = &summary.removals;
    page.section("Removals");
    let counts = [
        ("right", removals.right),
        ("across a cut or by a stopped node", removals.cut),
        ("of paused nodes", removals.paused),
        ("replaced", removals.replaced),
    ];
    let told = counts.into_iter().filter(|&(_, number)| number > 0);
    let told: String = told.map(|(what, number)| format!("{} {what}, ", count(number))).collect();
    let tone = if removals.wrong > 0 { Tone::Bad } else { Tone::Plain };
    page.line(tone, &format!("{told}{} false", count(removals.wrong)));
    bystanders(page, summary);
    let detection = &summary.detection;
    if let (Some(first), all) = (detection.first_ms, detection.all_ms) {
        let (first, all) = (span(first), span_or(all, "not before the end"));
        page.line(
            Tone::Plain,
            &format!("slowest crash: seen first after {first}, by all after {all}"),
        );
    }
}

/// What nodes did that no fault touched, and the views that they were told: the most of each.
fn bystanders(page: &mut TerminalPage, summary: &Summary) {
    let Removals { healthy, flaps, flaps_max, .. } = summary.removals;
    let ViewFigures { unique, changes } = summary.views;
    if healthy + flaps + unique > 0 {
        let tone = if healthy > 0 { Tone::Bad } else { Tone::Plain };
        let [healthy, flaps, pair] = [healthy, flaps, flaps_max].map(count);
        let (sizes, views) = (counted(unique, "size"), counted(changes, "view"));
        let removals = format!("{healthy} removed, {flaps} listed again, {pair} a pair");
        page.line(tone, &format!("untouched by faults: {removals}; {sizes}, {views}"));
    }
}

/// Laws hold in silence.
fn broken_laws(page: &mut TerminalPage, summary: &Summary) {
    let broken: Vec<_> = summary.invariants.iter().filter(|law| !law.ok).collect();
    if broken.is_empty() {
        return;
    }
    page.section("Broken laws (a fault of the simulator or the engine: please report it)");
    for law in broken {
        let detail = law.detail.as_deref().unwrap_or("no detail");
        page.line(Tone::Bad, &format!("{}: {detail}", law.name));
    }
}

fn expectations(page: &mut TerminalPage, expectations: &[ExpectationResult]) {
    if expectations.is_empty() {
        return;
    }
    page.section("Expectations");
    let mut table = page.table([Align::Left, Align::Left, Align::Left, Align::Left]);
    for expectation in expectations {
        let verdict = if expectation.ok { "ok" } else { "FAIL" };
        let got = format!("got {}", measured(&expectation.name, &expectation.got));
        let (name, want) = (expectation.name.clone(), expectation.want.clone());
        let tone = if expectation.ok { Tone::Good } else { Tone::Bad };
        table.toned_row(tone, [verdict.to_owned(), name, want, got]);
    }
    page.add(&table);
}

/// A measured value in the unit of its measure.
pub(crate) fn measured(name: &str, got: &Value) -> String {
    let unit = measures::find(name).map(|measure| measure.unit);
    match (unit, got.as_f64()) {
        _ if got.is_null() => "never".to_owned(),
        (Some(Unit::Duration), Some(ms)) => span(ms),
        (Some(Unit::Bytes), Some(number)) => bytes(number),
        (Some(Unit::ByteRate), Some(number)) => format!("{}/s", bytes(number)),
        (Some(Unit::Share), Some(share)) => percent(share),
        (Some(Unit::Count), Some(number)) => count(number as u64),
        (Some(Unit::Ratio), Some(ratio)) => three_digits(ratio),
        (Some(Unit::Rate), Some(number)) => format!("{} a second", three_digits(number)),
        _ => got.to_string(),
    }
}

/// Places of elements by falling time, those that never came first; among equals, by a second
/// figure that rises, then in their order.
fn slowest_first<T>(elements: &[T], figures: impl Fn(&T) -> (Option<f64>, f64)) -> Vec<usize> {
    let mut places: Vec<usize> = (0..elements.len()).collect();
    let key = |place: usize| {
        let (time, second) = figures(&elements[place]);
        (-time.unwrap_or(f64::INFINITY), second)
    };
    places.sort_by(|&a, &b| {
        let (a, b) = (key(a), key(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    fn text(rumors: u32) -> String {
        run(&fixture::partition(50, rumors, 1), Paint::Plain)
    }

    #[test]
    fn a_run_fits_on_one_screen_however_many_rumors_it_has() {
        for rumors in [0, 3, 400] {
            let text = text(rumors);
            assert!(text.lines().count() <= 45, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        }
    }

    #[test]
    fn of_many_rumors_the_slowest_are_shown_with_the_median_of_each_kind() {
        let text = text(40);
        let shown = |kind: &str| text.matches(&format!("  {kind}-")).count();
        assert_eq!((shown("metadata"), shown("join")), (3, 3), "{text}");
        assert!(!text.contains("metadata-0 "), "{text}");
        assert!(text.contains("    median of 13"), "{text}");
        assert!(text.contains("the slowest of each kind, 6 of 40 rumors"), "{text}");
    }

    #[test]
    fn rumors_that_never_reached_all_come_before_slow_ones() {
        let figures = [(Some(5.0), 1.0), (None, 0.9), (Some(9.0), 1.0), (None, 0.4)];
        assert_eq!(slowest_first(&figures, |&figures| figures), [3, 1, 2, 0]);
    }

    #[test]
    fn a_long_time_line_keeps_both_ends() {
        let mut run = fixture::partition(50, 0, 1);
        run.timeline = (0..100).map(|i| (f64::from(i) * 1000.0, format!("crash {i}"))).collect();
        let text = super::run(&run, Paint::Plain);
        for shown in ["crash 0\n", "crash 5\n", "88 more", "crash 94\n", "crash 99\n"] {
            assert!(text.contains(shown), "no {shown:?} in\n{text}");
        }
        assert!(!text.contains("crash 6\n") && !text.contains("crash 93\n"), "{text}");
    }

    #[test]
    fn entries_are_told_of_where_a_scenario_writes_any() {
        let mut run = fixture::partition(50, 1, 1);
        assert!(!super::run(&run, Paint::Plain).contains("Entries"));
        let (converged, converged_after_ms) = (Some(true), Some(840.0));
        let (lost, zombies, repaired) = (1, 2, 3_000);
        let entries = EntriesFigures {
            converged,
            converged_after_ms,
            lost,
            zombies,
            repaired,
            ..Default::default()
        };
        run.summary.entries = Some(entries);
        let text = super::run(&run, Paint::Plain);
        let (_, told) = text.split_once("Entries\n").unwrap();
        let lines: Vec<&str> = told.lines().take(2).collect();
        assert!(lines[0].trim_start().starts_with("all agreed 840 ms after the last"), "{text}");
        assert_eq!(lines[1].trim(), "1 lost, 2 deleted still read, 3,000 came by swaps");
    }

    #[test]
    fn what_never_came_and_what_is_wrong_is_said() {
        let mut run = fixture::partition(50, 1, 1);
        let summary = &mut run.summary;
        summary.rumors[0].t100_ms = None;
        summary.rumors[0].coverage = Some(0.999_9);
        summary.node_list.episodes[2].converged_after_ms = None;
        summary.metadata.converged = Some(false);
        summary.invariants[0].ok = false;
        summary.invariants[0].detail = Some("2 packets vanished".to_owned());
        summary.expectations[0].got = Value::Null;
        summary.expectations[0].ok = false;
        let text = super::run(&run, Paint::Plain);
        let sentences = [
            "never   99.9 %",
            "not before the end",
            "live nodes disagree at the end",
            "packets: 2 packets vanished",
            "FAIL  node_list.converged_after  <= 3s  got never",
        ];
        for sentence in sentences {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
    }

    #[test]
    fn a_row_tells_one_story() {
        let mut run = fixture::partition(50, 3, 1);
        for rumor in &mut run.summary.rumors {
            (rumor.t50_ms, rumor.t90_ms, rumor.t99_ms, rumor.t100_ms) = (None, None, None, None);
            rumor.coverage = None;
        }
        run.summary.metadata.converged = Some(true);
        run.summary.metadata.converged_after_ms = Some(0.0);
        let text = super::run(&run, Paint::Plain);
        assert!(!text.contains("never"), "who had nobody to reach missed nobody: {text}");
        let row = text.lines().find(|line| line.contains("metadata-0")).unwrap();
        assert!(row.split_whitespace().any(|cell| cell == "nobody"), "{row}");
        assert!(text.contains("all agreed before the last change, "), "{text}");
    }

    #[test]
    fn seeds_that_had_nothing_to_hold_held_nothing_and_none_is_the_worst() {
        let mut all: Vec<_> = (1..=5).map(|seed| fixture::partition(50, 5, seed).summary).collect();
        for summary in &mut all {
            (summary.ok, summary.expectations) = (true, Vec::new());
        }
        let text = seeds(&all, 4, ("100%", 1.0), Paint::Plain);
        assert!(
            text.contains("no [expect]: nothing was to hold but the laws, which did"),
            "{text}"
        );
        assert!(text.contains("slowest: seed 5, its node lists agreed after "), "{text}");
        assert!(!text.contains("worst"), "{text}");
    }

    #[test]
    fn a_measured_value_has_the_unit_of_its_measure() {
        let shown = |name, got: Value| measured(name, &got);
        assert_eq!(shown("node_list.converged_after", 2_200.0.into()), "2.2 s");
        assert_eq!(shown("removals.false", 12.into()), "12");
        assert_eq!(shown("bytes.with_headers", 5_000_000.into()), "5 MB");
        assert_eq!(shown("per_node_per_second.bytes_p50", 1_640.0.into()), "1.64 kB/s");
        assert_eq!(shown("rumors.metadata.coverage", 0.5.into()), "50 %");
        assert_eq!(shown("node_list.converged", true.into()), "true");
        assert_eq!(shown("detection.all", Value::Null), "never");
    }

    #[test]
    fn seeds_are_told_by_medians_and_shares() {
        let all: Vec<_> = (1..=20).map(|seed| fixture::partition(50, 5, seed).summary).collect();
        let text = seeds(&all, 5, ("95%", 0.95), Paint::Plain);
        let sentences = [
            "partition: 50 nodes, 60 s, seeds 1 to 20",
            "  node lists agreed after                 2 s    2.6 s    3.2 s",
            "FAIL  node_list.converged_after  <= 3s   17 of 20 (63.9 % to 94.7 %)   2.6 s",
            "14 of 20 (48.1 % to 85.4 %) held everything (wanted: 95%)",
            "worst: seed 6, its node lists agreed after 4.91 s",
        ];
        for sentence in sentences {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
    }
}
