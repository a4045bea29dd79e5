//! The live session behind an object-safe interface over encoded values.

use async_trait::async_trait;

use super::Session;
use crate::Result;
use crate::id::Token;
use crate::record::Value;

/// The session of one request, as code sees it that does not know the types of the values.
///
/// There is one implementation, [`Session`], for every engine: it is what keeps the guarantees.
/// Handlers use its typed methods.
#[async_trait]
pub trait Store: Send + Sync {
    /// The value under a key. No I/O.
    fn get(&self, key: &str) -> Option<Value>;
    /// Sets the value under a key, to be stored at the release. No I/O.
    fn set(&self, key: &str, value: Value) -> Result<()>;
    /// Deletes a key. No I/O.
    fn delete(&self, key: &str) -> Result<()>;
    /// Deletes every key. No I/O.
    fn flush(&self) -> Result<()>;
    /// What the client holds, once the session is stored; see [`Session::token`].
    fn id(&self) -> Option<Token>;
    /// Stores what changed: creates or updates, never resurrects; see [`Session::release`].
    async fn release(&self) -> Result<()>;
    /// Stores what changed, but creates nothing; see [`Session::release_if_present`].
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
