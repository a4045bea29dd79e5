//! Work that goes on when nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs a future in place, but when it is dropped half-way (a client hung up) moves what is left of it to a task of its own.
///
/// The work owns its data and ends at its own deadline, so that an operation that has begun is finished and the
/// store is not left between two steps.
pub(crate) struct Detached<T: 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>, Option<Handle>);

/// Begins the work. Without a tokio runtime it is not finished when its caller goes away.
pub(crate) fn detached<T: 'static>(work: impl Future<Output = T> + Send + 'static) -> Detached<T> {
    Detached(Some(Box::pin(work)), Handle::try_current().ok())
}

impl<T: 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out while it runs: work that panics is not there any more to be continued.
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
