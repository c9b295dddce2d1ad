//! `sim fuzz`: random scenarios until a law breaks, and the smallest scenario of each failure.
//!
//! Runs are numbered, and each follows from the seed and its number alone. They are judged a
//! batch at a time, in order, so that the findings don't depend on the number of threads; after
//! each batch all that is known is on disk, and the same command goes on from there.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rumormill::units::parse_duration;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::arguments::Talk;
use super::progress::Progress;
use super::{Exit, Failure, Report, interrupt, planted, trial};
use crate::clock::Stopwatch;
use crate::explore::{self, Around, Broken, FindingTrial, Fingerprint, Smallest};
use crate::reading::{self, ReadError, shown};
use crate::scenario;
use crate::writing;

/// What to explore, and for how long.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("quiet", |quiet| quiet.help(QUIET)))]
pub struct FuzzRequest {
    /// A scenario to which more faults are added [default: any scenario is drawn]
    pub file: Option<PathBuf>,
    /// Runs, those of earlier calls included
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// Real time instead of a number of runs, such as 10m
    #[arg(long = "for", value_name = "TIME", conflicts_with = "runs",
          value_parser = parse_duration)]
    pub time: Option<Duration>,
    /// The seed of all that is drawn
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Plant these faults in the engine, one at a time, and say which law finds each: all, or names
    #[arg(long, value_name = "NAMES", conflicts_with_all = ["file", "runs", "time"],
          hide = !planted::IS_BUILT_IN)]
    pub planted: Option<String>,
    /// Runs after which a planted fault counts as not found
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "planted",
          value_parser = clap::value_parser!(u64).range(1..), hide = !planted::IS_BUILT_IN)]
    pub budget: u64,
    /// How many nodes a scenario has, such as 5..=30
    #[arg(long, value_name = "RANGE", default_value = "2..=40", value_parser = nodes,
          conflicts_with = "file")]
    pub nodes: RangeInclusive<u32>,
    /// Runs at a time [default: one per processor]; results don't depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// How much is said.
    #[command(flatten)]
    pub talk: Talk,
}

/// What `--quiet` does where only progress is worth keeping quiet about.
pub(super) const QUIET: &str = "Print nothing while it runs";

impl FuzzRequest {
    fn until(&self) -> Until {
        self.time.map_or(Until::Runs(self.runs), Until::Elapsed)
    }
}

/// When to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// After so many runs, those of earlier calls included.
    Runs(u64),
    /// After so much real time; the runs of the last batch are finished.
    Elapsed(Duration),
}

/// What is known so far: `findings.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Findings {
    schema: String,
    seed: String,
    /// What the scenarios are drawn from: findings of one draw don't go on with another.
    drawn_from: String,
    /// Runs that were judged.
    runs: u64,
    findings: Vec<Finding>,
}

/// A failure that is unlike the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Finding {
    /// Of the smallest scenario.
    fingerprint: Fingerprint,
    /// Node, time and what happened there.
    detail: String,
    /// The first run that met it.
    run: u64,
    /// How many runs met one like it.
    times: u64,
    /// The smallest scenario, beside this file.
    file: String,
    /// The seed with which it fails.
    sim_seed: u64,
    /// Lines of it.
    lines: usize,
    /// What it looked like before it was made smaller.
    seen_as: Vec<Fingerprint>,
}

/// Larger clusters show nothing here that smaller ones don't, and few fit into a minute.
const NODES: RangeInclusive<u32> = 1..=200;
const SCHEMA: &str = "findings/1";
/// Runs that are judged together.
const BATCH: u64 = 256;
/// Runs that making one scenario smaller may take.
pub(super) const SHRINK_RUNS: u64 = 1_500;
/// Failures that are made smaller; of more there is something else to do first.
const FINDINGS_MAX: usize = 64;
/// Longest `findings.json` that is gone on from, in bytes.
const FINDINGS_LEN_MAX: u64 = 1 << 20;

/// Explores.
///
/// # Errors
/// When the command is wrong, or results can't be written.
pub fn run(request: &FuzzRequest) -> Result<Report, Failure> {
    if let Some(faults) = &request.planted {
        return planted::run(faults, request);
    }
    let around = around(request)?;
    let folder = request.out.join("fuzz").join(format!("seed-{}", request.seed));
    let mut findings = resume(&folder, request, &around)?;
    interrupt::install_saying("findings are kept, and the same command goes on from there");
    let pool = trial::pool(request.threads, usize::try_from(BATCH).unwrap_or(usize::MAX))?;
    let since = Stopwatch::start();
    let steps = if let Until::Runs(runs) = request.until() { runs } else { 0 };
    let left = steps.saturating_sub(findings.runs);
    let progress = Progress::steps("fuzz", left, left, request.talk.audience());
    let first = findings.runs;
    while !is_over(request.until(), findings.runs, since) {
        let batch = batch(request.until(), findings.runs);
        let judged = trial::each(&pool, batch.end as usize - batch.start as usize, |place| {
            let number = batch.start + place as u64;
            let judged = judge(&around, request.seed, number);
            progress.end_run();
            progress.advance(1);
            Ok(judged.map(|broken| (number, broken)))
        })?;
        for (number, broken) in judged.into_iter().flatten() {
            take(&mut findings, &folder, &around, request.seed, (number, broken))?;
        }
        findings.runs = batch.end;
        save(&folder, &findings)?;
    }
    progress.finish();
    Ok(report(&findings, &folder, findings.runs - first, since.elapsed()))
}

fn around(request: &FuzzRequest) -> Result<Around, Failure> {
    let Some(file) = &request.file else { return Ok(Around::Nothing(request.nodes.clone())) };
    let read = scenario::load(file, &[]);
    let read = read.map_err(|error| Failure::scenario(&error, request.talk.error_paint))?;
    let table = read.resolved().parse::<Table>();
    table.map(Around::Scenario).map_err(|error| Failure::bug(&error.to_string(), "sim check"))
}

/// What was found by earlier calls.
fn resume(folder: &Path, request: &FuzzRequest, around: &Around) -> Result<Findings, Failure> {
    let drawn_from = match around {
        Around::Nothing(nodes) => format!("{}..={} nodes", nodes.start(), nodes.end()),
        Around::Scenario(scenario) => explore::text(scenario),
    };
    let path = folder.join("findings.json");
    let bytes = match reading::bytes(&path, FINDINGS_LEN_MAX) {
        Ok(bytes) => bytes,
        Err(ReadError::Missing { .. }) => {
            let (schema, seed) = (SCHEMA.to_owned(), request.seed.to_string());
            return Ok(Findings { schema, seed, drawn_from, runs: 0, findings: Vec::new() });
        }
        Err(error) => return Err(error.into()),
    };
    let wrong = |why: &str| {
        Failure::wrong(format!("{}: {why}; name another --out or --seed", shown(&path)))
    };
    let found: Findings =
        serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
    match () {
        () if found.schema != SCHEMA => Err(wrong("these are no findings of this version")),
        () if found.drawn_from != drawn_from => {
            Err(wrong("these findings are of other scenarios, so there is nothing to go on from"))
        }
        () => Ok(found),
    }
}

fn is_over(until: Until, runs: u64, since: Stopwatch) -> bool {
    match until {
        Until::Runs(most) => runs >= most,
        Until::Elapsed(most) => since.elapsed() >= most,
    }
}

/// Batches begin at the same numbers however often the command was called.
fn batch(until: Until, runs: u64) -> std::ops::Range<u64> {
    let end = (runs / BATCH + 1) * BATCH;
    let most = if let Until::Runs(most) = until { most } else { u64::MAX };
    runs..end.min(most)
}

/// What one run broke.
pub(super) fn judge(around: &Around, seed: u64, number: u64) -> Option<Broken> {
    let scenario = explore::generate(around, seed, number);
    match FindingTrial::of(&scenario, number) {
        Ok(FindingTrial::Broken(broken)) => Some(broken),
        // Not everything that is drawn is a scenario: nodes that are down can't do much.
        Ok(FindingTrial::Held) | Err(_) => None,
    }
}

/// Notes a failure; the first of its kind is made smaller.
fn take(
    findings: &mut Findings,
    folder: &Path,
    around: &Around,
    seed: u64,
    (number, broken): (u64, Broken),
) -> Result<(), Failure> {
    let print = &broken.fingerprint;
    let known = |finding: &&mut Finding| finding.seen_as.iter().any(|seen| seen.is_like(print));
    if let Some(finding) = findings.findings.iter_mut().find(known) {
        finding.times += 1;
        return Ok(());
    }
    if findings.findings.len() >= FINDINGS_MAX {
        return Ok(());
    }
    let scenario = explore::generate(around, seed, number);
    let first = Smallest { scenario, seed: number, broken: broken.clone(), runs: 0 };
    let mut smallest = explore::shrink(first, SHRINK_RUNS, &mut |_| {});
    let name = name_of(&smallest.broken.fingerprint, findings.findings.len());
    smallest.scenario.insert("name".into(), name.clone().into());
    let file = format!("{name}.toml");
    let text = explained(&smallest, &file);
    write(&folder.join(&file), &text)?;
    findings.findings.push(Finding {
        fingerprint: smallest.broken.fingerprint,
        detail: smallest.broken.detail,
        run: number,
        times: 1,
        file,
        sim_seed: smallest.seed,
        lines: lines(&text),
        seen_as: vec![broken.fingerprint],
    });
    Ok(())
}

fn name_of(print: &Fingerprint, place: usize) -> String {
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let law: String = print.law.chars().map(plain).collect();
    format!("{law}-{place}")
}

/// The file of a finding: what it shows, and the scenario.
pub(super) fn explained(smallest: &Smallest, file: &str) -> String {
    shown_by(smallest, &format!("{file} --seed {}", smallest.seed))
}

/// The same, which `sim run` shows with these arguments.
pub(super) fn shown_by(smallest: &Smallest, arguments: &str) -> String {
    let Broken { fingerprint, detail } = &smallest.broken;
    let law = &fingerprint.law;
    let detail: String = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let scenario = explore::text(&smallest.scenario);
    format!("# {law}: {detail}\n# sim run {arguments}\n{scenario}")
}

/// Lines that say something.
pub(super) fn lines(text: &str) -> usize {
    let says = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    text.lines().filter(says).count()
}

fn save(folder: &Path, findings: &Findings) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(findings).expect("findings have string keys");
    write(&folder.join("findings.json"), &json)
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    path.parent().map_or(Ok(()), writing::make_all)?;
    Ok(writing::write_whole(path, text)?)
}

fn report(findings: &Findings, folder: &Path, runs: u64, took: Duration) -> Report {
    let mut out = String::new();
    let mut by_law: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &findings.findings {
        by_law.entry(&finding.fingerprint.law).or_default().push(finding);
    }
    for (law, found) in by_law {
        out += &format!("{law}\n");
        for Finding { file, times, detail, sim_seed, lines, .. } in found {
            let file = folder.join(file);
            out += &format!("  {detail}\n  in {times} of {} runs, {lines} lines: ", findings.runs);
            out += &format!("sim run {} --seed {sim_seed}\n", trial::quoted_path(&file));
        }
    }
    let per_minute = runs as f64 / took.as_secs_f64().max(1e-9) * 60.0;
    let count = match findings.findings.len() {
        0 => "nothing broke".to_owned(),
        1 => "1 failure".to_owned(),
        count => format!("{count} failures that are unlike each other"),
    };
    let total = findings.runs;
    out += &format!("{count} in {total} runs ({runs} now, {per_minute:.0} a minute)\n");
    out += &format!("files: {}\n", shown(folder));
    let exit = if findings.findings.is_empty() { Exit::Held } else { Exit::Failed };
    Report { out, err: String::new(), exit }
}

/// A range of numbers of nodes; both ends belong to it.
fn nodes(text: &str) -> Result<RangeInclusive<u32>, String> {
    let wrong = || {
        let (least, most) = (NODES.start(), NODES.end());
        format!("this is no range: write it like 2..=40, from {least} to {most}")
    };
    let (first, last) = text.split_once("..=").ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| NODES.contains(number));
    let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
    if first <= last { Ok(first..=last) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_nodes_holds_both_its_ends_and_has_limits() {
        assert_eq!(nodes("2..=40"), Ok(2..=40));
        for wrong in ["2..40", "5", "0..=3", "9..=2", "2..=9999", "a..=b"] {
            assert!(nodes(wrong).unwrap_err().contains("1 to 200"), "{wrong}");
        }
    }
}
