//! The pictures of runs: how rumors spread, what the node lists got wrong meanwhile, what nodes
//! sent, and how all that grows with the number of nodes.
//!
//! One picture is laid out once, in a module of its own, and drawn twice, as PNG and as SVG. The
//! font is embedded, so that a picture looks the same on a machine without any.

mod axis;
mod beside;
mod both;
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
use std::path::Path;
use std::sync::OnceLock;

use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::prelude::DrawingBackend;
use plotters::style::{FontStyle, register_font};
use thiserror::Error;

use crate::reading::shown;
use crate::report::beside::Beside;
use crate::report::both::View;
use crate::report::curves::{self, Levels, Theory};
use crate::report::summary::{FaultWindow, RunResult, SeriesRow};
use crate::report::sweep::Results;
use crate::report::tuning::Tuning;

/// The name of the embedded font; generic, so that a viewer of the SVG has one like it.
const FONT: &str = "sans-serif";
/// How much of a band's colour covers the white.
const BAND_OPACITY: f64 = 0.22;

/// A picture that could not be drawn or written.
#[derive(Debug, Error)]
#[error("cannot write {path}: {reason}")]
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
pub fn write_run(folder: &Path, run: &RunResult) -> Result<(), PlotError> {
    write_both(folder, "spread", &single::figure(run))?;
    write_delivery(folder, run)
}

/// Writes `delivery.png` and `delivery.svg` of a run into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_delivery(folder: &Path, run: &RunResult) -> Result<(), PlotError> {
    write_both(folder, "delivery", &delivery::figure(run))
}

/// Writes `sizes.png` and `sizes.svg` into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_sizes(folder: &Path, sizes: &Sizes) -> Result<(), PlotError> {
    write_both(folder, "sizes", &sizes::figure(sizes))
}

/// Writes `both.png` and `both.svg` into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_both_nets(folder: &Path, view: &View) -> Result<(), PlotError> {
    write_both(folder, "both", &both::figure(view))
}

/// Writes `spread.png` and `spread.svg` over all seeds into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_seeds(folder: &Path, seeds: &Seeds) -> Result<(), PlotError> {
    write_both(folder, "spread", &seeds::figure(seeds))
}

/// Writes `beside.png` and `beside.svg` into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_beside(folder: &Path, beside: &Beside) -> Result<(), PlotError> {
    write_both(folder, "beside", &beside::figure(beside))
}

/// Writes the pictures of a sweep into a folder: a heat map for each measure that is shown, where
/// two or more settings are varied, and small multiples of all of them.
///
/// # Errors
/// When a file can't be written.
pub fn write_sweep(folder: &Path, results: &Results) -> Result<(), PlotError> {
    if results.plan.axes.len() > 1 {
        for measure in &results.shown {
            let heat = heat::heat(results, measure);
            write_both(folder, &format!("heat-{}", measure.name), &heat)?;
        }
    }
    match results.shown.is_empty() {
        true => Ok(()),
        false => write_both(folder, "multiples", &multiples::multiples(results)),
    }
}

/// Writes `front.png` and `front.svg` into a folder: which settings are quick, and at what cost.
///
/// # Errors
/// When a file can't be written.
pub fn write_front(folder: &Path, tuning: &Tuning) -> Result<(), PlotError> {
    write_both(folder, "front", &front::front(tuning))
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

fn write_both(folder: &Path, name: &str, picture: &impl Picture) -> Result<(), PlotError> {
    register_fonts();
    let png = folder.join(format!("{name}.png"));
    let area = BitMapBackend::new(&png, picture.size()).into_drawing_area();
    picture.draw(&area).map_err(|error| failed(&png, &error))?;
    let svg = folder.join(format!("{name}.svg"));
    let area = SVGBackend::new(&svg, picture.size()).into_drawing_area();
    picture.draw(&area).map_err(|error| failed(&svg, &error))
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> PlotError {
    PlotError { path: shown(path).to_string(), reason: error.to_string() }
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
    use crate::report::fixture;

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
            write_run(folder.path(), &run).unwrap();
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
        write_run(folder.path(), &fixture::partition(1, 1, 1)).unwrap();
        let mut run = fixture::partition(1000, 9, 1);
        run.series.truncate(1);
        run.summary.virtual_ms = 0.0;
        write_run(folder.path(), &run).unwrap();
        write_seeds(folder.path(), &seeds(5, 0)).unwrap();
    }

    #[test]
    fn a_picture_that_cannot_be_written_names_its_file() {
        let run = fixture::partition(2, 1, 1);
        let error = write_run(Path::new("/nonexistent"), &run).unwrap_err();
        assert!(error.to_string().starts_with("cannot write /nonexistent/spread.png: "), "{error}");
    }
}
