//! The middleware: handles one request, from the slot for its session to the head of its response.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use poem::http::{HeaderMap, Method, StatusCode, Uri};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
use session_core::adapter::{End, Ending, Main, Refused, Reply, Scopes, Setup, Slot, stores_changes};
use session_core::{Error, Manager};

use crate::headers::Headers;
use crate::{SessionError, status};

/// Provides a session to every request, and stores it before the response head is sent. Cloning it
/// is cheap.
///
/// If two of the same manager are nested, the inner one passes requests through.
#[must_use = "a middleware does nothing before an endpoint has it"]
pub struct SessionMiddleware<M = Main> {
    setup: Arc<Setup>,
    on_error: Option<Arc<Hook>>,
    stores: fn(StatusCode) -> bool,
    scope: PhantomData<fn() -> M>,
}

type Hook = dyn Fn(&Error, &RequestHead) -> Response + Send + Sync;

/// The request as seen by a hook.
#[derive(Clone)]
#[non_exhaustive]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The URI, as sent by the client.
    pub uri: Uri,
    /// The headers, with the cookies.
    pub headers: HeaderMap,
}

/// Omits cookies and the query, which may contain a token.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = f.debug_struct("RequestHead");
        head.field("method", &self.method).field("path", &self.uri.path()).finish_non_exhaustive()
    }
}

impl<M> Clone for SessionMiddleware<M> {
    fn clone(&self) -> Self {
        let Self { setup, on_error, stores, scope } = self;
        Self { setup: Arc::clone(setup), on_error: on_error.clone(), stores: *stores, scope: *scope }
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
    /// Sets the response for sessions that could not be loaded or stored. The hook is called if
    /// changes could not be stored, and if the handler returned a [`SessionError`]. The error
    /// contains no id and no secret, but may name hosts: it is meant for logs. With a hook, the
    /// head of each request is copied.
    pub fn on_error<F, R>(self, hook: F) -> Self
    where
        F: Fn(&Error, &RequestHead) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let hook = move |error: &Error, head: &RequestHead| hook(error, head).into_response();
        Self { on_error: Some(Arc::new(hook)), ..self }
    }

    /// Decides by the response's status whether the handler's changes are stored. The default is
    /// [`stores_changes`](session_core::adapter::stores_changes): not after a server error (5xx) or
    /// a timeout (408).
    pub fn store_when(self, decide: fn(StatusCode) -> bool) -> Self {
        Self { stores: decide, ..self }
    }

    /// Names the scope of the middleware, for an application with several managers: extractors then
    /// name it (`Session<Admins>`). Each manager needs its own cookie name, or an extractor fails
    /// (500).
    pub fn scope<N>(self) -> SessionMiddleware<N> {
        let Self { setup, on_error, stores, .. } = self;
        SessionMiddleware { setup, on_error, stores, scope: PhantomData }
    }

    /// Returns the manager.
    pub fn manager(&self) -> &Manager {
        self.setup.manager()
    }
}

impl<E: Endpoint, M: 'static> Middleware<E> for SessionMiddleware<M> {
    type Output = SessionEndpoint<E, M>;

    fn transform(&self, inner: E) -> Self::Output {
        SessionEndpoint { inner, middleware: self.clone() }
    }
}

/// An endpoint wrapped in [`SessionMiddleware`].
///
/// If the endpoint panics, or the request is dropped before its response, nothing is stored. A
/// release that has begun is finished even if the request is dropped.
pub struct SessionEndpoint<E, M = Main> {
    inner: E,
    middleware: SessionMiddleware<M>,
}

impl<E: Endpoint, M: 'static> Endpoint for SessionEndpoint<E, M> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let SessionMiddleware { setup, on_error, stores, .. } = &self.middleware;
        let outer = request.extensions().get::<Slot<M>>();
        if outer.is_some_and(|outer| outer.setup().is_same(setup)) {
            return self.inner.call(request).await.map(IntoResponse::into_response);
        }
        let head = on_error.as_ref().map(|_| RequestHead {
            method: request.method().clone(),
            uri: request.original_uri().clone(),
            headers: request.headers().clone(),
        });
        let (slot, ending) = Slot::new(Arc::clone(setup));
        let extensions = request.extensions_mut();
        if let Some(scopes) = slot.among(extensions.get::<Slot<Main>>(), extensions.get::<Scopes>()) {
            extensions.insert(scopes);
        }
        extensions.insert(slot);
        let (said, mut response) = match self.inner.call(request).await {
            Ok(answer) => {
                let mut response = answer.into_response();
                (response.extensions_mut().remove::<SessionError>(), response)
            }
            // Outer middleware may look for this error.
            Err(error) if !ending.is_touched() && !self.manager().transport().query_mode() => {
                return Err(error);
            }
            Err(error) => (SessionError::in_chain(&error), error.into_response()),
        };
        // The error of an inner scope, which is already the response.
        let refused = response.extensions().get::<Refused>().is_some();
        let hidden = || ending.hidden_failure().filter(|_| !refused).cloned().map(SessionError::from);
        let replaces = said.is_none() || on_error.is_some();
        let failed = said.or_else(hidden);
        let counts = failed.is_none() && !refused && stores(response.status());
        if failed.is_some() {
            response.extensions_mut().insert(Refused);
        }
        let done = match ending.answered(response.status().as_u16(), counts) {
            End::Release(release) => release.await,
            End::Decided(done) => done,
            End::Untouched => Ok(Reply::default()),
        };
        let current = Current { middleware: &self.middleware, ending, head };
        Ok(match (done, failed.filter(|_| replaces)) {
            (Err(error), _) => current.instead(&error, response),
            (Ok(_), Some(error)) => current.instead(error.as_inner(), response),
            (Ok(reply), None) => current.reply(reply, response),
        })
    }
}

impl<E, M> SessionEndpoint<E, M> {
    fn manager(&self) -> &Manager {
        self.middleware.manager()
    }
}

/// The state of one request.
struct Current<'a, M> {
    middleware: &'a SessionMiddleware<M>,
    ending: Ending<M>,
    head: Option<RequestHead>,
}

impl<M> Current<'_, M> {
    /// Returns the handler's response, with the session's headers.
    fn reply(&self, reply: Reply, mut response: Response) -> Response {
        match self.ending.apply(reply, &mut Headers(response.headers_mut())) {
            Ok(()) => response,
            Err(error) => self.instead(&error, response),
        }
    }

    fn instead(&self, error: &Error, mut instead_of: Response) -> Response {
        let mut response = match (&self.middleware.on_error, &self.head) {
            (Some(hook), Some(head)) => hook(error, head),
            _ => Response::builder().status(status(error)).finish(),
        };
        response.extensions_mut().insert(Refused);
        let instead_of = Headers(instead_of.headers_mut());
        self.ending.apply_instead(&instead_of, &mut Headers(response.headers_mut()));
        response
    }
}

impl<M> fmt::Debug for SessionMiddleware<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMiddleware").field("manager", self.manager()).finish_non_exhaustive()
    }
}

impl<E, M> fmt::Debug for SessionEndpoint<E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEndpoint").field("manager", self.manager()).finish_non_exhaustive()
    }
}
