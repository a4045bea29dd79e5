//! The behaviours that every session engine must show, as tests.
//!
//! You have written a [`Provider`](session_core::Provider) and want to know whether it keeps what
//! sessions promise: no lost update, no login that survives its logout, nothing that outlives its
//! deadline, nothing applied twice when an answer is lost. Add this crate to your
//! `[dev-dependencies]`, say in a [`Harness`] how a test reaches your storage, and write one line:
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
//! /// Every test gets a store of its own, on a clock that it turns.
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
//! `logout::logout_is_not_undone_by_a_request_in_flight`. The functions in
//! [`behaviours`] say what is demanded.
//!
//! # What it needs to know
//!
//! - **Capabilities.** What the provider [declares](session_core::Capabilities) is what it is held
//!   to: whether reads slide, how coarse its lifetimes are, whether it can count. An engine whose
//!   client holds the record writes `suite!(client_side: …)` and gets the behaviours that such an
//!   engine can show.
//! - **Time.** With [`Harness::clock`] no test waits. Without it lifetimes are short and the tests
//!   wait for them: a run takes about ten seconds, or half a minute where lifetimes are whole
//!   seconds.
//! - **Space.** Tests run at the same time and draw their own ids. Where each has a namespace of
//!   its own, counts are compared exactly; a shared one says so in [`Harness::isolated`].
//! - **A second process.** [`Harness::another`] connects again, so that nothing is proven by a
//!   cache or a lock inside one handle only.
//! - **Bytes.** [`Harness::put_raw`] plants damaged records and those of a newer version.
//! - **Another place.** [`Harness::neighbour`] connects under another prefix, or to another table,
//!   whose sessions are to be left alone.
//! - **A connection that breaks.** [`Harness::cut_off`] connects through something that can lose an
//!   answer, so that the engine's own errors are seen to be honest.
//!
//! What a harness does not have is not proven; the tests then end at once.
//!
//! # How it tests
//!
//! Behaviours of the engine alone call the provider. Behaviours of sessions go through a
//! [`Manager`](session_core::Manager) with [layers] in between: a spy that counts calls, faults (an
//! error, a hang, an answer that is lost after the call was applied, a packet that arrives late),
//! and gates that run two requests in every order of their steps. Calls and requests are dropped at
//! each of their polls. [`histories!`] finds situations that no behaviour plays; see
//! [`histories`](mod@histories).
//!
//! The suite itself is tested against providers that keep the contract in each form that it allows
//! (one compares by its own token alone, another is used through a driver that resends everything),
//! and against one for each of some sixty flaws, which it must catch by name.
//!
//! A behaviour that is added here reaches every engine with its next test run.
//!
//! Adapters of web frameworks have a suite of their own: the module `http`, behind the feature of that name.

#![allow(clippy::missing_panics_doc, reason = "panicking is how a test says no")]

pub mod behaviours;
mod context;
mod cut;
mod harness;
pub mod histories;
#[cfg(feature = "http")]
pub mod http;
pub mod layers;
mod run;
mod table;

pub use async_trait::async_trait;
pub use context::*;
pub use harness::{CutOff, Harness};
pub use run::run;
