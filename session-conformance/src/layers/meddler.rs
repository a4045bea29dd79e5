//! Loses one response and runs an action before the caller can retry.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use session_core::{Error, ErrorKind, Provider, Result};

use super::{Around, Call, Layer, Method};

type Action = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The first call of one method is applied, then an action runs, and the caller gets an unknown
/// outcome.
pub struct Meddler {
    method: Method,
    action: Mutex<Option<Action>>,
}

impl Meddler {
    /// The engine with `action` running right after the next call of `method`.
    pub fn on(
        inner: Arc<dyn Provider>,
        method: Method,
        action: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<dyn Provider> {
        Layer::over(inner, &Arc::new(Self { method, action: Mutex::new(Some(Box::pin(action))) }))
    }
}

#[crate::async_trait]
impl Around for Meddler {
    type Memo = ();

    async fn before(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn after(&self, call: &Call, (): ()) -> Result<()> {
        if call.method != self.method {
            return Ok(());
        }
        let action = self.action.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(action) = action {
            action.await;
            return Err(Error::new(ErrorKind::OutcomeUnknown, "a test lost the response"));
        }
        Ok(())
    }
}

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meddler").field("method", &self.method).finish_non_exhaustive()
    }
}
