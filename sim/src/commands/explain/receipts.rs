//! What the files of a run say about its rumors: figures and first receipts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::commands::Failure;
use crate::reading::{self, LineLimit, ReadError, open, printable};
use crate::report::human;
use crate::results::summary::SUMMARY_LEN_MAX;
use crate::scenario::NODES_MAX;
use crate::scenario::plan::NodeNo;

/// A run's folder, read.
pub(super) struct ReceiptsRun {
    pub(super) folder: PathBuf,
    pub(super) scenario: String,
    pub(super) seed: String,
    pub(super) rumors: Vec<ReceiptFigures>,
    pub(super) rows_left_out: bool,
    receipts: Vec<(String, Receipt)>,
    nodes: ReceiptNodes,
}

/// The table of who heard of which rumor when.
const RUMORS: &str = "rumors.csv";

/// Longest row of `rumors.csv`: eight numbers and two words.
const ROW_LEN_MAX: u64 = 4 << 10;

#[derive(Deserialize)]
struct ReceiptsSummary {
    #[serde(deserialize_with = "printable")]
    scenario: String,
    #[serde(deserialize_with = "printable")]
    seed: String,
    nodes: ReceiptNodes,
    rumors: Vec<ReceiptFigures>,
}

#[derive(Clone, Copy, Deserialize)]
struct ReceiptNodes {
    #[serde(deserialize_with = "node")]
    start: NodeNo,
}

/// What `summary.json` says of a rumor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReceiptFigures {
    #[serde(deserialize_with = "printable")]
    pub(super) id: String,
    #[serde(deserialize_with = "printable")]
    pub(super) kind: String,
    #[serde(deserialize_with = "node")]
    pub(super) node: NodeNo,
    pub(super) start_ms: f64,
    pub(super) t50_ms: Option<f64>,
    pub(super) t100_ms: Option<f64>,
    /// Null when there was nobody to reach.
    pub(super) coverage: Option<f64>,
}

/// A row of `rumors.csv`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Receipt {
    pub(super) node: NodeNo,
    pub(super) sent_ms: Option<f64>,
    pub(super) first_ms: f64,
    pub(super) hop: u32,
    pub(super) from: Option<NodeNo>,
    pub(super) via: String,
}

#[derive(Deserialize)]
struct ReceiptRow {
    #[serde(deserialize_with = "printable")]
    rumor: String,
    #[serde(deserialize_with = "node")]
    node: NodeNo,
    sent_ms: Option<f64>,
    first_ms: f64,
    hop: u32,
    from: Option<NodeNo>,
    #[serde(deserialize_with = "printable")]
    via: String,
}

/// The number of a node, or of nodes: no run has more than a scenario may have.
fn node<'de, D: Deserializer<'de>>(from: D) -> Result<NodeNo, D::Error> {
    let node = NodeNo::deserialize(from)?;
    match u64::from(node) <= NODES_MAX {
        true => Ok(node),
        false => Err(D::Error::custom(format!("node {node}: a run has at most {NODES_MAX} nodes"))),
    }
}

/// One rumor and who heard of it, in order of time.
pub(super) struct ReceiptSpread {
    pub(super) figures: ReceiptFigures,
    pub(super) receipts: Vec<Receipt>,
}

impl ReceiptsRun {
    /// Reads `summary.json` and `rumors.csv`.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("summary.json");
        let summary: ReceiptsSummary =
            reading::json(&path, SUMMARY_LEN_MAX).map_err(|error| match error {
                ReadError::Missing { .. } => Failure::wrong(format!(
                    "{error}: this is no folder of a run; give one such as \
                     out/partition/seed-1, which `sim run` names at its end"
                )),
                error => error.into(),
            })?;
        let (receipts, rows_left_out) = receipts(&folder.join(RUMORS))?;
        Ok(Self {
            folder: folder.to_owned(),
            scenario: summary.scenario,
            seed: summary.seed,
            rumors: summary.rumors,
            rows_left_out,
            receipts,
            nodes: summary.nodes,
        })
    }

    /// How a rumor spread, if there is one of this name.
    ///
    /// # Errors
    /// When a node hears of it twice, of which no tree can be made.
    pub(super) fn spread(&self, rumor: &str) -> Result<Option<ReceiptSpread>, Failure> {
        let figures = self.rumors.iter().find(|figures| figures.id == rumor);
        let Some(figures) = figures.cloned() else { return Ok(None) };
        let own = self.receipts.iter().filter(|(id, _)| id == rumor);
        let mut receipts: Vec<Receipt> = own.map(|(_, receipt)| receipt.clone()).collect();
        receipts.sort_by(|a, b| a.first_ms.total_cmp(&b.first_ms));
        let mut told = BTreeSet::new();
        match receipts.iter().find(|receipt| !told.insert(receipt.node)) {
            None => Ok(Some(ReceiptSpread { figures, receipts })),
            Some(Receipt { node, .. }) => {
                let why = format!("node {node} hears of {rumor} twice: the table is damaged");
                Err(ReadError::wrong(&self.folder.join(RUMORS), None, why).into())
            }
        }
    }

    /// How many nodes there ever were, as far as these files tell.
    pub(super) fn nodes_ever(&self) -> u32 {
        let highest = self.receipts.iter().map(|(_, receipt)| receipt.node + 1);
        highest.max().unwrap_or_default().max(self.nodes.start)
    }

    /// What to say of a node that the run doesn't have.
    pub(super) fn no_such_node(&self, node: NodeNo, nodes: u32) -> Failure {
        let last = nodes.saturating_sub(1);
        Failure::wrong(format!("--node {node}: {} has nodes 0 to {last}", self.scenario))
    }
}

impl ReceiptSpread {
    pub(super) fn of(&self, node: NodeNo) -> Option<&Receipt> {
        self.receipts.iter().find(|receipt| receipt.node == node)
    }

    /// Who first heard of it from this node, in order of time.
    pub(super) fn told_by(&self, node: NodeNo) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter().filter(move |receipt| receipt.from == Some(node))
    }

    /// A moment since the rumor's start, in a column.
    pub(super) fn after(&self, receipt: &Receipt) -> String {
        format!("{:>9}", human::span(receipt.first_ms - self.figures.start_ms))
    }

    /// Nodes that never held it.
    pub(super) fn absent(&self, nodes: u32) -> Vec<NodeNo> {
        let held: BTreeSet<NodeNo> = self.receipts.iter().map(|receipt| receipt.node).collect();
        (0..nodes).filter(|node| !held.contains(node)).collect()
    }
}

/// The rows, and whether some are missing.
fn receipts(path: &Path) -> Result<(Vec<(String, Receipt)>, bool), Failure> {
    // In quotes a field could go on over all lines; ours have none.
    let mut table = csv::ReaderBuilder::new();
    let mut table = table.quoting(false).from_reader(LineLimit::new(open(path)?, ROW_LEN_MAX));
    let (mut receipts, mut left_out) = (Vec::new(), false);
    for (line, record) in (2..).zip(table.records()) {
        let damaged = |error| damaged(path, line, &error);
        let record = record.map_err(damaged)?;
        if record.get(0).is_some_and(|first| first.starts_with('#')) {
            left_out = true;
            continue;
        }
        let row: ReceiptRow = record.deserialize(None).map_err(damaged)?;
        let ReceiptRow { rumor, node, sent_ms, first_ms, hop, from, via } = row;
        receipts.push((rumor, Receipt { node, sent_ms, first_ms, hop, from, via }));
    }
    Ok((receipts, left_out))
}

fn damaged(path: &Path, line: u64, error: &csv::Error) -> Failure {
    let why = match error.kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        _ => error.to_string(),
    };
    let why = format!("{why}; run the scenario again to replace it");
    ReadError::wrong(path, Some(line), why).into()
}

/// Nanoseconds of a time that stands in a file in milliseconds.
pub(super) fn ns(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}
