//! What `sim` does when it is told to: each command is a function from arguments to an exit code.

pub mod arguments;
pub mod beside;
pub mod check;
pub mod compare;
pub mod diff;
pub mod explain;
pub mod fuzz;
pub mod holds;
pub mod interrupt;
pub mod measures;
pub mod merge;
pub mod model;
pub mod new;
pub mod planted;
pub mod progress;
pub mod run;
pub mod shrink;
pub mod sweep;
mod targets;
mod traces;
mod trial;
pub mod tune;
pub mod unheard;

use std::fmt::Display;

use rumormill::text::Printable;

use crate::reading::ReadError;
use crate::report::files::FileError;
use crate::scenario::{Blame, Paint, ScenarioError};
use crate::writing::WriteError;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Every expectation held.
    Held = 0,
    /// An expectation failed.
    Failed = 1,
    /// The command or a scenario is wrong.
    Wrong = 2,
    /// It failed through no fault of the command: disk, rights, or a bug.
    Machine = 3,
    /// The user ended it.
    Interrupted = 130,
}

/// What a command has to say once all its work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
    /// How the process ends.
    pub exit: Exit,
}

/// Why a command came to nothing; nothing goes to standard output then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What and the fix.
    pub text: String,
    /// How the process ends.
    pub exit: Exit,
}

impl Failure {
    /// The command is wrong; a line, whatever it quotes.
    pub fn wrong(text: impl Display) -> Self {
        Self { text: format!("error: {}", Printable(text)), exit: Exit::Wrong }
    }

    /// The machine failed; a line as well.
    pub fn machine(text: impl Display) -> Self {
        Self { text: format!("error: {}", Printable(text)), exit: Exit::Machine }
    }

    /// We failed; a second line has the command that shows it again.
    pub fn bug(message: &str, command: &str) -> Self {
        let mut failure = Self::machine(format!("a bug in rumormill: {message}"));
        failure.text += &format!("\nreproduce: {}", Printable(command));
        failure
    }

    /// A scenario is wrong or can't be read.
    pub fn scenario(error: &ScenarioError, paint: Paint) -> Self {
        let exit = match error.blame() {
            Blame::Scenario => Exit::Wrong,
            Blame::Machine => Exit::Machine,
        };
        Self { text: error.render(paint), exit }
    }

    /// All of several failures; the process ends as the gravest asks for.
    pub fn all(failures: &[Self]) -> Self {
        let texts: Vec<&str> = failures.iter().map(|failure| failure.text.as_str()).collect();
        let exit = failures.iter().map(|failure| failure.exit).max().unwrap_or(Exit::Wrong);
        Self { text: texts.join("\n"), exit }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Disk { .. } => Self::machine(error.to_string()),
            _ => Self::wrong(error.to_string()),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::machine(error.to_string())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::machine(error.to_string())
    }
}
