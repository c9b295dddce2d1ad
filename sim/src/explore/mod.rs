//! Exploring: random scenarios that look for broken laws, and the smallest that breaks one.
//!
//! A scenario here is its TOML, so that what is found is what a person runs. Everything is drawn
//! from one seed; the number of threads can't be seen in what is found.

mod draft;
mod finding;
mod generate;
mod shrink;

pub(crate) use self::draft::text;
pub(crate) use self::finding::{Broken, FindingTrial, Fingerprint};
pub(crate) use self::generate::{Around, generate};
#[cfg(feature = "planted")]
pub(crate) use self::shrink::shrink_by;
pub(crate) use self::shrink::{Smallest, shrink};
