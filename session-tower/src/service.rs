//! The service: puts the session's slot into the request.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use session_core::Manager;
use session_core::adapter::{Main, Scopes, Slot};
use tower_layer::Layer;
use tower_service::Service;

use crate::SessionLayer;
use crate::answer::{EmptyAnswer, OnError, RequestHead};
use crate::future::{Current, ResponseFuture};

/// A service wrapped in [`SessionLayer`](crate::SessionLayer).
pub struct SessionService<S, H = EmptyAnswer, M = Main> {
    pub(crate) inner: S,
    pub(crate) layer: SessionLayer<H, M>,
}

impl<S: Clone, H: Clone, M> Clone for SessionService<S, H, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S> SessionService<S> {
    /// Wraps a service; the same as [`SessionLayer::new`](crate::SessionLayer::new) around it.
    pub fn new(inner: S, manager: Manager) -> Self {
        SessionLayer::new(manager).layer(inner)
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
        let SessionLayer { setup, on_error, stores, .. } = &self.layer;
        let outer = request.extensions().get::<Slot<M>>();
        if outer.is_some_and(|outer| outer.setup().is_same(setup)) {
            return ResponseFuture::passing_through(self.inner.call(request), on_error.clone());
        }
        let head = on_error.needs_request().then(|| Box::new(RequestHead::of(&request)));
        let (slot, ending) = Slot::new(Arc::clone(setup));
        let extensions = request.extensions_mut();
        if let Some(scopes) = slot.among(extensions.get::<Slot<Main>>(), extensions.get::<Scopes>()) {
            extensions.insert(scopes);
        }
        extensions.insert(slot);
        let current = Current { ending, head, stores: *stores };
        ResponseFuture::new(self.inner.call(request), current, on_error.clone())
    }
}

impl<S: fmt::Debug, H, M> fmt::Debug for SessionService<S, H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("manager", self.layer.manager())
            .finish_non_exhaustive()
    }
}
