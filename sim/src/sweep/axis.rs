//! `--vary KEY=VALUES`: a key of the scenario and the values that it takes, one after another.

use std::iter;

use serde::{Deserialize, Serialize};

use crate::reading::refused;

/// Most values of one key; a range is laid out before anything else is known of it.
const VALUES_MAX: usize = 1_000;

/// A key that is varied. Values are kept as they were typed: what they mean is the scenario's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// A path with dots, such as `engine.fan_out`.
    pub key: String,
    /// At least one, no two alike.
    pub values: Vec<String>,
}

impl Axis {
    /// Reads `KEY=VALUE,VALUE,..` or `KEY=A..=B`, where a list may hold ranges.
    ///
    /// # Errors
    /// A sentence that says what is wrong and the fix, beginning with the option.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: String| format!("--vary {text}: {why}");
        let example = "write it like `--vary engine.fan_out=1..=8`";
        let (key, list) = text
            .split_once('=')
            .filter(|(key, _)| !key.trim().is_empty())
            .ok_or_else(|| wrong(format!("this is no KEY=VALUES: {example}")))?;
        let mut values: Vec<String> = Vec::new();
        for item in split(list) {
            let item = item.trim();
            if item.is_empty() {
                let what =
                    if list.trim().is_empty() { "there are no values" } else { "a value is empty" };
                return Err(wrong(format!("{what}: {example}")));
            }
            values.extend(range(item).map_err(wrong)?.unwrap_or_else(|| vec![item.to_owned()]));
            if values.len() > VALUES_MAX {
                return Err(wrong(format!("too many values: at most {VALUES_MAX}")));
            }
        }
        let axis = Self { key: key.trim().to_owned(), values };
        axis.check().map(|()| axis).map_err(wrong)
    }

    /// What holds of an axis, typed or read back.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { key, values } = self;
        if key.is_empty() || values.is_empty() || values.iter().any(String::is_empty) {
            return Err("a key or a value is empty".to_owned());
        }
        if values.len() > VALUES_MAX {
            return Err(format!("{} values are too many: at most {VALUES_MAX}", values.len()));
        }
        // They stand in tables and on pages.
        if let Some(why) = iter::once(key).chain(values).find_map(|text| refused(text)) {
            return Err(why);
        }
        match twice(values) {
            Some(value) => Err(format!("`{value}` stands here twice: keep one")),
            None => Ok(()),
        }
    }

    /// The last word of the key, for tables and pictures.
    pub fn short(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or(&self.key)
    }
}

/// Refuses a key that is varied twice.
///
/// # Errors
/// A sentence that names it and the fix.
pub fn distinct(axes: &[Axis]) -> Result<(), String> {
    let keys: Vec<String> = axes.iter().map(|axis| axis.key.clone()).collect();
    match twice(&keys) {
        Some(key) => {
            Err(format!("--vary {key}: this key is varied twice: put all its values into one list"))
        }
        None => Ok(()),
    }
}

fn twice(texts: &[String]) -> Option<&String> {
    (1..texts.len())
        .map(|place| &texts[place])
        .find(|text| texts.iter().filter(|other| other == text).count() > 1)
}

/// The items of a list: commas inside quotes, brackets and braces belong to an item.
pub fn split(list: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, letter) in list.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    items
}

/// The numbers of `A..=B`; nothing for an item that is no range of whole numbers.
fn range(item: &str) -> Result<Option<Vec<String>>, String> {
    let Some((low, rest)) = item.split_once("..") else { return Ok(None) };
    let high = rest.strip_prefix('=');
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let ends = number(low).zip(number(high.unwrap_or(rest)));
    let Some((low, top)) = ends else { return Ok(None) };
    if high.is_none() {
        let readings = match top.checked_sub(1) {
            Some(last) if last >= low => format!("`{low}..={last}` or `{low}..={top}`"),
            _ => format!("`{low}..={top}`"),
        };
        return Err(format!("`{item}` leaves open whether {top} belongs to it: write {readings}"));
    }
    if low > top {
        return Err(format!("`{item}` is empty, did you mean `{top}..={low}`?"));
    }
    if top.abs_diff(low) >= VALUES_MAX as u64 {
        return Err(format!("`{item}` has too many values: at most {VALUES_MAX}"));
    }
    Ok(Some((low..=top).map(|number| number.to_string()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        Axis::parse(text).unwrap().values
    }

    #[test]
    fn values_are_a_list_or_a_closed_range_or_both() {
        assert_eq!(values("engine.fan_out=1..=4"), ["1", "2", "3", "4"]);
        assert_eq!(values("engine.fan_out=1..=3,8, 12"), ["1", "2", "3", "8", "12"]);
        assert_eq!(values("network.loss=0%,5%"), ["0%", "5%"]);
        assert_eq!(values("x=-1..=1"), ["-1", "0", "1"]);
        let axis = Axis::parse("engine.cycle=250ms").unwrap();
        assert_eq!((axis.key.as_str(), axis.short()), ("engine.cycle", "cycle"));
    }

    #[test]
    fn commas_inside_a_value_do_not_part_it_and_ranges_of_time_are_values() {
        assert_eq!(values("network.latency=1ms..10ms,5ms..50ms"), ["1ms..10ms", "5ms..50ms"]);
        assert_eq!(values("a=[1, 2],{ x = \"a,b\" }"), ["[1, 2]", "{ x = \"a,b\" }"]);
        assert_eq!(values("at.0.crash=\"0..5\",'7,8'"), ["\"0..5\"", "'7,8'"]);
    }

    #[test]
    fn a_half_open_range_is_an_error_that_shows_both_readings() {
        let error = Axis::parse("engine.fan_out=1..8").unwrap_err();
        let expected = "--vary engine.fan_out=1..8: `1..8` leaves open whether 8 belongs to it: \
                        write `1..=7` or `1..=8`";
        assert_eq!(error, expected);
        assert!(Axis::parse("n=3..3").unwrap_err().ends_with("write `3..=3`"));
    }

    #[test]
    fn empty_ranges_lists_and_values_are_told_with_the_fix() {
        for (text, told) in [
            ("engine.fan_out=8..=1", "`8..=1` is empty, did you mean `1..=8`?"),
            ("engine.fan_out=", "there are no values: write it like"),
            ("engine.fan_out=1,,2", "a value is empty: write it like"),
            ("engine.fan_out", "this is no KEY=VALUES: write it like"),
            ("=1", "this is no KEY=VALUES"),
            ("engine.fan_out=2,1..=3", "`2` stands here twice: keep one"),
            ("nodes=1..=5000", "`1..=5000` has too many values: at most 1000"),
        ] {
            let error = Axis::parse(text).unwrap_err();
            assert!(error.starts_with(&format!("--vary {text}: {told}")), "{error}");
        }
    }

    #[test]
    fn a_key_is_varied_once() {
        let axes = ["nodes=1", "nodes=2"].map(|text| Axis::parse(text).unwrap());
        assert!(distinct(&axes[..1]).is_ok());
        assert!(distinct(&axes).unwrap_err().contains("put all its values into one list"));
    }
}
