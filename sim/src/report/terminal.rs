//! What a run showed, for a person at a terminal: one screen for an ordinary run.
//!
//! Long lists are cut to what matters most, and say how much was cut; the files have it all.

mod layout;
mod seeds;

use crate::report::human::{
    bytes, count, counted, moment, percent, shortened, span, span_or, three_digits,
};
use crate::report::summary::{Episode, ExpectationResult, RumorFigures, RunResult, Summary};
use crate::stats::Sample;

use layout::{Align, Page, Tone};

pub use layout::Paint;
pub use seeds::seeds;

/// Lines of the time line beyond which its middle is left out.
const TIMELINE_MAX: usize = 12;
/// Episodes beyond which only the slowest are listed.
const EPISODES_MAX: usize = 8;
/// Rumors beyond which only the slowest are listed.
const RUMORS_MAX: usize = 6;
/// Characters of a line of somebody else's making.
const TEXT_MAX: usize = 60;

/// One run: what happened, how fast all agreed, what it cost, and whether that was as expected.
pub fn run(run: &RunResult, paint: Paint) -> String {
    let mut page = Page::new(paint);
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

fn timeline(page: &mut Page, run: &RunResult) {
    let lines = &run.timeline;
    if lines.is_empty() {
        return;
    }
    page.section("What happened");
    let mut table = page.table([Align::Right, Align::Left]);
    let cut = lines.len().saturating_sub(TIMELINE_MAX);
    let kept_first = if cut > 0 { TIMELINE_MAX / 2 } else { lines.len() };
    for (at, text) in &lines[..kept_first] {
        table.row([moment(*at), shortened(text, TEXT_MAX)]);
    }
    if cut > 0 {
        table.row(["...".to_owned(), format!("{} more", count(cut as u64))]);
        for (at, text) in &lines[kept_first + cut..] {
            table.row([moment(*at), shortened(text, TEXT_MAX)]);
        }
    }
    page.add(&table);
}

fn node_lists(page: &mut Page, summary: &Summary) {
    let episodes = &summary.node_list.episodes;
    page.section("Node lists");
    let mut table = page.table([Align::Left, Align::Right, Align::Right, Align::Right]);
    table.head(["after", "at", "until", "all agreed after"]);
    let slowest = slowest_first(episodes, |episode| episode.converged_after_ms);
    let mut kept: Vec<usize> = slowest.into_iter().take(EPISODES_MAX).collect();
    kept.sort_unstable();
    for episode in kept.iter().map(|&place| &episodes[place]) {
        table.row([
            shortened(&episode.cause, TEXT_MAX / 2),
            moment(episode.at_ms),
            moment(episode.end_ms),
            span_or(episode.converged_after_ms, "not before the end"),
        ]);
    }
    page.add(&table);
    let left_out = episodes.len() - kept.len();
    if left_out > 0 {
        let never = |episode: &&Episode| episode.converged_after_ms.is_none();
        let never = episodes.iter().filter(never).count() as u64;
        let (left_out, never) = (counted(left_out as u64, "faster change"), count(never));
        page.line(Tone::Quiet, &format!("{left_out} not shown; {never} never agreed upon"));
    }
}

fn metadata(page: &mut Page, summary: &Summary) {
    let metadata = &summary.metadata;
    let Some(converged) = metadata.converged else { return };
    page.section("Metadata");
    let text = match (converged, metadata.converged_after_ms) {
        (true, Some(after)) => format!("all agreed {} after the last change", span(after)),
        (true, None) => "all agree at the end".to_owned(),
        (false, _) => "live nodes disagree at the end".to_owned(),
    };
    let version = metadata.version.as_deref().map(|version| shortened(version, 24));
    let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
    let tone = if converged { Tone::Plain } else { Tone::Bad };
    page.line(tone, &format!("{text}{version}"));
}

fn rumors(page: &mut Page, run: &RunResult) {
    let rumors = &run.summary.rumors;
    if rumors.is_empty() {
        return;
    }
    page.section("Rumors");
    let mut table =
        page.table([Align::Left].into_iter().chain([Align::Right; 7]).collect::<Vec<_>>());
    table.head(["", "from", "50 %", "90 %", "99 %", "all", "reached", "packets"]);
    let mut kept = slowest_first(rumors, |rumor| rumor.t100_ms);
    // Of those that never reached all, first the ones that fell shortest (the sort is stable).
    kept.sort_by(|&a, &b| match (rumors[a].t100_ms, rumors[b].t100_ms) {
        (None, None) => rumors[a].coverage.total_cmp(&rumors[b].coverage),
        _ => Ordering::Equal,
    });
    kept.truncate(RUMORS_MAX);
    kept.sort_unstable();
    for rumor in kept.iter().map(|&place| &rumors[place]) {
        table.row(rumor_row(rumor));
    }
    if kept.len() < rumors.len() {
        for kind in kinds(rumors) {
            table.row(median_row(kind, rumors));
        }
    }
    page.add(&table);
    if kept.len() < rumors.len() {
        let shown = format!("{} slowest of {}", kept.len(), counted(rumors.len() as u64, "rumor"));
        page.line(Tone::Quiet, &format!("the {shown}, and the median of each kind"));
    }
    if run.rumor_rows_left_out > 0 {
        let left_out = counted(run.rumor_rows_left_out, "row");
        page.line(Tone::Quiet, &format!("rumors.csv lacks {left_out}: see rumor_rows_max"));
    }
}

fn rumor_row(rumor: &RumorFigures) -> [String; 8] {
    let time = |ms| span_or(ms, "never");
    [
        rumor.id.clone(),
        moment(rumor.start_ms),
        time(rumor.t50_ms),
        time(rumor.t90_ms),
        time(rumor.t99_ms),
        time(rumor.t100_ms),
        percent(rumor.coverage),
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

/// The medians over all rumors of a kind.
fn median_row(kind: &str, rumors: &[RumorFigures]) -> [String; 8] {
    let of_kind: Vec<&RumorFigures> = rumors.iter().filter(|rumor| rumor.kind == kind).collect();
    let median = |figure: fn(&RumorFigures) -> Option<f64>| {
        Sample::new(of_kind.iter().map(|rumor| figure(rumor))).median()
    };
    let time = |figure| span_or(median(figure), "never");
    [
        format!("{kind}, median of {}", count(of_kind.len() as u64)),
        String::new(),
        time(|rumor| rumor.t50_ms),
        time(|rumor| rumor.t90_ms),
        time(|rumor| rumor.t99_ms),
        time(|rumor| rumor.t100_ms),
        median(|rumor| Some(rumor.coverage)).map(percent).unwrap_or_default(),
        median(|rumor| Some(rumor.messages as f64)).map(three_digits).unwrap_or_default(),
    ]
}

fn traffic(page: &mut Page, summary: &Summary) {
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
                "a node sends {} packets and {} a second (median; 99 % {}, most {})",
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

fn removals(page: &mut Page, summary: &Summary) {
    let removals = &summary.removals;
    page.section("Removals");
    let counts = [
        ("right", removals.right),
        ("of nodes behind a cut", removals.cut),
        ("of paused nodes", removals.paused),
    ];
    let told = counts.into_iter().filter(|&(_, number)| number > 0);
    let told: String = told.map(|(what, number)| format!("{} {what}, ", count(number))).collect();
    let tone = if removals.wrong > 0 { Tone::Bad } else { Tone::Plain };
    page.line(tone, &format!("{told}{} false", count(removals.wrong)));
    let detection = &summary.detection;
    if let (Some(first), all) = (detection.first_ms, detection.all_ms) {
        let (first, all) = (span(first), span_or(all, "not before the end"));
        page.line(
            Tone::Plain,
            &format!("slowest crash: seen first after {first}, by all after {all}"),
        );
    }
}

/// Laws hold in silence.
fn broken_laws(page: &mut Page, summary: &Summary) {
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

fn expectations(page: &mut Page, expectations: &[ExpectationResult]) {
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
fn measured(name: &str, got: &serde_json::Value) -> String {
    let _ = name;
    got.to_string()
}

/// Places of elements, those that never came first, then by falling time; ties in their order.
fn slowest_first<T>(elements: &[T], time: impl Fn(&T) -> Option<f64>) -> Vec<usize> {
    let mut places: Vec<usize> = (0..elements.len()).collect();
    let key = |place: &usize| time(&elements[*place]).unwrap_or(f64::INFINITY);
    places.sort_by(|a, b| key(b).total_cmp(&key(a)));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    #[ignore]
    fn look() {
        println!("{}", run(&fixture::partition(50, 3, 1), Paint::Plain));
        println!("{}", run(&fixture::partition(50, 40, 6), Paint::Colored));
        let runs: Vec<_> = (1..=20).map(|seed| fixture::partition(50, 5, seed).summary).collect();
        println!("{}", seeds(&runs, 5, ("95%", 0.95), Paint::Colored));
    }
}
