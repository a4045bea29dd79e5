//! What the cookie of one response depends on besides its settings.

use std::sync::Once;

use super::{Connection, CookieSettings};

/// What a cookie of a response depends on besides its settings: how the client came, and which host it asked for.
/// [`Transport::context`](crate::transport::Transport::context) makes one; the default is for a response without `Secure`.
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

    /// Whether the cookie has `Secure`.
    pub const fn secure(&self) -> bool {
        self.secure
    }

    /// The domain that was chosen for the host of the request, when the settings leave that to the host.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Tells operators once, and not for each request, that browsers do not keep the session's cookie.
    pub(super) fn warn_if_dropped(&self) {
        static GIVEN: Once = Once::new();
        if self.is_plain_http {
            GIVEN.call_once(|| {
                tracing::warn!(
                    "secure_cookie_over_plain_http: browsers drop the session's cookie, and every visit is the \
                     first. Use https or http://localhost; or, where plain HTTP is wanted, SecureMode::Never and a \
                     cookie name without a prefix; or, behind a proxy that ends TLS, let it send X-Forwarded-Proto"
                );
            });
        }
    }
}
