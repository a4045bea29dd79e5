//! Notices of changes by other processes, for caches.

use async_trait::async_trait;

use super::Provider;
use crate::Result;
use crate::id::StorageId;

/// A change that an engine reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The record under this id was written, replaced by a tombstone, or removed.
    Changed(StorageId),
    /// Any record may have changed.
    Everything,
}

/// An engine that reports changes. It returns itself from [`Provider::as_notify`] if its
/// configuration enables this.
///
/// The promise: **after [`listen`](Self::listen) has returned, each change of an existing record
/// causes a notice, or the listener fails**, at the latest at its next [`check`](Listener::check).
/// That includes the changes of this process. New records, extended idle deadlines and expired
/// records need no notice. Notices may be late, may be repeated, and may name records that did not
/// change.
#[async_trait]
pub trait Notify: Provider {
    /// Opens a connection on which the server reports changes.
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) or [`Config`](crate::ErrorKind::Config) when
    /// the server, or a proxy in front of it, does not support that;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when it cannot be reached.
    async fn listen(&self) -> Result<Box<dyn Listener>>;
}

/// A connection on which notices arrive. It does not reconnect: after an error it has lost notices,
/// and must be replaced.
#[async_trait]
pub trait Listener: Send {
    /// Waits for the next notice. The future may be dropped without losing a notice.
    async fn next(&mut self) -> Result<Notice>;

    /// Asks the server for an answer on the same connection: one round trip. The notices that the
    /// server sent before it answered have arrived then: [`next`](Self::next) returns them without
    /// waiting. When the future is dropped, so must be the listener.
    async fn check(&mut self) -> Result<()>;
}
