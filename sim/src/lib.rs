//! The laboratory of rumormill: replays scenarios on the production engine and measures them.

mod bits;
mod caught;
pub mod cli;
pub mod clock;
pub mod commands;
mod explore;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod measures;
pub mod model;
mod observe;
mod percent;
pub mod protocols;
mod reading;
pub mod report;
pub mod results;
pub mod rivals;
pub mod scenario;
pub mod stats;
pub mod sweep;
#[cfg(feature = "testbed")]
pub mod testbed;
pub mod world;
pub mod writing;
