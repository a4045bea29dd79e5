//! The measurements. Each module returns sections of the report.

pub mod actix;
pub mod build;
pub mod cache;
pub mod collect;
pub mod contention;
pub mod crowd;
pub mod local;
pub mod migrate;
pub mod others;
pub mod owners;
pub mod scale;
pub mod servers;
pub mod tail;
