//! Connections kept ready for the next statement.
//!
//! `deadpool` keeps them, in last-in-first-out order. What it is told here:
//!
//! - A connection that answered a moment ago is not pinged, which `sqlx::Pool` does after every
//!   use.
//! - A [`Lease`] that is dropped without [`Lease::keep`] was cancelled, and its answer is unread.
//!   The connection counts as in use until the server has answered, so that the limit holds on the
//!   server too. It is used again only when it is proven that nothing is left unread.
//! - A connection that fails takes all idle ones with it: one error tells that the server has gone.
//! - A connection is opened on a task of its own, so that callers with little patience get one in
//!   the end.

mod backoff;
mod manager;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool::managed::{self, Object, PoolError, QueueMode};
use rustls::crypto::{CryptoProvider, ring};
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Database, Error};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use crate::Driver;
use crate::connect::Connect;
use manager::{Connections, PATIENCE, Shared};

/// Connections beyond what the load needs are closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);
/// How long the server may take to answer a call that was given up. Longer than the limits on
/// statements that the engines set, so that it passes only when the server or the network hangs.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// More connections than this are not opened, whatever is configured.
pub(crate) const MOST: u32 = 4096;

type Kept<DB> = managed::Pool<Connections<DB>>;

/// Up to a fixed number of connections to one server. Cloning shares them.
pub struct Pool<DB: Database>(Source<DB>);

enum Source<DB: Database> {
    Own(Kept<DB>),
    /// The application's pool: what it opens, pings and closes is its own business.
    Given(Arc<Given<DB>>),
}

struct Given<DB: Database> {
    pool: sqlx::Pool<DB>,
    connect: Arc<dyn Connect<DB>>,
    examined: OnceCell<()>,
}

/// How many connections a pool has, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// How many there may be.
    pub max: usize,
    /// How many run a statement, or wait for the answer to one that was given up.
    pub in_use: usize,
    /// How many wait for a statement.
    pub idle: usize,
    /// How many statements wait for a connection. Zero for an application's own pool, which does
    /// not tell.
    pub waiting: usize,
    /// How many were opened so far. Zero for an application's own pool.
    pub opened: u64,
    /// How many attempts to open one have failed so far. Zero for an application's own pool.
    pub failed: u64,
}

impl<DB: Database> Pool<DB> {
    /// A pool of its own; opens nothing yet.
    #[allow(clippy::missing_panics_doc)] // it cannot, see below
    pub fn new(
        connect: Arc<dyn Connect<DB>>,
        driver: &'static Driver<DB>,
        max_connections: u32,
        connect_timeout: Duration,
    ) -> Self {
        // For the check of a certificate without its name, sqlx takes the process' provider of
        // cryptography, and panics when there is none and another crate of the application has
        // brought a second one.
        if CryptoProvider::get_default().is_none() {
            let _ = ring::default_provider().install_default();
        }
        let shared = Shared::new(connect, connect_timeout, driver);
        let max = usize::try_from(max_connections.clamp(1, MOST)).unwrap_or(1);
        let pool = Kept::builder(Connections(Arc::new(shared))).max_size(max).queue_mode(QueueMode::Lifo);
        // It fails only for a pool with timeouts and no runtime.
        Self(Source::Own(pool.build().expect("a pool without timeouts")))
    }

    /// The application's pool. It pings the server when a connection is taken (unless
    /// `test_before_acquire` is off) and when it is given back (always), which costs up to two more
    /// round trips per operation.
    pub fn given(pool: sqlx::Pool<DB>, connect: Arc<dyn Connect<DB>>) -> Self {
        Self(Source::Given(Arc::new(Given { pool, connect, examined: OnceCell::new() })))
    }

    /// Whether it is an application's own pool, whose connections have the application's settings.
    pub const fn is_given(&self) -> bool {
        matches!(self.0, Source::Given(_))
    }

    /// A connection for one statement: a kept one, or a new one. Waits while all are in use.
    pub async fn lease(&self) -> Result<Lease<DB>, Error> {
        // Apart: they are large, and every statement would carry the room for them.
        let held = match &self.0 {
            Source::Own(own) => Held::Own(Box::pin(own.get()).await.map_err(closed)?),
            Source::Given(given) => Held::Given(Box::pin(given.lease()).await?, Arc::clone(&given.connect)),
        };
        Ok(Lease { held: Some(held) })
    }

    /// How many connections there are, and what became of them.
    pub fn status(&self) -> PoolStatus {
        match &self.0 {
            Source::Own(own) => {
                let (status, shared) = (own.status(), &own.manager().0);
                PoolStatus {
                    max: status.max_size,
                    in_use: status.size - status.available,
                    idle: status.available,
                    waiting: status.waiting,
                    opened: shared.opened.load(Ordering::Relaxed),
                    failed: shared.failed.load(Ordering::Relaxed),
                }
            }
            Source::Given(given) => {
                let size = usize::try_from(given.pool.size()).unwrap_or(usize::MAX);
                let idle = given.pool.num_idle().min(size);
                let max = usize::try_from(given.pool.options().get_max_connections()).unwrap_or(usize::MAX);
                PoolStatus { max, in_use: size - idle, idle, waiting: 0, opened: 0, failed: 0 }
            }
        }
    }

    /// Closes the connections as the server likes it, those in use when their statement has ended.
    /// From now on no statement gets one. An application's own pool stays open.
    pub async fn close(&self) {
        let Source::Own(own) = &self.0 else { return };
        let shared = &own.manager().0;
        shared.closed.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        while begun.elapsed() < DRAIN_TIMEOUT {
            shared.close_parked();
            drop(own.retain(|_, _| false));
            if own.status().size == 0 {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        own.close();
        // The goodbyes are said on tasks of their own.
        sleep(Duration::from_millis(20)).await;
    }
}

fn closed(error: PoolError<Error>) -> Error {
    match error {
        PoolError::Backend(error) => error,
        _ => Error::PoolClosed,
    }
}

impl<DB: Database> Given<DB> {
    async fn lease(&self) -> Result<PoolConnection<DB>, Error> {
        self.examined.get_or_try_init(|| self.connect.examine(&self.pool)).await?;
        self.pool.acquire().await
    }
}

/// A connection in use. Dropping it means that its answer may be unread: it stays in use until the
/// server has answered.
pub struct Lease<DB: Database> {
    /// Taken when it is given back or closed.
    held: Option<Held<DB>>,
}

enum Held<DB: Database> {
    Own(Object<Connections<DB>>),
    Given(PoolConnection<DB>, Arc<dyn Connect<DB>>),
}

impl<DB: Database> Lease<DB> {
    /// The connection.
    pub fn connection(&mut self) -> Result<&mut DB::Connection, Error> {
        match &mut self.held {
            Some(Held::Own(entry)) => entry.connection(),
            Some(Held::Given(connection, _)) => Ok(connection),
            None => Err(Error::PoolClosed), // only what consumes the lease takes it
        }
    }

    /// Gives the connection back. To be called only when the statement was answered to its end.
    pub fn keep(mut self) {
        match self.held.take() {
            Some(Held::Own(entry)) => give_back(entry),
            Some(Held::Given(connection, _)) => drop(connection),
            None => {}
        }
    }

    /// Closes the connection, which has failed, and all others that are not in use: when a server
    /// restarts, one error is enough to know.
    pub fn broken(mut self) {
        match self.held.take() {
            Some(Held::Own(entry)) => {
                if let Some(pool) = Object::pool(&entry)
                    && pool.manager().0.distrust(entry.generation())
                {
                    drop(pool.retain(|entry, _| pool.manager().0.is_of_now(entry)));
                }
                drop(Object::take(entry));
            }
            Some(Held::Given(connection, _)) => drop(connection.detach()),
            None => {}
        }
    }

    /// Closes the connection, which is sound but of no use any more.
    pub fn close(mut self) {
        if let Some(held) = self.held.take() {
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(held.close())),
                Err(_) => held.cut(),
            }
        }
    }
}

fn give_back<DB: Database>(mut entry: Object<Connections<DB>>) {
    let now = std::time::Instant::now();
    let Some(pool) = Object::pool(&entry) else { return };
    let shared = &pool.manager().0;
    if shared.closed.load(Ordering::SeqCst) || !shared.is_of_now(&entry) {
        // `deadpool` closes what is detached.
        drop(Object::take(entry));
        return;
    }
    entry.answered = now;
    drop(entry);
    if shared.may_prune(now) {
        drop(pool.retain(|entry, _| now.saturating_duration_since(entry.answered) < IDLE_TIMEOUT));
    }
}

impl<DB: Database> Held<DB> {
    /// Closes, and only then gives its place in the pool to another.
    async fn close(self) {
        match self {
            Self::Own(mut entry) => {
                entry.close().await;
                drop(Object::take(entry));
            }
            Self::Given(connection, _) => drop(connection.close().await),
        }
    }

    /// Waits until the server has answered what was asked last.
    async fn drain(mut self) {
        match timeout(DRAIN_TIMEOUT, self.is_in_step()).await {
            Ok(true) => match self {
                Self::Own(entry) => give_back(entry),
                Self::Given(connection, _) => drop(connection),
            },
            Ok(false) => self.close().await,
            // Nothing more is heard of it; to say goodbye might take as long.
            Err(_) => self.cut(),
        }
    }

    /// Whether every answer was read, as far as the driver knows and then by an answer that can be
    /// no other's.
    async fn is_in_step(&mut self) -> bool {
        let (connection, connect) = match self {
            Self::Own(entry) => {
                let Some(pool) = Object::pool(entry) else { return false };
                let connect = Arc::clone(&pool.manager().0.connect);
                match entry.connection() {
                    Ok(connection) => (connection, connect),
                    Err(_) => return false,
                }
            }
            Self::Given(connection, connect) => (&mut **connection, Arc::clone(connect)),
        };
        // What was asked last may have failed: the server has answered all the same.
        if !matches!(connection.ping().await, Ok(()) | Err(Error::Database(_))) {
            return false;
        }
        let number = i64::from(rand::random::<u32>());
        matches!(timeout(PATIENCE, connect.echo(connection, number)).await, Ok(Ok(same)) if same == number)
    }

    fn cut(self) {
        match self {
            Self::Own(mut entry) => {
                entry.connection = None;
                drop(Object::take(entry));
            }
            Self::Given(connection, _) => drop(connection.detach()),
        }
    }
}

impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if let Held::Own(entry) = &held
            && let Some(pool) = Object::pool(entry)
        {
            pool.manager().0.doubt();
        }
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(held.drain())),
            Err(_) => held.cut(),
        }
    }
}

impl<DB: Database> Clone for Pool<DB> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Source::Own(own) => Source::Own(own.clone()),
            Source::Given(given) => Source::Given(Arc::clone(given)),
        })
    }
}

/// Says nothing of the connection options, which hold a password.
impl<DB: Database> fmt::Debug for Pool<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.status()).finish()
    }
}

impl<DB: Database> fmt::Debug for Lease<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
