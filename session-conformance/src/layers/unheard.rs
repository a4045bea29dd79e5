//! Loses the response of one write, at a moment chosen by the test.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use session_core::{Error, ErrorKind, Provider, Result};
use tokio::sync::Notify;

use super::{Around, Call, Layer, Method};

type Action = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The `nth` write (the first is 0) waits to be released, is applied, then an action runs, and its
/// response is lost.
pub struct Unheard {
    nth: usize,
    begun: AtomicUsize,
    answered: AtomicUsize,
    reached: Notify,
    go: Notify,
    action: Mutex<Option<Action>>,
}

impl Unheard {
    /// The engine with `action` running between the `nth` write and its lost response.
    pub fn on(
        inner: Arc<dyn Provider>,
        nth: usize,
        action: impl Future<Output = ()> + Send + 'static,
    ) -> (Arc<dyn Provider>, Arc<Self>) {
        let unheard = Arc::new(Self {
            nth,
            begun: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            reached: Notify::new(),
            go: Notify::new(),
            action: Mutex::new(Some(Box::pin(action))),
        });
        (Layer::over(inner, &unheard), unheard)
    }

    /// Waits until the write has reached this layer.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Releases the write to the engine, even before it has arrived.
    pub fn go(&self) {
        self.go.notify_one();
    }

    /// The number of answered writes, without the waiting one.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

#[crate::async_trait]
impl Around for Unheard {
    type Memo = bool;

    async fn before(&self, call: &Call) -> Result<bool> {
        let strikes = call.method == Method::Write && self.begun.fetch_add(1, Ordering::SeqCst) == self.nth;
        if strikes {
            self.reached.notify_one();
            self.go.notified().await;
        }
        Ok(strikes)
    }

    async fn after(&self, call: &Call, strikes: bool) -> Result<()> {
        if strikes {
            let action = self.action.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(action) = action {
                action.await;
            }
            return Err(Error::new(ErrorKind::OutcomeUnknown, "a test lost the response"));
        }
        if call.method == Method::Write {
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

impl fmt::Debug for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unheard").field("nth", &self.nth).finish_non_exhaustive()
    }
}
