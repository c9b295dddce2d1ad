//! The laboratory of rumormill: replays scenarios on the production engine and measures them.

pub mod report;
pub mod scenario;
pub mod world;
