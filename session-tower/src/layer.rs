//! The layer and its configuration.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use http::{Response, StatusCode};
use session_core::adapter::{Main, Setup, stores_changes};
use session_core::{Error, Manager};
use tower_layer::Layer;

use crate::SessionService;
use crate::answer::{EmptyAnswer, Hook};

/// Provides a session to every request, and stores it before the response head is sent.
///
/// It wraps a whole router, or single routes as a route layer. If two layers of the same manager
/// are nested, the inner one passes requests through. Cloning is cheap.
///
/// With axum, a request that does not use its session costs six allocations, three of which axum
/// makes for any layer, and its headers are not read. One that reads its session from memory costs
/// nine, and one that changes it fifteen. With `metrics` there is one more per call of the engine.
/// A test counts them.
#[must_use = "a layer does nothing before it is added to a service"]
pub struct SessionLayer<H = EmptyAnswer, M = Main> {
    pub(crate) setup: Arc<Setup>,
    pub(crate) on_error: H,
    pub(crate) stores: fn(StatusCode) -> bool,
    scope: PhantomData<fn() -> M>,
}

impl<H: Clone, M> Clone for SessionLayer<H, M> {
    fn clone(&self) -> Self {
        Self {
            setup: Arc::clone(&self.setup),
            on_error: self.on_error.clone(),
            stores: self.stores,
            scope: PhantomData,
        }
    }
}

impl SessionLayer {
    /// Creates a layer for the sessions of this manager.
    ///
    /// If a session cannot be stored, the response has an empty body and
    /// [`ErrorKind::http_status`](session_core::ErrorKind::http_status);
    /// [`on_error`](Self::on_error) changes that.
    pub fn new(manager: Manager) -> Self {
        Self {
            setup: Arc::new(Setup::new(manager)),
            on_error: EmptyAnswer,
            stores: |status| stores_changes(status.as_u16()),
            scope: PhantomData,
        }
    }
}

impl<H, M> SessionLayer<H, M> {
    /// Sets the response for sessions that could not be loaded or stored.
    ///
    /// The hook is called if changes could not be stored (its response then replaces the handler's,
    /// which must not report success), and if a handler returned a
    /// [`SessionError`](crate::SessionError), as the extractors do when the engine is down. The
    /// error contains no id and no secret, but may name hosts: it is meant for logs.
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
        self.with(Hook(hook))
    }

    /// Like [`on_error`](Self::on_error), with a hook that gets the request's head, so it can
    /// respond with a page to a browser and with JSON to a script. It may return anything that axum
    /// can turn into a response. The head of every request is copied.
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
        self.with(crate::HookWithRequest(hook))
    }

    /// Like [`EmptyAnswer`], with responses that keep the inner body: for services without axum
    /// whose body has a default.
    pub fn keep_body(self) -> SessionLayer<crate::DefaultBody, M> {
        self.with(crate::DefaultBody)
    }

    /// Decides by the response's status whether the handler's changes are stored. The default is
    /// [`stores_changes`](session_core::adapter::stores_changes): not after a server error (5xx) or
    /// a timeout (408).
    pub fn store_when(self, decide: fn(StatusCode) -> bool) -> Self {
        Self { stores: decide, ..self }
    }

    /// Names the scope of the layer, for an application with several managers: extractors then name
    /// it (`Session<Admins>`). Each manager needs its own cookie name
    /// ([`CookieSettings::host_prefixed`](session_core::transport::CookieSettings::host_prefixed)),
    /// or an extractor fails (500).
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
        SessionLayer { setup: self.setup, on_error: self.on_error, stores: self.stores, scope: PhantomData }
    }

    /// Returns the manager.
    pub fn manager(&self) -> &Manager {
        self.setup.manager()
    }

    fn with<N>(self, on_error: N) -> SessionLayer<N, M> {
        SessionLayer { setup: self.setup, on_error, stores: self.stores, scope: PhantomData }
    }
}

impl<S, H: Clone, M> Layer<S> for SessionLayer<H, M> {
    type Service = SessionService<S, H, M>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService { inner, layer: self.clone() }
    }
}

impl<H, M> fmt::Debug for SessionLayer<H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("manager", self.manager()).finish_non_exhaustive()
    }
}
