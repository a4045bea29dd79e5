//! The values that an adapter computes once for all requests.

use std::borrow::Cow;
use std::fmt;

use crate::Manager;
use crate::transport::{Connection, CookieContext};

/// The default scope of a layer and its extractors. An application with several managers needs
/// further scopes.
#[derive(Debug, Clone, Copy)]
pub enum Main {}

/// A manager, and values that depend only on its configuration. An adapter keeps one for each of
/// its layers.
#[derive(Clone)]
pub struct Setup {
    manager: Manager,
    /// The value that a response with a session adds to `Vary`; may be empty.
    pub(super) vary: Cow<'static, str>,
    /// The cookie's context, if it is the same for every request.
    pub(super) context: Option<CookieContext>,
}

impl Setup {
    /// Prepares a layer for the sessions of this manager.
    pub fn new(manager: Manager) -> Self {
        let transport = manager.transport();
        let vary = transport.vary();
        let vary = if vary == "Cookie" { Cow::Borrowed("Cookie") } else { Cow::Owned(vary) };
        let same = !transport.depends_on_connection();
        let context = same.then(|| transport.context(Connection::default()));
        Self { manager, vary, context }
    }

    /// Returns the manager.
    pub const fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Returns whether both managers use the same name for their tokens.
    pub(super) fn shares_a_name(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.manager.transport(), other.manager.transport());
        let is_same = |ours: Option<&str>, theirs: Option<&str>| ours.is_some() && ours == theirs;
        let headers = ours.header_name().zip(theirs.header_name());
        is_same(ours.cookie_name(), theirs.cookie_name())
            || headers.is_some_and(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
            || is_same(ours.query_name(), theirs.query_name())
    }

    /// Returns whether both have the same manager. Of two such layers around one handler, the inner
    /// one has nothing to do.
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
