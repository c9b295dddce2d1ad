//! What a run leaves behind: figures, tables, pictures.

pub mod beside;
pub mod both;
pub mod comparison;
pub mod csv;
pub mod curves;
pub mod files;
#[cfg(test)]
pub(crate) mod fixture;
pub mod html;
pub mod human;
pub mod json;
pub mod leaders;
pub mod markdown;
pub mod plots;
pub mod summary;
pub mod sweep;
pub mod terminal;
pub mod timing;
pub mod tuning;
