//! The files of a run, written aside and moved to their place at once.
//!
//! A reader of the output folder never sees half of a run: everything is written into a hidden
//! folder first, and renamed when all of it is there. Whoever ends the process early calls
//! [`discard_unpublished`], after which no trace is left.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::report::beside::Beside;
use crate::report::both::{Both, View};
use crate::report::plots::{self, PlotError};
use crate::report::summary::RunResult;
use crate::report::timing::Timing;
use crate::report::{csv, html, json, sweep, tuning};
use crate::scenario::Scenario;
use crate::world::{Filter, Tape};

/// Folders that hold results on their way; held while some are being moved to their place.
static STAGES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The files that stand beside the folders of seeds.
const OVER_SEEDS: [&str; 9] = [
    "aggregate.json",
    "both.json",
    "both.png",
    "both.svg",
    "delivery.png",
    "delivery.svg",
    REPORT,
    "spread.png",
    "spread.svg",
];

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
    #[error("cannot write {path}: {source}")]
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
    /// They do.
    Draw,
    /// They don't.
    Skip,
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

/// Results on their way to an output folder; dropped unpublished, it leaves nothing behind.
#[derive(Debug)]
pub struct Stage {
    out: PathBuf,
    root: PathBuf,
    /// Whether the output folder is ours to remove when nothing comes of it.
    made_out: bool,
}

impl Stage {
    /// Makes the output folder where it doesn't exist, and a hidden one in it.
    ///
    /// # Errors
    /// When one of them can't be made.
    pub fn new(out: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::Write { path: out.to_owned(), source };
        let made_out = !out.exists();
        fs::create_dir_all(out).map_err(failed)?;
        let root = out.join(format!(".unfinished-{}.tmp", std::process::id()));
        // Left by a process that was killed and had the same number.
        let _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).map_err(failed)?;
        stages().insert(root.clone());
        Ok(Self { out: out.to_owned(), root, made_out })
    }

    /// Makes the folder of one run of a scenario, whose folder is called `name`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn run_folder(&self, name: &str, seed: u64) -> Result<PathBuf, FileError> {
        let folder = self.scenario_folder(name)?.join(format!("seed-{seed}"));
        make(&folder)?;
        Ok(folder)
    }

    /// Makes the folder of a scenario, for what its seeds show together.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn scenario_folder(&self, name: &str) -> Result<PathBuf, FileError> {
        let folder = self.root.join(name);
        make(&folder)?;
        Ok(folder)
    }

    /// The hidden folder itself: what lies in it moves to the output folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Draws what scenarios of several sizes show together, beside the folders of all of them.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_sizes(&self, sizes: &plots::Sizes) -> Result<(), FileError> {
        Ok(plots::write_sizes(&self.root, sizes)?)
    }

    /// Moves everything to its place, in exchange for what earlier runs left there.
    ///
    /// # Errors
    /// When a folder can't be moved.
    pub fn publish(self) -> Result<(), FileError> {
        let guard = stages();
        for folder in entries(&self.root)? {
            let target = self.out.join(name_of(&folder));
            if folder.is_file() {
                self.replace(&folder, &target)?;
                continue;
            }
            make(&target)?;
            let contents = entries(&folder)?;
            if contents.iter().any(|path| path.is_file()) {
                // Pictures of the last time would stand beside figures of this time.
                OVER_SEEDS.iter().for_each(|name| drop(fs::remove_file(target.join(name))));
            }
            for content in contents {
                self.replace(&content, &target.join(name_of(&content)))?;
            }
        }
        drop(guard);
        Ok(())
    }

    /// Puts a file or folder in the place of another; the other goes when the stage goes.
    fn replace(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        let failed = |source| FileError::Write { path: to.to_owned(), source };
        if to.is_dir() {
            let old = from.with_extension("old");
            fs::rename(to, &old).map_err(failed)?;
            return fs::rename(from, to).map_err(|error| {
                let _ = fs::rename(&old, to);
                failed(error)
            });
        }
        fs::rename(from, to).map_err(failed)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let mut stages = stages();
        // What can't be removed stays hidden; the results are right all the same.
        let _ = fs::remove_dir_all(&self.root);
        if self.made_out {
            // Fails, as it should, when results were published.
            let _ = fs::remove_dir(&self.out);
        }
        stages.remove(&self.root);
    }
}

/// Removes all results that are not published yet, for good; waits for those being published.
///
/// The caller must end the process while it holds what is returned, or others go on writing.
#[must_use = "results may be published again once this is dropped"]
pub fn discard_unpublished() -> impl Sized {
    let stages = stages();
    for stage in stages.iter() {
        // Others may be writing into it at this moment: what they added is removed with the next.
        for _ in 0..3 {
            let _ = fs::remove_dir_all(stage);
        }
    }
    stages
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
    if pictures == Pictures::Draw {
        plots::write_run(folder, run)?;
    }
    Ok(())
}

/// Writes the page that shows a run into its folder; over seeds, that of the worst, with the
/// picture of what its nodes sent.
///
/// # Errors
/// When it can't be written.
pub fn write_report(folder: &Path, page: &html::Page<'_>) -> Result<(), FileError> {
    if page.seeds.is_some() {
        plots::write_delivery(folder, page.run)?;
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
    if pictures == Pictures::Draw {
        plots::write_sweep(folder, results)?;
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
    if pictures == Pictures::Draw {
        plots::write_front(folder, tuning)?;
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
    picture: Option<&plots::Seeds>,
) -> Result<(), FileError> {
    write(&folder.join("aggregate.json"), &json::document(aggregate))?;
    if let Some(seeds) = picture {
        plots::write_seeds(folder, seeds)?;
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
    if pictures == Pictures::Draw {
        plots::write_beside(&folder, beside)?;
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
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&aside, path)).map_err(|error| {
        let _ = fs::remove_file(&aside);
        failed(error)
    })
}

/// Removes what killed processes left half-written in a folder. What can't be removed stays
/// hidden, and nobody takes it for a result.
pub fn clear_unfinished(folder: &Path) {
    for path in entries(folder).unwrap_or_default() {
        let name = name_of(&path).to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(".tmp") && path.is_file() {
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
pub fn write_both(folder: &Path, both: &Both, picture: Option<&View>) -> Result<(), FileError> {
    write(&folder.join("both.json"), &json::document(both))?;
    if let Some(view) = picture {
        plots::write_both_nets(folder, view)?;
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

fn stages() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    STAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::fixture;

    fn write_one(stage: &Stage, seed: u64) -> PathBuf {
        let run = fixture::partition(5, 1, seed);
        let timing = Timing::new(&run.summary, Duration::from_secs(1), 1);
        let folder = stage.run_folder("partition", seed).unwrap();
        write_run(&folder, "name = \"partition\"\n", &run, &timing, Pictures::Draw).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let paths = entries(folder).unwrap();
        paths.iter().map(|path| name_of(path).display().to_string()).collect()
    }

    #[test]
    fn nothing_is_seen_before_all_is_published() {
        let out = tempfile::tempdir().unwrap();
        let stage = Stage::new(out.path()).unwrap();
        write_one(&stage, 1);
        assert!(names(out.path()).iter().all(|name| name.starts_with('.')));
        stage.publish().unwrap();
        assert_eq!(names(out.path()), ["partition"]);
        let expected = [
            "delivery.png",
            "delivery.svg",
            "rumors.csv",
            "scenario.toml",
            "series.csv",
            "spread.png",
            "spread.svg",
            "summary.json",
            "timing.json",
        ];
        assert_eq!(names(&out.path().join("partition/seed-1")), expected);
    }

    #[test]
    fn the_folder_of_the_same_run_is_replaced_and_others_stay() {
        let out = tempfile::tempdir().unwrap();
        for seed in [1, 2, 1] {
            let stage = Stage::new(out.path()).unwrap();
            let folder = write_one(&stage, seed);
            fs::write(folder.join(format!("only-{seed}")), "").unwrap();
            let stale = out.path().join("partition/seed-1/only-1");
            if stale.exists() {
                fs::write(stale.with_file_name("stale"), "").unwrap();
            }
            stage.publish().unwrap();
        }
        assert_eq!(names(&out.path().join("partition")), ["seed-1", "seed-2"]);
        assert!(!out.path().join("partition/seed-1/stale").exists());
        assert!(out.path().join("partition/seed-2/only-2").exists());
    }

    #[test]
    fn a_dropped_stage_leaves_not_even_the_output_folder() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("deep/out");
        let stage = Stage::new(&out).unwrap();
        write_one(&stage, 1);
        drop(stage);
        assert!(!out.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_with_the_reason() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Stage::new(&file.join("out")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write {}/out: ", file.display())), "{error}");
        assert!(error.contains("--out"), "{error}");
    }

    #[test]
    fn pictures_over_seeds_do_not_outlive_their_figures() {
        let out = tempfile::tempdir().unwrap();
        for picture in ["spread.png", "other.png"] {
            let stage = Stage::new(out.path()).unwrap();
            let folder = stage.scenario_folder("partition").unwrap();
            fs::write(folder.join("aggregate.json"), "{}").unwrap();
            fs::write(folder.join(picture), "").unwrap();
            stage.publish().unwrap();
        }
        assert_eq!(names(&out.path().join("partition")), ["aggregate.json", "other.png"]);
    }
}
