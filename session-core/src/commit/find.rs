//! Finds the session that a client presents.

use std::sync::Arc;
use std::time::Duration;

use super::collect;
use crate::clock::Timestamp;
use crate::id::{StorageId, Token};
use crate::live::{Found, LoadState, Other, Stored};
use crate::record::{Header, Record, State};
use crate::shared::{Answer, Class, EndedBy, EventKind, Operation, Shared};
use crate::{ErrorKind, Result, observe};

/// The source of a token, which decides how long its id is good after a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A client: an old id is good during its grace period.
    Client,
    /// A handle of this process that had the session before: an old id is good as long as its
    /// tombstone exists.
    Handle,
}

/// [`Trust`] with the ids that the client presented, where they matter.
pub(super) enum Presented {
    Client(Vec<StorageId>),
    Handle,
}

impl Presented {
    fn by<'a>(shared: &Shared, tokens: impl Iterator<Item = &'a Token>, trust: Trust) -> Self {
        match trust {
            Trust::Client if shared.renewal.ends_on_reuse => {
                Self::Client(tokens.map(|token| shared.storage_id(token)).collect())
            }
            Trust::Client => Self::Client(Vec::new()),
            Trust::Handle => Self::Handle,
        }
    }
}

/// The result of looking up one token.
enum Lookup {
    Live(Arc<Stored>),
    Moved(StorageId),
    Nothing(LoadState),
}

/// Looks up the tokens that a client presents (normally one, at most four). One round trip each.
pub(crate) async fn find(
    shared: &Arc<Shared>,
    operation: &Operation,
    tokens: impl Iterator<Item = &Token> + Clone,
    trust: Trust,
) -> Result<Found> {
    let mut found = Found::default();
    // Live sessions besides the one that was found last.
    let mut earlier = Vec::new();
    let trust = &Presented::by(shared, tokens.clone(), trust);
    for token in tokens {
        match find_one(shared, operation, token, trust).await? {
            // A renewed id and its successor, in two cookies, are one session.
            Lookup::Live(stored) if found.session.as_ref().is_some_and(|other| other.id == stored.id) => {
                if shared.storage_id(&stored.token) == stored.id {
                    found.session = Some(stored);
                }
            }
            Lookup::Live(stored) => earlier.extend(found.session.replace(stored)),
            Lookup::Moved(id) => {
                found.others.push(Other { id, version: None, moved: true });
                found.state = LoadState::Moved;
            }
            Lookup::Nothing(state) if found.state != LoadState::Moved => found.state = state,
            Lookup::Nothing(_) => {}
        }
    }
    if !earlier.is_empty() {
        decide(shared, &mut found, earlier);
    } else if found.session.is_some() {
        found.state = LoadState::Live;
    }
    Ok(found)
}

/// Decides between several live sessions of one client.
fn decide(shared: &Shared, found: &mut Found, mut live: Vec<Arc<Stored>>) {
    live.extend(found.session.take());
    if shared.capabilities.client_side {
        found.session = newest(&mut live);
    }
    let is_clear = found.session.is_some();
    found.others.extend(live.iter().map(|stored| {
        let version = Some(stored.record.header.version());
        Other { id: stored.id.clone(), version, moved: is_clear }
    }));
    if is_clear {
        found.state = LoadState::Live;
    } else {
        // Which of them the user means cannot be known, and one may have been planted by a sibling
        // domain.
        found.state = LoadState::Ambiguous;
        observe::ambiguous(live.len());
    }
}

/// The one that comes after all others, of records that clients keep: nothing ends an older one
/// that a browser still has under another path.
fn newest(live: &mut Vec<Arc<Stored>>) -> Option<Arc<Stored>> {
    let is_older = |older: &Stored, newer: &Stored| {
        let (old, new) = (&older.record, &newer.record);
        let is_of_same_session = new.cas != 0 && new.cas == old.cas;
        new.header.has_version(old.header.version())
            || (is_of_same_session && old.header.deadline < new.header.deadline)
    };
    let is_newest =
        |newer: &Arc<Stored>| live.iter().all(|older| Arc::ptr_eq(older, newer) || is_older(older, newer));
    let at = live.iter().position(is_newest)?;
    let mut newest = live.swap_remove(at);
    // They stay older than what is written next, for as long as the client brings them.
    if let Some(newest) = Arc::get_mut(&mut newest) {
        newest.record.header.supersede(live.iter().map(|older| older.record.header.version()));
    }
    Some(newest)
}

/// What [`find`] finds without a future: where the client presents no token, or one, and the engine
/// has its record at hand. `None` for everything else, and for what is rare.
pub(crate) fn find_at_once<'a>(
    shared: &Arc<Shared>,
    mut tokens: impl Iterator<Item = &'a Token>,
) -> Option<Found> {
    let Some(token) = tokens.next() else { return Some(Found::default()) };
    let engine = shared.provider.as_immediate().filter(|_| tokens.next().is_none())?;
    let class = shared.class_of(token.expose())?;
    let id = shared.storage_id(token);
    let read = shared.operation("load", false).at_once(|| engine.read_at_once(&id, class.idle))?.value;
    if read.as_ref().is_some_and(|record| !record.is_live()) {
        return None;
    }
    let session = here(shared, token, class, id, read);
    let state = if session.is_some() { LoadState::Live } else { LoadState::Expired };
    Some(Found { state, session, others: Vec::new() })
}

async fn find_one(
    shared: &Arc<Shared>,
    operation: &Operation,
    token: &Token,
    trust: &Presented,
) -> Result<Lookup> {
    let Some(class) = shared.class_of(token.expose()) else { return Ok(Lookup::Nothing(LoadState::None)) };
    let id = shared.storage_id(token);
    let read = match trust {
        Presented::Client(_) => operation.call(|| shared.provider.read(&id, class.idle)).await,
        // A handle needs the current record, not a cached one.
        Presented::Handle => Box::pin(operation.call(|| shared.provider.read_now(&id, class.idle))).await,
    };
    // Rare cases have futures of their own, so that the future of an ordinary load stays small.
    let moved_to = match read {
        Ok(Answer { value: Some(Record { header: Header { state: State::Moved(to), .. }, .. }), .. }) => {
            Some(to)
        }
        Ok(Answer { value: read, .. }) => {
            let session = here(shared, token, class, id, read);
            return Ok(session.map_or(Lookup::Nothing(LoadState::Expired), Lookup::Live));
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            observe::unreadable(&id, &error);
            None
        }
        Err(error) => return Err(error),
    };
    if let Some(to) = moved_to {
        return Box::pin(moved(shared, operation, token, class, id, to, trust)).await;
    }
    // Reported once: with the record gone, the next request finds nothing and is quiet.
    if !shared.capabilities.client_side {
        let _ = Box::pin(super::end(shared, operation, &id, None)).await;
    }
    Ok(Lookup::Nothing(LoadState::Unreadable))
}

/// Returns the session of a record that was read, if it is live now.
fn here(
    shared: &Arc<Shared>,
    token: &Token,
    class: Class,
    id: StorageId,
    read: Option<Record>,
) -> Option<Arc<Stored>> {
    let now = shared.now();
    collect::start_if_due(shared, now);
    let mut record = read?;
    let is_alive = is_alive(shared, &mut record, class.idle, now);
    is_alive.then(|| Arc::new(Stored { token: token.clone(), id, class, record, seen: now }))
}

/// Resolves a tombstone.
async fn moved(
    shared: &Arc<Shared>,
    operation: &Operation,
    token: &Token,
    class: Class,
    id: StorageId,
    to: StorageId,
    trust: &Presented,
) -> Result<Lookup> {
    if let Some(stored) = follow(shared, operation, token, class, &to, trust).await? {
        return Ok(Lookup::Live(stored));
    }
    observe::replaced_id_used(&id);
    shared.events.emit(EventKind::ReplacedIdUsed, &id, None);
    Ok(Lookup::Moved(id))
}

/// Returns whether a record is a live session within both deadlines. Where reads extend the idle
/// deadline, sets the extended one in the record.
fn is_alive(shared: &Shared, record: &mut Record, idle: Duration, now: Timestamp) -> bool {
    if shared.capabilities.slides_on_read {
        record.header.deadline = now.after(idle).min(record.header.absolute);
    }
    record.is_live() && record.is_alive_at(now)
}

/// Returns the session that a tombstone leads to, if its id was renewed automatically and the grace
/// period is not over, so that requests in flight succeed. One read; none where ids are not
/// renewed.
///
/// An id that is used after its grace period may have been stolen; its use ends the session where
/// the configuration says so.
pub(super) async fn follow(
    shared: &Shared,
    operation: &Operation,
    token: &Token,
    class: Class,
    to: &StorageId,
    trust: &Presented,
) -> Result<Option<Arc<Stored>>> {
    if !shared.renewal.possible {
        return Ok(None);
    }
    let Some(mut record) = operation.call(|| shared.provider.read_now(to, class.idle)).await?.value else {
        return Ok(None);
    };
    let now = shared.now();
    if !is_alive(shared, &mut record, class.idle, now) {
        return Ok(None);
    }
    let Some(renewed) = record.header.renewed().filter(|renewed| renewed.with_grace) else { return Ok(None) };
    let presented = match trust {
        Presented::Handle => None,
        Presented::Client(presented) => Some(presented),
    };
    if presented.is_none() || now < renewed.at.after(shared.renewal.grace) {
        let (token, id) = (token.clone(), to.clone());
        return Ok(Some(Arc::new(Stored { token, id, class, record, seen: now })));
    }
    // A client that also presents the new id has both cookies, so the old one was not stolen.
    let is_reuse = presented.is_some_and(|presented| shared.renewal.ends_on_reuse && !presented.contains(to));
    if is_reuse && super::end(shared, operation, to, Some(record.stamp())).await? {
        shared.events.emit(EventKind::Destroyed(EndedBy::Reuse), to, Some(&record.header));
    }
    Ok(None)
}
