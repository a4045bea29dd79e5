//! Work that continues when its caller no longer waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs a future in place. When it is dropped before it has finished (the client hung up), the rest
/// of it moves to a task of its own.
///
/// The work owns its data and ends by its own deadline, so an operation that has begun is finished,
/// and the store is never left between two steps.
pub(crate) struct Detached<T: 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>, Option<Handle>);

/// Wraps the work. Without a tokio runtime it is cancelled when its caller goes away.
pub(crate) fn detached<T: 'static>(work: impl Future<Output = T> + Send + 'static) -> Detached<T> {
    Detached(Some(Box::pin(work)), Handle::try_current().ok())
}

impl<T: 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out while it runs, so that work that panics is not continued on drop.
        let Some(mut work) = self.0.take() else { return Poll::Pending };
        let poll = work.as_mut().poll(context);
        if poll.is_pending() {
            self.0 = Some(work);
        }
        poll
    }
}

impl<T: 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        if let (Some(work), Some(runtime)) = (self.0.take(), &self.1) {
            runtime.spawn(async move {
                work.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_was_begun_is_finished_when_its_caller_goes_away() {
        let (done, finished) = tokio::sync::oneshot::channel();
        let work = detached(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            done.send(7).ok();
        });
        assert!(tokio::time::timeout(Duration::from_millis(10), work).await.is_err());
        assert_eq!(finished.await, Ok(7));
    }
}
