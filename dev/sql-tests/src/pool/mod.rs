//! The limit on connections, pauses between attempts, and logins that change.
#![allow(missing_docs)] // a test's name says what it shows

pub mod limit;
pub mod logins;
pub mod pauses;
pub mod ranges;
