//! How `sim` is called as a user calls it.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use tempfile::TempDir;

/// A folder of its own, in which `sim` is called.
pub(crate) struct Bench(TempDir);

impl Bench {
    /// One with these scenarios in it.
    pub(crate) fn with(scenarios: &[(&str, &str)]) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        for (name, text) in scenarios {
            fs::write(bench.path(name), text).unwrap();
        }
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A call of `sim` that is to be made.
    pub(crate) fn sim(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        command.current_dir(self.0.path());
        command
    }
}
