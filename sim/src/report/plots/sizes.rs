//! The picture over cluster sizes: how spreading and a cold start grow with the number of nodes.
//!
//! The line of theory is what a tree of tellers takes: a rumor that each node hands to `fan_out`
//! others is `log n / log fan_out` hops deep, and each hop takes the mean delay of a link. Beside
//! it stands the textbook's push, in which nobody knows who was told already.

use plotters::style::RGBColor;

use super::Sizes;
use super::axis::{PlotAxis, Scale};
use super::panel::{Band, COLORS, Figure, LegendEntry, Panel, PanelLine, PanelStroke};
use crate::report::human;
use crate::stats::Sample;

/// Lays out the picture of all sizes.
pub(super) fn figure(sizes: &Sizes) -> Figure {
    let (first, last) = (sizes.sizes.first(), sizes.sizes.last());
    let range = first.zip(last).map(|(first, last)| {
        format!("{} to {} nodes", human::count(first.nodes.into()), human::count(last.nodes.into()))
    });
    let seeds = sizes.sizes.iter().map(|size| size.t99_ms.len()).max().unwrap_or_default();
    let seeds = human::counted(seeds as u64, "seed");
    let title = format!("How it scales: {}, {seeds} each", range.unwrap_or_default());
    Figure { title, panels: [spread_panel(sizes), start_panel(sizes)] }
}

fn spread_panel(sizes: &Sizes) -> Panel {
    let of = |value: fn(&super::Size) -> &[Option<f64>]| points(sizes, value);
    let (half, most) = (of(|size| &size.t50_ms), of(|size| &size.t99_ms));
    let theory: Vec<(f64, f64)> =
        sizes.sizes.iter().map(|size| (size.nodes.into(), theory_ms(sizes, size.nodes))).collect();
    let push: Vec<(f64, f64)> =
        sizes.sizes.iter().filter_map(|size| Some((size.nodes.into(), size.push_ms?))).collect();
    let lines = theory.iter().chain(&push);
    let highest = lines.map(|&(_, ms)| ms).fold(largest(&[&half, &most]), f64::max);
    let title = format!("How long a {} rumor takes: the median of each seed", sizes.kind);
    let mut panel = Panel::empty(title, nodes_axis(sizes), PlotAxis::linear("ms", highest * 1.08));
    add(&mut panel, &most, COLORS[1], "99 % of the nodes hold it");
    add(&mut panel, &half, COLORS[0], "half of the nodes hold it");
    let hop = human::span(sizes.hop_ms);
    let tree = format!("theory: log n / log {}", sizes.fan_out);
    for (line, color, name) in
        [(theory, COLORS[6], tree.as_str()), (push, COLORS[7], "textbook's push to 99 %")]
    {
        if !line.is_empty() {
            let (scale, stroke) = (panel.x.scale, PanelStroke::dashed(color));
            let points = line.into_iter().map(|(n, ms)| (scale.place(n), ms)).collect();
            panel.lines.push(PanelLine { points, stroke });
            panel.legend.push(LegendEntry::line(stroke, name));
        }
    }
    panel.legend.push(LegendEntry::remark(format!("hops, rounds of {hop} each")));
    panel.legend.push(LegendEntry::area(COLORS[6], super::BAND_OPACITY, "p5 to p95 over seeds"));
    panel
}

fn start_panel(sizes: &Sizes) -> Panel {
    let start = points(sizes, |size| &size.start_ms);
    let start: Points = start.into_iter().map(|(n, at)| (n, at.map(to_seconds))).collect();
    // Where all lists are right from the beginning, the axis still needs ticks that differ.
    let y = PlotAxis::linear("s since the start of the run", (largest(&[&start]) * 1.08).max(0.1));
    let title = "How long a cold start takes: until all node lists are right".to_owned();
    let mut panel = Panel::empty(title, nodes_axis(sizes), y);
    add(&mut panel, &start, COLORS[2], "all node lists are right");
    panel
}

fn to_seconds(ms: Option<f64>) -> Option<f64> {
    ms.map(|ms| ms / 1000.0)
}

/// The time that the tree of tellers takes, in milliseconds.
fn theory_ms(sizes: &Sizes, nodes: u32) -> f64 {
    let base = f64::from(sizes.fan_out.max(2));
    sizes.hop_ms * f64::from(nodes.max(1)).ln() / base.ln()
}

/// By size: the number of nodes, and the p5, median and p95 over seeds.
type Points = Vec<(f64, [Option<f64>; 3])>;

fn points(sizes: &Sizes, value: fn(&super::Size) -> &[Option<f64>]) -> Points {
    let at = |size: &super::Size| {
        let sample = Sample::new(value(size).iter().copied());
        (f64::from(size.nodes), [5, 50, 95].map(|percent| sample.percentile(percent)))
    };
    sizes.sizes.iter().map(at).collect()
}

fn largest(all: &[&Points]) -> f64 {
    let values = all.iter().flat_map(|points| points.iter()).flat_map(|(_, at)| at).flatten();
    values.copied().fold(1e-3, f64::max)
}

/// The median with a dot at each size, within the band; sizes that never got there are left out.
fn add(panel: &mut Panel, points: &Points, color: RGBColor, name: &str) {
    let scale = panel.x.scale;
    let line = |place: usize| -> Vec<(f64, f64)> {
        let at = |(n, at): &(f64, [Option<f64>; 3])| Some((scale.place(*n), at[place]?));
        points.iter().filter_map(at).collect()
    };
    let (low, middle, high) = (line(0), line(1), line(2));
    let outline = high.into_iter().chain(low.into_iter().rev()).collect();
    panel.bands.push(Band { outline, color });
    panel.dots.extend(middle.iter().map(|&at| (at, color)));
    let never = points.len() - middle.len();
    let stroke = PanelStroke::solid(color);
    panel.lines.push(PanelLine { points: middle, stroke });
    panel.legend.push(LegendEntry::line(stroke, name));
    if never > 0 {
        panel.legend.push(LegendEntry::remark(format!(
            "(never at {})",
            human::counted(never as u64, "size")
        )));
    }
}

/// The numbers of nodes, by decades, with a tick at each size.
fn nodes_axis(sizes: &Sizes) -> PlotAxis {
    let scale = Scale::Log { floor: 1.0 };
    let all: Vec<f64> = sizes.sizes.iter().map(|size| size.nodes.into()).collect();
    let (first, last) = (all.first().copied().unwrap_or(1.0), all.last().copied().unwrap_or(10.0));
    PlotAxis {
        title: "nodes, log scale".to_owned(),
        scale,
        from: scale.place(first) - 0.05,
        to: scale.place(last) + 0.05,
        ticks: all.iter().map(|&n| (scale.place(n), human::count(n as u64))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Size, Sizes};
    use super::*;

    pub(super) fn sizes() -> Sizes {
        let size = |nodes: u32| {
            let ms = |factor: f64| {
                let at = |seed: u32| Some(f64::from(nodes).ln() * factor + f64::from(seed));
                (0..5).map(at).collect()
            };
            let push_ms = Some(f64::from(nodes).ln() * 9.0);
            Size { nodes, t50_ms: ms(4.0), t99_ms: ms(7.0), start_ms: ms(300.0), push_ms }
        };
        let sizes = [10, 30, 100, 300].map(size).to_vec();
        Sizes { kind: "metadata".to_owned(), fan_out: 3, hop_ms: 5.5, sizes }
    }

    #[test]
    fn the_line_of_theory_grows_by_one_hop_whenever_the_nodes_triple() {
        let sizes = sizes();
        let hop = theory_ms(&sizes, 30) - theory_ms(&sizes, 10);
        assert!((hop - 5.5).abs() < 1e-9, "{hop}");
        assert_eq!(theory_ms(&sizes, 1), 0.0);
    }

    #[test]
    fn the_median_over_seeds_stands_at_each_size() {
        let figure = figure(&sizes());
        assert_eq!(figure.title, "How it scales: 10 to 300 nodes, 5 seeds each");
        let [spread, start] = &figure.panels;
        assert_eq!((spread.lines.len(), spread.dots.len(), start.dots.len()), (4, 8, 4));
        let (_, ms) = spread.lines[1].points[2];
        assert!((ms - (100_f64.ln() * 4.0 + 2.0)).abs() < 1e-9);
        for panel in &figure.panels {
            for (x, y) in panel.lines.iter().flat_map(|line| &line.points) {
                assert!(panel.x.from <= *x && *x <= panel.x.to && *y <= panel.y.to);
            }
        }
    }

    #[test]
    fn a_size_that_never_got_there_is_left_out_and_told() {
        let mut sizes = sizes();
        sizes.sizes[3].t99_ms = vec![None; 5];
        let panel = spread_panel(&sizes);
        assert_eq!(panel.dots.len(), 7);
        assert!(panel.legend.iter().any(|entry| entry.text == "(never at 1 size)"));
    }
}
