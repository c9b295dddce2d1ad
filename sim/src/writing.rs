//! Files and folders of ours as they are written: whole or not at all, and never half seen.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file or folder that could not be written: the disk, or the rights to it.
#[derive(Debug, Error)]
#[error("cannot write {path}: {source}; choose another folder with --out")]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), WriteError> {
    fs::write(path, text).map_err(|source| WriteError::new(path, source))
}

/// Writes a file so that it is there whole or not at all, even if the machine stops meanwhile.
///
/// # Errors
/// When it can't be written; nothing is left of it then.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), WriteError> {
    let failed = |source| WriteError::new(path, source);
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
pub(crate) fn locked(path: &Path) -> Option<File> {
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
pub(crate) fn clear_unfinished(folder: &Path) {
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
pub(crate) fn make_all(folder: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(folder).map_err(|source| WriteError::new(folder, source))
}

/// Makes a folder unless it exists, but none above it: those are there unless all was discarded.
pub(crate) fn make(folder: &Path) -> Result<(), WriteError> {
    match fs::create_dir(folder) {
        Err(source) if !folder.is_dir() => Err(WriteError::new(folder, source)),
        _ => Ok(()),
    }
}

/// What a folder holds, in order of the names.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, WriteError> {
    let failed = |source| WriteError::new(folder, source);
    let found = fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = found.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

pub(crate) fn name_of(path: &Path) -> &Path {
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
