//! The parts that the adapters of all web frameworks share: the slot of a session in a request, the
//! end of a request, and the headers of its response. For authors of adapters; applications need
//! none of it.
//!
//! An adapter implements [`RequestHead`] and [`ResponseHeaders`] for the types of its framework,
//! and then
//!
//! 1. puts a [`Slot`] into the request, unless an outer layer of the [same manager](Setup::is_same)
//!    has done so, and keeps its [`Ending`];
//! 2. declares its extractors ([`extractors!`](extractors), [`flashes!`](flashes)), which
//!    [open](Slot::open) the slot and [load](Slot::load) the session;
//! 3. calls [`Ending::answered`] after the handler, awaits the release, and calls
//!    [`Ending::apply`]; on an error it sends an error response instead, after
//!    [`Ending::apply_instead`].
//!
//! `session-tower`, `session-actix` and `session-poem` are built this way. This module uses no
//! types of an HTTP library.

mod ending;
mod extractors;
mod headers;
mod setup;
mod slot;

pub use ending::{End, Ending, Refused};
pub use headers::{HeaderName, RequestHead, ResponseHeaders, unfit_header};
pub use setup::{Main, Setup};
pub use slot::{Loaded, Scopes, Slot};

#[doc(inline)]
pub use crate::{__adapter_extractors as extractors, __adapter_flashes as flashes};

pub use crate::manager::{Finish, Reply, RequestSession, stores_changes};
