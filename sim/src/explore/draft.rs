//! Scenarios as TOML that a person reads: sections as tables, each action on one line.

use toml::{Table, Value};

/// A scenario as the text of a file.
pub(crate) fn text(scenario: &Table) -> String {
    let mut text = String::new();
    for (key, value) in in_order(scenario).filter(|(_, value)| !is_section(value)) {
        line(&mut text, key, value);
    }
    if let Some(Value::Array(timetable)) = scenario.get("at").filter(|value| is_section(value)) {
        actions(&mut text, timetable);
    }
    for (key, value) in in_order(scenario) {
        match value {
            Value::Table(table) if key == "groups" => {
                for (name, group) in table {
                    section(&mut text, &format!("[groups.{name}]"), group);
                }
            }
            // A bootstrap or a start may be a table, on one line.
            Value::Table(_) if is_section(value) => section(&mut text, &format!("[{key}]"), value),
            Value::Array(tables) if is_section(value) && key != "at" => {
                tables.iter().for_each(|table| section(&mut text, &format!("[[{key}]]"), table));
            }
            _ => {}
        }
    }
    text
}

/// What happens, an action on each line, as in a timetable.
fn actions(text: &mut String, actions: &[Value]) {
    *text += "at = [\n";
    for action in actions.iter().filter_map(Value::as_table) {
        let entries: Vec<String> = in_order(action).map(|(key, value)| entry(key, value)).collect();
        *text += &format!("    {{ {} }},\n", entries.join(", "));
    }
    *text += "]\n";
}

/// Whether a value stands under a heading of its own.
fn is_section(value: &Value) -> bool {
    match value {
        // `{ random = 3 }` and `{ knows = "9%" }` are values.
        Value::Table(table) => !table.contains_key("random") && !table.contains_key("knows"),
        Value::Array(items) => items.first().is_some_and(Value::is_table),
        _ => false,
    }
}

fn section(text: &mut String, heading: &str, table: &Value) {
    let Some(table) = table.as_table() else { return };
    *text += &format!("\n{heading}\n");
    for (key, value) in in_order(table) {
        line(text, key, value);
    }
}

/// Those that a person looks for first come first, then the rest by name.
fn in_order(table: &Table) -> impl Iterator<Item = (&String, &Value)> {
    const FIRST: [&str; 10] = [
        "name",
        "nodes",
        "duration",
        "bootstrap",
        "engine",
        "network",
        "groups",
        "link",
        "at",
        "time",
    ];
    let place = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| (place(key), *key));
    entries.into_iter()
}

fn line(text: &mut String, key: &str, value: &Value) {
    *text += &(entry(key, value) + "\n");
}

fn entry(key: &str, value: &Value) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = if key.chars().all(plain) { key.to_owned() } else { format!("{key:?}") };
    format!("{key} = {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_it_was_and_stands_in_sections() {
        let typed = r#"
            name = "a"
            nodes = 5
            duration = "9s"
            bootstrap = { random = 3 }
            engine = { fan_out = 2 }
            at = [{ time = "1s", publish = { node = 0, data = "it's" }, for = "1s" }]
            [groups.b]
            nodes = "0..2"
            engine = { cycle = "1s" }
            [expect]
            "removals.false" = "== 0"
        "#;
        let table: Table = typed.parse().unwrap();
        let written = text(&table);
        assert_eq!(written.parse::<Table>().unwrap(), table, "{written}");
        for part in
            ["bootstrap = { random = 3 }\n", "\nat = [\n    { time = \"1s\", ", "[groups.b]\n"]
        {
            assert!(written.contains(part), "{written}");
        }
        assert!(written.contains("publish = { data = \"it's\", node = 0 } },\n"), "{written}");
    }
}
