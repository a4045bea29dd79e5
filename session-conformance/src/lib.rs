//! The conformance tests for session engines.
//!
//! You have written a [`Provider`](session_core::Provider) and want to know whether it keeps the
//! guarantees of sessions: no lost update, no login that survives its logout, nothing that outlives
//! its deadline, nothing applied twice when a response is lost. Add this crate to your
//! `[dev-dependencies]`, implement a [`Harness`] that connects a test to your storage, and write
//! one line:
//!
//! ```
//! # fn main() {}
//! // tests/conformance.rs
//! use std::sync::Arc;
//!
//! use session_conformance::{Harness, async_trait};
//! use session_core::Provider;
//! use session_core::clock::ManualClock;
//!
//! # mod my_engine {
//! #     pub fn connect(_: session_core::clock::ManualClock) -> std::sync::Arc<dyn session_core::Provider> {
//! #         unimplemented!()
//! #     }
//! # }
//! /// Every test gets a separate store, with a clock that it controls.
//! #[derive(Default)]
//! struct Mine(ManualClock);
//!
//! #[async_trait]
//! impl Harness for Mine {
//!     async fn provider(&self) -> Arc<dyn Provider> {
//!         my_engine::connect(self.0.clone())
//!     }
//!
//!     fn clock(&self) -> Option<ManualClock> {
//!         Some(self.0.clone())
//!     }
//! }
//!
//! session_conformance::suite!(Mine::default());
//! session_conformance::histories!(Mine::default());
//! ```
//!
//! `cargo test` then runs one test for each behaviour, and a failure names it:
//! `logout::logout_is_not_undone_by_a_request_in_flight`. The functions in [`behaviours`] document
//! the requirements.
//!
//! # What a harness provides
//!
//! - **Capabilities.** The provider is tested for what it [declares](session_core::Capabilities):
//!   whether reads extend deadlines, the granularity of its lifetimes, whether it can count. An
//!   engine that stores the record on the client writes `suite!(client_side: …)` and gets the
//!   behaviours for such engines.
//! - **Time.** With [`Harness::clock`] no test waits. Without it the tests wait for short
//!   lifetimes: a run takes about ten seconds, or half a minute if lifetimes are whole seconds.
//! - **Space.** Tests run concurrently and generate their own ids. If each has its own namespace,
//!   counts are compared exactly; declare a shared one in [`Harness::isolated`].
//! - **A second process.** [`Harness::another`] connects again, so that no test relies on a cache
//!   or a lock inside one handle.
//! - **Bytes.** [`Harness::put_raw`] plants damaged records and those of a newer version.
//! - **Another namespace.** [`Harness::neighbour`] connects with another prefix or table, whose
//!   sessions must be left alone.
//! - **A connection that breaks.** [`Harness::cut_off`] connects through a proxy that can lose a
//!   response, to check the engine's own errors.
//!
//! Without an optional part the tests for it end at once.
//!
//! # How it tests
//!
//! Behaviours of the engine call the provider directly. Behaviours of sessions go through a
//! [`Manager`](session_core::Manager) with [layers] in between: a spy that counts calls, faults (an
//! error, a hang, a lost response after the call was applied, a late packet), and gates that run
//! two requests in every order of their steps. Calls and requests are dropped at each of their
//! polls. [`histories!`] finds situations that no behaviour covers; see
//! [`histories`](mod@histories).
//!
//! The suite itself is tested against providers that keep the contract in each form that it allows
//! (one compares only its own token, another is used through a driver that resends everything), and
//! against one provider for each of some sixty flaws, which a named behaviour must detect.
//!
//! A new behaviour here applies to every engine in its next test run.
//!
//! Adapters of web frameworks have their own suite: the module `http`, behind the feature `http`.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(clippy::missing_panics_doc, reason = "a panic is a failed test")]

pub mod behaviours;
mod context;
mod cut;
mod harness;
pub mod histories;
#[cfg(feature = "http")]
pub mod http;
pub mod layers;
mod run;
pub mod samples;
mod table;

pub use async_trait::async_trait;
pub use context::*;
pub use harness::{CutOff, Harness};
pub use run::run;
