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

/// One thing that is asked of the engine, and how long it may take.
#[derive(Debug)]
pub(crate) struct Operation {
    pub name: &'static str,
    pub engine: &'static str,
    /// Whether an attempt without an answer may have changed something.
    pub writes: bool,
    allowed: Duration,
    /// When the time is up; not known before the engine has let us wait, so that one that answers at once costs
    /// no look at the clock.
    end: OnceLock<Instant>,
    watch: Stopwatch,
}

/// What an operation that was answered knows of itself.
pub(crate) struct Answer<T> {
    pub value: T,
    /// Another attempt may have been applied without being heard.
    pub repeated: bool,
}

impl Operation {
    pub(crate) fn new(name: &'static str, engine: &'static str, writes: bool, allowed: Duration) -> Self {
        debug_assert!(allowed <= FOREVER, "a manager holds its timeouts to that");
        Self { name, engine, writes, allowed, end: OnceLock::new(), watch: Stopwatch::start() }
    }

    /// Starts the time of an operation of several steps. One of a single step that is answered at once needs no look at
    /// the clock.
    pub(crate) fn begin(&self) {
        self.end();
    }

    /// A step of this operation. With the time started by [`begin`](Self::begin), it ends when the operation does.
    pub(crate) fn part(&self, name: &'static str, writes: bool) -> Self {
        let part = Self::new(name, self.engine, writes, self.allowed);
        let Some(end) = self.end.get() else { return part };
        let allowed = end.saturating_duration_since(Instant::now());
        Self { allowed, end: OnceLock::from(*end), ..part }
    }

    /// When the time is up.
    pub(crate) fn end(&self) -> Instant {
        *self.end.get_or_init(|| Instant::now() + self.allowed)
    }

    /// When a first attempt has been silent for so long that its answer must be taken for lost: after three
    /// quarters of the time. A slow engine is heard until the end; only one that is slower than this is asked twice.
    fn silent(&self) -> Instant {
        self.end() - self.allowed / 4
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end()
    }

    /// Asks an engine that may have the answer at hand; `None` when it has not, or failed.
    pub(crate) fn at_once<T>(&self, ask: impl FnOnce() -> Option<Result<T>>) -> Option<Answer<T>> {
        let value = self.span().in_scope(ask)?.ok()?;
        self.watch.stop(self.engine, self.name);
        Some(Answer { value, repeated: false })
    }

    /// Calls the engine, and once more when the first call failed in a way that a second may repair, or is not
    /// answered for very long. Every call is idempotent by its version token, so both may be applied.
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
            // An engine in memory never comes here, so that its futures do not carry the size of this one.
            begun => Box::pin(self.persist(begun, first.instrument(span), attempt)).await,
        };
        self.watch.stop(self.engine, self.name);
        answer
    }

    /// Calls the engine once: for work over everything that is stored, where a second call would double the load.
    pub(crate) async fn once<T>(&self, attempt: impl Future<Output = Result<T>>) -> Result<T> {
        let attempt = attempt.instrument(self.span());
        let answer = with_deadline(Begun::No, || self.end(), attempt).await;
        self.watch.stop(self.engine, self.name);
        answer.unwrap_or_else(|| Err(self.timed_out())).map_err(|error| self.explain(error))
    }

    /// Goes on with a first attempt that failed, or has not answered yet.
    async fn persist<T, F>(
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
        let unheard = match &answer {
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
            Ok(value) => Ok(Answer { value, repeated: unheard }),
            Err(error) if unheard && self.writes && error.kind() == ErrorKind::Unavailable => {
                let message = "an earlier attempt was not answered";
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

/// The first answer of two attempts. The earlier one is dropped when it fails: the later one then decides.
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

/// Between half of `around` and one and a half times that, so that those who met once do not meet again.
pub(crate) fn jitter(around: Duration) -> Duration {
    around.min(FOREVER).mul_f64(0.5 + rand::random::<f64>())
}

/// Whether a future was polled a moment ago by this task, so that its waker is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    Yes,
    No,
}

/// The future's output, or `None` when it is not there at `until`. The one place that compares work with a deadline.
///
/// A future that is ready at once costs no timer and no look at the clock, and one that has begun is not polled
/// again before it or the timer wakes the task.
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
    async fn a_slow_answer_is_heard_and_not_asked_for_twice() {
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
    async fn what_a_second_try_cannot_repair_is_not_tried_again() {
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
    async fn work_over_everything_is_not_asked_for_twice() {
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
