//! The list of revocations in another engine: individual sessions, each until its absolute
//! deadline, and all sessions of an owner.
//!
//! All sessions of an owner are ended by raising a number, the owner's epoch. A session contains
//! its owner's epoch as of the sign-in, and keeps it under every new id; a higher epoch on the list
//! ends it. No clocks are compared: a session that begins while the epoch is raised has either the
//! old one, and is ended, or the new one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, try_join};
use session_core::accounts::Owner;
use session_core::clock::Timestamp;
use session_core::engine::{Condition, Durability, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Header, Record};
use session_core::{Error, ErrorKind, Provider, Result};
use sha2::{Digest, Sha256};

use crate::seal::{Identity, SessionId};

/// Distinguishes the ids on the list from those of sessions that the other engine may also contain.
const PURPOSE: &[u8] = b"session-cookie revocation";
const OWNERS: &[u8] = b"session-cookie owner";

/// The maximum lifetime of an owner's session, after which the epoch may expire. Browsers keep no
/// cookie for longer (RFC 6265bis, section 5.5).
pub(crate) const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The lifetime of an epoch, including a margin for clock differences between servers.
const EPOCH_TTL: Duration = LONGEST.saturating_add(Duration::from_secs(24 * 60 * 60));

/// The engine that contains the list.
#[derive(Debug, Clone)]
pub(crate) struct Revocations(pub Arc<dyn Provider>);

impl Revocations {
    /// The reason why the other engine cannot keep the list, if any.
    pub(crate) fn unfit(&self) -> Option<&'static str> {
        let capabilities = self.0.capabilities();
        if capabilities.client_side || capabilities.durability == Durability::Client {
            Some("leaves it to the client")
        } else if capabilities.durability == Durability::Process {
            Some("forgets it when it restarts")
        } else {
            capabilities.evicts.then_some("may evict it")
        }
    }

    /// Returns whether the session was ended, individually or with the others of its owner. One
    /// call, and for a session with an owner a second, concurrent one.
    pub(crate) async fn is_ended(
        &self,
        scope: &str,
        identity: Identity,
        owner: Option<Owner>,
    ) -> Result<bool> {
        let name = name(scope, identity.session);
        let (ended, epoch) = try_join(self.0.exists(&name), self.epoch(owner)).await?;
        Ok(ended || identity.epoch < epoch)
    }

    /// Returns the current epoch of an owner; zero without an owner, and for an owner whose
    /// sessions were never ended together.
    pub(crate) async fn epoch(&self, owner: Option<Owner>) -> Result<u64> {
        let Some(owner) = owner else { return Ok(0) };
        let mark = self.0.read_now(&owners_name(owner), EPOCH_TTL).await?;
        Ok(mark.map_or(0, |mark| epoch_of(&mark)))
    }

    /// Returns the epoch for the next token of a session: its own while the owner is the same, so
    /// that a new id does not evade the end.
    pub(crate) async fn next_epoch(
        &self,
        identity: Identity,
        held: Option<Owner>,
        owner: Option<Owner>,
    ) -> Result<u64> {
        if owner == held { Ok(identity.epoch) } else { self.epoch(owner).await }
    }

    /// Ends all sessions of an owner that were stored before this call. Two calls.
    pub(crate) async fn end_owner(&self, owner: Owner, now: Timestamp) -> Result<()> {
        let name = owners_name(owner);
        let mut present = self.0.read_now(&name, EPOCH_TTL).await?;
        loop {
            let before = present.as_ref().map_or(0, epoch_of);
            let end = now.after(EPOCH_TTL);
            // At least the current time, so that an expired epoch is not reused.
            let epoch = Timestamp::from_millis(now.as_millis().max(before + 1));
            let header = Header::new(epoch, end, end);
            let condition = match &present {
                Some(mark) => Condition::Over(mark.stamp()),
                None => Condition::Absent,
            };
            let mark = Record::new(header, Body::default());
            match self.0.write(&name, &mark, condition, EPOCH_TTL).await? {
                WriteOutcome::Stored(_) => return Ok(()),
                WriteOutcome::Refused(refusal) => match refusal.current {
                    // Raised by another call since this one began, or by a resent one of this call.
                    Some(mark) if epoch_of(&mark) > before => return Ok(()),
                    current => present = current.map(|mark| *mark),
                },
            }
        }
    }

    /// Adds a session to the list, and returns whether it was live until now: `false` if it was
    /// ended before, unless by a call with the same header whose answer was lost. As many calls as
    /// [`is_ended`](Self::is_ended).
    pub(crate) async fn end(
        &self,
        scope: &str,
        identity: Identity,
        owner: Option<Owner>,
        header: Header,
        now: Timestamp,
    ) -> Result<bool> {
        let adding = self.add(scope, identity.session, header, now);
        let (added, epoch) = join(adding, self.epoch(owner)).await;
        let added = added?;
        Ok(added && identity.epoch >= epoch.map_err(after_an_end)?)
    }

    async fn add(&self, scope: &str, session: SessionId, mut header: Header, now: Timestamp) -> Result<bool> {
        header.deadline = header.absolute;
        header.owner = None;
        let mark = Record::new(header, Body::default());
        let ttl = mark.header.absolute.since(now);
        let outcome = self.0.write(&name(scope, session), &mark, Condition::Absent, ttl).await?;
        Ok(match outcome {
            WriteOutcome::Stored(_) => true,
            WriteOutcome::Refused(refusal) => {
                refusal.current.is_some_and(|found| found.header.has_version(mark.header.version()))
            }
        })
    }
}

fn name(scope: &str, session: SessionId) -> StorageId {
    let digest = Sha256::new().chain_update(PURPOSE).chain_update(session.to_be_bytes()).chain_update(scope);
    StorageId::from_hash(digest.finalize().into())
}

/// The error of a call that failed after a session may have been added to the list; a retry finds
/// it there.
pub(crate) fn after_an_end(error: Error) -> Error {
    let message = "the session is on the list of revocations, but the epoch of its owner could not be read";
    Error::new(ErrorKind::OutcomeUnknown, message).with_source(error)
}

/// The same for every cookie that shares the list, just as an engine on a server ends sessions for
/// every manager.
fn owners_name(owner: Owner) -> StorageId {
    StorageId::from_hash(Sha256::new().chain_update(OWNERS).chain_update(owner.0).finalize().into())
}

/// The epoch in an owner's mark, stored as its creation time.
fn epoch_of(mark: &Record) -> u64 {
    mark.header.created.as_millis()
}
