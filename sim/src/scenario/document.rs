//! The text of a scenario as a tree in which everything knows the place it was typed at.
//!
//! It knows TOML and `--set`, and nothing of what the keys mean.

use std::ops::Range;

use rumormill::text::is_unprintable;
use rumormill::units::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::errors::{Mistake, Mistakes};
use crate::reading;

/// Longest scenario, in bytes.
pub(super) const TEXT_LEN_MAX: usize = 16 << 20;

/// Everything that was typed: the file first, then each `--set`.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(Vec<Source>);

/// One text that was typed.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) origin: Origin,
    pub(super) text: String,
}

/// Where a text was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// In a file of this name.
    File(String),
    /// After this option, such as `--set`.
    Option(&'static str),
}

/// A stretch of one of the sources, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    source: u32,
    pub(super) start: u32,
    end: u32,
}

impl Origin {
    /// What messages call it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::File(name) => name,
            Self::Option(option) => option,
        }
    }
}

impl Sources {
    pub(super) fn source(&self, place: Place) -> &Source {
        &self.0[place.source as usize]
    }

    /// What was typed first: the file.
    pub(super) fn file(&self) -> &Source {
        &self.0[0]
    }

    /// Takes in a text and gives it the next number.
    pub(super) fn add(&mut self, origin: Origin, text: &str) -> u32 {
        assert!(text.len() <= TEXT_LEN_MAX, "the caller limits the length");
        self.0.push(Source { origin, text: text.to_owned() });
        u32::try_from(self.0.len() - 1).expect("a command line is shorter")
    }
}

impl Source {
    /// Line and column of a byte, both counted from one, the column in characters.
    pub(super) fn line_and_column(&self, byte: u32) -> (usize, usize) {
        let before = self.text.get(..byte as usize).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The first line of a place as it may be printed, its number, and the place in it.
    pub(super) fn visible(&self, place: Place) -> (usize, String, Range<usize>) {
        let (start, end) = (place.start as usize, place.end as usize);
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end =
            self.text[start..].find(['\n', '\r']).map_or(self.text.len(), |at| start + at);
        let end = end.clamp(start, line_end);
        let shown = |range: Range<usize>| -> String {
            self.text[range].chars().map(in_its_place).collect()
        };
        let before = shown(line_start..start).len();
        let marked = before..before + shown(start..end).len();
        let (number, _) = self.line_and_column(place.start);
        (number, shown(line_start..line_end), marked)
    }
}

/// One character for another, so that a caret still stands below what it is about.
fn in_its_place(char: char) -> char {
    match char {
        '\t' => ' ',
        '\0'..='\u{1f}' => char::from_u32(u32::from(char) + 0x2400).expect("pictures of them"),
        '\u{7f}' => '\u{2421}',
        char if is_unprintable(char) => char::REPLACEMENT_CHARACTER,
        char => char,
    }
}

impl Place {
    pub(super) fn new(source: u32, span: Range<usize>) -> Self {
        let limit = |byte| u32::try_from(byte).expect("texts are shorter than TEXT_LEN_MAX");
        Self { source, start: limit(span.start), end: limit(span.end) }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) at: Place,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Integer(i128),
    Float,
    Text(String),
    Flag(bool),
    Date,
    List(Vec<Item>),
    Table(Table),
}

/// Keys and values in the order in which they were typed.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    pub(super) at: Place,
}

/// A key, its place and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Place,
    pub(super) item: Item,
}

/// Reads a whole document, source number `source`, if it is TOML.
pub(super) fn read(source: u32, text: &str, found: &mut Mistakes) -> Option<Table> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        errors.iter().for_each(|error| found.note(syntax(source, text, error)));
        return None;
    }
    let first_line = Place::new(source, 0..text.find('\n').unwrap_or(text.len()));
    found.keep(convert_table(first_line, table.into_inner(), &|span| Place::new(source, span)))
}

/// Reads a single value that begins at byte `offset` of source number `source`.
pub(super) fn read_value(source: u32, offset: usize, text: &str) -> Result<Item, Mistake> {
    let whole = Place::new(source, offset..offset + text.len());
    let as_text = || Item { value: Value::Text(text.to_owned()), at: whole };
    let Ok(value) = DeValue::parse(text) else { return Ok(as_text()) };
    // A place inside a value of `--set` is the place of the whole value.
    convert(value, &|_| whole)
}

fn syntax(source: u32, text: &str, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let end = span.end.min(text.len());
    let start = span.start.min(end);
    let message = match (error.message(), text.get(start..end)) {
        ("duplicate key", Some(key)) => format!("the key `{key}` stands here twice: keep one"),
        (message, _) => message.lines().collect::<Vec<_>>().join(", "),
    };
    Mistake::new(Place::new(source, start..end), message)
}

fn convert_table(
    at: Place,
    table: DeTable<'_>,
    place: &dyn Fn(Range<usize>) -> Place,
) -> Result<Table, Mistake> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let key_at = place(key.span());
        let item = convert(value, place)?;
        entries.push(Entry { key: key.into_inner().into_owned(), key_at, item });
    }
    entries.sort_by_key(|entry| entry.key_at.start);
    Ok(Table { entries, at })
}

fn convert(
    value: Spanned<DeValue<'_>>,
    place: &dyn Fn(Range<usize>) -> Place,
) -> Result<Item, Mistake> {
    let at = place(value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(digits) => {
            // Longer ones are out of any range as well: which it is, says who knows the key.
            let most = if digits.as_str().starts_with('-') { i128::MIN } else { i128::MAX };
            let number = i128::from_str_radix(digits.as_str(), digits.radix());
            Value::Integer(number.unwrap_or(most))
        }
        DeValue::Float(_) => Value::Float,
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| convert(item, place));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => Value::Table(convert_table(at, table, place)?),
    };
    Ok(Item { value, at })
}

impl Value {
    /// What kind of value it is, for a person.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "a whole number",
            Self::Float => "a number with a fraction",
            Self::Text(_) => "a text",
            Self::Flag(_) => "true or false",
            Self::Date => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Item {
    /// The mistake of a value of the wrong kind.
    pub(super) fn expected(&self, what: &str) -> Mistake {
        Mistake::new(self.at, format!("expected {what}, found {}", self.value.kind()))
    }

    /// A text that ends up in names, tables and pages, where it must write nothing else.
    pub(super) fn text(&self, what: &str) -> Result<&str, Mistake> {
        let text = self.data(what)?;
        match reading::refused(text) {
            None => Ok(text),
            Some(why) => Err(Mistake::new(self.at, why)),
        }
    }

    /// A text of any characters, which nobody prints as it is.
    pub(super) fn data(&self, what: &str) -> Result<&str, Mistake> {
        let Value::Text(text) = &self.value else { return Err(self.expected(what)) };
        Ok(text)
    }

    /// A text that is read further; `read` says what is wrong with it.
    pub(super) fn parsed<T>(
        &self,
        what: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Mistake> {
        read(self.text(what)?).map_err(|why| Mistake::new(self.at, why))
    }

    /// A whole number in a range.
    pub(super) fn number(&self, what: &str, low: u64, high: u64) -> Result<u64, Mistake> {
        let Value::Integer(number) = self.value else { return Err(self.expected(what)) };
        let inside = u64::try_from(number).ok().filter(|number| (low..=high).contains(number));
        inside.ok_or_else(|| {
            Mistake::new(self.at, format!("{number} is out of range: {what} from {low} to {high}"))
        })
    }

    pub(super) fn flag(&self, what: &str) -> Result<bool, Mistake> {
        match self.value {
            Value::Flag(flag) => Ok(flag),
            _ => Err(self.expected(what)),
        }
    }

    pub(super) fn list(&self, what: &str) -> Result<&[Self], Mistake> {
        let Value::List(items) = &self.value else { return Err(self.expected(what)) };
        Ok(items)
    }

    pub(super) fn table(&self, what: &str) -> Result<&Table, Mistake> {
        let Value::Table(table) = &self.value else { return Err(self.expected(what)) };
        Ok(table)
    }
}

impl Table {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn item(&self, key: &str) -> Option<&Item> {
        self.entry(key).map(|entry| &entry.item)
    }

    /// The value of a key that must be there; `example` shows how it is written.
    pub(super) fn need(&self, key: &str, example: &str) -> Result<&Item, Mistake> {
        self.item(key).ok_or_else(|| {
            // Who mistyped it is told that, and not that it is missing as well.
            let mistyped = self.entries.iter().find(|entry| nearest(&entry.key, [key]).is_some());
            match mistyped {
                Some(entry) => Mistake::unknown(entry.key_at, "key", &entry.key, [key]),
                None => Mistake::new(self.at, format!("`{key}` is missing: add `{example}`")),
            }
        })
    }

    /// Refuses every key but `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Mistake> {
        self.unknown(known).next().map_or(Ok(()), Err)
    }

    /// A mistake for every key but `known`.
    pub(super) fn unknown<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = Mistake> + 'a {
        let others = self.entries.iter().filter(|entry| !known.contains(&entry.key.as_str()));
        others.map(|entry| Mistake::unknown(entry.key_at, "key", &entry.key, known.iter().copied()))
    }
}

/// Puts the value of a `--set` at its path, where tables are made as needed.
pub(super) fn set(root: &mut Table, path: &[(String, Place)], item: Item) -> Result<(), Mistake> {
    let [(key, at), rest @ ..] = path else { return Ok(()) };
    let found = root.entries.iter().position(|entry| &entry.key == key);
    if rest.is_empty() {
        let entry = Entry { key: key.clone(), key_at: *at, item };
        match found {
            Some(index) => root.entries[index] = entry,
            None => root.entries.push(entry),
        }
        return Ok(());
    }
    let index = found.unwrap_or_else(|| {
        let table = Value::Table(Table { entries: Vec::new(), at: *at });
        let item = Item { value: table, at: *at };
        root.entries.push(Entry { key: key.clone(), key_at: *at, item });
        root.entries.len() - 1
    });
    set_inside(&mut root.entries[index].item, (key, *at), rest, item)
}

fn set_inside(
    outer: &mut Item,
    (key, at): (&str, Place),
    rest: &[(String, Place)],
    item: Item,
) -> Result<(), Mistake> {
    match &mut outer.value {
        Value::Table(table) => set(table, rest, item),
        Value::List(items) => {
            let (digits, place) = &rest[0];
            let len = items.len();
            let element = digits.parse().ok().and_then(|index: usize| items.get_mut(index));
            let Some(element) = element else {
                let text = match len {
                    0 => format!("`{key}` is empty and has no `{digits}`"),
                    _ => format!("`{key}` has no `{digits}`: its elements are 0 to {}", len - 1),
                };
                return Err(Mistake::new(*place, text));
            };
            if rest.len() == 1 {
                *element = item;
                return Ok(());
            }
            set_inside(element, (digits, *place), &rest[1..], item)
        }
        other => {
            let text = format!("`{key}` is {}, so that nothing can be set in it", other.kind());
            Err(Mistake::new(at, text))
        }
    }
}

/// Takes out a value at a path of tables, if there is one.
pub(super) fn forget(root: &mut Table, path: &[(String, Place)]) {
    let [(key, _), rest @ ..] = path else { return };
    let Some(index) = root.entries.iter().position(|entry| &entry.key == key) else { return };
    if rest.is_empty() {
        root.entries.remove(index);
    } else if let Value::Table(table) = &mut root.entries[index].item.value {
        forget(table, rest);
    }
}
