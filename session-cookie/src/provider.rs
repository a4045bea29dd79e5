//! The engine: a read opens a token, and a write seals one.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, try_join};
use session_core::accounts::Owner;
use session_core::clock::{Clock, Timestamp};
use session_core::engine::{
    Condition, Cursor, DestroyOutcome, Durability, Immediate, Indexed, OwnerIndex, Page, Rename, TimeSource,
    WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp};
use session_core::transport::cookie_name_of_scope;
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

use crate::key::Key;
use crate::recent::{OVERLAP, Recent};
use crate::revocations::{LONGEST, Revocations, after_an_end};
use crate::seal::{self, Identity, Sealer, SessionId, max_record_bytes};
use crate::{CookieBuilder, ENGINE};

/// The length of `__Host-session`, the manager's default name of the cookie.
const DEFAULT_NAME_OCTETS: usize = 14;

/// The engine whose records are kept by the client. A session's storage id is the token itself
/// ([`StorageId::plain`]), and every write returns a new token.
///
/// A manager binds it to its cookie; for direct use, call [`bind`](Provider::bind) first. One
/// provider serves one cookie: sealed records are invalid under another name. See the
/// [crate](crate) for its limitations.
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
                "it is not bound to a cookie: pass it to a manager, or call `bind` with `Transport::scope()`",
            )
        })
    }

    /// Returns the session in a token, if it is valid and within its deadlines. The session id
    /// serves as the compare token.
    fn open(&self, id: &StorageId) -> Result<Option<(Identity, Record)>> {
        let opened = self.unseal(id)?;
        Ok(opened.filter(|(_, record)| record.is_alive_at(self.clock.now())))
    }

    /// Returns the session in a token, even after its deadlines.
    fn unseal(&self, id: &StorageId) -> Result<Option<(Identity, Record)>> {
        let sealer = self.sealer()?;
        let Some((identity, bytes)) = id.as_plain().and_then(|token| sealer.open(token)) else {
            return Ok(None);
        };
        let mut record = Record::decode(bytes).map_err(|error| error.in_engine(ENGINE))?;
        record.cas = identity.session;
        Ok(Some((identity, record)))
    }

    fn seal(&self, identity: Identity, record: &Record, ttl: Duration) -> Result<WriteOutcome> {
        let sealer = self.sealer()?;
        let mut record = record.clone();
        let header = &mut record.header;
        if header.absolute == Timestamp::MAX {
            return Err(config(
                "a session in a cookie needs an absolute timeout: nothing else ends a stolen one",
            ));
        }
        let now = self.clock.now();
        if self.revocations.is_some() && header.owner.is_some() && header.absolute.since(now) > LONGEST {
            return Err(config(
                "a user's session in a cookie with a list of revocations must end within 400 days: set a shorter \
                 absolute timeout",
            ));
        }
        let ttl = self.lifetime(ttl);
        header.deadline = now.after(ttl).min(header.absolute);
        let token = sealer.seal(identity, &record).map_err(|error| error.in_engine(ENGINE))?;
        Ok(WriteOutcome::stored_in(token, identity.session))
    }

    /// Seals a record for this identity, unless it would only reissue a token without need.
    fn write_as(
        &self,
        identity: Identity,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        if condition == Condition::Absent {
            return self.seal(identity, record, ttl);
        }
        if let Some(held) = self.unneeded_reissue(id, record, ttl, identity.session)? {
            return Ok(WriteOutcome::refused(Some(held)));
        }
        let sealed = self.seal(identity, record, ttl)?;
        self.recent.note(identity.session, record.header.version(), self.clock.now());
        Ok(sealed)
    }

    /// The lifetime of a token that is sealed now, apart from the absolute deadline.
    fn lifetime(&self, ttl: Duration) -> Duration {
        self.max_age.map_or(ttl, |max_age| ttl.min(max_age))
    }

    /// Returns the record of the client's token if this write would only reissue it without need:
    /// the token is fresh, or this process has issued a newer one.
    ///
    /// The manager knows the idle timeout but not `max_age`; if that is shorter, every token is due
    /// from the manager's point of view. Otherwise, the token is opened only if there is a newer
    /// write.
    fn unneeded_reissue(
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
        let Some((_, held)) = self.open(id)? else { return Ok(None) };
        let (old, new) = (&held.header, &record.header);
        if held.body != record.body || old.owner != new.owner || old.absolute != new.absolute {
            return Ok(None);
        }
        // Like the manager's default `touch_after`, but for the effective lifetime.
        let touch_after = (lifetime / 10).min(Duration::from_secs(60)).max(Duration::from_millis(1));
        let deadline = now.after(lifetime).min(held.header.absolute);
        let is_fresh = deadline.since(held.header.deadline) < touch_after;
        Ok((has_newer || is_fresh).then_some(held))
    }

    /// Returns the identity for a new session of this owner. One call of the other engine if there
    /// is a list and an owner.
    async fn new_identity(&self, owner: Option<Owner>) -> Result<Identity> {
        let epoch = match &self.revocations {
            Some(list) => list.epoch(owner).await?,
            None => 0,
        };
        Ok(Identity { session: seal::new_session(), epoch })
    }

    /// Returns the identity with which a session continues under this owner; `None` if it was
    /// ended. With a list, one call of the other engine, and concurrently one for its owner and one
    /// for a new owner.
    async fn continued(
        &self,
        id: &StorageId,
        session: SessionId,
        owner: Option<Owner>,
    ) -> Result<Option<Identity>> {
        let Some(list) = &self.revocations else { return Ok(Some(Identity { session, epoch: 0 })) };
        let Some((identity, held)) = self.unseal(id)? else { return Ok(None) };
        let held = held.header.owner;
        let checking = list.is_ended(self.sealer()?.scope(), identity, held);
        let (ended, epoch) = try_join(checking, list.next_epoch(identity, held, owner)).await?;
        Ok((!ended).then_some(Identity { session, epoch }))
    }
}

/// Without a list of revocations, no call waits: each completes at the first poll of its future.
#[async_trait]
impl Provider for CookieProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        let limit = self.sealer.get().map_or(max_record_bytes(DEFAULT_NAME_OCTETS), Sealer::max_record_bytes);
        Capabilities::new()
            .client_side(true)
            .revokes(self.revocations.is_some())
            .owner_index(if self.revocations.is_some() { OwnerIndex::EndsAll } else { OwnerIndex::None })
            .native_expiry(self.revocations.as_ref().is_none_or(|list| list.0.capabilities().native_expiry))
            .enumerable(false)
            .time_source(TimeSource::Core)
            .durability(Durability::Client)
            .max_record_bytes(limit)
    }

    /// Returns a [`Config`](session_core::ErrorKind::Config) error if already bound to another
    /// scope.
    fn bind(&self, scope: &str) -> Result<()> {
        if let (Some(expected), Some(name)) = (&self.cookie_name, cookie_name_of_scope(scope))
            && expected != name
        {
            return Err(config(format!(
                "its `cookieName` is `{expected}`, but the manager's is `{name}`: make them equal, or remove the first"
            )));
        }
        let bound = self.sealer.get_or_init(|| Sealer::new(scope, self.keys.clone()));
        if bound.scope() == scope {
            Ok(())
        } else {
            Err(config("it already serves another cookie: connect a second engine for the second cookie"))
        }
    }

    async fn read(&self, id: &StorageId, _idle: Duration) -> Result<Option<Record>> {
        let Some((identity, record)) = self.open(id)? else { return Ok(None) };
        let ended = match &self.revocations {
            Some(list) => list.is_ended(self.sealer()?.scope(), identity, record.header.owner).await?,
            None => false,
        };
        Ok((!ended).then_some(record))
    }

    /// Seals the record. The tokens in circulation are unknown, so the only condition is that the
    /// session was not revoked.
    ///
    /// If the record differs from that of the token `id` only in its version and deadline, this is
    /// a reissue. It is refused, with the client's record, if it is not due, or if this process has
    /// recently written a newer one.
    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let owner = record.header.owner;
        let identity = match condition {
            Condition::Absent => Some(self.new_identity(owner).await?),
            Condition::Over(read) => self.continued(id, read.cas, owner).await?,
        };
        match identity {
            Some(identity) => self.write_as(identity, id, record, condition, ttl),
            None => Ok(WriteOutcome::refused(None)),
        }
    }

    /// Seals with another session id, and revokes the old one if there is a list.
    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let Rename { old, over, record, ttl, .. } = *rename;
        // A record that cannot be sealed must end nothing, so it is sealed first. The owner's epoch
        // is not known yet, but all epochs have the same length.
        let with_epoch = self.revocations.is_some() && record.header.owner.is_some();
        let mut identity = Identity { session: seal::new_session(), epoch: u64::from(with_epoch) };
        let mut sealed = self.seal(identity, record, ttl)?;
        let mut ended = false;
        if let Some(list) = &self.revocations {
            let Some((before, held)) = self.unseal(old)? else { return Ok(WriteOutcome::refused(None)) };
            let held = held.header.owner;
            let (scope, now) = (self.sealer()?.scope(), self.clock.now());
            let ending = list.end(scope, before, held, record.header.clone(), now);
            let next = list.next_epoch(before, held, record.header.owner);
            let (lived, epoch) = join(ending, next).await;
            ended = !lived?;
            let epoch = epoch.map_err(after_an_end)?;
            if epoch != identity.epoch {
                identity.epoch = epoch;
                sealed = self.seal(identity, record, ttl)?;
            }
        }
        self.recent.note(over.cas, record.header.version(), self.clock.now());
        Ok(if ended { WriteOutcome::refused(None) } else { sealed })
    }

    /// Reports whether the token was a session. Without a list of revocations it remains one:
    /// copies end only at their deadlines.
    async fn destroy(&self, id: &StorageId, _expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let ended = match self.open(id) {
            Ok(Some((identity, record))) => {
                let (owner, end, now) = (record.header.owner, record.header.next(), self.clock.now());
                self.recent.note(identity.session, end.version(), now);
                match &self.revocations {
                    Some(list) => list.end(self.sealer()?.scope(), identity, owner, end, now).await?,
                    None => true,
                }
            }
            Ok(None) => false,
            // A token that opens but cannot be decoded was sealed with this key, and the client
            // must drop it.
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

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.revocations.is_some().then_some(self as &dyn Indexed)
    }

    fn as_immediate(&self) -> Option<&dyn Immediate> {
        self.revocations.is_none().then_some(self as &dyn Immediate)
    }
}

/// Without a list of revocations.
impl Immediate for CookieProvider {
    fn read_at_once(&self, id: &StorageId, _idle: Duration) -> Option<Result<Option<Record>>> {
        Some(self.open(id).map(|opened| opened.map(|(_, record)| record)))
    }

    fn write_at_once(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Option<Result<WriteOutcome>> {
        let session = match condition {
            Condition::Absent => seal::new_session(),
            Condition::Over(read) => read.cas,
        };
        Some(self.write_as(Identity { session, epoch: 0 }, id, record, condition, ttl))
    }
}

/// With a list of revocations.
#[async_trait]
impl Indexed for CookieProvider {
    /// Always returns [`Unsupported`](ErrorKind::Unsupported): the clients hold the sessions.
    async fn list(&self, _: &Owner, _: Option<&Cursor>, _: usize) -> Result<Page> {
        let message = "the clients hold the sessions: those of a user can be ended together, but not listed \
                       or ended individually";
        Err(Error::new(ErrorKind::Unsupported, message).in_engine(ENGINE))
    }

    /// Ends all of them at once, and returns zero, because their number is unknown. Two calls of
    /// the other engine.
    async fn end_owner(&self, owner: &Owner, _limit: usize) -> Result<usize> {
        if let Some(list) = &self.revocations {
            list.end_owner(*owner, self.clock.now()).await?;
        }
        Ok(0)
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
    use session_core::Secret;

    use super::*;

    #[tokio::test]
    async fn a_sealed_record_of_a_newer_version_is_unsupported_and_a_damaged_one_corrupt() {
        let key = Secret::new("0123456789abcdef0123456789abcdef");
        let provider = CookieProvider::builder().key(key).build().unwrap();
        provider.bind("2:id0:").unwrap();
        for (bytes, kind) in
            [(&b"SSN\xc8 from the future"[..], ErrorKind::Unsupported), (b"damaged", ErrorKind::Corrupt)]
        {
            let token = provider
                .sealer()
                .and_then(|sealer| sealer.close(Identity { session: 0, epoch: 0 }, bytes))
                .unwrap();
            let id = StorageId::plain(token.expose()).unwrap();
            let error = provider.read(&id, Duration::from_secs(1)).await.unwrap_err();
            assert_eq!((error.kind(), error.engine()), (kind, Some("cookie")));
            assert_eq!(provider.exists(&id).await.unwrap_err().kind(), kind);
            let destroyed = provider.destroy(&id, None).await.unwrap();
            assert!(matches!(destroyed, DestroyOutcome::Destroyed), "a logout works all the same");
        }
    }
}
