//! Connections whose bytes come in any pieces, damaged or cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill::fuzzing::stream(bytes));
