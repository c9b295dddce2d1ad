//! A folder for the files of one try, which goes when the try ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static TRIES: AtomicU64 = AtomicU64::new(0);
        let number = TRIES.fetch_add(1, Ordering::Relaxed);
        let path = base().join(format!("sim-fuzz-{}-{number}", process::id()));
        // Left by a process that was killed and had the same number.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Nothing was written beside these.
    pub(super) fn holds_only(&self, names: &[&str]) {
        for entry in fs::read_dir(&self.0).expect("it is there") {
            let name = entry.expect("an entry").file_name();
            assert!(names.iter().any(|known| *known == name), "{name:?} was written aside");
        }
    }
}

/// In memory where there is such a folder: what is merged waits for the disk at each file.
fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed lies among temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
