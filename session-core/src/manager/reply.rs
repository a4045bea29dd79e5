//! Derives the session's part of a response from the token that the client presented and the
//! session that is live now.

use std::borrow::Cow;
use std::fmt;

use crate::Result;
use crate::live::{State, Stored};
use crate::session::Session;
use crate::transport::{CookieContext, SET_COOKIE, TokenHeaders};

/// The session's part of a response.
#[derive(Default)]
#[non_exhaustive]
pub struct Reply {
    /// The headers that set or remove the client's token: name and value. Each replaces any header
    /// of the same name (`set-cookie`, in lower case: any of the same cookie).
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The handler used the session: the response is `private` and varies by the token's header.
    pub loaded: bool,
    /// The response carries a token: no cache may store it.
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

    /// Builds the reply for the current state of a session: nothing if the client has the token of
    /// the live session, that token if it has another one or none, and its removal if the session
    /// was ended.
    pub(super) fn of(session: &Session, by_url: bool, context: &CookieContext) -> Result<Self> {
        let shared = &session.0.shared;
        let state = session.0.state();
        let State { stored, held, held_until, ended, .. } = &*state;
        // A persistent cookie has the end of the session as its Max-Age, so it is set again when
        // that is later.
        let is_longer = |stored: &Stored| {
            stored.record.header.absolute > *held_until && shared.is_persistent(stored.class)
        };
        match stored {
            Some(stored) if held.as_ref() == Some(&stored.token) && !is_longer(stored) => Ok(Self::loaded()),
            // A token from a URL, and its replacement, never become a cookie: a link could log its
            // victim in.
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

/// Prints the names of the headers, but never a token.
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
