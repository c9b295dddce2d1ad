//! Small multiples of a sweep: a row for each measure, a column for each value of the second axis,
//! the first axis across, and a line for each value of the third.
//!
//! Panels of a row have one scale, so that they can be compared at a glance.

use plotters::prelude::DrawingBackend;
use plotters::style::WHITE;

use super::axis::{PlotAxis, Scale};
use super::draw::{
    LEGEND_MARK, MARGIN, PANEL_TITLE_SIZE, SMALL_SIZE, TITLE_HEIGHT, TITLE_SIZE, draw_panel,
    draw_sample, fitted, write,
};
use super::panel::{Band, COLORS, Panel, PanelLine, PanelStroke};
use super::{Area, Drawn, Picture};
use crate::measures::{Measure, Unit};
use crate::report::sweep::Results;
use crate::stats::Sample;

const WIDTH: i32 = 1800;
const ROW_HEIGHT: i32 = 430;
/// Above each row: the name of its measure.
const ROW_TITLE: i32 = 44;
const SUBTITLE: i32 = 40;
/// Columns and lines; of longer axes some values are picked, the first and the last among them.
const COLUMNS_MAX: usize = 4;
const LINES_MAX: usize = 6;
/// Names below an axis.
const TICKS_MAX: usize = 8;
/// From this ratio on the vertical axis goes by decades.
const LOG_RATIO: f64 = 20.0;

/// Small multiples, laid out.
pub(super) struct Multiples {
    title: String,
    subtitle: String,
    /// A row for each measure, with its name.
    rows: Vec<(String, Vec<Panel>)>,
    legend: Vec<(PanelStroke, String)>,
}

/// Which places of the second and third axis are shown.
struct Shown {
    columns: Vec<usize>,
    lines: Vec<usize>,
}

/// Lays out the small multiples of all measures that are shown.
pub(super) fn multiples(results: &Results) -> Multiples {
    let axes = &results.plan.axes;
    let picked =
        |axis: usize, most| axes.get(axis).map_or(vec![0], |axis| picks(axis.values.len(), most));
    let shown = Shown { columns: picked(1, COLUMNS_MAX), lines: picked(2, LINES_MAX) };
    let stroke = |line: usize| PanelStroke::solid(COLORS[line % COLORS.len()]);
    let legend = axes.get(2).map(|axis| {
        let names =
            shown.lines.iter().map(|&place| format!("{} {}", axis.short(), axis.values[place]));
        names.enumerate().map(|(line, name)| (stroke(line), name)).collect()
    });
    let named_row =
        |measure: &&'static Measure| (measure.name.to_string(), row(results, measure, &shown));
    Multiples {
        title: format!("Over {}", axes[0].key),
        subtitle: subtitle(results),
        rows: results.shown.iter().map(named_row).collect(),
        legend: legend.unwrap_or_default(),
    }
}

fn subtitle(results: &Results) -> String {
    let fixed = results.plan.axes.iter().skip(3);
    let fixed = fixed.map(|axis| format!("; {} {}", axis.short(), axis.values[0]));
    format!("{}; median over seeds, band p5 to p95{}", results.title(), fixed.collect::<String>())
}

/// So many places of an axis, evenly spaced, both ends among them.
fn picks(len: usize, most: usize) -> Vec<usize> {
    if len <= most {
        return (0..len).collect();
    }
    (0..most).map(|pick| (pick * (len - 1) + (most - 1) / 2) / (most - 1)).collect()
}

fn row(results: &Results, measure: &Measure, shown: &Shown) -> Vec<Panel> {
    let axes = &results.plan.axes;
    // The place of a cell, the first axis going slowest; those beyond the third stand at zero.
    let strides: Vec<usize> = (0..axes.len())
        .map(|axis| axes[axis + 1..].iter().map(|a| a.values.len()).product())
        .collect();
    let cell = |places: [usize; 3]| {
        places.iter().zip(&strides).map(|(place, stride)| place * stride).sum::<usize>()
    };
    let points = |column: usize, line: usize| -> Vec<[Option<f64>; 3]> {
        let samples = (0..axes[0].values.len())
            .map(|x| results.cells[cell([x, column, line])].sample(measure));
        samples.map(|sample| three(&sample, measure.unit)).collect()
    };
    let all: Vec<Vec<Vec<[Option<f64>; 3]>>> = shown
        .columns
        .iter()
        .map(|&column| shown.lines.iter().map(|&line| points(column, line)).collect())
        .collect();
    let y = vertical(measure, all.iter().flatten().flatten().flatten().flatten().copied());
    let panel = |(place, lines): (usize, &Vec<Vec<[Option<f64>; 3]>>)| {
        let title = match axes.get(1) {
            Some(axis) => format!("{} {}", axis.short(), axis.values[shown.columns[place]]),
            None => String::new(),
        };
        let mut panel = Panel::empty(title, horizontal(&axes[0]), y.clone());
        lines.iter().enumerate().for_each(|(line, points)| add(&mut panel, points, line));
        panel
    };
    all.iter().enumerate().map(panel).collect()
}

/// The p5, median and p95 of a figure, in what its axis counts in.
fn three(sample: &Sample, unit: Unit) -> [Option<f64>; 3] {
    let counted_in = |value: f64| match unit {
        Unit::Bytes => value / 1e6,
        Unit::ByteRate => value / 1e3,
        _ => value,
    };
    [5, 50, 95].map(|percent| sample.percentile(percent).map(counted_in))
}

fn vertical(measure: &Measure, values: impl Iterator<Item = f64>) -> PlotAxis {
    let title = match measure.unit {
        Unit::Duration => "ms",
        Unit::Bytes => "MB",
        Unit::ByteRate => "kB/s",
        Unit::Count => "count",
        Unit::Share | Unit::Flag => "share",
        Unit::Rate => "a second",
        Unit::Ratio => "ratio",
    };
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
    }
    if low > 0.0 && high / low >= LOG_RATIO {
        return PlotAxis::log_fine(title, low * 0.8, high * 1.2);
    }
    PlotAxis::linear(title, if high > 0.0 { high * 1.1 } else { 1.0 })
}

/// The values of an axis side by side, as they were typed.
fn horizontal(axis: &crate::sweep::Axis) -> PlotAxis {
    let ticks = picks(axis.values.len(), TICKS_MAX);
    PlotAxis {
        title: axis.short().to_owned(),
        scale: Scale::Linear,
        from: -0.3,
        to: axis.values.len() as f64 - 0.7,
        ticks: ticks.into_iter().map(|at| (at as f64, axis.values[at].clone())).collect(),
    }
}

/// A line through the medians in its band; where the median is never reached, there is none.
fn add(panel: &mut Panel, points: &[[Option<f64>; 3]], line: usize) {
    let color = COLORS[line % COLORS.len()];
    let scale = panel.y.scale;
    let at = |place: usize| {
        points
            .iter()
            .enumerate()
            .filter_map(move |(x, three)| Some((x as f64, scale.place(three[place]?))))
    };
    let (low, high): (Vec<_>, Vec<_>) = (at(0).collect(), at(2).collect());
    // A band that is open above would look closed: it is drawn where all of it is there.
    if low.len() == points.len() && high.len() == points.len() {
        let outline = high.into_iter().chain(low.into_iter().rev()).collect();
        panel.bands.push(Band { outline, color });
    }
    panel.dots.extend(at(1).map(|at| (at, color)));
    let runs = points.split(|three| three[1].is_none());
    let mut first = 0;
    for run in runs {
        let points: Vec<(f64, f64)> = (first..)
            .zip(run)
            .map(|(x, three): (usize, _)| (x as f64, scale.place(three[1].unwrap_or_default())))
            .collect();
        first += run.len() + 1;
        if points.len() > 1 {
            panel.lines.push(PanelLine { points, stroke: PanelStroke::solid(color) });
        }
    }
    if panel.dots.is_empty() {
        panel.note = Some("never".to_owned());
    }
}

impl Picture for Multiples {
    fn size(&self) -> (u32, u32) {
        let head = MARGIN + TITLE_HEIGHT + SUBTITLE + self.legend_height();
        (WIDTH as u32, (head + ROW_HEIGHT * self.rows.len() as i32 + MARGIN / 2).max(640) as u32)
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB> {
        area.fill(&WHITE)?;
        write(area, &self.title, (MARGIN, MARGIN), TITLE_SIZE)?;
        let (subtitle, _) = fitted(area, &self.subtitle, WIDTH - 2 * MARGIN)?;
        write(area, &subtitle, (MARGIN, MARGIN + 56), SMALL_SIZE)?;
        let top = MARGIN + TITLE_HEIGHT + SUBTITLE;
        self.draw_legend(area, top)?;
        for (number, (name, row)) in self.rows.iter().enumerate() {
            let y = top + self.legend_height() + ROW_HEIGHT * number as i32;
            write(area, name, (MARGIN, y), PANEL_TITLE_SIZE)?;
            let width = (WIDTH - 2 * MARGIN) / row.len() as i32;
            for (column, panel) in row.iter().enumerate() {
                let x = MARGIN + width * column as i32;
                let area = area
                    .clone()
                    .shrink((x, y + ROW_TITLE), (width - 16, ROW_HEIGHT - ROW_TITLE - 30));
                draw_panel(&area, panel)?;
            }
        }
        area.present()
    }
}

impl Multiples {
    fn legend_height(&self) -> i32 {
        if self.legend.is_empty() { 0 } else { 50 }
    }

    fn draw_legend<DB: DrawingBackend>(&self, area: &Area<DB>, y: i32) -> Drawn<DB> {
        let mut x = MARGIN;
        for (stroke, text) in &self.legend {
            let mark = area.clone().shrink((x, y), (LEGEND_MARK, 30));
            draw_sample(&mark, *stroke, 11)?;
            let (text, width) = fitted(area, text, 260)?;
            write(area, &text, (x + LEGEND_MARK + 12, y), SMALL_SIZE)?;
            x += LEGEND_MARK + 12 + width + 36;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sweep::tests::results;

    #[test]
    fn there_is_a_row_for_each_measure_and_a_column_for_each_second_value() {
        let results = results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s"], 5);
        let figure = multiples(&results);
        assert_eq!(figure.rows.len(), results.shown.len());
        assert!(figure.rows.iter().all(|(_, row)| row.len() == 2) && figure.legend.is_empty());
        let (name, row) = &figure.rows[0];
        let panel = &row[1];
        assert_eq!(name, "metadata.t99");
        assert_eq!(panel.title, "cycle 2s");
        let medians: Vec<f64> = panel.lines[0].points.iter().map(|&(_, y)| y).collect();
        assert_eq!(medians, [40.3, 20.3, 40.0 / 3.0 + 0.3]);
        for (_, row) in &figure.rows {
            assert!(row.iter().all(|panel| panel.y == row[0].y), "one scale a row");
        }
    }

    #[test]
    fn a_third_axis_makes_lines_and_long_axes_are_thinned() {
        let results = results(&["a=1..=3", "b=1..=9", "c=1..=3"], 2);
        let figure = multiples(&results);
        assert_eq!((figure.rows[0].1.len(), figure.legend.len()), (COLUMNS_MAX, 3));
        assert_eq!(figure.legend[2].1, "c 3");
        assert_eq!(picks(9, 4), [0, 3, 5, 8]);
        assert_eq!(picks(3, 4), [0, 1, 2]);
    }

    #[test]
    fn a_line_is_broken_where_most_seeds_never_got_there() {
        let results = results(&["a=1..=4", "b=1..=4"], 5);
        let figure = multiples(&results);
        let last = &figure.rows[0].1[3];
        assert_eq!(last.dots.len(), 3);
        assert_eq!(last.lines[0].points[0].0, 1.0);
        assert!(last.bands.is_empty());
    }
}
