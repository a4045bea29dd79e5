//! The behaviours that every session engine must show.

#![allow(clippy::missing_panics_doc, reason = "panicking is how a test says no")]

pub mod behaviours;
mod context;
mod cut;
mod harness;
pub mod layers;
mod run;
mod table;

pub use async_trait::async_trait;
pub use context::*;
pub use harness::Harness;
pub use run::run;
