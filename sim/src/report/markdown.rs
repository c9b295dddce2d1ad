//! Tables in Markdown, for pages that people write and the summaries of CI.

use super::comparison::{Comparison, ComparisonRow, ComparisonVerdict};
use super::terminal::{compared_cells, comparison_summary};

/// A comparison: what differs first, the same figures as on a terminal.
pub fn comparison(comparison: &Comparison) -> String {
    let [a, b] = comparison.names.each_ref().map(|name| code(name));
    let mut text = format!("### B {b} against A {a}\n\n{}\n", comparison_summary(comparison));
    let told = [
        ComparisonVerdict::Worse,
        ComparisonVerdict::Better,
        ComparisonVerdict::Differs,
        ComparisonVerdict::NoDifferenceShown,
    ];
    let rows: Vec<&ComparisonRow> =
        told.into_iter().flat_map(|verdict| comparison.of(verdict)).collect();
    if !rows.is_empty() {
        text += "\n| B is | median of | A | B | B less A | 95 % sure | pairs less/more |\n";
        text += "|---|---|--:|--:|--:|---|--:|\n";
    }
    for row in rows {
        let [name, rest @ ..] = compared_cells(row);
        let verdict = match row.verdict {
            ComparisonVerdict::Worse => "**worse**",
            verdict => verdict.text(),
        };
        text += &format!("| {verdict} | {} | {} |\n", code(&name), rest.join(" | "));
    }
    text
}

/// A name as code, whatever is in it: neither a bar nor a backtick ends it early.
fn code(name: &str) -> String {
    format!("`{}`", name.replace('`', "'").replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::comparison::tests::example;

    #[test]
    fn a_comparison_is_a_table_that_code_hosts_draw() {
        let text = comparison(&example());
        let lines = [
            "### B `other` against A `one`",
            "|---|---|--:|--:|--:|---|--:|",
            "| **worse** | `metadata.t99` | 109 ms | 114 ms | +5 ms | +5 ms to +5 ms | 0/20 |",
        ];
        for line in lines {
            assert!(text.lines().any(|it| it == line), "no {line:?} in\n{text}");
        }
    }

    #[test]
    fn no_name_breaks_out_of_its_cell() {
        assert_eq!(code("a|b`c"), "`a\\|b'c`");
    }
}
