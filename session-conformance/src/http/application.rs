//! The applications under test.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use session_core::flash::Flash;
use session_core::{Error, Manager, Result, Session};

use super::{Adapter, Answer, Client, Server};

/// The future returned by a handler.
pub type Outcome<T = Answer> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A handler: its extractors and its code.
#[derive(Clone)]
#[non_exhaustive]
pub enum Handler {
    /// No session.
    Plain(Arc<dyn Fn() -> Outcome + Send + Sync>),
    /// The session, loaded.
    Session(Arc<dyn Fn(Session) -> Outcome + Send + Sync>),
    /// The session, not loaded.
    Lazy(Arc<dyn Fn(Arc<dyn Lazy>) -> Outcome + Send + Sync>),
    /// The session of a client that has one.
    Optional(Arc<dyn Fn(Option<Session>) -> Outcome + Send + Sync>),
    /// The messages for the next page, taken.
    Flashes(Arc<dyn Fn(Vec<Flash<String>>) -> Outcome + Send + Sync>),
    /// The session twice, each with its own extractor, and a lazy one.
    Thrice(Arc<Thrice>),
    /// The session, and the one of the scope [`Application::admins`].
    Both(Arc<dyn Fn(Session, Session) -> Outcome + Send + Sync>),
    /// Like `Both`, for a client that has both.
    OptionalBoth(Arc<dyn Fn(Option<Session>, Option<Session>) -> Outcome + Send + Sync>),
}

/// The code of a [`Handler::Thrice`].
pub type Thrice = dyn Fn(Session, Session, Arc<dyn Lazy>) -> Outcome + Send + Sync;

/// The adapter's extractor that does not load.
pub trait Lazy: Send + Sync {
    /// Loads the session.
    fn session(&self) -> Outcome<Session>;
    /// Ends it without loading it.
    fn destroy(&self) -> Outcome<()>;
}

/// A middleware that uses the session before the handler does.
pub type Before = Arc<dyn Fn(Session) -> Outcome<()> + Send + Sync>;

/// Responds to a session's error.
pub type Hook = Arc<dyn Fn(&Error, Asked<'_>) -> Answer + Send + Sync>;

/// The request as seen by a [`Hook`].
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The header `Accept`.
    pub accept: Option<&'a str>,
}

/// An application under test: routes and their middleware. From the inside out:
/// [`timeout`](Self::timeout) or [`catches_panics`](Self::catches_panics),
/// [`before`](field@Self::before), the sessions' middleware.
#[derive(Clone)]
#[non_exhaustive]
pub struct Application {
    /// The manager of the sessions; `None` for no middleware.
    pub sessions: Option<Manager>,
    /// Adds the sessions' middleware of the same manager once more, around each route.
    pub is_nested: bool,
    /// The manager of an inner middleware in the same scope.
    pub inner: Option<Manager>,
    /// The manager of the second scope, whose middleware is outside the first one's.
    pub admins: Option<Manager>,
    /// Stores a handler's changes whatever the status is.
    pub stores_always: bool,
    /// Responds to errors.
    pub on_error: Option<Hook>,
    /// A middleware inside the sessions' one that uses the session.
    pub before: Option<Before>,
    /// Ends handlers after this time with this status.
    pub timeout: Option<(Duration, u16)>,
    /// Responds with this status if a handler panics.
    pub catches_panics: Option<u16>,
    /// The routes, each for `GET`.
    pub routes: Vec<(&'static str, Handler)>,
}

impl Application {
    /// An application with the sessions of this manager.
    pub fn new(sessions: Manager) -> Self {
        Self { sessions: Some(sessions), ..Self::bare() }
    }

    /// An application without sessions.
    pub const fn bare() -> Self {
        Self {
            sessions: None,
            is_nested: false,
            inner: None,
            admins: None,
            stores_always: false,
            on_error: None,
            before: None,
            timeout: None,
            catches_panics: None,
            routes: Vec::new(),
        }
    }

    /// Serves it.
    pub fn serve<A: Adapter>(self) -> (Server, Client) {
        let server = A::serve(self);
        let client = server.client();
        (server, client)
    }

    pub(crate) fn on_error<F>(mut self, hook: F) -> Self
    where
        F: Fn(&Error, Asked<'_>) -> Answer + Send + Sync + 'static,
    {
        self.on_error = Some(Arc::new(hook));
        self
    }

    pub(crate) fn before<F, Fut>(mut self, before: F) -> Self
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.before = Some(Arc::new(move |session| Box::pin(before(session))));
        self
    }

    pub(crate) fn plain<T>(self, path: &'static str, handler: fn() -> T) -> Self
    where
        T: Into<Answer> + 'static,
    {
        self.route(path, Handler::Plain(Arc::new(move || boxed(async move { Ok(handler()) }))))
    }

    pub(crate) fn get<F, Fut, T>(self, path: &'static str, handler: F) -> Self
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Into<Answer>,
    {
        self.route(path, Handler::Session(Arc::new(move |session| boxed(handler(session)))))
    }

    pub(crate) fn lazy<F, Fut, T>(self, path: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<dyn Lazy>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Into<Answer>,
    {
        self.route(path, Handler::Lazy(Arc::new(move |lazy| boxed(handler(lazy)))))
    }

    pub(crate) fn optional<F, Fut, T>(self, path: &'static str, handler: F) -> Self
    where
        F: Fn(Option<Session>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Into<Answer>,
    {
        self.route(path, Handler::Optional(Arc::new(move |session| boxed(handler(session)))))
    }

    pub(crate) fn both<F, Fut, T>(self, path: &'static str, handler: F) -> Self
    where
        F: Fn(Session, Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: Into<Answer>,
    {
        self.route(path, Handler::Both(Arc::new(move |user, admin| boxed(handler(user, admin)))))
    }

    pub(crate) fn route(mut self, path: &'static str, handler: Handler) -> Self {
        self.routes.push((path, handler));
        self
    }
}

pub(crate) fn boxed<T: Into<Answer>>(answer: impl Future<Output = Result<T>> + Send + 'static) -> Outcome {
    Box::pin(async { Ok(answer.await?.into()) })
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes: Vec<_> = self.routes.iter().map(|(path, _)| path).collect();
        f.debug_struct("Application").field("routes", &routes).finish_non_exhaustive()
    }
}
