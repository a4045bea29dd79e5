//! What the tests of the suite run it against.

mod flawed;
mod reference;

use std::sync::{Arc, OnceLock};

use session_conformance::{Harness, LONG, async_trait};
use session_core::{Clock, ManualClock, Provider, StorageId, SystemClock};

pub use flawed::{Flaw, Flawed};
pub use reference::{Kind, Reference};

/// The harness of the reference, flawed or not.
pub struct Example {
    kind: Kind,
    flaw: Option<Flaw>,
    clock: ManualClock,
    reference: OnceLock<Arc<Reference>>,
}

impl Example {
    pub fn of(kind: Kind) -> Self {
        Self { kind, flaw: None, clock: ManualClock::default(), reference: OnceLock::new() }
    }

    pub fn with(kind: Kind, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..Self::of(kind) }
    }

    fn reference(&self) -> Arc<Reference> {
        let make = || {
            let clock: Arc<dyn Clock> =
                if self.kind.real_clock { Arc::new(SystemClock) } else { Arc::new(self.clock.clone()) };
            Arc::new(Reference::new(self.kind, clock))
        };
        Arc::clone(self.reference.get_or_init(make))
    }
}

#[async_trait]
impl Harness for Example {
    async fn provider(&self) -> Arc<dyn Provider> {
        match self.flaw {
            Some(flaw) => Arc::new(Flawed::new(self.reference(), flaw)),
            None => self.reference(),
        }
    }

    fn clock(&self) -> Option<ManualClock> {
        (!self.kind.real_clock).then(|| self.clock.clone())
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let reference = self.reference();
        reference.put(&mut reference.map(), id, bytes, LONG);
        true
    }
}
