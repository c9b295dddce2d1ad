//! What a run leaves behind: figures, tables, pictures.

pub mod curves;
#[cfg(test)]
pub(crate) mod fixture;
pub mod human;
pub mod plots;
pub mod summary;
