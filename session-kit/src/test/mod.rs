//! Sessions in an application's tests; `docs/guide/testing.md` has examples.

mod failing;
mod session;

use std::sync::Arc;

pub use failing::Failing;
pub use session::TestSession;

use crate::clock::ManualClock;
use crate::memory::MemoryProvider;
use crate::{Manager, ManagerBuilder, Result, Session};

/// A builder of a manager with an engine in memory. Both use `clock`.
pub fn builder(clock: &ManualClock) -> Result<ManagerBuilder> {
    let engine = MemoryProvider::builder().clock(Arc::new(clock.clone())).build()?;
    Ok(Manager::builder(engine).clock(clock.clone()))
}

/// A new session without HTTP, with its own engine in memory: for functions that take a `&Session`.
///
/// Its [`release`](Session::release) and [`save`](Session::save) need a tokio runtime; reading and
/// changing do not.
pub fn session() -> Result<Session> {
    Ok(Manager::builder(MemoryProvider::new()).build()?.create())
}
