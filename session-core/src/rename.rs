//! The default rename: two conditional writes, safe at every point of failure.

use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::provider::{Condition, Provider, Rename, TOMBSTONE_TTL, WriteOutcome};
use crate::record::{Body, Header, Record, State, Version};
use crate::{ErrorKind, Result};

/// What the old id shows after a rename.
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

/// The new record first, then the tombstone over the old one: whoever fails in between has lost nothing,
/// because the new id is told to nobody before the old one is dead.
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
            // Somebody else's record under an id of 256 random bits: leave it alone, and draw another id.
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
                // An earlier call made this tombstone, so the new record was there and was ended by a logout that
                // followed it: what was stored again just now must not bring the session back.
                provider.destroy(new, None).await?;
                return Ok(WriteOutcome::refused(None));
            }
            // Nobody writes over a tombstone, so the old id shows that this rename did not happen.
            provider.destroy(new, None).await?;
            Ok(WriteOutcome::Refused(refusal))
        }
        Err(error) => {
            // A tombstone that may be there, from this call or an earlier one, needs its new record.
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
        // The compare token is that of our record only when nobody has written over it.
        WriteOutcome::Refused(refusal) => {
            let own = refusal.current.filter(|current| current.header.version() == version);
            WriteOutcome::stored_with_cas(own.map_or(0, |current| current.cas))
        }
    }
}
