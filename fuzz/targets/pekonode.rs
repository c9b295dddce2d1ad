//! Any packets, commands and times, to an engine of pekonode.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill::fuzzing::pekonode(bytes));
