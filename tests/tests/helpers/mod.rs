//! What the tests on real sockets share.
#![allow(dead_code, reason = "no test file uses all of it")]

pub(crate) mod cluster;
pub(crate) mod hostile;
pub(crate) mod namespaces;
pub(crate) mod netns;
pub(crate) mod process;
pub(crate) mod spaces;
