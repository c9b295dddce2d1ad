//! The hunt for planted faults.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use rayon::ThreadPool;
use rumormill::planted::{self, Planted};
use rumormill::units::nearest;
use serde::Serialize;
use toml::Table;

use crate::commands::fuzz::{self, FuzzRequest};
use crate::commands::progress::Progress;
use crate::commands::{Exit, Failure, Report, interrupt, trial};
use crate::explore::{self, Around, Broken, FindingTrial, Smallest};
use crate::reading;
use crate::report::human::count;
use crate::results::json::document;
use crate::scenario::ScenarioError;

/// What came of all: `planted.json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    seed: String,
    /// How many nodes a scenario had.
    nodes: [u32; 2],
    budget: u64,
    faults: &'a [HuntOutcome],
}

/// What came of one fault.
#[derive(Debug, Serialize)]
struct HuntOutcome {
    name: String,
    subject: String,
    kind: String,
    /// What the fault does.
    says: &'static str,
    found: Option<Found>,
}

/// How a fault was found.
#[derive(Debug, Serialize)]
struct Found {
    /// The law that it breaks.
    law: String,
    /// How many runs it took.
    runs: u64,
    /// The smallest scenario, beside this file.
    file: String,
    /// The seed with which it breaks the law.
    sim_seed: u64,
    /// Lines of the scenario.
    lines: usize,
    /// Node, time and what happened there.
    detail: String,
}

const SCHEMA: &str = "planted/1";
/// Runs that are judged together.
const BATCH: u64 = 32;
/// A scenario of so many lines is small enough.
const LINES: usize = 12;
/// So many that break are made small, in search of one that is small enough.
const SHRUNK_MAX: u32 = 4;

/// The faults of these names, with commas between them, or all.
fn faults(names: &str) -> Result<Vec<Planted>, Failure> {
    match names {
        "all" => Ok(Planted::ALL.to_vec()),
        names => names.split(',').map(|name| named(name.trim())).collect(),
    }
}

fn named(name: &str) -> Result<Planted, Failure> {
    Planted::named(name).ok_or_else(|| {
        let all: Vec<String> = Planted::ALL.iter().map(|fault| fault.name()).collect();
        let near = nearest(name, all.iter().map(String::as_str));
        let hint = near.map_or(all.join(", "), |near| format!("did you mean `{near}`?"));
        Failure::wrong(format!("--planted: no fault is called `{name}`: {hint}"))
    })
}

/// Plants the fault of this name for all that this process runs from now on.
///
/// # Errors
/// When there is none.
pub fn plant(name: &str) -> Result<(), Failure> {
    planted::plant(Some(named(name)?));
    Ok(())
}

/// Hunts.
///
/// # Errors
/// When there is no fault of a name, or results can't be written.
pub fn run(faults: &str, request: &FuzzRequest) -> Result<Report, Failure> {
    let faults = self::faults(faults)?;
    let folder = request.out.join("fuzz").join(format!("planted-seed-{}", request.seed));
    interrupt::install_saying("the scenarios of the faults that were found are kept");
    let pool = trial::pool(request.threads, BATCH as usize)?;
    let mut outcomes = Vec::new();
    for fault in faults {
        let found = match first(request, &pool, fault)? {
            Some((runs, smallest)) => Some(keep(&folder, fault, runs, &smallest)?),
            None => None,
        };
        outcomes.push(HuntOutcome {
            name: fault.name(),
            subject: fault.subject().to_string(),
            kind: fault.kind().to_string(),
            says: fault.says(),
            found,
        });
        save(&folder, request, &outcomes)?;
    }
    Ok(report(&outcomes, &folder, request.budget))
}

/// The first run that a fault breaks, and what it and perhaps later ones become when they are made
/// small: the first that is small enough, or the smallest.
fn first(
    request: &FuzzRequest,
    pool: &ThreadPool,
    fault: Planted,
) -> Result<Option<(u64, Smallest)>, Failure> {
    let budget = request.budget;
    let progress = Progress::steps(&fault.name(), budget, budget, request.talk.audience());
    let trial = |scenario: &Table, seed| by_fault(fault, scenario, seed);
    let mut best: Option<(u64, Smallest)> = None;
    let mut shrunk = 0;
    'search: for from in (0..budget).step_by(BATCH as usize) {
        let runs = from..(from + BATCH).min(budget);
        for (number, broken) in broken(request, pool, fault, runs, &progress)? {
            let smallest = explore::shrink_by(&trial, broken, fuzz::SHRINK_RUNS, &mut |_| {});
            best = match best {
                Some((first, best)) if size(&best) <= size(&smallest) => Some((first, best)),
                Some((first, _)) => Some((first, smallest)),
                None => Some((number + 1, smallest)),
            };
            shrunk += 1;
            let is_small = best.as_ref().is_some_and(|(_, best)| size(best) <= LINES);
            if is_small || shrunk == SHRUNK_MAX {
                break 'search;
            }
        }
    }
    progress.finish();
    Ok(best)
}

/// Those of some runs that a fault breaks and that hold without it, in order.
fn broken(
    request: &FuzzRequest,
    pool: &ThreadPool,
    fault: Planted,
    runs: Range<u64>,
    progress: &Progress,
) -> Result<Vec<(u64, Smallest)>, Failure> {
    let around = Around::Nothing(request.nodes.clone());
    let judged = planted_with(fault, || {
        trial::each(pool, (runs.end - runs.start) as usize, |place| {
            let number = runs.start + place as u64;
            let judged = fuzz::judge(&around, request.seed, number);
            progress.end_run();
            progress.advance(1);
            Ok(judged.map(|broken| (number, broken)))
        })
    });
    let broken = judged?.into_iter().flatten().map(|(number, broken)| {
        let scenario = explore::generate(&around, request.seed, number);
        (number, Smallest { scenario, seed: number, broken, runs: 0 })
    });
    Ok(broken.filter(|(number, first)| holds(&first.scenario, *number)).collect())
}

/// Does something while a fault is planted, and nothing after that.
fn planted_with<T>(fault: Planted, work: impl FnOnce() -> T) -> T {
    planted::plant(Some(fault));
    let done = work();
    planted::plant(None);
    done
}

fn size(smallest: &Smallest) -> usize {
    fuzz::lines(&explore::text(&smallest.scenario))
}

/// What a fault breaks of a scenario that holds without it.
fn by_fault(fault: Planted, scenario: &Table, seed: u64) -> Result<FindingTrial, ScenarioError> {
    match planted_with(fault, || FindingTrial::of(scenario, seed))? {
        FindingTrial::Broken(broken) if holds(scenario, seed) => Ok(FindingTrial::Broken(broken)),
        FindingTrial::Broken(_) | FindingTrial::Held => Ok(FindingTrial::Held),
    }
}

/// Whether a scenario breaks nothing when nothing is planted.
fn holds(scenario: &Table, seed: u64) -> bool {
    matches!(FindingTrial::of(scenario, seed), Ok(FindingTrial::Held))
}

/// What came of a scenario with a fault planted in the engine, and without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownFault {
    /// The law that is broken with it, if one is.
    pub with: Option<String>,
    /// The law that is broken without it, if one is.
    pub without: Option<String>,
}

/// Runs a scenario with a fault and without. For tests, one after the other: a fault is planted in
/// the whole process.
///
/// # Errors
/// When it is no scenario, with why.
pub fn shown(fault: Planted, text: &str, seed: u64) -> Result<ShownFault, String> {
    let scenario = text.parse::<Table>().map_err(|error| error.message().to_owned())?;
    let law = |trial: FindingTrial| match trial {
        FindingTrial::Broken(Broken { fingerprint, .. }) => Some(fingerprint.law),
        FindingTrial::Held => None,
    };
    let trial = || FindingTrial::of(&scenario, seed).map(law).map_err(|error| error.to_string());
    Ok(ShownFault { with: planted_with(fault, trial)?, without: trial()? })
}

/// Writes the smallest scenario of a fault.
fn keep(folder: &Path, fault: Planted, runs: u64, smallest: &Smallest) -> Result<Found, Failure> {
    let name = fault.name();
    let mut smallest = smallest.clone();
    smallest.scenario.insert("name".into(), name.clone().into());
    let file = format!("{name}.toml");
    let how = format!("{file} --seed {} --planted {name}", smallest.seed);
    let text = fuzz::shown_by(&smallest, &how);
    fuzz::write(&folder.join(&file), &text)?;
    let Broken { fingerprint, detail } = smallest.broken;
    let (law, sim_seed, lines) = (fingerprint.law, smallest.seed, fuzz::lines(&text));
    Ok(Found { law, runs, file, sim_seed, lines, detail })
}

fn save(folder: &Path, request: &FuzzRequest, faults: &[HuntOutcome]) -> Result<(), Failure> {
    let FuzzRequest { budget, seed, ref nodes, .. } = *request;
    let (seed, nodes) = (seed.to_string(), [*nodes.start(), *nodes.end()]);
    let json = document(&Document { schema: SCHEMA, seed, nodes, budget, faults });
    fuzz::write(&folder.join("planted.json"), &json)?;
    fuzz::write(&folder.join("planted.md"), &markdown(faults))
}

/// The table of a page that people read.
fn markdown(outcomes: &[HuntOutcome]) -> String {
    let mut text = "| fault | subject | kind | found by | in runs | lines |\n".to_owned();
    text += "|---|---|---|---|--:|--:|\n";
    for HuntOutcome { name, subject, kind, says, found } in outcomes {
        let found = match found {
            Some(Found { law, runs, lines, .. }) => {
                format!("`{law}` | {} | {lines}", count(*runs))
            }
            None => "nothing | | ".to_owned(),
        };
        text += &format!("| `{name}`: {says} | {subject} | {kind} | {found} |\n");
    }
    text
}

fn report(outcomes: &[HuntOutcome], folder: &Path, budget: u64) -> Report {
    let row = |cells: [&dyn Display; 5]| {
        let [name, kind, law, runs, lines] = cells.map(ToString::to_string);
        format!("{name:24} {kind:13} {law:24} {runs:>7} {lines:>6}\n")
    };
    let mut out = row([&"fault", &"kind", &"found by", &"runs", &"lines"]);
    for HuntOutcome { name, kind, found, .. } in outcomes {
        out += &match found {
            Some(Found { law, runs, lines, .. }) => row([name, kind, law, &count(*runs), lines]),
            None => row([name, kind, &"nothing", &count(budget), &""]).trim_end().to_owned() + "\n",
        };
    }
    let found = outcomes.iter().filter(|outcome| outcome.found.is_some()).count();
    out += &format!("{found} of {} faults found\n", outcomes.len());
    out += &format!("files: {}\n", reading::shown(folder));
    let exit = if found == outcomes.len() { Exit::Held } else { Exit::Failed };
    Report { out, err: String::new(), exit }
}
