//! How an error in a scenario is asked for and looked at.

use rumormill_sim::scenario::{Blame, parse};

/// What every scenario needs; cases that are about something else begin with it, on line 1.
const HEAD: &str = "name = 'x'; nodes = 50; duration = '60s'";

/// The head, a line for each key.
pub(crate) fn head() -> String {
    HEAD.replace("; ", "\n") + "\n"
}

/// The error of a scenario of the head and these lines (which begin on line 4).
pub(crate) fn error(rest: &str) -> String {
    whole_error(&(head() + rest))
}

/// The error of a whole scenario.
pub(crate) fn whole_error(text: &str) -> String {
    let error = parse("bad.toml", text, &[]).expect_err("this is no scenario");
    assert_eq!(error.blame(), Blame::Scenario);
    error.to_string()
}

/// Checks the first line, and that a caret stands below the line of the file.
#[track_caller]
pub(crate) fn assert_told(error: &str, first_line: &str) {
    assert_eq!(error.lines().next(), Some(first_line), "\n{error}\n");
    let caret = error.lines().nth(3).unwrap_or_default();
    assert!(caret.trim_start().starts_with('|') && caret.contains('^'), "no caret in\n{error}\n");
    assert!(!error.contains('\u{1b}'), "colours in a plain text");
}

/// The case of one action: the lines of an `[[at]]` at 10 s, its keys from line 6 on.
#[track_caller]
pub(crate) fn assert_action_told(action: &str, first_line: &str) {
    assert_told(&error(&format!("[[at]]\ntime = '10s'\n{action}\n")), first_line);
}
