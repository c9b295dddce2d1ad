//! Any bytes, as a call, and as a packet on a connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill::fuzzing::connection(bytes));
