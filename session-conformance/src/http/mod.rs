//! The conformance tests for adapters of web frameworks.
//!
//! Implement [`Adapter`] to serve an [`Application`], its routes and its middleware, with your
//! adapter. Then one line generates a test for each behaviour, which sends requests over real
//! connections:
//!
//! ```ignore
//! session_conformance::http_suite!(MyAdapter);
//! ```
//!
//! The tests provide the handlers. An adapter calls them with the sessions from its own extractors,
//! and converts their [`Answer`]s and errors into responses of its framework; see the adapters of
//! `session-tower` and `session-actix` in their `tests/conformance.rs`.

mod answer;
mod application;
pub mod behaviours;
mod client;
mod shelf;
mod table;

use std::net::SocketAddr;
use std::time::Duration;

pub use answer::{Answer, Body, Chunks};
pub use application::{Application, Asked, Before, Handler, Hook, Lazy, Outcome, Thrice};
pub use client::{Client, Connection, Response};
pub use shelf::Shelf;

/// A framework with the adapter under test.
pub trait Adapter: 'static {
    /// Serves the application on a free port of the loopback. Called on a tokio runtime with
    /// several threads.
    fn serve(application: Application) -> Server;
}

/// A running server; stopped when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

impl Server {
    /// A server that listens on this address until `stop` is called.
    pub fn new(address: SocketAddr, stop: impl FnOnce() + Send + 'static) -> Self {
        Self { address, stop: Some(Box::new(stop)) }
    }

    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of it.
    pub const fn client(&self) -> Client {
        Client::new(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The timeout of a behaviour.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a behaviour; [`http_suite!`](crate::http_suite) calls it in each of its tests.
pub fn run(behaviour: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, behaviour).await.expect("the behaviour ends within two minutes");
    });
    // Hanging tasks are not waited for.
    runtime.shutdown_background();
}
