//! Any bytes, as a packet of pekonode.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill::fuzzing::decode_pekonode(bytes));
