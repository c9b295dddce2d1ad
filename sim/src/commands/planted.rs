//! `sim fuzz --planted`: faults are planted in the engine one at a time, to see what finds them.
//!
//! For each the same random scenarios are run as by `sim fuzz`, until one breaks a law that holds
//! when nothing is planted; that one is made small. A fault that nothing finds is a hole in the
//! laws, or in what is drawn. Of a build without the feature `planted` nothing can be asked.

#[cfg(feature = "planted")]
mod hunt;

#[cfg(feature = "planted")]
pub use self::hunt::{Request, Shown, faults, plant, run, shown};
#[cfg(not(feature = "planted"))]
pub use self::none::{Request, faults, plant, run};

/// Whether faults can be planted in this build.
pub const IS_BUILT_IN: bool = cfg!(feature = "planted");

/// What a build says that has no faults to plant.
#[cfg(not(feature = "planted"))]
mod none {
    use std::num::NonZeroUsize;
    use std::ops::RangeInclusive;
    use std::path::PathBuf;

    use crate::commands::progress::Audience;
    use crate::commands::{Failure, Report};

    /// What could be asked for.
    #[derive(Clone, Debug)]
    #[expect(missing_docs, reason = "as in a build that has faults to plant")]
    pub struct Request {
        pub faults: Vec<String>,
        pub budget: u64,
        pub seed: u64,
        pub nodes: RangeInclusive<u32>,
        pub threads: Option<NonZeroUsize>,
        pub out: PathBuf,
        pub audience: Audience,
    }

    fn none() -> Failure {
        Failure::wrong(
            "--planted: this build has no faults to plant; make one that has: \
             cargo build --release -p rumormill-sim --features planted",
        )
    }

    /// There are none.
    ///
    /// # Errors
    /// Always.
    pub fn faults(_names: &str) -> Result<Vec<String>, Failure> {
        Err(none())
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
