//! `sim explain RUN`: who told whom when, and why a node was late or missed.
//!
//! The tree of who told whom comes from `rumors.csv`, which every run has. What became of the
//! packets that did not bring the news is only known with a trace.

mod log;
mod node;
mod path;
mod receipts;
#[cfg(test)]
mod tests;
mod why;

use std::path::Path;

use rumormill::units::nearest;
use serde::Serialize;

use self::receipts::{Receipt, ReceiptFigures, ReceiptSpread, ReceiptsRun};
use super::run::Format;
use super::trial::{hint, quoted_path};
use super::{Exit, Failure, Report};
use crate::report::human;
use crate::results::json::document;
use crate::scenario::plan::NodeNo;

/// Lines of a tree; a larger one is told of by its first.
const TREE_LINES_MAX: usize = 200;

/// The schema of what `--json` prints.
const SCHEMA: &str = "explain/1";

/// What is to be told of a run.
#[derive(Clone, Copy, Debug)]
pub struct ExplainRequest<'a> {
    /// The folder of the run.
    pub folder: &'a Path,
    /// One of its rumors.
    pub rumor: Option<&'a str>,
    /// One of its nodes.
    pub node: Option<NodeNo>,
    /// For whom.
    pub format: Format,
}

/// Tells of a run: its rumors, how one of them spread, a node's part in that, or all of a node.
///
/// # Errors
/// When the folder is none of a run, or it has no such rumor or node.
pub fn run(request: &ExplainRequest<'_>) -> Result<Report, Failure> {
    let run = ReceiptsRun::read(request.folder)?;
    let is_json = request.format == Format::Json;
    let out = match (request.rumor, request.node) {
        (None, None) if is_json => document(&Listed {
            schema: SCHEMA,
            scenario: &run.scenario,
            seed: &run.seed,
            rumors: &run.rumors,
        }),
        (None, None) => list(&run, request.folder),
        (None, Some(node)) => {
            let told = node::tell(&run, node)?;
            if is_json { document(&told) } else { told.text(&run) }
        }
        (Some(rumor), None) => {
            let spread = spread(&run, rumor)?;
            if is_json { document(&Spreading::of(&run, &spread)) } else { tree(&run, &spread) }
        }
        (Some(rumor), Some(node)) => {
            let told = why::tell(&run, &spread(&run, rumor)?, node)?;
            if is_json { document(&told) } else { told.into_text() }
        }
    };
    Ok(Report { out, err: String::new(), exit: Exit::Held })
}

/// The rumors of a run.
#[derive(Serialize)]
struct Listed<'a> {
    schema: &'static str,
    scenario: &'a str,
    seed: &'a str,
    rumors: &'a [ReceiptFigures],
}

/// How one rumor spread.
#[derive(Serialize)]
struct Spreading<'a> {
    schema: &'static str,
    scenario: &'a str,
    seed: &'a str,
    rumor: &'a ReceiptFigures,
    receipts: &'a [Receipt],
    absent: Vec<NodeNo>,
    /// True when `rumors.csv` ended at its limit.
    rows_left_out: bool,
}

impl<'a> Spreading<'a> {
    fn of(run: &'a ReceiptsRun, spread: &'a ReceiptSpread) -> Self {
        Self {
            schema: SCHEMA,
            scenario: &run.scenario,
            seed: &run.seed,
            rumor: &spread.figures,
            receipts: &spread.receipts,
            absent: spread.absent(run.nodes_ever()),
            rows_left_out: run.rows_left_out,
        }
    }
}

fn spread(run: &ReceiptsRun, rumor: &str) -> Result<ReceiptSpread, Failure> {
    run.spread(rumor)?.ok_or_else(|| {
        let ids = run.rumors.iter().map(|rumor| rumor.id.as_str());
        let hint = match nearest(rumor, ids) {
            Some(near) => format!(", did you mean {near}?"),
            None => format!("; all are listed by: sim explain {}", quoted_path(&run.folder)),
        };
        Failure::wrong(format!("there is no rumor {rumor} in this run{hint}"))
    })
}

/// All rumors of a run, a line each.
fn list(run: &ReceiptsRun, folder: &Path) -> String {
    let title = format!("{}, seed {}: ", run.scenario, run.seed);
    if run.rumors.is_empty() {
        return title + "no rumor was started\n";
    }
    let mut out = title + &human::counted(run.rumors.len() as u64, "rumor") + "\n";
    let width = run.rumors.iter().map(|rumor| rumor.id.len()).max().unwrap_or_default();
    for rumor in &run.rumors {
        let (id, node) = (&rumor.id, rumor.node);
        let at = human::moment(rumor.start_ms);
        let took = match rumor.coverage.map(human::percent) {
            Some(all) => {
                let took = human::span_or(rumor.t100_ms, "never complete");
                format!("{all:>6} of nodes, {took}")
            }
            None => "nobody was there to hear of it".to_owned(),
        };
        out += &format!("  {id:<width$}  node {node:<5} at {at:<10} {took}\n");
    }
    let next = format!("sim explain {} --rumor {}", quoted_path(folder), run.rumors[0].id);
    out + &hint("how one spread", &next) + "\n"
}

/// Who told whom, as a tree in order of time.
fn tree(run: &ReceiptsRun, spread: &ReceiptSpread) -> String {
    let mut out = head(run, spread);
    let mut lines = Vec::new();
    for root in spread.receipts.iter().filter(|receipt| receipt.from.is_none()) {
        lines.push(format!("{}  node {}  {}", spread.after(root), root.node, root.via));
        branches(spread, root.node, "  ", &mut lines);
    }
    lines.truncate(TREE_LINES_MAX);
    lines.iter().for_each(|line| out += &format!("{}\n", line.trim_end()));
    let total = spread.receipts.len();
    if total > TREE_LINES_MAX {
        let more = human::counted((total - TREE_LINES_MAX) as u64, "more line");
        out += &format!("… {more}: rumors.csv has all\n");
    }
    if let Some(slowest) = spread.receipts.last() {
        let (folder, id) = (quoted_path(&run.folder), &spread.figures.id);
        let next = format!("sim explain {folder} --rumor {id} --node {}", slowest.node);
        out += &format!("\n{}\n", hint("why the last was the last", &next));
    }
    out
}

fn branches(spread: &ReceiptSpread, parent: NodeNo, indent: &str, lines: &mut Vec<String>) {
    let children: Vec<&Receipt> = spread.told_by(parent).collect();
    for (place, child) in children.iter().enumerate() {
        // A line of all nodes would be as deep as it is long.
        if lines.len() >= TREE_LINES_MAX {
            return;
        }
        let last = place + 1 == children.len();
        let (corner, bar) = if last { ("└─", "  ") } else { ("├─", "│ ") };
        let (after, way) = (spread.after(child), way(child));
        lines.push(format!("{after}{indent}{corner} node {}  {way}", child.node));
        branches(spread, child.node, &format!("{indent}{bar} "), lines);
    }
}

/// By what a node heard, and how long that took.
fn way(receipt: &Receipt) -> String {
    let flight = receipt.sent_ms.map(|sent| receipt.first_ms - sent);
    let flight = flight.map_or(String::new(), |ms| format!(", {} under way", human::span(ms)));
    format!("{}{flight}", receipt.via)
}

/// What the rumor came to.
fn head(run: &ReceiptsRun, spread: &ReceiptSpread) -> String {
    let figures = &spread.figures;
    let mut out = format!(
        "{}: {} at {}, in {} with seed {}\n",
        figures.id,
        source(&figures.kind, figures.node),
        human::moment(figures.start_ms),
        run.scenario,
        run.seed
    );
    out += &match figures.coverage.map(human::percent) {
        Some(held) => format!(
            "  held by {held} of those that should, half after {}, all after {}\n",
            human::span_or(figures.t50_ms, "never"),
            human::span_or(figures.t100_ms, "never"),
        ),
        None => "  nobody was there to hear of it\n".to_owned(),
    };
    let count = |via: &str| spread.receipts.iter().filter(|r| r.via == via).count();
    let ways = ["rumor", "bulk", "swap", "stream", "source"];
    let ways = ways.map(|via| (via, count(via))).into_iter().filter(|&(_, count)| count > 0);
    let ways: Vec<String> = ways.map(|(via, count)| format!("{count} by {via}")).collect();
    out += &format!("  first heard: {}\n", ways.join(", "));
    let absent = spread.absent(run.nodes_ever());
    if !absent.is_empty() {
        let some: Vec<String> = absent.iter().take(12).map(NodeNo::to_string).collect();
        let more = if absent.len() > 12 { ", …" } else { "" };
        out += &format!("  never, or had no need to: {}{more}\n", some.join(", "));
    }
    if run.rows_left_out {
        out += "  rumors.csv is incomplete: raise rumor_rows_max to see everybody\n";
    }
    out + "\n"
}

fn source(kind: &str, node: NodeNo) -> String {
    match kind {
        "metadata" => format!("published by node {node}"),
        "entry" => format!("put or deleted by node {node}"),
        "join" => format!("node {node} joined"),
        "restart" => format!("node {node} came back"),
        "update" => format!("node {node} changed what it says of itself"),
        "leave" => format!("node {node} said goodbye"),
        "removal" => format!("node {node} was first removed"),
        other => format!("{other} of node {node}"),
    }
}
