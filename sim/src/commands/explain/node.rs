//! All of one node: what befell it, and its part in each rumor of the run.

use serde::Serialize;

use super::log::{self, Logs, Packets};
use super::path::{PathPart, cause, path, verdict};
use super::receipts::{Receipt, ReceiptSpread, ReceiptsRun};
use super::{SCHEMA, why};
use crate::commands::Failure;
use crate::commands::trial::{hint, quoted_path};
use crate::report::files::TRACE;
use crate::report::human;
use crate::scenario::plan::NodeNo;

/// Events of its life that are shown; the JSON has all.
const EVENTS_MAX: usize = 60;

/// What a run says of a node.
#[derive(Serialize)]
pub(super) struct ToldNode {
    schema: &'static str,
    scenario: String,
    seed: String,
    node: NodeNo,
    /// Null without a trace.
    packets: Option<Packets>,
    life: Vec<NodeMoment>,
    rumors: Vec<Role>,
}

/// Something that happened to it.
#[derive(Serialize)]
struct NodeMoment {
    at_ms: f64,
    text: String,
}

/// Its part in a rumor.
#[derive(Serialize)]
struct Role {
    rumor: String,
    start_ms: f64,
    /// Null when it never held it, or had no need to.
    receipt: Option<Receipt>,
    /// Which it was of those who heard, from 1 on.
    place: Option<usize>,
    of: usize,
    cause: Option<PathPart>,
    #[serde(skip)]
    verdict: String,
}

/// Finds out all of a node.
pub(super) fn tell(run: &ReceiptsRun, node: NodeNo) -> Result<ToldNode, Failure> {
    let ids: Vec<&str> = run.rumors.iter().map(|rumor| rumor.id.as_str()).collect();
    let is_traced = run.folder.join(TRACE).is_file();
    if !is_traced && node >= run.nodes_ever() {
        return Err(run.no_such_node(node, run.nodes_ever()));
    }
    let mut logs = Logs::new(&ids, node);
    if is_traced {
        let mut trace = log::open(run, node)?;
        while let Some(line) = trace.line()? {
            logs.note(&line);
        }
    }
    let mut rumors = Vec::with_capacity(ids.len());
    for id in ids {
        let spread = super::spread(run, id)?;
        rumors.push(role(&spread, &logs, node));
    }
    let moment = |(ns, text)| NodeMoment { at_ms: ns as f64 / 1e6, text };
    Ok(ToldNode {
        schema: SCHEMA,
        scenario: run.scenario.clone(),
        seed: run.seed.clone(),
        node,
        packets: is_traced.then_some(logs.packets),
        life: logs.life.into_iter().map(moment).collect(),
        rumors,
    })
}

fn role(spread: &ReceiptSpread, logs: &Logs, node: NodeNo) -> Role {
    let parts = path(spread, logs, node);
    let place = spread.receipts.iter().position(|receipt| receipt.node == node);
    Role {
        rumor: spread.figures.id.clone(),
        start_ms: spread.figures.start_ms,
        receipt: spread.of(node).cloned(),
        place: place.map(|place| place + 1),
        of: spread.receipts.len(),
        cause: cause(&parts).cloned(),
        verdict: verdict(&parts),
    }
}

impl ToldNode {
    /// For a person.
    pub(super) fn text(&self, run: &ReceiptsRun) -> String {
        let Self { scenario, seed, node, .. } = self;
        let mut out = format!("node {node} of {scenario}, seed {seed}\n");
        if let Some(packets) = &self.packets {
            out += &format!("\n{}\n", packets.text());
        }
        if !self.life.is_empty() {
            out += "\nwhat befell it\n";
        }
        for NodeMoment { at_ms, text } in self.life.iter().take(EVENTS_MAX) {
            out += &format!("  {:>12}  {text}\n", human::moment(*at_ms));
        }
        let more = self.life.len().saturating_sub(EVENTS_MAX);
        if more > 0 {
            out += &format!("  … {}: --json has all\n", human::counted(more as u64, "more event"));
        }
        let count = human::counted(self.rumors.len() as u64, "rumor");
        out += &format!("\nits part in {count}\n");
        self.rumors.iter().for_each(|role| out += &role.text());
        if self.packets.is_none() {
            out += &why::hint(run);
        }
        let slowest = self.rumors.iter().filter(|role| role.receipt.is_some());
        let slowest = slowest.max_by(|a, b| a.delay_ms().total_cmp(&b.delay_ms()));
        if let Some(role) = slowest {
            let folder = quoted_path(&run.folder);
            let id = &role.rumor;
            let next = format!("sim explain {folder} --rumor {id} --node {node}");
            out += &format!("\n{}\n", hint("all of the slowest", &next));
        }
        out
    }
}

impl Packets {
    fn text(&self) -> String {
        let Self { sent, received, sent_lost, missed } = *self;
        let count = human::count;
        format!(
            "{} sent, {} of which never arrived; {} received, {} more never arrived",
            human::counted(sent, "packet"),
            count(sent_lost),
            count(received),
            count(missed)
        )
    }
}

impl Role {
    fn delay_ms(&self) -> f64 {
        self.receipt.as_ref().map_or(0.0, |receipt| receipt.first_ms - self.start_ms)
    }

    fn text(&self) -> String {
        let at = human::moment(self.start_ms);
        let head = format!("  {} at {at}: ", self.rumor);
        match (&self.receipt, self.place) {
            (Some(receipt), Some(place)) => {
                let after = human::span(self.delay_ms());
                let from = receipt.from.map_or(String::new(), |from| format!(" from node {from}"));
                let (of, via) = (self.of, &receipt.via);
                format!(
                    "{head}after {after}, number {place} of {of}, by {via}{from}\n      {}\n",
                    self.verdict
                )
            }
            _ => format!("{head}never held it, or had no need to\n"),
        }
    }
}
