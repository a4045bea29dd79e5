//! Notices of changes for the caches of other processes: `NOTIFY` in the statements that write, and
//! `LISTEN` on a separate connection.
//!
//! All tables of a database share one channel. A notice is the key of a session, which is a hash.
//! Any user of the database can listen, so a raw id (of a `plain` manager) is never sent: its
//! notice means that any session may have changed.

use std::time::Duration;

use async_trait::async_trait;
use session_core::engine::{Listener, Notice, Notify};
use session_core::id::StorageId;
use session_core::{Error, ErrorKind, Result};
use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use crate::PostgresProvider;
use crate::failure::ENGINE;
use crate::request::{Arg, Request, Statement};

/// The channel of notices.
pub(crate) const CHANNEL: &str = "session_kit";
/// The timeout for opening a listener's connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// The notice that any session may have changed.
pub(crate) const EVERYTHING: &str = "*";

/// Returns the notice for a session with this key.
pub(crate) fn payload<'a>(id: &StorageId, key: &'a str) -> Arg<'a> {
    Arg::Text(if id.as_plain().is_some() { EVERYTHING } else { key })
}

impl PostgresProvider {
    /// Like [`request`](Self::request). The last argument is the notice, which is dropped if
    /// notices are off.
    pub(crate) fn notifying_request(&self, statement: &Statement, arguments: &[Arg<'_>]) -> Request {
        let without_notice = &arguments[..arguments.len() - 1];
        self.request(statement, if self.notices { arguments } else { without_notice })
    }
}

#[async_trait]
impl Notify for PostgresProvider {
    /// Opens two connections in sequence: the first finds the server that accepts writes.
    async fn listen(&self) -> Result<Box<dyn Listener>> {
        let failed = |error| self.client.not_connected("listen", error);
        let options = self.connector.options().await.map_err(failed)?;
        if self.connector.is_pooled() {
            let message =
                "notices do not work through a pooler: connect to the server directly, or turn `notices` off";
            return Err(Error::config(message).in_engine(ENGINE).during("listen"));
        }
        Ok(Box::new(Listening(open(options).await.map_err(failed)?)))
    }
}

async fn open(options: PgConnectOptions) -> sqlx::Result<PgListener> {
    // The driver creates a listener only from a pool, which would retry while a server refuses.
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).acquire_timeout(PATIENCE);
    let pool = pool.idle_timeout(None).max_lifetime(None).connect_with(options).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

struct Listening(PgListener);

#[async_trait]
impl Listener for Listening {
    async fn next(&mut self) -> Result<Notice> {
        match self.0.try_recv().await {
            Ok(Some(notification)) => Ok(match notification.payload() {
                EVERYTHING => Notice::Everything,
                key => StorageId::from_text(key).map_or(Notice::Everything, Notice::Changed),
            }),
            Ok(None) => Err(lost(None)),
            Err(error) => Err(lost(Some(error))),
        }
    }

    async fn check(&mut self) -> Result<()> {
        self.0.execute(sqlx::raw_sql("SELECT 1")).await.map(drop).map_err(|error| lost(Some(error)))
    }
}

fn lost(error: Option<sqlx::Error>) -> Error {
    let lost = Error::new(ErrorKind::Unavailable, "the connection for notices was lost");
    let lost = lost.in_engine(ENGINE).during("listen");
    match error {
        Some(error) => lost.with_source(error.to_string()),
        None => lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_id_is_never_sent() {
        let hashed = StorageId::from_hash([7; 32]);
        let raw = StorageId::plain(&"7a".repeat(32)).unwrap();
        for (id, told) in [(&hashed, hashed.to_text()), (&raw, EVERYTHING.to_owned())] {
            let key = session_sql::key(id);
            assert!(matches!(payload(id, &key), Arg::Text(text) if text == told));
        }
    }
}
