//! What `sim` does when it is told to: each command is a function from arguments to an exit code.

pub mod check;
pub mod measures;
