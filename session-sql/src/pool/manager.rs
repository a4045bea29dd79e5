//! The `deadpool` manager: opens connections, and decides when an idle one may be reused.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use sqlx::{Connection, Database, Error};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::backoff::Backoff;
use crate::connect::{Connect, Unfit, unfit};
use crate::{Driver, Failure};

/// A connection idle for this long is pinged before use: the server or a firewall may have closed
/// it.
const PING_AFTER: Duration = Duration::from_secs(30);
/// The timeout of such a ping, and of closing.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The longest age of a connection, so that all of them pick up a changed address, password or
/// server setting.
const MAX_LIFETIME: Duration = Duration::from_mins(30);

/// Opens connections, and holds their shared state.
pub(super) struct Shared<DB: Database> {
    pub(super) connect: Arc<dyn Connect<DB>>,
    connect_timeout: Duration,
    driver: &'static Driver<DB>,
    backoff: Backoff,
    /// Connections whose caller gave up while they were being opened; the next callers take them.
    /// Together with the pool's connections they never exceed the limit, since each was counted
    /// when it was started.
    parked: Mutex<VecDeque<Opened<DB>>>,
    /// Incremented when a connection is found broken: older generations are not reused.
    generation: AtomicU64,
    /// When a call was last cancelled while it waited for a response: a connection that has not
    /// responded since is pinged.
    doubt: Mutex<Option<Instant>>,
    /// Time of the last check for unused connections, in seconds since the start.
    pruned: AtomicU64,
    begun: Instant,
    pub(super) closed: AtomicBool,
    pub(super) opened: AtomicU64,
    pub(super) failed: AtomicU64,
}

type Opened<DB> = oneshot::Receiver<Result<Entry<DB>, Error>>;

/// A connection of the pool.
pub(super) struct Entry<DB: Database> {
    /// Taken when it is closed.
    pub(super) connection: Option<DB::Connection>,
    opened: Instant,
    pub(super) answered: Instant,
    generation: u64,
}

impl<DB: Database> Shared<DB> {
    pub(super) fn new(
        connect: Arc<dyn Connect<DB>>,
        connect_timeout: Duration,
        driver: &'static Driver<DB>,
    ) -> Self {
        Self {
            connect,
            connect_timeout,
            driver,
            backoff: Backoff::new(),
            parked: Mutex::default(),
            generation: AtomicU64::new(0),
            doubt: Mutex::default(),
            pruned: AtomicU64::new(0),
            begun: Instant::now(),
            closed: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    async fn open(&self) -> Result<Entry<DB>, Error> {
        let attempt = self.backoff.turn().await.map_err(|last| unfit(last.kind, last.message))?;
        let generation = self.generation.load(Ordering::SeqCst);
        let opened = timeout(self.connect_timeout, self.connect.open()).await.unwrap_or_else(|_| {
            let message = format!("no connection within {:?}", self.connect_timeout);
            Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, message)))
        });
        match &opened {
            Ok(_) => {
                self.opened.fetch_add(1, Ordering::Relaxed);
                attempt.succeeded();
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let failure = self.driver.not_connected(error);
                tracing::debug!(engine = self.driver.engine, reason = %failure.1, "no connection");
                attempt.failed(Unfit { kind: failure.0, message: failure.1.into_owned() });
            }
        }
        let now = Instant::now();
        opened.map(|connection| Entry {
            connection: Some(connection),
            opened: now,
            answered: now,
            generation,
        })
    }

    /// Connections of this generation and older ones are not reused.
    pub(super) fn distrust(&self, generation: u64) -> bool {
        let next = generation + 1;
        let changed = self.generation.compare_exchange(generation, next, Ordering::SeqCst, Ordering::SeqCst);
        changed.is_ok()
    }

    pub(super) fn is_of_now(&self, entry: &Entry<DB>) -> bool {
        entry.generation == self.generation.load(Ordering::SeqCst)
    }

    pub(super) fn doubt(&self) {
        *self.doubt.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_proven(&self, entry: &Entry<DB>) -> bool {
        let doubt = *self.doubt.lock().unwrap_or_else(PoisonError::into_inner);
        doubt.is_none_or(|doubt| entry.answered > doubt) && entry.answered.elapsed() < PING_AFTER
    }

    /// Whether a minute has passed since this was last true.
    pub(super) fn may_prune(&self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.begun).as_secs();
        let pruned = self.pruned.load(Ordering::Relaxed);
        seconds >= pruned + 60
            && self.pruned.compare_exchange(pruned, seconds, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Closes orphaned connections.
    pub(super) fn close_parked(&self) {
        while let Some(mut parked) = self.parked().pop_front() {
            if let Ok(Ok(mut entry)) = parked.try_recv() {
                entry.say_goodbye();
            }
        }
    }

    fn parked(&self) -> MutexGuard<'_, VecDeque<Opened<DB>>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<DB: Database> Entry<DB> {
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn is_old(&self) -> bool {
        self.opened.elapsed() >= MAX_LIFETIME
    }

    /// The connection, present until the entry is closed.
    pub(super) fn connection(&mut self) -> Result<&mut DB::Connection, Error> {
        self.connection.as_mut().ok_or(Error::PoolClosed)
    }

    /// Closes cleanly, so that the server counts no aborted client.
    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = timeout(PATIENCE, connection.close()).await;
        }
    }

    /// The same on its own task.
    fn say_goodbye(&mut self) {
        if let (Some(connection), Ok(runtime)) = (self.connection.take(), Handle::try_current()) {
            runtime.spawn(async move { drop(timeout(PATIENCE, connection.close()).await) });
        }
    }

    async fn answers(&mut self) -> bool {
        let Ok(connection) = self.connection() else { return false };
        matches!(timeout(PATIENCE, connection.ping()).await, Ok(Ok(())))
    }
}

pub(super) struct Connections<DB: Database>(pub(super) Arc<Shared<DB>>);

impl<DB: Database> Manager for Connections<DB> {
    type Type = Entry<DB>;
    type Error = Error;

    /// Opens on its own task: if the caller gives up, the next one gets the connection, so a slow
    /// server is eventually reached.
    async fn create(&self) -> Result<Entry<DB>, Error> {
        let shared = &self.0;
        loop {
            if shared.closed.load(Ordering::SeqCst) {
                return Err(Error::PoolClosed);
            }
            let parked = shared.parked().pop_front();
            let adopted = parked.is_some();
            let receive = parked.unwrap_or_else(|| {
                let (send, receive) = oneshot::channel();
                let shared = Arc::clone(shared);
                tokio::spawn(async move { drop(send.send(shared.open().await)) });
                receive
            });
            let mut waiting = Waiting { shared, receive: Some(receive) };
            let mut entry = match waiting.entry().await {
                // An old failure says nothing about the present.
                Err(_) if adopted => continue,
                opened => opened?,
            };
            if !adopted || (shared.is_of_now(&entry) && (shared.is_proven(&entry) || entry.answers().await)) {
                return Ok(entry);
            }
        }
    }

    async fn recycle(&self, entry: &mut Entry<DB>, _: &Metrics) -> RecycleResult<Error> {
        let shared = &self.0;
        if !shared.is_of_now(entry) {
            return Err(RecycleError::message("opened before a failure"));
        }
        if entry.is_old() {
            entry.close().await;
            return Err(RecycleError::message("old"));
        }
        if shared.is_proven(entry) {
            return Ok(());
        }
        // If the caller drops this future here, no response was seen: the others must not be pinged
        // one by one.
        let mut unproven = Unproven { shared, generation: Some(entry.generation) };
        if entry.answers().await {
            unproven.generation = None;
            return Ok(());
        }
        tracing::debug!("an idle connection does not respond; closing all idle connections");
        Err(RecycleError::message("silent"))
    }

    fn detach(&self, entry: &mut Entry<DB>) {
        if self.0.is_of_now(entry) {
            entry.say_goodbye();
        }
    }
}

/// A connection that is being opened. If its caller gives up, the next one gets it.
struct Waiting<'a, DB: Database> {
    shared: &'a Shared<DB>,
    receive: Option<Opened<DB>>,
}

impl<DB: Database> Waiting<'_, DB> {
    async fn entry(&mut self) -> Result<Entry<DB>, Error> {
        let Some(receive) = &mut self.receive else { return Err(Error::WorkerCrashed) };
        let opened = receive.await;
        self.receive = None;
        opened.unwrap_or(Err(Error::WorkerCrashed))
    }
}

impl<DB: Database> Drop for Waiting<'_, DB> {
    fn drop(&mut self) {
        if let Some(receive) = self.receive.take() {
            self.shared.parked().push_back(receive);
        }
    }
}

struct Unproven<'a, DB: Database> {
    shared: &'a Shared<DB>,
    generation: Option<u64>,
}

impl<DB: Database> Drop for Unproven<'_, DB> {
    fn drop(&mut self) {
        if let Some(generation) = self.generation {
            self.shared.distrust(generation);
        }
    }
}

impl<DB: Database> Driver<DB> {
    /// The error when no connection could be obtained.
    pub(crate) fn not_connected(
        &self,
        error: &Error,
    ) -> (session_core::ErrorKind, std::borrow::Cow<'static, str>) {
        use session_core::ErrorKind::{Config, Unavailable};
        if let Some(unfit) = Unfit::of(error) {
            return (unfit.kind, unfit.message.clone().into());
        }
        match ((self.classify)(error), error) {
            // The driver's error for an untrusted certificate.
            (_, Error::Io(io)) if io.kind() == io::ErrorKind::InvalidData => {
                (Config, format!("the server's certificate is not accepted: {io}").into())
            }
            (Failure::Lost, _) => (Unavailable, "no connection to the server".into()),
            (Failure::Refused(kind, message), _) => (kind, message),
            (Failure::Moved(message) | Failure::Locked(message), _) => (Unavailable, message),
            (_, _) => (Unavailable, "the server refuses the connection".into()),
        }
    }
}
