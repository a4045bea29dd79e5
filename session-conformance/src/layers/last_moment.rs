//! An answer that arrives at the last moment.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use session_core::{Provider, Result};

use super::{Around, Call, Layer, Method};

/// Withholds the answer to the first call of one method until its caller is about to call again.
///
/// The manager polls a call when it begins, when it has waited for long, and once more together
/// with the second call. Only that poll gets the answer.
#[derive(Debug)]
pub struct LastMoment {
    method: Method,
    done: AtomicBool,
}

impl LastMoment {
    /// The engine with one such answer.
    pub fn on(inner: Arc<dyn Provider>, method: Method) -> Arc<dyn Provider> {
        Layer::over(inner, &Arc::new(Self { method, done: AtomicBool::new(false) }))
    }
}

#[crate::async_trait]
impl Around for LastMoment {
    type Memo = ();

    async fn before(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn after(&self, call: &Call, (): ()) -> Result<()> {
        if call.method != self.method || self.done.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let mut polls = 0;
        // Nothing wakes the caller but its own timer.
        poll_fn(|_| {
            polls += 1;
            if polls < 3 { Poll::Pending } else { Poll::Ready(Ok(())) }
        })
        .await
    }
}
