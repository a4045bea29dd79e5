//! User and password: fixed, or requested for each connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use session_core::{Result, Secret};

/// A user and a password, either of which may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub user: String,
    pub password: Secret,
}

type Answer = Pin<Box<dyn Future<Output = Result<(String, Secret)>> + Send>>;

/// Returns the user and the password for each new connection.
#[derive(Clone)]
pub(crate) struct Credentials(Arc<dyn Fn() -> Answer + Send + Sync>);

impl Credentials {
    pub fn new<F, A>(ask: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<(String, Secret)>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(ask())))
    }

    /// Returns the current login.
    pub async fn login(&self) -> Result<Login> {
        let (user, password) = (self.0)().await?;
        Ok(Login { user, password })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Compares the closures by identity.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Credentials {}
