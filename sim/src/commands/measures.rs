//! `sim measures`: the table of every figure that can be asked for.

use comfy_table::{ContentArrangement, Table, presets};

use crate::measures::{Better, Measure, RUMOR_KINDS, Unit, all};

/// The table of all measures, as wide as `width` columns; those of rumors once for all kinds.
pub fn table(width: u16) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["measure", "unit", "better", "definition"]);
    for measure in all() {
        if let Some(row) = row(measure) {
            table.add_row(row);
        }
    }
    let kinds = RUMOR_KINDS.join(", ");
    format!("{}\n\nKIND is one of {kinds}.", table.trim_fmt())
}

/// A row, or nothing for a measure that the row of another kind of rumor stands for.
fn row(measure: &Measure) -> Option<[String; 4]> {
    let (unit, better) = (unit(measure.unit), better(measure.better));
    let (name, definition) = match measure.name.strip_prefix("rumors.") {
        None => (measure.name.to_string(), measure.definition.to_string()),
        Some(rest) => {
            let field = rest.strip_prefix(RUMOR_KINDS[0])?;
            let definition = measure.definition.replace(RUMOR_KINDS[0], "KIND");
            (format!("rumors.KIND{field}"), definition)
        }
    };
    Some([name, unit.to_owned(), better.to_owned(), definition])
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Duration => "duration",
        Unit::Count => "count",
        Unit::Bytes => "bytes",
        Unit::Share => "share",
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
        for measure in all().iter().filter(|measure| !measure.name.starts_with("rumors.")) {
            let rows = table.lines().filter(|line| line.trim_start().starts_with(&*measure.name));
            assert!(rows.count() >= 1, "{} is missing", measure.name);
        }
        assert_eq!(table.matches("rumors.KIND.t99").count(), 1);
        assert!(table.contains("removals.false"));
    }
}
