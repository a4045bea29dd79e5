//! Connections from an application's `deadpool-redis` pool.
//!
//! An object is taken for each of the few shared connections, not for each call, because the pool
//! pings the server each time. Its multiplexed connection is cloned for each call, and the object
//! is returned when the provider is dropped. An object whose connection broke, hung, or led to a
//! replica is removed from the pool, which makes a new one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::{Connection as Object, Pool, PoolError};
use redis::aio::MultiplexedConnection;
use session_core::ErrorKind;

use crate::config::RESPONSE_TIMEOUT;
use crate::connection::{Connection, State};
use crate::error::Fault;
use crate::link::Connect;

/// A pool's object, held as long as its connection is used.
pub(crate) struct Lease(Object);

impl Lease {
    /// Removes the connection from the pool.
    pub fn discard(self) {
        drop(Object::take(self.0));
    }
}

/// Connects to the server of a pool.
pub(crate) struct Pooled {
    pool: Pool,
}

impl Pooled {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Connect for Pooled {
    async fn connect(&self) -> Result<Connection, Fault> {
        let object = self.pool.get().await.map_err(fault)?;
        let mut driver: MultiplexedConnection = object.as_ref().clone();
        // This detects a hanging server, whatever the settings of the pool's connections.
        driver.set_response_timeout(RESPONSE_TIMEOUT);
        Ok(Connection::new(driver, Arc::new(State::leased(Lease(object)))))
    }

    /// Takes no object that other callers wait for: without a free one it opens no further
    /// connection.
    async fn another(&self, _existing: &Connection) -> Result<Connection, Fault> {
        let status = self.pool.status();
        if status.waiting > 0 || (status.available == 0 && status.size >= status.max_size) {
            return Err(Fault::unavailable("the pool has no object to spare"));
        }
        self.connect().await
    }
}

impl fmt::Display for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool's server")
    }
}

fn fault(error: PoolError) -> Fault {
    match error {
        PoolError::Backend(error) => Fault::connecting(&error),
        PoolError::Timeout(_) => Fault::unavailable(
            "the pool had no free connection in time: sessions use up to two, so increase its size",
        ),
        PoolError::NoRuntimeSpecified => Fault::new(
            ErrorKind::Config,
            "the pool has timeouts but no runtime: build it with `Runtime::Tokio1`",
        ),
        _ => Fault::unavailable("the pool returned no connection"),
    }
}
