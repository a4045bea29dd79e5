//! A connection that breaks before a response arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_conformance::async_trait;
use session_conformance::layers::{Around, Call, Layer, Method};
use session_core::{Error, ErrorKind, Provider, Result};

/// Returns the engine's error for a lost response to the next changing call.
#[derive(Debug)]
pub struct Wire {
    cut: AtomicBool,
    says: ErrorKind,
}

impl Wire {
    pub fn over(inner: Arc<dyn Provider>, says: ErrorKind) -> (Arc<dyn Provider>, Arc<Self>) {
        let wire = Arc::new(Self { cut: AtomicBool::new(false), says });
        (Layer::over(inner, &wire), wire)
    }

    pub fn cut_next(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Around for Wire {
    type Memo = ();

    async fn before(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn after(&self, call: &Call, (): ()) -> Result<()> {
        let changes = matches!(call.method, Method::Write | Method::Rename | Method::Destroy);
        if changes && self.cut.swap(false, Ordering::SeqCst) {
            return Err(Error::new(self.says, "the connection broke"));
        }
        Ok(())
    }
}
