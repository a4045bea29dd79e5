//! Engines that have the answer at hand.

use std::time::Duration;

use super::{Condition, WriteOutcome};
use crate::Result;
use crate::id::StorageId;
use crate::record::Record;

/// A [`Provider`](super::Provider) that need not wait for most of its answers, such as one in memory. The manager asks
/// here first, which spares a request the futures that the calls of a provider take.
///
/// `None` is no answer: the engine would have to wait, and has changed nothing. The call of the provider follows, as it
/// does after an error, by which the engine has changed nothing either.
pub trait Immediate: Send + Sync {
    /// As [`Provider::read`](super::Provider::read).
    fn read_at_once(&self, id: &StorageId, idle: Duration) -> Option<Result<Option<Record>>>;

    /// As [`Provider::write`](super::Provider::write).
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
