//! Reads `trace.jsonl` of a run's folder, line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::observe::trace::line::{Event, Filter, Line, SCHEMA};
use crate::report::files::TRACE;

/// A trace that is being read.
pub(super) struct Trace {
    path: PathBuf,
    lines: io::Lines<BufReader<File>>,
    number: u64,
    /// What it says of itself.
    pub(super) head: Head,
}

/// The run of a trace.
pub(super) struct Head {
    pub(super) scenario: String,
    pub(super) seed: String,
    pub(super) nodes: u32,
    pub(super) filter: Filter,
}

impl Trace {
    /// Opens the trace of a run's folder.
    ///
    /// # Errors
    /// When there is none, which [`how_to_make_one`] tells the way out of, or it is no trace.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(TRACE);
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::wrong(missing(folder)),
            _ => Failure::machine(format!("cannot read {}: {error}", path.display())),
        })?;
        let mut lines = BufReader::new(file).lines();
        let first = lines.next().transpose().map_err(|error| unreadable(&path, 1, &error))?;
        let first = first.unwrap_or_default();
        let line: Line =
            serde_json::from_str(&first).map_err(|error| unreadable(&path, 1, &error))?;
        match line.event {
            Event::Run { schema, scenario, seed, nodes, filter } if schema == SCHEMA => {
                let head = Head { scenario, seed, nodes, filter };
                Ok(Self { path, lines, number: 1, head })
            }
            _ => Err(Failure::wrong(format!(
                "{} does not begin with a line of schema {SCHEMA}: make it again with --trace",
                path.display()
            ))),
        }
    }

    /// The next line as it stands.
    pub(super) fn text(&mut self) -> Result<Option<String>, Failure> {
        self.number += 1;
        let line = self.lines.next().transpose();
        line.map_err(|error| unreadable(&self.path, self.number, &error))
    }

    /// The next line, understood.
    pub(super) fn line(&mut self) -> Result<Option<Line>, Failure> {
        let text = self.text()?;
        text.map(|text| self.parse(&text)).transpose()
    }

    /// Understands the line that was last read.
    pub(super) fn parse(&self, text: &str) -> Result<Line, Failure> {
        serde_json::from_str(text).map_err(|error| unreadable(&self.path, self.number, &error))
    }
}

/// The command that makes the trace of a run.
pub(super) fn how_to_make_one(folder: &Path) -> String {
    let seed = folder.file_name().and_then(|name| name.to_str()?.strip_prefix("seed-"));
    let scenario = folder.join("scenario.toml");
    match (scenario.is_file(), seed) {
        (true, Some(seed)) => format!("sim run {} --seed {seed} --trace", scenario.display()),
        _ => "sim run SCENARIO.toml --trace".to_owned(),
    }
}

fn missing(folder: &Path) -> String {
    let command = how_to_make_one(folder);
    match folder.is_dir() {
        true => format!("{} has no {TRACE}; this makes one: {command}", folder.display()),
        false => format!(
            "{} is no folder; a run's folder is one such as out/partition/seed-1, made by: \
             {command}",
            folder.display()
        ),
    }
}

fn unreadable(path: &Path, number: u64, error: &dyn std::fmt::Display) -> Failure {
    Failure::wrong(format!(
        "{}:{number}: {error}: the file is damaged; make it again with --trace",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Exit;

    const HEAD: &str = concat!(
        r#"{"t_ns":0,"event":"run","schema":"trace/1","scenario":"a","seed":"7","nodes":3,"#,
        r#""filter":{"nodes":[],"rumors":[],"from_ns":0,"to_ns":null}}"#,
    );

    fn opened(text: &str) -> (tempfile::TempDir, Result<Trace, Failure>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(TRACE), text).unwrap();
        let trace = Trace::open(folder.path());
        (folder, trace)
    }

    #[test]
    fn a_trace_says_which_run_it_is_and_then_what_happened() {
        let text = format!("{HEAD}\n{{\"t_ns\":5,\"event\":\"stop\",\"node\":2}}\n");
        let (_folder, trace) = opened(&text);
        let mut trace = trace.unwrap_or_else(|failure| panic!("{}", failure.text));
        assert_eq!((trace.head.seed.as_str(), trace.head.nodes), ("7", 3));
        let line = trace.line().unwrap().unwrap();
        assert_eq!((line.t_ns, line.event), (5, Event::Stop { node: 2 }));
        assert_eq!(trace.line().unwrap(), None);
    }

    #[test]
    fn damage_is_told_with_its_line() {
        let damaged = ["", "no trace", &HEAD.replace("trace/1", "trace/9")];
        for text in damaged {
            let (_folder, trace) = opened(text);
            let failure = trace.err().expect("no trace");
            assert_eq!(failure.exit, Exit::Wrong);
            assert!(failure.text.contains("again with --trace"), "{}", failure.text);
        }
        let (_folder, trace) = opened(&format!("{HEAD}\n{{\"t_ns\":5,"));
        let mut trace = trace.unwrap_or_else(|failure| panic!("{}", failure.text));
        let failure = trace.line().unwrap_err();
        assert!(failure.text.contains("trace.jsonl:2: "), "{}", failure.text);
    }
}
