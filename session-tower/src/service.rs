//! The service: puts the session's place into the request, and nothing more.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use session_core::Manager;
use tower_service::Service;

use crate::answer::{EmptyAnswer, OnError, RequestHead};
use crate::future::ResponseFuture;
use crate::layer::Setup;
use crate::scope::Main;
use crate::slot::Slot;

/// What [`SessionLayer`](crate::SessionLayer) makes of a service.
pub struct SessionService<S, H = EmptyAnswer, M = Main> {
    inner: S,
    setup: Arc<Setup>,
    on_error: H,
    scope: PhantomData<fn() -> M>,
}

impl<S: Clone, H: Clone, M> Clone for SessionService<S, H, M> {
    fn clone(&self) -> Self {
        Self::with(self.inner.clone(), Arc::clone(&self.setup), self.on_error.clone())
    }
}

impl<S> SessionService<S> {
    /// Wraps a service; the same as [`SessionLayer::new`](crate::SessionLayer::new) around it.
    pub fn new(inner: S, manager: Manager) -> Self {
        Self::with(inner, Arc::new(Setup::new(manager)), EmptyAnswer)
    }
}

impl<S, H, M> SessionService<S, H, M> {
    pub(crate) const fn with(inner: S, setup: Arc<Setup>, on_error: H) -> Self {
        Self { inner, setup, on_error, scope: PhantomData }
    }
}

impl<S, H, M, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S, H, M>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    H: OnError<ResBody> + Clone,
    M: 'static,
{
    type Response = Response<H::Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody, H, M>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let outer = request.extensions().get::<Slot<M>>();
        if outer.is_some_and(|outer| outer.setup().is_same(&self.setup)) {
            return ResponseFuture::passing_through(self.inner.call(request), self.on_error.clone());
        }
        let head = self.on_error.needs_request().then(|| Box::new(RequestHead::of(&request)));
        let slot = Slot::new(Arc::clone(&self.setup));
        request.extensions_mut().insert(slot.clone());
        ResponseFuture::new(self.inner.call(request), slot, self.on_error.clone(), head)
    }
}

impl<S: fmt::Debug, H, M> fmt::Debug for SessionService<S, H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("manager", &self.setup.manager)
            .finish_non_exhaustive()
    }
}
