//! `[expect]`: what the run should show, by names of the registry of measures.

use rumormill::units::nearest;

use crate::measures;
use crate::percent::Percent;
use crate::scenario::document::{Entry, Table, Value};
use crate::scenario::errors::{Mistake, Mistakes, did_you_mean};
use crate::scenario::plan::{Expectation, SeedShare};

/// Reads `[expect]`; names may stand in quotes or as dotted keys.
pub(super) fn read(table: Option<&Table>, found: &mut Mistakes) -> (Vec<Expectation>, SeedShare) {
    let mut expect = Vec::new();
    let mut seeds = Percent::parse("100%").expect("a percent");
    for entry in table.map_or(&[][..], |table| &table.entries) {
        if entry.key == "seeds" {
            let what = "a percent in quotes, such as \"100%\"";
            seeds = found.keep(entry.item.parsed(what, Percent::parse)).unwrap_or(seeds);
        } else {
            read_entry(&entry.key, entry, &mut expect, found);
        }
    }
    (expect, SeedShare { text: seeds.to_string(), share: seeds.share() })
}

fn read_entry(name: &str, entry: &Entry, expect: &mut Vec<Expectation>, found: &mut Mistakes) {
    if let Value::Table(table) = &entry.item.value {
        for inner in &table.entries {
            read_entry(&format!("{name}.{}", inner.key), inner, expect, found);
        }
        return;
    }
    if expect.iter().any(|earlier| earlier.name == name) {
        return found.note(Mistake::new(entry.key_at, format!("`{name}` is expected twice")));
    }
    expect.extend(found.keep(read_condition(name, entry)));
}

fn read_condition(name: &str, entry: &Entry) -> Result<Expectation, Mistake> {
    let Some(measure) = measures::find(name) else {
        let near = measures::nearest(name).or_else(|| nearest(name, ["seeds"]));
        let hint = match near {
            Some(near) => did_you_mean(near),
            None => ": `sim measures` lists them all".to_owned(),
        };
        return Err(Mistake::new(entry.key_at, format!("unknown measure `{name}`{hint}")));
    };
    let item = &entry.item;
    let want = item.text("a condition in quotes, such as \"<= 5s\" or \"== 0\"")?;
    let (operator, value) = measure.condition(want).map_err(|why| Mistake::new(item.at, why))?;
    Ok(Expectation { name: name.to_owned(), want: want.to_owned(), operator, value })
}
