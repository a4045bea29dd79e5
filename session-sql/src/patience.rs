//! Repeats a step of a migration that other transactions hinder.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a step is repeated after its first failure.
const LONGEST: Duration = Duration::from_mins(2);

/// The pauses of one step. Steps before it are not repeated: they may have taken hours.
#[derive(Debug)]
pub struct Patience {
    /// When the step failed first. A try may itself have taken hours.
    failed: Option<Instant>,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { failed: None, pause: Duration::from_millis(100) }
    }
}

impl Patience {
    /// Waits before the next try. Returns the error if it cannot pass, or if the first one was more
    /// than two minutes ago.
    pub async fn after<E: Display>(&mut self, error: E, may_pass: impl Fn(&E) -> bool) -> Result<(), E> {
        let failed = self.failed.get_or_insert_with(Instant::now);
        if !may_pass(&error) || failed.elapsed() >= LONGEST {
            return Err(error);
        }
        tracing::debug!("a migration waits for other transactions: {error}");
        sleep(self.pause.mul_f64(rand::random_range(0.5..1.0))).await;
        self.pause = (self.pause * 3 / 2).min(Duration::from_secs(2));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_error_that_may_pass_is_returned_after_two_minutes_and_others_at_once() {
        let may_pass = |error: &&str| *error == "locked";
        let (begun, mut patience) = (Instant::now(), Patience::default());
        assert_eq!(patience.after("no right", may_pass).await, Err("no right"));
        assert!(begun.elapsed().is_zero());
        // A first try that took long is repeated, too.
        let mut patience = Patience::default();
        sleep(Duration::from_hours(1)).await;
        let (begun, mut tries) = (Instant::now(), 0);
        while patience.after("locked", may_pass).await.is_ok() {
            tries += 1;
        }
        assert!((120..122).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert!((60..180).contains(&tries), "{tries}");
    }
}
