//! Finding the session that a client presents.

use std::sync::Arc;
use std::time::Duration;

use super::collect;
use crate::clock::Timestamp;
use crate::id::{StorageId, Token};
use crate::live::{Found, LoadState, Other, Stored};
use crate::record::{Header, Record, State};
use crate::shared::{Answer, Class, EndedBy, EventKind, Operation, Shared};
use crate::{ErrorKind, Result, observe};

/// The origin of an id that was renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A client, for which an old id is good as long as its grace.
    Client,
    /// A handle of this process that had the session before: it follows as long as the tombstone is there.
    Handle,
}

/// As [`Trust`], with what the client presented, where that matters.
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

/// What one token leads to.
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
            // An id that was renewed and the new one, in two cookies, are one session.
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

/// The one that comes after all others, of records that clients keep: nothing ends an older one that
/// a browser still has under another path.
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

/// What [`find`] finds without a future: where the client presents no token, or one, and the engine has its record at
/// hand. `None` for everything else, and for what is rare.
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
        // A handle is read anew to know what is true now.
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

/// The session of a record that was read, if it is one at this time.
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

/// What a tombstone leads to.
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
    shared.events.tell(EventKind::ReplacedIdUsed, &id, None);
    Ok(Lookup::Moved(id))
}

/// Whether a record is a session within both deadlines; where a read slides, it shows the deadline that it has moved.
fn is_alive(shared: &Shared, record: &mut Record, idle: Duration, now: Timestamp) -> bool {
    if shared.capabilities.slides_on_read {
        record.header.deadline = now.after(idle).min(record.header.absolute);
    }
    record.is_live() && record.is_alive_at(now)
}

/// The session that a tombstone leads to, when its id was renewed without being asked and the grace of that is not
/// over: requests that were under way go on. One read, none where ids are not renewed.
///
/// An id that is used after its grace may have been stolen; where that is wanted, it ends the session.
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
    // A client that brings the new id as well has both cookies, and is the only client.
    let is_reuse = presented.is_some_and(|presented| shared.renewal.ends_on_reuse && !presented.contains(to));
    if is_reuse && super::end(shared, operation, to, Some(record.stamp())).await? {
        shared.events.tell(EventKind::Destroyed(EndedBy::Reuse), to, Some(&record.header));
    }
    Ok(None)
}
