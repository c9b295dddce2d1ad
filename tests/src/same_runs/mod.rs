//! Two builds of `sim` held against each other: what one makes of a scenario, the other must make
//! of it too, to the byte.
//!
//! A rebuilt engine that does what the old one did has its files. This is the net under such a
//! change; a change of behaviour falls through it on purpose, and golden summaries hold that.

mod difference;
mod generate;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub use difference::{Difference, Ended};
pub use generate::scenario;

/// What two runs must have in common, the most telling first: a line of a trace is what happened,
/// and the hash in a summary says no more than that something did.
const FILES: [&str; 3] = ["trace.jsonl", "rumors.csv", "summary.json"];

/// Two builds, and where they write.
#[derive(Clone, Debug)]
pub struct Builds {
    /// What is known to be right.
    pub old: PathBuf,
    /// What is held against it.
    pub new: PathBuf,
    /// Gets the scenarios, and the runs that differ.
    pub folder: PathBuf,
}

impl Builds {
    /// Has both run the scenario with this number of this seed, side by side, and gives the first
    /// difference. What is the same is deleted.
    ///
    /// # Errors
    /// Those of the disk, and of a build that can't be run.
    pub fn compare(&self, seed: u64, number: u64) -> io::Result<Option<Difference>> {
        let (name, text) = generate::scenario(seed, number);
        let file = self.folder.join(format!("{name}.toml"));
        fs::write(&file, text)?;
        let sides = [("old", &self.old), ("new", &self.new)];
        let outs = sides.map(|(side, _)| self.folder.join(side));
        let [old, new] = [0, 1].map(|side| start(sides[side].1, &file, seed, &outs[side]));
        let [old, new] = [end(old?)?, end(new?)?];
        let runs = outs.each_ref().map(|out| out.join(&name).join(format!("seed-{seed}")));
        let different = match Difference::of_ends(&old, &new) {
            Some(different) => Some(different),
            None => first_difference(&runs)?,
        };
        if different.is_none() {
            fs::remove_file(&file)?;
            outs.iter().map(|out| out.join(&name)).try_for_each(remove_all)?;
        }
        Ok(different)
    }

    /// What a person types to see one of them again.
    pub fn command(&self, seed: u64, number: u64) -> String {
        let (name, _) = generate::scenario(seed, number);
        let file = self.folder.join(format!("{name}.toml"));
        format!("{} run {} --seed {seed} --trace", self.new.display(), file.display())
    }
}

fn start(build: &Path, file: &Path, seed: u64, out: &Path) -> io::Result<Child> {
    let mut command = Command::new(build);
    command.arg("run").arg(file).args(["--seed", &seed.to_string(), "--threads", "1"]);
    command.args(["--trace", "--no-plots", "-q", "--out"]).arg(out);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
}

fn end(child: Child) -> io::Result<Ended> {
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    Ok(match output.status.code() {
        Some(code @ (0 | 1)) => Ended::Wrote(code),
        _ => Ended::Failed(format!("{}: {}", output.status, told.trim())),
    })
}

fn first_difference(runs: &[PathBuf; 2]) -> io::Result<Option<Difference>> {
    for name in FILES {
        let [old, new] = runs.each_ref().map(|run| read(&run.join(name)));
        if let Some(different) = Difference::of_files(name, &old?, &new?) {
            return Ok(Some(different));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> io::Result<String> {
    let named = |it: io::Error| io::Error::new(it.kind(), format!("{}: {it}", path.display()));
    fs::read_to_string(path).map_err(named)
}

fn remove_all(folder: PathBuf) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_runs_that_differ_in_all_files_the_first_event_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let runs = ["old", "new"].map(|side| folder.path().join(side));
        for (side, run) in runs.iter().enumerate() {
            fs::create_dir(run).unwrap();
            FILES.iter().for_each(|name| fs::write(run.join(name), side.to_string()).unwrap());
        }
        let told = first_difference(&runs).unwrap().expect("they differ").to_string();
        assert!(told.starts_with("trace.jsonl:1\n"), "{told}");
        fs::copy(runs[0].join("trace.jsonl"), runs[1].join("trace.jsonl")).unwrap();
        let told = first_difference(&runs).unwrap().expect("they differ").to_string();
        assert!(told.starts_with("rumors.csv:1\n"), "{told}");
    }
}
