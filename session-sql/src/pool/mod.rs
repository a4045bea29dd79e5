//! A pool of open connections.
//!
//! `deadpool` keeps them in last-in-first-out order, with these rules:
//!
//! - A recently used connection is not pinged, unlike in `sqlx::Pool`, which pings after every use.
//! - A [`Lease`] dropped without [`Lease::keep`] was cancelled, and its response is unread. The
//!   connection counts as in use until the server has responded, so that the limit also holds on
//!   the server. It is reused only once nothing can be left unread.
//! - When a connection fails, all idle ones are closed: callers see one error, not one per
//!   connection.
//! - Connections are opened on their own task, so that callers with a short timeout eventually get
//!   one.

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

/// Surplus idle connections are closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);
/// How long the server may take to respond to a cancelled call. Longer than the engines' statement
/// limits, so it expires only if the server or the network hangs.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// The upper limit of the configured number of connections.
pub(crate) const MOST: u32 = 4096;

type Kept<DB> = managed::Pool<Connections<DB>>;

/// A limited number of connections to one server. Clones share them.
pub struct Pool<DB: Database>(Source<DB>);

enum Source<DB: Database> {
    Own(Kept<DB>),
    /// The application's pool, which opens, pings and closes by its own rules.
    Given(Arc<Given<DB>>),
}

struct Given<DB: Database> {
    pool: sqlx::Pool<DB>,
    connect: Arc<dyn Connect<DB>>,
    examined: OnceCell<()>,
}

/// The state of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The maximum number of connections.
    pub max: usize,
    /// Connections that run a statement, or wait for the response to a cancelled one.
    pub in_use: usize,
    /// Idle connections.
    pub idle: usize,
    /// Statements that wait for a connection. Zero for an application's own pool, which does not
    /// report it.
    pub waiting: usize,
    /// Connections opened so far. Zero for an application's own pool.
    pub opened: u64,
    /// Failed attempts to open a connection so far. Zero for an application's own pool.
    pub failed: u64,
}

impl<DB: Database> Pool<DB> {
    /// A new pool without open connections.
    #[allow(clippy::missing_panics_doc)] // it cannot, see below
    pub fn new(
        connect: Arc<dyn Connect<DB>>,
        driver: &'static Driver<DB>,
        max_connections: u32,
        connect_timeout: Duration,
    ) -> Self {
        // To check a certificate without its name, sqlx uses the process's crypto provider, and
        // panics if none is installed and another crate of the application brings a second one.
        if CryptoProvider::get_default().is_none() {
            let _ = ring::default_provider().install_default();
        }
        let shared = Shared::new(connect, connect_timeout, driver);
        let max = usize::try_from(max_connections.clamp(1, MOST)).unwrap_or(1);
        let pool = Kept::builder(Connections(Arc::new(shared))).max_size(max).queue_mode(QueueMode::Lifo);
        // This fails only for a pool with timeouts and no runtime.
        Self(Source::Own(pool.build().expect("a pool without timeouts")))
    }

    /// The application's pool. It pings the server when a connection is taken (unless
    /// `test_before_acquire` is off) and when it is given back (always), which costs up to two more
    /// round trips per operation.
    pub fn given(pool: sqlx::Pool<DB>, connect: Arc<dyn Connect<DB>>) -> Self {
        Self(Source::Given(Arc::new(Given { pool, connect, examined: OnceCell::new() })))
    }

    /// Whether this is an application's own pool, with the application's settings.
    pub const fn is_given(&self) -> bool {
        matches!(self.0, Source::Given(_))
    }

    /// A connection for one statement: an idle or a new one. Waits while all are in use.
    pub async fn lease(&self) -> Result<Lease<DB>, Error> {
        // Boxed: these futures are large, and every statement's future would include them.
        let held = match &self.0 {
            Source::Own(own) => Held::Own(Box::pin(own.get()).await.map_err(closed)?),
            Source::Given(given) => Held::Given(Box::pin(given.lease()).await?, Arc::clone(&given.connect)),
        };
        Ok(Lease { held: Some(held), reusable: true })
    }

    /// The state of the pool.
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

    /// Closes the connections cleanly, those in use when their statement has ended. From now on no
    /// statement gets one. An application's own pool stays open.
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
        // Connections are closed on their own tasks.
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

/// A connection in use. When dropped, its response may be unread: it stays in use until the server
/// has responded.
pub struct Lease<DB: Database> {
    /// Taken when it is returned or closed.
    held: Option<Held<DB>>,
    reusable: bool,
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
            None => Err(Error::PoolClosed), // taken only by methods that consume the lease
        }
    }

    /// Makes the connection one that is closed after its use, also when the lease is dropped: its
    /// settings are changed, or it holds a lock of the session.
    pub const fn never_reuse(&mut self) {
        self.reusable = false;
    }

    /// Returns the connection. Call it only after the complete response was read.
    pub fn keep(mut self) {
        if !self.reusable {
            return self.close();
        }
        match self.held.take() {
            Some(Held::Own(entry)) => give_back(entry),
            Some(Held::Given(connection, _)) => drop(connection),
            None => {}
        }
    }

    /// Closes the failed connection and all idle ones: after a server's restart one error is
    /// enough.
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

    /// Closes the connection, which works but is no longer useful.
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
        // `deadpool` closes a detached connection.
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
    /// Closes, and only then frees its slot in the pool.
    async fn close(self) {
        match self {
            Self::Own(mut entry) => {
                entry.close().await;
                drop(Object::take(entry));
            }
            Self::Given(connection, _) => drop(connection.close().await),
        }
    }

    /// Waits until the server has responded to the last statement.
    async fn drain(mut self, reusable: bool) {
        match timeout(DRAIN_TIMEOUT, self.is_in_step()).await {
            Ok(true) if reusable => match self {
                Self::Own(entry) => give_back(entry),
                Self::Given(connection, _) => drop(connection),
            },
            Ok(_) => self.close().await,
            // The server does not respond; a clean close might take as long.
            Err(_) => self.cut(),
        }
    }

    /// Whether every response was read, according to the driver and to a query with an unmistakable
    /// response.
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
        // The last statement may have failed; the server has responded nevertheless.
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
            Ok(runtime) => drop(runtime.spawn(held.drain(self.reusable))),
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

/// Omits the connection options, which contain a password.
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
