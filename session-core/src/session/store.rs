//! An object-safe interface to the live session, over encoded values.

use async_trait::async_trait;

use super::Session;
use crate::Result;
use crate::id::Token;
use crate::record::Value;

/// The session of one request, for code that does not know the types of the values.
///
/// [`Session`] is the only implementation, for every engine, because it upholds the guarantees.
/// Handlers use its typed methods.
#[async_trait]
pub trait Store: Send + Sync {
    /// Returns the value of a key. No I/O.
    fn get(&self, key: &str) -> Option<Value>;
    /// Sets the value of a key, to be stored at the release. No I/O.
    fn set(&self, key: &str, value: Value) -> Result<()>;
    /// Deletes a key. No I/O.
    fn delete(&self, key: &str) -> Result<()>;
    /// Deletes every key. No I/O.
    fn flush(&self) -> Result<()>;
    /// Returns the client's token, once the session is stored; see [`Session::token`].
    fn id(&self) -> Option<Token>;
    /// Stores the changes: creates or updates, never resurrects; see [`Session::release`].
    async fn release(&self) -> Result<()>;
    /// Stores the changes, but creates nothing; see [`Session::release_if_present`].
    async fn release_if_present(&self) -> Result<()>;
}

#[async_trait]
impl Store for Session {
    fn get(&self, key: &str) -> Option<Value> {
        self.value(key)
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.set_value(key, value)
    }

    fn delete(&self, key: &str) -> Result<()> {
        Self::delete(self, key).map(|_| ())
    }

    fn flush(&self) -> Result<()> {
        Self::flush(self)
    }

    fn id(&self) -> Option<Token> {
        self.token()
    }

    async fn release(&self) -> Result<()> {
        Self::release(self).await
    }

    async fn release_if_present(&self) -> Result<()> {
        Self::release_if_present(self).await
    }
}
