//! `report.html`: a run on one page that needs nothing else: figures, charts, and a player.
//!
//! The page is a frame with style, scripts and one block of data: everything that it shows is
//! packed as typed arrays, deflated, and written in base64 (see `pack`). It is the same bytes each
//! time. What scripts do is told in their own files, in the folder of this module.

mod pack;
mod scene;
pub mod sweep;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Value;

use self::pack::Pack;
use self::scene::Scene;
use super::plots::Seeds;
use crate::report::curves::{self, Curve, Levels};
use crate::report::human;
use crate::results::json;
use crate::results::summary::{
    FaultWindow, NodeTraffic, RumorFigures, RumorRow, RunResult, SeriesRow,
};
use crate::scenario::plan::Plan;
use crate::stats::Sample;

/// Above so many nodes the page has no player.
pub const PLAYER_NODES_MAX: u32 = 2_000;
/// Rumors that the player knows, those that matter most.
const PLAYER_RUMORS_MAX: usize = 1_000;
/// Rumors that have a curve of their own, those that matter most; of all there are medians.
const CURVES_MAX: usize = 60;
/// Nodes that have a bar of their own in the chart of traffic.
const TRAFFIC_MAX: usize = 2_000;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");
const SCRIPTS: [&str; 5] = [
    include_str!("html/data.js"),
    include_str!("html/chart.js"),
    include_str!("html/scene.js"),
    include_str!("html/player.js"),
    include_str!("html/page.js"),
];

/// What a page shows.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The run; over seeds, the worst of them.
    pub run: &'a RunResult,
    /// The plan of that run.
    pub plan: &'a Plan,
    /// What the seeds show together, where there are several.
    pub seeds: Option<(&'a Seeds, &'a Value)>,
}

/// The text of the page.
pub fn document(page: &Page<'_>) -> String {
    let summary = &page.run.summary;
    let title = format!("{}, seed {}", summary.scenario, summary.seed);
    fill(PAGE, &title, STYLE.to_owned(), data(page), SCRIPTS.concat())
}

/// The frame with its parts in their places.
fn fill(frame: &str, title: &str, style: String, data: String, script: String) -> String {
    let parts = [
        ("{{title}}", escaped(title)),
        ("{{style}}", style),
        ("{{data}}", data),
        ("{{script}}", script),
    ];
    let mut text = frame.to_owned();
    for (place, part) in parts {
        // Each stands in the frame once; what a part says must not be taken for a place.
        let (before, after) = text.split_once(place).expect("the frame has a place for each part");
        text = [before, &part, after].concat();
    }
    text
}

/// What the page is told beside the arrays.
#[derive(Serialize)]
struct Header<'a> {
    /// `summary.json` as it stands.
    summary: String,
    aggregate: Option<&'a Value>,
    /// Numbers of nodes ever.
    nodes: u32,
    tick_ms: f64,
    /// Whether there is a player, and if not, why in words.
    no_player: Option<String>,
    timeline: &'a [(f64, String)],
    windows: Vec<PageWindow<'a>>,
    rumors: Vec<PageRumor<'a>>,
    rumors_left_out: u64,
    curves: Vec<CurveData<'a>>,
    medians: Vec<Median<'a>>,
    series: Series,
    hops: Vec<(String, Vec<u64>)>,
    traffic: Vec<(u32, f64, f64)>,
    seeds: Option<SeedsData>,
    vias: [&'static str; 5],
    /// Names of zones, by their numbers; none where nodes have no zones.
    zones: Vec<String>,
    /// Names that the file gives to nodes, by their numbers; null for those without.
    names: Vec<Option<&'a str>>,
}

#[derive(Serialize)]
struct PageWindow<'a> {
    text: &'a str,
    from_ms: f64,
    to_ms: f64,
}

/// A rumor of the player; its receipts are the next `rows` of the arrays.
#[derive(Serialize)]
struct PageRumor<'a> {
    id: &'a str,
    kind: &'a str,
    node: u32,
    start_ms: f64,
    t50_ms: Option<f64>,
    t100_ms: Option<f64>,
    rows: usize,
}

#[derive(Serialize)]
struct CurveData<'a> {
    title: &'a str,
    kind: &'a str,
    steps: &'a [(f64, f64)],
}

#[derive(Serialize)]
struct Median<'a> {
    kind: &'a str,
    count: usize,
    levels: &'a Levels,
}

/// The time series by columns.
#[derive(Serialize)]
struct Series {
    t_ms: Vec<f64>,
    missing: Vec<u64>,
    ghosts: Vec<u64>,
    messages: Vec<u64>,
    bytes: Vec<u64>,
}

/// Bands over seeds: for each line the p5, p50 and p95.
#[derive(Serialize)]
struct SeedsData {
    count: usize,
    kinds: Vec<(String, [Levels; 3])>,
    missing: [Vec<f64>; 3],
    ghosts: [Vec<f64>; 3],
}

const VIAS: [&str; 5] = ["source", "rumor", "bulk", "swap", "stream"];

/// Everything that the page shows, packed.
fn data(page: &Page<'_>) -> String {
    let run = page.run;
    let curves = curves::of_run(run);
    let medians = curves::median_levels(&curves);
    let mut pack = Pack::default();
    let no_player = (page.plan.nodes_ever > PLAYER_NODES_MAX).then(|| {
        let most = human::count(PLAYER_NODES_MAX.into());
        let nodes = human::count(page.plan.nodes_ever.into());
        format!("The player shows runs of up to {most} nodes; this one has {nodes}.")
    });
    let (rumors, zones, names) = match no_player {
        None => {
            let scene = Scene::of(page.plan);
            scene.pack(&mut pack);
            (receipts(run, &mut pack), scene.zones, scene::names(page.plan))
        }
        Some(_) => Default::default(),
    };
    let drawn = curves::that_matter(&run.summary.rumors, CURVES_MAX);
    let header = Header {
        summary: json::document(&run.summary),
        aggregate: page.seeds.map(|(_, aggregate)| aggregate),
        nodes: page.plan.nodes_ever,
        tick_ms: tick_ms(run),
        no_player,
        timeline: &run.timeline,
        windows: run.fault_windows.iter().map(window).collect(),
        rumors_left_out: (run.summary.rumors.len() - rumors.len()) as u64 + run.rumors_left_out,
        rumors,
        curves: drawn.into_iter().map(|place| curve(&curves[place])).collect(),
        medians: medians.iter().map(|(kind, levels)| median(kind, levels, &curves)).collect(),
        series: series(&run.series),
        hops: hops(&run.rumor_rows),
        traffic: traffic(&run.node_traffic),
        seeds: page.seeds.map(|(seeds, _)| over_seeds(seeds)),
        vias: VIAS,
        zones,
        names,
    };
    pack.finish(&header)
}

/// Packs first receipts, rumor after rumor, and says which rumors have how many.
fn receipts<'a>(run: &'a RunResult, pack: &mut Pack) -> Vec<PageRumor<'a>> {
    let followed = curves::that_matter(&run.summary.rumors, PLAYER_RUMORS_MAX);
    let mut rest = run.rumor_rows.as_slice();
    let mut rows: Vec<&RumorRow> = Vec::new();
    let mut rumors = Vec::new();
    for (place, figures) in run.summary.rumors.iter().enumerate() {
        // The table goes by rumors in their order.
        let own = rest.iter().take_while(|row| row.rumor == figures.id).count();
        if followed.binary_search(&place).is_ok() {
            rows.extend(&rest[..own]);
            rumors.push(rumor(figures, own));
        }
        rest = &rest[own..];
    }
    let tick = tick_ms(run);
    let ticks = |ms: f64| (ms / tick).round() as u32;
    let flight = |row: &&RumorRow| ticks(row.first_ms - row.sent_ms.unwrap_or(row.first_ms));
    pack.u32("first", rows.iter().map(|row| ticks(row.first_ms)));
    pack.u32("flight", rows.iter().map(flight));
    pack.u16("node", rows.iter().map(|row| row.node as u16));
    pack.u16("from", rows.iter().map(|row| row.from.unwrap_or(row.node) as u16));
    pack.u8("hop", rows.iter().map(|row| row.hop.min(255) as u8));
    let via = |row: &&RumorRow| VIAS.iter().position(|via| *via == row.via).unwrap_or(0) as u8;
    pack.u8("via", rows.iter().map(via));
    rumors
}

/// What a tick of the player's clock is: a microsecond, unless the run is longer than 71 minutes.
fn tick_ms(run: &RunResult) -> f64 {
    let microseconds = run.summary.virtual_ms * 1000.0;
    (microseconds / f64::from(u32::MAX)).ceil().max(1.0) / 1000.0
}

fn rumor(figures: &RumorFigures, rows: usize) -> PageRumor<'_> {
    PageRumor {
        id: &figures.id,
        kind: &figures.kind,
        node: figures.node,
        start_ms: figures.start_ms,
        t50_ms: figures.t50_ms,
        t100_ms: figures.t100_ms,
        rows,
    }
}

fn window(window: &FaultWindow) -> PageWindow<'_> {
    PageWindow { text: &window.text, from_ms: window.from_ms, to_ms: window.to_ms }
}

fn curve(curve: &Curve) -> CurveData<'_> {
    CurveData { title: &curve.title, kind: &curve.kind, steps: &curve.steps }
}

fn median<'a>(kind: &'a str, levels: &'a Levels, curves: &[Curve]) -> Median<'a> {
    Median { kind, count: curves.iter().filter(|curve| curve.kind == kind).count(), levels }
}

fn series(rows: &[SeriesRow]) -> Series {
    let column = |value: fn(&SeriesRow) -> u64| rows.iter().map(value).collect();
    Series {
        t_ms: rows.iter().map(|row| row.t_ms).collect(),
        missing: column(|row| row.missing),
        ghosts: column(|row| row.ghosts),
        messages: column(|row| row.messages),
        bytes: column(|row| row.bytes),
    }
}

/// For each way of learning, how many first receipts there were at each hop.
fn hops(rows: &[RumorRow]) -> Vec<(String, Vec<u64>)> {
    let of_way = |via: &str| {
        let mut counts = Vec::new();
        for row in rows.iter().filter(|row| row.via == via) {
            let hop = row.hop as usize;
            counts.resize(counts.len().max(hop + 1), 0);
            counts[hop] += 1;
        }
        (via.to_owned(), counts)
    };
    VIAS[1..].iter().map(|via| of_way(via)).filter(|(_, counts)| !counts.is_empty()).collect()
}

fn traffic(nodes: &[NodeTraffic]) -> Vec<(u32, f64, f64)> {
    let rates = nodes.iter().take(TRAFFIC_MAX);
    rates.map(|node| (node.node, node.messages_per_second, node.bytes_per_second)).collect()
}

fn over_seeds(seeds: &Seeds) -> SeedsData {
    let kinds: std::collections::BTreeSet<&String> =
        seeds.views.iter().flat_map(|view| view.levels.keys()).collect();
    let levels = |kind: &String| {
        let own: Vec<&Levels> =
            seeds.views.iter().filter_map(|view| view.levels.get(kind)).collect();
        let at = |percent| -> Levels {
            let level = |place: usize| {
                let reached = own.iter().map(|levels| levels[place]);
                Sample::new(reached).percentile(percent)
            };
            (0..curves::LEVELS.count()).map(level).collect()
        };
        [5, 50, 95].map(at)
    };
    let rows = seeds.views.iter().map(|view| view.series.len()).min().unwrap_or_default();
    let error = |value: fn(&SeriesRow) -> u64| {
        let at = |percent| {
            let row = |row: usize| {
                let values = seeds.views.iter().map(|view| Some(value(&view.series[row]) as f64));
                Sample::new(values).percentile(percent).unwrap_or_default()
            };
            (0..rows).map(row).collect()
        };
        [5, 50, 95].map(at)
    };
    SeedsData {
        count: seeds.views.len(),
        kinds: kinds.iter().map(|kind| ((*kind).clone(), levels(kind))).collect(),
        missing: error(|row| row.missing),
        ghosts: error(|row| row.ghosts),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
