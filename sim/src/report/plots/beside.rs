//! The picture of several ways to spread a rumor: coverage against time, and what it costs.

use super::axis::{PlotAxis, Scale};
use super::panel::{Band, Bar, COLORS, Figure, LegendEntry, Panel, PanelLine, PanelStroke};
use super::seeds::{at_percent, outline};
use super::single::{empty_spread_panel, level_stairs, spread_axis};
use crate::report::beside::{Beside, BesideWay, SpreadBeside};
use crate::report::curves::Levels;
use crate::report::human;

/// Lays out the picture.
pub(super) fn figure(beside: &Beside) -> Figure {
    let seeds = beside.ways.first().map_or(0, |way| way.runs.len()) as u64;
    let title = format!(
        "{}: {}, {}",
        beside.scenario,
        human::counted(beside.nodes.into(), "node"),
        human::counted(seeds, "seed")
    );
    Figure { title, panels: [spread_panel(beside), cost_panel(beside)] }
}

fn spread_panel(beside: &Beside) -> Panel {
    let runs = beside.ways.iter().flat_map(|way| &way.runs);
    let times = runs.flat_map(|run| run.levels.iter().copied().flatten());
    let mut panel = empty_spread_panel(spread_axis(times));
    panel.title = "How the last publish spread: share of nodes that hold it".to_owned();
    for (way, color) in beside.ways.iter().zip(COLORS.into_iter().cycle()) {
        let levels: Vec<&Levels> = way.runs.iter().map(|run| &run.levels).collect();
        panel.bands.push(Band { outline: outline(&levels, &panel.x), color });
        let points = level_stairs(&at_percent(&levels, 50), &panel.x);
        let stroke = PanelStroke::solid(color);
        panel.lines.push(PanelLine { points, stroke });
        panel.legend.push(LegendEntry::line(stroke, way.name.clone()));
        panel.legend.push(LegendEntry::remark(reach(way)));
    }
    panel.legend.push(LegendEntry::remark("line: median seed"));
    panel.legend.push(LegendEntry::area(COLORS[6], super::BAND_OPACITY, "p5 to p95 over seeds"));
    panel
}

/// How often all were reached, and how soon.
fn reach(way: &BesideWay) -> String {
    let share = way.reached_all();
    let often = human::percent(share.held as f64 / share.n.max(1) as f64);
    match way.sample(|run| run.reached(100)).median() {
        Some(at) => format!("all in {often}, median {}", human::span(at)),
        None => format!("all in {often} of seeds"),
    }
}

fn cost_panel(beside: &Beside) -> Panel {
    let median = |way: &BesideWay, of: fn(&SpreadBeside) -> f64| {
        way.sample(|run| Some(of(run))).median().unwrap_or_default()
    };
    let costs: Vec<(f64, f64)> = beside
        .ways
        .iter()
        .map(|way| (median(way, |run| run.messages), median(way, |run| run.control)))
        .collect();
    let highest = costs.iter().map(|(carry, control)| carry + control).fold(1.0, f64::max);
    let ticks = (0..).zip(&beside.ways).map(|(place, way)| (f64::from(place), way.name.clone()));
    let x = PlotAxis {
        title: String::new(),
        scale: Scale::Linear,
        from: -0.6,
        to: beside.ways.len() as f64 - 0.4,
        ticks: ticks.collect(),
    };
    let y = PlotAxis::linear("packets per node", highest * 1.1);
    let title = "What it costs: packets that each node sends, median seed".to_owned();
    let mut panel = Panel::empty(title, x, y);
    let colors = COLORS.into_iter().cycle();
    for (((place, way), (carry, control)), color) in (0..).zip(&beside.ways).zip(costs).zip(colors)
    {
        let (from, to) = (f64::from(place) - 0.25, f64::from(place) + 0.25);
        panel.bars.push(Bar { from, to, low: 0.0, high: carry, color });
        panel.legend.push(LegendEntry::area(
            color,
            1.0,
            format!("{}: {}", way.name, digits(carry)),
        ));
        if control > 0.0 {
            let (low, high, color) = (carry, carry + control, COLORS[7]);
            panel.bars.push(Bar { from, to, low, high, color });
            let text = format!("and acks, control: {}", digits(control));
            panel.legend.push(LegendEntry::area(color, 1.0, text));
        }
    }
    panel
}

fn digits(number: f64) -> String {
    human::three_digits(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::beside::tests;

    #[test]
    fn each_way_has_a_line_a_band_and_a_bar() {
        let figure = figure(&tests::beside());
        assert_eq!(figure.title, "loss: 50 nodes, 5 seeds");
        let [spread, cost] = &figure.panels;
        assert_eq!((spread.lines.len(), spread.bands.len(), cost.bars.len()), (3, 3, 4));
        let texts: Vec<&str> = spread.legend.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts[..2], ["arcs", "all in 100 %, median 147 ms"]);
        assert_eq!(texts[5], "all in 0 % of seeds");
    }

    #[test]
    fn what_carries_and_what_steers_stand_on_each_other() {
        let figure = figure(&tests::beside());
        let bars = &figure.panels[1].bars;
        assert_eq!((bars[0].low, bars[0].high), (0.0, 3.0));
        assert_eq!((bars[1].low, bars[1].high), (3.0, 4.5));
        for bar in bars {
            assert!(figure.panels[1].x.from < bar.from && bar.to < figure.panels[1].x.to);
            assert!(bar.high < figure.panels[1].y.to);
        }
    }
}
