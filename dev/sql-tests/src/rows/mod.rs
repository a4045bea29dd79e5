//! A session in SQL: its row and its columns, its deadlines, and the row that a rename leaves.
#![allow(missing_docs)] // a test's name says what it shows

pub mod collecting;
pub mod columns;
pub mod expiry;
pub mod renames;
pub mod writers;
