//! The list of what was ended before its time, kept in another engine: sessions, each until it would have ended by
//! itself, and all sessions of an owner.
//!
//! The sessions of an owner end by a number, the owner's epoch. A session has the number that its owner had when it became
//! theirs, and keeps it under every new id; a higher one ends it. No clocks are compared: a session that begins while the
//! number is raised has either the old one, and is ended, or the new one.

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

/// Sets the names on the list apart from those of sessions that the other engine may hold as well.
const PURPOSE: &[u8] = b"session-cookie revocation";
const OWNERS: &[u8] = b"session-cookie owner";

/// How long an owner's session may live, so that their epoch can be forgotten after it. Browsers keep no cookie for
/// longer (RFC 6265bis, section 5.5).
pub(crate) const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How long an epoch is kept: longer, by what the clocks of two servers may differ.
const EPOCH_TTL: Duration = LONGEST.saturating_add(Duration::from_secs(24 * 60 * 60));

/// Every operation is one call of the other engine.
#[derive(Debug, Clone)]
pub(crate) struct Revocations(pub Arc<dyn Provider>);

impl Revocations {
    /// Why the other engine cannot keep the list, if so.
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

    /// Whether the session was ended, by itself or with the others of its owner. One call, and for a session with an owner
    /// a second one at the same time.
    pub(crate) async fn hold(&self, scope: &str, identity: Identity, owner: Option<Owner>) -> Result<bool> {
        let name = name(scope, identity.session);
        let (ended, epoch) = try_join(self.0.exists(&name), self.epoch(owner)).await?;
        Ok(ended || identity.epoch < epoch)
    }

    /// The number that a session of this owner gets; zero for no owner, and for one whose sessions were never ended together.
    pub(crate) async fn epoch(&self, owner: Option<Owner>) -> Result<u64> {
        let Some(owner) = owner else { return Ok(0) };
        let mark = self.0.read_now(&owners_name(owner), EPOCH_TTL).await?;
        Ok(mark.map_or(0, |mark| epoch_of(&mark)))
    }

    /// The epoch that a session has from now on: its own as long as it stays with its owner, so that a new id does not
    /// save it.
    pub(crate) async fn next_epoch(
        &self,
        identity: Identity,
        held: Option<Owner>,
        owner: Option<Owner>,
    ) -> Result<u64> {
        if owner == held { Ok(identity.epoch) } else { self.epoch(owner).await }
    }

    /// Ends all sessions of an owner that were stored before. Two calls.
    pub(crate) async fn end_owner(&self, owner: Owner, now: Timestamp) -> Result<()> {
        let name = owners_name(owner);
        let mut present = self.0.read_now(&name, EPOCH_TTL).await?;
        loop {
            let before = present.as_ref().map_or(0, epoch_of);
            let end = now.after(EPOCH_TTL);
            // Never less than the time, so that a number that was forgotten is not given again.
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
                    // Another call, which has raised it since this one began, or a resent one of ours.
                    Some(mark) if epoch_of(&mark) > before => return Ok(()),
                    current => present = current.map(|mark| *mark),
                },
            }
        }
    }

    /// Puts a session on the list, and says whether it lives until now: `false` when it was ended, unless by a call with the
    /// same header whose answer was lost. As many calls as [`hold`](Self::hold).
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

/// The error of a call that failed while a session was put on the list: called again, it finds that done.
pub(crate) fn after_an_end(error: Error) -> Error {
    let message = "the session is on the list of revocations, and the epoch of its owner could not be read";
    Error::new(ErrorKind::OutcomeUnknown, message).with_source(error)
}

/// Under every cookie that shares the list, as an engine on a server ends them for every manager.
fn owners_name(owner: Owner) -> StorageId {
    StorageId::from_hash(Sha256::new().chain_update(OWNERS).chain_update(owner.0).finalize().into())
}

/// The number in the mark of an owner. It has the place of the time of creation.
fn epoch_of(mark: &Record) -> u64 {
    mark.header.created.as_millis()
}
