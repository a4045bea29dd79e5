//! The context of a behaviour: the engine, the time, and helpers for the usual steps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::clock::{Clock, ManualClock, SystemClock, Timestamp};
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record, Value};
use session_core::{Capabilities, ErrorKind, Manager, ManagerBuilder, Provider, Result, Session};

use crate::{CutOff, Harness};

/// A lifetime longer than any test.
pub const LONG: Duration = Duration::from_secs(3_600);

/// The absolute lifetime of sessions in these tests.
pub const ABSOLUTE: Duration = Duration::from_secs(12 * 3_600);

/// One behaviour's connection to the engine. Clones share it.
#[derive(Clone)]
pub struct Context {
    harness: Arc<dyn Harness>,
    provider: Arc<dyn Provider>,
    clock: Option<ManualClock>,
}

impl Context {
    /// Connects.
    pub async fn new(harness: impl Harness) -> Self {
        let harness: Arc<dyn Harness> = Arc::new(harness);
        let provider = harness.provider().await;
        let clock = harness.clock();
        Self { harness, provider, clock }
    }

    /// The engine.
    pub fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    /// The engine as used by another process.
    pub async fn another(&self) -> Arc<dyn Provider> {
        self.harness.another(&self.provider).await
    }

    /// The engine's capabilities.
    pub fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    /// Whether `count` counts this test's sessions only.
    pub fn counts_exactly(&self) -> bool {
        self.harness.isolated() && self.capabilities().enumerable
    }

    /// See [`Harness::put_raw`].
    pub async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        self.harness.put_raw(id, bytes).await
    }

    /// See [`Harness::neighbour`].
    pub async fn neighbour(&self) -> Option<Arc<dyn Provider>> {
        self.harness.neighbour().await
    }

    /// See [`Harness::cut_off`].
    pub async fn cut_off(&self) -> Option<CutOff> {
        self.harness.cut_off().await
    }

    /// The clock that the tests control, if any.
    pub fn clock(&self) -> Option<&ManualClock> {
        self.clock.as_ref()
    }

    // ---- time ----

    /// The current time of the engine.
    pub fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| SystemClock.now(), Clock::now)
    }

    /// The shortest lifetime that a test can wait for: two steps of the engine's granularity.
    pub fn short(&self) -> Duration {
        let shortest = Duration::from_millis(if self.clock.is_some() { 10_000 } else { 1_000 });
        (self.capabilities().expiry_granularity * 2).max(shortest)
    }

    /// Lets time pass: advances the clock, or waits.
    pub async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => tokio::time::sleep(time).await,
        }
    }

    /// Lets time pass until a record with the lifetime `ttl` has expired for certain: lifetimes are
    /// rounded up to the engine's granularity, and such a coarse clock may be a tick behind.
    pub async fn outlive(&self, ttl: Duration) {
        let tick = self.capabilities().expiry_granularity.as_nanos().max(1);
        let nanos = (ttl.as_nanos().div_ceil(tick) + 1) * tick;
        let rounded = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.pass(rounded + Duration::from_millis(100)).await;
    }

    /// The operation timeout in tests with hanging calls: short, because they wait for it, but long
    /// enough for a busy server to respond to the retry.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(if self.clock.is_some() { 1_500 } else { 2_000 })
    }

    // ---- records, for the provider ----

    /// A new id.
    pub fn id(&self) -> StorageId {
        let mut hash = [0; 32];
        for part in hash.chunks_exact_mut(8) {
            part.copy_from_slice(&session_core::record::Version::random().0.to_be_bytes());
        }
        StorageId::from_hash(hash)
    }

    /// The first record of a session with `value` and the lifetime `ttl` from now.
    pub fn record(&self, value: &str, ttl: Duration) -> Record {
        let now = self.now();
        Record::new(Header::new(now, now.after(ABSOLUTE.max(ttl)), now.after(ttl)), body(value))
    }

    /// The next record of the session whose record is `over`.
    pub fn next(&self, over: &Record, value: &str, ttl: Duration) -> Record {
        let mut header = over.header.next();
        header.deadline = self.now().after(ttl);
        Record::new(header, body(value))
    }

    /// Stores a new session with the provider, and returns its id and the record as read.
    pub async fn stored(&self, value: &str, ttl: Duration) -> (StorageId, Record) {
        let id = self.id();
        let outcome = self.provider.write(&id, &self.record(value, ttl), Condition::Absent, ttl).await;
        assert!(is_stored(&outcome), "a session under a fresh id is stored, not {outcome:?}");
        let record = self.read_for(&id, ttl).await.expect("it was just stored");
        (id, record)
    }

    /// Reads with the long idle timeout.
    pub async fn read(&self, id: &StorageId) -> Option<Record> {
        self.read_for(id, LONG).await
    }

    /// Reads with this idle timeout.
    pub async fn read_for(&self, id: &StorageId, idle: Duration) -> Option<Record> {
        self.provider.read(id, idle).await.expect("a read of a healthy engine")
    }

    /// The value of a stored session, `None` if there is no session.
    pub async fn value(&self, id: &StorageId) -> Option<String> {
        value_of(self.read(id).await.as_ref())
    }

    // ---- sessions, through a manager ----

    /// A manager with the operation timeout [`patience`](Self::patience).
    pub fn impatient(&self, provider: Arc<dyn Provider>) -> Manager {
        let patience = self.patience();
        let builder = self.builder_over(provider).operation_timeout(patience).maintenance_timeout(patience);
        builder.build().expect("a valid configuration")
    }

    /// A builder of a manager for this engine.
    pub fn builder(&self) -> ManagerBuilder {
        self.builder_over(self.provider())
    }

    /// A builder of a manager for another provider, such as a [`Layer`](crate::layers::Layer)
    /// around the engine.
    pub fn builder_over(&self, provider: Arc<dyn Provider>) -> ManagerBuilder {
        let builder = Manager::builder_shared(provider).idle_timeout(LONG).absolute_timeout(ABSOLUTE);
        // Long enough that a busy machine does not look like a hanging engine.
        let builder = builder.operation_timeout(Duration::from_secs(30));
        // No background calls may come between the calls that a behaviour counts.
        let builder = builder.gc_interval(None);
        match &self.clock {
            Some(clock) => builder.clock(clock.clone()),
            None => builder,
        }
    }

    /// The usual manager.
    pub fn manager(&self) -> Manager {
        self.manager_over(self.provider())
    }

    /// The usual manager for another provider.
    pub fn manager_over(&self, provider: Arc<dyn Provider>) -> Manager {
        self.builder_over(provider).build().expect("a valid configuration")
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("provider", &self.provider).finish_non_exhaustive()
    }
}

fn body(value: &str) -> Body {
    let mut body = Body::default();
    body.insert("value", Value::encode(value).expect("text is encoded"));
    body
}

/// The value of a record from [`Context::record`], if it is a session.
pub fn value_of(record: Option<&Record>) -> Option<String> {
    let record = record.filter(|record| record.is_live())?;
    Some(record.body.get("value").expect("the value").decode().expect("text"))
}

/// Returns whether a write was stored.
pub fn is_stored(outcome: &Result<WriteOutcome>) -> bool {
    matches!(outcome, Ok(WriteOutcome::Stored(_)))
}

/// The record returned by a refused write; panics if it was not refused.
#[track_caller]
pub fn refused(outcome: Result<WriteOutcome>) -> Option<Record> {
    match outcome {
        Ok(WriteOutcome::Refused(refusal)) => refusal.current.map(|current| *current),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Panics unless it is an error of this kind.
#[track_caller]
pub fn fails<T: fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) if error.kind() == kind => {}
        other => panic!("expected the error {kind:?}, got {other:?}"),
    }
}

/// Starts a session with one value and returns the client's token.
pub async fn begin(manager: &Manager, key: &str, value: u64) -> Token {
    let session = manager.create();
    session.set(key, &value).expect("a new session accepts a value");
    session.release().await.expect("a new session is stored");
    session.token().expect("a stored session has a token")
}

/// The session of a client, which must exist.
#[track_caller]
pub fn open(manager: &Manager, token: &Token) -> impl Future<Output = Session> {
    let (manager, token) = (manager.clone(), token.clone());
    let place = std::panic::Location::caller();
    async move {
        let loaded = manager.load(&token).await.unwrap_or_else(|error| panic!("a load at {place}: {error}"));
        loaded.unwrap_or_else(|| panic!("no session at {place}"))
    }
}

/// The number under a key of a client's session; `None` without session or key.
pub async fn number(manager: &Manager, token: &Token, key: &str) -> Option<u64> {
    let session = manager.load(token).await.expect("a load of a healthy engine")?;
    session.get(key).expect("a number")
}

/// Waits until `check` holds, for background work.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    for _ in 0..500 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 5 s: {what}");
}

/// The `Cookie` header of a client with this token.
pub fn cookie(manager: &Manager, token: &Token) -> String {
    let name = manager.transport().cookie_name().expect("the cookie transport");
    format!("theme=dark; {name}={}; lang=en", token.expose())
}

/// Runs cases concurrently, each as a task, and panics if one of them does.
pub async fn side_by_side<F>(cases: impl IntoIterator<Item = F>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks: tokio::task::JoinSet<()> = cases.into_iter().collect();
    while let Some(case) = tasks.join_next().await {
        if let Err(error) = case {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
