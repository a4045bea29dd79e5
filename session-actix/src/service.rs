//! Handles one request, from the slot for its session to the head of its response.

use std::cell::OnceCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{RequestHead, Service, ServiceRequest, ServiceResponse, forward_ready};
use actix_web::{Error as ActixError, HttpMessage, HttpResponse};
use session_core::adapter::{End, Ending, Main, Refused, Reply, Scopes, Slot};
use session_core::{Error, Result};

use crate::headers::Headers;
use crate::slot::RequestSlot;
use crate::{SessionError, SessionMiddleware, status};

/// A service wrapped in [`SessionMiddleware`].
///
/// If the inner service panics or fails, or its future is dropped before the response, nothing is
/// stored. The same is true if the response is a server error or a timeout; see
/// [`SessionMiddleware::store_when`]. A release that has begun is finished even if the request is
/// dropped.
pub struct SessionService<S, M = Main> {
    pub(crate) inner: S,
    pub(crate) middleware: SessionMiddleware<M>,
}

impl<S, B, M> Service<ServiceRequest> for SessionService<S, M>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = ActixError>,
    S::Future: 'static,
    B: MessageBody + 'static,
    M: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = ActixError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ActixError>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let setup = &self.middleware.setup;
        let outer = RequestSlot::<M>::find(request.request());
        if outer.as_ref().is_some_and(|outer| outer.slot.setup().is_same(setup)) {
            let answer = self.inner.call(request);
            return Box::pin(async { Ok(answer.await?.map_into_left_body()) });
        }
        let (slot, ending) = Slot::new(Arc::clone(setup));
        let head = self.middleware.on_error.is_some().then(Rc::default);
        let current = Current { ending, head: head.clone(), middleware: self.middleware.clone() };
        let main = RequestSlot::<Main>::find(request.request());
        let mut extensions = request.extensions_mut();
        if let Some(scopes) = slot.among(main.as_ref().map(|main| &main.slot), extensions.get::<Scopes>()) {
            extensions.insert(scopes);
        }
        extensions.insert(RequestSlot { slot, head });
        drop(extensions);
        let answer = self.inner.call(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => {
                    if let Some(outer) = outer {
                        // The outer middleware must find its own session again.
                        response.request().extensions_mut().insert(outer);
                    }
                    Ok(current.end(response).await)
                }
                Err(error) => Err(current.fail_with(error).await),
            }
        })
    }
}

/// The middleware's state of one request.
struct Current<M> {
    ending: Ending<M>,
    head: Option<Rc<OnceCell<RequestHead>>>,
    middleware: SessionMiddleware<M>,
}

impl<M: 'static> Current<M> {
    async fn end<B>(self, response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> {
        let (request, response) = response.into_parts();
        let failed = self.failure(&response);
        let refused = response.extensions().get::<Refused>().is_some();
        let counts = failed.is_none() && !refused && (self.middleware.stores)(response.status());
        let done = match self.ending.answered(response.status().as_u16(), counts) {
            End::Release(release) => release.await,
            End::Decided(done) => done,
            End::Untouched => Ok(Reply::default()),
        };
        let response = self.answer(done, failed.as_ref(), Some(request.head()), response);
        ServiceResponse::new(request, response)
    }

    /// Returns the handler's response, or the hook's response to an error, with the session's
    /// headers.
    fn answer<B>(
        &self,
        done: Result<Reply>,
        failed: Option<&SessionError>,
        head: Option<&RequestHead>,
        mut response: HttpResponse<B>,
    ) -> HttpResponse<EitherBody<B>> {
        let reply = match (done, failed) {
            (Err(error), _) => return self.instead(&error, head, response),
            (Ok(reply), None) => reply,
            (Ok(reply), Some(error)) => {
                let is_said = response.extensions_mut().remove::<SessionError>().is_some();
                if self.middleware.on_error.is_some() || !is_said {
                    return self.instead(error.as_inner(), head, response);
                }
                response.extensions_mut().insert(Refused);
                reply
            }
        };
        match self.ending.apply(reply, &mut Headers(response.headers_mut())) {
            Ok(()) => response.map_into_left_body(),
            Err(error) => self.instead(&error, head, response),
        }
    }

    fn instead<B>(
        &self,
        error: &Error,
        head: Option<&RequestHead>,
        mut instead_of: HttpResponse<B>,
    ) -> HttpResponse<EitherBody<B>> {
        let mut response = match (&self.middleware.on_error, head) {
            (Some(hook), Some(head)) => hook(error, head),
            _ => HttpResponse::new(status(error)),
        };
        response.extensions_mut().insert(Refused);
        let instead_of = Headers(instead_of.headers_mut());
        self.ending.apply_instead(&instead_of, &mut Headers(response.headers_mut()));
        response.map_into_right_body()
    }

    /// Returns the reason why the session could not be used, if the response reports it or should
    /// have reported it.
    fn failure<B>(&self, response: &HttpResponse<B>) -> Option<SessionError> {
        let answered = response.extensions().get::<SessionError>().cloned();
        if response.extensions().get::<Refused>().is_some() {
            // An inner scope has already responded with its error.
            return answered;
        }
        answered.or_else(|| self.ending.hidden_failure().cloned().map(SessionError::from))
    }

    /// Handles the error of an inner service, whose response is built later and elsewhere.
    async fn fail_with(self, mut error: ActixError) -> ActixError {
        // From here on nothing is stored, whether that response is built or not.
        if let End::Release(under_way) = self.ending.answered(500, false) {
            // That response reports the result to the client.
            let _ = under_way.await;
        }
        error.add_response_mapper(move |response| {
            let failed = self.failure(&response);
            let done = match self.ending.answered(response.status().as_u16(), false) {
                End::Decided(done) => done,
                _ => Ok(Reply::default()),
            };
            let response =
                self.answer(done, failed.as_ref(), self.head.as_ref().and_then(|head| head.get()), response);
            response.map_body(|_, body| match body {
                EitherBody::Left { body } | EitherBody::Right { body } => body,
            })
        });
        error
    }
}

impl<S, M> fmt::Debug for SessionService<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("manager", self.middleware.manager()).finish_non_exhaustive()
    }
}
