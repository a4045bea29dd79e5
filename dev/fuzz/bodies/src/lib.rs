//! What every parser must do with any bytes: refuse them or read them, and never panic.
//!
//! Each function here is the body of a fuzz target in `dev/fuzz/fuzz_targets`, which needs a nightly compiler, and of an
//! ordinary test in `dev/fuzz/bodies/tests`, which does not. A violated property is a panic.
#![allow(clippy::missing_panics_doc, reason = "a panic is how a fuzz target reports what it found")]

mod configs;
mod cookies;
mod record;
mod sealed;
mod value;

pub use configs::configs;
pub use cookies::cookies;
pub use record::record;
pub use sealed::sealed;
pub use value::value;

/// The body of a fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 5] =
    [("record", record), ("value", value), ("cookies", cookies), ("sealed", sealed), ("configs", configs)];
