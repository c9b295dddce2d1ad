//! The picture of the load: how many hops news took and by what way, and what each node sent.

use plotters::style::RGBColor;

use super::axis::{PlotAxis, Scale};
use super::panel::{Bar, COLORS, Figure, LegendEntry, Panel};
use crate::report::human;
use crate::results::summary::{NodeTraffic, RumorRow, RunResult};

/// Ways of learning from others, with their colours.
const WAYS: [(&str, RGBColor); 4] =
    [("rumor", COLORS[0]), ("bulk", COLORS[2]), ("swap", COLORS[1]), ("stream", COLORS[3])];

/// Nodes with a bar of their own; of more, every so many-th is shown.
const BARS_MAX: usize = 600;
/// Bars that are so few have gaps between them.
const GAPS_MAX: usize = 120;

/// Lays out the picture of a run.
pub(super) fn figure(run: &RunResult) -> Figure {
    let summary = &run.summary;
    let nodes = human::counted(u64::from(summary.nodes.start), "node");
    let title = format!("{}: {nodes}, seed {}", summary.scenario, summary.seed);
    Figure { title, panels: [hop_panel(&run.rumor_rows), load_panel(&run.node_traffic)] }
}

/// First receipts at each hop, by way.
fn hop_panel(rows: &[RumorRow]) -> Panel {
    let told = || rows.iter().filter(|row| row.from.is_some());
    let last = told().map(|row| row.hop).max().unwrap_or(1);
    let mut heights = vec![0.0; last as usize + 1];
    let (mut bars, mut legend) = (Vec::new(), Vec::new());
    for (via, color) in WAYS {
        let own: Vec<&RumorRow> = told().filter(|row| row.via == via).collect();
        for hop in 0..=last {
            let count = own.iter().filter(|row| row.hop == hop).count();
            let low = heights[hop as usize];
            heights[hop as usize] += count as f64;
            if count > 0 {
                let (from, to) = (f64::from(hop) - 0.38, f64::from(hop) + 0.38);
                bars.push(Bar { from, to, low, high: heights[hop as usize], color });
            }
        }
        if !own.is_empty() {
            let text = format!("by {via}: {}", human::count(own.len() as u64));
            legend.push(LegendEntry::area(color, 1.0, text));
        }
    }
    let largest = heights.iter().copied().fold(1.0, f64::max);
    let every = (last / 12 + 1) as usize;
    let ticks = (1..=last).step_by(every).map(|hop| (f64::from(hop), hop.to_string()));
    let x = PlotAxis {
        title: "hops from the source".to_owned(),
        scale: Scale::Linear,
        from: 0.5,
        to: f64::from(last) + 0.5,
        ticks: ticks.collect(),
    };
    let note = bars.is_empty().then(|| "Nobody told anybody of a rumor in this run.".to_owned());
    let title = "Delivery by hop: how far first news of a rumor had come".to_owned();
    let y = PlotAxis::linear("first receipts", largest * 1.05);
    Panel { bars, legend, note, ..Panel::empty(title, x, y) }
}

/// What each node sent a second, the busiest first.
fn load_panel(nodes: &[NodeTraffic]) -> Panel {
    let mut rates: Vec<f64> = nodes.iter().map(|node| node.bytes_per_second).collect();
    rates.sort_by(|a, b| b.total_cmp(a));
    let stride = rates.len().div_ceil(BARS_MAX).max(1);
    let half = if rates.len() <= GAPS_MAX { 0.38 } else { 0.5 * stride as f64 };
    let shown = rates.iter().enumerate().step_by(stride);
    let bars: Vec<Bar> = shown
        .map(|(place, rate)| {
            let middle = place as f64 + 1.0;
            let high = rate / 1000.0;
            Bar { from: middle - half, to: middle + half, low: 0.0, high, color: COLORS[0] }
        })
        .collect();
    let largest = rates.first().map_or(1.0, |rate| rate / 1000.0).max(0.001);
    let mut x = PlotAxis::linear("nodes, the busiest first", rates.len().max(1) as f64 + 0.5);
    x.from = 0.5;
    x.ticks.retain(|&(tick, _)| tick >= 1.0 && tick.fract() == 0.0);
    let title = "Traffic per node: what each sends, after the warm-up".to_owned();
    let y = PlotAxis::linear("kB a second", largest * 1.05);
    let note = bars.is_empty().then(|| "No node ran after the warm-up.".to_owned());
    Panel { bars, legend: load_legend(&rates), note, ..Panel::empty(title, x, y) }
}

/// The figures of the table, which are shares of the same nodes.
fn load_legend(falling: &[f64]) -> Vec<LegendEntry> {
    let at = |percent| {
        let place = falling.len().checked_sub(crate::stats::rank(falling.len(), percent))?;
        falling.get(place).map(|rate| format!("{}/s", human::bytes(*rate)))
    };
    let entry = |name: &str, percent| at(percent).map(|rate| format!("{name}: {rate}"));
    let texts = [entry("busiest", 100), entry("median", 50), entry("idlest", 0)];
    let bars = texts.into_iter().flatten().map(LegendEntry::remark);
    let mut legend: Vec<LegendEntry> = bars.collect();
    if !legend.is_empty() {
        legend.insert(0, LegendEntry::area(COLORS[0], 1.0, "one node, headers included"));
    }
    legend
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    #[test]
    fn the_bars_of_a_hop_stand_on_each_other_and_add_up_to_all_first_receipts() {
        let run = fixture::partition(50, 6, 3);
        let panel = hop_panel(&run.rumor_rows);
        let total: f64 = panel.bars.iter().map(|bar| bar.high - bar.low).sum();
        let told = run.rumor_rows.iter().filter(|row| row.from.is_some()).count();
        assert_eq!(total, told as f64);
        for bar in panel.bars.iter().filter(|bar| bar.low > 0.0) {
            let below = |other: &&Bar| other.from == bar.from && other.high == bar.low;
            assert!(panel.bars.iter().any(|other| below(&other)), "{bar:?} hangs in the air");
        }
        assert!(panel.bars.iter().all(|bar| bar.from >= panel.x.from && bar.to <= panel.x.to));
    }

    #[test]
    fn nodes_stand_in_order_of_their_load_and_many_are_thinned() {
        for nodes in [1, 50, 1_000] {
            let panel = load_panel(&fixture::partition(nodes, 0, 3).node_traffic);
            assert!(panel.bars.len() <= BARS_MAX && !panel.bars.is_empty());
            assert!(panel.bars.is_sorted_by(|a, b| a.high >= b.high));
            assert!(panel.bars.iter().all(|bar| bar.high <= panel.y.to));
        }
        let panel = load_panel(&fixture::partition(23, 0, 0).node_traffic);
        let texts: Vec<&str> = panel.legend.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts[1..], ["busiest: 2.04 kB/s", "median: 1.82 kB/s", "idlest: 1.6 kB/s"]);
    }

    #[test]
    fn empty_charts_say_so() {
        assert!(hop_panel(&[]).note.is_some() && load_panel(&[]).note.is_some());
    }
}
