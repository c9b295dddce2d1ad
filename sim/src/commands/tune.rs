//! `sim tune`: finds the setting that meets the targets at the least cost, and is sure of it.
//!
//! It searches by a race (see `race`) instead of a full grid: what fails or is dearer for
//! certain gets no further runs. What it recommends has held on fresh seeds.

mod paste;
mod race;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rayon::ThreadPool;
use sha2::{Digest, Sha256};

use self::race::{Candidate, Goal, LAST, Race, Track};
use super::arguments::{PictureArgs, ProtocolArgs, SEEDS_MAX, Talk};
use super::progress::Progress;
use super::run::Format;
use super::{Exit, Failure, Report, holds, interrupt, sweep, targets, trial};
use crate::measures::{self, Better, Measure, Unit};
use crate::percent::Percent;
use crate::reading::shown;
use crate::report::files::{self, StagedFiles};
use crate::report::tuning::{
    self, Fallen, Recommended, Target, TunedSetting, Tuning, TuningOrigin,
};
use crate::report::{human, terminal};
use crate::results::Figures;
use crate::results::json;
use crate::results::summary::RunResult;
use crate::scenario::plan::{Expectation, Plan};
use crate::stats::Sample;
use crate::sweep::{Axis, Choice, GridCell, GridError, SeedRange, Trial};
use crate::world::Options;
use crate::writing;

/// What is searched where `--vary` says nothing of it.
const USUAL: [&str; 2] = ["engine.fan_out=1,2,3,4,6,8", "engine.cycle=250ms,500ms,1s,2s,4s"];

/// What to tune, and how to tell of it.
#[derive(Clone, Debug, Args)]
pub struct TuneRequest {
    /// The scenario file; - is standard input
    pub file: PathBuf,
    /// What must hold: a measure of `sim measures`, an operator and a value (repeatable)
    #[arg(long = "target", value_name = "CONDITION", required = true)]
    pub targets: Vec<String>,
    /// The measure to keep as little as possible
    #[arg(long, value_name = "MEASURE", default_value = "bytes.with_headers")]
    pub minimize: String,
    /// The share of runs that must hold all targets
    #[arg(long, value_name = "PERCENT", default_value = "100%")]
    pub share: String,
    /// Search these values of a setting, beside or instead of the usual ones (repeatable)
    #[arg(long, value_name = "KEY=VALUES")]
    pub vary: Vec<String>,
    /// Replace a value of the scenario for all settings (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// What the nodes speak.
    #[command(flatten)]
    pub protocol: ProtocolArgs,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Fresh seeds on which the recommended setting must hold
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    pub fresh: u64,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print tune.json instead of tables
    #[arg(long)]
    pub json: bool,
    /// Whether pictures are drawn.
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// How much is said.
    #[command(flatten)]
    pub talk: Talk,
}

/// Searches, and tells what it found.
///
/// # Errors
/// When the command or the scenario is wrong, or results can't be written.
pub fn run(request: &TuneRequest) -> Result<Report, Failure> {
    let typed = targets::read(&request.targets)?;
    let share = Percent::parse(&request.share)
        .map_err(|why| Failure::wrong(format!("--share {}: {why}", request.share)))?;
    let minimize = minimized(&request.minimize)?;
    let seeds = SeedRange { first: request.seed, n: LAST as u64 + request.fresh };
    sweep::check_seeds(seeds)?;
    let choice = Choice::new(&request.file, &request.sets, axes(&request.vary)?, seeds)
        .map_err(|error| sweep::grid_failure(&error, request.talk.error_paint))?;
    let (cell, own) = &choice.cells[0];
    let plan = plan_of(request, &choice, *cell, own, request.seed)?;
    let targets = targets::with_own(typed, &plan)?;
    interrupt::install();
    let time = time_of(&plan, &targets);
    let bytes = measures::known("bytes.with_headers");
    let cost = if minimize.unit == Unit::Duration { bytes } else { minimize };
    let goal = Goal {
        targets,
        typed: request.targets.len(),
        share: share.share(),
        minimize,
        time,
        cost,
        detection: plan.crashes().then(|| measures::known("detection.all")),
        fresh: request.fresh as usize,
    };
    let progress = Progress::new(&plan.name, 0, Duration::ZERO, request.talk.audience());
    let pool = trial::pool(request.threads, choice.cells.len() * LAST)?;
    let mut runner = Runner { request, choice: &choice, pool, progress, runs: 0 };
    let race = race::run(choice.cells.len(), &goal, &mut runner);
    runner.progress.finish();
    let tuning = tuning_of(&runner, &goal, &race?, share)?;
    conclude(request, &choice, &tuning)
}

fn minimized(name: &str) -> Result<&'static Measure, Failure> {
    let measure = measures::find(name)
        .ok_or_else(|| Failure::wrong(format!("--minimize {name}: {}", measures::unknown(name))))?;
    match measure.better {
        Better::Higher => Err(Failure::wrong(format!(
            "--minimize {name}: more of it is better; ask for it by --target '{name} >= ...'"
        ))),
        Better::Lower | Better::Neither => Ok(measure),
    }
}

/// The usual axes, unless they are varied otherwise, and what is varied in addition.
fn axes(vary: &[String]) -> Result<Vec<Axis>, Failure> {
    let typed = vary.iter().map(|text| Axis::parse(text));
    let typed = typed.collect::<Result<Vec<Axis>, _>>().map_err(Failure::wrong)?;
    if let Some(other) = typed.iter().find(|axis| !axis.key.starts_with("engine.")) {
        return Err(Failure::wrong(format!(
            "--vary {}: only settings can be chosen, keys that begin with `engine.`; to see what \
             this one does use `sim sweep`, to fix it use --set",
            other.key
        )));
    }
    let usual = USUAL.into_iter().map(|text| Axis::parse(text).expect("the usual axes are right"));
    let usual = usual.filter(|usual| typed.iter().all(|axis| axis.key != usual.key));
    Ok(usual.chain(typed.clone()).collect())
}

/// The time of the front: that of the first target on a time, else until all agree.
fn time_of(plan: &Plan, targets: &[Expectation]) -> &'static Measure {
    let of_target = targets.iter().filter_map(|target| measures::find(&target.name));
    if let Some(measure) = of_target.into_iter().find(|measure| measure.unit == Unit::Duration) {
        return measure;
    }
    measures::known(match plan.publishes() {
        true => "metadata.converged_after",
        false => "node_list.converged_after_max",
    })
}

fn plan_of(
    request: &TuneRequest,
    choice: &Choice,
    cell: usize,
    own: &GridCell,
    seed: u64,
) -> Result<Plan, Failure> {
    own.scenario.plan(seed).map_err(|error| {
        let cell = Some(choice.plan.name(cell));
        let error = GridError::Scenario { cell, error: Box::new(error) };
        sweep::grid_failure(&error, request.talk.error_paint)
    })
}

/// Runs settings with seeds, in parallel, and counts.
struct Runner<'a> {
    request: &'a TuneRequest,
    choice: &'a Choice,
    pool: ThreadPool,
    progress: Progress,
    runs: usize,
}

impl Track for Runner<'_> {
    type Error = Failure;

    fn run(&mut self, pairs: &[(usize, usize)]) -> Result<Vec<Figures>, Failure> {
        let duration =
            |&(place, _): &(usize, usize)| self.choice.cells[place].1.scenario.duration();
        self.progress.expect(pairs.len(), pairs.iter().map(duration).sum());
        self.runs += pairs.len();
        let piece = |number: usize| {
            let (place, seed) = pairs[number];
            let trial = Trial::of(&self.one(place, seed as u64)?.summary);
            match trial.broken_laws.first() {
                None => Ok(trial.figures),
                Some(law) => Err(Failure { text: format!("error: {law}"), exit: Exit::Failed }),
            }
        };
        trial::each(&self.pool, pairs.len(), piece)
    }
}

impl Runner<'_> {
    fn one(&self, place: usize, seed: u64) -> Result<RunResult, Failure> {
        let (cell, own) = &self.choice.cells[place];
        let seed = self.request.seed + seed;
        let plan = plan_of(self.request, self.choice, *cell, own, seed)?;
        let reproduction = || trial::command(&self.request.file, seed, &own.sets);
        trial::run(&plan, Options::default(), None, &self.progress, reproduction)
    }
}

fn tuning_of(
    runner: &Runner<'_>,
    goal: &Goal,
    race: &Race,
    share: Percent,
) -> Result<Tuning, Failure> {
    let choice = runner.choice;
    let settings: Vec<TunedSetting> = (0..choice.cells.len())
        .map(|place| setting(goal, &choice.cells[place], &race.candidates[place].runs))
        .collect();
    let targets = goal.targets.iter().enumerate();
    let targets = targets.map(|(number, target)| told(goal, race, &settings, number, target));
    let mut tuning = Tuning {
        plan: choice.plan.clone(),
        targets: targets.collect(),
        share: (share.to_string(), goal.share),
        minimize: goal.minimize,
        time: goal.time,
        cost: goal.cost,
        runs: runner.runs,
        refused: choice.refused.len(),
        front: race.front(goal),
        fallen: fallen(goal, race),
        recommended: race.winner.map(|place| recommended(runner, goal, race, place)),
        nearest: None,
        hint: None,
        settings,
    };
    if tuning.recommended.is_none() {
        tuning.nearest = nearest(goal, &race.candidates);
        tuning.hint = tuning.nearest.map_or(Ok(None), |place| hint(runner, &tuning, place))?;
    }
    Ok(tuning)
}

fn setting(goal: &Goal, (cell, own): &(usize, GridCell), runs: &[Figures]) -> TunedSetting {
    let sample = |measure: &Measure| Sample::new(runs.iter().map(|run| run.get(measure)));
    let of_target = |target: &Expectation| sample(measure_of(target));
    let wrong = measures::known("removals.false");
    let timeout = own.scenario.engine().timeout();
    TunedSetting {
        cell: *cell,
        held: goal.held(runs),
        time: sample(goal.time),
        cost: sample(goal.cost),
        minimized: sample(goal.minimize),
        targets: goal.targets.iter().map(of_target).collect(),
        timeout_ms: timeout.as_secs_f64() * 1e3,
        detection: goal.detection.map(sample),
        holds: holds::holds(&own.scenario),
        false_removals: runs.iter().filter_map(|run| run.get(wrong)).sum::<f64>() as u64,
    }
}

/// Who was verified and did not win, cheapest first.
fn fallen(goal: &Goal, race: &Race) -> Vec<Fallen> {
    let verified = |place: &usize| !race.candidates[*place].fresh.is_empty();
    let lost = |place: &usize| race.winner != Some(*place);
    let mut places: Vec<usize> = (0..race.candidates.len()).filter(verified).filter(lost).collect();
    let cost = |place: usize| race.candidates[place].median(goal.minimize);
    places.sort_by(|&a, &b| cost(a).total_cmp(&cost(b)));
    let held = |place: usize| goal.held(&race.candidates[place].fresh);
    places.into_iter().map(|setting| Fallen { setting, held: held(setting) }).collect()
}

fn measure_of(target: &Expectation) -> &'static Measure {
    measures::find(&target.name).expect("targets name measures")
}

/// How the settings fared with one target alone.
fn told(
    goal: &Goal,
    race: &Race,
    settings: &[TunedSetting],
    number: usize,
    target: &Expectation,
) -> Target {
    let met = |candidate: &&Candidate| {
        let held = candidate.runs.iter().map(|run| goal.holds(target, run));
        crate::stats::Share::new(held).reaches(goal.share)
    };
    let excess = |place: &usize| excess(target, settings[*place].targets[number].median());
    let known = (0..settings.len()).filter(|place| excess(place).is_finite());
    Target {
        text: targets::text(target),
        origin: if number < goal.typed { TuningOrigin::Typed } else { TuningOrigin::File },
        measure: measure_of(target),
        limit: target.value,
        met_by: race.candidates.iter().filter(met).count(),
        best: known.min_by(|a, b| excess(a).total_cmp(&excess(b))),
    }
}

/// How far a figure is beyond a target, in parts of its limit; negative when it holds with room.
fn excess(target: &Expectation, got: Option<f64>) -> f64 {
    use crate::measures::Operator::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
    let Some(got) = got else { return f64::INFINITY };
    let beyond = (got - target.value) / target.value.abs().max(1.0);
    match target.operator {
        Less | AtMost => beyond,
        Greater | AtLeast => -beyond,
        Equal => beyond.abs(),
        NotEqual => f64::from(u8::from(got == target.value)),
    }
}

/// The setting that held in most runs; of equals the one whose worst runs are least beyond.
fn nearest(goal: &Goal, candidates: &[Candidate]) -> Option<usize> {
    let badness = |place: &usize| {
        let runs = &candidates[*place].runs;
        let held = goal.held(runs);
        let beyond = |target: &Expectation| {
            let worst = runs.iter().map(|run| excess(target, run.get(measure_of(target))));
            worst.fold(f64::NEG_INFINITY, f64::max).max(0.0)
        };
        let share = held.held as f64 / held.n.max(1) as f64;
        (-share, goal.targets.iter().map(beyond).sum::<f64>())
    };
    (0..candidates.len()).min_by(|a, b| {
        let (a, b) = (badness(a), badness(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    })
}

fn recommended(runner: &Runner<'_>, goal: &Goal, race: &Race, place: usize) -> Recommended {
    let cell = &runner.choice.cells[place];
    let mut keys: Vec<&str> = runner.choice.plan.axes.iter().map(Axis::short).collect();
    // It may follow from the cycle, and is what decides when the dead are removed.
    if !keys.contains(&"timeout") {
        keys.push("timeout");
    }
    let rows = paste::rows(&cell.1.scenario, &keys);
    let first = runner.request.seed + LAST as u64;
    Recommended {
        setting: place,
        fresh: setting(goal, cell, &race.candidates[place].fresh),
        seeds: (first, first + (goal.fresh as u64 - 1)),
        block: paste::block(&rows),
        builder: paste::builder(&rows),
    }
}

/// Why no setting can reach a publish in time: it was made while the network was parted.
fn hint(runner: &Runner<'_>, tuning: &Tuning, place: usize) -> Result<Option<String>, Failure> {
    let failed = tuning.targets.iter().filter(|target| target.met_by == 0);
    let of_publish = |target: &&Target| target.measure.name.contains("metadata.t");
    let Some(target) = failed.into_iter().find(of_publish) else { return Ok(None) };
    let run = runner.one(place, 0)?;
    let last = run.summary.rumors.iter().filter(|rumor| rumor.kind == "metadata");
    let Some(start) = last.map(|rumor| rumor.start_ms).reduce(f64::max) else { return Ok(None) };
    let parted = run.fault_windows.iter().find(|window| {
        let cuts = window.text.starts_with("partition") || window.text.starts_with("isolate");
        cuts && window.from_ms <= start && start < window.to_ms
    });
    Ok(parted.map(|window| {
        format!(
            "No setting can meet `{}`: the last publish, at {}, is made during `{}`, which ends {} \
             later. From there on counts: metadata.converged_after",
            target.text,
            human::moment(start),
            window.text,
            human::span(window.to_ms - start)
        )
    }))
}

fn conclude(request: &TuneRequest, choice: &Choice, tuning: &Tuning) -> Result<Report, Failure> {
    let folder = folder(request, choice);
    let stage = StagedFiles::new(&request.out)?;
    let place = stage.root().join(&folder);
    writing::make_all(&place)?;
    let own =
        tuning.recommended.as_ref().map(|own| choice.cells[own.setting].1.scenario.resolved());
    files::write_tuning(&place, tuning, own, request.pictures.wanted())?;
    stage.publish()?;
    let out = match request.talk.format(request.json) {
        Format::Nothing => String::new(),
        Format::Json => json::document(&tuning::document(tuning)),
        Format::Table => page(request, tuning, &request.out.join(&folder)),
    };
    let exit = if tuning.recommended.is_some() { Exit::Held } else { Exit::Failed };
    let recommended = tuning.recommended.as_ref().map(|own| &choice.cells[own.setting].1.scenario);
    let warning = recommended.and_then(holds::warning).unwrap_or_default();
    Ok(Report { out, err: warning + &told_failure(tuning), exit })
}

/// The folder of what was asked for: another question has another folder.
fn folder(request: &TuneRequest, choice: &Choice) -> PathBuf {
    let asked = format!(
        "{:?}",
        (
            &choice.plan.axes,
            &request.targets,
            &request.share,
            &request.minimize,
            request.seed,
            request.fresh,
            choice.cells.iter().map(|(_, own)| own.scenario.resolved()).collect::<Vec<_>>(),
        )
    );
    let digest = Sha256::digest(asked.as_bytes());
    let hex: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    Path::new(&*choice.plan.scenario).join(format!("tune-{hex}"))
}

fn page(request: &TuneRequest, tuning: &Tuning, folder: &Path) -> String {
    let mut text = terminal::tuning(tuning, request.talk.paint);
    text += &format!("\nfiles: {}\n", shown(folder));
    if !request.pictures.no_plots {
        text += &format!("to look at: {}\n", shown(&folder.join("front.png")));
    }
    text
}

/// In a line each, what no setting meets.
fn told_failure(tuning: &Tuning) -> String {
    let Some(nearest) = tuning.nearest else { return String::new() };
    let failed = tuning.targets.iter().filter(|target| target.met_by == 0);
    let mut texts: Vec<String> =
        failed.map(|target| format!("no setting meets {}", target.text)).collect();
    if texts.is_empty() {
        texts.push("no setting meets all targets in enough runs".to_owned());
    }
    format!("{}; nearest: {}\n", texts.join("; "), tuning.name(nearest))
}
