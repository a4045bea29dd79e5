//! The two names of a session: the [`Token`] that the client holds and the [`StorageId`] under
//! which it is stored.
//!
//! They differ so that a copy of the store (a dump, a replica, `MONITOR`) does not let anyone log
//! in: the storage id is the SHA-256 of the token, which cannot be reversed.

mod generate;
mod storage;
mod token;

pub(crate) use generate::random_bytes;
pub use generate::{HashFunction, IdGenerator, MIN_ID_BITS, RandomIds};
pub use storage::StorageId;
pub use token::Token;
