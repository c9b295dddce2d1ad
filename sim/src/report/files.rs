//! The files of a run, written aside and moved to their place at once.
//!
//! A reader of the output folder never sees half of a run: everything is written into a hidden
//! folder first, and moved when all of it is there, the summary last. Whoever ends the process early
//! calls [`discard_unpublished`], after which no trace is left; what a killed process left is swept
//! away by the next. What others put into a folder stays.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::report::beside::Beside;
use crate::report::both::{Both, View};
use crate::report::plots::{self, PlotError, Width};
use crate::report::summary::RunResult;
use crate::report::timing::Timing;
use crate::report::{csv, html, json, sweep, tuning};
use crate::scenario::Scenario;
use crate::world::{Filter, Tape};

/// Folders that hold results on their way; held while some are being moved to their place.
static STAGES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// What a run, its seeds together, and protocols side by side are known by: the file that differs
/// when anything differs, and the others that may stand beside it.
const KNOWN_BY: [(&str, &[&str]); 3] = [
    ("summary.json", &["delivery.png", "delivery.svg", REPORT, "spread.png", "spread.svg", TRACE]),
    ("aggregate.json", &["delivery.png", "delivery.svg", REPORT, "spread.png", "spread.svg"]),
    ("beside.json", &["beside.png", "beside.svg"]),
];

/// How the names of hidden folders begin that hold results on their way.
const UNFINISHED: &str = ".unfinished-";

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

/// Results on their way to an output folder; dropped unpublished, it leaves nothing behind.
#[derive(Debug)]
pub struct Stage {
    out: PathBuf,
    root: PathBuf,
    /// Held, it says to other processes that the hidden folder is in use; some disks have no locks.
    _lock: Option<File>,
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
        clear_unfinished_stages(out);
        let (root, lock) = begin(out).map_err(failed)?;
        stages().insert(root.clone());
        Ok(Self { out: out.to_owned(), root, _lock: lock, made_out })
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
    pub fn write_sizes(&self, sizes: &plots::Sizes, width: Width) -> Result<(), FileError> {
        Ok(plots::write_sizes(&self.root, sizes, width)?)
    }

    /// Moves everything to its place. Of what is there already, files of the same names are
    /// replaced, those that would no longer be true go, and all others stay.
    ///
    /// # Errors
    /// When a file can't be moved.
    pub fn publish(self) -> Result<(), FileError> {
        let guard = stages();
        let published = publish(&self.root, &self.out);
        drop(guard);
        published
    }
}

/// Moves all that one folder holds into another.
fn publish(from: &Path, to: &Path) -> Result<(), FileError> {
    make(to)?;
    let (folders, mut files): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(from)?.into_iter().partition(|path| path.is_dir());
    for folder in &folders {
        publish(folder, &to.join(name_of(folder)))?;
    }
    clear_outdated(from, to, &files);
    // Who finds the new summary finds all that belongs to it.
    let is_last = |path: &Path| KNOWN_BY.iter().any(|(known, _)| name_of(path) == Path::new(known));
    files.sort_by_key(|path| is_last(path));
    for file in files {
        let place = to.join(name_of(&file));
        fs::rename(&file, &place).map_err(|source| FileError::Write { path: place, source })?;
    }
    Ok(())
}

/// Removes pictures, pages and traces of earlier runs, which would stand beside figures that they
/// don't show: those that are not written anew, unless the figures are the same.
fn clear_outdated(from: &Path, to: &Path, files: &[PathBuf]) {
    let content = |folder: &Path, name: &str| fs::read(folder.join(name)).ok();
    for (known, others) in KNOWN_BY {
        let Some(new) = content(from, known) else { continue };
        if content(to, known).is_some_and(|old| old == new) {
            continue;
        }
        let is_written = |name: &str| files.iter().any(|file| name_of(file) == Path::new(name));
        for name in others.iter().filter(|name| !is_written(name)) {
            let _ = fs::remove_file(to.join(name));
        }
    }
}

/// Makes a hidden folder in an output folder, which is locked as long as what is returned is held.
fn begin(out: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let process = std::process::id();
    for number in 0_u64.. {
        let root = out.join(format!("{UNFINISHED}{process}-{number}.tmp"));
        match fs::create_dir(&root) {
            // Of another stage, or of a process in another container.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        let file = File::open(&root).ok();
        let taken = file
            .as_ref()
            .is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
        // Whoever sweeps at this moment took it for one that was left.
        if !taken && root.is_dir() {
            return Ok((root, file));
        }
    }
    unreachable!("numbers don't end")
}

/// Removes hidden folders of which nobody holds the lock: their processes were killed.
fn clear_unfinished_stages(out: &Path) {
    let is_stage = |path: &PathBuf| {
        let name = name_of(path).to_string_lossy().into_owned();
        name.starts_with(UNFINISHED) && name.ends_with(".tmp") && path.is_dir()
    };
    for path in entries(out).unwrap_or_default().into_iter().filter(is_stage) {
        if let Some(_lock) = locked(&path) {
            // What can't be removed stays hidden.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// A file or folder whose lock nobody held, and which is ours now.
fn locked(path: &Path) -> Option<File> {
    File::open(path).ok().filter(|file| file.try_lock().is_ok())
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
        write_run(&folder, "name = \"partition\"\n", &run, &timing, Pictures::Draw(Width::NORMAL))
            .unwrap();
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
    fn a_run_replaces_its_own_files_and_touches_no_others() {
        let out = tempfile::tempdir().unwrap();
        let place =
            |seed: u64, name: &str| out.path().join(format!("partition/seed-{seed}/{name}"));
        let again = |seed| {
            let stage = Stage::new(out.path()).unwrap();
            write_one(&stage, seed);
            stage.publish().unwrap();
        };
        again(1);
        again(2);
        fs::write(place(1, "notes.md"), "mine").unwrap();
        fs::write(place(1, "summary.json"), "of another day").unwrap();
        fs::create_dir(place(1, "own")).unwrap();
        again(1);
        assert_eq!(fs::read_to_string(place(1, "notes.md")).unwrap(), "mine");
        assert!(place(1, "own").is_dir() && place(2, "summary.json").exists());
        let same = [1, 2].map(|seed| fs::read(place(seed, "scenario.toml")).unwrap());
        assert!(same[0] == same[1]);
        assert!(fs::read_to_string(place(1, "summary.json")).unwrap().starts_with('{'));
        assert_eq!(names(out.path()), ["partition"]);
    }

    #[test]
    fn what_a_run_does_not_write_anew_goes_only_if_it_is_no_longer_true() {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().join("a/seed-1");
        let write = |figures: &str, others: &[&str]| {
            let stage = Stage::new(out.path()).unwrap();
            let own = stage.run_folder("a", 1).unwrap();
            fs::write(own.join("summary.json"), figures).unwrap();
            others.iter().for_each(|name| fs::write(own.join(name), "").unwrap());
            stage.publish().unwrap();
            names(&folder)
        };
        write("one", &["spread.png", TRACE]);
        fs::write(folder.join("my.png"), "").unwrap();
        assert_eq!(write("one", &[]), ["my.png", "spread.png", "summary.json", TRACE]);
        assert_eq!(write("other", &["spread.svg"]), ["my.png", "spread.svg", "summary.json"]);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_is_in_use_is_not() {
        let out = tempfile::tempdir().unwrap();
        let running = Stage::new(out.path()).unwrap();
        write_one(&running, 1);
        let left = out.path().join(".unfinished-999999-0.tmp");
        fs::create_dir_all(left.join("partition/seed-9")).unwrap();
        for foreign in [".unfinished-notes", ".other.tmp"] {
            fs::create_dir(out.path().join(foreign)).unwrap();
        }
        let next = Stage::new(out.path()).unwrap();
        assert!(!left.exists());
        assert!(running.root().is_dir() && next.root() != running.root());
        drop(next);
        running.publish().unwrap();
        assert!(out.path().join("partition/seed-1/summary.json").exists());
        assert_eq!(names(out.path()), [".other.tmp", ".unfinished-notes", "partition"]);
    }

    #[test]
    fn a_half_written_file_is_swept_unless_somebody_is_writing_it() {
        let folder = tempfile::tempdir().unwrap();
        let [left, own] = [".a.json.1.tmp", ".b.json.2.tmp"].map(|name| folder.path().join(name));
        fs::write(&left, "").unwrap();
        let held = create_locked(&own).unwrap();
        clear_unfinished(folder.path());
        assert_eq!(names(folder.path()), [".b.json.2.tmp"]);
        drop(held);
        clear_unfinished(folder.path());
        assert!(names(folder.path()).is_empty());
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
        for (figures, picture) in [("{}", "spread.png"), ("{1}", "other.png")] {
            let stage = Stage::new(out.path()).unwrap();
            let folder = stage.scenario_folder("partition").unwrap();
            fs::write(folder.join("aggregate.json"), figures).unwrap();
            fs::write(folder.join(picture), "").unwrap();
            stage.publish().unwrap();
        }
        assert_eq!(names(&out.path().join("partition")), ["aggregate.json", "other.png"]);
    }
}
