//! The command line: arguments become a command, and a command becomes output and an exit code.
//!
//! Standard output gets results only, and none at all when a command or the machine fails.

mod examples;
mod meta;
mod model;

use std::env;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand};
use rumormill::text::{Printable, find_unprintable};
use rumormill::units::nearest;

use self::model::ModelArgs;
use crate::commands::arguments::{ProtocolArgs, format, paint};
use crate::commands::{
    Exit, Failure, Report, check, compare, diff, explain, fuzz, measures, merge, new, run, shrink,
    sweep, tune,
};
use crate::results::json::document;
use crate::scenario::{Name, Paint};
use crate::world::{self, Offer};

/// Columns of `sim measures`.
const MEASURES_WIDTH: u16 = 80;

/// The nodes of a new scenario: more are for those who know what they cost.
const NEW_NODES: RangeInclusive<i64> = new::NODES_MIN..=100_000;

/// Replays cluster scenarios on the production engine, in virtual time, and measures them.
#[derive(Debug, Parser)]
#[command(name = "sim", version = meta::version())]
#[command(after_help = examples::EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios: print what happened, write figures and pictures
    #[command(after_help = examples::RUN_EXAMPLES)]
    Run(run::Request),
    /// Read scenarios and say what is wrong with them, without running them
    Check(CheckArgs),
    /// Tell how a rumor spread in a run: who told whom, when, and why a node was late or missed
    #[command(after_help = examples::EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Name the first event in which two traced runs part
    #[command(after_help = examples::DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Run an epidemic of the textbook: the theory to hold a cluster against
    #[command(after_help = model::EXAMPLES)]
    Model(ModelArgs),
    /// Run a scenario under every combination of settings and show what they do
    #[command(after_help = examples::SWEEP_EXAMPLES)]
    Sweep(sweep::SweepRequest),
    /// Join the slices of a sweep that were run apart with --shard
    #[command(after_help = examples::MERGE_EXAMPLES)]
    Merge(merge::MergeRequest),
    /// Find the setting that meets targets at the least cost
    #[command(after_help = examples::TUNE_EXAMPLES)]
    Tune(tune::TuneRequest),
    /// Say whether one of two is better, seed by seed, and how sure that is
    #[command(after_help = examples::COMPARE_EXAMPLES)]
    Compare(compare::CompareRequest),
    /// Look for broken laws in random scenarios, and make what is found small
    #[command(after_help = examples::FUZZ_EXAMPLES)]
    Fuzz(fuzz::FuzzRequest),
    /// Make a scenario that fails as small as it gets
    #[command(after_help = examples::SHRINK_EXAMPLES)]
    Shrink(shrink::ShrinkRequest),
    /// One node of `sim run --net netns`, which starts it by itself
    #[cfg(feature = "testbed")]
    #[command(hide = true, name = crate::testbed::GUEST)]
    NodeInNamespace,
    /// List every figure that [expect] can ask for: name, unit, direction, definition
    Measures(MeasuresArgs),
    /// Write a commented scenario to begin with
    New(NewArgs),
    /// Print the JSON Schema of scenario files, so that editors complete and check keys
    Schema,
    /// Print the completions of a shell, to be sourced by it
    Completions(meta::CompletionsArgs),
    /// Write the man pages into a folder
    Man(meta::ManArgs),
}

#[derive(Debug, Args)]
struct MeasuresArgs {
    /// Only those with this in their name; * stands for anything
    pattern: Option<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct NewArgs {
    /// The scenario's name: 1 to 64 of a-z, 0-9 and -; the file is NAME.toml
    #[arg(value_parser = Name::parse)]
    name: Name,
    /// How many nodes it has
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(NEW_NODES))]
    nodes: u32,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The folder of a run, such as out/partition/seed-1
    run: PathBuf,
    /// The rumor, such as metadata-0 [default: list them all]
    #[arg(long, value_name = "RUMOR")]
    rumor: Option<String>,
    /// A node whose part in it is to be told; without a rumor all of that node
    #[arg(long, value_name = "N")]
    node: Option<u32>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// The folder of a run that was made with --trace
    a: PathBuf,
    /// The folder of another
    b: PathBuf,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Scenario files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Replace a value of the scenario before it is checked (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    #[command(flatten)]
    protocol: ProtocolArgs,
}

/// Does what the arguments of the process say.
///
/// Wrong arguments and requests for help end the process here, as is usual for commands.
pub fn main() -> ExitCode {
    main_with(&[])
}

/// As [`main`], of a program that brings protocols of its own along: scenarios may name them.
pub fn main_with(others: &[Offer]) -> ExitCode {
    world::bring(others);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(error),
    };
    match cli.command {
        Command::Run(mut request) => {
            request.protocol.settle(&mut request.sets);
            conclude(run::run(&request))
        }
        Command::Explain(args) => {
            let format = format(args.json, false);
            let (folder, rumor, node) = (args.run.as_path(), args.rumor.as_deref(), args.node);
            conclude(explain::run(&explain::ExplainRequest { folder, rumor, node, format }))
        }
        Command::Diff(args) => conclude(diff::run(&args.a, &args.b)),
        Command::Sweep(mut request) => {
            request.protocol.settle(&mut request.sets);
            conclude(sweep::run(&request))
        }
        Command::Compare(request) => conclude(compare::run(&request)),
        Command::Fuzz(request) => conclude(fuzz::run(&request)),
        Command::Shrink(request) => conclude(shrink::run(&request)),
        Command::Tune(mut request) => {
            request.protocol.settle(&mut request.sets);
            conclude(tune::run(&request))
        }
        Command::Merge(request) => conclude(merge::run(&request)),
        #[cfg(feature = "testbed")]
        Command::NodeInNamespace => crate::testbed::run_guest(),
        Command::Check(mut args) => {
            args.protocol.settle(&mut args.sets);
            conclude(check::run(&args.files, &args.sets, paint(&io::stderr())))
        }
        Command::Model(args) => conclude(args.run()),
        Command::Measures(MeasuresArgs { pattern, json }) => {
            let format = format(json, false);
            conclude(measures::run(pattern.as_deref(), format, MEASURES_WIDTH))
        }
        Command::New(args) => conclude(new::run(Path::new(""), &args.name, args.nodes)),
        Command::Schema => {
            let out = document(&crate::scenario::schema());
            conclude(Ok(Report { out, err: String::new(), exit: Exit::Held }))
        }
        Command::Completions(args) => conclude(Ok(args.run())),
        Command::Man(args) => conclude(args.run()),
    }
}

/// What the standard library says of a number, and what we say: with its range.
const NUMBERS: [(&str, &str); 3] = [
    ("number too large to fit in target type", "too large: at most 2^64 - 1, for a node 2^32 - 1"),
    ("number would be zero for non-zero type", "it must be at least 1"),
    ("invalid digit found in string", "this is no whole number from 0 on"),
];

/// Names the nearest command to one that is none; of short words clap names none.
fn suggest(error: &mut clap::Error) {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed))
            if error.get(ContextKind::SuggestedSubcommand).is_none() =>
        {
            typed.clone()
        }
        _ => return,
    };
    let sim = Cli::command();
    let names = sim.get_subcommands().filter(|command| !command.is_hide_set());
    if let Some(near) = nearest(&typed, names.map(clap::Command::get_name)) {
        let near = ContextValue::Strings(vec![near.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, near);
    }
}

/// Tells what is wrong with the arguments, or the help that they ask for.
fn usage(mut error: clap::Error) -> ExitCode {
    suggest(&mut error);
    let paint = if error.use_stderr() { paint(&io::stderr()) } else { paint(&io::stdout()) };
    let mut text = match paint {
        Paint::Plain => error.render().to_string(),
        Paint::Coloured => error.render().ansi().to_string(),
    };
    text = NUMBERS.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours));
    // A word of the command line may hold whole lines.
    for word in env::args_os().skip(1) {
        let word = word.to_string_lossy();
        if find_unprintable(&word).is_some() {
            text = text.replace(&*word, &Printable(&word).to_string());
        }
    }
    conclude(match error.use_stderr() {
        true => Err(Failure { text: text.trim_end().to_owned(), exit: Exit::Wrong }),
        false => Ok(Report { out: text, err: String::new(), exit: Exit::Held }),
    })
}

fn conclude(result: Result<Report, Failure>) -> ExitCode {
    let exit = match result {
        Ok(report) => {
            let printed = print(&report);
            printed.map_or_else(
                |error| {
                    eprintln!("error: cannot write to standard output: {error}");
                    Exit::Machine
                },
                |()| report.exit,
            )
        }
        Err(failure) => {
            eprintln!("{}", sieved(&failure.text, paint(&io::stderr())));
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// A reader who closed the pipe has read enough: that is no error.
fn print(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let text = sieved(&report.out, paint(&io::stdout()));
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    let text = sieved(&report.err, paint(&io::stderr()));
    // Nobody is left to be told when this fails.
    let _ = io::stderr().write_all(text.as_bytes());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// The text as a terminal may have it: lines, and colours where there are any. What others wrote
/// is escaped where it is put into a text, and here once more, should one have been forgotten.
fn sieved(text: &str, paint: Paint) -> String {
    let mut sieved = String::with_capacity(text.len());
    for (place, line) in text.split('\n').enumerate() {
        sieved += if place == 0 { "" } else { "\n" };
        // The first piece of a line follows no escape character.
        for (place, piece) in line.split('\u{1b}').enumerate() {
            let is_colour = paint == Paint::Coloured && begins_with_colour(piece);
            sieved += match (place, is_colour) {
                (0, _) => "",
                (_, true) => "\u{1b}",
                (_, false) => "\\u{1b}",
            };
            sieved += &Printable(piece).to_string();
        }
    }
    sieved
}

/// Whether a text begins as an escape sequence goes on that sets a colour, such as `[1;31m`.
fn begins_with_colour(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('[') else { return false };
    rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::progress::Audience;
    use crate::commands::run::Format;
    use crate::report::files::Pictures;
    use crate::report::plots::Width;
    use crate::world::Filter;

    fn parsed(arguments: &str) -> Result<run::Request, clap::Error> {
        match Cli::try_parse_from(arguments.split(' '))?.command {
            Command::Run(request) => Ok(request),
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_needs_nothing_but_a_file() {
        let request = parsed("sim run a.toml").unwrap();
        assert_eq!((request.seed, request.seeds, request.threads), (1, None, None));
        let format = request.talk.format(request.json);
        assert_eq!((request.out, format), (PathBuf::from("out"), Format::Table));
        let pictures = request.pictures.wanted();
        assert_eq!((request.wire, pictures), (false, Pictures::Draw(Width::NORMAL)));
    }

    #[test]
    fn counts_of_zero_are_refused() {
        for arguments in ["sim run a --seeds 0", "sim run a --threads 0", "sim run"] {
            assert_eq!(parsed(arguments).unwrap_err().exit_code(), 2, "{arguments}");
        }
    }

    #[test]
    fn a_trace_has_the_filters_that_were_typed_and_they_need_a_trace() {
        let filter = |arguments: &str| parsed(arguments).unwrap().filter();
        assert!(filter("sim run a --trace").unwrap().is_some_and(|filter| filter.is_open()));
        let typed = "sim run a --trace --trace-node 3 --trace-node 4 --trace-rumor join-0 \
                     --trace-from 2s --trace-to 2500ms";
        let expected = Filter {
            nodes: vec![3, 4],
            rumors: vec!["join-0".into()],
            from_ns: 2_000_000_000,
            to_ns: Some(2_500_000_000),
        };
        assert_eq!(filter(typed).unwrap(), Some(expected));
        assert_eq!(parsed("sim run a --trace-node 3").unwrap_err().exit_code(), 2);
        let empty = filter("sim run a --trace --trace-from 3s --trace-to 3s");
        assert_eq!(empty.unwrap_err().exit, Exit::Wrong);
    }

    #[test]
    fn of_what_is_forgotten_a_terminal_gets_lines_and_colours_only() {
        let text = "a\u{1b}[1;31mred\u{1b}[0m\r\n\u{1b}[2J\u{9b}2J\u{1b}]0;title\u{7}\n";
        let plain = "a\\u{1b}[1;31mred\\u{1b}[0m\\r\n\\u{1b}[2J\\u{9b}2J\\u{1b}]0;title\\u{7}\n";
        assert_eq!(sieved(text, Paint::Plain), plain);
        let coloured = plain.replace("\\u{1b}[1;31m", "\u{1b}[1;31m");
        let coloured = coloured.replace("\\u{1b}[0m", "\u{1b}[0m");
        assert_eq!(sieved(text, Paint::Coloured), coloured);
        assert_eq!(sieved("中文\n\n", Paint::Plain), "中文\n\n");
    }

    #[test]
    fn pictures_are_as_wide_as_asked_for() {
        let wide = parsed("sim run a --width 900").unwrap().pictures.wanted();
        assert_eq!(wide.width().map(Width::pixels), Some(900));
        for arguments in ["sim run a --width 9", "sim run a --width 900 --no-plots"] {
            assert_eq!(parsed(arguments).unwrap_err().exit_code(), 2, "{arguments}");
        }
    }

    #[test]
    fn quiet_json_is_still_json() {
        let request = parsed("sim run a --json -q").unwrap();
        let format = request.talk.format(request.json);
        assert_eq!((format, request.talk.audience()), (Format::Json, Audience::Nobody));
    }
}
