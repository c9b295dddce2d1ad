//! What a sweep is of, as it is written down beside its results.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Axis, distinct};
use crate::reading::{self, ReadError, printable};
use crate::scenario::Name;

/// The schema of [`SweepPlan`].
pub(super) const SCHEMA: &str = "sweep-plan/1";

/// Most runs of one sweep: the figures of all are held at its end.
const RUNS_MAX: u64 = 1_000_000;
/// Most cells: each has a file.
const CELLS_MAX: usize = 100_000;
/// Longest file of a plan: as long as a scenario, whose values it has.
const LEN_MAX: u64 = 16 << 20;

/// A sweep, or a slice of one: everything that its results need to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPlan {
    pub(super) schema: String,
    /// The digest of all that the results depend on, in hex.
    pub sweep: String,
    /// The scenario's name.
    pub scenario: Name,
    /// The program's version.
    #[serde(deserialize_with = "printable")]
    pub tool_version: String,
    /// Nodes at the start, of the first cell.
    pub nodes: u32,
    /// Virtual time of a run, of the first cell.
    #[serde(deserialize_with = "printable")]
    pub duration: String,
    /// The seeds that every cell has.
    pub seeds: SeedRange,
    /// What is varied.
    pub axes: Vec<Axis>,
    /// The slice of the cells, if not all of them are here.
    pub shard: Option<Shard>,
    /// The scenario's file as it was typed, for commands to paste; the results don't depend on it.
    #[serde(default, deserialize_with = "printable")]
    pub file: String,
    /// What `--set` changed in it, for all cells.
    #[serde(default, deserialize_with = "printable")]
    pub sets: Vec<String>,
}

/// Seeds in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedRange {
    /// The first; a text in files, because not every reader of JSON has 64 bits.
    #[serde(with = "as_text")]
    pub first: u64,
    /// How many, at least one.
    pub n: u64,
}

/// One of several slices of a sweep's cells, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which one.
    pub number: usize,
    /// Of how many.
    pub of: usize,
}

impl SweepPlan {
    /// Reads what was written down, by the rules of what is typed.
    pub(super) fn read(path: &Path) -> Result<Self, ReadError> {
        let plan: Self = reading::json(path, LEN_MAX)?;
        match plan.as_if_typed() {
            Ok(()) => Ok(plan),
            Err(why) => Err(ReadError::wrong(path, None, why)),
        }
    }

    fn as_if_typed(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("it is of schema {}, not of {SCHEMA}", self.schema));
        }
        let digits =
            |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if self.sweep.len() != 64 || !digits(&self.sweep) {
            return Err("`sweep` is no digest of 64 hex digits".to_owned());
        }
        self.seeds.check()?;
        self.axes.iter().try_for_each(Axis::check)?;
        self.shard.map_or(Ok(()), Shard::check)?;
        self.check()
    }

    /// Refuses what is too much for one sweep, before anything is made of it.
    ///
    /// # Errors
    /// A sentence with the number and the limit.
    pub(super) fn check(&self) -> Result<(), String> {
        distinct(&self.axes)?;
        let mut lengths = self.axes.iter().map(|axis| axis.values.len() as u128);
        let cells = lengths.try_fold(1_u128, u128::checked_mul);
        let cells = match cells {
            Some(cells) if cells <= CELLS_MAX as u128 => cells,
            cells => {
                let count = cells.map_or("more than 10^38".to_owned(), |cells| cells.to_string());
                return Err(format!(
                    "{count} combinations are too many: at most {CELLS_MAX} in one sweep"
                ));
            }
        };
        let (n, runs) = (self.seeds.n, cells * u128::from(self.seeds.n));
        match runs <= u128::from(RUNS_MAX) {
            true => Ok(()),
            false => Err(format!(
                "{cells} combinations with {n} seeds are {runs} runs: at most {RUNS_MAX} in one \
                 sweep"
            )),
        }
    }

    /// How many cells the whole sweep has.
    pub fn cells_len(&self) -> usize {
        self.axes.iter().map(|axis| axis.values.len()).product()
    }

    /// The place of a cell along each axis; the last axis is the fastest.
    pub fn places(&self, cell: usize) -> Vec<usize> {
        places(&self.axes, cell)
    }

    /// The value of each axis at a cell.
    pub fn values(&self, cell: usize) -> Vec<&str> {
        let places = self.places(cell);
        self.axes.iter().zip(places).map(|(axis, place)| axis.values[place].as_str()).collect()
    }

    /// A cell in words: `fan_out 3, cycle 1s`.
    pub fn name(&self, cell: usize) -> String {
        let pairs = self.axes.iter().zip(self.values(cell));
        let pairs: Vec<String> =
            pairs.map(|(axis, value)| format!("{} {value}", axis.short())).collect();
        pairs.join(", ")
    }

    /// A cell as what `--set` takes: `engine.fan_out=3`.
    pub fn sets(&self, cell: usize) -> Vec<String> {
        let pairs = self.axes.iter().zip(self.values(cell));
        pairs.map(|(axis, value)| format!("{}={value}", axis.key)).collect()
    }

    /// The cells of a slice, in rising order; of all cells without one.
    ///
    /// Neighbours cost alike and a slice should not get all the dear ones, so the cells are dealt
    /// out in an order that knows nothing of the axes.
    pub fn slice(&self, shard: Option<Shard>) -> Vec<usize> {
        let Some(shard) = shard else { return (0..self.cells_len()).collect() };
        let dealt = self.dealt();
        let mut own: Vec<usize> =
            dealt.into_iter().skip(shard.number - 1).step_by(shard.of).collect();
        own.sort_unstable();
        own
    }

    /// All cells in the order in which they are dealt out to slices, one to each in turn.
    pub fn dealt(&self) -> Vec<usize> {
        let keyed = |cell: usize| (digest(&[&self.sweep, &cell.to_string()]), cell);
        let mut dealt: Vec<([u8; 32], usize)> = (0..self.cells_len()).map(keyed).collect();
        dealt.sort_unstable();
        dealt.into_iter().map(|(_, cell)| cell).collect()
    }

    /// The name of the folder of a sweep's results.
    pub fn folder(&self) -> String {
        format!("sweep-{}", &self.sweep[..8])
    }

    /// The same plan for a slice of the cells, or for all of them.
    pub fn of_slice(&self, shard: Option<Shard>) -> Self {
        Self { shard, ..self.clone() }
    }
}

/// The place along each axis of a cell; the last axis is the fastest.
pub(super) fn places(axes: &[Axis], cell: usize) -> Vec<usize> {
    let mut rest = cell;
    let mut places: Vec<usize> = axes
        .iter()
        .rev()
        .map(|axis| {
            let place = rest % axis.values.len();
            rest /= axis.values.len();
            place
        })
        .collect();
    places.reverse();
    places
}

/// SHA-256 over texts, each with its length, so that no two lists of texts are one.
pub(super) fn digest(texts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl SeedRange {
    fn check(self) -> Result<(), String> {
        match self.n > 0 && self.first.checked_add(self.n - 1).is_some() {
            true => Ok(()),
            false => Err(format!("{} seeds from {} on are none, or too many", self.n, self.first)),
        }
    }

    /// All of them.
    pub fn all(self) -> RangeInclusive<u64> {
        self.first..=self.first + (self.n - 1)
    }
}

impl Shard {
    /// Reads `I/N`.
    ///
    /// # Errors
    /// A sentence that says how it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(number, of)| Some((number.trim().parse().ok()?, of.trim().parse().ok()?)));
        let Some((number, of)) = numbers else {
            return Err("write the slice and how many there are, such as 1/8 to 8/8".to_owned());
        };
        let shard = Self { number, of };
        shard.check().map(|()| shard)
    }

    fn check(self) -> Result<(), String> {
        match (self.number, self.of) {
            (_, 0) => Err("there is no slice of 0: write such as 1/8".to_owned()),
            (_, of) if of > CELLS_MAX => {
                Err(format!("{of} slices are too many: a sweep has at most {CELLS_MAX} cells"))
            }
            (0, of) => Err(format!("slices count from 1: the first of {of} is 1/{of}")),
            (number, of) if number > of => {
                Err(format!("there are only {of} slices: 1/{of} to {of}/{of}"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.of)
    }
}

/// A number as a text.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&number.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) fn example(axes: &[&str], n: u64) -> SweepPlan {
    SweepPlan {
        schema: SCHEMA.to_owned(),
        sweep: hex(&digest(axes)),
        scenario: Name::parse("example").unwrap(),
        tool_version: "0.1.0".to_owned(),
        nodes: 50,
        duration: "30s".to_owned(),
        seeds: SeedRange { first: 1, n },
        axes: axes.iter().map(|text| Axis::parse(text).unwrap()).collect(),
        shard: None,
        file: "folder/example.toml".to_owned(),
        sets: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn cells_go_through_all_combinations_the_last_axis_first() {
        let plan = example(&["engine.fan_out=1..=3", "engine.cycle=1s,2s"], 5);
        assert_eq!(plan.cells_len(), 6);
        let names: Vec<String> = (0..6).map(|cell| plan.name(cell)).collect();
        assert_eq!(
            names[..3],
            ["fan_out 1, cycle 1s", "fan_out 1, cycle 2s", "fan_out 2, cycle 1s"]
        );
        assert_eq!(plan.sets(5), ["engine.fan_out=3", "engine.cycle=2s"]);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 6);
    }

    #[test]
    fn slices_are_even_and_part_the_cells_without_rest() {
        let plan = example(&["a=1..=7", "b=1..=5"], 1);
        for of in [1, 2, 3, 8, 35, 40] {
            let slices: Vec<Vec<usize>> =
                (1..=of).map(|number| plan.slice(Some(Shard { number, of }))).collect();
            let mut all: Vec<usize> = slices.concat();
            all.sort_unstable();
            assert_eq!(all, plan.slice(None), "{of} slices");
            let lengths = || slices.iter().map(Vec::len);
            assert!(lengths().max().unwrap() - lengths().min().unwrap() <= 1, "{of} slices");
        }
    }

    #[test]
    fn a_slice_has_cells_from_everywhere() {
        // With four slices of a grid that is four wide, no slice may be one column.
        let plan = example(&["engine.fan_out=1..=8", "nodes=1,2,3,4"], 1);
        let slice = plan.slice(Some(Shard { number: 1, of: 4 }));
        let columns: BTreeSet<usize> = slice.iter().map(|&cell| plan.places(cell)[1]).collect();
        assert!(columns.len() > 1, "{slice:?}");
    }

    #[test]
    fn a_shard_that_is_none_is_told_how_it_is_written() {
        assert_eq!(Shard::parse("2/8"), Ok(Shard { number: 2, of: 8 }));
        for (text, told) in [
            ("0/8", "count from 1"),
            ("9/8", "only 8 slices"),
            ("1/0", "no slice of 0"),
            ("1", "such as 1/8"),
            ("a/b", "such as 1/8"),
            ("1/18446744073709551615", "at most 100000 cells"),
        ] {
            assert!(Shard::parse(text).unwrap_err().contains(told), "{text}");
        }
    }

    #[test]
    fn a_plan_reads_back_and_large_seeds_keep_all_digits() {
        let mut plan = example(&["a=1,2"], 3);
        plan.seeds.first = u64::MAX - 2;
        plan.shard = Some(Shard { number: 1, of: 2 });
        let text = serde_json::to_string(&plan).unwrap();
        assert!(text.contains("\"18446744073709551613\""), "{text}");
        assert_eq!(serde_json::from_str::<SweepPlan>(&text).unwrap(), plan);
        assert_eq!(plan.seeds.all().count(), 3);
    }
}
