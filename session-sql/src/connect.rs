//! Opens new connections, with the user and password of the moment.

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;
use session_core::{ErrorKind, Secret};
use sqlx::{Database, Error};

/// Opens connections for a [`Pool`](crate::Pool). Each engine has one.
#[async_trait]
pub trait Connect<DB: Database>: Send + Sync + 'static {
    /// Opens one connection and applies the session settings that the statements rely on.
    ///
    /// An [`unfit`] error for a server that cannot be used, such as a replica.
    async fn open(&self) -> Result<DB::Connection, Error>;

    /// Checks an application's pool once, before its first use. The application owns the settings
    /// of its connections: those that would lose writes are refused here.
    async fn examine(&self, pool: &sqlx::Pool<DB>) -> Result<(), Error>;

    /// Selects this number as a constant and returns the response. Responses arrive in order: one
    /// with this number proves that no earlier one is left unread.
    async fn echo(&self, connection: &mut DB::Connection, number: i64) -> Result<i64, Error>;
}

/// Provides user and password for each new connection, for tokens that expire and secrets that are
/// rotated.
///
/// Called once per new connection, within its connect timeout. Open connections are kept. An async
/// closure implements it:
///
/// ```
/// use session_core::Secret;
/// use session_sql::{Credential, Credentials};
///
/// let hook = || async { Ok(Credential::password(Secret::new("a token of this hour"))) };
/// # fn takes(_: impl Credentials) {}
/// # takes(hook);
/// ```
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// User and password for one connection. After an error no connection can be opened now.
    async fn credentials(&self) -> Result<Credential, Box<dyn StdError + Send + Sync>>;
}

/// The login of a connection.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The user; `None` is the configured one.
    pub user: Option<String>,
    /// The password or token.
    pub password: Secret,
}

impl Credential {
    /// A password for the configured user.
    pub const fn password(password: Secret) -> Self {
        Self { user: None, password }
    }
}

#[async_trait]
impl<F, A> Credentials for F
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = Result<Credential, Box<dyn StdError + Send + Sync>>> + Send,
{
    async fn credentials(&self) -> Result<Credential, Box<dyn StdError + Send + Sync>> {
        self().await
    }
}

/// An error detected by the engine, not by the driver or the server.
pub fn unfit(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::AnyDriverError(Box::new(Unfit { kind, message: message.into() }))
}

/// The error for a server or connection that cannot be used, with the reason.
#[derive(Debug, Clone)]
pub(crate) struct Unfit {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Unfit {
    pub(crate) fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::AnyDriverError(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Unfit {}
