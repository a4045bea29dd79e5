//! The store.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use session_core::clock::{SystemClock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::{Header, Record as Stored};
use session_core::{ErrorKind, GcTask, Manager, Provider};
use tokio::time::{Instant, timeout_at};
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error, ExpiredDeletion, Result};

use crate::{base, record};

/// The maximum number of ids that a create draws, and of attempts to write over newer records.
const ATTEMPTS: usize = 64;

/// A session store of `tower-sessions` over an engine of `session-kit`. Clones share the store.
///
/// The documentation of the crate lists its guarantees and limits.
#[derive(Clone)]
pub struct EngineStore {
    manager: Manager,
    longest: Duration,
    merging: bool,
    collecting: Arc<OnceLock<GcTask>>,
}

/// The result of a save.
enum Saved {
    /// Stored.
    Done,
    /// The session does not exist (any more).
    Gone,
}

impl EngineStore {
    /// Creates a store over the engine of this manager, with its operation timeout.
    ///
    /// [`Config`](ErrorKind::Config) for an engine whose records the client holds.
    pub fn new(manager: Manager) -> session_core::Result<Self> {
        if manager.provider().capabilities().client_side {
            return Err(session_core::Error::config(
                "tower-sessions sends the client only an id: use an engine that keeps records on the server",
            ));
        }
        let longest = Duration::from_secs(14 * 24 * 3_600);
        Ok(Self { manager, longest, merging: true, collecting: Arc::default() })
    }

    /// Sets the longest lifetime of a session, two weeks by default, as in `tower-sessions`. Set it
    /// to that of your `Expiry`.
    ///
    /// It is used on engines that extend the deadline with every read (Redis, memcached): a read
    /// gives a record this time to live in the storage, regardless of its `expiry_date`, which this
    /// store checks itself. A session that lives longer costs one more round trip with each load.
    #[must_use]
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Sets whether a save stores only the request's changes, which is the default, or the whole
    /// record.
    #[must_use]
    pub const fn merging(mut self, merging: bool) -> Self {
        self.merging = merging;
        self
    }

    fn provider(&self) -> &dyn Provider {
        &**self.manager.provider()
    }

    fn now() -> Timestamp {
        session_core::clock::Clock::now(&SystemClock)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.manager.operation_timeout()
    }

    /// Reads a live record. One round trip.
    pub(crate) async fn read(&self, id: &Id) -> Result<Option<Stored>> {
        self.collecting.get_or_init(|| self.manager.spawn_gc());
        let (key, deadline) = (storage_id(id)?, self.deadline());
        let capabilities = self.provider().capabilities();
        let read = within(deadline, self.provider().read(&key, self.longest)).await;
        let stored = match read {
            Ok(stored) => stored.filter(Stored::is_live),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // Reported once: with the record gone, the next request finds nothing and is quiet.
                tracing::error!(session = ?key, %error, "unreadable session record, removed");
                let _ = within(deadline, self.provider().destroy(&key, None)).await;
                None
            }
            Err(error) => return Err(backend(&error)),
        };
        let Some(stored) = stored else { return Ok(None) };
        let left = stored.header.absolute.since(Self::now());
        if left.is_zero() {
            if capabilities.slides_on_read {
                // The read has just extended its time to live.
                let _ = within(deadline, self.provider().destroy(&key, Some(stored.stamp()))).await;
            }
            return Ok(None);
        }
        if capabilities.slides_on_read && left > self.longest {
            within(deadline, self.provider().touch(&key, &stored, left)).await.map_err(|e| backend(&e))?;
        }
        Ok(Some(stored))
    }

    /// Stores a record under its id, if there is none yet, and returns whether this record is
    /// stored now. One round trip.
    pub(crate) async fn insert(&self, record: &Record) -> Result<bool> {
        let now = Self::now();
        let expiry = record::timestamp(record.expiry_date);
        let ttl = expiry.since(now);
        if ttl.is_zero() {
            // Already expired, so there is nothing to store.
            return Ok(true);
        }
        let stored = Stored::new(Header::new(now, expiry, expiry), record::body(&record.data)?);
        match self.write(&storage_id(&record.id)?, &stored, Condition::Absent, ttl).await? {
            WriteOutcome::Stored(_) => Ok(true),
            WriteOutcome::Refused(refusal) => {
                Ok(refusal.current.is_some_and(|current| is_ours(&current, &stored)))
            }
        }
    }

    /// Writes, and once more when the answer is lost: the version of the record shows whether the
    /// write was applied.
    async fn write(
        &self,
        key: &StorageId,
        stored: &Stored,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let deadline = self.deadline();
        match within(deadline, self.provider().write(key, stored, condition, ttl)).await {
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                within(deadline, self.provider().write(key, stored, condition, ttl)).await
            }
            outcome => outcome,
        }
        .map_err(|error| backend(&error))
    }

    /// Stores a request's changes over the current record; never creates one.
    async fn replace(&self, record: &Record) -> Result<Saved> {
        let key = storage_id(&record.id)?;
        let wanted = record::body(&record.data)?;
        let base = base::of(&record.data).filter(|_| self.merging);
        let mut newest = base.clone();
        let expiry = record::timestamp(record.expiry_date);
        for _ in 0..ATTEMPTS {
            let over = match newest.take() {
                Some(newest) => newest,
                None => match self.read(&record.id).await? {
                    Some(found) => found,
                    None => return Ok(Saved::Gone),
                },
            };
            let ttl = expiry.since(Self::now());
            if ttl.is_zero() {
                self.end(&record.id).await?;
                return Ok(Saved::Done);
            }
            let body = base
                .as_ref()
                .map_or_else(|| wanted.clone(), |base| base::merged(&base.body, &wanted, &over.body));
            let mut header = over.header.next();
            (header.absolute, header.deadline) = (expiry, expiry);
            let next = Stored::new(header, body);
            match self.write(&key, &next, Condition::Over(over.stamp()), ttl).await? {
                WriteOutcome::Stored(_) => return Ok(Saved::Done),
                WriteOutcome::Refused(refusal) => match refusal.current {
                    Some(current) if is_ours(&current, &next) => return Ok(Saved::Done),
                    Some(current) if current.is_live() => newest = Some(*current),
                    _ => return Ok(Saved::Gone),
                },
            }
        }
        Err(Error::Backend("too many concurrent changes to this session; retry the request".into()))
    }

    /// Ends a session, even one that a manager has moved to another id.
    async fn end(&self, id: &Id) -> Result<()> {
        let deadline = self.deadline();
        let mut key = storage_id(id)?;
        for _ in 0..8 {
            match within(deadline, self.provider().destroy(&key, None)).await {
                Ok(DestroyOutcome::Moved(to)) => key = to,
                Ok(DestroyOutcome::Refused(_)) => {}
                Ok(DestroyOutcome::Destroyed | DestroyOutcome::Absent) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::OutcomeUnknown && Instant::now() < deadline => {}
                Err(error) => return Err(backend(&error)),
            }
        }
        Err(Error::Backend("the session changes faster than it can be ended; retry the request".into()))
    }
}

#[async_trait]
impl SessionStore for EngineStore {
    /// Stores a new session; under another id if the drawn one is already in use.
    async fn create(&self, record: &mut Record) -> Result<()> {
        record.data.remove(base::KEY);
        for _ in 0..ATTEMPTS {
            if self.insert(record).await? {
                return Ok(());
            }
            record.id = Id::default();
        }
        Err(Error::Backend("every generated id is already in use".into()))
    }

    /// Stores the changes of an existing session. Fails if the session was deleted or has expired
    /// meanwhile and there are changes: it is never restored.
    async fn save(&self, record: &Record) -> Result<()> {
        match self.replace(record).await? {
            Saved::Done => Ok(()),
            // A request that only extended the deadline, or emptied the session, has lost nothing.
            Saved::Gone if changes_nothing(record)? => Ok(()),
            Saved::Gone => Err(Error::Backend("the session has ended; its changes are not stored".into())),
        }
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let Some(stored) = self.read(id).await? else { return Ok(None) };
        let mut loaded = record::loaded(*id, &stored)?;
        if let Some(base) = base::carry(&stored).filter(|_| self.merging) {
            loaded.data.insert(base::KEY.to_owned(), base);
        }
        Ok(Some(loaded))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.end(id).await
    }
}

#[async_trait]
impl ExpiredDeletion for EngineStore {
    /// Collects expired sessions now. There is no need to call it: the first request starts a
    /// periodic collection.
    async fn delete_expired(&self) -> Result<()> {
        self.manager.collect().await.map(|_| ()).map_err(|error| backend(&error))
    }
}

fn changes_nothing(record: &Record) -> Result<bool> {
    let wanted = record::body(&record.data)?;
    Ok(wanted.is_empty() || base::of(&record.data).is_some_and(|base| base.body == wanted))
}

/// Returns whether the stored record is the written one, or a later one.
fn is_ours(current: &Stored, written: &Stored) -> bool {
    current.header.has_version(written.header.version())
}

/// Returns the name under which a session is stored: a hash of its id's text, as a manager does
/// with its tokens.
fn storage_id(id: &Id) -> Result<StorageId> {
    let token = Token::new(&id.to_string());
    token.map(|token| StorageId::of(&token)).ok_or_else(|| Error::Encode("an id has no text".into()))
}

/// Returns the answer of the engine, or an error after the operation timeout.
async fn within<T>(
    deadline: Instant,
    call: impl Future<Output = session_core::Result<T>>,
) -> session_core::Result<T> {
    let late =
        |_| Err(session_core::Error::new(ErrorKind::Unavailable, "no answer within the operation timeout"));
    timeout_at(deadline, call).await.unwrap_or_else(late)
}

fn backend(error: &session_core::Error) -> Error {
    match error.kind() {
        ErrorKind::Codec | ErrorKind::TooLarge => Error::Encode(error.to_string()),
        ErrorKind::Corrupt | ErrorKind::Unsupported => Error::Decode(error.to_string()),
        _ => Error::Backend(error.to_string()),
    }
}

impl fmt::Debug for EngineStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineStore").field("manager", &self.manager).finish_non_exhaustive()
    }
}
