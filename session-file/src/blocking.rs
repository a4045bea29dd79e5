//! The way from an async caller to blocking system calls, and back.

use session_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;

use crate::error::error;

/// Runs blocking work off the async workers. Once begun it is finished, also when the caller is gone.
pub(crate) async fn run<T: Send + 'static>(
    writes: bool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let runtime = Handle::try_current().map_err(|_| {
        error(ErrorKind::Config, "it needs a tokio runtime: call it from a task of one, or from `block_on`")
    })?;
    runtime.spawn_blocking(work).await.unwrap_or_else(|failure| {
        let kind =
            if writes && failure.is_panic() { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
        Err(Error::new(kind, "the runtime is shutting down").in_engine(crate::ENGINE))
    })
}
