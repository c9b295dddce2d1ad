//! The picture of one run: every rumor's coverage above, the error of the node lists below.

use std::collections::BTreeSet;

use plotters::style::RGBColor;

use super::axis::PlotAxis;
use super::panel::{COLORS, Figure, LegendEntry, Panel, PanelLine, PanelStroke, staircase, union};
use crate::report::curves::{self, Curve};
use crate::report::human;
use crate::results::summary::{FaultWindow, RunResult, SeriesRow};
use crate::results::theory::Theory;

/// Up to so many rumors have a line and a colour each.
const RUMORS_EACH: usize = COLORS.len();

/// Among more, a kind of up to so many rumors still has a line for each.
const FEW: usize = 3;

/// The colour of a fault's ground, laid on at [`SHADE_OPACITY`].
pub(super) const SHADE: RGBColor = RGBColor(90, 90, 90);
/// How much of [`SHADE`] covers the white.
pub(super) const SHADE_OPACITY: f64 = 0.13;

/// Lays out the picture of a run.
pub(super) fn figure(run: &RunResult) -> Figure {
    let summary = &run.summary;
    let title = format!(
        "{}: {}, seed {}",
        summary.scenario,
        human::counted(u64::from(summary.nodes.start), "node"),
        summary.seed
    );
    let error = error_panel(&run.series, &run.fault_windows, summary.virtual_ms);
    Figure { title, panels: [spread_panel(&curves::of_run(run), run.theory.as_ref()), error] }
}

fn spread_panel(curves: &[Curve], theory: Option<&Theory>) -> Panel {
    let times = curves.iter().flat_map(|curve| curve.steps.iter().map(|&(at, _)| at));
    let x = spread_axis(times.chain(theory_times(theory)));
    let (lines, legend) = if curves.len() <= RUMORS_EACH {
        one_line_each(curves, &x)
    } else {
        faint_lines_and_medians(curves, &x)
    };
    let mut panel = Panel {
        note: curves.is_empty().then(|| "No rumor was started in this run.".to_owned()),
        lines,
        legend,
        ..empty_spread_panel(x)
    };
    add_theory(&mut panel, theory);
    panel
}

/// Times that the axis must have room for.
pub(super) fn theory_times(theory: Option<&Theory>) -> impl Iterator<Item = f64> {
    theory.into_iter().flat_map(Theory::points).map(|(at, _)| at)
}

/// Adds the line of theory, dashed.
pub(super) fn add_theory(panel: &mut Panel, theory: Option<&Theory>) {
    let Some(theory) = theory else { return };
    let x = &panel.x;
    let place = |at: f64| x.scale.place(at).clamp(x.from, x.to);
    let points = theory.points().map(|(at, share)| (place(at), share)).collect();
    let stroke = PanelStroke::dashed(COLORS[7]);
    panel.lines.push(PanelLine { points, stroke });
    panel.legend.push(LegendEntry::line(stroke, theory.title.clone()));
    panel
        .legend
        .push(LegendEntry::remark(format!("a round every {}", human::span(theory.round_ms))));
}

/// The upper panel's frame.
pub(super) fn empty_spread_panel(x: PlotAxis) -> Panel {
    let title = "How rumors spread: share of nodes that hold one".to_owned();
    Panel::empty(title, x, PlotAxis::share("coverage"))
}

/// Milliseconds since a rumor's start: linear, or by decades when some took far longer than most.
pub(super) fn spread_axis(times: impl Iterator<Item = f64>) -> PlotAxis {
    let mut times: Vec<f64> = times.filter(|&at| at > 0.0).collect();
    times.sort_by(f64::total_cmp);
    let title = "ms since the rumor's start";
    let Some(&largest) = times.last() else { return PlotAxis::linear(title, 100.0) };
    let (early, median) = (times[times.len() / 50], times[times.len() / 2]);
    if largest <= 20.0 * median {
        return PlotAxis::linear(title, largest * 1.03);
    }
    // A few very early ones would take a decade of their own: they stand at the edge instead.
    let floor = 10_f64.powf(early.max(0.1).log10().floor());
    PlotAxis::log(title, floor, largest * 1.2)
}

fn one_line_each(curves: &[Curve], x: &PlotAxis) -> (Vec<PanelLine>, Vec<LegendEntry>) {
    curves.iter().zip(COLORS).map(|(curve, color)| own_line(curve, color, x)).unzip()
}

fn own_line(curve: &Curve, color: RGBColor, x: &PlotAxis) -> (PanelLine, LegendEntry) {
    let stroke = PanelStroke::solid(color);
    let line = PanelLine { points: stairs(&curve.steps, x), stroke };
    (line, LegendEntry::line(stroke, curve.title.clone()))
}

/// A faint line each and a median for every kind, but kinds of a few rumors keep their own lines.
fn faint_lines_and_medians(curves: &[Curve], x: &PlotAxis) -> (Vec<PanelLine>, Vec<LegendEntry>) {
    let kinds: BTreeSet<&str> = curves.iter().map(|curve| curve.kind.as_str()).collect();
    let kinds = kinds.into_iter().map(|kind| {
        let of_kind: Vec<&Curve> = curves.iter().filter(|curve| curve.kind == kind).collect();
        (kind, of_kind)
    });
    let (few, many): (Vec<_>, Vec<_>) = kinds.partition(|(_, curves)| curves.len() <= FEW);
    let mut colors = COLORS.into_iter().cycle();
    let (mut faint, mut lines, mut legend) = (Vec::new(), Vec::new(), Vec::new());
    for (curve, color) in few.iter().flat_map(|(_, curves)| curves).zip(&mut colors) {
        let (line, entry) = own_line(curve, color, x);
        lines.push(line);
        legend.push(entry);
    }
    for ((kind, curves), color) in many.into_iter().zip(colors) {
        let stroke = PanelStroke { width: 6, ..PanelStroke::solid(color) };
        let points = level_stairs(&curves::levels(&curves), x);
        faint.extend(curves.iter().map(|curve| {
            let stroke = PanelStroke::faint(color);
            PanelLine { points: stairs(&curve.steps, x), stroke }
        }));
        lines.insert(0, PanelLine { points, stroke });
        let count = human::count(curves.len() as u64);
        legend.push(LegendEntry::line(stroke, format!("{kind}: median of {count}")));
    }
    legend.push(LegendEntry::remark("thin: one line a rumor"));
    faint.append(&mut lines);
    (faint, legend)
}

/// The places of `(time, share)` steps, held to the end of the axis.
pub(super) fn stairs(steps: &[(f64, f64)], x: &PlotAxis) -> Vec<(f64, f64)> {
    let places: Vec<_> =
        steps.iter().map(|&(at, share)| (x.scale.place(at).min(x.to), share)).collect();
    staircase(&places, x.to)
}

/// The places of a curve that is known by its levels, held to the end of the axis.
pub(super) fn level_stairs(levels: &[Option<f64>], x: &PlotAxis) -> Vec<(f64, f64)> {
    let reached = curves::LEVELS.zip(levels).filter_map(|(level, at)| Some((level, (*at)?)));
    let steps: Vec<_> = reached.map(|(level, at)| (at, f64::from(level) / 100.0)).collect();
    stairs(&steps, x)
}

fn error_panel(series: &[SeriesRow], faults: &[FaultWindow], end_ms: f64) -> Panel {
    let largest = series.iter().map(|row| row.missing.max(row.ghosts)).max().unwrap_or_default();
    let mut panel = empty_error_panel(faults, end_ms, largest);
    let (missing, ghosts) = error_strokes();
    let count = |value: fn(&SeriesRow) -> u64| {
        let point = |row: &SeriesRow| (row.t_ms / 1000.0, panel.y.scale.place(value(row) as f64));
        staircase(&series.iter().map(point).collect::<Vec<_>>(), panel.x.to)
    };
    let missing = PanelLine { points: count(|row| row.missing), stroke: missing };
    let ghosts = PanelLine { points: count(|row| row.ghosts), stroke: ghosts };
    panel.lines = vec![missing, ghosts];
    let (missing, ghosts) = error_strokes();
    panel.legend.insert(0, LegendEntry::line(missing, "missing: true, not listed"));
    panel.legend.insert(1, LegendEntry::line(ghosts, "ghosts: listed, not true"));
    if largest == 0 {
        panel.note = Some("Every node list was right at every sample.".to_owned());
    }
    panel
}

/// The lower panel's frame, faults shaded.
pub(super) fn empty_error_panel(faults: &[FaultWindow], end_ms: f64, largest: u64) -> Panel {
    let end = end_ms / 1000.0;
    let stretch = |fault: &FaultWindow| (fault.from_ms / 1000.0, (fault.to_ms / 1000.0).min(end));
    let name = |fault: &FaultWindow| {
        let (from, to) = stretch(fault);
        // How long it lasts is what the shade shows; how it is done, the table.
        let ends = [" for ", " ("].into_iter().filter_map(|mark| fault.text.find(mark));
        let end = ends.min().unwrap_or(fault.text.len());
        (from, to, fault.text[..end].to_owned())
    };
    let legend = match faults.len() as u64 {
        0 => Vec::new(),
        count => {
            vec![LegendEntry::area(
                SHADE,
                SHADE_OPACITY,
                human::counted(count, "fault") + " at work",
            )]
        }
    };
    let title = "What node lists got wrong: ordered pairs of live nodes".to_owned();
    let x = PlotAxis::linear("s since the start of the run", end);
    let y = PlotAxis::log_from_zero("wrong pairs", (largest as f64).max(10.0));
    Panel {
        shades: union(faults.iter().map(stretch).collect()),
        shade_names: faults.iter().map(name).collect(),
        legend,
        ..Panel::empty(title, x, y)
    }
}

/// How missing and ghost entries are drawn.
pub(super) fn error_strokes() -> (PanelStroke, PanelStroke) {
    (PanelStroke::solid(COLORS[0]), PanelStroke::solid(COLORS[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    #[test]
    fn a_few_rumors_have_a_line_and_an_entry_each() {
        let figure = figure(&fixture::partition(50, 3, 7));
        assert_eq!(figure.title, "partition: 50 nodes, seed 7");
        assert_eq!(figure.panels[0].lines.len(), 3);
        assert_eq!(figure.panels[0].legend.len(), 3);
    }

    #[test]
    fn many_rumors_share_a_median_line_a_kind() {
        let panel = &figure(&fixture::partition(50, 40, 7)).panels[0];
        assert_eq!(panel.lines.len(), 40 + 2);
        assert_eq!(panel.legend[0].text, "join: median of 13");
    }

    #[test]
    fn a_few_rumors_among_many_of_another_kind_keep_their_own_lines() {
        let mut curves = curves::of_run(&fixture::partition(50, 40, 7));
        curves.retain(|curve| curve.kind == "join" || curve.id == "metadata-0");
        let panel = spread_panel(&curves, None);
        let texts: Vec<&str> = panel.legend.iter().map(|entry| entry.text.as_str()).collect();
        let expected =
            ["metadata-0, node 0 at 10 s", "join: median of 13", "thin: one line a rumor"];
        assert_eq!(texts, expected);
        assert_eq!(panel.lines.len(), 13 + 1 + 1);
    }

    #[test]
    fn theory_is_one_more_line_and_the_axis_has_room_for_it() {
        let mut run = fixture::partition(50, 3, 7);
        let last_ms = 1e7;
        let coverage = vec![0.02, 0.5, 1.0];
        let title = "push".to_owned();
        run.theory = Some(Theory { title, round_ms: last_ms / 2.0, coverage });
        let panel = &figure(&run).panels[0];
        assert_eq!((panel.lines.len(), panel.legend.len()), (4, 5));
        let last = *panel.lines[3].points.last().unwrap();
        assert_eq!(last, (panel.x.scale.place(last_ms), 1.0));
        assert!(last.0 < panel.x.to);
    }

    #[test]
    fn no_rumors_and_no_error_are_said_in_words() {
        let mut run = fixture::partition(50, 0, 7);
        run.series.clear();
        let figure = figure(&run);
        assert!(figure.panels.iter().all(|panel| panel.note.is_some()));
    }

    #[test]
    fn the_time_axis_goes_by_decades_only_when_some_took_far_longer() {
        assert!(!spread_axis([5.0, 10.0, 40.0].into_iter()).title.contains("log"));
        assert!(spread_axis([5.0, 10.0, 20_000.0].into_iter()).title.contains("log"));
        assert_eq!(spread_axis([].into_iter()).from, 0.0);
    }

    #[test]
    fn every_point_stands_inside_its_axes() {
        for rumors in [0, 3, 40] {
            for panel in figure(&fixture::partition(50, rumors, 7)).panels {
                for (x, y) in panel.lines.iter().flat_map(|line| line.points.iter().copied()) {
                    assert!(panel.x.from <= x && x <= panel.x.to, "{x}");
                    assert!(panel.y.from <= y && y <= panel.y.to, "{y}");
                }
            }
        }
    }
}
