//! What the rumors of a run come to, at its end.

use rumormill::time::Instant;

use super::{Kind, Row, Rumor, RumorNo, Rumors, Way};
use crate::observe::{ms, rank};
use crate::results::summary::{CURVE_STEPS_MAX, RumorFigures, RumorRow, RunResult};
use crate::scenario::plan::NodeNo;

/// Where a node was in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It never ran.
    Never,
    /// It last ran then, or is stopped.
    Until(Instant),
    /// It runs at the end, and has run and not been stopped since then.
    Since(Instant),
}

impl Rumors {
    /// Fills in the figures and first receipts of all rumors.
    pub(crate) fn finish(mut self, presence: &[Presence], run: &mut RunResult) {
        let ids = self.ids();
        let superseded = self.successors(presence.len());
        let figures = self.rumors.iter().zip(&ids).zip(superseded).map(|((rumor, id), next)| {
            let superseded_by = next.map(|next| ids[next as usize].clone());
            RumorFigures { id: id.clone(), superseded_by, ..rumor.figures(presence) }
        });
        run.summary.rumors = figures.collect();
        // They were noted in order of time.
        self.rows.sort_by_key(|row| row.rumor);
        run.rumor_rows = self.rows.iter().map(|row| row.written(&ids)).collect();
        run.rumor_rows_left_out = self.rows_left_out;
        run.rumors_left_out = self.left_out;
    }

    /// `kind-index`, counted within the kind in order of start.
    fn ids(&self) -> Vec<String> {
        let mut counts = std::collections::BTreeMap::new();
        let id = |rumor: &Rumor| {
            let count = counts.entry(rumor.kind).or_insert(0);
            *count += 1;
            format!("{}-{}", rumor.kind.name(), *count - 1)
        };
        self.rumors.iter().map(id).collect()
    }

    /// By rumor: the next version, or the next change of the same node.
    fn successors(&self, nodes: usize) -> Vec<Option<RumorNo>> {
        let mut next_of = vec![None; nodes];
        let mut successors = vec![None; self.rumors.len()];
        for (number, rumor) in (0..self.rumors.len() as u32).zip(&self.rumors).rev() {
            if rumor.version.is_none() {
                successors[number as usize] = next_of[rumor.node as usize].replace(number);
            }
        }
        for versions in self.entries.values().chain([&self.metadata]) {
            for pair in versions.order.windows(2) {
                successors[pair[0].1 as usize] = Some(pair[1].1);
            }
        }
        successors
    }
}

impl Rumor {
    /// The figures, without those that take other rumors to know.
    fn figures(&self, presence: &[Presence]) -> RumorFigures {
        let audience: Vec<_> = (0..).zip(presence).filter(|&(n, p)| self.reaches(n, *p)).collect();
        let present = presence.iter().filter(|presence| match **presence {
            Presence::Never => false,
            Presence::Until(end) => end >= self.start,
            Presence::Since(_) => true,
        });
        let mut delays: Vec<_> = audience
            .iter()
            .filter_map(|&(node, _)| self.cells[node as usize].first)
            .map(|first| ms(Instant::ZERO + (first - self.start)))
            .collect();
        delays.sort_by(f64::total_cmp);
        let (reached, all) = (delays.len(), audience.len());
        let t = |percent| rank(percent, all).and_then(|rank| delays.get(rank).copied());
        RumorFigures {
            id: String::new(),
            kind: self.kind.name().to_owned(),
            node: self.node,
            start_ms: ms(self.start),
            t50_ms: t(50),
            t90_ms: t(90),
            t99_ms: t(99),
            t100_ms: t(100),
            coverage: (all > 0).then(|| reached as f64 / all as f64),
            excluded: (present.count() - all) as u32,
            messages: self.messages,
            control_messages: self.control_messages,
            node_messages_max: self.cells.iter().map(|cell| cell.sent.into()).max().unwrap_or(0),
            swap_first: self.swap_first,
            rmr: self.redundancy(),
            ldh: (self.receivers > 0).then_some(self.last_hop),
            superseded_by: None,
            curve: curve(&delays, all),
        }
    }

    /// Packets with its value for each node that had to get it, less the one that it takes.
    fn redundancy(&self) -> Option<f64> {
        let others = self.receivers.checked_sub(1).filter(|&others| others > 0)?;
        Some(self.delivered as f64 / f64::from(others) - 1.0)
    }

    /// True for a node that the rumor should come to: one that was there from its start to the
    /// end of the run. Nobody is told that he himself was removed.
    fn reaches(&self, node: NodeNo, presence: Presence) -> bool {
        let subject = self.kind == Kind::Removal && node == self.node;
        !subject && matches!(presence, Presence::Since(since) if since <= self.start)
    }
}

/// The share of `all` nodes that held it after each of the sorted delays, thinned for pictures.
fn curve(delays: &[f64], all: usize) -> Vec<(f64, f64)> {
    let stride = delays.len().div_ceil(CURVE_STEPS_MAX).max(1);
    // Counted from the last, which so is always among them.
    let mut kept: Vec<usize> = (0..delays.len()).rev().step_by(stride).collect();
    kept.reverse();
    kept.into_iter().map(|place| (delays[place], (place + 1) as f64 / all as f64)).collect()
}

impl Row {
    fn written(&self, ids: &[String]) -> RumorRow {
        let (sent, from) = match self.way {
            Way::Source | Way::Kept => (None, None),
            Way::Packet { sent, from, .. } => (Some(ms(sent)), Some(from)),
        };
        RumorRow {
            rumor: ids[self.rumor as usize].clone(),
            node: self.node,
            sent_ms: sent,
            first_ms: ms(self.at),
            hop: self.hop,
            from,
            via: self.way.name(),
        }
    }
}
