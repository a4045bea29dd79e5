//! Finding the session that a client presents.

use std::sync::Arc;

use super::Shared;
use crate::commit::attempt::{Answer, Operation};
use crate::live::state::Stored;
use crate::record::Record;
use crate::{ErrorKind, Result, StorageId, Token, observe};

/// What the presented tokens lead to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The one live session.
    pub session: Option<Arc<Stored>>,
    /// All of them, when there are several: then none is used.
    pub ambiguous: Vec<Arc<Stored>>,
}

impl Shared {
    /// Looks up the candidates (normally one, at most four). One round trip each.
    pub(crate) async fn find(&self, candidates: impl Iterator<Item = &Token>) -> Result<Found> {
        let mut found = Found::default();
        let operation = self.operation("load", false);
        for token in candidates {
            if let Some(stored) = self.find_one(&operation, token).await? {
                found.ambiguous.extend(found.session.replace(stored));
            }
        }
        if !found.ambiguous.is_empty() {
            // Which of them the user means cannot be known, and one may have been planted by a sibling domain.
            found.ambiguous.extend(found.session.take());
            observe::ambiguous(found.ambiguous.len());
        }
        Ok(found)
    }

    async fn find_one(&self, operation: &Operation, token: &Token) -> Result<Option<Arc<Stored>>> {
        let id = self.storage_id(token);
        let (_, class) = self.classes.split(token.expose());
        let answer = operation.call(|| self.provider.read(&id, class.idle)).await;
        let found = answer.map(|Answer { value, .. }| {
            let record = self.if_alive(value?, class.idle)?;
            Some(Arc::new(Stored { token: token.clone(), id: id.clone(), class, record }))
        });
        let error = match found {
            Err(error) if error.kind() == ErrorKind::Corrupt => error,
            found => return found,
        };
        // Reported once: with the record gone, the next request finds nothing and is quiet.
        observe::unreadable(&id, &error);
        if !self.capabilities.client_side {
            let _ = Box::pin(crate::commit::end(self, &id, None)).await;
        }
        Ok(None)
    }

    /// The record, when it is a session within both deadlines.
    fn if_alive(&self, mut record: Record, idle: std::time::Duration) -> Option<Record> {
        let now = self.now();
        if self.capabilities.slides_on_read {
            record.header.deadline = now.after(idle).min(record.header.absolute);
        }
        (record.is_live() && record.is_alive_at(now)).then_some(record)
    }

    /// Under which name the session of this token is stored.
    pub(crate) fn storage_id(&self, token: &Token) -> StorageId {
        if self.plain_ids || self.capabilities.client_side {
            StorageId::unhashed(token)
        } else {
            StorageId::of(token)
        }
    }
}
