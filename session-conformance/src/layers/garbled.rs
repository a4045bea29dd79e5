//! One record that cannot be read, for engines into which no such bytes can be put.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{Provider, Result};

use super::{Around, Call, Layer, Method};

/// Answers reads of one session with what these bytes decode to, until it is destroyed.
#[derive(Debug)]
pub struct Garbled {
    id: StorageId,
    bytes: Vec<u8>,
    destroyed: AtomicBool,
}

impl Garbled {
    /// The engine with this record in it.
    pub fn on(inner: Arc<dyn Provider>, id: StorageId, bytes: Vec<u8>) -> Arc<dyn Provider> {
        Layer::over(inner, &Arc::new(Self { id, bytes, destroyed: AtomicBool::new(false) }))
    }
}

#[crate::async_trait]
impl Around for Garbled {
    type Memo = ();

    async fn before(&self, call: &Call) -> Result<()> {
        if call.id.as_ref() != Some(&self.id) {
            return Ok(());
        }
        match call.method {
            Method::Destroy => self.destroyed.store(true, Ordering::SeqCst),
            Method::Read if !self.destroyed.load(Ordering::SeqCst) => {
                Record::decode(&self.bytes)?;
            }
            _ => {}
        }
        Ok(())
    }
}
