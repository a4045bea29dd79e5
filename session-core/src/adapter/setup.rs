//! What an adapter computes once for all requests.

use std::borrow::Cow;
use std::fmt;

use crate::Manager;
use crate::transport::{Connection, CookieContext};

/// The scope of a layer and of its extractors unless another one is named, in an application with several managers.
#[derive(Debug, Clone, Copy)]
pub enum Main {}

/// A manager, and answers that depend on its configuration alone. An adapter keeps one for each of its layers.
#[derive(Clone)]
pub struct Setup {
    manager: Manager,
    /// What a response that used the session adds to `Vary`; may be empty.
    pub(super) vary: Cow<'static, str>,
    /// What the cookie depends on, where that is the same for every request.
    pub(super) context: Option<CookieContext>,
}

impl Setup {
    /// For the sessions of this manager.
    pub fn new(manager: Manager) -> Self {
        let transport = manager.transport();
        let vary = transport.vary();
        let vary = if vary == "Cookie" { Cow::Borrowed("Cookie") } else { Cow::Owned(vary) };
        let same = !transport.depends_on_connection();
        let context = same.then(|| transport.context(Connection::default()));
        Self { manager, vary, context }
    }

    /// The manager.
    pub const fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Whether tokens of both travel under one name.
    pub(super) fn shares_a_name(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.manager.transport(), other.manager.transport());
        let is_same = |ours: Option<&str>, theirs: Option<&str>| ours.is_some() && ours == theirs;
        let headers = ours.header_name().zip(theirs.header_name());
        is_same(ours.cookie_name(), theirs.cookie_name())
            || headers.is_some_and(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
            || is_same(ours.query_name(), theirs.query_name())
    }

    /// Whether both have the same manager. Of two such layers around one handler the inner one has nothing to do.
    pub fn is_same(&self, other: &Self) -> bool {
        // The transport is part of the manager, which its clones share.
        std::ptr::eq(self.manager.transport(), other.manager.transport())
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("manager", &self.manager).finish_non_exhaustive()
    }
}
