//! The binary `sim`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rumormill_sim::cli::main()
}
