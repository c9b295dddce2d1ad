//! Any changes to the files of a run, for every command that reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill_sim::fuzzing::run_files(bytes));
