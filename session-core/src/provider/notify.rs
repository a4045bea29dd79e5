//! Notices of changes that other processes make, for caches.

use async_trait::async_trait;

use super::Provider;
use crate::Result;
use crate::id::StorageId;

/// What an engine reports about its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The record under this id was written, replaced by a tombstone, or removed.
    Changed(StorageId),
    /// Any record may have changed.
    Everything,
}

/// An engine that reports changes. It returns itself from [`Provider::as_notify`] when its configuration switches
/// that on.
///
/// The promise: **after [`listen`](Self::listen) has returned, each change of a record that was there brings a notice, or
/// the listener fails**, at the latest at its next [`check`](Listener::check). That includes the changes of this process.
/// Records that begin, idle deadlines that move and records that expire need no notice. Notices may be late, may come
/// twice, and may name records that did not change.
#[async_trait]
pub trait Notify: Provider {
    /// Opens a connection on which the server reports changes.
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) or [`Config`](crate::ErrorKind::Config) where the server, or what
    /// is in front of it, does not do that; [`Unavailable`](crate::ErrorKind::Unavailable) when it cannot be reached.
    async fn listen(&self) -> Result<Box<dyn Listener>>;
}

/// A connection on which notices arrive. It does not reconnect: after an error it has lost notices, and another one is
/// needed.
#[async_trait]
pub trait Listener: Send {
    /// The next notice. The future may be dropped: no notice is lost by that.
    async fn next(&mut self) -> Result<Notice>;

    /// Asks the server for an answer on the same connection: one round trip. The notices that the server sent before it
    /// answered have arrived then: [`next`](Self::next) returns them without waiting. When the future is dropped, so must be the listener.
    async fn check(&mut self) -> Result<()>;
}
