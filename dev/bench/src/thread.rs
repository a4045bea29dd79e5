//! The one thread on which everything in process runs.

use std::rc::Rc;

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::cores;

/// A runtime of one thread, whose tasks need not be `Send`. Clones are the same thread.
#[derive(Debug, Clone)]
pub struct Thread(Rc<(LocalSet, Runtime)>);

impl Thread {
    /// A runtime of its own.
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self(Rc::new((LocalSet::new(), runtime)))
    }

    /// Runs to the end, on the core of the clients.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        cores::be_client();
        let output = self.0.0.block_on(&self.0.1, future);
        cores::be_server();
        output
    }
}
