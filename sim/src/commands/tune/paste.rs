//! Settings to paste: the `[engine]` block of a file, and the lines of `Config::builder()`.
//!
//! Both say what was tuned and whatever else is unlike the defaults, and nothing more: read back,
//! they are the very settings that were measured.

use std::time::Duration;

use rumormill::units::parse_duration;
use rumormill::{Config, ConfigBuilder};

use crate::scenario::Scenario;

/// Settings of a scenario's engine, by key and value in TOML: those named, then what is unlike
/// the defaults.
pub(super) fn rows(scenario: &Scenario, tuned: &[&str]) -> Vec<(String, toml::Value)> {
    let document: toml::Table = scenario.resolved().parse().expect("we wrote it");
    let all = document.get("engine").and_then(toml::Value::as_table).expect("we wrote it");
    let row = |key: &str| Some((key.to_owned(), all.get(key)?.clone()));
    let mut rows: Vec<(String, toml::Value)> = tuned.iter().filter_map(|key| row(key)).collect();
    for key in ConfigBuilder::KEYS.into_iter().filter(|key| !tuned.contains(key)) {
        let before = config(&rows);
        let Some(own) = row(key) else { continue };
        rows.push(own);
        // One that changes nothing is a default, or follows from the others.
        if before.is_some() && config(&rows) == before {
            rows.pop();
        }
    }
    rows
}

/// The block as it stands in a scenario or a service's own file.
pub(super) fn block(rows: &[(String, toml::Value)]) -> String {
    let rows: Vec<String> = rows.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("[engine]\n{}", rows.concat())
}

/// The same as code.
pub(super) fn builder(rows: &[(String, toml::Value)]) -> String {
    let lines: Vec<String> =
        rows.iter().map(|(key, value)| format!("    .{key}({})\n", argument(key, value))).collect();
    format!("let config = Config::builder()\n{}    .build()?;\n", lines.concat())
}

fn config(rows: &[(String, toml::Value)]) -> Option<Config> {
    let table: toml::Table = rows.iter().cloned().collect();
    table.try_into().ok()
}

fn argument(key: &str, value: &toml::Value) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    let closed = match key {
        "protocol" => Some("TransportKind"),
        "liveness" => Some("Liveness"),
        "isolation" => Some("Isolation"),
        "swap" => Some("Swap"),
        "wire" => Some("Wire"),
        _ => None,
    };
    match (closed, parse_duration(text)) {
        (Some(name), _) => format!("{name}::{}", capitalised(text)),
        (None, Ok(time)) if key != "cluster" => duration(time),
        _ => format!("{text:?}"),
    }
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// A duration in the largest unit that holds it exactly.
fn duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    let units = [("secs", 1_000_000_000), ("millis", 1_000_000), ("micros", 1_000), ("nanos", 1)];
    let (unit, size) = units.into_iter().find(|(_, size)| nanos.is_multiple_of(*size)).expect("1");
    format!("Duration::from_{unit}({})", nanos / size)
}

#[cfg(test)]
mod tests {
    use rumormill::Liveness;
    use rumormill::config::TransportKind;

    use super::*;
    use crate::scenario::parse;

    const HEAD: &str = "name = 'x'\nnodes = 5\nduration = '20s'\n[engine]\n";

    fn of(engine: &str) -> (Scenario, Vec<(String, toml::Value)>) {
        let scenario = parse("x.toml", &format!("{HEAD}{engine}"), &[]).unwrap();
        let rows = rows(&scenario, &["fan_out", "cycle"]);
        (scenario, rows)
    }

    #[test]
    fn the_block_says_what_was_tuned_and_what_is_unlike_the_defaults() {
        let (_, rows) = of("timeout = '5s'\nfan_out = 3\ncycle = '500ms'\nbuffer = 1024\n");
        let expected = "[engine]\nfan_out = 3\ncycle = \"500ms\"\ntimeout = \"5s\"\n";
        assert_eq!(block(&rows), expected);
        // A timeout that follows from the cycle is left to it.
        let (_, rows) = of("cycle = '1s'\n");
        assert_eq!(block(&rows), "[engine]\nfan_out = 3\ncycle = \"1s\"\n");
    }

    #[test]
    fn the_block_read_back_is_what_was_measured() {
        for engine in [
            "fan_out = 5\ncycle = '250ms'\n",
            "cycle = '4s'\ntimeout = '9s'\nrelay_delay = '1s'\nprotocol = 'tcp'\n",
            "cycle = '20ms'\nliveness = 'off'\nswap = 'off'\nack_timeout = '30ms'\n",
            "cluster = '5s'\nsize = 2000\nmembers_max = 70000\nclock_skew_max = '1d'\n",
        ] {
            let (scenario, rows) = of(engine);
            let read: toml::Table = block(&rows).parse().unwrap();
            let config: Config = read["engine"].clone().try_into().unwrap();
            assert_eq!(config, *scenario.engine(), "{engine}");
        }
    }

    #[test]
    fn the_lines_of_the_builder_are_code_that_makes_the_same() {
        let (scenario, rows) =
            of("fan_out = 4\ncycle = '1500us'\ntimeout = '100ms'\nprotocol = 'tcp'\n\
             liveness = 'off'\nsize = 2000\ncluster = 'blue'\n");
        let expected = r#"let config = Config::builder()
    .fan_out(4)
    .cycle(Duration::from_micros(1500))
    .timeout(Duration::from_millis(100))
    .size(2000)
    .protocol(TransportKind::Tcp)
    .liveness(Liveness::Off)
    .cluster("blue")
    .build()?;
"#;
        assert_eq!(builder(&rows), expected);
        let config = Config::builder()
            .fan_out(4)
            .cycle(Duration::from_micros(1500))
            .timeout(Duration::from_millis(100))
            .size(2000)
            .protocol(TransportKind::Tcp)
            .liveness(Liveness::Off)
            .cluster("blue")
            .build();
        assert_eq!(config.as_ref(), Ok(scenario.engine()));
    }
}
