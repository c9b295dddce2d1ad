//! Ctrl-C, or a polite kill: the command ends at once, with its own exit code and without
//! half-written results.

use std::process;

use super::{Exit, progress};
use crate::report::files;

/// From now on Ctrl-C and SIGTERM discard what is not published and end the process.
///
/// Where a handler can't be installed, Ctrl-C ends the process as it always does; what is left
/// of the results then is a hidden folder that nobody takes for a run.
pub fn install() {
    install_saying("nothing was written");
}

/// As [`install`], for a command that keeps each cell of a sweep as soon as it is done.
pub fn install_keeping_cells() {
    install_saying("finished cells are kept, and the same command goes on from there");
}

/// As [`install`], for a command that keeps something: what it says of that.
pub fn install_saying(text: &'static str) {
    let installed = ctrlc::set_handler(move || {
        progress::clear();
        let _held_to_the_end = files::discard_unpublished();
        #[cfg(feature = "testbed")]
        let _held_as_well = crate::testbed::discard();
        eprintln!(
            "
interrupted: {text}"
        );
        process::exit(Exit::Interrupted as i32);
    });
    // Only a test that runs two commands in one process gets here twice.
    drop(installed);
}
