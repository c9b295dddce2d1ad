//! A tuning on one screen: what is worth its cost, what is recommended, and how sure that is.

use super::layout::{Align, TerminalPage, Tone};
use super::seeds::of;
use crate::measures::{self, Measure};
use crate::report::human::{count, counted, span};
use crate::report::sweep::{figure, shown};
use crate::report::tuning::{Recommended, Target, TunedSetting, Tuning, TuningOrigin};
use crate::scenario::Paint;
use crate::stats::{Interval, Sample};
use crate::sweep::Axis;

/// The tables of a tuning, and the lines to paste.
pub fn tuning(tuning: &Tuning, paint: Paint) -> String {
    let mut page = TerminalPage::new(paint);
    let plan = &tuning.plan;
    let nodes = counted(plan.nodes.into(), "node");
    page.title(&format!("{}: {nodes}, {}", plan.scenario, plan.duration));
    let is_typed = |target: &&Target| target.origin == TuningOrigin::Typed;
    let typed = tuning.targets.iter().filter(is_typed).map(|target| target.text.as_str());
    let typed: Vec<&str> = typed.collect();
    page.line(Tone::Plain, &format!("wanted in {} of runs: {}", tuning.share.0, typed.join(", ")));
    let own = tuning.targets.len() - typed.len();
    if own > 0 {
        let own = counted(own as u64, "expectation");
        page.line(Tone::Plain, &format!("and with it the {own} of the file"));
    }
    page.line(Tone::Plain, &format!("as little as possible: {}", tuning.minimize.name));
    page.line(Tone::Plain, &tried(tuning));
    front(&mut page, tuning);
    match (&tuning.recommended, tuning.nearest) {
        (Some(own), _) => recommended(&mut page, tuning, own),
        (None, nearest) => none(&mut page, tuning, nearest),
    }
    let mut text = page.text();
    if let Some(own) = &tuning.recommended {
        text += &format!("\nTo paste into a file\n\n{}", own.block);
        text += &format!("\nor into a program\n\n{}", own.builder);
    }
    text
}

fn tried(tuning: &Tuning) -> String {
    let keys: Vec<&str> = tuning.plan.axes.iter().map(Axis::short).collect();
    let settings = counted(tuning.settings.len() as u64, "setting");
    let runs = counted(tuning.runs as u64, "run");
    let refused = match tuning.refused {
        0 => String::new(),
        refused => format!("; {} that are not valid left out", count(refused as u64)),
    };
    format!("tried: {settings} of {}, {runs}{refused}", keys.join(" and "))
}

fn front(page: &mut TerminalPage, tuning: &Tuning) {
    if tuning.front.is_empty() {
        return;
    }
    page.section(&format!("Quicker or cheaper: {} against {}", tuning.time.name, tuning.cost.name));
    let axes = &tuning.plan.axes;
    let mut columns = vec![Align::Right; axes.len() + 5];
    columns.extend([Align::Left, Align::Left]);
    let mut rows = page.table(columns).keyed_by(axes.len());
    let mut head: Vec<String> = axes.iter().map(|axis| axis.short().to_owned()).collect();
    let figures = ["time", "cost", "timeout", "crash on all", "false", "held", ""];
    head.extend(figures.map(str::to_owned));
    rows.add(Tone::Quiet, head);
    let chosen = tuning.recommended.as_ref().map(|own| own.setting);
    // What is recommended is in the table though something that fails may be better and cheaper.
    let beaten = chosen.filter(|place| !tuning.front.contains(place));
    for place in tuning.front.iter().copied().chain(beaten) {
        let tone = if chosen == Some(place) { Tone::Good } else { Tone::Plain };
        rows.add(tone, row(tuning, place));
    }
    page.add(&rows);
    if !tuning.front.iter().chain(&beaten).all(|&place| tuning.settings[place].holds) {
        let why = "can't hold: theory expects it to remove live nodes, as long as it runs";
        page.line(Tone::Quiet, why);
    }
    if let Some(place) = beaten {
        let name = tuning.name(place);
        page.line(
            Tone::Quiet,
            &format!("{name} is not of these: what beats it in both does not hold the targets"),
        );
    }
    fallen(page, tuning);
}

fn row(tuning: &Tuning, place: usize) -> Vec<String> {
    let own = &tuning.settings[place];
    let is_recommended = tuning.recommended.as_ref().is_some_and(|own| own.setting == place);
    let fallen = tuning.fallen.iter().find(|fallen| fallen.setting == place);
    let note = match fallen {
        _ if is_recommended => "recommended".to_owned(),
        Some(fallen) => format!("fell: {} of {}", fallen.held.held, fallen.held.n),
        None => String::new(),
    };
    let note = match own.holds {
        true => note,
        false if note.is_empty() => "can't hold".to_owned(),
        false => format!("{note}, can't hold"),
    };
    let measure = measures::known("detection.all");
    let detection = own.detection.as_ref().map(|sample| shown(measure, sample));
    let values = tuning.plan.values(own.cell).into_iter().map(str::to_owned);
    let figures = [
        shown(tuning.time, &own.time),
        shown(tuning.cost, &own.cost),
        span(own.timeout_ms),
        detection.unwrap_or("-".to_owned()),
        count(own.false_removals),
        format!("{} of {}", own.held.held, own.held.n),
        note,
    ];
    values.chain(figures).collect()
}

/// What would have been recommended, had it held, and how to have it all the same.
fn fallen(page: &mut TerminalPage, tuning: &Tuning) {
    for fallen in &tuning.fallen {
        let own = &tuning.settings[fallen.setting];
        let (held, n) = (fallen.held.held, fallen.held.n);
        // Rounded down, so that what was seen reaches it.
        let share = held * 100 / n.max(1);
        page.line(
            Tone::Plain,
            &format!(
                "{} ({}) fell: {held} of {n} fresh seeds held; --share {share}% accepts that",
                tuning.name(fallen.setting),
                shown(tuning.minimize, &own.minimized),
            ),
        );
    }
}

fn recommended(page: &mut TerminalPage, tuning: &Tuning, own: &Recommended) {
    page.section(&format!("Recommended: {}", tuning.name(own.setting)));
    let (first, last) = own.seeds;
    let held = of(own.fresh.held);
    page.line(Tone::Good, &format!("{held} fresh seeds held all targets, seeds {first} to {last}"));
    figures(page, tuning, &own.fresh);
}

/// The measure of each target and what was minimized, over the runs of a setting.
fn figures(page: &mut TerminalPage, tuning: &Tuning, own: &TunedSetting) {
    let mut rows = page.table([Align::Left, Align::Right, Align::Left, Align::Right, Align::Left]);
    rows.head(["", "median", "95 % sure", "largest", "wanted"]);
    let mut add = |measure: &Measure, sample: &Sample, wanted: &str| {
        let largest = sample.percentile(100).map(|largest| figure(measure, largest));
        rows.row([
            measure.name.to_string(),
            shown(measure, sample),
            interval(measure, sample),
            largest.unwrap_or("never".to_owned()),
            wanted.to_owned(),
        ]);
    };
    for (target, sample) in tuning.targets.iter().zip(&own.targets) {
        let wanted = target.text.strip_prefix(target.measure.name.as_ref()).unwrap_or_default();
        add(target.measure, sample, wanted.trim());
    }
    add(tuning.minimize, &own.minimized, "least");
    page.add(&rows);
}

/// Where the median of all possible seeds lies.
fn interval(measure: &Measure, sample: &Sample) -> String {
    let end = |end: Option<f64>| end.map_or("never".to_owned(), |end| figure(measure, end));
    match sample.median_interval() {
        Some(Interval(low, high)) => format!("{} to {}", end(low), end(high)),
        None => String::new(),
    }
}

fn none(page: &mut TerminalPage, tuning: &Tuning, nearest: Option<usize>) {
    page.section("No setting meets the targets");
    for target in &tuning.targets {
        let met = match target.met_by {
            0 => "met by none".to_owned(),
            some => format!("met by {}", counted(some as u64, "setting")),
        };
        let best = target.best.map(|place| {
            let median = own_sample(tuning, target.measure, place);
            let median = median.map_or(String::new(), |sample| shown(target.measure, sample));
            format!("; the best median is {median}, with {}", tuning.name(place))
        });
        let best = best.unwrap_or("; there was nothing to measure, or it was never reached".into());
        page.line(Tone::Bad, &format!("{}: {met}{best}", target.text));
    }
    if let Some(place) = nearest {
        page.section(&format!("Nearest: {}", tuning.name(place)));
        figures(page, tuning, &tuning.settings[place]);
    }
    if let Some(hint) = &tuning.hint {
        page.section(hint);
    }
}

fn own_sample<'a>(tuning: &'a Tuning, measure: &Measure, place: usize) -> Option<&'a Sample> {
    let number = tuning.targets.iter().position(|target| target.measure == measure)?;
    tuning.settings[place].targets.get(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tuning::tests::tuning as example;

    #[test]
    fn the_recommendation_says_how_sure_it_is_and_what_to_paste() {
        let text = tuning(&example(true), Paint::Plain);
        let sentences = [
            "wanted in 100% of runs: metadata.t99 <= 250ms",
            "tried: 4 settings of fan_out, 224 runs; 1 that are not valid left out",
            "        2  242 ms  2 MB      5 s         4.2 s      0  6 of 6  recommended",
            "        1  302 ms  1 MB      5 s         4.2 s     12  0 of 6  fell: 197 of 200",
            "        3  182 ms  3 MB      5 s         4.2 s      0  6 of 6  can't hold",
            "can't hold: theory expects it to remove live nodes",
            "fan_out 1 (1 MB) fell: 197 of 200 fresh seeds held; --share 98% accepts that",
            "Recommended: fan_out 2",
            "200 of 200 (98.1 % to 100 %) fresh seeds held all targets, seeds 49 to 248",
            "  metadata.t99        242 ms  240 ms to 245 ms   245 ms  <= 250ms",
            "[engine]\nfan_out = 2\n",
            "    .fan_out(2)\n",
        ];
        for sentence in sentences {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
    }

    #[test]
    fn where_nothing_meets_them_the_failing_target_and_the_nearest_are_told() {
        let text = tuning(&example(false), Paint::Plain);
        let sentences = [
            "No setting meets the targets",
            "metadata.t99 <= 250ms: met by none; the best median is 122 ms, with fan_out 4",
            "Nearest: fan_out 4",
            "this is why",
        ];
        for sentence in sentences {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
        assert!(!text.contains("paste"));
    }
}
