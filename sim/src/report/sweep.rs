//! What a sweep showed: `sweep.csv` with every run, `sweep.json` with every cell over its seeds.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::measures::{self, Measure, Unit};
use crate::report::terminal::measured;
use crate::stats::{Sample, Share};
use crate::sweep::{Axis, Cell, SeedRange, SweepPlan};

/// The schema of `sweep.json`.
const SCHEMA: &str = "sweep/1";

/// Measures that are shown where nobody says which, the first of those that say something.
const SHOWN: [&str; 6] = [
    "metadata.t99",
    "node_list.converged_after_max",
    "detection.all",
    "per_node_per_second.bytes_p50",
    "removals.false",
    "metadata.converged_after",
];
/// How many of them.
const SHOWN_MAX: usize = 4;

/// All cells of a sweep.
#[derive(Clone, Debug)]
pub struct Results {
    /// What was swept.
    pub plan: SweepPlan,
    /// The cells, in their order; all of them.
    pub cells: Vec<Cell>,
    /// The measures that tables and pictures show.
    pub shown: Vec<&'static Measure>,
}

impl Results {
    /// Puts the cells of a sweep together, to be shown by the measures that were asked for, or
    /// else by the usual ones.
    ///
    /// # Panics
    /// When a cell is missing.
    pub fn new(plan: &SweepPlan, cells: Vec<Cell>, asked: &[&'static Measure]) -> Self {
        assert_eq!(cells.len(), plan.cells_len(), "the results of a sweep have all its cells");
        let shown = if asked.is_empty() { usual(&cells) } else { asked.to_vec() };
        Self { plan: plan.of_slice(None), cells, shown }
    }

    /// What was swept, in a line.
    pub fn title(&self) -> String {
        let SweepPlan { scenario, nodes, duration, seeds, axes, .. } = &self.plan;
        let varied = |key: &str| axes.iter().any(|axis| axis.key == key);
        let mut title = scenario.to_string() + ":";
        if !varied("nodes") {
            title += &format!(" {},", crate::report::human::counted((*nodes).into(), "node"));
        }
        if !varied("duration") {
            title += &format!(" {duration},");
        }
        let SeedRange { first, n } = *seeds;
        title
            + &match n {
                1 => format!(" seed {first}"),
                n => format!(" seeds {first} to {}", first + (n - 1)),
            }
    }

    /// The measures that any run has a figure of.
    pub fn known(&self) -> Vec<&'static Measure> {
        let known = |measure: &&Measure| self.cells.iter().any(|cell| cell.knows(measure));
        measures::all().iter().filter(known).collect()
    }

    /// Laws that were broken, which is a bug.
    pub fn broken_laws(&self) -> Vec<String> {
        let of = |cell: &Cell| {
            let name = self.plan.name(cell.cell);
            cell.broken_laws.iter().map(move |law| format!("{name}: {law}")).collect::<Vec<_>>()
        };
        self.cells.iter().flat_map(of).collect()
    }
}

/// A figure over seeds as a person reads it: its median, and how many never came to one.
pub fn shown(measure: &Measure, sample: &Sample) -> String {
    let Some(median) = sample.median() else { return "never".to_owned() };
    let median = figure(measure, median);
    match sample.spread().censored {
        0 => median,
        never => format!("{median} ({never} never)"),
    }
}

/// A number in the unit of a measure; of a flag, which is 0 or 1, as a word.
pub fn figure(measure: &Measure, number: f64) -> String {
    match measure.unit {
        Unit::Flag => (number != 0.0).to_string(),
        _ => measured(&measure.name, &json!(number)),
    }
}

fn usual(cells: &[Cell]) -> Vec<&'static Measure> {
    let says_something = |measure: &&Measure| {
        let known = || cells.iter().filter(|cell| cell.knows(measure));
        match measure.unit {
            // A count that is zero everywhere is good news, and no picture.
            Unit::Count => known().any(|cell| cell.sample(measure).percentile(100) != Some(0.0)),
            _ => known().next().is_some(),
        }
    };
    let measures = SHOWN.iter().filter_map(|name| measures::find(name));
    measures.filter(says_something).take(SHOWN_MAX).collect()
}

#[derive(Serialize)]
struct SweepDocument<'a> {
    schema: &'static str,
    sweep: &'a str,
    scenario: &'a str,
    tool_version: &'a str,
    nodes: u32,
    duration: &'a str,
    seeds: SeedRange,
    axes: &'a [Axis],
    shown: Vec<&'a str>,
    cells: Vec<CellDocument<'a>>,
}

#[derive(Serialize)]
struct CellDocument<'a> {
    settings: Map<String, Value>,
    held: Share,
    broken_laws: &'a [String],
    figures: Map<String, Value>,
}

/// The document `sweep/1`: every cell with its figures over the seeds.
pub fn document(results: &Results) -> impl Serialize + '_ {
    let plan = &results.plan;
    let known = results.known();
    SweepDocument {
        schema: SCHEMA,
        sweep: &plan.sweep,
        scenario: &plan.scenario,
        tool_version: &plan.tool_version,
        nodes: plan.nodes,
        duration: &plan.duration,
        seeds: plan.seeds,
        axes: &plan.axes,
        shown: results.shown.iter().map(|measure| measure.name.as_ref()).collect(),
        cells: results.cells.iter().map(|cell| cell_document(plan, cell, &known)).collect(),
    }
}

fn cell_document<'a>(plan: &SweepPlan, cell: &'a Cell, known: &[&Measure]) -> CellDocument<'a> {
    let keys = plan.axes.iter().map(|axis| axis.key.clone());
    let values = plan.values(cell.cell).into_iter().map(Value::from);
    let figures = known.iter().map(|measure| (measure.key(), over_seeds(cell, measure)));
    CellDocument {
        settings: keys.zip(values).collect(),
        held: cell.share(),
        broken_laws: &cell.broken_laws,
        figures: figures.collect(),
    }
}

/// A figure over seeds, as in the aggregates of `sim run`.
fn over_seeds(cell: &Cell, measure: &Measure) -> Value {
    match measure.unit {
        Unit::Flag => {
            let known = cell.column(measure).into_iter().flatten();
            json!(Share::new(known.map(|flag| flag != 0.0)))
        }
        _ => json!(cell.sample(measure).spread()),
    }
}

/// The table `sweep.csv`: a row for each run, with its settings, its seed and every figure.
pub fn csv(results: &Results) -> Vec<u8> {
    let known = results.known();
    let mut table = ::csv::Writer::from_writer(Vec::new());
    let keys = results.plan.axes.iter().map(|axis| axis.key.clone());
    let own = ["seed", "held"].map(str::to_owned);
    let head = keys.chain(own).chain(known.iter().map(|measure| measure.key()));
    let in_memory = "memory takes every row";
    table.write_record(head).expect(in_memory);
    for cell in &results.cells {
        let columns: Vec<Vec<Option<f64>>> =
            known.iter().map(|measure| cell.column(measure)).collect();
        for (place, seed) in results.plan.seeds.all().enumerate() {
            let values = results.plan.values(cell.cell).into_iter().map(str::to_owned);
            let own = [seed.to_string(), cell.held[place].to_string()];
            let figures = known.iter().zip(&columns);
            let figures = figures.map(|(measure, column)| field(measure, column[place]));
            table.write_record(values.chain(own).chain(figures)).expect(in_memory);
        }
    }
    table.into_inner().expect(in_memory)
}

/// A figure as a plain number, of a flag as a word; nothing where there is none.
fn field(measure: &Measure, figure: Option<f64>) -> String {
    match (measure.unit, figure) {
        (_, None) => String::new(),
        (Unit::Flag, Some(flag)) => (flag != 0.0).to_string(),
        (_, Some(number)) => number.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::results::{fixture, json as to_json};
    use crate::sweep::Trial;

    /// A sweep with these axes; larger places along the first are quicker, along the second
    /// slower.
    pub(crate) fn results(axes: &[&str], n: u64) -> Results {
        let ms = |places: &[usize], seed: u64| {
            let slow = places.get(1).map_or(1.0, |place| 1.0 + *place as f64);
            20.0 * slow / (1.0 + places[0] as f64) + seed as f64 / 10.0
        };
        results_of(axes, n, ms)
    }

    /// A sweep in which only luck parts the cells from the third place of the first axis on.
    pub(crate) fn noisy(axes: &[&str], n: u64) -> Results {
        let luck = |places: &[usize], seed: u64| {
            let mix =
                (seed * 7 + places[0] as u64 * 3 + places[1] as u64).wrapping_mul(0x9e37_79b9);
            (mix >> 7) as f64 % 5.0
        };
        results_of(axes, n, |places, seed| {
            90.0 - 20.0 * places[0].min(2) as f64 + luck(places, seed)
        })
    }

    fn results_of(axes: &[&str], n: u64, ms: impl Fn(&[usize], u64) -> f64) -> Results {
        let plan = crate::sweep::example(axes, n);
        let cell = |cell: usize| {
            let places = plan.places(cell);
            let trials: Vec<Trial> = (1..=n)
                .map(|seed| {
                    let mut summary = fixture::partition(50, 3, seed).summary;
                    let ms = ms(&places, seed);
                    // The slowest corner hardly ever gets there.
                    let never = places[0] == 0 && places.get(1).is_some_and(|&place| place == 3);
                    summary.metadata.t99_ms = (!never || seed == 1).then_some(ms);
                    summary.per_node_per_second.bytes_p50 = Some(900.0 * (1.0 + places[0] as f64));
                    Trial::of(&summary)
                })
                .collect();
            Cell::new(&plan, cell, &trials)
        };
        let cells = (0..plan.cells_len()).map(cell).collect();
        Results::new(&plan, cells, &[])
    }

    #[test]
    fn the_document_has_every_cell_with_its_figures_over_the_seeds() {
        let results = results(&["engine.fan_out=1,2", "engine.cycle=1s,2s"], 5);
        let text = to_json::document(&document(&results));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["schema"], &value["seeds"]["first"]), (&json!("sweep/1"), &json!("1")));
        let cell = &value["cells"][3];
        assert_eq!(cell["settings"], json!({"engine.fan_out": "2", "engine.cycle": "2s"}));
        // 20 * 2 / 2 ms and a tenth for each seed: the third of five is the median.
        assert_eq!(cell["figures"]["metadata.t99_ms"]["median"], json!(20.3));
        assert_eq!(cell["figures"]["metadata.converged"]["n"], json!(5));
        assert_eq!(cell["figures"].get("detection.all_ms"), None, "no run has it");
    }

    #[test]
    fn the_table_has_a_row_for_each_run() {
        let results = results(&["engine.fan_out=1..=3"], 4);
        let text = csv(&results);
        let mut table = ::csv::Reader::from_reader(&text[..]).into_deserialize();
        let rows: Vec<std::collections::BTreeMap<String, String>> =
            table.by_ref().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 12);
        let row = &rows[5];
        assert_eq!((row["engine.fan_out"].as_str(), row["seed"].as_str()), ("2", "2"));
        assert_eq!(row["metadata.t99_ms"], "10.2");
        assert_eq!(row["metadata.converged"], "true");
    }

    #[test]
    fn the_usual_measures_are_those_that_say_something() {
        let results = results(&["engine.fan_out=1,2"], 5);
        let names: Vec<&str> = results.shown.iter().map(|measure| measure.name.as_ref()).collect();
        // Nothing crashed, so that there is no detection to show.
        assert_eq!(names[0], "metadata.t99");
        assert!(!names.contains(&"detection.all"), "{names:?}");
        assert!(names.contains(&"per_node_per_second.bytes_p50"), "{names:?}");
    }

    #[test]
    fn a_figure_that_some_seeds_never_reached_says_so() {
        let measure = measures::find("metadata.t99").unwrap();
        let of = |values: &[Option<f64>]| shown(measure, &Sample::new(values.iter().copied()));
        assert_eq!(of(&[Some(30.0), Some(31.0), Some(33.0)]), "31 ms");
        assert_eq!(of(&[Some(30.0), Some(31.0), None]), "31 ms (1 never)");
        assert_eq!(of(&[Some(30.0), None, None]), "never");
    }
}
