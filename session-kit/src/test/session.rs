//! A client with a session, for a request in a test.

use serde::Serialize;

use crate::flash::Level;
use crate::id::Token;
use crate::key::WriteKey;
use crate::{Error, Manager, Result, Session};

/// Builds the session of a client, as earlier requests of it would have left it.
///
/// ```
/// # async fn demo(manager: &session_kit::Manager) -> session_kit::Result<()> {
/// use session_kit::test::TestSession;
///
/// let cookie = TestSession::new(manager).sign_in("ada").set("cart", &["tea"]).cookie().await?;
/// # Ok(()) }
/// ```
///
/// What goes wrong on the way is the error of the last call ([`cookie`](Self::cookie), [`header`](Self::header),
/// [`token`](Self::token)), which stores the session: one round trip.
#[derive(Debug)]
#[must_use = "nothing is stored before `cookie`, `header` or `token`"]
pub struct TestSession {
    manager: Manager,
    session: Result<Session>,
}

impl TestSession {
    /// Begins a session of the application's manager.
    pub fn new(manager: &Manager) -> Self {
        Self { manager: manager.clone(), session: Ok(manager.create()) }
    }

    /// Sets a value; see [`Session::set`].
    pub fn set<V: Serialize + ?Sized>(self, key: impl WriteKey<V>, value: &V) -> Self {
        self.with(|session| session.set(key, value))
    }

    /// Gives it an owner; see [`Session::sign_in`].
    pub fn sign_in(self, user_id: &str) -> Self {
        self.with(|session| session.sign_in(user_id))
    }

    /// Gives it a class of the manager; see [`Session::set_class`].
    pub fn class(self, name: &str) -> Self {
        self.with(|session| session.set_class(name))
    }

    /// Leaves a message; see [`Session::flash`].
    pub fn flash<T: Serialize + ?Sized>(self, level: Level, message: &T) -> Self {
        self.with(|session| session.flash(level, message))
    }

    /// Changes it in any other way.
    pub fn with(self, change: impl FnOnce(&Session) -> Result<()>) -> Self {
        let session = self.session.and_then(|session| change(&session).map(|()| session));
        Self { session, ..self }
    }

    /// Stores the session, and gives its token.
    ///
    /// [`Config`](crate::ErrorKind::Config) when there is nothing to store: such a session has no token.
    pub async fn token(self) -> Result<Token> {
        let session = self.session?;
        session.release().await?;
        let empty = "a session without values and without an owner is not stored: call `set` or `sign_in`";
        session.token().ok_or_else(|| Error::config(empty))
    }

    /// Stores the session, and gives the `Cookie` header of its client's next request.
    ///
    /// [`Config`](crate::ErrorKind::Config) when the manager uses no cookie.
    pub async fn cookie(self) -> Result<String> {
        let name = self.manager.transport().cookie_name().map(ToOwned::to_owned);
        let name = name.ok_or_else(|| Error::config("this manager uses no cookie: ask for `header`"))?;
        Ok(format!("{name}={}", self.token().await?.expose()))
    }

    /// Stores the session, and gives the name and the value of the header in which its client sends the token.
    ///
    /// [`Config`](crate::ErrorKind::Config) when the manager uses no such header.
    pub async fn header(self) -> Result<(String, String)> {
        let name = self.manager.transport().header_name().map(ToOwned::to_owned);
        let name = name.ok_or_else(|| Error::config("this manager uses no header: ask for `cookie`"))?;
        Ok((name, self.token().await?.expose().to_owned()))
    }
}
