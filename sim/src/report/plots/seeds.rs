//! The picture over many seeds: where most of them lie, the one in the middle, and the worst.

use std::collections::BTreeSet;

use super::axis::PlotAxis;
use super::panel::{Band, COLORS, Figure, LegendEntry, Panel, PanelLine, PanelStroke, staircase};
use super::single::{
    add_theory, empty_error_panel, empty_spread_panel, error_strokes, level_stairs, spread_axis,
    theory_times,
};
use super::{BAND_OPACITY, Seeds};
use crate::report::curves::{LEVELS, Levels};
use crate::report::human;
use crate::results::summary::SeriesRow;
use crate::stats::Sample;

/// Lays out the picture of all seeds of a scenario.
pub(super) fn figure(seeds: &Seeds) -> Figure {
    let title = format!(
        "{}: {}, {}",
        seeds.scenario,
        human::counted(u64::from(seeds.nodes), "node"),
        human::counted(seeds.views.len() as u64, "seed"),
    );
    Figure { title, panels: [spread_panel(seeds), error_panel(seeds)] }
}

fn spread_panel(seeds: &Seeds) -> Panel {
    let kinds: BTreeSet<&String> = seeds.views.iter().flat_map(|view| view.levels.keys()).collect();
    let all = seeds.views.iter().flat_map(|view| view.levels.values()).flatten();
    let times = all.filter_map(|&at| at).chain(theory_times(seeds.theory.as_ref()));
    let mut panel = empty_spread_panel(spread_axis(times));
    panel.title = "How rumors spread: the median rumor of each seed".to_owned();
    for (kind, color) in kinds.iter().zip(COLORS.into_iter().cycle()) {
        let of_kind: Vec<&Levels> =
            seeds.views.iter().filter_map(|view| view.levels.get(*kind)).collect();
        panel.bands.push(Band { outline: outline(&of_kind, &panel.x), color });
        let stroke = PanelStroke::solid(color);
        let points = level_stairs(&at_percent(&of_kind, 50), &panel.x);
        panel.lines.push(PanelLine { points, stroke });
        panel.legend.push(LegendEntry::line(stroke, format!("{kind}: median seed")));
        if let Some(worst) = seeds.worst_view().levels.get(*kind) {
            let points = level_stairs(worst, &panel.x);
            panel.lines.push(PanelLine { points, stroke: PanelStroke::dashed(color) });
        }
    }
    if kinds.is_empty() {
        panel.note = Some("No rumor was started in these runs.".to_owned());
    } else {
        panel.legend.extend(band_and_worst(seeds));
    }
    add_theory(&mut panel, seeds.theory.as_ref());
    panel
}

/// For each level, the time that so many percent of the seeds needed at most.
pub(super) fn at_percent(of_kind: &[&Levels], percent: u32) -> Levels {
    let at = |place: usize| of_kind.iter().map(move |levels| levels[place]);
    (0..LEVELS.count()).map(|place| Sample::new(at(place)).percentile(percent)).collect()
}

/// Up along the fast seeds and down along the slow ones; those that never came stand at the end.
pub(super) fn outline(of_kind: &[&Levels], x: &PlotAxis) -> Vec<(f64, f64)> {
    let (fast, slow) = (at_percent(of_kind, 5), at_percent(of_kind, 95));
    let mut outline = level_stairs(&fast, x);
    let reached = fast.iter().flatten().count();
    let slow: Levels = slow.into_iter().take(reached).map(|at| at.or(Some(f64::MAX))).collect();
    outline.extend(level_stairs(&slow, x).into_iter().rev());
    outline
}

fn error_panel(seeds: &Seeds) -> Panel {
    let rows = seeds.views.iter().flat_map(|view| &view.series);
    let largest = rows.map(|row| row.missing.max(row.ghosts)).max().unwrap_or_default();
    let mut panel = empty_error_panel(&seeds.fault_windows, seeds.end_ms, largest);
    let (missing, ghosts) = error_strokes();
    add_error(&mut panel, seeds, missing, |row| row.missing);
    add_error(&mut panel, seeds, ghosts, |row| row.ghosts);
    panel.legend.push(LegendEntry::line(missing, "missing: median seed"));
    panel.legend.push(LegendEntry::line(ghosts, "ghosts: median seed"));
    panel.legend.rotate_left(usize::from(!seeds.fault_windows.is_empty()));
    panel.legend.extend(band_and_worst(seeds));
    if largest == 0 {
        panel.note = Some("Every node list was right at every sample of every seed.".to_owned());
    }
    panel
}

fn add_error(panel: &mut Panel, seeds: &Seeds, stroke: PanelStroke, value: fn(&SeriesRow) -> u64) {
    let rows = seeds.views.iter().map(|view| view.series.len()).min().unwrap_or_default();
    let (scale, end) = (panel.y.scale, panel.x.to);
    let over_seeds = |percent: u32| {
        let at = |row: usize| {
            let values = seeds.views.iter().map(|view| Some(value(&view.series[row]) as f64));
            let reduced = Sample::new(values).percentile(percent).unwrap_or_default();
            (seeds.views[0].series[row].t_ms / 1000.0, scale.place(reduced))
        };
        staircase(&(0..rows).map(at).collect::<Vec<_>>(), end)
    };
    let mut outline = over_seeds(95);
    outline.extend(over_seeds(5).into_iter().rev());
    panel.bands.push(Band { outline, color: stroke.color });
    panel.lines.push(PanelLine { points: over_seeds(50), stroke });
    let worst = seeds.worst_view().series.iter();
    let worst: Vec<_> =
        worst.map(|row| (row.t_ms / 1000.0, scale.place(value(row) as f64))).collect();
    let points = staircase(&worst, end);
    panel.lines.push(PanelLine { points, stroke: PanelStroke::dashed(stroke.color) });
}

fn band_and_worst(seeds: &Seeds) -> [LegendEntry; 2] {
    let worst = format!("worst seed: {}", seeds.worst_view().seed);
    [
        LegendEntry::area(COLORS[6], BAND_OPACITY, "p5 to p95 over seeds"),
        LegendEntry::line(PanelStroke::dashed(COLORS[6]), worst),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::tests::seeds;
    use super::*;

    #[test]
    fn each_kind_of_rumor_has_a_band_a_median_and_the_worst_seed() {
        let panel = &figure(&seeds(20, 7)).panels[0];
        assert_eq!((panel.bands.len(), panel.lines.len(), panel.legend.len()), (2, 4, 4));
    }

    #[test]
    fn the_median_lies_inside_the_band_at_every_level() {
        let seeds = seeds(20, 7);
        let of_kind: Vec<&Levels> = seeds.views.iter().map(|view| &view.levels["join"]).collect();
        let [low, middle, high] = [5, 50, 95].map(|percent| at_percent(&of_kind, percent));
        for ((low, middle), high) in low.iter().zip(&middle).zip(&high) {
            assert!(low <= middle && middle <= high);
        }
    }

    #[test]
    fn a_level_that_a_slow_seed_never_reached_opens_the_band_to_the_end() {
        let fast: Levels = LEVELS.map(|level| Some(f64::from(level))).collect();
        let slow: Levels = LEVELS.map(|level| (level <= 50).then_some(60.0)).collect();
        let axis = PlotAxis::linear("ms", 200.0);
        let outline = outline(&[&fast, &slow], &axis);
        assert_eq!(outline.first(), Some(&(1.0, 0.01)), "up along the fast seed");
        assert!(outline.contains(&(100.0, 1.0)));
        assert!(outline.contains(&(60.0, 0.5)), "down along the slow one, as far as it came");
        assert!(outline.contains(&(200.0, 0.51)), "and open from there");
        assert_eq!(outline.last(), Some(&(60.0, 0.01)));
    }

    #[test]
    fn the_legend_of_the_errors_begins_with_the_lines() {
        let texts: Vec<String> =
            figure(&seeds(5, 3)).panels[1].legend.iter().map(|entry| entry.text.clone()).collect();
        assert_eq!(texts[0], "missing: median seed");
        assert_eq!(texts[2], "1 fault at work");
    }
}
