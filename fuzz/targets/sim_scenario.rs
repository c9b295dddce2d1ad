//! Any bytes, as a scenario and as changes to one.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill_sim::fuzzing::scenario(bytes));
