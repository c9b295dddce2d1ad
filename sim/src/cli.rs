//! The command line: arguments become a command, and a command becomes output and an exit code.
//!
//! Standard output gets results only, and none at all when a command or the machine fails.

mod compare;
mod explore;
mod meta;
mod model;
mod sweep;
mod tune;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand};
use rumormill::text::{Printable, find_unprintable};
use rumormill::time::nanos;
use rumormill::units::{nearest, parse_duration};

use self::model::ModelArgs;
use crate::commands;
use crate::commands::progress::Audience;
use crate::commands::run::{Format, Net, Request};
use crate::commands::{Exit, Failure, Report, check, diff, explain, measures, merge, new, run};
use crate::model::Spread;
use crate::report::files::Pictures;
use crate::report::plots::Width;
use crate::results::json::document;
use crate::scenario::{Name, Paint};
use crate::world::{Codec, Filter};

/// Columns of `sim measures`.
const MEASURES_WIDTH: u16 = 80;

/// The most seeds of one command: their figures are kept until the end.
const SEEDS_MAX: u64 = 100_000;

/// The nodes of a new scenario: more are for those who know what they cost.
const NEW_NODES: RangeInclusive<i64> = new::NODES_MIN..=100_000;

const EXAMPLES: &str = "\
Examples:
  sim run scenarios/partition.toml          what a partition does to 50 nodes
  sim run scenarios/*.toml --seeds 20       every scenario with seeds 1 to 20
  sim run scenarios/loss.toml --set network.loss=40%
                                            the same cluster on a worse network
  sim run scenarios/loss.toml --trace       and write down everything that happens
  sim explain out/loss/seed-1 --rumor metadata-0
                                            who told whom when, and why a node was late
  sim check my.toml                         is this scenario right?
  sim sweep scenarios/loss.toml --vary engine.fan_out=1..=8
                                            what the fan-out does
  sim measures                              what [expect] can ask for
  sim model --stop feedback-counter:2       what the textbook says of such a rumor

Exit codes: 0 all expectations held, 1 one failed, 2 the command or a scenario is wrong,
3 disk or rights, 130 interrupted.";

const RUN_EXAMPLES: &str = "\
Examples:
  sim run scenarios/partition.toml
  sim run scenarios/partition.toml --seed 7 --json | jq .node_list
  sim run scenarios/*.toml --seeds 100 --threads 8 -q && echo all held
  sim run scenarios/loss.toml --set engine.fan_out=4 --set network.loss=30%

The same scenario and seed give the same results on every machine, with any number of threads.
The files of a run are in OUT/<name>/seed-<seed>/, those of all seeds together (a picture, an
aggregate) in OUT/<name>/; with --set the folder is OUT/<name>+<digest of the scenario>/.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  sim run scenarios/loss.toml --trace
  sim explain out/loss/seed-1                         which rumors there were
  sim explain out/loss/seed-1 --rumor metadata-0      who told whom, when
  sim explain out/loss/seed-1 --rumor metadata-0 --node 17
                                                      why so late, or never?
  sim explain out/loss/seed-1 --node 17               all of that node

Without --trace the run knows who told whom, but not what became of the packets in between.";

const DIFF_EXAMPLES: &str = "\
Examples:
  sim run a.toml --trace --out before       and again with another binary, seed or --set
  sim run a.toml --trace --out after
  sim diff before/a/seed-1 after/a/seed-1

Exit codes: 0 the same, 1 they part, 2 no traces, or traces with different filters.";

/// Replays cluster scenarios on the production engine, in virtual time, and measures them.
#[derive(Debug, Parser)]
#[command(name = "sim", version = meta::version())]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios: print what happened, write figures and pictures
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Read scenarios and say what is wrong with them, without running them
    Check(CheckArgs),
    /// Tell how a rumor spread in a run: who told whom, when, and why a node was late or missed
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Name the first event in which two traced runs part
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Run an epidemic of the textbook: the theory to hold a cluster against
    #[command(after_help = model::EXAMPLES)]
    Model(ModelArgs),
    /// Run a scenario under every combination of settings and show what they do
    #[command(after_help = sweep::SWEEP_EXAMPLES)]
    Sweep(sweep::SweepArgs),
    /// Join the slices of a sweep that were run apart with --shard
    #[command(after_help = sweep::MERGE_EXAMPLES)]
    Merge(sweep::MergeArgs),
    /// Find the setting that meets targets at the least cost
    #[command(after_help = tune::EXAMPLES)]
    Tune(tune::TuneArgs),
    /// Say whether one of two is better, seed by seed, and how sure that is
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::CompareArgs),
    /// Look for broken laws in random scenarios, and make what is found small
    #[command(after_help = explore::FUZZ_EXAMPLES)]
    Fuzz(explore::FuzzArgs),
    /// Make a scenario that fails as small as it gets
    #[command(after_help = explore::SHRINK_EXAMPLES)]
    Shrink(explore::ShrinkArgs),
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
struct RunArgs {
    /// Scenario files (TOML; scenarios/README.md is the reference); - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The seed of all chance in the run; with --seeds the first of them
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Run N seeds, S to S+N-1, and report over them: medians, spreads, shares
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    seeds: Option<u64>,
    /// Replace a value of the scenario, such as engine.fan_out=4 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// By what the nodes talk: virtual time, or real nodes in real time
    #[arg(long, value_enum, value_name = "NET", default_value_t)]
    net: Net,
    /// Threads: one for each run, or several where runs are few [default: one per processor];
    /// results don't depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// The folder for results; files of the same run are replaced, all others stay
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print JSON instead of tables: a summary, or with --seeds or several files all of them
    #[arg(long)]
    json: bool,
    /// Encode and decode every packet on its way; slower, with the same results
    #[arg(long)]
    wire: bool,
    /// Write everything that happens to trace.jsonl, for `sim explain` and `sim diff`
    #[arg(long)]
    trace: bool,
    /// Trace only what this node takes part in (repeatable)
    #[arg(long, value_name = "N", requires = "trace")]
    trace_node: Vec<u32>,
    /// Trace only packets with this rumor, such as metadata-0, and who learns it (repeatable)
    #[arg(long, value_name = "RUMOR", requires = "trace")]
    trace_rumor: Vec<String>,
    /// Trace only from this virtual time on, such as 20s
    #[arg(long, value_name = "TIME", requires = "trace", value_parser = parse_duration)]
    trace_from: Option<Duration>,
    /// Trace only up to this virtual time
    #[arg(long, value_name = "TIME", requires = "trace", value_parser = parse_duration)]
    trace_to: Option<Duration>,
    #[command(flatten)]
    pictures: PictureArgs,
    /// Draw the textbook's epidemic into the picture: push, pull or push-pull with the fan-out,
    /// loss and mean delay of the scenario
    #[arg(long, value_name = "WAY", conflicts_with = "no_plots")]
    model: Option<Spread>,
    /// Plant this fault in the engine
    #[arg(long, value_name = "NAME", hide = !commands::planted::IS_BUILT_IN)]
    planted: Option<String>,
    /// Print nothing but errors and failed expectations (and JSON where asked for)
    #[arg(short, long)]
    quiet: bool,
}

/// Whether pictures are drawn, and how wide.
#[derive(Debug, Args)]
struct PictureArgs {
    /// Draw no pictures and write no report.html
    #[arg(long)]
    no_plots: bool,
    /// How many pixels wide pictures are
    #[arg(long, value_name = "PX", default_value_t = Width::NORMAL, conflicts_with = "no_plots")]
    width: Width,
}

impl PictureArgs {
    fn wanted(&self) -> Pictures {
        if self.no_plots { Pictures::Skip } else { Pictures::Draw(self.width) }
    }
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
}

/// Does what the arguments of the process say.
///
/// Wrong arguments and requests for help end the process here, as is usual for commands.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(error),
    };
    match cli.command {
        Command::Run(args) => conclude(args.request().and_then(|request| run::run(&request))),
        Command::Explain(args) => {
            let format = format(args.json, false);
            let (folder, rumor, node) = (args.run.as_path(), args.rumor.as_deref(), args.node);
            conclude(explain::run(&explain::Request { folder, rumor, node, format }))
        }
        Command::Diff(args) => conclude(diff::run(&args.a, &args.b)),
        Command::Sweep(args) => conclude(commands::sweep::run(&args.request())),
        Command::Compare(args) => conclude(commands::compare::run(&args.request())),
        Command::Fuzz(args) => conclude(args.run()),
        Command::Shrink(args) => conclude(commands::shrink::run(&args.request())),
        Command::Tune(args) => conclude(commands::tune::run(&args.request())),
        Command::Merge(args) => {
            let (folders, show) = args.parts();
            conclude(merge::run(&folders, &show))
        }
        #[cfg(feature = "testbed")]
        Command::NodeInNamespace => crate::testbed::run_guest(),
        Command::Check(args) => conclude(check::run(&args.files, &args.sets, paint(&io::stderr()))),
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

impl RunArgs {
    fn filter(&self) -> Result<Option<Filter>, Failure> {
        let (from, to) = (self.trace_from.unwrap_or_default(), self.trace_to);
        if to.is_some_and(|to| to <= from) {
            let why = "--trace-to must be later than --trace-from: nothing would be traced";
            return Err(Failure::wrong(why));
        }
        let filter = Filter {
            nodes: self.trace_node.clone(),
            rumors: self.trace_rumor.clone(),
            from_ns: nanos(from),
            to_ns: to.map(nanos),
        };
        Ok(self.trace.then_some(filter))
    }

    fn request(self) -> Result<Request, Failure> {
        let trace = self.filter()?;
        self.planted.as_deref().map_or(Ok(()), commands::planted::plant)?;
        Ok(Request {
            files: self.files,
            seed: self.seed,
            seeds: self.seeds,
            sets: self.sets,
            threads: self.threads,
            net: self.net,
            out: self.out,
            format: format(self.json, self.quiet),
            codec: if self.wire { Codec::RoundTrip } else { Codec::Skip },
            trace,
            pictures: self.pictures.wanted(),
            model: self.model,
            paint: paint(&io::stdout()),
            error_paint: paint(&io::stderr()),
            audience: watched(self.quiet),
        })
    }
}

/// JSON even where little is to be said: it was asked for.
fn format(json: bool, quiet: bool) -> Format {
    match (json, quiet) {
        (true, _) => Format::Json,
        (false, true) => Format::Nothing,
        (false, false) => Format::Table,
    }
}

/// Somebody watches where messages go to a terminal, and are wanted.
fn watched(quiet: bool) -> Audience {
    if io::stderr().is_terminal() && !quiet { Audience::Person } else { Audience::Nobody }
}

/// Colours on a terminal only, and not where the user asks for none (see no-color.org).
fn paint(stream: &impl IsTerminal) -> Paint {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
    match stream.is_terminal() && !refused && !dumb {
        true => Paint::Coloured,
        false => Paint::Plain,
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

    fn parsed(arguments: &str) -> Result<RunArgs, clap::Error> {
        match Cli::try_parse_from(arguments.split(' '))?.command {
            Command::Run(args) => Ok(args),
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_needs_nothing_but_a_file() {
        let request = parsed("sim run a.toml").unwrap().request().unwrap();
        assert_eq!((request.seed, request.seeds, request.threads), (1, None, None));
        assert_eq!((request.out, request.format), (PathBuf::from("out"), Format::Table));
        assert_eq!((request.codec, request.pictures), (Codec::Skip, Pictures::Draw(Width::NORMAL)));
    }

    #[test]
    fn counts_of_zero_are_refused() {
        for arguments in ["sim run a --seeds 0", "sim run a --threads 0", "sim run"] {
            assert_eq!(parsed(arguments).unwrap_err().exit_code(), 2, "{arguments}");
        }
    }

    #[test]
    fn a_trace_has_the_filters_that_were_typed_and_they_need_a_trace() {
        let request = parsed("sim run a --trace").unwrap().request().unwrap();
        assert!(request.trace.is_some_and(|filter| filter.is_open()));
        let typed = "sim run a --trace --trace-node 3 --trace-node 4 --trace-rumor join-0 \
                     --trace-from 2s --trace-to 2500ms";
        let request = parsed(typed).unwrap().request().unwrap();
        let expected = Filter {
            nodes: vec![3, 4],
            rumors: vec!["join-0".into()],
            from_ns: 2_000_000_000,
            to_ns: Some(2_500_000_000),
        };
        assert_eq!(request.trace, Some(expected));
        assert_eq!(parsed("sim run a --trace-node 3").unwrap_err().exit_code(), 2);
        let empty = parsed("sim run a --trace --trace-from 3s --trace-to 3s").unwrap();
        assert_eq!(empty.request().unwrap_err().exit, Exit::Wrong);
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
        let wide = parsed("sim run a --width 900").unwrap().request().unwrap().pictures;
        assert_eq!(wide.width().map(Width::pixels), Some(900));
        for arguments in ["sim run a --width 9", "sim run a --width 900 --no-plots"] {
            assert_eq!(parsed(arguments).unwrap_err().exit_code(), 2, "{arguments}");
        }
    }

    #[test]
    fn quiet_json_is_still_json() {
        let request = parsed("sim run a --json -q").unwrap().request().unwrap();
        assert_eq!((request.format, request.audience), (Format::Json, Audience::Nobody));
    }
}
