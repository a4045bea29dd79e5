//! A server that dies, hangs, restarts, is full or loses answers: accurate errors, no partial
//! changes, automatic recovery.
#![allow(missing_docs)] // a test's name says what it shows

pub mod cancelled;
pub mod connecting;
pub mod exhausted;
pub mod hanging;
pub mod killed;
pub mod locked;
pub mod lost_answers;
pub mod restarts;
