//! `sim measures`: the table of every figure that can be asked for.

use comfy_table::{ContentArrangement, Table, presets};

use serde::Serialize;

use super::run::Format;
use super::{Exit, Failure, Report};
use crate::measures::{Better, Measure, RUMOR_KINDS, Unit, all, unknown};
use crate::results::json::document;

/// Lists the measures whose name has a pattern in it, or all.
///
/// # Errors
/// When there is none.
pub fn run(pattern: Option<&str>, format: Format, width: u16) -> Result<Report, Failure> {
    let found: Vec<&Measure> =
        all().iter().filter(|measure| fits(pattern, &measure.name)).collect();
    if let (Some(pattern), true) = (pattern, found.is_empty()) {
        return Err(Failure::wrong(unknown(pattern)));
    }
    let out = match (format, pattern) {
        (Format::Json, _) => document(&ListedMeasure::of(&found)),
        (_, None) => table(width) + "\n",
        (_, Some(_)) => rows(found.into_iter().map(full_row), width).trim_fmt() + "\n",
    };
    Ok(Report { out, err: String::new(), exit: Exit::Held })
}

/// Whether a name has a pattern in it, in whatever letters; `*` stands for anything.
fn fits(pattern: Option<&str>, name: &str) -> bool {
    let Some(pattern) = pattern else { return true };
    let pattern = pattern.to_lowercase();
    let behind = |rest: &'_ str, piece: &str| rest.find(piece).map(|at| at + piece.len());
    let mut pieces = pattern.split('*');
    pieces.try_fold(name, |rest, piece| Some(&rest[behind(rest, piece)?..])).is_some()
}

/// The registry as JSON.
#[derive(Serialize)]
struct ListedMeasure {
    schema: &'static str,
    measures: Vec<Described>,
}

#[derive(Serialize)]
struct Described {
    name: String,
    unit: &'static str,
    /// Null where neither direction is progress.
    better: Option<&'static str>,
    definition: String,
}

impl ListedMeasure {
    fn of(measures: &[&Measure]) -> Self {
        let described = |measure: &&Measure| Described {
            name: measure.name.to_string(),
            unit: unit(measure.unit),
            better: (measure.better != Better::Neither).then(|| better(measure.better)),
            definition: measure.definition.to_string(),
        };
        Self { schema: "measures/1", measures: measures.iter().map(described).collect() }
    }
}

/// The table of all measures, as wide as `width` columns; those of rumors once for all kinds.
fn table(width: u16) -> String {
    let table = rows(all().iter().filter_map(row), width);
    let kinds = RUMOR_KINDS.join(", ");
    let [events, counters] = ["events.", "engine."].map(|group| {
        let names = all().iter().filter_map(|measure| measure.name.strip_prefix(group));
        names.collect::<Vec<_>>().join(", ")
    });
    let one_of = |word, names: &str| wrapped(&format!("{word} is one of {names}."), width);
    let lists = [one_of("KIND", &kinds), one_of("NAME", &events), one_of("COUNTER", &counters)];
    format!("{}\n\n{}", table.trim_fmt(), lists.join("\n\n"))
}

/// A paragraph in lines of at most so many columns.
fn wrapped(text: &str, width: u16) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first line");
        if !line.is_empty() && line.len() + 1 + word.len() > usize::from(width) {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n")
}

fn rows(rows: impl Iterator<Item = [String; 4]>, width: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["measure", "unit", "better", "definition"]);
    rows.for_each(|row| {
        table.add_row(row);
    });
    table
}

fn full_row(measure: &Measure) -> [String; 4] {
    let (unit, better) = (unit(measure.unit).to_owned(), better(measure.better).to_owned());
    [measure.name.to_string(), unit, better, measure.definition.to_string()]
}

/// A row, or nothing for a measure that the row of another kind of rumor stands for.
fn row(measure: &Measure) -> Option<[String; 4]> {
    let [_, unit, better, _] = full_row(measure);
    let (mut name, mut definition) = (measure.name.to_string(), measure.definition.to_string());
    for (group, first, word) in groups() {
        let Some(rest) = measure.name.strip_prefix(group) else { continue };
        let field = rest.strip_prefix(first).filter(|field| !field.starts_with('_'))?;
        name = format!("{group}{word}{field}");
        definition = match group {
            "engine." => "What the engines counted, all together; of `_max` the greatest.".into(),
            _ => definition.replace(first, word),
        };
    }
    Some([name, unit, better, definition])
}

/// Groups of measures that differ by a word alone: the group, its first such word, and what stands
/// for all of them.
fn groups() -> [(&'static str, &'static str, &'static str); 3] {
    let first = |group| {
        let mut names = all().iter().filter_map(|measure| measure.name.strip_prefix(group));
        names.next().expect("no group is empty")
    };
    let [event, counter] = ["events.", "engine."].map(first);
    [
        ("rumors.", RUMOR_KINDS[0], "KIND"),
        ("events.", event, "NAME"),
        ("engine.", counter, "COUNTER"),
    ]
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Duration => "duration",
        Unit::Count => "count",
        Unit::Bytes => "bytes",
        Unit::Share => "share",
        Unit::Ratio => "ratio",
        Unit::Flag => "true/false",
        Unit::Rate => "per second",
        Unit::ByteRate => "bytes/s",
    }
}

fn better(better: Better) -> &'static str {
    match better {
        Better::Lower => "lower",
        Better::Higher => "higher",
        Better::Neither => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_measure_once() {
        let table = table(200);
        let grouped = |name: &str| groups().iter().any(|(group, ..)| name.starts_with(group));
        for measure in all().iter().filter(|measure| !grouped(&measure.name)) {
            let rows = table.lines().filter(|line| line.trim_start().starts_with(&*measure.name));
            assert!(rows.count() >= 1, "{} is missing", measure.name);
        }
        for row in ["rumors.KIND.t99", "events.NAME", "engine.COUNTER"] {
            assert_eq!(table.matches(row).count(), 1, "{row}");
        }
        for name in ["update", "address_conflict", "refutations"] {
            assert!(table.contains(name), "{name} is not listed");
        }
        assert!(table.contains("removals.false"));
    }

    #[test]
    fn a_pattern_picks_the_measures_that_have_it() {
        let names = |pattern| {
            let out = run(Some(pattern), Format::Json, 100).unwrap().out;
            let json: serde_json::Value = serde_json::from_str(&out).unwrap();
            let names = json["measures"].as_array().unwrap().iter();
            names.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let having = |part| all().iter().filter(|measure| measure.name.contains(part)).count();
        assert_eq!(names("t99").len(), having("t99"));
        assert_eq!(names("METADATA.T9*9"), ["metadata.t99", "rumors.metadata.t99"]);
        assert_eq!(names("").len(), all().len());
        let shown = run(Some("removals.false"), Format::Table, 100).unwrap().out;
        assert!(shown.contains("removals.false") && !shown.contains("metadata"), "{shown}");
        let refused = run(Some("t98"), Format::Table, 100).unwrap_err();
        assert!(refused.exit == Exit::Wrong && refused.text.contains("unknown measure"));
    }
}
