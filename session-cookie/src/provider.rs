//! The engine: reading is opening, writing is sealing.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use session_core::clock::{Clock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome, Durability, Rename, TimeSource, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Header, Record, Stamp};
use session_core::transport::cookie_name_of_scope;
use session_core::{Capabilities, Error, Provider, Result};

use crate::key::Key;
use crate::recent::{OVERLAP, Recent};
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
    recent: Recent,
}

impl CookieProvider {
    /// Starts a configuration.
    pub fn builder() -> CookieBuilder {
        CookieBuilder::new()
    }

    pub(crate) fn new(settings: CookieBuilder, keys: Vec<Key>) -> Self {
        let CookieBuilder { cookie_name, max_age, clock, revocations, .. } = settings;
        Self {
            keys,
            sealer: OnceLock::new(),
            cookie_name,
            max_age,
            clock,
            revocations,
            recent: Recent::default(),
        }
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
        let ttl = self.lifetime(ttl);
        header.deadline = self.clock.now().after(ttl).min(header.absolute);
        let token = sealer.seal(session, &record).map_err(|error| error.in_engine(ENGINE))?;
        Ok(WriteOutcome::stored_in(token, session))
    }

    /// How long a token is good for that is sealed now, the absolute deadline apart.
    fn lifetime(&self, ttl: Duration) -> Duration {
        self.max_age.map_or(ttl, |max_age| ttl.min(max_age))
    }

    /// What the client is to keep, when this write would only issue its token again, and there is no reason to: the
    /// token is fresh, or this process has given out a newer one.
    ///
    /// The manager knows the idle time and not `max_age`, so where that is shorter it finds every token due. In all other
    /// cases the token in hand is opened only when there is something newer.
    fn keeps(
        &self,
        id: &StorageId,
        record: &Record,
        ttl: Duration,
        session: SessionId,
    ) -> Result<Option<Record>> {
        let (now, lifetime) = (self.clock.now(), self.lifetime(ttl));
        let is_short = lifetime < ttl;
        let has_newer = self.recent.has_newer(session, &record.header, now, OVERLAP.min(lifetime / 3));
        if !is_short && !has_newer {
            return Ok(None);
        }
        let Some(held) = self.open(id)? else { return Ok(None) };
        let (old, new) = (&held.header, &record.header);
        if held.body != record.body || old.owner != new.owner || old.absolute != new.absolute {
            return Ok(None);
        }
        // As the manager's default `touch_after`, of the time that counts here.
        let touch_after = (lifetime / 10).min(Duration::from_secs(60)).max(Duration::from_millis(1));
        let deadline = now.after(lifetime).min(held.header.absolute);
        let is_fresh = deadline.since(held.header.deadline) < touch_after;
        Ok((has_newer || is_fresh).then_some(held))
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
    ///
    /// A record that differs from the one in the token `id` only in its version and deadline is a token issued again.
    /// That is refused, with the record that the client has, when it is not due, or when this process has written a newer
    /// one lately.
    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let session = match condition {
            Condition::Absent => return self.seal(seal::new_session(), record, ttl),
            Condition::Over(read) if self.is_revoked(read.cas).await? => {
                return Ok(WriteOutcome::refused(None));
            }
            Condition::Over(read) => read.cas,
        };
        if let Some(held) = self.keeps(id, record, ttl, session)? {
            return Ok(WriteOutcome::refused(Some(held)));
        }
        let sealed = self.seal(session, record, ttl)?;
        self.recent.note(session, record.header.version(), self.clock.now());
        Ok(sealed)
    }

    /// Seals under another name, and revokes the old one where there is a list.
    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let sealed = self.seal(seal::new_session(), rename.record, rename.ttl)?;
        let revoked = self.revoke(rename.over.cas, rename.record.header.clone()).await?;
        self.recent.note(rename.over.cas, rename.record.header.version(), self.clock.now());
        Ok(if revoked { sealed } else { WriteOutcome::refused(None) })
    }

    /// Says whether the token was a session. Without a list of revocations it stays one: only its deadlines end a copy.
    async fn destroy(&self, id: &StorageId, _expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let ended = match self.open(id) {
            Ok(Some(record)) => {
                let end = record.header.next();
                self.recent.note(record.cas, end.version(), self.clock.now());
                self.revoke(record.cas, end).await?
            }
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
            [(&b"SSN\xc8 from the future"[..], ErrorKind::Unsupported), (b"damaged", ErrorKind::Corrupt)]
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
