//! The sessions of an owner: listed, and ended one by one or all.

use crate::id::StorageId;
use crate::provider::{Cursor, Indexed, Listed, Page, end_listed};
use crate::record::{Handle, Owner, Record};
use crate::shared::{EndedBy, EventKind, Operation, Shared};
use crate::{Error, ErrorKind, Result, observe};

/// The number of an owner's sessions that one call of the engine lists or ends.
const BATCH: usize = 100;

const BY_USER: EventKind = EventKind::Destroyed(EndedBy::AnotherDevice);

/// Returns the engine's index of owners, or an error that points to the engines that have one.
fn indexed<'a>(shared: &'a Shared, operation: &'static str) -> Result<&'a dyn Indexed> {
    shared.provider.as_indexed().ok_or_else(|| {
        let message = "this engine keeps no index of owners: see the table of engines for those that do";
        Error::new(ErrorKind::Unsupported, message).during(operation).in_engine(shared.provider.engine())
    })
}

/// Fails when the engine cannot end the sessions of an owner, or cannot list them when `listed` is
/// set. Called before anything is stored, so that an unsupported operation is not half done.
pub(crate) fn require_index(shared: &Shared, operation: &'static str, listed: bool) -> Result<()> {
    indexed(shared, operation)?;
    if listed && !shared.provider.capabilities().owner_index.lists() {
        let message = "this engine ends the sessions of a user together, and lists none of them: call `end_all` or \
                       `sign_out_everywhere`";
        let error = Error::new(ErrorKind::Unsupported, message);
        return Err(error.during(operation).in_engine(shared.provider.engine()));
    }
    Ok(())
}

/// Returns the name of a stored session in the list of its owner.
pub(crate) fn handle_of(id: &StorageId, record: &Record) -> Handle {
    record.header.account().map_or_else(|| Handle::of_id(id), |account| account.handle)
}

/// Returns a page of the owner's live sessions.
pub(crate) async fn list(
    shared: &Shared,
    operation: &Operation,
    owner: &Owner,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page> {
    let engine = indexed(shared, operation.name)?;
    let mut page = operation.once(engine.list(owner, after, limit.max(1))).await?;
    let now = shared.now();
    page.sessions.retain(|listed| listed.record.is_live() && now < listed.record.header.absolute);
    Ok(page)
}

/// Ends every session of an owner, including those that are written or get another id meanwhile,
/// and returns the number of ended sessions.
pub(crate) async fn end_owner(shared: &Shared, owner: &Owner) -> Result<u64> {
    let operation = shared.maintenance("end_all");
    let engine = indexed(shared, operation.name)?;
    let mut ended = 0;
    loop {
        match operation.once(engine.end_owner(owner, BATCH)).await.map_err(so_far(ended))? {
            0 => return Ok(ended),
            some => {
                ended += some as u64;
                observe::destroyed_of_owner(some);
                shared.events.emit_many(BY_USER, some, Some(*owner));
            }
        }
    }
}

/// Ends every session of an owner except the one with this handle, and returns the number of ended
/// sessions.
pub(crate) async fn end_others(shared: &Shared, owner: &Owner, keep: Handle) -> Result<u64> {
    let operation = shared.maintenance("end_others");
    let mut ended = 0;
    loop {
        let before = ended;
        let mut after = None;
        loop {
            let page = list(shared, &operation, owner, after.as_ref(), BATCH).await.map_err(so_far(ended))?;
            for listed in page.sessions.iter().filter(|listed| handle_of(&listed.id, &listed.record) != keep)
            {
                let was_there =
                    end_one(shared, &operation, owner, listed, BY_USER).await.map_err(so_far(ended))?;
                ended += u64::from(was_there);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // A session that got a new id meanwhile may have moved to a page that was already read.
        if ended == before {
            return Ok(ended);
        }
    }
}

/// Ends the session of an owner with this handle, and returns whether there was one.
pub(crate) async fn end_by_handle(shared: &Shared, owner: &Owner, handle: Handle) -> Result<bool> {
    let operation = shared.maintenance("end");
    let mut after = None;
    loop {
        let page = list(shared, &operation, owner, after.as_ref(), BATCH).await?;
        for listed in &page.sessions {
            if handle_of(&listed.id, &listed.record) == handle {
                return end_one(shared, &operation, owner, listed, BY_USER).await;
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(false);
        }
    }
}

/// Ends a session that was found by its owner.
pub(super) async fn end_one(
    shared: &Shared,
    operation: &Operation,
    owner: &Owner,
    listed: &Listed,
    kind: EventKind,
) -> Result<bool> {
    let ended = operation.once(end_listed(&*shared.provider, owner, listed)).await?;
    if ended {
        observe::destroyed(&listed.id);
        shared.events.emit(kind, &listed.id, Some(&listed.record.header));
    }
    Ok(ended)
}

/// Adds to an error how many sessions were ended before it.
fn so_far(ended: u64) -> impl FnOnce(Error) -> Error {
    move |error| {
        let message = format!("{ended} sessions were ended before it; call it again for the others");
        Error::new(error.kind(), message).with_source(error)
    }
}
