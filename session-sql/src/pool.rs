//! Connections kept ready for the next statement.
//!
//! Safe by default: a [`Lease`] that is dropped closes its connection. Only [`Lease::keep`], called when the
//! statement was answered to its end, gives it back; so a call that was cancelled at any await never leaves a
//! connection with an unread answer behind. No ping is sent to a connection that has answered a moment ago.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::crypto::{CryptoProvider, ring};
use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Database, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// A connection that has not answered for this long is pinged before it is used: the server, or a firewall on
/// the way, may have closed it meanwhile.
const PING_AFTER: Duration = Duration::from_secs(30);
/// How long such a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections beyond what the load needs are closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);
/// No connection gets older, so that a changed address, password or server setting reaches all of them.
const MAX_LIFETIME: Duration = Duration::from_mins(30);

type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// Up to a fixed number of connections to one server. Cloning shares them.
pub struct Pool<DB: Database>(Source<DB>);

enum Source<DB: Database> {
    Own(Arc<Own<DB>>),
    /// The application's pool: what it opens, pings and closes is its own business.
    Given(sqlx::Pool<DB>),
}

struct Own<DB: Database> {
    options: Options<DB>,
    connect_timeout: Duration,
    permits: Arc<Semaphore>,
    state: Mutex<State<DB::Connection>>,
}

struct State<C> {
    /// Used from the back, so that connections beyond the load's need come to lie at the front.
    idle: VecDeque<Entry<C>>,
    /// Grows when a connection is found broken: those of an older generation are not used again.
    generation: u64,
    /// When a call was last given up while it waited for an answer: who answered before that is asked again.
    doubt: Option<Instant>,
}

struct Entry<C> {
    connection: C,
    opened: Instant,
    answered: Instant,
    generation: u64,
}

impl<DB: Database> Pool<DB> {
    /// A pool of its own; opens nothing yet.
    pub fn new(options: Options<DB>, max_connections: u32, connect_timeout: Duration) -> Self {
        // For the check of a certificate without its name, sqlx takes the process' provider of cryptography,
        // and panics when there is none and another crate of the application has brought a second one.
        if CryptoProvider::get_default().is_none() {
            let _ = ring::default_provider().install_default();
        }
        let permits = usize::try_from(max_connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Source::Own(Arc::new(Own {
            options: options.disable_statement_logging(),
            connect_timeout,
            permits: Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS))),
            state: Mutex::new(State { idle: VecDeque::new(), generation: 0, doubt: None }),
        })))
    }

    /// The application's pool. It pings the server when a connection is taken (unless `test_before_acquire` is
    /// off) and when it is given back (always), which costs up to two more round trips per operation.
    pub const fn given(pool: sqlx::Pool<DB>) -> Self {
        Self(Source::Given(pool))
    }

    /// A connection for one statement: a kept one, or a new one. Waits while all are in use.
    pub async fn lease(&self) -> Result<Lease<DB>, Error> {
        match &self.0 {
            Source::Own(own) => own.lease().await,
            Source::Given(pool) => {
                // Apart: it is large, and everybody else's statement would carry the room for it.
                let connection = Box::pin(pool.acquire()).await?;
                Ok(Lease { held: Some(Held::Given(connection)), unproven: false })
            }
        }
    }

    /// A connection that no pool gets back, for work that changes the connection's state.
    pub async fn dedicated(&self) -> Result<DB::Connection, Error> {
        match &self.0 {
            Source::Own(own) => own.open().await,
            Source::Given(pool) => Ok(pool.acquire().await?.detach()),
        }
    }
}

impl<DB: Database> Own<DB> {
    async fn lease(self: &Arc<Self>) -> Result<Lease<DB>, Error> {
        let permit = self.permit().await?;
        match self.take() {
            Some((entry, true)) => Ok(self.hold(entry, permit)),
            // Apart, too: nearly every statement has a connection at hand.
            taken => Box::pin(self.lease_anew(taken, permit)).await,
        }
    }

    /// A connection that has to be asked whether it is alive, or opened.
    async fn lease_anew(
        self: &Arc<Self>,
        mut taken: Option<(Entry<DB::Connection>, bool)>,
        mut permit: OwnedSemaphorePermit,
    ) -> Result<Lease<DB>, Error> {
        while let Some((entry, proven)) = taken {
            let mut lease = self.hold(entry, permit);
            if proven {
                return Ok(lease);
            }
            // Who drops us here drops the lease, unproven: then nobody pings the others one after another.
            lease.unproven = true;
            let alive = matches!(timeout(PING_TIMEOUT, lease.connection()?.ping()).await, Ok(Ok(())));
            lease.unproven = false;
            if alive {
                return Ok(lease);
            }
            tracing::debug!("a kept connection does not answer any more: all of them are closed");
            lease.broken();
            permit = self.permit().await?;
            taken = self.take();
        }
        self.open_for(permit).await
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::PoolClosed)
    }

    /// Opens on a task of its own: when the caller gives up, the connection is there for the next one, and a
    /// server that is slow to connect to is reached in the end.
    async fn open_for(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<Lease<DB>, Error> {
        let own = Arc::clone(self);
        let (send, receive) = oneshot::channel();
        tokio::spawn(async move {
            let generation = own.state().generation;
            let lease = own.open().await.map(|connection| {
                let now = Instant::now();
                own.hold(Entry { connection, opened: now, answered: now, generation }, permit)
            });
            if let Err(Ok(lease)) = send.send(lease) {
                lease.keep();
            }
        });
        receive.await.unwrap_or(Err(Error::WorkerCrashed))
    }

    fn hold(self: &Arc<Self>, entry: Entry<DB::Connection>, permit: OwnedSemaphorePermit) -> Lease<DB> {
        Lease { held: Some(Held::Own { entry, own: Arc::clone(self), _permit: permit }), unproven: false }
    }

    async fn open(&self) -> Result<DB::Connection, Error> {
        timeout(self.connect_timeout, self.options.connect()).await.unwrap_or_else(|_| {
            let message = format!("no connection within {:?}", self.connect_timeout);
            Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, message)))
        })
    }

    /// The connection that was used last, and whether it needs no ping.
    fn take(&self) -> Option<(Entry<DB::Connection>, bool)> {
        let mut state = self.state();
        let entry = state.idle.pop_back()?;
        let doubted = state.doubt.is_some_and(|doubt| entry.answered <= doubt);
        let proven = !doubted && entry.answered.elapsed() < PING_AFTER;
        Some((entry, proven))
    }

    fn give_back(&self, mut entry: Entry<DB::Connection>) {
        let now = Instant::now();
        entry.answered = now;
        let mut state = self.state();
        // What is not needed any more is closed when the lock is free again.
        let surplus = state.idle.pop_front_if(|oldest| now - oldest.answered > IDLE_TIMEOUT);
        let refused = if entry.generation == state.generation && now - entry.opened < MAX_LIFETIME {
            state.idle.push_back(entry);
            None
        } else {
            Some(entry)
        };
        drop(state);
        drop((surplus, refused));
    }

    fn distrust(&self, generation: u64) {
        let mut state = self.state();
        if state.generation == generation {
            state.generation += 1;
            let closed = std::mem::take(&mut state.idle);
            drop(state);
            drop(closed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<DB::Connection>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropping it closes the connection.
pub struct Lease<DB: Database> {
    /// Taken when it is given back or closed.
    held: Option<Held<DB>>,
    /// It was dropped while it was asked whether it is alive.
    unproven: bool,
}

enum Held<DB: Database> {
    Own { entry: Entry<DB::Connection>, own: Arc<Own<DB>>, _permit: OwnedSemaphorePermit },
    Given(PoolConnection<DB>),
}

impl<DB: Database> Lease<DB> {
    /// The connection.
    pub fn connection(&mut self) -> Result<&mut DB::Connection, Error> {
        match &mut self.held {
            Some(Held::Own { entry, .. }) => Ok(&mut entry.connection),
            Some(Held::Given(connection)) => Ok(connection),
            None => Err(Error::PoolClosed), // only what consumes the lease takes it
        }
    }

    /// Gives the connection back. To be called only when the statement was answered to its end.
    pub fn keep(mut self) {
        match self.held.take() {
            Some(Held::Own { entry, own, _permit }) => own.give_back(entry),
            Some(Held::Given(connection)) => drop(connection),
            None => {}
        }
    }

    /// Closes the connection, which has failed, and all others that are not in use: when a server restarts,
    /// one error is enough to know.
    pub fn broken(mut self) {
        match self.held.take() {
            Some(Held::Own { entry, own, _permit }) => own.distrust(entry.generation),
            Some(Held::Given(connection)) => drop(connection.detach()),
            None => {}
        }
    }

    /// Closes the connection, which is sound but of no use any more.
    pub fn close(mut self) {
        if let Some(Held::Given(connection)) = self.held.take() {
            drop(connection.detach());
        }
    }
}

impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        match self.held.take() {
            Some(Held::Own { entry, own, _permit }) if self.unproven => own.distrust(entry.generation),
            Some(Held::Own { own, .. }) => own.state().doubt = Some(Instant::now()),
            Some(Held::Given(connection)) => drop(connection.detach()),
            None => {}
        }
    }
}

impl<DB: Database> Clone for Pool<DB> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Source::Own(own) => Source::Own(Arc::clone(own)),
            Source::Given(pool) => Source::Given(pool.clone()),
        })
    }
}

/// Says nothing of the connection options, which hold a password.
impl<DB: Database> fmt::Debug for Pool<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Pool");
        match &self.0 {
            Source::Own(own) => f.field("idle", &own.state().idle.len()).finish_non_exhaustive(),
            Source::Given(_) => f.field("given", &true).finish_non_exhaustive(),
        }
    }
}

impl<DB: Database> fmt::Debug for Lease<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
