//! Any packets, commands and times, to one engine that probes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill::fuzzing::probes(bytes));
