//! Makes every call take several polls, so that it can be dropped at each of them.

use std::sync::Arc;

use session_core::{Provider, Result};

use super::{Around, Call, Layer};

/// Two pauses before each call and two after it.
#[derive(Debug)]
pub struct Slow;

impl Slow {
    /// The engine, slower.
    pub fn on(inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Layer::over(inner, &Arc::new(Self))
    }
}

#[crate::async_trait]
impl Around for Slow {
    type Memo = ();

    async fn before(&self, _: &Call) -> Result<()> {
        pause().await;
        Ok(())
    }

    async fn after(&self, _: &Call, (): ()) -> Result<()> {
        pause().await;
        Ok(())
    }
}

async fn pause() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}
