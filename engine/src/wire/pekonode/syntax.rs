//! What Go says of bytes that are no JSON, to the byte.
//!
//! Source: the scanner of Go's `encoding/json`, which looks at one byte after another and names the
//! first one that can't stand where it does. Bytes are shown as characters of their number, and
//! those that would write on a terminal escaped, as Go's `strconv.Quote` does.

/// Deeper than this Go reads nothing.
const DEPTH_MAX: usize = 10_000;

/// What Go's parser says of bytes that are no JSON value; `None` for one.
pub(crate) fn complaint(bytes: &[u8]) -> Option<String> {
    let mut scanner = Scanner { step: ScannerState::Value, open: Vec::new() };
    for &byte in bytes {
        if let Err(context) = scanner.step(byte) {
            return Some(invalid(byte, context));
        }
    }
    if scanner.is_complete() {
        return None;
    }
    // Go takes the end for a space first, which a literal that is cut off can't have.
    match scanner.step(b' ') {
        Err(context) => Some(invalid(b' ', context)),
        Ok(()) if scanner.is_complete() => None,
        Ok(()) => Some("unexpected end of JSON input".into()),
    }
}

fn invalid(byte: u8, context: SyntaxContext) -> String {
    let context = match context {
        SyntaxContext::Literal { word, expected } => {
            return format!(
                "invalid character {} in literal {word} (expecting '{}')",
                quoted(byte),
                char::from(expected)
            );
        }
        SyntaxContext::Text(text) => text,
    };
    format!("invalid character {} {context}", quoted(byte))
}

/// A byte as Go quotes the character of its number.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".into(),
        b'\\' => r"'\\'".into(),
        0x07 => r"'\a'".into(),
        0x08 => r"'\b'".into(),
        b'\t' => r"'\t'".into(),
        b'\n' => r"'\n'".into(),
        0x0b => r"'\v'".into(),
        0x0c => r"'\f'".into(),
        b'\r' => r"'\r'".into(),
        0..=0x1f | 0x7f => format!(r"'\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!(r"'\u{byte:04x}'"),
        shown => format!("'{}'", char::from(shown)),
    }
}

/// Where a byte can't stand.
#[derive(Clone, Copy, Debug)]
enum SyntaxContext {
    Text(&'static str),
    Literal { word: &'static str, expected: u8 },
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScannerState {
    Value,
    /// A value, or the end of an array.
    ValueOrEnd,
    Key,
    /// A key, or the end of an object.
    KeyOrEnd,
    /// What follows a value.
    AfterValue,
    /// Nothing but space.
    AfterAll,
    Text,
    Escape,
    /// So many hexadecimal digits.
    Hex(u8),
    Sign,
    /// No more digits before the point.
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    /// The rest of a word, from this place on.
    Word(&'static str, usize),
}

/// What is open around the present value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bracket {
    ObjectKey,
    ObjectValue,
    Array,
}

struct Scanner {
    step: ScannerState,
    open: Vec<Bracket>,
}

impl Scanner {
    fn is_complete(&self) -> bool {
        self.step == ScannerState::AfterAll
    }

    fn step(&mut self, byte: u8) -> Result<(), SyntaxContext> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match self.step {
            ScannerState::Value
            | ScannerState::ValueOrEnd
            | ScannerState::Key
            | ScannerState::KeyOrEnd
                if is_space =>
            {
                Ok(())
            }
            ScannerState::ValueOrEnd if byte == b']' => self.after_value(byte),
            ScannerState::Value | ScannerState::ValueOrEnd => self.begin_value(byte),
            ScannerState::KeyOrEnd if byte == b'}' => {
                self.close();
                Ok(())
            }
            ScannerState::Key | ScannerState::KeyOrEnd => match byte {
                b'"' => self.go(ScannerState::Text),
                _ => Err(SyntaxContext::Text("looking for beginning of object key string")),
            },
            ScannerState::AfterValue | ScannerState::AfterAll => self.after_value(byte),
            ScannerState::Text | ScannerState::Escape | ScannerState::Hex(_) => self.in_text(byte),
            ScannerState::Word(word, at) => self.in_word(word, at, byte),
            _ => self.in_number(byte),
        }
    }

    fn go(&mut self, step: ScannerState) -> Result<(), SyntaxContext> {
        self.step = step;
        Ok(())
    }

    fn begin_value(&mut self, byte: u8) -> Result<(), SyntaxContext> {
        match byte {
            b'{' => self.open(Bracket::ObjectKey, ScannerState::KeyOrEnd),
            b'[' => self.open(Bracket::Array, ScannerState::ValueOrEnd),
            b'"' => self.go(ScannerState::Text),
            b'-' => self.go(ScannerState::Sign),
            b'0' => self.go(ScannerState::Zero),
            b'1'..=b'9' => self.go(ScannerState::Digits),
            b't' => self.go(ScannerState::Word("true", 1)),
            b'f' => self.go(ScannerState::Word("false", 1)),
            b'n' => self.go(ScannerState::Word("null", 1)),
            _ => Err(SyntaxContext::Text("looking for beginning of value")),
        }
    }

    fn open(&mut self, open: Bracket, step: ScannerState) -> Result<(), SyntaxContext> {
        if self.open.len() == DEPTH_MAX {
            return Err(SyntaxContext::Text("exceeded max depth"));
        }
        self.open.push(open);
        self.go(step)
    }

    fn close(&mut self) {
        self.open.pop();
        self.step =
            if self.open.is_empty() { ScannerState::AfterAll } else { ScannerState::AfterValue };
    }

    fn after_value(&mut self, byte: u8) -> Result<(), SyntaxContext> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let Some(&open) = self.open.last() else {
            self.step = ScannerState::AfterAll;
            return if is_space {
                Ok(())
            } else {
                Err(SyntaxContext::Text("after top-level value"))
            };
        };
        let last = self.open.len() - 1;
        match (open, byte) {
            _ if is_space => self.step = ScannerState::AfterValue,
            (Bracket::ObjectKey, b':') => {
                self.open[last] = Bracket::ObjectValue;
                self.step = ScannerState::Value;
            }
            (Bracket::ObjectKey, _) => return Err(SyntaxContext::Text("after object key")),
            (Bracket::ObjectValue, b',') => {
                self.open[last] = Bracket::ObjectKey;
                self.step = ScannerState::Key;
            }
            (Bracket::Array, b',') => self.step = ScannerState::Value,
            (Bracket::ObjectValue, b'}') | (Bracket::Array, b']') => self.close(),
            (Bracket::ObjectValue, _) => {
                return Err(SyntaxContext::Text("after object key:value pair"));
            }
            (Bracket::Array, _) => return Err(SyntaxContext::Text("after array element")),
        }
        Ok(())
    }

    fn in_text(&mut self, byte: u8) -> Result<(), SyntaxContext> {
        self.step = match (self.step, byte) {
            (ScannerState::Text, b'"') => ScannerState::AfterValue,
            (ScannerState::Text, b'\\') => ScannerState::Escape,
            (ScannerState::Text, 0..=0x1f) => return Err(SyntaxContext::Text("in string literal")),
            (ScannerState::Escape, b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => {
                ScannerState::Text
            }
            (ScannerState::Escape, b'u') => ScannerState::Hex(4),
            (ScannerState::Escape, _) => return Err(SyntaxContext::Text("in string escape code")),
            (ScannerState::Hex(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => match left {
                1 => ScannerState::Text,
                left => ScannerState::Hex(left - 1),
            },
            (ScannerState::Hex(_), _) => {
                return Err(SyntaxContext::Text(r"in \u hexadecimal character escape"));
            }
            (step, _) => step,
        };
        Ok(())
    }

    fn in_word(&mut self, word: &'static str, at: usize, byte: u8) -> Result<(), SyntaxContext> {
        let expected = word.as_bytes()[at];
        if byte != expected {
            return Err(SyntaxContext::Literal { word, expected });
        }
        let is_last = at + 1 == word.len();
        self.go(if is_last { ScannerState::AfterValue } else { ScannerState::Word(word, at + 1) })
    }

    fn in_number(&mut self, byte: u8) -> Result<(), SyntaxContext> {
        self.step = match (self.step, byte) {
            (ScannerState::Sign, b'0') => ScannerState::Zero,
            (ScannerState::Sign, b'1'..=b'9') | (ScannerState::Digits, b'0'..=b'9') => {
                ScannerState::Digits
            }
            (ScannerState::Sign, _) => return Err(SyntaxContext::Text("in numeric literal")),
            (ScannerState::Zero | ScannerState::Digits, b'.') => ScannerState::Point,
            (ScannerState::Point | ScannerState::Fraction, b'0'..=b'9') => ScannerState::Fraction,
            (ScannerState::Point, _) => {
                return Err(SyntaxContext::Text("after decimal point in numeric literal"));
            }
            (ScannerState::Zero | ScannerState::Digits | ScannerState::Fraction, b'e' | b'E') => {
                ScannerState::Exponent
            }
            (ScannerState::Exponent, b'+' | b'-') => ScannerState::ExponentSign,
            (
                ScannerState::Exponent | ScannerState::ExponentSign | ScannerState::ExponentDigits,
                b'0'..=b'9',
            ) => ScannerState::ExponentDigits,
            (ScannerState::Exponent | ScannerState::ExponentSign, _) => {
                return Err(SyntaxContext::Text("in exponent of numeric literal"));
            }
            _ => return self.after_value(byte),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_json_is_told_in_the_words_of_go() {
        let told = [
            ("", "unexpected end of JSON input"),
            (" ", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{\"Node\":", "unexpected end of JSON input"),
            ("\"abc", "unexpected end of JSON input"),
            ("rm\u{1}", "invalid character 'r' looking for beginning of value"),
            ("hello", "invalid character 'h' looking for beginning of value"),
            ("'a'", r"invalid character '\'' looking for beginning of value"),
            ("\"a\"\"", "invalid character '\"' after top-level value"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("1 2", "invalid character '2' after top-level value"),
            ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("\"a\nb\"", r"invalid character '\n' in string literal"),
            ("\"a\u{1b}[2J\"", r"invalid character '\x1b' in string literal"),
            (r#""\x""#, "invalid character 'x' in string escape code"),
            (r#""\u12g4""#, r"invalid character 'g' in \u hexadecimal character escape"),
            ("-a", "invalid character 'a' in numeric literal"),
            ("01", "invalid character '1' after top-level value"),
            ("1.a", "invalid character 'a' after decimal point in numeric literal"),
            ("1e+", "invalid character ' ' in exponent of numeric literal"),
            ("trux", "invalid character 'x' in literal true (expecting 'e')"),
            ("nul", "invalid character ' ' in literal null (expecting 'l')"),
            ("falsy", "invalid character 'y' in literal false (expecting 'e')"),
        ];
        for (text, expected) in told {
            assert_eq!(complaint(text.as_bytes()).as_deref(), Some(expected), "of {text:?}");
        }
    }

    #[test]
    fn a_byte_is_shown_as_the_character_of_its_number() {
        let shown = |byte| complaint(&[byte]).unwrap().split(' ').nth(2).unwrap().to_owned();
        let all = [(0, r"'\x00'"), (7, r"'\a'"), (0x7f, r"'\x7f'"), (0x80, r"'\u0080'")];
        let others = [(0x9b, r"'\u009b'"), (0xa0, r"'\u00a0'"), (0xad, r"'\u00ad'"), (0xff, "'ÿ'")];
        for (byte, expected) in all.into_iter().chain(others) {
            assert_eq!(shown(byte), expected);
        }
        for byte in 0..=u8::MAX {
            let found = complaint(&[byte]).and_then(|told| crate::text::find_unprintable(&told));
            assert_eq!(found, None, "of {byte}");
        }
    }

    #[test]
    fn brackets_without_end_are_no_json_from_a_depth_on() {
        assert_eq!(complaint(&[b'['; 10_000]).unwrap(), "unexpected end of JSON input");
        assert_eq!(complaint(&[b'['; 10_001]).unwrap(), "invalid character '[' exceeded max depth");
    }

    proptest! {
        #[test]
        fn it_complains_of_what_is_no_json_and_of_nothing_else(
            text in r#"[\[\]{}",:0-9eE.+\-\\ntrufalse ]{0,12}"#,
        ) {
            let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            // Only a number that is too large is JSON and no value.
            let is_number = text.contains(['e', 'E']);
            prop_assert!(complaint(text.as_bytes()).is_none() == is_json || is_number, "{}", text);
        }
    }
}
