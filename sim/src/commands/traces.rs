//! Reads `trace.jsonl` of a run's folder, line by line.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::Failure;
use super::trial::quoted_path;
use crate::observe::trace::line::{Event, Filter, Line, SCHEMA};
use crate::reading::{self, LineLimit, ReadError, shown};
use crate::report::files::TRACE;

/// Longest line: a packet names each of its rumors, and an action each of its nodes.
const LINE_LEN_MAX: u64 = 64 << 20;

/// A trace that is being read.
pub(super) struct TraceChoice {
    folder: PathBuf,
    path: PathBuf,
    file: BufReader<LineLimit<File>>,
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

impl TraceChoice {
    /// Opens the trace of a run's folder.
    ///
    /// # Errors
    /// When there is none, which [`how_to_make_one`] tells the way out of, or it is no trace.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(TRACE);
        let file = reading::open(&path).map_err(|error| match error {
            ReadError::Missing { .. } => Failure::wrong(missing(folder)),
            error => error.into(),
        })?;
        let file = BufReader::new(LineLimit::new(file, LINE_LEN_MAX));
        let head = Head {
            scenario: String::new(),
            seed: String::new(),
            nodes: 0,
            filter: Filter::default(),
        };
        let mut trace = Self { folder: folder.to_owned(), path, file, number: 0, head };
        let line = trace.line()?.ok_or_else(|| trace.damaged(&"it is empty"))?;
        match line.event {
            Event::Run { schema, scenario, seed, nodes, filter } if schema == SCHEMA => {
                trace.head = Head { scenario, seed, nodes, filter };
                Ok(trace)
            }
            _ => Err(trace.damaged(&format!("it does not begin with a line of schema {SCHEMA}"))),
        }
    }

    /// The next line as it stands.
    pub(super) fn text(&mut self) -> Result<Option<String>, Failure> {
        self.number += 1;
        let mut text = String::new();
        if let Err(error) = self.file.read_line(&mut text) {
            return Err(match error.kind() {
                io::ErrorKind::InvalidData => self.damaged(&error),
                _ => Failure::machine(format!("cannot read {}: {error}", shown(&self.path))),
            });
        }
        match (text.is_empty(), text.pop()) {
            (true, _) => Ok(None),
            (false, Some('\n')) => Ok(Some(text)),
            // Whoever writes a trace ends every line.
            (false, _) => Err(self.damaged(
                &"the trace is cut off in this line, so that what happened later is not known: \
                 its run was ended, or the disk was full",
            )),
        }
    }

    /// The next line, understood.
    pub(super) fn line(&mut self) -> Result<Option<Line>, Failure> {
        let text = self.text()?;
        text.map(|text| self.parse(&text)).transpose()
    }

    /// Understands the line that was last read.
    pub(super) fn parse(&self, text: &str) -> Result<Line, Failure> {
        serde_json::from_str(text).map_err(|error| self.damaged(&reading::json_fault(&error)))
    }

    /// The failure of the line that was last read.
    fn damaged(&self, why: &dyn Display) -> Failure {
        let again = how_to_make_one(&self.folder);
        let why = format!("{why}; make it again: {again}");
        ReadError::wrong(&self.path, Some(self.number.max(1)), why).into()
    }
}

/// The command that makes the trace of a run.
pub(super) fn how_to_make_one(folder: &Path) -> String {
    let seed = folder.file_name().and_then(|name| name.to_str()?.strip_prefix("seed-"));
    // Whoever copies the command runs it: only a number may stand there.
    let seed = seed.and_then(|seed| seed.parse::<u64>().ok());
    let scenario = folder.join("scenario.toml");
    match (scenario.is_file(), seed) {
        (true, Some(seed)) => format!("sim run {} --seed {seed} --trace", quoted_path(&scenario)),
        _ => "sim run SCENARIO.toml --trace".to_owned(),
    }
}

fn missing(folder: &Path) -> String {
    let command = how_to_make_one(folder);
    match folder.is_dir() {
        true => format!("{} has no {TRACE}; this makes one: {command}", shown(folder)),
        false => format!(
            "{} is no folder; a run's folder is one such as out/partition/seed-1, made by: \
             {command}",
            shown(folder)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Exit;

    const HEAD: &str = concat!(
        r#"{"t_ns":0,"event":"run","schema":"trace/1","scenario":"a","seed":"7","nodes":3,"#,
        r#""filter":{"nodes":[],"rumors":[],"from_ns":0,"to_ns":null}}"#,
    );

    fn opened(text: &str) -> (tempfile::TempDir, Result<TraceChoice, Failure>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(TRACE), text).unwrap();
        let trace = TraceChoice::open(folder.path());
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
            let told = failure.text;
            assert!(told.contains("trace.jsonl:1: ") && told.contains("make it again: "), "{told}");
        }
        let (_folder, trace) = opened(&format!("{HEAD}\n{{\"t_ns\":5,}}\n"));
        let mut trace = trace.unwrap_or_else(|failure| panic!("{}", failure.text));
        let told = trace.line().unwrap_err().text;
        assert!(told.contains("trace.jsonl:2: ") && !told.contains("cut off"), "{told}");
    }

    #[test]
    fn a_trace_that_was_cut_off_is_told_as_that_wherever_the_cut_is() {
        let whole = format!("{HEAD}\n{{\"t_ns\":5,\"event\":\"stop\",\"node\":2}}\n");
        for cut in HEAD.len() + 2..whole.len() {
            let (_folder, trace) = opened(&whole[..cut]);
            let mut trace = trace.unwrap_or_else(|failure| panic!("{}", failure.text));
            let failure = trace.line().unwrap_err();
            assert_eq!(failure.exit, Exit::Wrong);
            assert!(failure.text.contains("trace.jsonl:2: the trace is cut off in this line"));
        }
        let (_folder, trace) = opened(&HEAD[..HEAD.len() / 2]);
        let told = trace.err().expect("half of a head").text;
        assert!(told.contains("trace.jsonl:1: the trace is cut off"), "{told}");
    }

    #[test]
    fn a_text_that_writes_on_a_terminal_is_damage() {
        let line = r#"{"t_ns":5,"event":"action","text":"stop 7\u001b[2J"}"#;
        let (_folder, trace) = opened(&format!("{HEAD}\n{line}\n"));
        let mut trace = trace.unwrap_or_else(|failure| panic!("{}", failure.text));
        let told = trace.line().unwrap_err().text;
        assert!(told.contains("trace.jsonl:2: U+001B at byte 6 of a text"), "{told}");
    }
}
