//! Sections, aligned tables and colours: how a page for a terminal is put together.
//!
//! Nothing on a page is wider than the terminal that nobody widened: lines end at a word, and what
//! a table has too many columns for stands in a second one below it.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::report::human::shortened;
use crate::scenario::Paint;

/// Columns of a terminal.
pub(crate) const WIDTH: usize = 80;
/// What stands before each line below a heading.
const INDENT: &str = "  ";
/// Blanks between two columns, and where that is too much.
const GAPS: [usize; 2] = [2, 1];

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
pub(super) struct TerminalPage {
    text: String,
    paint: Paint,
}

/// Rows with aligned columns, each row with a tone of its own.
#[derive(Debug)]
pub(super) struct Rows {
    rows: Vec<(Tone, Vec<String>)>,
    columns: Vec<Align>,
    /// The first so many columns say what a row is about.
    keys: usize,
}

/// Columns of a table that stand side by side.
#[derive(Debug)]
struct Piece {
    columns: Vec<usize>,
    gap: usize,
}

impl TerminalPage {
    pub(super) fn new(paint: Paint) -> Self {
        Self { text: String::new(), paint }
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    /// The first line, not indented.
    pub(super) fn title(&mut self, title: &str) {
        self.broken(Tone::Heading, "", title);
    }

    /// An empty line and a heading.
    pub(super) fn section(&mut self, heading: &str) {
        self.text.push('\n');
        self.broken(Tone::Heading, "", heading);
    }

    pub(super) fn line(&mut self, tone: Tone, line: &str) {
        self.broken(tone, INDENT, line);
    }

    /// An empty table with these columns, of which the first names the rows.
    pub(super) fn table(&self, columns: impl Into<Vec<Align>>) -> Rows {
        Rows { rows: Vec::new(), columns: columns.into(), keys: 1 }
    }

    /// Writes a table out. Cells hold no line breaks, so a row is a line and can have its tone.
    pub(super) fn add(&mut self, rows: &Rows) {
        for (place, piece) in rows.pieces().iter().enumerate() {
            if place > 0 {
                self.text.push('\n');
            }
            for (line, (tone, _)) in rows.laid_out(piece).lines().zip(&rows.rows) {
                self.push(*tone, " ", line.trim_end());
            }
        }
    }

    /// Writes a text out, in several lines where it has too many words for one.
    fn broken(&mut self, tone: Tone, indent: &str, text: &str) {
        let (mut line, mut indent) = (String::new(), indent.to_owned());
        for word in text.split(' ') {
            let wide = indent.len() + chars(&line) + 1 + chars(word) > WIDTH;
            if wide && !line.is_empty() {
                self.push(tone, &indent, &std::mem::take(&mut line));
                if !indent.starts_with("    ") {
                    indent += INDENT;
                }
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.push(tone, &indent, &line);
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
    /// The same, with so many columns that name the rows.
    pub(super) fn keyed_by(self, keys: usize) -> Self {
        Self { keys, ..self }
    }

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
        // A line break, which a scenario's author can put into a label, would shift the tones.
        let cells = cells.into_iter().map(|cell| cell.replace(['\n', '\r'], " "));
        self.rows.push((tone, cells.collect()));
    }

    /// All columns side by side where they fit, closer together where they must; else as many as
    /// fit, then the names of the rows again with more of them.
    fn pieces(&self) -> Vec<Piece> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let one = |gap| Piece { columns: all.clone(), gap };
        if let Some(piece) = GAPS.map(one).into_iter().find(|piece| self.width(piece) <= WIDTH) {
            return vec![piece];
        }
        let (keys, others) = all.split_at(self.keys);
        let mut pieces: Vec<Piece> = Vec::new();
        for &column in others {
            let wider = pieces.pop().map(|piece| {
                let columns = [piece.columns.as_slice(), &[column]].concat();
                (piece, Piece { columns, gap: GAPS[0] })
            });
            match wider {
                Some((_, wider)) if self.width(&wider) <= WIDTH => pieces.push(wider),
                full => {
                    pieces.extend(full.map(|(piece, _)| piece));
                    pieces.push(Piece { columns: [keys, &[column]].concat(), gap: GAPS[0] });
                }
            }
        }
        pieces
    }

    fn width(&self, piece: &Piece) -> usize {
        let columns = piece.columns.iter().map(|&column| self.widest(column));
        INDENT.len() + columns.sum::<usize>() + piece.gap * piece.columns.len().saturating_sub(1)
    }

    fn widest(&self, column: usize) -> usize {
        self.rows.iter().map(|(_, cells)| chars(&cells[column])).max().unwrap_or_default()
    }

    /// A line for each row. What is too wide even so loses the ends of its longest texts.
    fn laid_out(&self, piece: &Piece) -> String {
        let over = self.width(piece).saturating_sub(WIDTH);
        let texts = piece.columns.iter().copied().filter(|&at| self.columns[at] == Align::Left);
        let longest = texts.max_by_key(|&column| self.widest(column));
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        for (_, cells) in &self.rows {
            table.add_row(piece.columns.iter().map(|&column| {
                let room = match longest == Some(column) {
                    true => self.widest(column).saturating_sub(over),
                    false => usize::MAX,
                };
                let cell = Cell::new(shortened(&cells[column], room));
                match self.columns[column] {
                    Align::Left => cell.set_alignment(CellAlignment::Left),
                    Align::Right => cell.set_alignment(CellAlignment::Right),
                }
            }));
        }
        for column in table.column_iter_mut() {
            column.set_padding((1, piece.gap as u16 - 1));
        }
        table.to_string()
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(paint: Paint) -> String {
        let mut page = TerminalPage::new(paint);
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

    #[test]
    fn a_long_line_goes_on_below_itself() {
        let mut page = TerminalPage::new(Paint::Plain);
        page.line(Tone::Plain, "word ".repeat(40).trim_end());
        page.line(Tone::Plain, &"x".repeat(100));
        let text = page.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("  {}", ["word"; 15].join(" ")), "{text}");
        assert!(lines[1].starts_with("    word "), "{text}");
        assert_eq!(text.matches("word").count(), 40);
        // What has no blank, such as a path, is left whole.
        assert!(text.contains(&"x".repeat(100)), "{text}");
    }

    fn table(columns: usize, cell: &str) -> Vec<String> {
        let mut page = TerminalPage::new(Paint::Plain);
        let mut rows = page.table(vec![Align::Left; columns]);
        rows.add(Tone::Plain, (0..columns).map(|at| format!("{at}{cell}")).collect());
        page.add(&rows);
        page.text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_move_together_before_a_table_is_parted() {
        assert_eq!(table(3, "-").join(""), "  0-  1-  2-");
        let close = table(7, "---------");
        assert_eq!(close.len(), 1);
        assert!(close[0].contains("0--------- 1---------"), "{close:?}");
        assert!(close[0].chars().count() <= WIDTH, "{close:?}");
    }

    #[test]
    fn a_table_with_too_many_columns_goes_on_below_with_its_names_again() {
        let lines = table(12, "-----------");
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= WIDTH));
        let parts: Vec<_> = lines.iter().filter(|line| !line.is_empty()).collect();
        assert!(parts.iter().all(|line| line.starts_with("  0-----------  ")), "{lines:?}");
        for column in 1..12 {
            let cell = format!("  {column}-----------");
            assert_eq!(lines.iter().filter(|line| line.contains(&cell)).count(), 1, "{lines:?}");
        }
    }

    #[test]
    fn a_text_too_long_for_any_table_loses_its_end() {
        let lines = table(2, &"-".repeat(100));
        assert!(lines[0].ends_with('…') || lines[0].contains("…  1"), "{lines:?}");
        let mut page = TerminalPage::new(Paint::Plain);
        let mut rows = page.table([Align::Right, Align::Left]);
        rows.row(["1 s".to_owned(), "-".repeat(100)]);
        page.add(&rows);
        let text = page.text();
        assert_eq!(text.trim_end().chars().count(), WIDTH, "{text}");
        assert!(text.ends_with("…\n"), "{text}");
    }
}
