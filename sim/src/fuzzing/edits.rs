//! Changes to files that are right: a fuzzer that had to write a summary letter by letter would
//! never get past the first comma.

use serde_json::Value;

/// What is left of the bytes that say what to change. At their end nothing is changed any more.
pub(super) struct Edits<'a>(pub(super) &'a [u8]);

/// Values that nobody expects, as JSON.
const VALUES: [&str; 28] = [
    "null",
    "true",
    "0",
    "-0.0",
    "-1",
    "1",
    "2",
    "3",
    "0.5",
    "1e-300",
    "1e300",
    "4294967294",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "\"\"",
    "\"0\"",
    "\"18446744073709551615\"",
    "\"metadata-0\"",
    "\"../aside\"",
    "\"\\u001b[2J\\n\"",
    "\"\u{fc}\u{1f980}\u{fc}\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "{\"a\":{\"b\":[0]}}",
];

/// Values that nobody expects in a scenario, as TOML.
const SETTINGS: [&str; 32] = [
    "0",
    "1",
    "2",
    "-1",
    "9223372036854775807",
    "1_000",
    "65536",
    "1e300",
    "nan",
    "true",
    "1979-05-27",
    "\"\"",
    "\"all\"",
    "\"live\"",
    "\"joined\"",
    "\"small\"",
    "\"az-a[7]\"",
    "\"az-a[8]\"",
    "\"0..0\"",
    "\"0..20\"",
    "\"0..4294967296\"",
    "\"0%..100%\"",
    "\"100%\"",
    "\"0.0000001%\"",
    "\"1ns\"",
    "\"365d\"",
    "\"0s..365d\"",
    "\"18446744073709551615s\"",
    "{ random = 20 }",
    "{ random = 3, from = \"live\", except = \"all\" }",
    "[]",
    "{ nodes = \"all\", offset = \"-365d\" }",
];

impl Edits<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// A number below this one, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % bound
    }

    /// How many changes there are to be: none more often than some.
    fn count(&mut self) -> usize {
        usize::from(self.byte()).saturating_sub(96) / 32
    }

    /// A document with some of its values changed.
    pub(super) fn json(&mut self, text: &str) -> String {
        // A line that was changed before may be none any more.
        let Ok(mut document) = serde_json::from_str::<Value>(text) else {
            return text.to_owned();
        };
        for _ in 0..self.count() {
            let place = self.below(count(&document));
            self.change(at(&mut document, &mut { place }).expect("it was counted"));
        }
        self.cut(document.to_string())
    }

    fn change(&mut self, value: &mut Value) {
        match (self.byte() % 4, value) {
            (0, Value::Array(items)) => items.extend(items.last().cloned()),
            (1, Value::Array(items)) => drop(items.pop()),
            (0 | 1, Value::Object(fields)) if !fields.is_empty() => {
                let key = fields.keys().nth(self.below(fields.len())).cloned();
                fields.remove(&key.expect("it was counted"));
            }
            (_, value) => {
                let new = VALUES[usize::from(self.byte()) % VALUES.len()];
                *value = serde_json::from_str(new).expect("it is JSON");
            }
        }
    }

    /// Lines of which some are changed, left out, said twice or moved to the end.
    pub(super) fn lines(
        &mut self,
        text: &str,
        change: impl Fn(&mut Self, &str) -> String,
    ) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for _ in 0..self.count() {
            let place = self.below(lines.len());
            match self.byte() % 8 {
                0 if lines.len() > 1 => drop(lines.remove(place)),
                1 => lines.push(lines[place].clone()),
                _ => lines[place] = change(self, &lines[place]),
            }
        }
        self.cut(lines.join("\n") + "\n")
    }

    /// A row of a table with a field changed.
    pub(super) fn row(&mut self, line: &str) -> String {
        const FIELDS: [&str; 14] = [
            "",
            "0",
            "1",
            "2",
            "3",
            "4294967295",
            "4294967296",
            "-1",
            "nan",
            "inf",
            "1e308",
            "\u{1b}[2J",
            "metadata-0",
            "\"",
        ];
        let mut fields: Vec<&str> = line.split(',').collect();
        let place = self.below(fields.len());
        fields[place] = FIELDS[self.below(FIELDS.len())];
        fields.join(",")
    }

    /// A scenario with some of its lines changed.
    pub(super) fn toml(&mut self, text: &str) -> String {
        self.lines(text, |edits, line| match line.split_once(" = ") {
            Some((key, value)) => {
                let value = edits.setting(value);
                format!("{key} = {value}")
            }
            None => format!("{line}{}", char::from(edits.byte())),
        })
    }

    /// Another value, or the same with another number in it.
    fn setting(&mut self, value: &str) -> String {
        const NUMBERS: [&str; 12] =
            ["0", "1", "2", "19", "20", "21", "100", "1000", "-1", "1.5", "4294967296", "00"];
        let is_digit = |char: char| char.is_ascii_digit();
        let starts: Vec<usize> = value
            .match_indices(is_digit)
            .map(|(at, _)| at)
            .filter(|&at| at == 0 || !value[..at].ends_with(is_digit))
            .collect();
        if self.byte().is_multiple_of(2) || starts.is_empty() {
            return SETTINGS[usize::from(self.byte()) % SETTINGS.len()].to_owned();
        }
        let start = starts[self.below(starts.len())];
        let rest = value[start..].trim_start_matches(is_digit);
        format!("{}{}{rest}", &value[..start], NUMBERS[self.below(NUMBERS.len())])
    }

    /// Now and then only the beginning, as a process that was killed leaves it.
    fn cut(&mut self, text: String) -> String {
        if self.byte() < 240 {
            return text;
        }
        let end = self.below(text.len() + 1);
        String::from_utf8_lossy(&text.as_bytes()[..end]).into_owned()
    }
}

/// How many values a document has, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value that is so many behind this one.
fn at<'a>(value: &'a mut Value, behind: &mut usize) -> Option<&'a mut Value> {
    if *behind == 0 {
        return Some(value);
    }
    *behind -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| at(item, behind)),
        Value::Object(fields) => fields.values_mut().find_map(|field| at(field, behind)),
        _ => None,
    }
}
