//! Backoff while a server cannot be reached, with one attempt at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::connect::Unfit;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(20);
/// The longest pause, and so the longest delay until a recovered server is noticed.
const LONGEST: Duration = Duration::from_secs(1);

/// Shared by all callers that want a connection to one server.
#[derive(Debug)]
pub(super) struct Backoff {
    state: Mutex<State>,
    /// Counts finished attempts, and wakes their waiters.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    retry_at: Option<Instant>,
    /// An attempt is in progress.
    probing: bool,
    last: Option<Unfit>,
}

/// Permission for one attempt. Dropping it unused lets another caller try.
pub(super) struct Attempt<'a> {
    backoff: &'a Backoff,
    /// Whether this is the single attempt while the server fails.
    probes: bool,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), ended: watch::Sender::new(0) }
    }

    /// Waits for permission. While the server fails, one caller tries after each pause, and those
    /// waiting for it fail with its error.
    pub(super) async fn turn(&self) -> Result<Attempt<'_>, Unfit> {
        let mut ended = self.ended.subscribe();
        loop {
            let pause = {
                let mut state = self.state();
                if state.failures == 0 {
                    return Ok(Attempt { backoff: self, probes: false });
                }
                match state.retry_at.filter(|at| *at > Instant::now()) {
                    _ if state.probing => {
                        ended.mark_unchanged();
                        None
                    }
                    Some(at) => Some(at),
                    None => {
                        state.probing = true;
                        return Ok(Attempt { backoff: self, probes: true });
                    }
                }
            };
            if let Some(at) = pause {
                sleep_until(at).await;
            } else if ended.changed().await.is_ok()
                && let Some(unfit) = self.state().last.clone()
            {
                return Err(unfit);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    pub(super) fn succeeded(self) {
        *self.backoff.state() = State::default();
    }

    pub(super) fn failed(self, unfit: Unfit) {
        let mut state = self.backoff.state();
        let now = Instant::now();
        // Concurrent attempts count as one failure.
        if self.probes || state.failures == 0 {
            state.failures = state.failures.saturating_add(1);
            let pause = FIRST.saturating_mul(1 << (state.failures - 1).min(10)).min(LONGEST);
            state.retry_at = Some(now + pause.mul_f64(rand::random_range(0.5..1.0)));
        }
        state.last = Some(unfit);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.probes {
            self.backoff.state().probing = false;
            self.backoff.ended.send_modify(|ended| *ended = ended.wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use session_core::ErrorKind;

    use super::*;

    fn unfit() -> Unfit {
        Unfit { kind: ErrorKind::Unavailable, message: "full".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_server_is_retried_rarely_whatever_the_load() {
        let backoff = Arc::new(Backoff::new());
        let begun = Instant::now();
        let callers = (0..50).map(|_| {
            let backoff = Arc::clone(&backoff);
            tokio::spawn(async move {
                let mut attempts = 0;
                while begun.elapsed() < Duration::from_secs(3) {
                    if let Ok(attempt) = backoff.turn().await {
                        attempts += 1;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        attempt.failed(unfit());
                    }
                    tokio::task::yield_now().await;
                }
                attempts
            })
        });
        let mut attempts = 0;
        for caller in callers.collect::<Vec<_>>() {
            attempts += caller.await.unwrap();
        }
        assert!((54..75).contains(&attempts), "{attempts} attempts, the first 50 at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_attempt_lets_another_try_and_a_success_ends_the_pauses() {
        let backoff = Backoff::new();
        backoff.turn().await.unwrap().failed(unfit());
        drop(backoff.turn().await.unwrap());
        drop(backoff.turn().await.unwrap());
        backoff.turn().await.unwrap().succeeded();
        let begun = Instant::now();
        let (first, second) = (backoff.turn().await.unwrap(), backoff.turn().await.unwrap());
        assert_eq!(begun.elapsed(), Duration::ZERO, "several at once");
        drop((first, second));
    }
}
