//! Finding the session that a client presents.

use tracing::Instrument as _;

use super::Shared;
use crate::commit::attempt::Operation;
use crate::live::state::Stored;
use crate::record::Record;
use crate::{ErrorKind, Result, StorageId, Token, observe};

/// What the presented tokens lead to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The one live session.
    pub session: Option<Stored>,
    /// All of them, when there are several: then none is used.
    pub ambiguous: Vec<Stored>,
}

impl Shared {
    /// Looks up the candidates (normally one, at most four). One round trip each.
    pub(crate) async fn find(&self, candidates: impl Iterator<Item = &Token>) -> Result<Found> {
        let mut live = Vec::new();
        let operation = self.operation("load", false);
        for token in candidates {
            live.extend(self.find_one(&operation, token).await?);
        }
        if live.len() > 1 {
            // Which of them the user means cannot be known, and one may have been planted by a sibling domain.
            observe::ambiguous(live.len());
            return Ok(Found { session: None, ambiguous: live });
        }
        Ok(Found { session: live.pop(), ambiguous: Vec::new() })
    }

    async fn find_one(&self, operation: &Operation, token: &Token) -> Result<Option<Stored>> {
        let id = self.storage_id(token)?;
        let (_, class) = self.classes.split(token.expose());
        let read = operation.call(|| self.provider.read(&id, class.idle));
        let read = read.instrument(tracing::debug_span!("session.load", session = ?id)).await;
        let record = match read {
            Ok(answer) => answer.value,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // Reported once: with the record gone, the next request finds nothing and is quiet.
                observe::unreadable(&id, &error);
                if !self.capabilities.client_side {
                    let _ = crate::commit::end(self, &id, None).await;
                }
                None
            }
            Err(error) => return Err(error),
        };
        let found = record.and_then(|record| self.if_alive(record, class.idle));
        Ok(found.map(|record| Stored { token: token.clone(), id, class, record }))
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
    pub(crate) fn storage_id(&self, token: &Token) -> Result<StorageId> {
        if self.plain_ids || self.capabilities.client_side {
            StorageId::plain(token.expose())
        } else {
            Ok(StorageId::of(token))
        }
    }
}
