//! The behaviours that every session engine must show.

pub mod behaviours;
mod context;
mod harness;
pub mod layers;
mod run;
mod table;

pub use async_trait::async_trait;
pub use context::*;
pub use harness::Harness;
pub use run::run;
