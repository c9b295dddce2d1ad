//! Results on their way: written into a hidden folder, and moved to their place when all of them
//! are there.
//!
//! A reader of the output folder never sees half of a run: files move one by one, the summary last.
//! Whoever ends the process early calls [`discard_unpublished`], after which no trace is left; what
//! a killed process left is swept away by the next. What others put into a folder stays.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{FileError, REPORT, TRACE};
use crate::report::plots::{self, Width};
use crate::writing::{WriteError, entries, locked, make, name_of};

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

/// Results on their way to an output folder; dropped unpublished, it leaves nothing behind.
#[derive(Debug)]
pub struct StagedFiles {
    out: PathBuf,
    root: PathBuf,
    /// Held, it says to other processes that the hidden folder is in use; some disks have no locks.
    _lock: Option<File>,
    /// Whether the output folder is ours to remove when nothing comes of it.
    made_out: bool,
}

impl StagedFiles {
    /// Makes the output folder where it doesn't exist, and a hidden one in it.
    ///
    /// # Errors
    /// When one of them can't be made.
    pub fn new(out: &Path) -> Result<Self, FileError> {
        let failed = |source| WriteError::new(out, source);
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
        fs::rename(&file, &place).map_err(|source| WriteError::new(&place, source))?;
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
    let mut number = 0_u64;
    loop {
        let root = out.join(format!("{UNFINISHED}{process}-{number}.tmp"));
        match fs::create_dir(&root) {
            Ok(()) => {
                let file = File::open(&root).ok();
                let taken = file
                    .as_ref()
                    .is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
                // Whoever sweeps at this moment took it for one that was left.
                if !taken && root.is_dir() {
                    return Ok((root, file));
                }
            }
            // Of another stage, or of a process in another container.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        number += 1;
    }
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

impl Drop for StagedFiles {
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

fn stages() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    STAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Pictures, write_run};
    use super::*;
    use crate::results::fixture;
    use crate::results::timing::Timing;

    fn write_one(stage: &StagedFiles, seed: u64) -> PathBuf {
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
        let stage = StagedFiles::new(out.path()).unwrap();
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
            let stage = StagedFiles::new(out.path()).unwrap();
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
            let stage = StagedFiles::new(out.path()).unwrap();
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
        let running = StagedFiles::new(out.path()).unwrap();
        write_one(&running, 1);
        let left = out.path().join(".unfinished-999999-0.tmp");
        fs::create_dir_all(left.join("partition/seed-9")).unwrap();
        for foreign in [".unfinished-notes", ".other.tmp"] {
            fs::create_dir(out.path().join(foreign)).unwrap();
        }
        let next = StagedFiles::new(out.path()).unwrap();
        assert!(!left.exists());
        assert!(running.root().is_dir() && next.root() != running.root());
        drop(next);
        running.publish().unwrap();
        assert!(out.path().join("partition/seed-1/summary.json").exists());
        assert_eq!(names(out.path()), [".other.tmp", ".unfinished-notes", "partition"]);
    }

    #[test]
    fn a_dropped_stage_leaves_not_even_the_output_folder() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("deep/out");
        let stage = StagedFiles::new(&out).unwrap();
        write_one(&stage, 1);
        drop(stage);
        assert!(!out.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_with_the_reason() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StagedFiles::new(&file.join("out")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write {}/out: ", file.display())), "{error}");
        assert!(error.contains("--out"), "{error}");
    }

    #[test]
    fn pictures_over_seeds_do_not_outlive_their_figures() {
        let out = tempfile::tempdir().unwrap();
        for (figures, picture) in [("{}", "spread.png"), ("{1}", "other.png")] {
            let stage = StagedFiles::new(out.path()).unwrap();
            let folder = stage.scenario_folder("partition").unwrap();
            fs::write(folder.join("aggregate.json"), figures).unwrap();
            fs::write(folder.join(picture), "").unwrap();
            stage.publish().unwrap();
        }
        assert_eq!(names(&out.path().join("partition")), ["aggregate.json", "other.png"]);
    }
}
