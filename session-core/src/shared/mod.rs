//! What all sessions of one manager share: the engine, the configuration, and what one process knows of its
//! sessions. It knows no session and no request.

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

/// When ids are renewed without being asked, and what an old one is good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Renewal {
    /// Whether any id is renewed, which most managers do not do.
    pub possible: bool,
    /// After how long an id is renewed; `None` is never.
    pub every: Option<Duration>,
    /// For how long an id that was renewed still reads and writes the session.
    pub grace: Duration,
    /// Whether an old id that comes after that ends the session.
    pub ends_on_reuse: bool,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Something that is asked for one session.
    pub(crate) fn operation(&self, name: &'static str, writes: bool) -> Operation {
        Operation::new(name, self.provider.engine(), writes, self.operation_timeout)
    }

    /// Work over everything that is stored, which has a deadline of its own.
    pub(crate) fn maintenance(&self, name: &'static str) -> Operation {
        Operation::new(name, self.provider.engine(), false, self.maintenance_timeout)
    }

    /// Whether a text can be a token that this manager gave out. What cannot is never looked up.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        self.capabilities.client_side || text.len() == self.ids.length() || self.class_of(text).is_some()
    }

    /// The class of the session that a token names.
    pub(crate) fn class_of(&self, token: &str) -> Option<Class> {
        if self.capabilities.client_side {
            return Some(self.classes.default_class());
        }
        self.classes.of_token(token, self.ids.length())
    }

    /// Draws the id of a session that begins, or moves.
    pub(crate) fn new_id(&self, class: Class) -> Result<(Token, StorageId)> {
        // An engine that leaves the record with the client names the session itself: nothing is drawn for it.
        if let (true, Some(unnamed)) = (self.capabilities.client_side, Token::new("unnamed")) {
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

    /// Under which name the session of this token is stored.
    pub(crate) fn storage_id(&self, token: &Token) -> StorageId {
        if self.plain_ids || self.capabilities.client_side {
            StorageId::unhashed(token)
        } else {
            StorageId::of(token)
        }
    }

    /// The name of a session after a write: a client-side engine gives a new one each time.
    pub(crate) fn named(&self, given: Option<Token>, token: Token, id: StorageId) -> (Token, StorageId) {
        match given {
            Some(given) => {
                let id = self.storage_id(&given);
                (given, id)
            }
            None => (token, id),
        }
    }

    /// How long the idle deadline may stay where it is before a write moves it.
    pub(crate) fn touch_after(&self, idle: Duration) -> Duration {
        let default = || (idle / 10).min(Duration::from_secs(60));
        self.touch_after.unwrap_or_else(default).max(Duration::from_millis(1))
    }
}
