//! The binary `sim`; everything is in the library.

use std::process::ExitCode;

/// Many small pieces of memory come and go in a run: with the C library's allocator a run of a
/// million nodes takes a fifth longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rumormill_sim::cli::main()
}
