//! Two engines in talk, through losses, a stranger's packets and new starts.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rumormill::fuzzing::talk(bytes));
