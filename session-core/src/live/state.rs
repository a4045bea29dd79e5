//! What a live session knows between its load and its release.

use std::sync::Arc;

use super::change::Change;
use crate::manager::Class;
use crate::record::{Body, Owner, Record};
use crate::{Error, ErrorKind, Result, StorageId, Token};

/// A session as it lies in the store, and what the client calls it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub token: Token,
    pub id: StorageId,
    pub class: Class,
    pub record: Record,
}

/// Where a session is in its life. Each step is taken once, in this order, under the session's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Changes are welcome.
    Active,
    /// A release or destroy owns the changes.
    Busy,
    /// Stored, or nothing was to be stored.
    Released,
    /// Destroyed in this request.
    Destroyed,
    /// A release or destroy failed this way.
    Failed(ErrorKind),
}

/// What the response must tell the client.
#[derive(Debug, Clone, Default)]
pub(crate) enum Message {
    #[default]
    Nothing,
    Hold(Token),
    Forget,
}

#[derive(Debug)]
pub(crate) struct State {
    pub phase: Phase,
    /// The session in the store; `None` while there is none.
    pub stored: Option<Arc<Stored>>,
    /// What the handler sees: the stored body with the changes applied.
    pub body: Body,
    /// What led there, of a session that others may change too: one that is not stored yet has nothing to merge with.
    pub changes: Vec<Change>,
    pub plan: Plan,
    pub message: Message,
}

/// What shall change besides the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub regenerate: bool,
    pub owner: Option<NewOwner>,
    pub class: Option<Class>,
}

/// Whose the session becomes; nobody's, when there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewOwner(pub Option<Owner>);

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        !self.regenerate && self.owner.is_none() && self.class.is_none()
    }

    /// The owner after the release of a session that has `owner` now.
    pub(crate) fn owner_after(&self, owner: Option<Owner>) -> Option<Owner> {
        self.owner.map_or(owner, |new| new.0)
    }
}

impl State {
    pub(crate) fn new(stored: Option<Arc<Stored>>) -> Self {
        let body = stored.as_ref().map(|stored| stored.record.body.clone()).unwrap_or_default();
        Self {
            phase: Phase::Active,
            stored,
            body,
            changes: Vec::new(),
            plan: Plan::default(),
            message: Message::Nothing,
        }
    }

    /// Keeps a change, to be made again on a newer record.
    pub(crate) fn note(&mut self, change: impl FnOnce() -> Change) {
        if self.stored.is_some() {
            self.changes.push(change());
        }
    }

    /// Refuses what comes after the release.
    pub(crate) fn must_be_active(&self, operation: &'static str) -> Result<()> {
        let (kind, message) = match self.phase {
            Phase::Active => return Ok(()),
            Phase::Destroyed => (ErrorKind::Gone, "it was destroyed in this request"),
            Phase::Busy | Phase::Released | Phase::Failed(_) => {
                (ErrorKind::Released, "change it before the release, or load it again through the manager")
            }
        };
        Err(Error::new(kind, message).during(operation))
    }
}

impl Phase {
    /// The error of an earlier release, for whoever asks again.
    pub(crate) fn earlier_failure(self) -> Option<Error> {
        match self {
            Self::Failed(kind) => Some(Error::new(kind, "the release of this session has failed before")),
            _ => None,
        }
    }
}
