//! Runs blocking system calls for async callers.

use session_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;

use crate::error::error;

/// Runs blocking work off the async workers. Once started it is finished, even if the caller is
/// dropped.
pub(crate) async fn run<T: Send + 'static>(
    writes: bool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let runtime = Handle::try_current().map_err(|_| {
        error(ErrorKind::Config, "it needs a tokio runtime: call it from a task or from `block_on`")
    })?;
    runtime.spawn_blocking(work).await.unwrap_or_else(|failure| {
        let kind =
            if writes && failure.is_panic() { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
        Err(Error::new(kind, "the runtime is shutting down").in_engine(crate::ENGINE))
    })
}
