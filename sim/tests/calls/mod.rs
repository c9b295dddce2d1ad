//! Calls of `sim` whose exit code is known.

use assert_cmd::Command;

/// Makes a call, expects an exit code, and returns what was printed.
#[track_caller]
pub(crate) fn call(command: &mut Command, code: i32) -> (String, String) {
    let output = command.assert().code(code).get_output().clone();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}
