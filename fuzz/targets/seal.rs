//! Sealed datagrams, damaged, repeated and withheld, while keys and clocks change.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill::fuzzing::seal(bytes));
