//! The pictures of runs: how rumors spread, what the node lists got wrong meanwhile, what nodes
//! sent, and how all that grows with the number of nodes.
//!
//! One picture is laid out once, in a module of its own, and drawn twice, as PNG and as SVG. The
//! font is embedded, so that a picture looks the same on a machine without any; in an SVG text
//! stays text, which can be searched and set in the font of a paper.

mod axis;
mod beside;
mod both;
mod canvas;
mod delivery;
mod draw;
mod front;
mod heat;
mod labels;
mod multiples;
mod panel;
mod seeds;
mod single;
mod sizes;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::prelude::DrawingBackend;
use plotters::style::{FontStyle, register_font};
use thiserror::Error;

use crate::reading::shown;
use crate::report::beside::Beside;
use crate::report::both::View;
use crate::report::curves::{self, Levels};
use crate::report::sweep::Results;
use crate::report::tuning::Tuning;
use crate::results::summary::{FaultWindow, RunResult, SeriesRow};
use crate::results::theory::Theory;

/// The name of the embedded font; generic, so that a viewer of the SVG has one like it.
const FONT: &str = "sans-serif";
/// How much of a band's colour covers the white.
const BAND_OPACITY: f64 = 0.22;

/// How many pixels wide pictures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width(u32);

impl Width {
    /// What the layout is made for: shown at half of that on an ordinary screen.
    pub const NORMAL: Self = Self(1_800);
    const MIN: u32 = 300;
    const MAX: u32 = 5_400;

    /// The number.
    pub fn pixels(self) -> u32 {
        self.0
    }
}

impl FromStr for Width {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pixels = text.parse().ok().filter(|pixels| (Self::MIN..=Self::MAX).contains(pixels));
        let why = || format!("write a number of pixels from {} to {}", Self::MIN, Self::MAX);
        pixels.map(Self).ok_or_else(why)
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A picture that could not be drawn or written.
#[derive(Debug, Error)]
#[error("cannot write {path}: {reason}; choose another folder with --out")]
pub struct PlotError {
    /// The file.
    pub path: String,
    /// What the drawing library or the disk said.
    pub reason: String,
}

/// What the picture over seeds needs of all runs of one scenario.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// The scenario's name.
    pub scenario: String,
    /// Nodes at the start.
    pub nodes: u32,
    /// How long each run is, in virtual milliseconds.
    pub end_ms: f64,
    /// The runs, in the order of their seeds; at least one.
    pub views: Vec<SeedView>,
    /// The place of the worst run in `views`.
    pub worst: usize,
    /// When faults were at work in the worst run.
    pub fault_windows: Vec<FaultWindow>,
    /// What theory says, where it is to be drawn beside.
    pub theory: Option<Theory>,
}

/// What the picture over seeds needs of one run, small enough to keep for thousands.
#[derive(Clone, Debug)]
pub struct SeedView {
    /// The seed.
    pub seed: String,
    /// How the median rumor of each kind spread.
    pub levels: BTreeMap<String, Levels>,
    /// The time series.
    pub series: Vec<SeriesRow>,
}

impl Seeds {
    fn worst_view(&self) -> &SeedView {
        &self.views[self.worst]
    }
}

impl SeedView {
    /// Takes from a run what is needed.
    pub fn new(run: &RunResult) -> Self {
        Self {
            seed: run.summary.seed.clone(),
            levels: curves::median_levels(&curves::of_run(run)),
            series: run.series.clone(),
        }
    }
}

/// What several cluster sizes showed in otherwise equal surroundings.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// The kind of rumor that was followed.
    pub kind: String,
    /// How many nodes one tells.
    pub fan_out: u32,
    /// The mean delay of a link.
    pub hop_ms: f64,
    /// In rising order of nodes.
    pub sizes: Vec<Size>,
}

/// One cluster size; each list has a value a seed, `None` where it never came to that.
#[derive(Clone, Debug)]
pub struct Size {
    /// How many nodes.
    pub nodes: u32,
    /// When the median rumor had reached half of the nodes.
    pub t50_ms: Vec<Option<f64>>,
    /// When it had reached 99 % of them.
    pub t99_ms: Vec<Option<f64>>,
    /// When all node lists were right after the start.
    pub start_ms: Vec<Option<f64>>,
    /// When the textbook's push, with a round for every hop, would have reached 99 % of them.
    pub push_ms: Option<f64>,
}

/// Writes `spread` and `delivery` of one run into a folder, each as PNG and SVG.
///
/// # Errors
/// When a file can't be written.
pub fn write_run(folder: &Path, run: &RunResult, width: Width) -> Result<(), PlotError> {
    write_both(folder, "spread", &single::figure(run), width)?;
    write_delivery(folder, run, width)
}

/// Writes `delivery.png` and `delivery.svg` of a run into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_delivery(folder: &Path, run: &RunResult, width: Width) -> Result<(), PlotError> {
    write_both(folder, "delivery", &delivery::figure(run), width)
}

/// Writes `sizes.png` and `sizes.svg` into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_sizes(folder: &Path, sizes: &Sizes, width: Width) -> Result<(), PlotError> {
    write_both(folder, "sizes", &sizes::figure(sizes), width)
}

/// Writes `both.png` and `both.svg` into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_both_nets(folder: &Path, view: &View, width: Width) -> Result<(), PlotError> {
    write_both(folder, "both", &both::figure(view), width)
}

/// Writes `spread.png` and `spread.svg` over all seeds into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_seeds(folder: &Path, seeds: &Seeds, width: Width) -> Result<(), PlotError> {
    write_both(folder, "spread", &seeds::figure(seeds), width)
}

/// Writes `beside.png` and `beside.svg` into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_beside(folder: &Path, beside: &Beside, width: Width) -> Result<(), PlotError> {
    write_both(folder, "beside", &beside::figure(beside), width)
}

/// Writes the pictures of a sweep into a folder: a heat map for each measure that is shown, where
/// two or more settings are varied, and small multiples of all of them.
///
/// # Errors
/// When a file can't be written.
pub fn write_sweep(folder: &Path, results: &Results, width: Width) -> Result<(), PlotError> {
    if results.plan.axes.len() > 1 {
        for measure in &results.shown {
            let heat = heat::heat(results, measure);
            write_both(folder, &format!("heat-{}", measure.name), &heat, width)?;
        }
    }
    match results.shown.is_empty() {
        true => Ok(()),
        false => write_both(folder, "multiples", &multiples::multiples(results), width),
    }
}

/// Writes `front.png` and `front.svg` into a folder: which settings are quick, and at what cost.
///
/// # Errors
/// When a file can't be written.
pub fn write_front(folder: &Path, tuning: &Tuning, width: Width) -> Result<(), PlotError> {
    write_both(folder, "front", &front::front(tuning), width)
}

type Area<DB> = DrawingArea<DB, Shift>;
type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// A picture that is laid out and can be drawn on any backend.
trait Picture {
    /// Width and height in pixels of a dense screen; half of that is what a reader sees.
    fn size(&self) -> (u32, u32);

    /// Draws the whole of it.
    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB>;
}

/// Draws a picture in memory, then writes it: what can fail then is the disk alone.
fn write_both(
    folder: &Path,
    name: &str,
    picture: &impl Picture,
    width: Width,
) -> Result<(), PlotError> {
    register_fonts();
    let path = folder.join(format!("{name}.png"));
    fs::write(&path, png(picture, width).map_err(|why| failed(&path, why))?)
        .map_err(|error| failed(&path, error))?;
    let path = folder.join(format!("{name}.svg"));
    fs::write(&path, svg(picture, width).map_err(|why| failed(&path, why))?)
        .map_err(|error| failed(&path, error))
}

fn png(picture: &impl Picture, width: Width) -> Result<Vec<u8>, String> {
    let size = canvas::scaled(picture.size(), width);
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    let area = canvas::Canvas::new(&mut pixels, picture.size(), width).into_drawing_area();
    picture.draw(&area).map_err(|error| error.to_string())?;
    drop(area);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Default);
    // Most lines of pixels are as the one above.
    encoder.set_filter(png::FilterType::Up);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.map(|()| file).map_err(|error| error.to_string())
}

/// As it is laid out, for a viewer to scale; the width is what it is shown at.
fn svg(picture: &impl Picture, width: Width) -> Result<String, String> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, picture.size()).into_drawing_area();
    picture.draw(&area).map_err(|error| error.to_string())?;
    drop(area);
    let size = |(width, height): (u32, u32)| format!("<svg width=\"{width}\" height=\"{height}\"");
    Ok(text.replacen(&size(picture.size()), &size(canvas::scaled(picture.size(), width)), 1))
}

fn failed(path: &Path, why: impl fmt::Display) -> PlotError {
    PlotError { path: shown(path).to_string(), reason: why.to_string() }
}

/// Makes the embedded font known to plotters, once in the life of the process.
fn register_fonts() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let registered = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
        assert!(registered.is_ok(), "the embedded font is a font");
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    /// The runs of the first `count` seeds with so many rumors each.
    pub(super) fn seeds(count: u64, rumors: u32) -> Seeds {
        let runs: Vec<RunResult> =
            (1..=count).map(|seed| fixture::partition(50, rumors, seed)).collect();
        Seeds {
            scenario: "partition".to_owned(),
            nodes: 50,
            end_ms: 60_000.0,
            views: runs.iter().map(SeedView::new).collect(),
            worst: 4,
            fault_windows: runs[4].fault_windows.clone(),
            theory: None,
        }
    }

    #[test]
    fn pictures_are_the_same_bytes_each_time() {
        let run = fixture::partition(50, 3, 7);
        let written = [(); 2].map(|()| {
            let folder = tempfile::tempdir().unwrap();
            write_run(folder.path(), &run, Width::NORMAL).unwrap();
            let read = |name| std::fs::read(folder.path().join(name)).unwrap();
            (read("spread.png"), read("spread.svg"))
        });
        assert!(written[0] == written[1]);
        assert!(written[0].0.starts_with(b"\x89PNG"));
        assert!(written[0].1.starts_with(b"<svg"));
    }

    #[test]
    fn odd_runs_are_drawn_as_well() {
        let folder = tempfile::tempdir().unwrap();
        write_run(folder.path(), &fixture::partition(1, 1, 1), Width::NORMAL).unwrap();
        let mut run = fixture::partition(1000, 9, 1);
        run.series.truncate(1);
        run.summary.virtual_ms = 0.0;
        write_run(folder.path(), &run, Width::NORMAL).unwrap();
        write_seeds(folder.path(), &seeds(5, 0), Width::NORMAL).unwrap();
    }

    #[test]
    fn a_picture_that_cannot_be_written_names_its_file() {
        let run = fixture::partition(2, 1, 1);
        let error = write_run(Path::new("/nonexistent"), &run, Width::NORMAL).unwrap_err();
        assert!(error.to_string().starts_with("cannot write /nonexistent/spread.png: "), "{error}");
    }

    #[test]
    fn in_an_svg_text_is_text() {
        let run = fixture::partition(50, 3, 7);
        register_fonts();
        let svg = svg(&single::figure(&run), Width::NORMAL).unwrap();
        let texts: Vec<&str> = svg
            .split("<text ")
            .skip(1)
            .filter_map(|text| Some(text.split_once('>')?.1.split_once("</text>")?.0.trim()))
            .collect();
        for told in ["partition 0..25 | 25..50", "wrong pairs, log scale", "100 %"] {
            assert!(texts.iter().any(|text| text.contains(told)), "no {told} in {texts:?}");
        }
        assert!(svg.contains("font-family=\"sans-serif\""));
        // Letters that were drawn would be pixels, or pieces of paths, by the thousand.
        assert!(!svg.contains("<image") && svg.matches("width=\"1\" height=\"1\"").count() == 0);
    }

    #[test]
    fn a_picture_is_as_wide_as_asked_for_in_both_forms() {
        let figure = single::figure(&fixture::partition(50, 3, 7));
        register_fonts();
        for pixels in [300_u32, 1_800, 2_700] {
            let width: Width = pixels.to_string().parse().unwrap();
            let png = png(&figure, width).unwrap();
            let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
            assert_eq!(
                (side(16), side(20)),
                (pixels, (f64::from(pixels) * 13.0 / 18.0).round() as u32)
            );
            let svg = svg(&figure, width).unwrap();
            let head = format!(
                "<svg width=\"{pixels}\" height=\"{}\" viewBox=\"0 0 1800 1300\"",
                side(20)
            );
            assert!(svg.starts_with(&head), "{}", &svg[..90]);
        }
    }

    #[test]
    fn a_width_that_is_none_is_told_the_range() {
        for text in ["", "299", "5401", "-1", "1e3", "wide"] {
            let told = text.parse::<Width>().unwrap_err();
            assert_eq!(told, "write a number of pixels from 300 to 5400", "{text}");
        }
    }
}
