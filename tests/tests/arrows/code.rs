//! Which paths a file of Rust names, read without a compiler: formatted code has few forms.

use std::ops::Range;

/// Code without its comments, its texts and its tests; lines stay where they are.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) text: String,
    /// Modules in files of their own that only tests have.
    pub(super) test_modules: Vec<String>,
}

impl Code {
    pub(crate) fn read(text: &str) -> Self {
        let mut code = Self { text: plain(text), test_modules: Vec::new() };
        code.leave_out_tests();
        code
    }

    /// Every path into the crate with its line, from the crate's root; the file is that of a
    /// module.
    pub(super) fn paths(&self, module: &[&str]) -> Vec<(usize, Vec<String>)> {
        let text = self.text.as_str();
        let (children, inner) = (children(text), inner_modules(text));
        let mut found = Vec::new();
        let (mut line, mut counted, mut at) = (1, 0, 0);
        while let Some(word) = next_word(text, at) {
            at = word.end;
            let root = &text[word.clone()];
            let is_root = ["crate", "self", "super"].contains(&root) || children.contains(&root);
            let before = text[..word.start].trim_end();
            let goes_on = before.ends_with("::") || before.ends_with("(in");
            if !is_root || goes_on || !text[word.end..].starts_with("::") {
                continue;
            }
            line += text[counted..word.start].matches('\n').count();
            counted = word.start;
            let mut written = Vec::new();
            at = text.len() - expand(&text[word.start..], &[], &mut written).len();
            let around = inner.iter().filter(|(span, _)| span.contains(&word.start));
            let here: Vec<&str> =
                module.iter().copied().chain(around.map(|&(_, name)| name)).collect();
            found.extend(written.iter().map(|path| (line, from_root(&here, path))));
        }
        found
    }

    /// Blanks what is compiled for tests or docs alone.
    fn leave_out_tests(&mut self) {
        const ATTRIBUTES: [&str; 3] = ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(doc)]"];
        let start = |text: &str| ATTRIBUTES.iter().filter_map(|one| text.find(one)).min();
        while let Some(start) = start(&self.text) {
            let item = start..start + item_len(&self.text[start..]);
            let words: Vec<&str> = self.text[item.clone()].split_whitespace().collect();
            let names = words.windows(2).filter(|pair| pair[0] == "mod");
            let names = names.filter_map(|pair| pair[1].strip_suffix(';')).map(str::to_owned);
            self.test_modules.extend(names);
            let blank: String =
                self.text[item.clone()].chars().filter(|&char| char == '\n').collect();
            self.text.replace_range(item, &blank);
        }
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn next_word(text: &str, from: usize) -> Option<Range<usize>> {
    let start = from + text[from..].find(is_word)?;
    let len = text[start..].find(|char| !is_word(char)).unwrap_or(text.len() - start);
    Some(start..start + len)
}

/// Code without comments and texts, but for texts that are paths, as serde has them.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = out.ends_with(is_word);
        let len = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted_len(rest),
            'r' if !after_word && raw_len(rest).is_some() => raw_len(rest).unwrap_or_default(),
            '\'' => char_len(rest),
            _ => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        let (gone, left) = rest.split_at(len);
        match gone.trim_matches('"') {
            path if path.starts_with("crate::") => out.push_str(path),
            _ => out.extend(gone.chars().filter(|&char| char == '\n')),
        }
        out.push(' ');
        rest = left;
    }
    out
}

fn quoted_len(text: &str) -> usize {
    let mut escaped = false;
    let ends = |&(at, char): &(usize, char)| {
        let ends = at > 0 && char == '"' && !escaped;
        escaped = char == '\\' && !escaped;
        ends
    };
    text.char_indices().find(ends).map_or(text.len(), |(at, _)| at + 1)
}

fn raw_len(text: &str) -> Option<usize> {
    let hashes = text[1..].find(|char| char != '#')?;
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + body.find(&end)? + end.len())
}

/// Of a character in quotes; of a lifetime's quote it is 1.
fn char_len(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    let is_escaped = chars.next().is_some_and(|(_, char)| char == '\\');
    let end = if is_escaped { text[3..].find('\'').map(|at| at + 3) } else { None };
    let end = end.or_else(|| chars.next().filter(|&(_, char)| char == '\'').map(|(at, _)| at));
    end.map_or(1, |at| at + 1)
}

/// Bytes of the item that begins here, its attributes included.
fn item_len(text: &str) -> usize {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return at,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ';' | ',' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The modules that a file declares.
fn children(text: &str) -> Vec<&str> {
    text.lines().filter_map(declared).collect()
}

fn declared(line: &str) -> Option<&str> {
    let (before, name) = line.trim().strip_suffix(';')?.rsplit_once(' ')?;
    (before == "mod" || before.ends_with(" mod")).then_some(name)
}

/// Modules within the file, with their bodies, the outer ones first.
fn inner_modules(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(word) = next_word(text, at) {
        at = word.end;
        let Some(name) = next_word(text, at).filter(|_| &text[word.clone()] == "mod") else {
            continue;
        };
        if text[name.end..].trim_start().starts_with('{') {
            found.push((name.end..name.end + item_len(&text[name.end..]), &text[name]));
        }
    }
    found
}

/// Takes a path apart that begins here, with all that stands in its braces; gives what follows.
fn expand<'t>(text: &'t str, stem: &[&'t str], found: &mut Vec<Vec<&'t str>>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut inner) = text.strip_prefix('{') {
        loop {
            inner = inner.trim_start_matches(|char: char| char == ',' || char.is_whitespace());
            if inner.is_empty() || inner.starts_with('}') {
                return inner.strip_prefix('}').unwrap_or(inner);
            }
            let after = expand(inner, stem, found);
            inner = &after[after.find([',', '}']).unwrap_or(after.len())..];
        }
    }
    let len = text.find(|char| !is_word(char)).unwrap_or(text.len());
    let (word, after) = text.split_at(len);
    let stem: Vec<&str> = stem.iter().copied().chain((len > 0).then_some(word)).collect();
    match after.strip_prefix("::").filter(|_| len > 0) {
        Some(next) => expand(next, &stem, found),
        None => {
            found.push(stem);
            after
        }
    }
}

/// A path as the crate's root would write it.
fn from_root(module: &[&str], path: &[&str]) -> Vec<String> {
    let up = path.iter().take_while(|&&word| word == "super").count();
    let (stem, rest) = match path[0] {
        "crate" => (&[][..], &path[1..]),
        "self" => (module, &path[1..]),
        _ => (&module[..module.len().saturating_sub(up)], &path[up..]),
    };
    stem.iter().chain(rest).map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<(usize, String)> {
        let found = Code::read(text).paths(&["a", "b"]);
        found.into_iter().map(|(line, path)| (line, path.join("::"))).collect()
    }

    fn named(text: &str) -> Vec<String> {
        paths(text).into_iter().map(|(_, path)| path).collect()
    }

    #[test]
    fn a_path_is_found_wherever_it_is_written() {
        assert_eq!(named("use crate::x::{self, y::{Z, W as V}, *};").len(), 4);
        assert_eq!(named("use crate::x::{y::{Z, W as V}, U};"), ["x::y::Z", "x::y::W", "x::U"]);
        assert_eq!(named("use super::x;\nuse super::super::y;"), ["a::x", "y"]);
        assert_eq!(named("fn f(x: &crate::x::Y<'_>) -> self::Z { super::g() }").len(), 3);
        assert_eq!(named("mod c;\npub use c::D;"), ["a::b::c::D"]);
        assert_eq!(named("mod c { use super::x; }\nuse super::y;"), ["a::b::x", "a::y"]);
        assert_eq!(named("#[serde(with = \"crate::forms::digest\")]"), ["forms::digest"]);
        assert_eq!(paths("\n\"\n\"\nuse crate::{x,\n y};"), [(4, "x".into()), (4, "y".into())]);
    }

    #[test]
    fn neither_texts_nor_comments_nor_tests_name_anything() {
        let text = r##"
            // crate::a
            /* crate::b */
            pub(in crate::c) const QUOTE: (char, char, &str) = ('"', '\'', "crate is \" crate::d");
            const RAW: &str = r#"use "crate::e""#;
            #[cfg(test)]
            use crate::f;
            #[cfg(doc)]
            use crate::g;
            struct One<'a> { #[cfg(test)] field: crate::h::I<'a> }
            #[cfg(all(test, feature = "net"))]
            mod tests { use crate::j; fn k() { crate::k(); } }
            use other::crate_::super_::self_;
        "##;
        assert_eq!(named(text), [""; 0]);
        let code = Code::read("#[cfg(test)]\npub(crate) mod kit;\nmod real;\nuse crate::x;");
        assert_eq!(code.test_modules, ["kit"]);
        assert_eq!(code.paths(&[]), [(4, vec!["x".to_owned()])]);
    }
}
