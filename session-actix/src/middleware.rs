//! The middleware and its configuration.

use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{RequestHead, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::StatusCode;
use actix_web::{Error as ActixError, HttpResponse};
use session_core::adapter::{Main, Setup, stores_changes};
use session_core::{Error, Manager};

use crate::SessionService;

/// Provides a session to every request, and stores it before the response head is sent.
///
/// It wraps an `App`, a scope or a resource. If two of the same manager are nested, the inner one
/// passes requests through. Cloning is cheap; build it outside of the factory that `HttpServer`
/// calls for each worker, or inside from a clone of the manager.
#[must_use = "a middleware does nothing before an App is wrapped in it"]
pub struct SessionMiddleware<M = Main> {
    pub(crate) setup: Arc<Setup>,
    pub(crate) on_error: Option<Arc<Hook>>,
    pub(crate) stores: fn(StatusCode) -> bool,
    scope: PhantomData<fn() -> M>,
}

pub(crate) type Hook = dyn Fn(&Error, &RequestHead) -> HttpResponse + Send + Sync;

impl<M> Clone for SessionMiddleware<M> {
    fn clone(&self) -> Self {
        Self {
            setup: Arc::clone(&self.setup),
            on_error: self.on_error.clone(),
            stores: self.stores,
            scope: PhantomData,
        }
    }
}

impl SessionMiddleware {
    /// Creates a middleware for the sessions of this manager.
    ///
    /// If a session cannot be stored, the response has an empty body and
    /// [`ErrorKind::http_status`](session_core::ErrorKind::http_status);
    /// [`on_error`](Self::on_error) changes that.
    pub fn new(manager: Manager) -> Self {
        Self {
            setup: Arc::new(Setup::new(manager)),
            on_error: None,
            stores: |status| stores_changes(status.as_u16()),
            scope: PhantomData,
        }
    }
}

impl<M> SessionMiddleware<M> {
    /// Sets the response for sessions that could not be loaded or stored. The hook gets the
    /// request's head, so it can respond with a page to a browser and with JSON to a script.
    ///
    /// The hook is called if changes could not be stored (its response then replaces the handler's,
    /// which must not report success), and if a handler or a middleware returned a
    /// [`SessionError`](crate::SessionError), as the extractors do when the engine is down. The
    /// error contains no id and no secret, but may name hosts: it is meant for logs.
    ///
    /// With a hook, the head of every request that uses its session is copied.
    ///
    /// ```
    /// use actix_web::HttpResponse;
    /// # use session_actix::SessionMiddleware;
    /// # fn middleware(manager: session_core::Manager) -> SessionMiddleware {
    /// SessionMiddleware::new(manager).on_error(|error, request| {
    ///     let message = format!("{} {}: {}", request.method, request.uri.path(), error.kind());
    ///     HttpResponse::build(session_actix::status(error)).body(message)
    /// })
    /// # }
    /// ```
    pub fn on_error<F>(self, hook: F) -> Self
    where
        F: Fn(&Error, &RequestHead) -> HttpResponse + Send + Sync + 'static,
    {
        Self { on_error: Some(Arc::new(hook)), ..self }
    }

    /// Decides by the response's status whether the handler's changes are stored. The default is
    /// [`stores_changes`](session_core::adapter::stores_changes): not after a server error (5xx) or
    /// a timeout (408).
    pub fn store_when(self, decide: fn(StatusCode) -> bool) -> Self {
        Self { stores: decide, ..self }
    }

    /// Names the scope of the middleware, for an application with several managers: extractors then
    /// name it (`Session<Admins>`). Each manager needs its own cookie name
    /// ([`CookieSettings::host_prefixed`](session_core::transport::CookieSettings::host_prefixed)),
    /// or an extractor fails (500).
    ///
    /// ```
    /// use actix_web::{App, web};
    /// use session_actix::{Session, SessionError, SessionMiddleware};
    /// use session_core::Manager;
    ///
    /// enum Admins {}
    ///
    /// async fn page(user: Session, admin: Session<Admins>) -> Result<String, SessionError> {
    ///     Ok(format!("{:?} {:?}", user.get::<String>("name")?, admin.get::<String>("name")?))
    /// }
    ///
    /// # fn app(users: Manager, admins: Manager) {
    /// let app = App::new()
    ///     .route("/", web::get().to(page))
    ///     .wrap(SessionMiddleware::new(users))
    ///     .wrap(SessionMiddleware::new(admins).scope::<Admins>());
    /// # drop(app);
    /// # }
    /// ```
    pub fn scope<N>(self) -> SessionMiddleware<N> {
        let Self { setup, on_error, stores, .. } = self;
        SessionMiddleware { setup, on_error, stores, scope: PhantomData }
    }

    /// Returns the manager.
    pub fn manager(&self) -> &Manager {
        self.setup.manager()
    }
}

impl<S, B, M> Transform<S, ServiceRequest> for SessionMiddleware<M>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError>,
    S::Future: 'static,
    B: MessageBody + 'static,
    M: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type Transform = SessionService<S, M>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(SessionService { inner, middleware: self.clone() }))
    }
}

impl<M> fmt::Debug for SessionMiddleware<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMiddleware").field("manager", self.manager()).finish_non_exhaustive()
    }
}
