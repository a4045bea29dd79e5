//! The behaviours, grouped by what they guarantee. Each is a function that panics when the engine does not show it.

#![allow(clippy::missing_panics_doc, reason = "panicking is how a behaviour says no")]

pub mod conditional;
pub mod ending;
pub mod merging;
