//! The laboratory of rumormill: replays scenarios on the production engine and measures them.

pub mod commands;
pub mod measures;
pub mod report;
pub mod scenario;
