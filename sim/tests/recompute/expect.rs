//! Expectations, held against recomputed figures.

use serde_json::{Value, json};

use super::setting::duration;

/// The element of `expectations[]` for a condition.
pub(crate) fn judge(summary: &Value, name: &str, want: &str) -> Value {
    let got = figure(summary, name);
    let operator: String = want.chars().take_while(|c| "<>=!".contains(*c)).collect();
    let limit = limit(want[operator.len()..].trim());
    let number = got.as_f64().or_else(|| got.as_bool().map(|flag| f64::from(u8::from(flag))));
    let ok = number.is_some_and(|got| match operator.as_str() {
        "<" => got < limit,
        "<=" => got <= limit,
        "==" => got == limit,
        "!=" => got != limit,
        ">=" => got >= limit,
        ">" => got > limit,
        other => panic!("{other} is no operator"),
    });
    json!({ "name": name, "want": want, "got": got, "ok": ok })
}

/// What stands at the path of a measure's name, with `_ms` behind it where it is a time.
fn figure(summary: &Value, name: &str) -> Value {
    let at = |name: &str| name.split('.').try_fold(summary, |at, key| at.get(key)).cloned();
    let found = at(name).or_else(|| at(&format!("{name}_ms")));
    if let Some((kind, field)) = name.strip_prefix("rumors.").and_then(|it| it.split_once('.')) {
        return worst(summary, kind, field);
    }
    match name.starts_with("faults.") {
        true => found.unwrap_or_else(|| 0.into()),
        false => found.unwrap_or_else(|| panic!("{name} is not read here")),
    }
}

/// Of all rumors of a kind: the least coverage, the longest of times, of which null is the worst,
/// the most of what is left.
fn worst(summary: &Value, kind: &str, field: &str) -> Value {
    let rumors = summary["rumors"].as_array().unwrap().iter().filter(|it| it["kind"] == kind);
    let timed = format!("{field}_ms");
    let figures: Vec<&Value> =
        rumors.map(|it| it.get(&timed).unwrap_or_else(|| &it[field])).collect();
    if field.starts_with('t') && figures.iter().any(|figure| figure.is_null()) {
        return Value::Null;
    }
    let by_size = |a: &&&Value, b: &&&Value| a.as_f64().unwrap().total_cmp(&b.as_f64().unwrap());
    let figures = figures.iter().filter(|figure| !figure.is_null());
    let worst = if field == "coverage" { figures.min_by(by_size) } else { figures.max_by(by_size) };
    worst.map_or(Value::Null, |worst| (*worst).clone())
}

fn limit(text: &str) -> f64 {
    let number = |text: &str, factor: f64| text.parse::<f64>().ok().map(|it| it * factor);
    let units = [("%", 0.01), ("kB", 1e3), ("MB", 1e6), ("KiB", 1024.0)];
    let in_unit = units.iter().find_map(|(unit, by)| number(text.strip_suffix(unit)?, *by));
    match text {
        "true" => 1.0,
        "false" => 0.0,
        _ => number(text, 1.0).or(in_unit).unwrap_or_else(|| duration(text) as f64 / 1e6),
    }
}
