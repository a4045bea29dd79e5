//! One operation on the engine: its deadline, and a second attempt when the first one failed.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::Span;
use tracing::instrument::{Instrument as _, Instrumented};

use crate::observe::Stopwatch;
use crate::{Error, ErrorKind, Result};

/// The value for "no deadline": longer than any process runs, and short enough for every clock.
pub(crate) const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

/// One operation on the engine, with its deadline.
#[derive(Debug)]
pub(crate) struct Operation {
    pub name: &'static str,
    pub engine: &'static str,
    /// Whether an attempt without an answer may have changed something.
    pub writes: bool,
    allowed: Duration,
    /// The deadline; set when the engine first makes us wait, so that an immediate answer does not
    /// read the clock.
    end: OnceLock<Instant>,
    watch: Stopwatch,
}

/// The answer to an operation.
pub(crate) struct Answer<T> {
    pub value: T,
    /// Another attempt may have been applied without an answer.
    pub repeated: bool,
}

impl Operation {
    pub(crate) fn new(name: &'static str, engine: &'static str, writes: bool, allowed: Duration) -> Self {
        debug_assert!(allowed <= FOREVER, "the manager limits its timeouts to FOREVER");
        Self { name, engine, writes, allowed, end: OnceLock::new(), watch: Stopwatch::start() }
    }

    /// Starts the clock of an operation of several steps. An operation of a single step that is
    /// answered immediately does not read the clock.
    pub(crate) fn begin(&self) {
        self.end();
    }

    /// Returns a step of this operation. After [`begin`](Self::begin), the step has the deadline of
    /// the operation.
    pub(crate) fn part(&self, name: &'static str, writes: bool) -> Self {
        let part = Self::new(name, self.engine, writes, self.allowed);
        let Some(end) = self.end.get() else { return part };
        let allowed = end.saturating_duration_since(Instant::now());
        Self { allowed, end: OnceLock::from(*end), ..part }
    }

    /// Returns the deadline.
    pub(crate) fn end(&self) -> Instant {
        *self.end.get_or_init(|| Instant::now() + self.allowed)
    }

    /// Returns the time at which the answer to a first attempt is considered lost: after three
    /// quarters of the allowed time. Later answers still count until the deadline; only an engine
    /// slower than this is called twice.
    fn silent(&self) -> Instant {
        self.end() - self.allowed / 4
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end()
    }

    /// Calls an engine that may answer synchronously; `None` if it cannot, or failed.
    pub(crate) fn at_once<T>(&self, ask: impl FnOnce() -> Option<Result<T>>) -> Option<Answer<T>> {
        let value = self.span().in_scope(ask)?.ok()?;
        self.watch.stop(self.engine, self.name);
        Some(Answer { value, repeated: false })
    }

    /// Calls the engine, and a second time if the first call failed with a retryable error, or is
    /// not answered for long. Every call is idempotent by its version token, so both may be
    /// applied.
    pub(crate) async fn call<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<Answer<T>>
    where
        F: Future<Output = Result<T>> + Unpin,
    {
        let span = self.span();
        let mut first = attempt();
        let begun =
            poll_fn(|context| Poll::Ready(span.in_scope(|| Pin::new(&mut first).poll(context)))).await;
        let answer = match begun {
            Poll::Ready(Ok(value)) => Ok(Answer { value, repeated: false }),
            // Boxed, so that the futures of an engine in memory, which never come here, stay small.
            begun => Box::pin(self.retry(begun, first.instrument(span), attempt)).await,
        };
        self.watch.stop(self.engine, self.name);
        answer
    }

    /// Calls the engine once: for work on all stored sessions, where a second call would double the
    /// load.
    pub(crate) async fn once<T>(&self, attempt: impl Future<Output = Result<T>>) -> Result<T> {
        let attempt = attempt.instrument(self.span());
        let answer = with_deadline(Begun::No, || self.end(), attempt).await;
        self.watch.stop(self.engine, self.name);
        answer.unwrap_or_else(|| Err(self.timed_out())).map_err(|error| self.explain(error))
    }

    /// Continues after a first attempt that failed, or has not been answered yet.
    async fn retry<T, F>(
        &self,
        begun: Poll<Result<T>>,
        mut first: Instrumented<F>,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Answer<T>>
    where
        F: Future<Output = Result<T>> + Unpin,
    {
        let answer = match begun {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => with_deadline(Begun::Yes, || self.silent(), Pin::new(&mut first)).await,
        };
        let unanswered = match &answer {
            Some(Err(error)) if error.kind() == ErrorKind::OutcomeUnknown => true,
            Some(Err(error)) if error.kind() == ErrorKind::Unavailable => false,
            None => true,
            Some(_) => {
                return match answer.unwrap_or_else(|| Err(self.timed_out())) {
                    Ok(value) => Ok(Answer { value, repeated: false }),
                    Err(error) => Err(self.explain(error)),
                };
            }
        };
        if answer.is_some() {
            sleep(jitter(Duration::from_millis(10))).await;
        }
        let second = attempt().instrument(self.span());
        let earlier = answer.is_none().then_some(first);
        let answer = with_deadline(Begun::No, || self.end(), either(earlier, second)).await;
        match answer.unwrap_or_else(|| Err(self.timed_out())) {
            Ok(value) => Ok(Answer { value, repeated: unanswered }),
            Err(error) if unanswered && self.writes && error.kind() == ErrorKind::Unavailable => {
                let message = "an earlier attempt got no answer";
                Err(self.explain(Error::new(ErrorKind::OutcomeUnknown, message).with_source(error)))
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    fn span(&self) -> Span {
        tracing::debug_span!("session.engine", engine = self.engine, operation = self.name)
    }

    pub(crate) fn timed_out(&self) -> Error {
        let kind = if self.writes { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
        self.explain(Error::new(kind, format!("no answer within {:?}", self.allowed)))
    }

    pub(crate) fn explain(&self, error: Error) -> Error {
        error.during(self.name).in_engine(self.engine)
    }
}

/// Returns the first answer of two attempts. If the earlier attempt fails, the later one decides.
async fn either<T, F>(mut earlier: Option<F>, mut later: F) -> Result<T>
where
    F: Future<Output = Result<T>> + Unpin,
{
    poll_fn(|context| {
        if let Some(attempt) = &mut earlier {
            match Pin::new(attempt).poll(context) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Ok(value)),
                Poll::Ready(Err(_)) => earlier = None,
                Poll::Pending => {}
            }
        }
        Pin::new(&mut later).poll(context)
    })
    .await
}

/// Returns a random duration between 0.5 and 1.5 times `around`, so that clients that collided once
/// do not collide again.
pub(crate) fn jitter(around: Duration) -> Duration {
    around.min(FOREVER).mul_f64(0.5 + rand::random::<f64>())
}

/// Whether this task has already polled a future, so that its waker is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    Yes,
    No,
}

/// Returns the future's output, or `None` if it is not ready at `until`. All deadlines are enforced
/// here.
///
/// A future that is ready immediately needs no timer and no clock, and one that has begun is not
/// polled again before it or the timer wakes the task.
pub(crate) async fn with_deadline<F: Future>(
    begun: Begun,
    until: impl FnOnce() -> Instant,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    if begun == Begun::No
        && let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    {
        return Some(output);
    }
    let mut timer = pin!(sleep_until(until()));
    let mut asked = true;
    poll_fn(|context| {
        if !std::mem::take(&mut asked)
            && let Poll::Ready(output) = future.as_mut().poll(context)
        {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const ALLOWED: Duration = Duration::from_secs(4);

    fn operation(writes: bool) -> Operation {
        Operation::new("write", "test", writes, ALLOWED)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_tried_again_and_the_answer_says_so() {
        let calls = Cell::new(0);
        let operation = operation(true);
        let answer = operation.call(|| {
            calls.set(calls.get() + 1);
            let first = calls.get() == 1;
            Box::pin(async move {
                if first {
                    std::future::pending::<()>().await;
                }
                Ok(7)
            })
        });
        let answer = answer.await.unwrap();
        assert_eq!((answer.value, answer.repeated, calls.get()), (7, true, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_counts_and_is_not_requested_twice() {
        for (share, expected) in [(10, 1), (60, 1), (74, 1), (90, 2)] {
            let calls = Cell::new(0);
            let operation = operation(false);
            let answer = operation.call(|| {
                calls.set(calls.get() + 1);
                Box::pin(async move {
                    sleep(ALLOWED * share / 100).await;
                    Ok(share)
                })
            });
            assert_eq!(answer.await.unwrap().value, share);
            assert_eq!(calls.get(), expected, "an answer after {share} % of the time");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_an_answer_is_unknown_and_a_read_unavailable_within_the_deadline() {
        for (writes, kind) in [(true, ErrorKind::OutcomeUnknown), (false, ErrorKind::Unavailable)] {
            let begun = Instant::now();
            let error = operation(writes).call(std::future::pending::<Result<()>>).await.err().unwrap();
            assert_eq!(error.kind(), kind);
            assert!(begun.elapsed() <= Duration::from_millis(4_010));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_a_retry_cannot_fix_is_not_retried() {
        let calls = Cell::new(0);
        let operation = operation(true);
        let answer = operation.call(|| {
            calls.set(calls.get() + 1);
            std::future::ready(Err::<(), _>(Error::new(ErrorKind::TooLarge, "")))
        });
        assert_eq!(answer.await.err().unwrap().kind(), ErrorKind::TooLarge);
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn work_on_all_sessions_is_not_retried() {
        let operation = operation(false);
        let error = operation.once(std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_deadline_is_none() {
        let operation = Operation::new("write", "test", true, FOREVER);
        let slow = operation.call(|| {
            Box::pin(async {
                sleep(Duration::from_secs(3_600)).await;
                Ok(())
            })
        });
        slow.await.unwrap();
        assert!(jitter(Duration::MAX) <= FOREVER * 2);
    }
}
