//! `sim model --beside FILE`: the engine's rumor and other protocols on one network, seed by seed.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use rayon::prelude::*;

use super::progress::{Audience, Progress};
use super::run::Format;
use super::{Exit, Failure, Report, interrupt, trial};
use crate::reading::shown;
use crate::report::beside::{Beside, BesideWay, SpreadBeside};
use crate::report::files::{self, Pictures, StagedFiles};
use crate::report::{human, terminal};
use crate::results::json;
use crate::rivals::course::Course;
use crate::rivals::setting::Setting;
use crate::rivals::{MEMBERLIST, Rival, tellings_max};
use crate::scenario::plan::Plan;
use crate::scenario::{self, Paint, Scenario, ScenarioError, Set};
use crate::world::Options;

/// What the engine's way is called.
const ARCS: &str = "arcs";

/// What to run, and how to tell of it.
#[derive(Clone, Debug)]
pub struct BesideRequest {
    /// The scenario.
    pub file: PathBuf,
    /// The first seed.
    pub seed: u64,
    /// How many seeds from the first on.
    pub seeds: u64,
    /// `KEY=VALUE`s that replace values of the file.
    pub sets: Vec<String>,
    /// The rivals; if none are given, telling once with the scenario's fan-out, and memberlist.
    pub rivals: Vec<Rival>,
    /// Runs at a time; as many as the machine has processors if not given.
    pub threads: Option<NonZeroUsize>,
    /// The folder for results.
    pub out: PathBuf,
    /// What goes to standard output.
    pub format: Format,
    /// Whether there is a picture.
    pub pictures: Pictures,
    /// Whether tables have colours.
    pub paint: Paint,
    /// Whether errors have colours.
    pub error_paint: Paint,
    /// Who watches while it runs.
    pub audience: Audience,
}

/// Runs the engine and its rivals and tells of them.
///
/// # Errors
/// When the command or the scenario is wrong, or results can't be written; nothing is written then.
pub fn run(request: &BesideRequest) -> Result<Report, Failure> {
    let failure = |error: &_| failure(request, error);
    let sets = request.sets.iter().map(|set| Set::parse(set));
    let sets = sets.collect::<Result<Vec<Set>, _>>().map_err(|error| failure(&error))?;
    let scenario = scenario::load(&request.file, &sets).map_err(|error| failure(&error))?;
    let last = request.seed.checked_add(request.seeds - 1);
    let last = last.ok_or_else(|| Failure::wrong("--seed and --seeds are too large together"))?;
    let first = scenario.plan(request.seed).map_err(|error| failure(&error))?;
    setting(request, &first)?;
    let rivals = rivals(request, &first);
    interrupt::install();
    let stage = StagedFiles::new(&request.out)?;
    let runs = run_all(request, &scenario, &first, &rivals, last)?;
    let beside = Beside {
        scenario: first.name.clone(),
        nodes: first.nodes,
        seed: request.seed,
        ways: ways(&first, &rivals, &runs),
    };
    let name = files::folder_name(&scenario);
    files::write_beside(&stage.scenario_folder(&name)?, &beside, request.pictures)?;
    stage.publish()?;
    let folder = request.out.join(name).join(files::BESIDE);
    let out = match request.format {
        Format::Nothing => String::new(),
        Format::Json => json::document(&beside.document()),
        Format::Table => {
            let table = terminal::beside(&beside, request.paint);
            format!("{table}\nfiles: {}\n", shown(&folder))
        }
    };
    Ok(Report { out, err: String::new(), exit: Exit::Held })
}

fn setting<'a>(request: &BesideRequest, plan: &'a Plan) -> Result<Setting<'a>, Failure> {
    Setting::of(plan).map_err(|why| Failure::wrong(format!("{}: {why}", shown(&request.file))))
}

fn rivals(request: &BesideRequest, plan: &Plan) -> Vec<Rival> {
    if !request.rivals.is_empty() {
        return request.rivals.clone();
    }
    vec![Rival::PushOnce { fan_out: plan.engine.fan_out() as u32 }, MEMBERLIST]
}

/// For every seed up to the last: how the engine's rumor spread, then those of the rivals. What the
/// first one runs is laid out already.
fn run_all(
    request: &BesideRequest,
    scenario: &Scenario,
    first: &Plan,
    rivals: &[Rival],
    last: u64,
) -> Result<Vec<Vec<SpreadBeside>>, Failure> {
    let pool = trial::pool(request.threads, request.seeds as usize)?;
    let total =
        scenario.duration().saturating_mul(u32::try_from(request.seeds).unwrap_or(u32::MAX));
    let runs = request.seeds as usize;
    let progress = Progress::new(scenario.name(), runs, total, request.audience);
    let one = |seed: u64| {
        let plan = match seed == first.seed {
            true => Cow::Borrowed(first),
            false => Cow::Owned(scenario.plan(seed).map_err(|error| failure(request, &error))?),
        };
        run_one(request, &plan, rivals, &progress)
    };
    let seeds: Vec<u64> = (first.seed..=last).collect();
    let runs = pool.install(|| seeds.into_par_iter().map(one).collect());
    progress.finish();
    runs
}

fn failure(request: &BesideRequest, error: &ScenarioError) -> Failure {
    Failure::scenario(error, request.error_paint)
}

fn run_one(
    request: &BesideRequest,
    plan: &Plan,
    rivals: &[Rival],
    progress: &Progress,
) -> Result<Vec<SpreadBeside>, Failure> {
    let setting = setting(request, plan)?;
    let command = || trial::command(&request.file, plan.seed, &request.sets);
    let run = trial::run(plan, Options::default(), None, progress, command)?;
    let engine = SpreadBeside::of_engine(&run).ok_or_else(|| {
        let why = "the node that publishes last could not: give it less, or another node";
        Failure::wrong(format!("{}: {why}", shown(&request.file)))
    })?;
    let of_rival =
        |&rival: &Rival| SpreadBeside::of_rival(&Course::of(&setting, rival), plan.nodes);
    Ok(std::iter::once(engine).chain(rivals.iter().map(of_rival)).collect())
}

/// The runs, by way instead of by seed.
fn ways(plan: &Plan, rivals: &[Rival], runs: &[Vec<SpreadBeside>]) -> Vec<BesideWay> {
    let fan_out = plan.engine.fan_out();
    let spec = &plan.protocol.spec;
    let arcs = match spec.is_ours() {
        true => (ARCS.to_owned(), format!("the engine: rumors along arcs, fan-out {fan_out}")),
        false => (spec.name.to_owned(), spec.about.to_owned()),
    };
    let rivals = rivals.iter().map(|rival| (rival.to_string(), about(rival, plan.nodes)));
    let named = std::iter::once(arcs).chain(rivals).enumerate();
    let way = |(place, (name, about)): (usize, (String, String))| BesideWay {
        name,
        about,
        runs: runs.iter().map(|run| run[place].clone()).collect(),
    };
    named.map(way).collect()
}

fn about(rival: &Rival, nodes: u32) -> String {
    match *rival {
        Rival::PushOnce { fan_out } => {
            format!("a model: on first receipt, each node tells {fan_out} others once")
        }
        Rival::Periodic { fan_out, every, mult } => {
            let every = human::span(every.as_secs_f64() * 1_000.0);
            let most = tellings_max(mult, nodes);
            format!("a model: every {every} each node tells {fan_out} others, up to {most} in all")
        }
    }
}
