//! What a response owes to the session: derived from what the client presented and what is live now.

use std::borrow::Cow;
use std::fmt;

use crate::Result;
use crate::live::{State, Stored};
use crate::session::Session;
use crate::transport::{CookieContext, SET_COOKIE, TokenHeaders};

/// What a response owes to the session.
#[derive(Default)]
#[non_exhaustive]
pub struct Reply {
    /// The headers that hand the token to the client or take it away: name and value. Each replaces any of the
    /// same name (`set-cookie`, in lower case: of the same cookie).
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The handler looked at the session: the response is `private` and varies by the token's header.
    pub loaded: bool,
    /// The response carries a token: it must not be stored by any cache.
    pub sets_token: bool,
}

impl Reply {
    fn loaded() -> Self {
        Self { loaded: true, ..Self::default() }
    }

    fn carrying(headers: TokenHeaders<'_>) -> Self {
        let name = |name: &str| if name == SET_COOKIE { SET_COOKIE.into() } else { name.to_owned().into() };
        let headers = headers.map(|(header, value)| (name(header), value)).collect();
        Self { headers, loaded: true, sets_token: true }
    }

    /// What the response owes to a session, as it is now: nothing when the client holds the token of the session
    /// that is live, that token when it holds another one or none, and its removal when its session was ended.
    pub(super) fn of(session: &Session, by_url: bool, context: &CookieContext) -> Result<Self> {
        let shared = &session.0.shared;
        let state = session.0.state();
        let State { stored, held, held_until, ended, .. } = &*state;
        // A cookie that outlives the browser knows when the session ends, and must learn of a longer life.
        let is_longer = |stored: &Stored| {
            stored.record.header.absolute > *held_until && shared.is_persistent(stored.class)
        };
        match stored {
            Some(stored) if held.as_ref() == Some(&stored.token) && !is_longer(stored) => Ok(Self::loaded()),
            // An id from a URL, and what it is replaced with, never becomes a cookie: a link could log its victim in.
            Some(_) if by_url => Ok(Self { sets_token: true, ..Self::loaded() }),
            Some(stored) => {
                let left = || stored.record.header.absolute.since(shared.now());
                let max_age = shared.is_persistent(stored.class).then(left);
                Ok(Self::carrying(shared.transport.hand_out(&stored.token, max_age, context)?))
            }
            None if *ended => Ok(Self::carrying(shared.transport.remove(context))),
            None => Ok(Self::loaded()),
        }
    }
}

/// Prints the names of the headers and never a token.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Reply")
            .field("headers", &names)
            .field("loaded", &self.loaded)
            .field("sets_token", &self.sets_token)
            .finish()
    }
}
