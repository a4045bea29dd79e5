//! What the adapters of all web frameworks share: the place of a session in a request, the end of a request, and
//! the headers of its response. For those who write an adapter; applications need none of it.
//!
//! An adapter brings a [`RequestHead`] and a [`ResponseHeaders`] for the types of its framework, and then
//!
//! 1. puts a [`Slot`] into the request, unless an outer layer of the [same manager](Setup::is_same) has done so, and
//!    keeps its [`Ending`];
//! 2. lets its extractors [open](Slot::open) the slot and [load](Slot::load) the session;
//! 3. asks [`Ending::answered`] what to do when the handler has answered, awaits the release, and calls
//!    [`Ending::apply`]; on an error it sends an answer of its own, after [`Ending::apply_instead`].
//!
//! `session-tower`, `session-actix` and `session-poem` are made this way. No type of an HTTP library is known here.

mod ending;
mod headers;
mod setup;
mod slot;

pub use ending::{End, Ending};
pub use headers::{HeaderName, RequestHead, ResponseHeaders, unfit_header};
pub use setup::{Main, Setup};
pub use slot::{Loaded, Slot};

pub use crate::manager::{Finish, Reply, RequestSession, stores_changes};
