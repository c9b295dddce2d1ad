//! The files of a run, and of whatever else `sim` shows.
//!
//! Who writes a folder of results writes it aside and moves it to its place at once: see
//! [`StagedFiles`].

mod stage;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::report::beside::Beside;
use crate::report::both::{Both, View};
use crate::report::plots::{self, PlotError, Width};
use crate::report::{csv, html, sweep, tuning};
use crate::results::json;
use crate::results::summary::RunResult;
use crate::results::timing::Timing;
use crate::scenario::Scenario;
use crate::world::{Filter, Tape};
use crate::writing::{WriteError, make, write};

pub use self::stage::{StagedFiles, discard_unpublished};

/// The file of the page that shows a run.
const REPORT: &str = "report.html";

/// The folder of what protocols showed side by side, within that of their scenario, and the name
/// of the files in it.
pub const BESIDE: &str = "beside";

/// The file of everything that happened in a run.
pub const TRACE: &str = "trace.jsonl";

/// A file or folder that could not be written.
#[derive(Debug, Error)]
pub enum FileError {
    /// The disk, or the rights to it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A table failed for another reason than the disk.
    #[error("cannot write {path}: {source}; choose another folder with --out")]
    Table {
        /// The file.
        path: PathBuf,
        /// What the CSV writer said.
        source: ::csv::Error,
    },
    /// A picture.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// Whether runs get pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    /// They do, so wide.
    Draw(Width),
    /// They don't.
    Skip,
}

impl Pictures {
    /// How wide they are, where there are any.
    pub fn width(self) -> Option<Width> {
        match self {
            Self::Draw(width) => Some(width),
            Self::Skip => None,
        }
    }
}

/// The name of the folder of all runs of a scenario: one of its own when `--set` changed it.
pub fn folder_name(scenario: &Scenario) -> String {
    if !scenario.overridden() {
        return scenario.name().to_owned();
    }
    let digest = Sha256::digest(scenario.resolved().as_bytes());
    let hex: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}+{hex}", scenario.name())
}

/// Writes the files of one run into its folder.
///
/// # Errors
/// When one can't be written.
pub fn write_run(
    folder: &Path,
    resolved: &str,
    run: &RunResult,
    timing: &Timing,
    pictures: Pictures,
) -> Result<(), FileError> {
    write(&folder.join("scenario.toml"), resolved)?;
    write(&folder.join("summary.json"), json::document(&run.summary))?;
    write(&folder.join("timing.json"), json::document(timing))?;
    write_table(&folder.join("series.csv"), |to| csv::write_series(to, &run.series))?;
    write_table(&folder.join("rumors.csv"), |to| csv::write_rumors(to, run))?;
    if let Some(width) = pictures.width() {
        plots::write_run(folder, run, width)?;
    }
    Ok(())
}

/// Writes the page that shows a run into its folder; over seeds, that of the worst, with the
/// picture of what its nodes sent.
///
/// # Errors
/// When it can't be written.
pub fn write_report(folder: &Path, page: &html::Page<'_>, width: Width) -> Result<(), FileError> {
    if page.seeds.is_some() {
        plots::write_delivery(folder, page.run, width)?;
    }
    Ok(write(&folder.join(REPORT), html::document(page))?)
}

/// Begins the trace of a run in its folder.
///
/// # Errors
/// When the file can't be made.
pub fn tape(folder: &Path, filter: &Filter) -> Result<Tape, FileError> {
    let path = folder.join(TRACE);
    let file = File::create(&path).map_err(|source| WriteError::new(&path, source))?;
    Ok(Tape::new(Box::new(BufWriter::new(file)), filter.clone()))
}

/// Ends the trace of a run.
///
/// # Errors
/// When any part of it could not be written.
pub fn end_tape(folder: &Path, tape: Tape) -> Result<(), FileError> {
    let path = folder.join(TRACE);
    Ok(tape.finish().map_err(|source| WriteError::new(&path, source))?)
}

/// Writes what a sweep showed into a folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_sweep(
    folder: &Path,
    results: &sweep::Results,
    pictures: Pictures,
) -> Result<(), FileError> {
    write(&folder.join("sweep.csv"), sweep::csv(results))?;
    write(&folder.join("sweep.json"), json::document(&sweep::document(results)))?;
    if let Some(width) = pictures.width() {
        plots::write_sweep(folder, results, width)?;
        write(&folder.join(REPORT), html::sweep::document(results))?;
    }
    Ok(())
}

/// Writes what a tuning came to into a folder; with the scenario that it recommends, if any.
///
/// # Errors
/// When a file can't be written.
pub fn write_tuning(
    folder: &Path,
    tuning: &tuning::Tuning,
    recommended: Option<&str>,
    pictures: Pictures,
) -> Result<(), FileError> {
    write(&folder.join("tune.json"), json::document(&tuning::document(tuning)))?;
    if let Some(text) = recommended {
        write(&folder.join("recommended.toml"), text)?;
    }
    if let Some(width) = pictures.width() {
        plots::write_front(folder, tuning, width)?;
    }
    Ok(())
}

/// Writes what the seeds of a scenario show together into its folder.
///
/// # Errors
/// When a file can't be written.
pub fn write_seeds(
    folder: &Path,
    aggregate: &serde_json::Value,
    picture: Option<(&plots::Seeds, Width)>,
) -> Result<(), FileError> {
    write(&folder.join("aggregate.json"), json::document(aggregate))?;
    if let Some((seeds, width)) = picture {
        plots::write_seeds(folder, seeds, width)?;
    }
    Ok(())
}

/// Writes what protocols showed side by side into a folder of its own below that of the scenario.
///
/// # Errors
/// When a file can't be written.
pub fn write_beside(folder: &Path, beside: &Beside, pictures: Pictures) -> Result<(), FileError> {
    let folder = folder.join(BESIDE);
    make(&folder)?;
    write(&folder.join(BESIDE).with_extension("json"), json::document(&beside.document()))?;
    if let Some(width) = pictures.width() {
        plots::write_beside(&folder, beside, width)?;
    }
    Ok(())
}

/// Writes what real runs of a scenario show beside virtual ones into the folder of the real ones.
///
/// # Errors
/// When a file can't be written.
pub fn write_both(
    folder: &Path,
    both: &Both,
    picture: Option<(&View, Width)>,
) -> Result<(), FileError> {
    write(&folder.join("both.json"), json::document(both))?;
    if let Some((view, width)) = picture {
        plots::write_both_nets(folder, view, width)?;
    }
    Ok(())
}

fn write_table(
    path: &Path,
    table: impl FnOnce(&mut BufWriter<File>) -> Result<(), ::csv::Error>,
) -> Result<(), FileError> {
    let failed = |source| WriteError::new(path, source);
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    table(&mut file).map_err(|source| FileError::Table { path: path.to_owned(), source })?;
    Ok(file.flush().map_err(failed)?)
}
