//! The list of sessions that were ended before their time: kept in another engine, until each would have ended by itself.

use std::sync::Arc;

use session_core::clock::Timestamp;
use session_core::engine::{Condition, Durability, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Header, Record};
use session_core::{Provider, Result};
use sha2::{Digest, Sha256};

use crate::seal::SessionId;

/// Sets the names on the list apart from those of sessions that the other engine may hold as well.
const PURPOSE: &[u8] = b"session-cookie revocation";

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

    /// Whether the session is on the list.
    pub(crate) async fn hold(&self, scope: &str, session: SessionId) -> Result<bool> {
        self.0.exists(&name(scope, session)).await
    }

    /// Puts a session on the list; `false` when it is there already, unless by a call with the same header whose answer
    /// was lost.
    pub(crate) async fn add(
        &self,
        scope: &str,
        session: SessionId,
        mut header: Header,
        now: Timestamp,
    ) -> Result<bool> {
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
