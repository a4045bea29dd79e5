//! The current connection, a timeout for every call, and a replacement for a silent connection.
//!
//! The SDK reconnects when a connection is closed. A silently dead connection (dropped by a
//! firewall) stays in use until the operating system gives up, after a quarter of an hour. So if a
//! call gets no response and no other call did either, a new connection is opened and replaces the
//! old one once it works.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use couchbase::collection::Collection;
use couchbase::error::Error as SdkError;
use session_core::Result;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::connect::{Connected, connect};
use crate::errors::{Answer, late, sort};
use crate::{CouchbaseConfig, ENGINE};

/// If a call is dropped after this time, the server probably hangs.
const SUSPICIOUS: Duration = Duration::from_millis(500);

/// The connection to the collection. Clones share it.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    timeout: Duration,
    current: RwLock<Arc<Way>>,
    /// The configuration of new connections; `None` for an application's own collection.
    config: Option<CouchbaseConfig>,
    began: Instant,
    /// The time of the last response, in microseconds since `began`.
    answered: AtomicU64,
    reconnecting: AtomicBool,
}

/// The SDK's futures are boxed: they are large, and nested too deeply for the compiler's recursion
/// limit.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The collection that commands are sent to.
pub(crate) enum Way {
    Own(Connected),
    Given(Collection),
}

impl Way {
    pub(crate) fn collection(&self) -> &Collection {
        match self {
            Self::Own(connected) => &connected.collection,
            Self::Given(collection) => collection,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) async fn connect(config: CouchbaseConfig) -> Result<Self> {
        let way = Way::Own(connect(&config).await?);
        Ok(Self::new(way, config.timeout, Some(config)))
    }

    pub(crate) fn given(collection: Collection, timeout: Duration) -> Self {
        Self::new(Way::Given(collection), timeout, None)
    }

    fn new(way: Way, timeout: Duration, config: Option<CouchbaseConfig>) -> Self {
        Self(Arc::new(Inner {
            timeout,
            current: RwLock::new(Arc::new(way)),
            config,
            began: Instant::now(),
            answered: AtomicU64::new(0),
            reconnecting: AtomicBool::new(false),
        }))
    }

    pub(crate) fn way(&self) -> Arc<Way> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a call's response and classifies it; `changes` says whether the call may change
    /// something.
    pub(crate) async fn answer<T>(
        &self,
        changes: bool,
        call: Boxed<'_, Result<T, SdkError>>,
    ) -> Result<Answer<T>> {
        let mut watch = Watch { link: self, since: Some(self.now()) };
        match timeout(self.0.timeout, call).await {
            Ok(result) => {
                let answer = sort(result, changes);
                if answer.is_ok() {
                    self.0.answered.store(self.now(), Ordering::Relaxed);
                }
                watch.since = None;
                answer
            }
            // Dropping the watch records it.
            Err(_) => Err(late(changes)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn reconnect(&self) {
        let (Some(config), Ok(runtime)) = (self.0.config.clone(), Handle::try_current()) else { return };
        if self.0.reconnecting.swap(true, Ordering::Relaxed) {
            return;
        }
        let inner = Arc::downgrade(&self.0);
        runtime.spawn(async move {
            let result = connect(&config).await;
            let Some(inner) = inner.upgrade() else { return };
            match result {
                Ok(connected) => {
                    let way = Arc::new(Way::Own(connected));
                    *inner.current.write().unwrap_or_else(PoisonError::into_inner) = way;
                    tracing::info!(engine = ENGINE, "reconnected after a silent connection");
                }
                Err(error) => {
                    tracing::warn!(engine = ENGINE, %error, "could not replace a silent connection");
                }
            }
            inner.reconnecting.store(false, Ordering::Relaxed);
        });
    }
}

/// Notices a call that ends without a response after a while: by its own timeout, or because it was
/// dropped.
struct Watch<'a> {
    link: &'a Link,
    since: Option<u64>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let Some(since) = self.since else { return };
        let waited = Duration::from_micros(self.link.now().saturating_sub(since));
        if waited >= SUSPICIOUS && self.link.0.answered.load(Ordering::Relaxed) < since {
            self.link.reconnect();
        }
    }
}
