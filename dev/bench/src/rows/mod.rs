//! What is measured. Each module gives sections of the report.

pub mod collect;
pub mod contention;
pub mod crowd;
pub mod local;
pub mod others;
pub mod scale;
pub mod servers;
