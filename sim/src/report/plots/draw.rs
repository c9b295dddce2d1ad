//! Draws a laid-out picture on any backend of plotters, in real pixels of a dense screen.
//!
//! The picture is 1,800 by 1,300 pixels and meant to be shown at half of that, so every size here
//! is twice what a reader sees. The only font is the one that [`super`] registers.

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::{
    Cartesian2d, Circle, DrawingAreaErrorKind, DrawingBackend, IntoFont, PathElement, Polygon,
    Rectangle, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle, TextStyle, WHITE};

use super::axis::PlotAxis;
use super::labels::{self, Placed, Room};
use super::panel::{Band, COLORS, Dash, Figure, LegendEntry, Mark, Panel, PanelLine, PanelStroke};
use super::single::{SHADE, SHADE_OPACITY};
use super::{Area, Drawn, FONT, Picture};
use crate::report::human;

/// Width and height of a picture.
const SIZE: (u32, u32) = (1800, 1300);

pub(super) const MARGIN: i32 = 36;
pub(super) const TITLE_HEIGHT: i32 = 76;
/// Above each chart: its title, and below that the names of shades.
const PANEL_TITLE_HEIGHT: i32 = 44;
const SHADE_NAME_HEIGHT: i32 = 30;
/// A name may pass the end of a narrow shade by so much.
const SHADE_NAME_WIDTH: i32 = 150;
const PANEL_GAP: i32 = 26;
const LEGEND_LINE: i32 = 36;
pub(super) const LEGEND_MARK: i32 = 64;
/// Between a sample and its text, and from one entry to the next.
const LEGEND_TEXT_GAP: i32 = 12;
const LEGEND_GAP: i32 = 40;
const X_LABELS: u32 = 74;
const Y_LABELS: u32 = 128;

pub(super) const TITLE_SIZE: f64 = 38.0;
pub(super) const PANEL_TITLE_SIZE: f64 = 28.0;
pub(super) const LABEL_SIZE: f64 = 23.0;
pub(super) const SMALL_SIZE: f64 = 21.0;

pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
/// From a text to its point, where they stand apart.
const LEADER: RGBColor = RGBColor(120, 120, 120);
const LABEL_HEIGHT: i32 = 22;
const GRID: RGBColor = RGBColor(226, 226, 226);

type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<PlotAxis, PlotAxis>>;

impl Picture for Figure {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB> {
        draw(area, self)
    }
}

fn draw<DB: DrawingBackend>(area: &Area<DB>, figure: &Figure) -> Drawn<DB> {
    area.fill(&WHITE)?;
    let (width, height) = (SIZE.0 as i32, SIZE.1 as i32);
    write(area, &figure.title, (MARGIN, MARGIN + 4), TITLE_SIZE)?;
    let top = MARGIN + TITLE_HEIGHT;
    let panel_height = (height - top - MARGIN / 2) / 2;
    for (place, panel) in figure.panels.iter().enumerate() {
        let y = top + panel_height * place as i32;
        let width = width - 2 * MARGIN;
        let legend = lay_out_legend(area, &panel.legend, width)?;
        let rows = legend.last().map_or(0, |entry| entry.row + 1);
        let height = panel_height - PANEL_GAP - rows * LEGEND_LINE;
        let chart = area.clone().shrink((MARGIN, y), (width, height));
        draw_panel(&chart, panel)?;
        let below = area.clone().shrink((MARGIN, y + height), (width, rows * LEGEND_LINE));
        draw_legend(&below, &legend)?;
    }
    area.present()
}

pub(super) fn draw_panel<DB: DrawingBackend>(area: &Area<DB>, panel: &Panel) -> Drawn<DB> {
    write(area, &panel.title, (0, 0), PANEL_TITLE_SIZE)?;
    let (width, height) = area.dim_in_pixel();
    let head =
        PANEL_TITLE_HEIGHT + if panel.shade_names.is_empty() { 0 } else { SHADE_NAME_HEIGHT };
    let body = area.clone().shrink((0, head), (width as i32, height as i32 - head));
    let mut chart = ChartBuilder::on(&body)
        .x_label_area_size(X_LABELS)
        .y_label_area_size(Y_LABELS)
        .margin_right(10)
        .build_cartesian_2d(panel.x.clone(), panel.y.clone())?;
    draw_shades(&mut chart, panel)?;
    draw_grid(&mut chart, panel)?;
    for band in &panel.bands {
        draw_band(&mut chart, band)?;
    }
    draw_bars(&mut chart, panel)?;
    for line in &panel.lines {
        draw_line(&mut chart, line)?;
    }
    let dot = |&(at, color): &((f64, f64), RGBColor)| Circle::new(at, 9, color.filled());
    chart.draw_series(panel.dots.iter().map(dot))?;
    draw_labels(area, &chart, panel)?;
    name_shades(area, &chart, panel)?;
    draw_note(&chart, panel)
}

impl Ranged for PlotAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, limit: (i32, i32)) -> i32 {
        let share = (place - self.from) / (self.to - self.from);
        limit.0 + (f64::from(limit.1 - limit.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|&(place, _)| place).collect()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for PlotAxis {
    fn format_ext(&self, place: &f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| tick == place);
        tick.map_or_else(String::new, |(_, label)| label.clone())
    }
}

fn draw_grid<DB: DrawingBackend>(chart: &mut Chart<'_, DB>, panel: &Panel) -> Drawn<DB> {
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .max_light_lines(0)
        .axis_style(INK.stroke_width(2))
        .set_all_tick_mark_size(8)
        .label_style(font(LABEL_SIZE))
        .axis_desc_style(font(LABEL_SIZE))
        .x_desc(panel.x.title.as_str())
        .y_desc(panel.y.title.as_str())
        .draw()
}

fn draw_shades<DB: DrawingBackend>(chart: &mut Chart<'_, DB>, panel: &Panel) -> Drawn<DB> {
    let style = SHADE.mix(SHADE_OPACITY).filled();
    let shades = panel.shades.iter();
    let boxes =
        shades.map(|&(from, to)| Rectangle::new([(from, panel.y.from), (to, panel.y.to)], style));
    chart.draw_series(boxes).map(drop)
}

fn draw_bars<DB: DrawingBackend>(chart: &mut Chart<'_, DB>, panel: &Panel) -> Drawn<DB> {
    let bars = panel
        .bars
        .iter()
        .map(|bar| Rectangle::new([(bar.from, bar.low), (bar.to, bar.high)], bar.color.filled()));
    chart.draw_series(bars).map(drop)
}

fn draw_labels<DB: DrawingBackend>(
    area: &Area<DB>,
    chart: &Chart<'_, DB>,
    panel: &Panel,
) -> Drawn<DB> {
    let (columns, lines) = area.get_pixel_range();
    let pixel = |place: &(f64, f64)| {
        let (x, y) = chart.backend_coord(place);
        (x - columns.start, y - lines.start)
    };
    let mut texts = Vec::new();
    for (point, text) in &panel.labels {
        let (text, width) = fitted(area, text, 420)?;
        texts.push((pixel(point), text, width));
    }
    let (left, bottom) = pixel(&(panel.x.from, panel.y.from));
    let (right, top) = pixel(&(panel.x.to, panel.y.to));
    let boxes: Vec<_> = texts.iter().map(|&(at, _, width)| (at, (width, LABEL_HEIGHT))).collect();
    let dots: Vec<_> = panel.dots.iter().map(|(at, _)| pixel(at)).collect();
    let drawn: Vec<Vec<_>> =
        panel.lines.iter().map(|line| line.points.iter().map(pixel).collect()).collect();
    let placed = labels::place(&boxes, &dots, &drawn, Room { left, top, right, bottom });
    for ((point, text, _), placed) in texts.into_iter().zip(placed) {
        let Some(Placed { room, distance }) = placed else { continue };
        if distance >= labels::LEADER_FROM {
            let leader = PathElement::new([point, room.nearest(point)], LEADER.stroke_width(1));
            area.draw(&leader)?;
        }
        write(area, &text, (room.left, room.top), SMALL_SIZE)?;
    }
    Ok(())
}

fn draw_band<DB: DrawingBackend>(chart: &mut Chart<'_, DB>, band: &Band) -> Drawn<DB> {
    if band.outline.len() < 3 {
        return Ok(());
    }
    let polygon = Polygon::new(band.outline.clone(), band.color.mix(super::BAND_OPACITY));
    chart.draw_series([polygon]).map(drop)
}

fn draw_line<DB: DrawingBackend>(chart: &mut Chart<'_, DB>, line: &PanelLine) -> Drawn<DB> {
    let style = shape(line.stroke);
    let pattern = pattern(line.stroke);
    if pattern.is_empty() {
        return chart.draw_series([PathElement::new(line.points.clone(), style)]).map(drop);
    }
    let area = chart.plotting_area().strip_coord_spec();
    let (columns, lines) = area.get_base_pixel();
    let pixel = |point: &(f64, f64)| {
        let (x, y) = chart.backend_coord(point);
        (x - columns, y - lines)
    };
    let pixels: Vec<(i32, i32)> = line.points.iter().map(pixel).collect();
    let dashes = dashes(&pixels, pattern);
    dashes.into_iter().try_for_each(|dash| area.draw(&PathElement::new(dash, style)))
}

/// How lines of each of [`COLORS`] are interrupted, so that they differ in grey print as well.
const PATTERNS: [&[i32]; 8] = [
    &[],
    &[34, 12],
    &[5, 9],
    &[34, 9, 5, 9],
    &[60, 12],
    &[20, 12],
    &[34, 9, 5, 9, 5, 9],
    &[60, 9, 5, 9],
];

/// Lengths of strokes and gaps, in turn; none where a line is whole.
fn pattern(stroke: PanelStroke) -> &'static [i32] {
    match stroke.dash {
        Dash::Dashed => &[12, 8],
        // Faint lines are many: what they are is said by the one that stands out.
        Dash::Solid if stroke.opacity < 1.0 => &[],
        Dash::Solid => {
            let place = COLORS.iter().position(|color| *color == stroke.color);
            PATTERNS[place.unwrap_or_default()]
        }
    }
}

/// Cuts a line into the strokes of a pattern.
fn dashes(line: &[(i32, i32)], pattern: &[i32]) -> Vec<Vec<(i32, i32)>> {
    let mut strokes: Vec<Vec<(i32, i32)>> = Vec::new();
    let (mut turn, mut left) = (0, f64::from(pattern[0]));
    let mut stroke: Vec<(i32, i32)> = line.first().copied().into_iter().collect();
    for piece in line.windows(2) {
        let [(ax, ay), (bx, by)] = [piece[0], piece[1]];
        let (dx, dy) = (f64::from(bx - ax), f64::from(by - ay));
        let (length, mut gone) = (dx.hypot(dy), 0.0);
        while length - gone > left {
            gone += left;
            let share = gone / length;
            let at = (ax + (dx * share).round() as i32, ay + (dy * share).round() as i32);
            stroke.push(at);
            let ended = std::mem::replace(&mut stroke, vec![at]);
            if turn % 2 == 0 {
                strokes.push(ended);
            }
            turn = (turn + 1) % pattern.len();
            left = f64::from(pattern[turn]);
        }
        left -= length - gone;
        stroke.push((bx, by));
    }
    if turn % 2 == 0 && stroke.len() > 1 {
        strokes.push(stroke);
    }
    strokes
}

fn shape(stroke: PanelStroke) -> ShapeStyle {
    stroke.color.mix(stroke.opacity).stroke_width(stroke.width)
}

/// Writes the names of shades above the chart, each where its shade begins, as many as fit.
fn name_shades<DB: DrawingBackend>(
    area: &Area<DB>,
    chart: &Chart<'_, DB>,
    panel: &Panel,
) -> Drawn<DB> {
    let left = area.get_pixel_range().0.start;
    let place = |x: f64| chart.backend_coord(&(x, panel.y.to)).0 - left;
    let (right, mut taken) = (place(panel.x.to), 0);
    for (number, (from, to, text)) in panel.shade_names.iter().enumerate() {
        let (x, end) = (place(*from), place(*to));
        // The next name has a right to its own place, unless it begins all but here.
        let next = panel.shade_names.get(number + 1).map(|(from, ..)| place(*from) - 16);
        let next = next.filter(|next| *next > x + SHADE_NAME_WIDTH / 2).unwrap_or(right);
        let room = (end - x).max(SHADE_NAME_WIDTH).min(next - x).min(right - x);
        if x < taken || room < SHADE_NAME_WIDTH / 2 {
            continue;
        }
        let (text, width) = fitted(area, text, room)?;
        write(area, &text, (x, PANEL_TITLE_HEIGHT), SMALL_SIZE)?;
        taken = x + width + 16;
    }
    Ok(())
}

/// A small text, shortened so that it is at most so wide, and its width.
pub(super) fn fitted<DB: DrawingBackend>(
    area: &Area<DB>,
    text: &str,
    room: i32,
) -> Result<(String, i32), DrawingAreaErrorKind<DB::ErrorType>> {
    let mut fitting = text.to_owned();
    for letters in (1..=text.chars().count()).rev() {
        fitting = human::shortened(text, letters);
        let (width, _) = area.estimate_text_size(&fitting, &font(SMALL_SIZE))?;
        if width as i32 <= room {
            return Ok((fitting, width as i32));
        }
    }
    Ok((fitting, room))
}

/// Says in words what an empty chart means.
fn draw_note<DB: DrawingBackend>(chart: &Chart<'_, DB>, panel: &Panel) -> Drawn<DB> {
    let Some(note) = &panel.note else { return Ok(()) };
    let middle = ((panel.x.from + panel.x.to) / 2.0, (panel.y.from + panel.y.to) / 2.0);
    let centred = Pos::new(HPos::Center, VPos::Center);
    let style = font(PANEL_TITLE_SIZE).pos(centred);
    chart.plotting_area().draw(&Text::new(note.clone(), middle, style))
}

/// An entry of a legend and where it stands.
struct LaidOut<'a> {
    entry: &'a LegendEntry,
    text: String,
    x: i32,
    /// Where its text begins, behind its sample.
    text_x: i32,
    row: i32,
}

/// Puts the entries into as few rows as hold them; a remark stands right behind its entry.
fn lay_out_legend<'a, DB: DrawingBackend>(
    area: &Area<DB>,
    entries: &'a [LegendEntry],
    room: i32,
) -> Result<Vec<LaidOut<'a>>, DrawingAreaErrorKind<DB::ErrorType>> {
    let (mut x, mut row) = (Y_LABELS as i32, 0);
    let mut laid = Vec::new();
    for entry in entries {
        let mark = match entry.mark {
            Mark::Blank => 0,
            Mark::PanelLine(_) | Mark::Box(..) => LEGEND_MARK + LEGEND_TEXT_GAP,
        };
        let (text, width) = fitted(area, &entry.text, room - Y_LABELS as i32 - mark)?;
        if x + mark + width > room && x > Y_LABELS as i32 {
            (x, row) = (Y_LABELS as i32, row + 1);
        }
        laid.push(LaidOut { entry, text, x, text_x: x + mark, row });
        x += mark + width + LEGEND_GAP;
    }
    Ok(laid)
}

fn draw_legend<DB: DrawingBackend>(area: &Area<DB>, legend: &[LaidOut<'_>]) -> Drawn<DB> {
    for LaidOut { entry, text, x, text_x, row } in legend {
        let y = LEGEND_LINE * row + LEGEND_LINE / 2;
        let mark = area.clone().shrink((*x, y - 13), (LEGEND_MARK, 26));
        match entry.mark {
            Mark::PanelLine(stroke) => draw_sample(&mark, stroke, 13)?,
            Mark::Box(color, opacity) => {
                let corners = [(0, 2), (LEGEND_MARK, 24)];
                mark.draw(&Rectangle::new(corners, color.mix(opacity).filled()))?;
            }
            Mark::Blank => {}
        }
        write(area, text, (*text_x, y - 11), SMALL_SIZE)?;
    }
    Ok(())
}

pub(super) fn draw_sample<DB: DrawingBackend>(
    area: &Area<DB>,
    stroke: PanelStroke,
    y: i32,
) -> Drawn<DB> {
    let line = [(0, y), (LEGEND_MARK, y)];
    let pieces = match pattern(stroke) {
        [] => vec![line.to_vec()],
        pattern => dashes(&line, pattern),
    };
    pieces.into_iter().try_for_each(|piece| area.draw(&PathElement::new(piece, shape(stroke))))
}

pub(super) fn write<DB: DrawingBackend>(
    area: &Area<DB>,
    text: &str,
    at: (i32, i32),
    size: f64,
) -> Drawn<DB> {
    area.draw(&Text::new(text.to_owned(), at, font(size)))
}

/// The embedded font at a size.
pub(super) fn font(size: f64) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font()).color(&INK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_colours_differ_in_grey_print() {
        let patterns = COLORS.map(|color| pattern(PanelStroke::solid(color)));
        for (number, pattern) in patterns.iter().enumerate() {
            assert!(!patterns[..number].contains(pattern), "{pattern:?} is there twice");
        }
        assert!(!patterns.contains(&pattern(PanelStroke::dashed(COLORS[0]))));
    }

    #[test]
    fn dashes_keep_their_lengths_around_corners() {
        let line = [(0, 0), (25, 0), (25, 40)];
        let got = dashes(&line, &[20, 10]);
        let expected = [vec![(0, 0), (20, 0)], vec![(25, 5), (25, 25)], vec![(25, 35), (25, 40)]];
        assert_eq!(got, expected);
    }
}
