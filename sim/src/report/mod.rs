//! What a run leaves behind: figures, tables, pictures.

pub mod beside;
pub mod both;
pub mod comparison;
pub mod csv;
pub mod curves;
pub mod files;
pub mod html;
pub mod human;
pub mod leaders;
pub mod markdown;
pub mod plots;
pub mod sweep;
pub mod terminal;
pub mod tuning;
