//! `sim fuzz --planted`: faults are planted in the engine one at a time, to see what finds them.
//!
//! For each the same random scenarios are run as by `sim fuzz`, until one breaks a law that holds
//! when nothing is planted; that one is made small. A fault that nothing finds is a hole in the
//! laws, or in what is drawn. Of a build without the feature `planted` nothing can be asked.

#[cfg(feature = "planted")]
mod hunt;

#[cfg(feature = "planted")]
pub use self::hunt::{ShownFault, plant, run, shown};
#[cfg(not(feature = "planted"))]
pub use self::none::{plant, run};

/// Whether faults can be planted in this build.
pub const IS_BUILT_IN: bool = cfg!(feature = "planted");

/// What a build says that has no faults to plant.
#[cfg(not(feature = "planted"))]
mod none {
    use crate::commands::{Failure, Report, fuzz};

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
    pub fn run(_faults: &str, _request: &fuzz::FuzzRequest) -> Result<Report, Failure> {
        Err(none())
    }
}
