//! The default rename: two conditional writes, safe after any failure.

use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::provider::{Condition, Provider, Rename, TOMBSTONE_TTL, WriteOutcome};
use crate::record::{Body, Header, Record, State, Version};
use crate::{ErrorKind, Result};

/// Builds the tombstone that a rename stores under the old id.
pub(crate) fn tombstone(old: &Record, new: &StorageId, now: Timestamp) -> Record {
    let deadline = now.after(TOMBSTONE_TTL);
    let header = Header {
        state: State::Moved(new.clone()),
        deadline,
        absolute: old.header.absolute.max(deadline),
        details: None,
        ..old.header.next()
    };
    Record::new(header, Body::default())
}

/// Writes the new record, then the tombstone over the old one. A failure in between loses nothing,
/// because no client learns the new id before the old one is dead.
pub(crate) async fn by_writes<P: Provider + ?Sized>(
    provider: &P,
    rename: &Rename<'_>,
) -> Result<WriteOutcome> {
    let Rename { old, over, new, record, ttl, tombstone } = rename;
    let created = provider.write(new, record, Condition::Absent, *ttl).await?;
    let repeated = match &created {
        WriteOutcome::Stored(_) => false,
        WriteOutcome::Refused(refusal) => match &refusal.current {
            Some(current) if current.header.has_version(record.header.version()) => true,
            // Another session's record under an id of 256 random bits: leave it alone.
            _ => return Ok(WriteOutcome::refused(None)),
        },
    };
    match provider.write(old, tombstone, Condition::Over(*over), TOMBSTONE_TTL).await {
        Ok(WriteOutcome::Stored(_)) => Ok(created_as_stored(created, record.header.version())),
        Ok(WriteOutcome::Refused(refusal)) => {
            let current = refusal.current.as_deref();
            if current.is_some_and(|current| current.header.has_version(tombstone.header.version())) {
                if repeated || refusal.resent {
                    return Ok(created_as_stored(created, record.header.version()));
                }
                // An earlier call wrote this tombstone, so the new record existed, and a logout
                // that followed the tombstone ended it: the record that was just stored must not
                // restore the session.
                provider.destroy(new, None).await?;
                return Ok(WriteOutcome::refused(None));
            }
            // A tombstone is never overwritten, so the record under the old id shows that this
            // rename was not applied.
            provider.destroy(new, None).await?;
            Ok(WriteOutcome::Refused(refusal))
        }
        Err(error) => {
            // A tombstone that may exist, from this call or an earlier one, needs its new record.
            if !repeated && error.kind() != ErrorKind::OutcomeUnknown {
                let _ = provider.destroy(new, None).await;
            }
            Err(error)
        }
    }
}

fn created_as_stored(created: WriteOutcome, version: Version) -> WriteOutcome {
    match created {
        WriteOutcome::Stored(_) => created,
        // The compare token belongs to our record only if no other write has replaced it.
        WriteOutcome::Refused(refusal) => {
            let own = refusal.current.filter(|current| current.header.version() == version);
            WriteOutcome::stored_with_cas(own.map_or(0, |current| current.cas))
        }
    }
}
