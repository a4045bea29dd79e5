//! One operation on the engine: a deadline, and a second try when the first was not answered.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::Span;
use tracing::instrument::{Instrument as _, Instrumented};

use crate::observe::Stopwatch;
use crate::{Error, ErrorKind, Result};

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
    /// An attempt before this one may have been applied without being heard.
    pub repeated: bool,
}

impl Operation {
    pub(crate) fn new(name: &'static str, engine: &'static str, writes: bool, allowed: Duration) -> Self {
        Self { name, engine, writes, allowed, end: OnceLock::new(), watch: Stopwatch::start() }
    }

    /// When the time is up.
    pub(crate) fn end(&self) -> Instant {
        *self.end.get_or_init(|| Instant::now() + self.allowed)
    }

    /// When half of the time that is left is up.
    fn half(&self) -> Instant {
        let now = Instant::now();
        let end = *self.end.get_or_init(|| now + self.allowed);
        now + end.saturating_duration_since(now) / 2
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end()
    }

    /// Calls the engine, and once more when the first call failed in a way that a second may repair: every call is
    /// idempotent, by its version token. The first gets half of the time that is left, so that an answer that was lost on
    /// the way, or a connection that hangs, leaves time for the second.
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
            // An engine in memory never comes here, so that its requests do not carry the room that this takes.
            begun => Box::pin(self.persist(begun, first.instrument(span), attempt)).await,
        };
        self.watch.stop(self.engine, self.name);
        answer
    }

    /// Goes on with a first attempt that failed, or has not answered yet.
    async fn persist<T, F>(
        &self,
        begun: Poll<Result<T>>,
        first: Instrumented<F>,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Answer<T>>
    where
        F: Future<Output = Result<T>> + Unpin,
    {
        let answer = match begun {
            Poll::Ready(answer) => answer,
            Poll::Pending => self.finished(self.half(), first).await,
        };
        let repeated = match answer {
            Ok(value) => return Ok(Answer { value, repeated: false }),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => true,
            Err(error) if error.kind() == ErrorKind::Unavailable => false,
            Err(error) => return Err(self.explain(error)),
        };
        sleep(jitter(Duration::from_millis(10))).await;
        let second = attempt().instrument(self.span());
        match timeout_at(self.end(), second).await.unwrap_or_else(|_| Err(self.timed_out())) {
            Ok(value) => Ok(Answer { value, repeated }),
            Err(error) if repeated && error.kind() == ErrorKind::Unavailable => {
                let message = "an earlier attempt was not answered";
                Err(self.explain(Error::new(ErrorKind::OutcomeUnknown, message).with_source(error)))
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Waits for an attempt that has been polled a moment ago, by this task: it is not asked again at once.
    async fn finished<T>(&self, until: Instant, attempt: impl Future<Output = Result<T>>) -> Result<T> {
        let (mut attempt, mut timer) = (pin!(attempt), pin!(sleep_until(until)));
        let mut asked = true;
        poll_fn(|context| {
            if !std::mem::take(&mut asked)
                && let Poll::Ready(answer) = attempt.as_mut().poll(context)
            {
                return Poll::Ready(answer);
            }
            timer.as_mut().poll(context).map(|()| Err(self.timed_out()))
        })
        .await
    }

    fn span(&self) -> Span {
        tracing::debug_span!("session.engine", engine = self.engine, operation = self.name)
    }

    fn timed_out(&self) -> Error {
        let kind = if self.writes { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
        self.explain(Error::new(kind, format!("no answer within {:?}", self.allowed)))
    }

    pub(crate) fn explain(&self, error: Error) -> Error {
        error.during(self.name).in_engine(self.engine)
    }
}

/// Between half of `around` and one and a half times that, so that those who met once do not meet again.
pub(crate) fn jitter(around: Duration) -> Duration {
    around.mul_f64(0.5 + rand::random::<f64>())
}

/// The future's output, or `None` when it takes until `until`. A future that is ready at once costs no timer, and
/// no look at the clock.
pub(crate) async fn within<F: Future>(until: impl FnOnce() -> Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    match first {
        Poll::Ready(output) => Some(output),
        Poll::Pending => timeout_at(until(), future).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn operation(writes: bool) -> Operation {
        Operation::new("write", "test", writes, Duration::from_secs(4))
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
}
