//! What the tests of the suite run it against.

mod cut_off;
mod flaw;
mod flawed;
mod reference;

use std::sync::{Arc, OnceLock};

use session_conformance::layers::Resent;
use session_conformance::{CutOff, Harness, LONG, async_trait};
use session_core::clock::{Clock, ManualClock, SystemClock};
use session_core::id::StorageId;
use session_core::{ErrorKind, Provider};

use cut_off::Wire;
pub use flaw::Flaw;
pub use flawed::Flawed;
pub use reference::{Kind, Reference};

/// How often the driver sends what changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Once,
    Twice,
    /// A destroy once, and everything else twice.
    WritesTwice,
}

/// The harness of the reference, flawed or not.
pub struct Example {
    kind: Kind,
    flaw: Option<Flaw>,
    sent: Sent,
    clock: ManualClock,
    reference: OnceLock<Arc<Reference>>,
    neighbour: OnceLock<Arc<Reference>>,
}

impl Example {
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            flaw: None,
            sent: Sent::Once,
            clock: ManualClock::default(),
            reference: OnceLock::new(),
            neighbour: OnceLock::new(),
        }
    }

    pub fn with(kind: Kind, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..Self::of(kind) }
    }

    pub fn sent(self, sent: Sent) -> Self {
        Self { sent, ..self }
    }

    fn reference(&self) -> Arc<Reference> {
        Arc::clone(self.reference.get_or_init(|| self.make()))
    }

    fn other_place(&self) -> Arc<Reference> {
        Arc::clone(self.neighbour.get_or_init(|| self.make()))
    }

    fn make(&self) -> Arc<Reference> {
        let clock: Arc<dyn Clock> =
            if self.kind.real_clock { Arc::new(SystemClock) } else { Arc::new(self.clock.clone()) };
        Arc::new(Reference::new(self.kind, clock))
    }

    fn connect(&self) -> Arc<dyn Provider> {
        let provider: Arc<dyn Provider> = match self.flaw {
            Some(flaw) => Arc::new(Flawed::new(self.reference(), self.other_place(), flaw)),
            None => self.reference(),
        };
        match self.sent {
            Sent::Once => provider,
            Sent::Twice => Resent::on(provider),
            Sent::WritesTwice => Resent::writes_on(provider),
        }
    }
}

#[async_trait]
impl Harness for Example {
    async fn provider(&self) -> Arc<dyn Provider> {
        self.connect()
    }

    async fn neighbour(&self) -> Option<Arc<dyn Provider>> {
        Some(if self.flaw == Some(Flaw::SharesPlaces) { self.reference() } else { self.other_place() })
    }

    async fn cut_off(&self) -> Option<CutOff> {
        let kind = match self.flaw {
            Some(Flaw::ClaimsNothingChanged) => ErrorKind::Unavailable,
            _ => ErrorKind::OutcomeUnknown,
        };
        let (provider, wire) = Wire::over(self.connect(), kind);
        Some(CutOff::new(provider, move || wire.cut_next()))
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
