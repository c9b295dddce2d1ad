//! Any bytes, as a datagram.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill::fuzzing::decode(bytes));
