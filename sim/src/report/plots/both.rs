//! The picture of a scenario in virtual time beside the same one on real sockets.

use plotters::style::RGBColor;

use super::panel::{COLORS, Figure, LegendEntry, Panel, PanelLine, PanelStroke, staircase};
use super::single::{empty_error_panel, empty_spread_panel, level_stairs, spread_axis, stairs};
use crate::report::both::{BothSide, View};
use crate::report::curves::{self, Curve};
use crate::report::human;
use crate::results::summary::SeriesRow;

/// Among more rumors only so many have a thin line each.
const THIN_LINES_MAX: usize = 60;

/// Lays out the picture of both.
pub(super) fn figure(view: &View) -> Figure {
    let nodes = human::counted(u64::from(view.nodes), "node");
    let title = format!("{}: {nodes}, virtual beside real ({})", view.scenario, view.net);
    Figure { title, panels: [spread_panel(view), error_panel(view)] }
}

/// What each side is called, and its colour.
fn sides(view: &View) -> [(String, RGBColor, &BothSide); 2] {
    let [of_virtual, of_real] = &view.sides;
    let real = format!("real ({})", view.net);
    [("virtual".to_owned(), COLORS[0], of_virtual), (real, COLORS[1], of_real)]
}

fn spread_panel(view: &View) -> Panel {
    let all = view.sides.iter().flat_map(|side| &side.curves);
    let axis = spread_axis(all.flat_map(|curve| curve.steps.iter().map(|&(at, _)| at)));
    let mut panel = empty_spread_panel(axis);
    let Some(kind) = &view.kind else {
        panel.note = Some("No rumor was started in this run.".to_owned());
        return panel;
    };
    panel.title = format!("How {kind} rumors spread: share of nodes that hold one");
    let mut medians = Vec::new();
    for (name, color, side) in sides(view) {
        let stroke = PanelStroke::faint(color);
        panel.lines.extend(
            side.curves
                .iter()
                .take(THIN_LINES_MAX)
                .map(|curve| PanelLine { points: stairs(&curve.steps, &panel.x), stroke }),
        );
        let stroke = PanelStroke { width: 6, ..PanelStroke::solid(color) };
        let levels = curves::levels(&side.curves.iter().collect::<Vec<&Curve>>());
        medians.push(PanelLine { points: level_stairs(&levels, &panel.x), stroke });
        let count = human::count(side.curves.len() as u64);
        panel.legend.push(LegendEntry::line(stroke, format!("{name}: median of {count}")));
        let t99 = levels[98].map(human::span);
        let t99 = t99.unwrap_or_else(|| "never".to_owned());
        panel.legend.push(LegendEntry::remark(format!("99 % of nodes after {t99}")));
    }
    // Above all thin ones.
    panel.lines.append(&mut medians);
    panel.legend.push(LegendEntry::remark("thin: one line a rumor"));
    panel
}

fn error_panel(view: &View) -> Panel {
    let rows = view.sides.iter().flat_map(|side| &side.series);
    let largest = rows.map(|row| row.missing.max(row.ghosts)).max().unwrap_or_default();
    let mut panel = empty_error_panel(&view.fault_windows, view.end_ms, largest);
    for (name, color, side) in sides(view).into_iter().rev() {
        let line = |value: fn(&SeriesRow) -> u64, stroke: PanelStroke| {
            let point =
                |row: &SeriesRow| (row.t_ms / 1000.0, panel.y.scale.place(value(row) as f64));
            let points: Vec<_> = side.series.iter().map(point).collect();
            PanelLine { points: staircase(&points, panel.x.to), stroke }
        };
        let (missing, ghosts) = (PanelStroke::solid(color), PanelStroke::dashed(color));
        let lines = [line(|row| row.missing, missing), line(|row| row.ghosts, ghosts)];
        panel.lines.extend(lines);
        panel.legend.insert(0, LegendEntry::line(ghosts, format!("ghosts, {name}")));
        panel.legend.insert(0, LegendEntry::line(missing, format!("missing, {name}")));
    }
    if largest == 0 {
        panel.note = Some("Every node list was right at every sample.".to_owned());
    }
    panel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::both::BothRuns;
    use crate::results::fixture;

    #[test]
    fn both_sides_have_their_curves_and_the_medians_lie_above() {
        let [one, other] = [1, 2].map(|seed| fixture::partition(50, 3, seed));
        let summaries = [vec![one.summary], vec![other.summary]];
        let side = |place: usize, series| BothRuns { summaries: &summaries[place], series };
        let view =
            View::new(side(0, &one.series), side(1, &other.series), one.fault_windows.clone());
        let count = view.sides[0].curves.len();
        assert!(count > 0 && view.kind.as_deref() == Some("metadata"));
        let figure = figure(&view);
        let [spread, errors] = &figure.panels;
        assert_eq!(spread.lines.len(), 2 * count + 2);
        let colors: Vec<_> =
            spread.lines[2 * count..].iter().map(|line| line.stroke.color).collect();
        assert_eq!(colors, [COLORS[0], COLORS[1]]);
        let texts: Vec<_> = errors.legend.iter().map(|entry| entry.text.as_str()).collect();
        let expected = ["missing, virtual", "ghosts, virtual", "missing, real (virtual)"];
        assert_eq!(texts[..3], expected);
    }
}
