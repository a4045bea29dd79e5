//! How a new connection is opened, and with which user and password.

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;
use session_core::{ErrorKind, Secret};
use sqlx::{Database, Error};

/// Opens connections for a [`Pool`](crate::Pool). Each engine has one.
#[async_trait]
pub trait Connect<DB: Database>: Send + Sync + 'static {
    /// Opens one connection and gives it the session settings that the statements rely on.
    ///
    /// A server that cannot be used, such as a replica, is an [`unfit`] error.
    async fn open(&self) -> Result<DB::Connection, Error>;

    /// Looks at an application's pool, once before its first use. The settings of its connections
    /// are the application's: those that would lose writes are refused here.
    async fn examine(&self, pool: &sqlx::Pool<DB>) -> Result<(), Error>;

    /// Asks the server for this number, as a constant, and says what came back. Answers come in the
    /// order of the questions: one that brings the number proves that no earlier one is left
    /// unread.
    async fn echo(&self, connection: &mut DB::Connection, number: i64) -> Result<i64, Error>;
}

/// Gives user and password for each new connection: tokens that expire, secrets that are rotated.
///
/// Asked once per new connection, within the time that opening a connection may take. Connections
/// that are open stay open. An async closure is one:
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
    /// User and password for one connection. An error means that no connection can be opened now.
    async fn credentials(&self) -> Result<Credential, Box<dyn StdError + Send + Sync>>;
}

/// With what a connection logs in.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The user; the configured one when there is none.
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

/// An error that an engine found itself: the driver and the server had nothing to complain of.
pub fn unfit(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::AnyDriverError(Box::new(Unfit { kind, message: message.into() }))
}

/// A server or connection that cannot be used, and why.
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
