//! Texts of strangers: the characters that no name may have, and how to show a text that has any.
//!
//! A name that holds an escape sequence clears the screen of whoever reads a log, one with a line
//! break adds a line that nobody wrote. Such texts are refused where they come in, on the wire and
//! in the API; what can't be refused (published bytes, names of files) is shown by [`Printable`].

use std::fmt::{self, Write as _};

/// Whether a character changes what stands beside it instead of being read itself.
///
/// These are the control characters (C0, DEL and C1: some terminals obey U+009B like ESC `[`), the
/// two separators that break lines as a newline does, and the marks that reverse the direction of
/// other people's text. Joiners and the marks of direction U+200E and U+200F stay: scripts need
/// them, and they move nothing but what they stand in.
pub fn is_unprintable(char: char) -> bool {
    let breaks_lines = matches!(char, '\u{2028}' | '\u{2029}');
    let reorders = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || breaks_lines || reorders
}

/// The first character of a text that must not be shown, with its place in bytes.
pub fn find_unprintable(text: &str) -> Option<(usize, char)> {
    text.char_indices().find(|&(_, char)| is_unprintable(char))
}

/// Shows something on one line, with `\n` or `\u{1b}` where it has such a character.
///
/// ```
/// # use rumormill::text::Printable;
/// assert_eq!(Printable("A\u{1b}[2J\n中文").to_string(), "A\\u{1b}[2J\\n中文");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<T>(pub T);

impl<T: fmt::Display> fmt::Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while let Some((at, char)) = find_unprintable(text) {
            write!(self.0, "{}{}", &text[..at], char.escape_default())?;
            text = &text[at + char.len_utf8()..];
        }
        self.0.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_moves_a_cursor_breaks_a_line_or_turns_text_around_is_escaped() {
        for (text, shown) in [
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\r\n\tb\u{8}\u{7}", "a\\r\\n\\tb\\u{8}\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
            ("\u{202e}txt.exe\u{2066}", "\\u{202e}txt.exe\\u{2066}"),
        ] {
            assert_eq!(Printable(text).to_string(), shown);
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["", "node-1", "zone=1; a\\b", "中文 😀", "नोड\u{200d}", "עברית\u{200f}!"]
        {
            assert_eq!(Printable(text).to_string(), text);
            assert_eq!(find_unprintable(text), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_unprintable_is_ever_shown_and_nothing_else_is_changed(text in any::<String>()) {
            let shown = Printable(&text).to_string();
            prop_assert_eq!(find_unprintable(&shown), None);
            let kept: String = text.chars().filter(|&char| !is_unprintable(char)).collect();
            match find_unprintable(&text) {
                None => prop_assert_eq!(shown, text),
                Some((at, _)) => prop_assert!(shown.starts_with(&text[..at]) && shown != kept),
            }
        }

        #[test]
        fn every_character_is_shown_or_escaped(char in any::<char>()) {
            let shown = Printable(char).to_string();
            let escaped = char.escape_default().to_string();
            prop_assert_eq!(shown, if is_unprintable(char) { escaped } else { char.to_string() });
        }
    }
}
