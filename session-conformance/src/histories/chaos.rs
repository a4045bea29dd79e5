//! An engine behind an unreliable connection. A seed determines which calls fail, and how.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_core::engine::{Condition, DestroyOutcome, Indexed, Rename, Scan, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::random::Random;
use crate::cut::cut;

/// Makes calls fail.
#[derive(Debug)]
pub(crate) struct Chaos {
    inner: Arc<dyn Provider>,
    seed: u64,
    /// The number of failing calls per thousand.
    rate: u64,
    /// The driver sends each call twice.
    resends: bool,
    calls: AtomicU64,
    /// Calls in flight.
    late: Mutex<JoinSet<()>>,
}

/// The fate of a call.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It is executed and answered after a delay.
    Slow(Duration),
    /// It does not arrive, and the caller gets an error that says so.
    Refused,
    /// It does not arrive, and the caller gets an unknown outcome.
    Unknown,
    /// It is applied, and the response is lost.
    Lost,
    /// It is applied after the caller has given up.
    Late(Duration),
    /// It is dropped after this number of polls.
    Cut(usize),
    /// It does not arrive, and the caller gets no response.
    Hangs,
    /// It is applied, and the caller gets no response.
    LostAndHangs,
}

impl Chaos {
    /// The engine behind a connection with this number of failing calls per thousand. `resends`
    /// says that a [`Resent`](crate::layers::Resent) uses it.
    pub(crate) fn on(inner: Arc<dyn Provider>, seed: u64, rate: u64, resends: bool) -> Arc<Self> {
        Arc::new(Self { inner, seed, rate, resends, calls: AtomicU64::new(0), late: Mutex::default() })
    }

    /// Waits until all calls have arrived.
    pub(crate) async fn settled(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        late.join_all().await;
    }

    /// The fate of the next write with this condition.
    ///
    /// A create that its driver sends twice never arrives late: the first copy would bring back a
    /// session whose client logged out after the second one. An engine can rule that out only by
    /// not resending creates.
    fn next_write(&self, condition: Condition) -> Option<Trouble> {
        match self.next() {
            Some(Trouble::Late(_)) if self.resends && matches!(condition, Condition::Absent) => {
                Some(Trouble::Lost)
            }
            fate => fate,
        }
    }

    fn next(&self) -> Option<Trouble> {
        let mut random = Random::branch(self.seed, self.calls.fetch_add(1, Ordering::Relaxed));
        if !random.in_thousand(self.rate) {
            return random.in_thousand(200).then(|| Trouble::Slow(random.micros(1_500)));
        }
        Some(match random.below(100) {
            0..18 => Trouble::Refused,
            18..34 => Trouble::Unknown,
            34..58 => Trouble::Lost,
            58..76 => Trouble::Late(random.micros(8_000)),
            76..96 => Trouble::Cut(random.place(6)),
            96..98 => Trouble::Hangs,
            _ => Trouble::LostAndHangs,
        })
    }

    /// A call that changes something. `late` is the same call as an owned future.
    async fn change<T>(
        &self,
        fate: Option<Trouble>,
        call: impl Future<Output = Result<T>> + Send,
        late: impl FnOnce(Arc<dyn Provider>) -> Late,
    ) -> Result<T> {
        let unknown = Error::new(ErrorKind::OutcomeUnknown, "a test lost the response");
        match fate {
            None => call.await,
            Some(Trouble::Slow(time)) => {
                sleep(time).await;
                call.await
            }
            Some(Trouble::Refused) => Err(Error::new(ErrorKind::Unavailable, "a test refuses the call")),
            Some(Trouble::Unknown) => Err(unknown),
            Some(Trouble::Lost) => {
                let _ = call.await;
                Err(unknown)
            }
            Some(Trouble::Late(time)) => {
                let late = late(Arc::clone(&self.inner));
                self.late.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
                    sleep(time).await;
                    late.await;
                });
                Err(unknown)
            }
            Some(Trouble::Cut(polls)) => cut(polls, call).await.unwrap_or(Err(unknown)),
            Some(Trouble::Hangs) => pending().await,
            Some(Trouble::LostAndHangs) => {
                let _ = call.await;
                pending().await
            }
        }
    }

    /// A call that only reads.
    async fn ask<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let refused = Error::new(ErrorKind::Unavailable, "a test refuses the call");
        match self.next() {
            None => call.await,
            Some(Trouble::Slow(time)) => {
                sleep(time).await;
                call.await
            }
            Some(Trouble::Cut(polls)) => cut(polls, call).await.unwrap_or(Err(refused)),
            Some(Trouble::Hangs | Trouble::LostAndHangs) => pending().await,
            Some(_) => Err(refused),
        }
    }
}

type Late = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[crate::async_trait]
impl Provider for Chaos {
    fn engine(&self) -> &'static str {
        self.inner.engine()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn bind(&self, scope: &str) -> Result<()> {
        self.inner.bind(scope)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.ask(self.inner.read(id, idle)).await
    }

    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.ask(self.inner.read_now(id, idle)).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let fate = self.next_write(condition);
        self.change(fate, self.inner.write(id, record, condition, ttl), |inner| {
            let (id, record) = (id.clone(), record.clone());
            Box::pin(async move { drop(inner.write(&id, &record, condition, ttl).await) })
        })
        .await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        self.change(self.next(), self.inner.touch(id, seen, ttl), |inner| {
            let (id, seen) = (id.clone(), seen.clone());
            Box::pin(async move { drop(inner.touch(&id, &seen, ttl).await) })
        })
        .await
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        self.change(self.next(), self.inner.rename(rename), |inner| {
            let (old, over, new, ttl) = (rename.old.clone(), rename.over, rename.new.clone(), rename.ttl);
            let (record, tombstone) = (rename.record.clone(), rename.tombstone.clone());
            Box::pin(async move {
                let rename = Rename::new((&old, over), (&new, &record, ttl), &tombstone);
                drop(inner.rename(&rename).await);
            })
        })
        .await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        self.change(self.next(), self.inner.destroy(id, expected), |inner| {
            let id = id.clone();
            Box::pin(async move { drop(inner.destroy(&id, expected).await) })
        })
        .await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.ask(self.inner.exists(id)).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        self.ask(self.inner.count()).await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        self.inner.gc(limit).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.inner.as_indexed()
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.inner.as_scan()
    }
}
