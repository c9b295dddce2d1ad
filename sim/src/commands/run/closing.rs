//! What `sim run` says at its end: tables or JSON, where the files are, what to type next.

use std::path::Path;

use super::{Format, Job, Net, Outcome, Request, held, worst};
use crate::commands::{Exit, Report, holds, trial, unheard};
use crate::reading::shown;
use crate::report::files::Pictures;
use crate::report::terminal::{self, WIDTH};
use crate::results::json::{self, Runs, Summaries};
use crate::results::summary::{RunResult, Summary};

/// Seeds that the hint at the end proposes.
const SEEDS_HINT: u32 = 20;

/// The table of one run, where one is wanted.
pub(super) fn table(request: &Request, run: &RunResult) -> String {
    match (request.format(), request.seeds) {
        (Format::Table, None) => terminal::run(run, request.talk.paint),
        _ => String::new(),
    }
}

/// Of settings that can't hold, once for each file.
fn warnings(jobs: &[Job]) -> String {
    let of_job = |job: &Job| [holds::warning(&job.scenario), unheard::warning(&job.scenario)];
    let mut warnings: Vec<_> = jobs.iter().flat_map(of_job).flatten().collect();
    warnings.dedup();
    warnings.concat()
}

/// Everything that is printed, and the exit code; `both` is what is said of both places together.
pub(super) fn report(
    request: &Request,
    jobs: &[Job],
    outcomes: &[&[Outcome]],
    both: &[String],
) -> Report {
    let pairs = || jobs.iter().zip(outcomes.iter().copied());
    let out = match request.format() {
        Format::Nothing => String::new(),
        Format::Json => document(request, outcomes),
        Format::Table => {
            let pages = pairs().map(|(job, outcomes)| page(request, job, outcomes));
            let pages: Vec<String> = pages.chain(both.iter().cloned()).collect();
            pages.join("\n\n")
        }
    };
    let failed: Vec<String> = pairs()
        .filter(|(_, outcomes)| !held(outcomes))
        .map(|(job, outcomes)| failure(request, job, outcomes))
        .collect();
    let exit = if failed.is_empty() { Exit::Held } else { Exit::Failed };
    Report { out, err: warnings(jobs) + &failed.concat(), exit }
}

/// The command that shows a run again.
pub(super) fn reproduction(request: &Request, file: &Path, seed: u64) -> String {
    let mut command = trial::command(file, seed, &request.sets);
    if request.net != Net::Virtual {
        command += &format!(" --net {}", request.net.name());
    }
    if request.wire {
        command += " --wire";
    }
    command
}

fn document(request: &Request, outcomes: &[&[Outcome]]) -> String {
    if let (None, [[only]]) = (request.seeds, outcomes) {
        return json::document(&only.summary);
    }
    let summaries: Vec<Vec<Summary>> = outcomes
        .iter()
        .map(|outcomes| outcomes.iter().map(|outcome| outcome.summary.clone()).collect())
        .collect();
    let runs = summaries.iter().zip(outcomes).map(|(summaries, outcomes)| {
        let wanted = &outcomes[0].wanted;
        Runs { summaries, wanted: (&wanted.text, wanted.share) }
    });
    json::document(&Summaries::new(&runs.collect::<Vec<_>>()))
}

/// The table of a scenario, and below it where to look further.
fn page(request: &Request, job: &Job, outcomes: &[Outcome]) -> String {
    let folder = request.out.join(&job.folder);
    let (table, files, next) = match request.seeds {
        None => {
            let files = folder.join(format!("seed-{}", request.seed));
            let mut next = reproduction(request, &job.file, request.seed);
            next += &format!(" --seeds {SEEDS_HINT}");
            let mut next = trial::hint("how other seeds fare", &next);
            if request.trace {
                let explain = format!("sim explain {}", trial::quoted_path(&files));
                next += &format!("\n{}", trial::hint("who told whom, and when", &explain));
            }
            (outcomes[0].table.clone(), files, next)
        }
        Some(_) => {
            let worst = worst::place(outcomes);
            let next = reproduction(request, &job.file, request.seed + worst as u64);
            let called = if outcomes[worst].summary.ok { "slowest" } else { "worst" };
            (
                seeds_table(request, outcomes),
                folder,
                trial::hint(&format!("the {called} seed"), &next),
            )
        }
    };
    let picture = match request.pictures.wanted() {
        Pictures::Draw(_) => format!("\nto look at: {}", shown(&files.join("report.html"))),
        Pictures::Skip => String::new(),
    };
    format!("{table}\nfiles: {}{picture}\n{next}\n", shown(&files))
}

fn seeds_table(request: &Request, outcomes: &[Outcome]) -> String {
    let summaries: Vec<Summary> = outcomes.iter().map(|outcome| outcome.summary.clone()).collect();
    let wanted = &outcomes[0].wanted;
    let wanted = (wanted.text.as_str(), wanted.share);
    terminal::seeds(&summaries, worst::place(outcomes), wanted, request.talk.paint)
}

/// What failed, in a line each, and the one command that shows it again.
fn failure(request: &Request, job: &Job, outcomes: &[Outcome]) -> String {
    let place = worst::place(outcomes);
    let summary = &outcomes[place].summary;
    let command = reproduction(request, &job.file, request.seed + place as u64);
    let laws = summary.invariants.iter().filter(|law| !law.ok);
    let laws = laws.map(|law| format!("the law `{}` is broken", law.name));
    let expectations = summary.expectations.iter().filter(|result| !result.ok);
    let expectations = expectations.map(|result| {
        let got = terminal::measured(&result.name, &result.got);
        format!("expected {} {}, got {got}", result.name, result.want)
    });
    let causes: Vec<String> = laws.chain(expectations).collect();
    let (file, seed) = (shown(&job.file), &summary.seed);
    let head = format!("{file}: seed {seed} failed:");
    let line = format!("{head} {}", causes.join("; "));
    let told = match line.chars().count() <= WIDTH {
        true => line,
        false => format!("{head}\n  {}", causes.join("\n  ")),
    };
    format!("{told}\n{}\n", trial::hint("reproduce", &command))
}
