//! What a run is known by: its figures and their JSON, data alone that whoever shows it reads.

mod figures;
#[cfg(test)]
pub(crate) mod fixture;
pub mod json;
pub mod judge;
pub mod summary;
pub mod theory;
pub mod timing;

pub use self::figures::Figures;
