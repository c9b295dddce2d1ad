//! `report.html` of a sweep: every cell with every figure, to be looked at from all sides.

use serde::Serialize;
use serde_json::Value;

use super::pack::Pack;
use super::{PAGE, STYLE, fill};
use crate::measures::{Better, Measure, Unit};
use crate::report::leaders::Leaders;
use crate::report::sweep::Results;
use crate::stats::Interval;
use crate::sweep::Axis;

/// Cells up to which the page has every measure; beyond, it has those that are shown.
const CELLS_MAX: usize = 2_000;

const SWEEP_STYLE: &str = include_str!("sweep.css");
const SCRIPTS: [&str; 2] = [include_str!("data.js"), include_str!("sweep.js")];

#[derive(Serialize)]
struct SweepHeader<'a> {
    title: String,
    scenario: &'a str,
    /// The file and what was set in it, for a command to paste.
    file: &'a str,
    sets: &'a [String],
    sweep: &'a str,
    tool_version: &'a str,
    seeds: [String; 2],
    axes: &'a [Axis],
    /// Names of the measures that stand first.
    shown: Vec<&'a str>,
    measures: Vec<MeasureData<'a>>,
    cells: Vec<CellData>,
}

#[derive(Serialize)]
struct MeasureData<'a> {
    name: &'a str,
    unit: &'static str,
    /// 1 when more is better, -1 when less is, 0 when neither.
    better: i8,
    definition: &'a str,
    /// Cells that chance can't tell apart from that with the best median.
    leaders: Vec<usize>,
    /// What is framed, in a few words.
    framed: Option<String>,
}

#[derive(Serialize)]
struct CellData {
    held: usize,
    n: usize,
    /// For each measure: median, p5, p95, p99, mean, both ends of the interval, never.
    figures: Vec<[Value; 8]>,
    broken_laws: usize,
}

/// The text of the page.
pub fn document(results: &Results) -> String {
    let style = [STYLE, SWEEP_STYLE].concat();
    let title = format!("{}: a sweep", results.plan.scenario);
    fill(PAGE, &title, style, Pack::default().finish(&header(results)), SCRIPTS.concat())
}

fn header(results: &Results) -> SweepHeader<'_> {
    let plan = &results.plan;
    let measures = match results.cells.len() {
        0..=CELLS_MAX => results.known(),
        _ => results.shown.clone(),
    };
    let seeds = plan.seeds.all();
    SweepHeader {
        title: results.title(),
        scenario: &plan.scenario,
        file: &plan.file,
        sets: &plan.sets,
        sweep: &plan.sweep,
        tool_version: &plan.tool_version,
        seeds: [seeds.start().to_string(), seeds.end().to_string()],
        axes: &plan.axes,
        shown: results.shown.iter().map(|measure| measure.name.as_ref()).collect(),
        cells: results
            .cells
            .iter()
            .map(|cell| CellData {
                held: cell.share().held,
                n: cell.held.len(),
                figures: measures.iter().map(|measure| figures(cell, measure)).collect(),
                broken_laws: cell.broken_laws.len(),
            })
            .collect(),
        measures: measures.into_iter().map(|one| measure(results, one)).collect(),
    }
}

fn measure<'a>(results: &Results, measure: &'a Measure) -> MeasureData<'a> {
    let leaders = Leaders::of(results, measure);
    MeasureData {
        name: &measure.name,
        unit: match measure.unit {
            Unit::Duration => "duration",
            Unit::Count => "count",
            Unit::Bytes => "bytes",
            Unit::Share => "share",
            Unit::Flag => "flag",
            Unit::Ratio => "ratio",
            Unit::Rate => "rate",
            Unit::ByteRate => "byte_rate",
        },
        better: match measure.better {
            Better::Lower => -1,
            Better::Higher => 1,
            Better::Neither => 0,
        },
        definition: &measure.definition,
        framed: leaders.words(),
        leaders: match leaders {
            Leaders::Cells(cells) => cells,
            Leaders::Nobody | Leaders::TooFewSeeds(_) => Vec::new(),
        },
    }
}

fn figures(cell: &crate::sweep::Cell, measure: &Measure) -> [Value; 8] {
    let spread = cell.sample(measure).spread();
    let Interval(low, high) = spread.ci95.unwrap_or(Interval(None, None));
    [
        spread.median.into(),
        spread.p5.into(),
        spread.p95.into(),
        spread.p99.into(),
        spread.mean.into(),
        low.into(),
        high.into(),
        spread.censored.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sweep::tests::results;

    #[test]
    fn the_page_is_whole_and_needs_nothing_else() {
        let page = document(&results(&["engine.fan_out=1,2", "engine.cycle=1s,2s"], 5));
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        assert!(!page.contains("{{"), "a place was not filled");
        // The name of the language of drawings looks like an address and is none.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        for outside in ["http://", "https://", "src=", "@import"] {
            assert!(!page.contains(outside), "the page asks for {outside}");
        }
    }

    #[test]
    fn the_command_to_paste_has_the_file_as_it_was_typed_and_what_was_set() {
        let mut results = results(&["engine.fan_out=1..=3"], 5);
        results.plan.sets = vec!["network.loss=30%".to_owned()];
        let header = serde_json::to_value(header(&results)).unwrap();
        assert_eq!(header["file"], "folder/example.toml");
        assert_eq!(header["sets"][0], "network.loss=30%");
    }

    #[test]
    fn every_cell_has_every_known_measure() {
        let results = results(&["engine.fan_out=1..=3"], 5);
        let header = header(&results);
        assert_eq!((header.cells.len(), header.axes.len()), (3, 1));
        assert!(header.cells.iter().all(|cell| cell.figures.len() == header.measures.len()));
        let t99 = header.measures.iter().position(|one| one.name == "metadata.t99").unwrap();
        assert_eq!(header.cells[1].figures[t99][0], Value::from(10.3));
        assert_eq!(header.measures[t99].better, -1);
    }
}
