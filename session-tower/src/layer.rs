//! The layer, and what is computed once for all requests.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Response};
use session_core::{CookieSettings, Error, Manager, SecureMode};
use tower_layer::Layer;

use crate::SessionService;
use crate::error::EmptyAnswer;

/// Gives every request a session, and stores it before the response head leaves.
///
/// It works around a whole router and as a route layer. Where two layers of one manager meet, the inner one passes
/// requests through. Cloning is cheap.
///
/// An untouched request costs no look at its headers and, under axum, six allocations, three of which axum makes for
/// any layer; one that reads its session from memory eleven, one that changes it nineteen; with `metrics` one more per call of the
/// engine (counted in a test).
#[derive(Clone)]
#[must_use = "a layer does nothing before it is added to a service"]
pub struct SessionLayer<H = EmptyAnswer> {
    setup: Arc<Setup>,
    on_error: H,
}

impl SessionLayer {
    /// A layer for the sessions of this manager.
    ///
    /// A request whose session cannot be stored is answered with an empty body and
    /// [`ErrorKind::http_status`](session_core::ErrorKind::http_status); [`on_error`](Self::on_error) changes that.
    pub fn new(manager: Manager) -> Self {
        Self { setup: Arc::new(Setup::new(manager)), on_error: EmptyAnswer }
    }
}

impl<H> SessionLayer<H> {
    /// Answers requests whose session could not be loaded or stored in the application's own way.
    ///
    /// The hook is asked when changes could not be stored (then it replaces the handler's response, which must not
    /// claim success), and when a handler answered with a [`SessionError`](crate::SessionError), as the extractors
    /// do when the engine is down. The error holds no id and no secret, but may name hosts: it is for logs.
    ///
    /// ```
    /// # use http::Response;
    /// # use session_core::{Error, Manager};
    /// # use session_tower::SessionLayer;
    /// fn layer(manager: Manager) -> SessionLayer<impl Fn(&Error) -> Response<String> + Clone> {
    ///     SessionLayer::new(manager).on_error(|error: &Error| {
    ///         let sorry = format!(r#"{{"error":"{}"}}"#, error.kind());
    ///         let mut response = Response::new(sorry);
    ///         *response.status_mut() = session_tower::status(error);
    ///         response
    ///     })
    /// }
    /// ```
    pub fn on_error<F, B>(self, hook: F) -> SessionLayer<F>
    where
        F: Fn(&Error) -> Response<B> + Clone,
    {
        SessionLayer { setup: self.setup, on_error: hook }
    }

    /// The manager.
    pub fn manager(&self) -> &Manager {
        &self.setup.manager
    }
}

impl<S, H: Clone> Layer<S> for SessionLayer<H> {
    type Service = SessionService<S, H>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::with(inner, Arc::clone(&self.setup), self.on_error.clone())
    }
}

impl<H> fmt::Debug for SessionLayer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("manager", &self.setup.manager).finish_non_exhaustive()
    }
}

/// The manager, and answers that depend on its configuration alone.
pub(crate) struct Setup {
    pub manager: Manager,
    /// What a response that used the session adds to `Vary`.
    pub vary: Option<HeaderValue>,
    /// Whether `Secure` depends on how the request came.
    pub follows_connection: bool,
}

impl Setup {
    pub(crate) fn new(manager: Manager) -> Self {
        let transport = manager.transport();
        let vary = Some(transport.vary()).filter(|names| !names.is_empty());
        let vary = vary.and_then(|names| HeaderValue::try_from(names).ok());
        let secure = transport.cookie_settings().map(|CookieSettings { secure, .. }| secure);
        let follows_connection = !matches!(secure, None | Some(SecureMode::Always | SecureMode::Never));
        Self { manager, vary, follows_connection }
    }

    /// Whether these are sessions of the same manager.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // The transport lies inside of the manager, which its clones share.
        std::ptr::eq(self.manager.transport(), other.manager.transport())
    }
}
