//! What a run leaves behind: figures, tables, pictures.

pub mod summary;
