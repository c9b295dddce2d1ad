//! Arguments that several commands share: pictures, and how much is said to whom.

use std::env;
use std::io::{self, IsTerminal};

use clap::Args;

use super::progress::Audience;
use super::run::Format;
use crate::report::files::Pictures;
use crate::report::plots::Width;
use crate::scenario::Paint;

/// The most seeds of one command: their figures are kept until the end.
pub const SEEDS_MAX: u64 = 100_000;

/// What the nodes speak, which is a setting of the scenario like any other.
#[derive(Clone, Debug, Default, Args)]
pub struct ProtocolArgs {
    /// Have the nodes speak another protocol, such as pekonode: protocol.name of the scenario
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
}

impl ProtocolArgs {
    /// Puts it before what is set by its key: the last one counts.
    pub fn settle(&mut self, sets: &mut Vec<String>) {
        if let Some(name) = self.protocol.take() {
            sets.insert(0, format!("protocol.name={name}"));
        }
    }
}

/// How much is said, and to whom.
#[derive(Clone, Copy, Debug, Args)]
pub struct Talk {
    /// Print nothing but errors (and JSON where asked for)
    #[arg(short, long)]
    pub quiet: bool,
    /// Whether tables have colours.
    #[arg(skip = paint(&io::stdout()))]
    pub paint: Paint,
    /// Whether errors have colours.
    #[arg(skip = paint(&io::stderr()))]
    pub error_paint: Paint,
}

impl Talk {
    /// What goes to standard output.
    pub fn format(self, json: bool) -> Format {
        format(json, self.quiet)
    }

    /// Who watches while something runs.
    pub fn audience(self) -> Audience {
        watched(self.quiet)
    }
}

/// Whether pictures are drawn, and how wide.
#[derive(Clone, Copy, Debug, Args)]
pub struct PictureArgs {
    /// Draw no pictures and write no report.html
    #[arg(long)]
    pub no_plots: bool,
    /// How many pixels wide pictures are
    #[arg(long, value_name = "PX", default_value_t = Width::NORMAL, conflicts_with = "no_plots")]
    pub width: Width,
}

impl PictureArgs {
    /// What the two come to.
    pub fn wanted(self) -> Pictures {
        if self.no_plots { Pictures::Skip } else { Pictures::Draw(self.width) }
    }
}

/// JSON even where little is to be said: it was asked for.
pub(crate) fn format(json: bool, quiet: bool) -> Format {
    match (json, quiet) {
        (true, _) => Format::Json,
        (false, true) => Format::Nothing,
        (false, false) => Format::Table,
    }
}

/// Somebody watches where messages go to a terminal, and are wanted.
pub(crate) fn watched(quiet: bool) -> Audience {
    if io::stderr().is_terminal() && !quiet { Audience::Person } else { Audience::Nobody }
}

/// Colours on a terminal only, and not where the user asks for none (see no-color.org).
pub(crate) fn paint(stream: &impl IsTerminal) -> Paint {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
    match stream.is_terminal() && !refused && !dumb {
        true => Paint::Coloured,
        false => Paint::Plain,
    }
}
