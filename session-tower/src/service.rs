//! The service: puts the session's place into the request, and nothing more.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use session_core::Manager;
use tower_service::Service;

use crate::connection;
use crate::error::{EmptyAnswer, OnError};
use crate::future::ResponseFuture;
use crate::layer::Setup;
use crate::slot::Slot;

/// What [`SessionLayer`](crate::SessionLayer) makes of a service.
#[derive(Clone)]
pub struct SessionService<S, H = EmptyAnswer> {
    inner: S,
    setup: Arc<Setup>,
    on_error: H,
}

impl<S> SessionService<S> {
    /// Wraps a service; the same as [`SessionLayer::new`](crate::SessionLayer::new) around it.
    pub fn new(inner: S, manager: Manager) -> Self {
        Self::with(inner, Arc::new(Setup::new(manager)), EmptyAnswer)
    }
}

impl<S, H> SessionService<S, H> {
    pub(crate) const fn with(inner: S, setup: Arc<Setup>, on_error: H) -> Self {
        Self { inner, setup, on_error }
    }
}

impl<S, H, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S, H>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    H: OnError<ResBody> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody, H>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let outer = request.extensions().get::<Slot>();
        if outer.is_some_and(|outer| outer.setup().is_same(&self.setup)) {
            return ResponseFuture::passing_through(self.inner.call(request));
        }
        let secure = self.setup.follows_connection
            && self.setup.manager.transport().secure(connection::of(
                request.headers(),
                request.uri(),
                request.extensions(),
            ));
        let slot = Slot::new(Arc::clone(&self.setup));
        request.extensions_mut().insert(slot.clone());
        ResponseFuture::new(self.inner.call(request), slot, secure, self.on_error.clone())
    }
}

impl<S: fmt::Debug, H> fmt::Debug for SessionService<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("manager", &self.setup.manager)
            .finish_non_exhaustive()
    }
}
