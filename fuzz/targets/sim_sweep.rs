//! Any changes to the files of a sweep, for the command that merges them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill_sim::fuzzing::sweep_files(bytes));
