//! What a sweep is of, as it is written down beside its results.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Axis;

/// The schema of [`SweepPlan`].
pub(super) const SCHEMA: &str = "sweep-plan/1";

/// A sweep, or a slice of one: everything that its results need to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPlan {
    pub(super) schema: String,
    /// The digest of all that the results depend on, in hex.
    pub sweep: String,
    /// The scenario's name.
    pub scenario: String,
    /// The program's version.
    pub tool_version: String,
    /// Nodes at the start, of the first cell.
    pub nodes: u32,
    /// Virtual time of a run, of the first cell.
    pub duration: String,
    /// The seeds that every cell has.
    pub seeds: SeedRange,
    /// What is varied.
    pub axes: Vec<Axis>,
    /// The slice of the cells, if not all of them are here.
    pub shard: Option<Shard>,
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
        let all = 0..self.cells_len();
        let Some(shard) = shard else { return all.collect() };
        let mut dealt: Vec<([u8; 32], usize)> =
            all.map(|cell| (digest(&[&self.sweep, &cell.to_string()]), cell)).collect();
        dealt.sort_unstable();
        let own = dealt.iter().skip(shard.number - 1).step_by(shard.of);
        let mut own: Vec<usize> = own.map(|&(_, cell)| cell).collect();
        own.sort_unstable();
        own
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
        match (number, of) {
            (_, 0) => Err("there is no slice of 0: write such as 1/8".to_owned()),
            (0, of) => Err(format!("slices count from 1: the first of {of} is 1/{of}")),
            (number, of) if number > of => {
                Err(format!("there are only {of} slices: 1/{of} to {of}/{of}"))
            }
            (number, of) => Ok(Self { number, of }),
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
        scenario: "example".to_owned(),
        tool_version: "0.1.0".to_owned(),
        nodes: 50,
        duration: "30s".to_owned(),
        seeds: SeedRange { first: 1, n },
        axes: axes.iter().map(|text| Axis::parse(text).unwrap()).collect(),
        shard: None,
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
