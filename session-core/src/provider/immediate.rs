//! Engines that can answer synchronously.

use std::time::Duration;

use super::{Condition, WriteOutcome};
use crate::Result;
use crate::id::StorageId;
use crate::record::Record;

/// A [`Provider`](super::Provider) that can answer most calls without waiting, such as one in
/// memory. The manager tries these methods first, which avoids the futures of a provider's calls.
///
/// `None` means that the engine would have to wait, and has changed nothing. The manager then calls
/// the provider. It does the same after an error, which means that the engine has changed nothing
/// either.
pub trait Immediate: Send + Sync {
    /// Like [`Provider::read`](super::Provider::read).
    fn read_at_once(&self, id: &StorageId, idle: Duration) -> Option<Result<Option<Record>>>;

    /// Like [`Provider::write`](super::Provider::write).
    fn write_at_once(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Option<Result<WriteOutcome>> {
        let _ = (id, record, condition, ttl);
        None
    }
}
