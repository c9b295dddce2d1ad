//! The heat map of a sweep: a measure for each pair of settings, bright where it is good.
//!
//! The first axis of the sweep goes across and the second down; each combination of the values of
//! further axes has a map of its own, all with the same colours.

use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{DrawingBackend, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, WHITE};

use super::draw::{
    INK, LABEL_SIZE, MARGIN, PANEL_TITLE_SIZE, SMALL_SIZE, TITLE_HEIGHT, TITLE_SIZE, fitted, font,
    write,
};
use super::{Area, Drawn, Picture};
use crate::measures::{Better, Measure};
use crate::report::leaders::Leaders;
use crate::report::sweep::{Results, figure};
use crate::sweep::Axis;

const WIDTH: i32 = 1800;
/// Room for the names of values to the left of a map, and for the bar of colours at the right.
const LEFT: i32 = 150;
const BAR: i32 = 210;
/// Above a map: its title; below it: the values across and their name.
const HEAD: i32 = 56;
const FOOT: i32 = 92;
const GAP: i32 = 40;
const SUBTITLE: i32 = 76;
/// Maps beside each other, and in all; a picture of more could not be read.
const COLUMNS_MAX: usize = 3;
const MAPS_MAX: usize = 12;
/// A cell below this width has no text.
const TEXT_WIDTH_MIN: i32 = 62;
/// From this ratio on the colours go by decades.
const LOG_RATIO: f64 = 10.0;

const NEVER: RGBColor = RGBColor(222, 222, 222);
const NEVER_LINE: RGBColor = RGBColor(168, 168, 168);
/// From bad to good: dark to bright, so that it holds in grey and for any colour vision.
const RAMP: [RGBColor; 6] = [
    RGBColor(52, 24, 86),
    RGBColor(57, 73, 140),
    RGBColor(38, 121, 142),
    RGBColor(48, 168, 120),
    RGBColor(150, 208, 82),
    RGBColor(250, 230, 90),
];

/// A heat map, laid out.
pub(super) struct Heat {
    title: String,
    subtitle: String,
    x: Axis,
    y: Axis,
    maps: Vec<Map>,
    /// Ticks of the bar of colours: goodness and text.
    ticks: Vec<(f64, String)>,
    has_never: bool,
    /// What the frames mean.
    framed: Option<String>,
}

/// One of the maps: rows of cells from the top.
struct Map {
    title: String,
    rows: Vec<Vec<Tile>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Tile {
    /// From 0 for the worst to 1 for the best; none where most seeds never got there.
    goodness: Option<f64>,
    text: String,
    /// How many seeds never got there.
    note: String,
    /// Whether chance can't tell it apart from the best.
    best: bool,
}

/// Lays out the heat map of a measure; the sweep has two axes at least.
pub(super) fn heat(results: &Results, measure: &Measure) -> Heat {
    let plan = &results.plan;
    let medians: Vec<Option<f64>> =
        results.cells.iter().map(|cell| cell.sample(measure).median()).collect();
    let scale = ColourScale::of(&medians, measure.better);
    let leaders = Leaders::of(results, measure);
    let tile = |cell: usize| {
        let sample = results.cells[cell].sample(measure);
        let never = sample.spread().censored;
        Tile {
            goodness: medians[cell].map(|median| scale.goodness(median)),
            text: medians[cell].map_or("never".to_owned(), |median| figure(measure, median)),
            note: if never > 0 && medians[cell].is_some() {
                format!("{never} never")
            } else {
                String::new()
            },
            best: leaders.contain(cell),
        }
    };
    let (x, y) = (plan.axes[0].clone(), plan.axes[1].clone());
    let beyond: usize = plan.axes[2..].iter().map(|axis| axis.values.len()).product();
    let map = |number: usize| {
        let at = |column: usize, row: usize| (column * y.values.len() + row) * beyond + number;
        let row = |row: usize| (0..x.values.len()).map(|column| tile(at(column, row))).collect();
        let values = plan.values(number);
        let names = plan.axes[2..].iter().zip(&values[2..]);
        let names: Vec<String> =
            names.map(|(axis, value)| format!("{} {value}", axis.short())).collect();
        Map { title: names.join(", "), rows: (0..y.values.len()).map(row).collect() }
    };
    let maps: Vec<Map> = (0..beyond.min(MAPS_MAX)).map(map).collect();
    Heat {
        title: format!("{}, median over seeds", measure.name),
        subtitle: subtitle(results, measure, beyond),
        framed: leaders.words(),
        ticks: scale.ticks(measure),
        has_never: medians.iter().any(Option::is_none),
        x,
        y,
        maps,
    }
}

fn subtitle(results: &Results, measure: &Measure, maps: usize) -> String {
    let mut text = results.title();
    text += match measure.better {
        Better::Lower => "; less is better, bright is better",
        Better::Higher => "; more is better, bright is better",
        Better::Neither => "; bright is less",
    };
    if maps > MAPS_MAX {
        text += &format!("; {} more maps are in report.html", maps - MAPS_MAX);
    }
    text
}

/// How medians become colours.
#[derive(Clone, Copy, Debug)]
struct ColourScale {
    low: f64,
    high: f64,
    by_decades: bool,
    better: Better,
}

impl ColourScale {
    fn of(medians: &[Option<f64>], better: Better) -> Self {
        let known = || medians.iter().flatten().copied();
        // Both are NaN without any value.
        let (low, high) = (known().fold(f64::NAN, f64::min), known().fold(f64::NAN, f64::max));
        Self { low, high, by_decades: low > 0.0 && high / low >= LOG_RATIO, better }
    }

    fn goodness(self, median: f64) -> f64 {
        let at = |value: f64| if self.by_decades { value.log10() } else { value };
        let (low, high) = (at(self.low), at(self.high));
        let share = if high > low { (at(median) - low) / (high - low) } else { 0.0 };
        if self.better == Better::Higher { share } else { 1.0 - share }
    }

    /// Five values from the worst to the best.
    fn ticks(self, measure: &Measure) -> Vec<(f64, String)> {
        // Without any value there is nothing that the colours could stand for.
        if self.high.is_nan() {
            return Vec::new();
        }
        if self.low == self.high {
            return vec![(self.goodness(self.low), figure(measure, self.low))];
        }
        let value = |quarter: i32| {
            let share = f64::from(quarter) / 4.0;
            match self.by_decades {
                true => self.low * (self.high / self.low).powf(share),
                false => self.low + (self.high - self.low) * share,
            }
        };
        let ticks = (0..=4).map(value);
        ticks.map(|value| (self.goodness(value), figure(measure, value))).collect()
    }
}

fn color(goodness: f64) -> RGBColor {
    let place = goodness.clamp(0.0, 1.0) * (RAMP.len() - 1) as f64;
    let below = (place.floor() as usize).min(RAMP.len() - 2);
    let share = place - below as f64;
    let (from, to) = (RAMP[below], RAMP[below + 1]);
    let mix =
        |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share) as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// Black or white, whichever can be read on a colour.
fn ink_on(RGBColor(red, green, blue): RGBColor) -> RGBColor {
    let light = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
    if light > 140.0 { RGBColor(20, 20, 20) } else { WHITE }
}

impl Heat {
    fn columns(&self) -> usize {
        self.maps.len().clamp(1, COLUMNS_MAX)
    }

    fn map_width(&self) -> i32 {
        let columns = self.columns() as i32;
        (WIDTH - 2 * MARGIN - BAR - (columns - 1) * GAP) / columns
    }

    fn tile_size(&self) -> (i32, i32) {
        let width = (self.map_width() - LEFT) / self.x.values.len() as i32;
        let most = 900 / self.y.values.len() as i32;
        (width.max(2), (width * 2 / 3).min(most).clamp(8, 150))
    }

    fn map_height(&self) -> i32 {
        HEAD + self.tile_size().1 * self.y.values.len() as i32 + FOOT
    }
}

impl Picture for Heat {
    fn size(&self) -> (u32, u32) {
        let lines = self.maps.len().div_ceil(self.columns()) as i32;
        let height = MARGIN + TITLE_HEIGHT + SUBTITLE + lines * (self.map_height() + GAP / 2);
        (WIDTH as u32, height.max(640) as u32)
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB> {
        area.fill(&WHITE)?;
        write(area, &self.title, (MARGIN, MARGIN), TITLE_SIZE)?;
        let (subtitle, _) = fitted(area, &self.subtitle, WIDTH - 2 * MARGIN)?;
        write(area, &subtitle, (MARGIN, MARGIN + 56), SMALL_SIZE)?;
        if let Some(framed) = &self.framed {
            write(area, framed, (MARGIN, MARGIN + 90), SMALL_SIZE)?;
        }
        let top = MARGIN + TITLE_HEIGHT + SUBTITLE;
        for (number, map) in self.maps.iter().enumerate() {
            let (line, column) = (number / self.columns(), number % self.columns());
            let x = MARGIN + column as i32 * (self.map_width() + GAP);
            let y = top + line as i32 * (self.map_height() + GAP / 2);
            self.draw_map(area, map, (x, y))?;
        }
        self.draw_bar(area, (WIDTH - MARGIN - BAR + 40, top + HEAD))?;
        area.present()
    }
}

impl Heat {
    fn draw_map<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        map: &Map,
        at: (i32, i32),
    ) -> Drawn<DB> {
        let (width, height) = self.tile_size();
        let (left, top) = (at.0 + LEFT, at.1 + HEAD);
        write(area, &map.title, (left, at.1), PANEL_TITLE_SIZE)?;
        write(area, self.y.short(), (at.0, top - 34), SMALL_SIZE)?;
        for (row, value) in self.y.values.iter().enumerate() {
            let middle = top + row as i32 * height + height / 2;
            if height >= 26 || row % 4 == 0 {
                let (value, _) = fitted(area, value, LEFT - 20)?;
                label(area, &value, (left - 14, middle), HPos::Right, LABEL_SIZE)?;
            }
        }
        for (row, tiles) in map.rows.iter().enumerate() {
            for (column, tile) in tiles.iter().enumerate() {
                let corner = (left + column as i32 * width, top + row as i32 * height);
                draw_tile(area, tile, corner, (width, height))?;
            }
        }
        for (row, tiles) in map.rows.iter().enumerate() {
            for (column, _) in tiles.iter().enumerate().filter(|(_, tile)| tile.best) {
                let corner = (left + column as i32 * width, top + row as i32 * height);
                outline(area, corner, (width, height))?;
            }
        }
        let bottom = top + self.y.values.len() as i32 * height;
        let step = (60 / width).max(0) as usize + 1;
        for (column, value) in self.x.values.iter().enumerate().step_by(step) {
            let middle = left + column as i32 * width + width / 2;
            let (value, _) = fitted(area, value, width * step as i32 - 6)?;
            label(area, &value, (middle, bottom + 24), HPos::Center, LABEL_SIZE)?;
        }
        let middle = left + width * self.x.values.len() as i32 / 2;
        label(area, self.x.short(), (middle, bottom + 62), HPos::Center, LABEL_SIZE)
    }

    fn draw_bar<DB: DrawingBackend>(&self, area: &Area<DB>, at: (i32, i32)) -> Drawn<DB> {
        let height = match self.ticks.is_empty() {
            true => 0,
            false => (self.map_height() - HEAD - FOOT).clamp(240, 460),
        };
        for step in 0..height {
            let goodness = 1.0 - f64::from(step) / f64::from(height - 1);
            let line = [(at.0, at.1 + step), (at.0 + 30, at.1 + step + 1)];
            area.draw(&Rectangle::new(line, color(goodness).filled()))?;
        }
        for (goodness, text) in &self.ticks {
            let y = at.1 + ((1.0 - goodness) * f64::from(height - 1)) as i32;
            area.draw(&PathElement::new([(at.0 + 30, y), (at.0 + 38, y)], INK.stroke_width(2)))?;
            label(area, text, (at.0 + 46, y), HPos::Left, SMALL_SIZE)?;
        }
        let mut y = at.1 + height + 30;
        if self.has_never {
            draw_never(area, (at.0, y), (30, 30))?;
            label(area, "never", (at.0 + 46, y + 15), HPos::Left, SMALL_SIZE)?;
            y += 44;
        }
        if self.maps.iter().flat_map(|map| map.rows.iter().flatten()).any(|tile| tile.best) {
            outline(area, (at.0, y), (30, 30))?;
            label(area, "framed", (at.0 + 46, y + 15), HPos::Left, SMALL_SIZE)?;
        }
        Ok(())
    }
}

fn draw_tile<DB: DrawingBackend>(
    area: &Area<DB>,
    tile: &Tile,
    at: (i32, i32),
    (width, height): (i32, i32),
) -> Drawn<DB> {
    // A thin white line between tiles, where they are large enough.
    let gap = if width > 12 && height > 12 { 2 } else { 0 };
    let ground = match tile.goodness {
        Some(goodness) => {
            let corners = [at, (at.0 + width - gap, at.1 + height - gap)];
            area.draw(&Rectangle::new(corners, color(goodness).filled()))?;
            color(goodness)
        }
        None => {
            draw_never(area, at, (width - gap, height - gap))?;
            NEVER
        }
    };
    if width < TEXT_WIDTH_MIN || height < 26 {
        return Ok(());
    }
    let size = text_size(area, &tile.text, width - 6)?;
    let (middle, noted) = (at.0 + width / 2, !tile.note.is_empty() && height >= 60);
    let y = at.1 + height / 2 - if noted { 12 } else { 0 };
    inked(area, &tile.text, (middle, y), size, ink_on(ground))?;
    match noted {
        true => inked(area, &tile.note, (middle, y + 28), 17.0, ink_on(ground)),
        false => Ok(()),
    }
}

/// The largest size at which a text fits, or the smallest that can be read.
fn text_size<DB: DrawingBackend>(
    area: &Area<DB>,
    text: &str,
    room: i32,
) -> Result<f64, DrawingAreaErrorKind<DB::ErrorType>> {
    for size in [25.0, 22.0, 19.0, 17.0] {
        let (width, _) = area.estimate_text_size(text, &font(size))?;
        if width as i32 <= room {
            return Ok(size);
        }
    }
    Ok(15.0)
}

/// Grey with lines across: no value, rather than a bad one.
fn draw_never<DB: DrawingBackend>(
    area: &Area<DB>,
    at: (i32, i32),
    (width, height): (i32, i32),
) -> Drawn<DB> {
    let corners = [at, (at.0 + width, at.1 + height)];
    area.draw(&Rectangle::new(corners, NEVER.filled()))?;
    for start in (10..width + height).step_by(18) {
        let from = (at.0 + start.min(width), at.1 + (start - width).max(0));
        let to = (at.0 + (start - height).max(0), at.1 + start.min(height));
        area.draw(&PathElement::new([from, to], NEVER_LINE.stroke_width(1)))?;
    }
    Ok(())
}

fn outline<DB: DrawingBackend>(
    area: &Area<DB>,
    at: (i32, i32),
    (width, height): (i32, i32),
) -> Drawn<DB> {
    let (left, top, right, bottom) = (at.0 + 2, at.1 + 2, at.0 + width - 4, at.1 + height - 4);
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    area.draw(&PathElement::new(corners, RGBColor(200, 30, 30).stroke_width(5)))
}

fn label<DB: DrawingBackend>(
    area: &Area<DB>,
    text: &str,
    at: (i32, i32),
    side: HPos,
    size: f64,
) -> Drawn<DB> {
    let style = font(size).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))
}

fn inked<DB: DrawingBackend>(
    area: &Area<DB>,
    text: &str,
    at: (i32, i32),
    size: f64,
    ink: RGBColor,
) -> Drawn<DB> {
    let style = font(size).pos(Pos::new(HPos::Center, VPos::Center)).color(&ink);
    area.draw(&Text::new(text.to_owned(), at, style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::find;
    use crate::report::sweep::tests::{noisy, results};

    #[test]
    fn the_first_axis_goes_across_and_the_second_down() {
        let results = results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s,3s,4s"], 5);
        let heat = heat(&results, find("metadata.t99").unwrap());
        assert_eq!((heat.maps.len(), heat.maps[0].rows.len()), (1, 4));
        let texts: Vec<&str> = heat.maps[0].rows[1].iter().map(|tile| tile.text.as_str()).collect();
        assert_eq!(texts, ["40.3 ms", "20.3 ms", "13.6 ms"]);
        assert_eq!(heat.maps[0].rows[3][0].goodness, None);
        assert!(heat.has_never);
    }

    #[test]
    fn cells_that_chance_cannot_tell_apart_from_the_best_are_framed_and_counted() {
        let results = noisy(&["engine.fan_out=1..=4", "engine.cycle=1s,2s"], 20);
        let heat = heat(&results, find("metadata.t99").unwrap());
        let framed = heat.maps[0].rows.iter().flatten().filter(|tile| tile.best).count();
        assert_eq!(framed, 4);
        let words = "framed: the best, and 3 that chance can't tell apart from it";
        assert_eq!(heat.framed.as_deref(), Some(words));
    }

    #[test]
    fn few_seeds_are_said_and_frame_nothing() {
        let results = results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s"], 4);
        let heat = heat(&results, find("metadata.t99").unwrap());
        assert!(heat.maps[0].rows.iter().flatten().all(|tile| !tile.best));
        assert!(heat.framed.unwrap().starts_with("too few seeds to say which is best"));
    }

    #[test]
    fn the_best_cell_is_the_brightest_and_the_only_one_marked() {
        let results = results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s"], 12);
        let heat = heat(&results, find("metadata.t99").unwrap());
        let tiles = || heat.maps[0].rows.iter().flatten();
        let best: Vec<&Tile> = tiles().filter(|tile| tile.best).collect();
        assert_eq!((best.len(), best[0].text.as_str()), (1, "7.27 ms"));
        assert_eq!(best[0].goodness, Some(1.0));
        assert_eq!(tiles().filter(|tile| tile.goodness == Some(0.0)).count(), 1);
    }

    #[test]
    fn further_axes_have_a_map_for_each_of_their_values() {
        let results = results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s", "nodes=5,6,7,8"], 2);
        let heat = heat(&results, find("per_node_per_second.bytes_p50").unwrap());
        let titles: Vec<&str> = heat.maps.iter().map(|map| map.title.as_str()).collect();
        assert_eq!(titles, ["nodes 5", "nodes 6", "nodes 7", "nodes 8"]);
        // What the fixture says depends on the place across alone.
        for map in &heat.maps {
            assert!(map.rows.iter().all(|row| row[1].text == "1.8 kB/s"));
        }
    }

    #[test]
    fn a_measure_that_nobody_reached_has_no_colours() {
        let results = results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s"], 2);
        let heat = heat(&results, find("detection.all").unwrap());
        assert!(heat.ticks.is_empty() && heat.has_never);
        let tiles = || heat.maps[0].rows.iter().flatten();
        assert!(tiles().all(|tile| tile.text == "never" && tile.goodness.is_none() && !tile.best));
    }

    #[test]
    fn colours_go_from_dark_to_bright() {
        assert_eq!((color(0.0), color(1.0)), (RAMP[0], RAMP[5]));
        assert_eq!(color(0.2), RAMP[1]);
        assert_eq!((ink_on(RAMP[0]), ink_on(RAMP[5])), (WHITE, RGBColor(20, 20, 20)));
    }
}
