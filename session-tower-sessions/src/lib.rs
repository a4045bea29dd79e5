#![doc = include_str!("../README.md")]

mod base;
mod moving;
mod record;
mod store;

pub use moving::Moving;
pub use store::EngineStore;

/// The examples of the guide, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/moving-from-tower-sessions.md")]
struct Guide;
