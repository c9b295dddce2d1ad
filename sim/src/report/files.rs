//! The files of a run, and of whatever else `sim` shows.
//!
//! Who writes a folder of results writes it aside and moves it to its place at once: see [`Stage`].

mod stage;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
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

pub use self::stage::{Stage, discard_unpublished};

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
    #[error("cannot write {path}: {source}; choose another folder with --out")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
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
    write(&folder.join("summary.json"), &json::document(&run.summary))?;
    write(&folder.join("timing.json"), &json::document(timing))?;
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
    write(&folder.join(REPORT), &html::document(page))
}

/// Begins the trace of a run in its folder.
///
/// # Errors
/// When the file can't be made.
pub fn tape(folder: &Path, filter: &Filter) -> Result<Tape, FileError> {
    let path = folder.join(TRACE);
    let file = File::create(&path).map_err(|source| FileError::Write { path, source })?;
    Ok(Tape::new(Box::new(BufWriter::new(file)), filter.clone()))
}

/// Ends the trace of a run.
///
/// # Errors
/// When any part of it could not be written.
pub fn end_tape(folder: &Path, tape: Tape) -> Result<(), FileError> {
    let path = folder.join(TRACE);
    tape.finish().map_err(|source| FileError::Write { path, source })
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
    let path = folder.join("sweep.csv");
    fs::write(&path, sweep::csv(results)).map_err(|source| FileError::Write { path, source })?;
    write(&folder.join("sweep.json"), &json::document(&sweep::document(results)))?;
    if let Some(width) = pictures.width() {
        plots::write_sweep(folder, results, width)?;
        write(&folder.join(REPORT), &html::sweep::document(results))?;
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
    write(&folder.join("tune.json"), &json::document(&tuning::document(tuning)))?;
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
    write(&folder.join("aggregate.json"), &json::document(aggregate))?;
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
    write(&folder.join(BESIDE).with_extension("json"), &json::document(&beside.document()))?;
    if let Some(width) = pictures.width() {
        plots::write_beside(&folder, beside, width)?;
    }
    Ok(())
}

/// Writes a file so that it is there whole or not at all, even if the machine stops meanwhile.
///
/// # Errors
/// When it can't be written; nothing is left of it then.
pub fn write_whole(path: &Path, text: &str) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let name = format!(".{}.{}.tmp", name_of(path).to_string_lossy(), std::process::id());
    let aside = path.with_file_name(name);
    let written = create_locked(&aside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    });
    written.map_err(|error| {
        let _ = fs::remove_file(&aside);
        failed(error)
    })
}

/// A file or folder whose lock nobody held, and which is ours now.
fn locked(path: &Path) -> Option<File> {
    File::open(path).ok().filter(|file| file.try_lock().is_ok())
}

/// Makes a file that nobody takes for one that was left as long as it is held.
fn create_locked(path: &Path) -> io::Result<File> {
    loop {
        let file = File::create(path)?;
        // Some disks have no locks: then nobody sweeps either.
        let _ = file.lock();
        if path.exists() {
            return Ok(file);
        }
    }
}

/// Removes what killed processes left half-written in a folder of ours. What can't be removed
/// stays hidden, and nobody takes it for a result.
pub fn clear_unfinished(folder: &Path) {
    for path in entries(folder).unwrap_or_default() {
        let name = name_of(&path).to_string_lossy().into_owned();
        if name.starts_with('.')
            && name.ends_with(".tmp")
            && path.is_file()
            && let Some(_lock) = locked(&path)
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes a folder and those above it.
///
/// # Errors
/// When it can't be made.
pub fn make_all(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder)
        .map_err(|source| FileError::Write { path: folder.to_owned(), source })
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
    write(&folder.join("both.json"), &json::document(both))?;
    if let Some((view, width)) = picture {
        plots::write_both_nets(folder, view, width)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), FileError> {
    fs::write(path, text).map_err(|source| FileError::Write { path: path.to_owned(), source })
}

fn write_table(
    path: &Path,
    table: impl FnOnce(&mut BufWriter<File>) -> Result<(), ::csv::Error>,
) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    table(&mut file).map_err(|source| FileError::Table { path: path.to_owned(), source })?;
    file.flush().map_err(failed)
}

/// Makes a folder unless it exists, but none above it: those are there unless all was discarded.
fn make(folder: &Path) -> Result<(), FileError> {
    match fs::create_dir(folder) {
        Err(source) if !folder.is_dir() => {
            Err(FileError::Write { path: folder.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// What a folder holds, in order of the names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |source| FileError::Write { path: folder.to_owned(), source };
    let found = fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = found.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> &Path {
    Path::new(path.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_file_is_swept_unless_somebody_is_writing_it() {
        let folder = tempfile::tempdir().unwrap();
        let [left, own] = [".a.json.1.tmp", ".b.json.2.tmp"].map(|name| folder.path().join(name));
        fs::write(&left, "").unwrap();
        let held = create_locked(&own).unwrap();
        clear_unfinished(folder.path());
        assert_eq!(entries(folder.path()).unwrap(), [own.as_path()]);
        drop(held);
        clear_unfinished(folder.path());
        assert!(entries(folder.path()).unwrap().is_empty());
    }
}
