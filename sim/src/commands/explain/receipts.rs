//! What the files of a run say about its rumors: figures and first receipts.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::commands::Failure;
use crate::report::human;
use crate::scenario::plan::NodeNo;

/// A run's folder, read.
pub(super) struct Run {
    pub(super) folder: PathBuf,
    pub(super) scenario: String,
    pub(super) seed: String,
    pub(super) rumors: Vec<Figures>,
    pub(super) rows_left_out: bool,
    receipts: Vec<(String, Receipt)>,
    nodes: Nodes,
}

#[derive(Deserialize)]
struct Summary {
    scenario: String,
    seed: String,
    nodes: Nodes,
    rumors: Vec<Figures>,
}

#[derive(Clone, Copy, Deserialize)]
struct Nodes {
    start: u32,
}

/// What `summary.json` says of a rumor.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Figures {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) node: NodeNo,
    pub(super) start_ms: f64,
    pub(super) t50_ms: Option<f64>,
    pub(super) t100_ms: Option<f64>,
    pub(super) coverage: f64,
}

/// A row of `rumors.csv`.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub(super) node: NodeNo,
    pub(super) sent_ms: Option<f64>,
    pub(super) first_ms: f64,
    pub(super) hop: u32,
    pub(super) from: Option<NodeNo>,
    pub(super) via: String,
}

#[derive(Deserialize)]
struct Row {
    rumor: String,
    node: NodeNo,
    sent_ms: Option<f64>,
    first_ms: f64,
    hop: u32,
    from: Option<NodeNo>,
    via: String,
}

/// One rumor and who heard of it, in order of time.
pub(super) struct Spread {
    pub(super) figures: Figures,
    pub(super) receipts: Vec<Receipt>,
}

impl Run {
    /// Reads `summary.json` and `rumors.csv`.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("summary.json");
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::wrong(format!(
                "{}: {error}: this is no folder of a run; give one such as \
                 out/partition/seed-1, which `sim run` names at its end",
                path.display()
            ))
        })?;
        let summary: Summary = serde_json::from_str(&text).map_err(|e| damaged(&path, &e))?;
        let (receipts, rows_left_out) = receipts(&folder.join("rumors.csv"))?;
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
    pub(super) fn spread(&self, rumor: &str) -> Option<Spread> {
        let figures = self.rumors.iter().find(|figures| figures.id == rumor)?.clone();
        let own = self.receipts.iter().filter(|(id, _)| id == rumor);
        let mut receipts: Vec<Receipt> = own.map(|(_, receipt)| receipt.clone()).collect();
        receipts.sort_by(|a, b| a.first_ms.total_cmp(&b.first_ms));
        Some(Spread { figures, receipts })
    }

    /// How many nodes there ever were, as far as these files tell.
    pub(super) fn nodes_ever(&self) -> u32 {
        let highest = self.receipts.iter().map(|(_, receipt)| receipt.node + 1);
        highest.max().unwrap_or_default().max(self.nodes.start)
    }
}

impl Spread {
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
        let held: std::collections::BTreeSet<NodeNo> =
            self.receipts.iter().map(|receipt| receipt.node).collect();
        (0..nodes).filter(|node| !held.contains(node)).collect()
    }
}

/// The rows, and whether some are missing.
fn receipts(path: &Path) -> Result<(Vec<(String, Receipt)>, bool), Failure> {
    let mut table = csv::Reader::from_path(path).map_err(|error| damaged(path, &error))?;
    let (mut receipts, mut left_out) = (Vec::new(), false);
    for record in table.records() {
        let record = record.map_err(|error| damaged(path, &error))?;
        if record.get(0).is_some_and(|first| first.starts_with('#')) {
            left_out = true;
            continue;
        }
        let row: Row = record.deserialize(None).map_err(|error| damaged(path, &error))?;
        let Row { rumor, node, sent_ms, first_ms, hop, from, via } = row;
        receipts.push((rumor, Receipt { node, sent_ms, first_ms, hop, from, via }));
    }
    Ok((receipts, left_out))
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let path = path.display();
    Failure::wrong(format!("cannot read {path}: {error}: run the scenario again to replace it"))
}
