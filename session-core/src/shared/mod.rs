//! The state that all sessions of one manager share: the engine, the configuration, and per-process
//! bookkeeping. It knows no session and no request.

mod class;
mod collecting;
mod events;
mod limits;
mod operation;
mod queue;

use std::sync::Arc;
use std::time::Duration;

pub use class::Lifetime;
pub(crate) use class::{Class, Classes};
pub(crate) use collecting::Collecting;
pub use events::{EndedBy, Event, EventKind};
pub(crate) use events::{Events, Listener};
pub use limits::Excess;
pub(crate) use limits::{Limits, PerOwner};
pub(crate) use operation::{Answer, Begun, FOREVER, Operation, jitter, with_deadline};
#[cfg(test)]
pub(crate) use queue::follows;
pub(crate) use queue::{Queue, Turn};

use crate::clock::{Clock, Timestamp};
use crate::id::{IdGenerator, StorageId, Token};
use crate::transport::Transport;
use crate::{Capabilities, Provider, Result};

pub(crate) struct Shared {
    pub provider: Arc<dyn Provider>,
    pub capabilities: Capabilities,
    pub transport: Transport,
    pub classes: Classes,
    pub limits: Limits,
    pub per_owner: Option<PerOwner>,
    pub events: Events,
    pub plain_ids: bool,
    pub queue: Queue,
    pub collecting: Collecting,
    pub ids: Arc<dyn IdGenerator>,
    pub clock: Arc<dyn Clock>,
    pub touch_after: Option<Duration>,
    pub renewal: Renewal,
    pub operation_timeout: Duration,
    pub maintenance_timeout: Duration,
}

/// The automatic renewal of ids, and the treatment of old ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Renewal {
    /// Whether any id is renewed; false for most managers.
    pub possible: bool,
    /// The age at which an id is renewed; `None` is never.
    pub every: Option<Duration>,
    /// How long a replaced id still reads and writes the session.
    pub grace: Duration,
    /// Whether the use of an old id after that ends the session.
    pub ends_on_reuse: bool,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Starts an operation on one session.
    pub(crate) fn operation(&self, name: &'static str, writes: bool) -> Operation {
        Operation::new(name, self.provider.engine(), writes, self.operation_timeout)
    }

    /// Starts an operation on all stored sessions, with the maintenance timeout.
    pub(crate) fn maintenance(&self, name: &'static str) -> Operation {
        Operation::new(name, self.provider.engine(), false, self.maintenance_timeout)
    }

    /// Returns whether a text can be a token of this manager. Other texts are never looked up.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        self.capabilities.client_side || text.len() == self.ids.length() || self.class_of(text).is_some()
    }

    /// Returns the class of the session that a token names.
    pub(crate) fn class_of(&self, token: &str) -> Option<Class> {
        if self.capabilities.client_side {
            return Some(self.classes.default_class());
        }
        self.classes.of_token(token, self.ids.length())
    }

    /// Draws the id of a session that is created or moved.
    pub(crate) fn new_id(&self, class: Class) -> Result<(Token, StorageId)> {
        // A client-side engine makes the token itself, so none is drawn.
        if self.capabilities.client_side
            && let Some(unnamed) = Token::new("unnamed")
        {
            return Ok((unnamed.clone(), StorageId::unhashed(&unnamed)));
        }
        let token = self.ids.generate()?;
        let token = match self.classes.suffix(class) {
            Some(suffix) => Token::new(&format!("{}.{suffix}", token.expose())).unwrap_or(token),
            None => token,
        };
        let id = self.storage_id(&token);
        Ok((token, id))
    }

    /// Returns the id under which the session of this token is stored.
    pub(crate) fn storage_id(&self, token: &Token) -> StorageId {
        if self.plain_ids || self.capabilities.client_side {
            StorageId::unhashed(token)
        } else {
            StorageId::of(token)
        }
    }

    /// Returns the token and id of a session after a write: a client-side engine makes new ones
    /// each time.
    pub(crate) fn named(&self, given: Option<Token>, token: Token, id: StorageId) -> (Token, StorageId) {
        match given {
            Some(given) => {
                let id = self.storage_id(&given);
                (given, id)
            }
            None => (token, id),
        }
    }

    /// Returns the minimum time between two writes that extend the idle deadline.
    pub(crate) fn touch_after(&self, idle: Duration) -> Duration {
        let default = || (idle / 10).min(Duration::from_secs(60));
        self.touch_after.unwrap_or_else(default).max(Duration::from_millis(1))
    }
}
