//! The rows of the table.

pub mod local;
pub mod scale;
