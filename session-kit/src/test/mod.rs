//! Sessions in the tests of an application; `docs/guide/testing.md` shows each of these at work.

mod failing;
mod session;

use std::sync::Arc;

pub use failing::Failing;
pub use session::TestSession;

use crate::clock::ManualClock;
use crate::memory::MemoryProvider;
use crate::{Manager, ManagerBuilder, Result, Session};

/// A manager over an engine in memory, to be configured further. Both take the time from `clock`.
pub fn builder(clock: &ManualClock) -> Result<ManagerBuilder> {
    let engine = MemoryProvider::builder().clock(Arc::new(clock.clone())).build()?;
    Ok(Manager::builder(engine).clock(clock.clone()))
}

/// A new session without HTTP, over an engine in memory of its own: for functions that take a `&Session`.
///
/// Its [`release`](Session::release) and [`save`](Session::save) need a tokio runtime; reading and changing do not.
pub fn session() -> Result<Session> {
    Ok(Manager::builder(MemoryProvider::new()).build()?.create())
}
