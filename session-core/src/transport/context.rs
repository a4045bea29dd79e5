//! The parts of a request that the cookie of its response depends on.

use std::sync::Once;

use super::{Connection, CookieSettings};

/// The parts of a request that the cookie of its response depends on, besides the settings: how the
/// client connected, and the host that it requested. Built by
/// [`Transport::context`](crate::transport::Transport::context); the default is for a response
/// without `Secure`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieContext {
    pub(super) secure: bool,
    pub(super) domain: Option<String>,
    /// Whether browsers drop a `Secure` cookie of this response.
    is_plain_http: bool,
}

impl CookieContext {
    pub(super) fn of(cookie: &CookieSettings, connection: Connection<'_>) -> Self {
        let secure = cookie.secure.applies(connection);
        Self {
            secure,
            domain: cookie.domains.as_ref().and_then(|domains| domains.choose(connection.host)),
            is_plain_http: secure && connection.is_plain_http(),
        }
    }

    /// Returns whether the cookie has `Secure`.
    pub const fn secure(&self) -> bool {
        self.secure
    }

    /// Returns the domain that was chosen for the host of the request, if the settings depend on
    /// the host.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Warns, once per process, that browsers drop the session's cookie.
    pub(super) fn warn_if_dropped(&self) {
        static GIVEN: Once = Once::new();
        if self.is_plain_http {
            GIVEN.call_once(|| {
                tracing::warn!(
                    "secure_cookie_over_plain_http: browsers drop the session's cookie, so every request \
                     starts a new session. Use https or http://localhost; for plain HTTP, use \
                     SecureMode::Never and a cookie name without a prefix; behind a proxy that \
                     terminates TLS, make it send X-Forwarded-Proto"
                );
            });
        }
    }
}
