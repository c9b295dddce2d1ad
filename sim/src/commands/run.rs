//! `sim run`: runs scenarios, many seeds at a time, and reports what they showed.
//!
//! Runs share nothing and are collected in the order of files and seeds, so that the number of
//! threads can't be seen in any result. Nothing is printed or put in its place before all is done.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use rayon::prelude::*;
use rumormill::time::nanos;
use rumormill::units::parse_duration;

use super::arguments::{PictureArgs, ProtocolArgs, SEEDS_MAX, Talk};
use super::progress::Progress;
use super::{Failure, Report, interrupt, planted, trial};
use crate::clock::Stopwatch;
use crate::model::ModelSpread;
use crate::reading::shown;
use crate::report::files::{self, Pictures, StagedFiles};
use crate::report::plots::{SeedView, Seeds};
use crate::report::{html, human};
use crate::results::json;
use crate::results::summary::{FaultWindow, RunResult, SeriesRow, Summary};
use crate::results::timing::Timing;
use crate::scenario::plan::{Plan, SeedShare};
use crate::scenario::{self, Scenario, ScenarioError, Set};
use crate::stats::Share;
use crate::world::{Codec, Engines, Filter, Options, Tape};

mod both;
mod closing;
mod net;
mod rumors;
mod sizes;
mod theory;
mod worst;

pub use net::Net;

use net::RunPlace;
use worst::Worst;

/// What to run, and how to tell of it.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("quiet", |quiet| quiet.help(QUIET)))]
pub struct Request {
    /// Scenario files (TOML; scenarios/README.md is the reference); - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The seed of all chance in the run; with --seeds the first of them
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Run N seeds, S to S+N-1, and report over them: medians, spreads, shares
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    pub seeds: Option<u64>,
    /// Replace a value of the scenario, such as engine.fan_out=4 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// What the nodes speak.
    #[command(flatten)]
    pub protocol: ProtocolArgs,
    /// By what the nodes talk: virtual time, or real nodes in real time
    #[arg(long, value_enum, value_name = "NET", default_value_t)]
    pub net: Net,
    /// Threads: one for each run, or several where runs are few [default: one per processor];
    /// results don't depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// The folder for results; files of the same run are replaced, all others stay
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print JSON instead of tables: a summary, or with --seeds or several files all of them
    #[arg(long)]
    pub json: bool,
    /// Encode and decode every packet on its way; slower, with the same results
    #[arg(long)]
    pub wire: bool,
    /// Write everything that happens to trace.jsonl, for `sim explain` and `sim diff`
    #[arg(long)]
    pub trace: bool,
    /// Trace only what this node takes part in (repeatable)
    #[arg(long, value_name = "N", requires = "trace")]
    pub trace_node: Vec<u32>,
    /// Trace only packets with this rumor, such as metadata-0, and who learns it (repeatable)
    #[arg(long, value_name = "RUMOR", requires = "trace")]
    pub trace_rumor: Vec<String>,
    /// Trace only from this virtual time on, such as 20s
    #[arg(long, value_name = "TIME", requires = "trace", value_parser = parse_duration)]
    pub trace_from: Option<Duration>,
    /// Trace only up to this virtual time
    #[arg(long, value_name = "TIME", requires = "trace", value_parser = parse_duration)]
    pub trace_to: Option<Duration>,
    /// Whether pictures are drawn.
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// Draw the textbook's epidemic into the picture: push, pull or push-pull with the fan-out,
    /// loss and mean delay of the scenario
    #[arg(long, value_name = "WAY", conflicts_with = "no_plots")]
    pub model: Option<ModelSpread>,
    /// Plant this fault in the engine
    #[arg(long, value_name = "NAME", hide = !planted::IS_BUILT_IN)]
    pub planted: Option<String>,
    /// How much is said.
    #[command(flatten)]
    pub talk: Talk,
}

const QUIET: &str = "Print nothing but errors and failed expectations (and JSON where asked for)";

impl Request {
    /// What goes to standard output.
    fn format(&self) -> Format {
        self.talk.format(self.json)
    }

    /// What is written to the trace of each run, if there is one.
    pub(crate) fn filter(&self) -> Result<Option<Filter>, Failure> {
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
}

/// What goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tables for a person.
    Table,
    /// Summaries as JSON.
    Json,
    /// Nothing.
    Nothing,
}

/// A scenario with its place among the results.
struct Job {
    file: PathBuf,
    scenario: Scenario,
    place: RunPlace,
    /// That of its first seed, where it had to be known before anything ran.
    planned: Mutex<Option<Plan>>,
    folder: String,
    /// Of its seeds, where there are pictures over them.
    worst: Worst,
}

impl Job {
    /// What one seed runs.
    fn plan(&self, seed: u64) -> Result<Plan, ScenarioError> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = planned.take_if(|plan| plan.seed == seed);
        drop(planned);
        kept.map_or_else(|| self.scenario.plan(seed), Ok)
    }

    /// Keeps a plan for the run that is to come.
    #[cfg(any(test, feature = "testbed"))]
    fn keep(&self, plan: Plan) {
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }
}

/// How the work of all runs is shared out.
#[derive(Clone, Copy, Debug)]
struct Hands {
    threads: usize,
    engines: Engines,
}

/// What is kept of a run once its files are written.
struct Outcome {
    summary: Summary,
    wanted: SeedShare,
    /// The table, where one is printed for each run.
    table: String,
    /// What pictures over seeds need, where there are any.
    view: Option<SeedView>,
    /// What a comparison of two places needs, where there is one.
    series: Vec<SeriesRow>,
    fault_windows: Vec<FaultWindow>,
    /// Rumors that the run had no room to follow.
    rumors_left_out: u64,
}

/// Runs everything that is asked for.
///
/// # Errors
/// When the command or a scenario is wrong, or results can't be written; nothing is written then.
pub fn run(request: &Request) -> Result<Report, Failure> {
    request.filter()?;
    request.planted.as_deref().map_or(Ok(()), planted::plant)?;
    let jobs = load(request)?;
    no_shared_folders(request, &jobs)?;
    jobs.iter().try_for_each(|job| job.place.takes(request, job))?;
    let seeds = request.seed..=last_seed(request)?;
    interrupt::install();
    let stage = StagedFiles::new(&request.out)?;
    let runs: Vec<(&Job, u64)> =
        jobs.iter().flat_map(|job| seeds.clone().map(move |seed| (job, seed))).collect();
    let outcomes = run_all(request, &stage, &runs)?;
    rumors::check(request, &outcomes)?;
    let per_job = seeds.count();
    let outcomes: Vec<&[Outcome]> = outcomes.chunks(per_job).collect();
    if request.seeds.is_some() {
        for (job, outcomes) in jobs.iter().zip(&outcomes) {
            write_seeds(request, &stage, job, outcomes)?;
        }
    }
    if let Some(width) = request.pictures.wanted().width()
        && jobs.iter().all(|job| job.place.is_virtual())
        && let Some(sizes) = sizes::of(&jobs, &outcomes)
    {
        stage.write_sizes(&sizes, width)?;
    }
    let both = both::write(request, &stage, &jobs, &outcomes)?;
    stage.publish()?;
    Ok(closing::report(request, &jobs, &outcomes, &both))
}

/// Reads all files; every wrong one is told of.
fn load(request: &Request) -> Result<Vec<Job>, Failure> {
    let failure = |error: &_| Failure::scenario(error, request.talk.error_paint);
    let sets = request.sets.iter().map(|set| Set::parse(set));
    let sets = sets.collect::<Result<Vec<Set>, _>>().map_err(|error| failure(&error))?;
    let (mut jobs, mut failures) = (Vec::new(), Vec::new());
    for file in &request.files {
        match jobs_of(file, &sets, request.net) {
            Ok(of_file) => jobs.extend(of_file),
            Err(error) => failures.push(failure(&error)),
        }
    }
    if failures.is_empty() { Ok(jobs) } else { Err(Failure::all(&failures)) }
}

/// The jobs of one file: one for each place.
fn jobs_of(file: &Path, sets: &[Set], net: Net) -> Result<Vec<Job>, ScenarioError> {
    let typed = scenario::load(file, sets)?;
    let scenario = match net.set() {
        Some(set) => typed.with(&[set])?,
        None => typed.clone(),
    };
    let job = |place: RunPlace| {
        let folder = place.folder(&typed);
        Job {
            file: file.to_owned(),
            scenario: scenario.clone(),
            place,
            planned: Mutex::default(),
            folder,
            worst: Worst::default(),
        }
    };
    Ok(net.places(&scenario).into_iter().map(job).collect())
}

/// Two scenarios of one name would overwrite each other.
fn no_shared_folders(request: &Request, jobs: &[Job]) -> Result<(), Failure> {
    let mut owners: BTreeMap<&str, &Path> = BTreeMap::new();
    for job in jobs {
        if let Some(owner) = owners.insert(&job.folder, &job.file) {
            let folder = request.out.join(&job.folder);
            return Err(Failure::wrong(format!(
                "{} and {} would both write to {}: give the scenarios different names, or run \
                 them one by one with another --out",
                shown(owner),
                shown(&job.file),
                shown(&folder)
            )));
        }
    }
    Ok(())
}

fn last_seed(request: &Request) -> Result<u64, Failure> {
    let more = request.seeds.unwrap_or(1) - 1;
    request.seed.checked_add(more).ok_or_else(|| {
        let largest = u64::MAX - more;
        Failure::wrong(format!("--seed {} is too large: at most {largest} here", request.seed))
    })
}

/// Runs in parallel, collects in order.
fn run_all(
    request: &Request,
    stage: &StagedFiles,
    runs: &[(&Job, u64)],
) -> Result<Vec<Outcome>, Failure> {
    // Real nodes would take the processors from each other.
    let one = NonZeroUsize::MIN;
    let threads = if request.net == Net::Virtual { request.threads } else { Some(one) };
    let pool = trial::pool(threads, if request.net == Net::Virtual { usize::MAX } else { 1 })?;
    let threads = pool.current_num_threads();
    // Threads without a run of their own help with the engines of the others.
    let engines = if threads > runs.len() { Engines::SideBySide } else { Engines::OneByOne };
    let hands = Hands { threads, engines };
    let total = runs.iter().map(|(job, _)| job.scenario.duration()).sum();
    let name = match runs {
        [(first, _), ..] if runs.iter().all(|(job, _)| job.file == first.file) => {
            first.scenario.name().to_owned()
        }
        _ => human::counted(request.files.len() as u64, "scenario"),
    };
    let progress = Progress::new(&name, runs.len(), total, request.talk.audience());
    let one = |&(job, seed): &(&Job, u64)| run_one(request, stage, job, seed, hands, &progress);
    let outcomes = pool.install(|| runs.par_iter().map(one).collect());
    progress.finish();
    outcomes
}

fn run_one(
    request: &Request,
    stage: &StagedFiles,
    job: &Job,
    seed: u64,
    hands: Hands,
    progress: &Progress,
) -> Result<Outcome, Failure> {
    let plan = job.plan(seed);
    let plan = plan.map_err(|error| Failure::scenario(&error, request.talk.error_paint))?;
    let folder = stage.run_folder(&job.folder, seed)?;
    let filter = request.filter()?;
    let mut tape = filter.map(|filter| tape(&folder, &plan, &filter)).transpose()?;
    let since = Stopwatch::start();
    let mut run = simulate(request, job, &plan, tape.as_mut(), hands.engines, progress)?;
    run.theory = theory::asked(request, &job.scenario)?;
    let timing = Timing::new(&run.summary, since.elapsed(), hands.threads);
    tape.map_or(Ok(()), |tape| files::end_tape(&folder, tape))?;
    // Over seeds there is one picture of all, instead of hundreds that nobody looks at.
    let over_seeds = request.seeds.is_some();
    let pictures = if over_seeds { Pictures::Skip } else { request.pictures.wanted() };
    files::write_run(&folder, &plan.resolved, &run, &timing, pictures)?;
    if let Some(width) = pictures.width() {
        let page = html::Page { run: &run, plan: &plan, seeds: None };
        files::write_report(&folder, &page, width)?;
    }
    let table = closing::table(request, &run);
    let keeps_view = over_seeds && request.pictures.wanted() != Pictures::Skip;
    let view = keeps_view.then(|| SeedView::new(&run));
    if keeps_view {
        job.worst.offer(&plan, &run);
    }
    let mut summary = run.summary;
    let (mut series, mut fault_windows) = (Vec::new(), Vec::new());
    if request.net.is_both() {
        (series, fault_windows) = (run.series, run.fault_windows);
    } else {
        // Only pictures need the curves: thousands of seeds must not hold on to them.
        summary.rumors.iter_mut().for_each(|rumor| rumor.curve = Vec::new());
    }
    let wanted = plan.expect_seeds.clone();
    let rumors_left_out = run.rumors_left_out;
    Ok(Outcome { summary, wanted, table, view, series, fault_windows, rumors_left_out })
}

fn tape(folder: &Path, plan: &Plan, filter: &Filter) -> Result<Tape, Failure> {
    match filter.nodes.iter().find(|&&node| node >= plan.nodes_ever) {
        Some(node) => Err(Failure::wrong(format!(
            "--trace-node {node}: {} has nodes 0 to {}",
            plan.name,
            plan.nodes_ever.saturating_sub(1)
        ))),
        None => Ok(files::tape(folder, filter)?),
    }
}

/// One run, judged.
fn simulate(
    request: &Request,
    job: &Job,
    plan: &Plan,
    tape: Option<&mut Tape>,
    engines: Engines,
    progress: &Progress,
) -> Result<RunResult, Failure> {
    let options =
        Options { codec: if request.wire { Codec::RoundTrip } else { Codec::Skip }, engines };
    let reproduction = || closing::reproduction(request, &job.file, plan.seed);
    match job.place {
        RunPlace::Virtual => trial::run(plan, options, tape, progress, reproduction),
        #[cfg(feature = "testbed")]
        RunPlace::Real(net) => trial::judged(plan, reproduction, || {
            let result = crate::testbed::run(plan, net, tape, &mut progress.of_run())?;
            progress.end_run();
            Ok(result)
        }),
    }
}

/// Enough seeds held all expectations; a broken law is a failure in any of them.
fn held(outcomes: &[Outcome]) -> bool {
    let share = Share::new(outcomes.iter().map(|outcome| outcome.summary.ok));
    let laws = outcomes.iter().all(|outcome| trial::laws_hold(&outcome.summary));
    laws && share.reaches(outcomes[0].wanted.share)
}

fn write_seeds(
    request: &Request,
    stage: &StagedFiles,
    job: &Job,
    outcomes: &[Outcome],
) -> Result<(), Failure> {
    let summaries: Vec<Summary> = outcomes.iter().map(|outcome| outcome.summary.clone()).collect();
    let wanted = &outcomes[0].wanted;
    let runs = json::Runs { summaries: &summaries, wanted: (&wanted.text, wanted.share) };
    let folder = stage.scenario_folder(&job.folder)?;
    let aggregate = json::aggregate(&runs);
    let (Some((plan, run)), Some(width)) = (job.worst.take(), request.pictures.wanted().width())
    else {
        return Ok(files::write_seeds(&folder, &aggregate, None)?);
    };
    let seeds = Seeds {
        scenario: job.scenario.name().to_owned(),
        nodes: job.scenario.nodes(),
        end_ms: run.summary.virtual_ms,
        views: outcomes.iter().filter_map(|one| one.view.clone()).collect(),
        worst: worst::place(outcomes),
        fault_windows: run.fault_windows.clone(),
        theory: run.theory.clone(),
    };
    files::write_seeds(&folder, &aggregate, Some((&seeds, width)))?;
    let page = html::Page { run: &run, plan: &plan, seeds: Some((&seeds, &aggregate)) };
    Ok(files::write_report(&folder, &page, width)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_laid_out_before_anything_ran_is_not_laid_out_again() {
        let mut laid = Vec::new();
        let scenario = scenario::parse("a.toml", "name = 'a'\nnodes = 2\nduration = '1s'", &[]);
        let job = Job {
            file: "a.toml".into(),
            scenario: scenario.unwrap(),
            place: RunPlace::Virtual,
            planned: Mutex::default(),
            folder: "a".to_owned(),
            worst: Worst::default(),
        };
        job.keep(Plan { name: "kept".to_owned(), ..job.plan(2).unwrap() });
        for seed in [1, 2, 2] {
            laid.push(job.plan(seed).unwrap().name);
        }
        assert_eq!(laid, ["a", "kept", "a"], "another seed leaves it for its own");
    }
}
