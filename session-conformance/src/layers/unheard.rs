//! One write of many whose answer is lost, at a moment that the test chooses.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use session_core::{Error, ErrorKind, Provider, Result};
use tokio::sync::Notify;

use super::{Around, Call, Layer, Method};

type Action = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The `nth` write (the first is 0) waits to be let go, is applied, then others act, and its answer
/// is lost.
pub struct Unheard {
    nth: usize,
    begun: AtomicUsize,
    answered: AtomicUsize,
    reached: Notify,
    go: Notify,
    action: Mutex<Option<Action>>,
}

impl Unheard {
    /// The engine with `action` happening between the `nth` write and its answer, which nobody
    /// hears.
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

    /// Waits until the write has come to this layer.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the write go to the engine; also before it has come.
    pub fn go(&self) {
        self.go.notify_one();
    }

    /// How many writes were answered, which a write that waits is not.
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
            return Err(Error::new(ErrorKind::OutcomeUnknown, "a test lost the answer"));
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
