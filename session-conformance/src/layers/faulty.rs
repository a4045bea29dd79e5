//! Makes calls fail between the core and a healthy engine.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use session_core::{Error, ErrorKind, Provider, Result};

use super::{Around, Call, Layer, Method};

/// The way in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not reach the engine, and the caller gets an error that says so.
    Refused,
    /// It does not reach the engine, and the caller gets an unknown outcome.
    Unknown,
    /// It is applied and its response is lost: the caller gets an unknown outcome.
    Lost,
    /// It does not reach the engine, and the caller gets no response.
    Hangs,
    /// It is applied, and the caller gets no response.
    LostAndHangs,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Refused, Self::Unknown, Self::Lost, Self::Hangs, Self::LostAndHangs];

    /// Whether the engine executes the call.
    pub fn applies(self) -> bool {
        matches!(self, Self::Lost | Self::LostAndHangs)
    }
}

/// The failing calls.
#[derive(Debug)]
pub struct Faulty {
    plan: Mutex<Option<Plan>>,
    seen: AtomicUsize,
    struck: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    fault: Fault,
    from: usize,
    times: usize,
}

impl Faulty {
    /// The engine with a layer that passes all calls at first.
    pub fn on(inner: Arc<dyn Provider>) -> (Arc<dyn Provider>, Arc<Self>) {
        let faulty = Arc::new(Self {
            plan: Mutex::default(),
            seen: AtomicUsize::new(0),
            struck: AtomicBool::new(false),
        });
        (Layer::over(inner, &faulty), faulty)
    }

    /// Makes the `nth` call from now on (the next one is 0) and `times - 1` calls after it fail.
    pub fn strike(&self, fault: Fault, nth: usize, times: usize) {
        self.seen.store(0, Ordering::SeqCst);
        self.struck.store(false, Ordering::SeqCst);
        *self.plan() = Some(Plan { fault, from: nth, times });
    }

    /// Makes every call fail from now on.
    pub fn down(&self, fault: Fault) {
        self.strike(fault, 0, usize::MAX);
    }

    /// Ends the failures. Returns whether a call has failed.
    pub fn heal(&self) -> bool {
        *self.plan() = None;
        self.struck.load(Ordering::SeqCst)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Option<Plan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Fault> {
        let plan = (*self.plan())?;
        let nth = self.seen.fetch_add(1, Ordering::SeqCst);
        let strikes = nth >= plan.from && nth - plan.from < plan.times;
        strikes.then(|| {
            self.struck.store(true, Ordering::SeqCst);
            plan.fault
        })
    }
}

#[crate::async_trait]
impl Around for Faulty {
    type Memo = Option<Fault>;

    async fn before(&self, call: &Call) -> Result<Option<Fault>> {
        let fault = self.next();
        match fault {
            Some(Fault::Refused) => Err(Error::new(ErrorKind::Unavailable, "a test refuses the call")),
            Some(Fault::Unknown) => Err(lost(call)),
            Some(Fault::Hangs) => pending().await,
            other => Ok(other),
        }
    }

    async fn after(&self, call: &Call, fault: Option<Fault>) -> Result<()> {
        match fault {
            Some(Fault::LostAndHangs) => pending().await,
            Some(_) => Err(lost(call)),
            None => Ok(()),
        }
    }
}

/// A read changes nothing, so its lost response is only "unavailable".
fn lost(call: &Call) -> Error {
    let reads =
        matches!(call.method, Method::Read | Method::Exists | Method::Count | Method::List | Method::Scan);
    let kind = if reads { ErrorKind::Unavailable } else { ErrorKind::OutcomeUnknown };
    Error::new(kind, "a test lost the response")
}
