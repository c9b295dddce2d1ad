//! `sim fuzz --planted`: faults are planted in the engine one at a time, to see what finds them.
//!
//! For each the same random scenarios are run as by `sim fuzz`, until one breaks a law that holds
//! when nothing is planted; that one is made small. A fault that nothing finds is a hole in the
//! laws, or in what is drawn. Of a build without the feature `planted` nothing can be asked.

#[cfg(feature = "planted")]
mod hunt;

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::progress::Audience;

#[cfg(feature = "planted")]
pub use self::hunt::{Shown, plant, run, shown};
#[cfg(not(feature = "planted"))]
pub use self::none::{plant, run};

/// Whether faults can be planted in this build.
pub const IS_BUILT_IN: bool = cfg!(feature = "planted");

/// Which faults to look for, and for how long.
#[derive(Clone, Debug)]
pub struct Request {
    /// Their names with commas between them, or `all`.
    pub faults: String,
    /// Runs after which a fault counts as not found.
    pub budget: u64,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// How many nodes a scenario has.
    pub nodes: RangeInclusive<u32>,
    /// Threads; as many as the machine has processors if not given.
    pub threads: Option<NonZeroUsize>,
    /// The folder for results.
    pub out: PathBuf,
    /// Who watches while it runs.
    pub audience: Audience,
}

/// What a build says that has no faults to plant.
#[cfg(not(feature = "planted"))]
mod none {
    use super::Request;
    use crate::commands::{Failure, Report};

    fn none() -> Failure {
        Failure::wrong(
            "--planted: this build has no faults to plant; make one that has: \
             cargo build --release -p rumormill-sim --features planted",
        )
    }

    /// There is none.
    ///
    /// # Errors
    /// Always.
    pub fn plant(_name: &str) -> Result<(), Failure> {
        Err(none())
    }

    /// There are none.
    ///
    /// # Errors
    /// Always.
    pub fn run(_request: &Request) -> Result<Report, Failure> {
        Err(none())
    }
}
