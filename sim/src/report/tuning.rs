//! What a tuning came to: which settings were tried, which are worth their cost, and which of
//! them is recommended.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::measures::{self, Measure};
use crate::stats::{Sample, Share};
use crate::sweep::SweepPlan;

/// The schema of `tune.json`.
const SCHEMA: &str = "tune/1";

/// A tuning, ended.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The scenario and what was varied.
    pub plan: SweepPlan,
    /// What was asked for.
    pub targets: Vec<Target>,
    /// The share of runs that must hold all targets: as typed, and from 0 to 1.
    pub share: (String, f64),
    /// What was to be as little as possible.
    pub minimize: &'static Measure,
    /// What the front is of.
    pub time: &'static Measure,
    /// What the time costs.
    pub cost: &'static Measure,
    /// Runs in all.
    pub runs: usize,
    /// Combinations that make no valid setting.
    pub refused: usize,
    /// Every setting, in the order of the cells.
    pub settings: Vec<TunedSetting>,
    /// Those that looked good enough, and then were not on fresh seeds, cheapest first.
    pub fallen: Vec<Fallen>,
    /// Places in `settings` than which no other is both quicker and cheaper, by rising time.
    pub front: Vec<usize>,
    /// What is recommended, if anything meets the targets.
    pub recommended: Option<Recommended>,
    /// The place of the setting that comes nearest, where none is recommended.
    pub nearest: Option<usize>,
    /// What else is to be said where none is.
    pub hint: Option<String>,
}

/// A setting that held its targets on the seeds of the search, and too seldom on fresh ones.
#[derive(Clone, Debug)]
pub struct Fallen {
    /// Its place in the settings.
    pub setting: usize,
    /// How many fresh runs held all targets.
    pub held: Share,
}

/// Who asks for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TuningOrigin {
    /// Who typed it.
    Typed,
    /// The scenario, in its `[expect]`.
    File,
}

/// A target, and how the settings fared with it alone.
#[derive(Clone, Debug)]
pub struct Target {
    /// As typed.
    pub text: String,
    /// By whom.
    pub origin: TuningOrigin,
    /// Its measure.
    pub measure: &'static Measure,
    /// Its limit, in the unit of the measure.
    pub limit: f64,
    /// How many settings met it.
    pub met_by: usize,
    /// The setting with the best median, if any has one.
    pub best: Option<usize>,
}

/// One setting and what its runs showed.
#[derive(Clone, Debug)]
pub struct TunedSetting {
    /// Its cell.
    pub cell: usize,
    /// How many runs held all targets.
    pub held: Share,
    /// The time of the front.
    pub time: Sample,
    /// The cost of the front.
    pub cost: Sample,
    /// What was to be as little as possible.
    pub minimized: Sample,
    /// The measure of each target.
    pub targets: Vec<Sample>,
    /// Silence after which a node is removed, which may follow from what was varied, in ms.
    pub timeout_ms: f64,
    /// Until a crashed node was off all lists, where one crashes.
    pub detection: Option<Sample>,
    /// Removals of nodes that ran, over all its runs.
    pub false_removals: u64,
    /// Whether theory says that it keeps those who live on the lists.
    pub holds: bool,
}

/// The setting that is recommended, judged on seeds that had no part in its choice.
#[derive(Clone, Debug)]
pub struct Recommended {
    /// Its place in the settings.
    pub setting: usize,
    /// What its fresh runs showed.
    pub fresh: TunedSetting,
    /// The first and the last fresh seed.
    pub seeds: (u64, u64),
    /// To paste into a file.
    pub block: String,
    /// To paste into a program.
    pub builder: String,
}

impl Tuning {
    /// A setting in words.
    pub fn name(&self, place: usize) -> String {
        self.plan.name(self.settings[place].cell)
    }
}

#[derive(Serialize)]
struct TuningDocument<'a> {
    schema: &'static str,
    scenario: &'a str,
    tool_version: &'a str,
    targets: Vec<Value>,
    share: f64,
    minimize: &'a str,
    front_of: [&'a str; 2],
    runs: usize,
    settings_refused: usize,
    settings: Vec<Value>,
    front: &'a [usize],
    fallen: Vec<Value>,
    recommended: Option<Value>,
    nearest: Option<usize>,
}

/// The document `tune/1`; settings are referred to by their place.
pub fn document(tuning: &Tuning) -> impl Serialize + '_ {
    let target = |target: &Target| {
        let Target { text, origin, met_by, .. } = target;
        json!({ "target": text, "of": origin, "met_by": met_by })
    };
    let fallen = |own: &Fallen| json!({ "setting": own.setting, "fresh": own.held });
    TuningDocument {
        schema: SCHEMA,
        scenario: &tuning.plan.scenario,
        tool_version: &tuning.plan.tool_version,
        targets: tuning.targets.iter().map(target).collect(),
        share: tuning.share.1,
        minimize: &tuning.minimize.name,
        front_of: [&tuning.time.name, &tuning.cost.name],
        runs: tuning.runs,
        settings_refused: tuning.refused,
        settings: tuning.settings.iter().map(|own| setting(tuning, own)).collect(),
        front: &tuning.front,
        fallen: tuning.fallen.iter().map(fallen).collect(),
        recommended: tuning.recommended.as_ref().map(|own| recommended(tuning, own)),
        nearest: tuning.nearest,
    }
}

fn setting(tuning: &Tuning, own: &TunedSetting) -> Value {
    let keys = tuning.plan.axes.iter().map(|axis| axis.key.clone());
    let values = tuning.plan.values(own.cell).into_iter().map(Value::from);
    let mut figures = Map::new();
    let mut add = |measure: &Measure, sample: &Sample| {
        figures.insert(measure.key(), json!(sample.spread()));
    };
    add(tuning.time, &own.time);
    add(tuning.cost, &own.cost);
    add(tuning.minimize, &own.minimized);
    if let Some(detection) = &own.detection {
        add(measures::known("detection.all"), detection);
    }
    tuning.targets.iter().zip(&own.targets).for_each(|(target, sample)| {
        add(target.measure, sample);
    });
    json!({
        "settings": keys.zip(values).collect::<Map<String, Value>>(),
        "held": own.held,
        "timeout_ms": own.timeout_ms,
        "false_removals": own.false_removals,
        "holds_in_theory": own.holds,
        "figures": figures,
    })
}

fn recommended(tuning: &Tuning, own: &Recommended) -> Value {
    json!({
        "setting": own.setting,
        "fresh_seeds": [own.seeds.0.to_string(), own.seeds.1.to_string()],
        "fresh": setting(tuning, &own.fresh),
        "engine": own.block,
        "builder": own.builder,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measures::find;
    use crate::results::json as to_json;

    /// A tuning of four settings, of which the second is recommended.
    pub(crate) fn tuning(met: bool) -> Tuning {
        let sample = |base: f64| Sample::new((0..6).map(|seed| Some(base + f64::from(seed))));
        let setting = |cell: usize| TunedSetting {
            cell,
            held: Share::new((0..6).map(|_| cell > 0)),
            time: sample(300.0 - 60.0 * cell as f64),
            cost: sample(1e6 * (1.0 + cell as f64)),
            minimized: sample(1e6 * (1.0 + cell as f64)),
            targets: vec![sample(300.0 - 60.0 * cell as f64)],
            timeout_ms: 5_000.0,
            detection: Some(sample(4_200.0)),
            false_removals: if cell == 0 { 12 } else { 0 },
            holds: cell != 2,
        };
        let recommended = Recommended {
            setting: 1,
            fresh: TunedSetting { held: Share::new([true; 200]), ..setting(1) },
            seeds: (49, 248),
            block: "[engine]\nfan_out = 2\n".to_owned(),
            builder: "let config = Config::builder()\n    .fan_out(2)\n    .build()?;\n".to_owned(),
        };
        Tuning {
            plan: crate::sweep::example(&["engine.fan_out=1..=4"], 6),
            targets: vec![Target {
                text: "metadata.t99 <= 250ms".to_owned(),
                origin: TuningOrigin::Typed,
                measure: find("metadata.t99").unwrap(),
                limit: 250.0,
                met_by: if met { 3 } else { 0 },
                best: Some(3),
            }],
            share: ("100%".to_owned(), 1.0),
            minimize: find("bytes.with_headers").unwrap(),
            time: find("metadata.t99").unwrap(),
            cost: find("bytes.with_headers").unwrap(),
            runs: 224,
            refused: 1,
            settings: (0..4).map(setting).collect(),
            front: vec![3, 2, 1, 0],
            fallen: vec![Fallen { setting: 0, held: Share::new((0..200).map(|run| run > 2)) }],
            recommended: met.then_some(recommended),
            nearest: (!met).then_some(3),
            hint: (!met).then(|| "this is why".to_owned()),
        }
    }

    #[test]
    fn the_document_tells_what_was_tried_and_what_is_recommended() {
        let text = to_json::document(&document(&tuning(true)));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["settings"][1]["settings"]["engine.fan_out"], "2");
        assert_eq!(value["settings"][1]["figures"]["metadata.t99_ms"]["median"], json!(242.0));
        assert_eq!(value["recommended"]["fresh"]["held"]["true"], json!(200));
        assert_eq!((&value["front"][0], &value["nearest"]), (&json!(3), &Value::Null));
        let none = serde_json::to_value(document(&tuning(false))).unwrap();
        assert_eq!((&none["recommended"], &none["nearest"]), (&Value::Null, &json!(3)));
    }
}
