//! The state of a live session between its load and its release.

use std::sync::Arc;

use super::{Change, Found, LoadState, Other, Updating};
use crate::clock::Timestamp;
use crate::id::{StorageId, Token};
use crate::record::{Account, Body, Device, Handle, Header, Owner, Record, Value};
use crate::shared::Class;
use crate::{Error, ErrorKind, Result, observe};

/// A stored session, with the token under which the client knows it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub token: Token,
    pub id: StorageId,
    pub class: Class,
    pub record: Record,
    /// When this record was read or written.
    pub seen: Timestamp,
}

/// The phase of a session's life. It changes under the session's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The session accepts changes.
    Active,
    /// A save owns the changes that were made before it; the session accepts more.
    Saving,
    /// A release or destroy owns the changes.
    Busy,
    /// Released: stored, or there was nothing to store.
    Released,
    /// A release or destroy failed with this kind.
    Failed(ErrorKind),
}

/// Who tells the client of a new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Messenger {
    /// The application, which took the session from the manager and has its token.
    Caller,
    /// The response to the session's request.
    Response,
    /// Nobody: the response has left.
    Nobody,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct State {
    pub phase: Phase,
    pub messenger: Messenger,
    /// The session in the store; `None` while there is none.
    pub stored: Option<Arc<Stored>>,
    /// The body that the handler sees: the stored one with the changes applied.
    pub body: Body,
    /// The changes that led to the body. Empty for a session that is not stored yet, because there
    /// is nothing to merge with.
    pub changes: Vec<Change>,
    pub plan: Plan,
    /// The result of the load.
    pub found: LoadState,
    /// Other sessions that came with the request.
    pub others: Vec<Other>,
    /// The token of the one live session that the client presented.
    pub held: Option<Token>,
    /// The absolute deadline of that session, as in the client's cookie.
    pub held_until: Timestamp,
    /// Whether the client presented a live session, in use or not.
    pub presented: bool,
    /// The request has ended: an operation in progress is finished, and then no more changes are
    /// accepted.
    pub closed: bool,
    /// A commit failed, and its caller has not received the error: it may have gone away.
    pub undelivered: bool,
    /// Changes that were made during a save are lost, because the save failed.
    pub lost: bool,
    /// This request ended a session that the client presented.
    pub ended: bool,
}

/// Planned changes other than to the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub regenerate: bool,
    pub owner: Option<Box<NewOwner>>,
    pub class: Option<Class>,
    /// Start a new absolute lifetime.
    pub new_lifetime: bool,
    /// Record that the user has authenticated.
    pub elevate: bool,
    pub device: Option<Box<Device>>,
}

/// The new owner; `None` clears it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewOwner {
    pub owner: Option<Owner>,
    /// The handle of the session, if it did not have this owner before.
    pub handle: Handle,
}

impl NewOwner {
    pub(crate) fn new(owner: Option<Owner>) -> Self {
        Self { owner, handle: Handle::random() }
    }
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        !self.regenerate
            && self.owner.is_none()
            && self.class.is_none()
            && !self.new_lifetime
            && !self.elevate
            && self.device.is_none()
    }

    /// Returns the owner after the release of a session that has `owner` now.
    pub(crate) fn owner_after(&self, owner: Option<Owner>) -> Option<Owner> {
        self.owner.as_ref().map_or(owner, |new| new.owner)
    }

    /// Returns the account of the record that follows one with this header.
    pub(crate) fn account_after(&self, base: &Header, class: Class, now: Timestamp) -> Option<Account> {
        let owner = self.owner_after(base.owner)?;
        let kept = base.account().filter(|_| base.owner == Some(owner));
        let mut account = match (kept, &self.owner) {
            (Some(kept), _) => kept.clone(),
            (None, Some(new)) => {
                let handle = new.handle;
                Account { handle, authenticated: now, idle: class.idle, device: None }
            }
            // Stored before records had accounts.
            (None, None) if !self.elevate && self.device.is_none() => return None,
            (None, None) => Account {
                handle: Handle::random(),
                authenticated: base.created,
                idle: class.idle,
                device: None,
            },
        };
        account.idle = class.idle;
        if self.elevate {
            account.authenticated = now;
        }
        if let Some(device) = &self.device {
            account.device = Some(device.clone());
        }
        Some(account)
    }
}

impl State {
    pub(super) fn new(found: Found, messenger: Messenger) -> Self {
        let Found { state: found, session: stored, others } = found;
        let body = stored.as_ref().map(|stored| stored.record.body.clone()).unwrap_or_default();
        let held = stored.as_ref().map(|stored| stored.token.clone());
        let held_until = stored.as_ref().map_or(Timestamp::MAX, |stored| stored.record.header.absolute);
        let presented = held.is_some() || !others.is_empty();
        Self {
            phase: Phase::Active,
            messenger,
            stored,
            body,
            changes: Vec::new(),
            plan: Plan::default(),
            found,
            others,
            held,
            held_until,
            presented,
            closed: false,
            undelivered: false,
            lost: false,
            ended: false,
        }
    }

    /// Returns the owner, including this request's change.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.plan.owner_after(self.stored.as_ref().and_then(|stored| stored.record.header.owner))
    }

    /// Reads the stored account, if the owner stays the same.
    pub(crate) fn account<T>(&self, look: impl FnOnce(&Account) -> T) -> Option<T> {
        let header = &self.stored.as_ref()?.record.header;
        (header.owner == self.owner()).then(|| header.account().map(look)).flatten()
    }

    /// Returns the session's name in the list of its owner's sessions, including this request's
    /// change.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.owner()?;
        let stored = || self.stored.as_ref().map(|stored| Handle::of_id(&stored.id));
        self.account(|account| account.handle)
            .or(self.plan.owner.as_ref().map(|new| new.handle))
            .or_else(stored)
    }

    /// Records a change, to be reapplied to a newer record.
    pub(crate) fn note(&mut self, change: impl FnOnce() -> Change) {
        if self.is_merged() {
            Change::push(&mut self.changes, change());
        }
    }

    /// Records an update of a key, which has led to `value`.
    pub(crate) fn note_update(&mut self, key: &str, value: Value, again: impl FnOnce() -> Updating) {
        if self.is_merged() {
            Change::push_update(&mut self.changes, key, value, again);
        }
    }

    /// Returns whether other requests may change the session too, or a save of it is in progress.
    fn is_merged(&self) -> bool {
        self.stored.is_some() || self.phase == Phase::Saving
    }

    /// Returns whether there is something to store.
    pub(crate) fn is_modified(&self) -> bool {
        match &self.stored {
            Some(_) => !self.changes.is_empty() || !self.plan.is_empty(),
            None => !self.body.is_empty() || self.plan.owner_after(None).is_some(),
        }
    }

    /// Makes `stored` the current session, without changes.
    pub(crate) fn show(&mut self, stored: Option<Arc<Stored>>) {
        self.body = stored.as_ref().map(|stored| stored.record.body.clone()).unwrap_or_default();
        self.stored = stored;
        self.forget_changes();
    }

    pub(crate) fn forget_changes(&mut self) {
        self.changes.clear();
        self.plan = Plan::default();
    }

    /// Returns whether a commit failed and the handler knows it. The handler then decides about the
    /// response.
    pub(crate) fn handler_knows_failure(&self) -> bool {
        matches!(self.phase, Phase::Failed(_)) && !self.undelivered && !self.lost
    }

    /// Marks the session as failed, and reports that its changes were not stored, including those
    /// made meanwhile.
    pub(crate) fn failed(&mut self, error: Error) -> Error {
        self.lost |= self.phase == Phase::Saving && (!self.changes.is_empty() || !self.plan.is_empty());
        self.phase = Phase::Failed(error.kind());
        self.undelivered = true;
        self.forget_changes();
        observe::not_stored(self.stored.as_ref().map(|stored| &stored.id), &error);
        error
    }

    /// Fails after the release.
    pub(crate) fn must_be_active(&self, operation: &'static str) -> Result<()> {
        if self.phase == Phase::Active || (self.phase == Phase::Saving && !self.closed) {
            return Ok(());
        }
        let message = "the session is released; change it before the release, or call `reload` and \
                       `save` in code that outlives its request";
        Err(Error::new(ErrorKind::Released, message).during(operation))
    }
}

impl Phase {
    /// Returns the error of an earlier release, for a repeated call.
    pub(crate) fn earlier_failure(self) -> Option<Error> {
        match self {
            Self::Failed(kind) => Some(Error::new(kind, "an earlier release of this session failed")),
            _ => None,
        }
    }
}
