//! Sections, aligned tables and colours: how a page for a terminal is put together.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::scenario::Paint;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Heading,
    Quiet,
    Good,
    Bad,
}

/// On which side a column is even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Text that grows line by line.
#[derive(Clone, Debug)]
pub(super) struct Page {
    text: String,
    paint: Paint,
}

/// Rows with aligned columns, each row with a tone of its own.
#[derive(Debug)]
pub(super) struct Rows {
    table: Table,
    tones: Vec<Tone>,
    columns: Vec<Align>,
}

impl Page {
    pub(super) fn new(paint: Paint) -> Self {
        Self { text: String::new(), paint }
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    /// The first line, not indented.
    pub(super) fn title(&mut self, title: &str) {
        self.push(Tone::Heading, "", title);
    }

    /// An empty line and a heading.
    pub(super) fn section(&mut self, heading: &str) {
        self.text.push('\n');
        self.push(Tone::Heading, "", heading);
    }

    pub(super) fn line(&mut self, tone: Tone, line: &str) {
        self.push(tone, "  ", line);
    }

    /// An empty table with these columns.
    pub(super) fn table(&self, columns: impl Into<Vec<Align>>) -> Rows {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        Rows { table, tones: Vec::new(), columns: columns.into() }
    }

    /// Writes a table out. Cells hold no line breaks, so a row is a line and can have its tone.
    pub(super) fn add(&mut self, rows: &Rows) {
        let text = rows.table.to_string();
        for (line, &tone) in text.lines().zip(&rows.tones) {
            self.push(tone, " ", line.trim_end());
        }
    }

    fn push(&mut self, tone: Tone, indent: &str, line: &str) {
        let code = match (self.paint, tone) {
            (Paint::Plain, _) | (_, Tone::Plain) => None,
            (_, Tone::Heading) => Some("1"),
            (_, Tone::Quiet) => Some("2"),
            (_, Tone::Good) => Some("32"),
            (_, Tone::Bad) => Some("1;31"),
        };
        match code {
            Some(code) => self.text.push_str(&format!("{indent}\x1b[{code}m{line}\x1b[0m\n")),
            None => self.text.push_str(&format!("{indent}{line}\n")),
        }
    }
}

impl Rows {
    /// Names of the columns.
    pub(super) fn head<const N: usize>(&mut self, names: [&str; N]) {
        self.toned_row(Tone::Quiet, names.map(str::to_owned));
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.toned_row(Tone::Plain, cells);
    }

    pub(super) fn toned_row<const N: usize>(&mut self, tone: Tone, cells: [String; N]) {
        self.add(tone, cells.into());
    }

    /// A row whose length only the run knows.
    pub(super) fn add(&mut self, tone: Tone, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        let aligned = cells.into_iter().zip(&self.columns).map(|(cell, align)| {
            // A line break, which a scenario's author can put into a label, would shift the tones.
            let cell = Cell::new(cell.replace(['\n', '\r'], " "));
            match align {
                Align::Left => cell.set_alignment(CellAlignment::Left),
                Align::Right => cell.set_alignment(CellAlignment::Right),
            }
        });
        self.table.add_row(aligned);
        self.tones.push(tone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(paint: Paint) -> String {
        let mut page = Page::new(paint);
        page.title("title");
        page.section("section");
        let mut rows = page.table([Align::Left, Align::Right]);
        rows.head(["name", "time"]);
        rows.toned_row(Tone::Bad, ["a\nb".to_owned(), "1 s".to_owned()]);
        page.add(&rows);
        page.text()
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let expected = "title\n\nsection\n  name  time\n  a b    1 s\n";
        assert_eq!(page(Paint::Plain), expected);
    }

    #[test]
    fn colours_belong_to_lines_and_change_no_alignment() {
        let colored = page(Paint::Coloured);
        assert!(colored.contains("\x1b[1;31m a b    1 s\x1b[0m"), "{colored:?}");
        let codes = ["\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[0m"];
        let plain = codes.iter().fold(colored, |text, code| text.replace(code, ""));
        assert_eq!(plain, page(Paint::Plain));
    }
}
