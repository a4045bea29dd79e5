//! Records every call that reaches the engine.

use std::sync::{Arc, Mutex, PoisonError};

use session_core::{Provider, Result};

use super::{Around, Call, Layer, Method};

/// Records calls when they are sent, whether answered or not.
#[derive(Debug, Default)]
pub struct Spy(Mutex<Vec<Call>>);

impl Spy {
    /// The engine with a spy before it.
    pub fn on(inner: Arc<dyn Provider>) -> (Arc<dyn Provider>, Arc<Self>) {
        let spy = Arc::new(Self::default());
        (Layer::over(inner, &spy), spy)
    }

    /// Returns and clears the calls since the last time.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Only their methods.
    pub fn methods(&self) -> Vec<Method> {
        self.take().into_iter().map(|call| call.method).collect()
    }
}

#[crate::async_trait]
impl Around for Spy {
    type Memo = ();

    async fn before(&self, call: &Call) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        Ok(())
    }
}
