//! The layer, and what is computed once for all requests.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode};
use session_core::{Connection, CookieContext, Error, Manager, stores_changes};
use tower_layer::Layer;

use crate::SessionService;
use crate::answer::{EmptyAnswer, Hook};
use crate::scope::Main;

/// Gives every request a session, and stores it before the response head leaves.
///
/// It works around a whole router and as a route layer. Where two layers of one manager meet, the inner one passes
/// requests through. Cloning is cheap.
///
/// An untouched request costs no look at its headers and, under axum, six allocations, three of which axum makes for
/// any layer; one that reads its session from memory eleven, one that changes it nineteen; with `metrics` one more per call of the
/// engine (counted in a test).
#[must_use = "a layer does nothing before it is added to a service"]
pub struct SessionLayer<H = EmptyAnswer, M = Main> {
    setup: Arc<Setup>,
    on_error: H,
    scope: PhantomData<fn() -> M>,
}

impl<H: Clone, M> Clone for SessionLayer<H, M> {
    fn clone(&self) -> Self {
        Self { setup: Arc::clone(&self.setup), on_error: self.on_error.clone(), scope: PhantomData }
    }
}

impl SessionLayer {
    /// A layer for the sessions of this manager.
    ///
    /// A request whose session cannot be stored is answered with an empty body and
    /// [`ErrorKind::http_status`](session_core::ErrorKind::http_status); [`on_error`](Self::on_error) changes that.
    pub fn new(manager: Manager) -> Self {
        Self { setup: Arc::new(Setup::new(manager)), on_error: EmptyAnswer, scope: PhantomData }
    }
}

impl<H, M> SessionLayer<H, M> {
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
    /// # fn layer<S>(manager: Manager, inner: S) -> impl Sized {
    /// let layer = SessionLayer::new(manager).on_error(|error: &Error| {
    ///     let sorry = format!(r#"{{"error":"{}"}}"#, error.kind());
    ///     let mut response = Response::new(sorry);
    ///     *response.status_mut() = session_tower::status(error);
    ///     response
    /// });
    /// # tower::Layer::layer(&layer, inner) }
    /// ```
    pub fn on_error<F, B>(self, hook: F) -> SessionLayer<Hook<F>, M>
    where
        F: Fn(&Error) -> Response<B> + Clone,
    {
        SessionLayer { setup: self.setup, on_error: Hook(hook), scope: PhantomData }
    }

    /// As [`on_error`](Self::on_error), with a hook that sees the request, to answer a browser with a page and a
    /// script with JSON, and that may answer anything axum can. The request's head is copied for every request.
    ///
    /// ```
    /// # use session_core::{Error, Manager};
    /// # use session_tower::{RequestHead, SessionLayer};
    /// # fn app(manager: Manager) -> axum::Router {
    /// let layer = SessionLayer::new(manager).on_error_with(|error: &Error, request: &RequestHead| {
    ///     let message = format!("{} {}: {}", request.method, request.uri.path(), error.kind());
    ///     (session_tower::status(error), message)
    /// });
    /// # axum::Router::new().layer(layer) }
    /// ```
    #[cfg(feature = "axum")]
    pub fn on_error_with<F, R>(self, hook: F) -> SessionLayer<crate::HookWithRequest<F>, M>
    where
        F: Fn(&Error, &crate::RequestHead) -> R + Clone,
        R: axum_core::response::IntoResponse,
    {
        SessionLayer { setup: self.setup, on_error: crate::HookWithRequest(hook), scope: PhantomData }
    }

    /// As [`EmptyAnswer`], with responses that keep the inner body: for services without axum, of which only the body
    /// has a default.
    pub fn keep_body(self) -> SessionLayer<crate::DefaultBody, M> {
        SessionLayer { setup: self.setup, on_error: crate::DefaultBody, scope: PhantomData }
    }

    /// Decides by the response's status whether what the handler changed is stored. The default is
    /// [`stores_changes`](session_core::stores_changes): after a server error (5xx) or a timeout (408) it is not.
    pub fn store_when(self, decide: fn(StatusCode) -> bool) -> Self {
        let setup = Arc::new(Setup { stores: decide, ..(*self.setup).clone() });
        Self { setup, ..self }
    }

    /// Names the scope of the layer, for an application with several managers: extractors then say whose session
    /// they want. Each manager needs a cookie name of its own
    /// ([`CookieSettings::host_prefixed`](session_core::CookieSettings::host_prefixed)), or the sessions take each
    /// other's place.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use session_core::Manager;
    /// use session_tower::{Session, SessionError, SessionLayer};
    ///
    /// enum Admins {}
    ///
    /// async fn page(user: Session, admin: Session<Admins>) -> Result<String, SessionError> {
    ///     Ok(format!("{:?} {:?}", user.get::<String>("name")?, admin.get::<String>("name")?))
    /// }
    ///
    /// fn app(users: Manager, admins: Manager) -> Router {
    ///     Router::new()
    ///         .route("/", get(page))
    ///         .layer(SessionLayer::new(users))
    ///         .layer(SessionLayer::new(admins).scope::<Admins>())
    /// }
    /// ```
    pub fn scope<N>(self) -> SessionLayer<H, N> {
        SessionLayer { setup: self.setup, on_error: self.on_error, scope: PhantomData }
    }

    /// The manager.
    pub fn manager(&self) -> &Manager {
        &self.setup.manager
    }
}

impl<S, H: Clone, M> Layer<S> for SessionLayer<H, M> {
    type Service = SessionService<S, H, M>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::with(inner, Arc::clone(&self.setup), self.on_error.clone())
    }
}

impl<H, M> fmt::Debug for SessionLayer<H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("manager", &self.setup.manager).finish_non_exhaustive()
    }
}

/// The manager, and answers that depend on its configuration alone.
#[derive(Clone)]
pub(crate) struct Setup {
    pub manager: Manager,
    /// What a response that used the session adds to `Vary`.
    pub vary: Option<HeaderValue>,
    /// What the cookie depends on, where that is the same for every request.
    pub context: Option<CookieContext>,
    /// Whether a response of this status is one whose changes count.
    pub stores: fn(StatusCode) -> bool,
}

impl Setup {
    pub(crate) fn new(manager: Manager) -> Self {
        let vary = Some(manager.transport().vary()).filter(|names| !names.is_empty());
        let vary = vary.and_then(|names| HeaderValue::try_from(names).ok());
        let transport = manager.transport();
        let same = !transport.depends_on_connection();
        let context = same.then(|| transport.context(Connection::default()));
        Self { manager, vary, context, stores: |status| stores_changes(status.as_u16()) }
    }

    /// Whether these are sessions of the same manager.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // The transport is part of the manager, which its clones share.
        std::ptr::eq(self.manager.transport(), other.manager.transport())
    }
}
