//! The engine: reading is opening, writing is sealing.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capabilities, Clock, Condition, DestroyOutcome, Durability, Error, Header, Provider, Record, Rename,
    Result, Stamp, StorageId, TimeSource, Timestamp, WriteOutcome, cookie_name_of_scope,
};

use crate::key::Key;
use crate::revocations::Revocations;
use crate::seal::{self, Sealer, SessionId, max_record_bytes};
use crate::{CookieBuilder, ENGINE};

/// The length of `__Host-session`, as a manager names the cookie unless told otherwise.
const USUAL_NAME_OCTETS: usize = 14;

/// The engine whose records lie with the client. A session's storage id is the token itself
/// ([`StorageId::plain`]), and every write gives a new token.
///
/// A manager binds it to its cookie; used directly, it needs [`bind`](Provider::bind) first. One provider serves one
/// cookie: sealed records are of no use under another name. What it does not promise stands at the [crate](crate).
pub struct CookieProvider {
    keys: Vec<Key>,
    sealer: OnceLock<Sealer>,
    cookie_name: Option<String>,
    max_age: Option<Duration>,
    clock: Arc<dyn Clock>,
    revocations: Option<Revocations>,
}

impl CookieProvider {
    /// Starts a configuration.
    pub fn builder() -> CookieBuilder {
        CookieBuilder::new()
    }

    pub(crate) fn new(settings: CookieBuilder, keys: Vec<Key>) -> Self {
        let CookieBuilder { cookie_name, max_age, clock, revocations, .. } = settings;
        Self { keys, sealer: OnceLock::new(), cookie_name, max_age, clock, revocations }
    }

    fn sealer(&self) -> Result<&Sealer> {
        self.sealer.get().ok_or_else(|| {
            config(
                "it is not bound to a cookie: give it to a manager, or call `bind` with `Transport::scope()`",
            )
        })
    }

    /// The session in a token, when it is ours and within its deadlines. Its name takes the place of a compare token.
    fn open(&self, id: &StorageId) -> Result<Option<Record>> {
        let sealer = self.sealer()?;
        let Some((session, bytes)) = id.as_plain().and_then(|token| sealer.open(token)) else {
            return Ok(None);
        };
        let mut record = Record::decode(bytes).map_err(|error| error.in_engine(ENGINE))?;
        record.cas = session;
        Ok(record.is_alive_at(self.clock.now()).then_some(record))
    }

    fn seal(&self, session: SessionId, record: &Record, ttl: Duration) -> Result<WriteOutcome> {
        let sealer = self.sealer()?;
        let mut record = record.clone();
        let header = &mut record.header;
        if header.absolute == Timestamp::MAX {
            return Err(config(
                "a session in a cookie needs an absolute timeout: nothing else ends one that was stolen",
            ));
        }
        let ttl = self.max_age.map_or(ttl, |max_age| ttl.min(max_age));
        header.deadline = self.clock.now().after(ttl).min(header.absolute);
        let token = sealer.seal(session, &record).map_err(|error| error.in_engine(ENGINE))?;
        Ok(WriteOutcome::stored_in(token, session))
    }

    /// Ends a session before its time, where there is a list; `false` when it had been ended.
    async fn revoke(&self, session: SessionId, header: Header) -> Result<bool> {
        match &self.revocations {
            Some(list) => list.add(self.sealer()?.scope(), session, header, self.clock.now()).await,
            None => Ok(true),
        }
    }

    /// Whether the session was ended before its time. One call of the other engine, where there is a list.
    async fn is_revoked(&self, session: SessionId) -> Result<bool> {
        match &self.revocations {
            Some(list) => list.hold(self.sealer()?.scope(), session).await,
            None => Ok(false),
        }
    }
}

/// Without a list of revocations no call waits for anything: each is done when its future is first polled.
#[async_trait]
impl Provider for CookieProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        let limit = self.sealer.get().map_or(max_record_bytes(USUAL_NAME_OCTETS), Sealer::max_record_bytes);
        Capabilities::new()
            .client_side(true)
            .revokes(self.revocations.is_some())
            .native_expiry(self.revocations.as_ref().is_none_or(|list| list.0.capabilities().native_expiry))
            .enumerable(false)
            .time_source(TimeSource::Core)
            .durability(Durability::Client)
            .max_record_bytes(limit)
    }

    /// A second call with another scope is a [`Config`](session_core::ErrorKind::Config) error.
    fn bind(&self, scope: &str) -> Result<()> {
        if let (Some(expected), Some(name)) = (&self.cookie_name, cookie_name_of_scope(scope))
            && expected != name
        {
            return Err(config(format!(
                "its `cookieName` is `{expected}` and the manager's is `{name}`: make them equal, or leave the first out"
            )));
        }
        let bound = self.sealer.get_or_init(|| Sealer::new(scope, self.keys.clone()));
        if bound.scope() == scope {
            Ok(())
        } else {
            Err(config("it serves another cookie already: connect a second one for a second cookie"))
        }
    }

    async fn read(&self, id: &StorageId, _idle: Duration) -> Result<Option<Record>> {
        let Some(record) = self.open(id)? else { return Ok(None) };
        Ok((!self.is_revoked(record.cas).await?).then_some(record))
    }

    /// Seals. Which tokens are about nobody knows, so the condition is only that the session was not revoked.
    async fn write(
        &self,
        _id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let session = match condition {
            Condition::Absent => seal::new_session(),
            Condition::Over(read) if self.is_revoked(read.cas).await? => {
                return Ok(WriteOutcome::refused(None));
            }
            Condition::Over(read) => read.cas,
        };
        self.seal(session, record, ttl)
    }

    /// Seals under another name, and revokes the old one where there is a list.
    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let sealed = self.seal(seal::new_session(), rename.record, rename.ttl)?;
        let revoked = self.revoke(rename.over.cas, rename.record.header.clone()).await?;
        Ok(if revoked { sealed } else { WriteOutcome::refused(None) })
    }

    /// Says whether the token was a session. Without a list of revocations it stays one: only its deadlines end a copy.
    async fn destroy(&self, id: &StorageId, _expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let ended = match self.open(id) {
            Ok(Some(record)) => self.revoke(record.cas, record.header.next()).await?,
            Ok(None) => false,
            // What opens and is unreadable was ours as well, and the client is to forget it.
            Err(_) => self.sealer().map(|_| true)?,
        };
        Ok(if ended { DestroyOutcome::Destroyed } else { DestroyOutcome::Absent })
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        Ok(self.read(id, Duration::ZERO).await?.is_some_and(|record| record.is_live()))
    }

    async fn count(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        match &self.revocations {
            Some(list) => list.0.gc(limit).await,
            None => Ok(0),
        }
    }
}

impl fmt::Debug for CookieProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieProvider")
            .field("keys", &self.keys.len())
            .field("scope", &self.sealer.get().map(Sealer::scope))
            .finish_non_exhaustive()
    }
}

fn config(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::config(message).in_engine(ENGINE)
}

#[cfg(test)]
mod tests {
    use session_core::{ErrorKind, Secret};

    use super::*;

    #[tokio::test]
    async fn a_sealed_record_of_a_newer_version_is_unsupported_and_a_damaged_one_corrupt() {
        let key = Secret::new("0123456789abcdef0123456789abcdef");
        let provider = CookieProvider::builder().key(key).build().unwrap();
        provider.bind("2:id0:").unwrap();
        for (bytes, kind) in
            [(&b"SSN\x02 from the future"[..], ErrorKind::Unsupported), (b"damaged", ErrorKind::Corrupt)]
        {
            let token = provider.sealer().and_then(|sealer| sealer.close(0, bytes)).unwrap();
            let id = StorageId::plain(token.expose()).unwrap();
            let error = provider.read(&id, Duration::from_secs(1)).await.unwrap_err();
            assert_eq!((error.kind(), error.engine()), (kind, Some("cookie")));
            assert_eq!(provider.exists(&id).await.unwrap_err().kind(), kind);
            let destroyed = provider.destroy(&id, None).await.unwrap();
            assert!(matches!(destroyed, DestroyOutcome::Destroyed), "a logout works all the same");
        }
    }
}
