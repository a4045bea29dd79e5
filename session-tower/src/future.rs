//! The response side: from the handler's response until its head is sent.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use session_core::adapter::{End, Ending, Finish, Main, Refused, Reply};
use session_core::{Error, Result};

use crate::answer::{OnError, RequestHead};
use crate::error::Failed;
use crate::headers::Headers;

pin_project! {
    /// The response of a [`SessionService`](crate::SessionService).
    ///
    /// If the inner service panics or fails, or this future is dropped before the response, nothing
    /// is stored. The same is true if the response is a server error or a timeout; see
    /// [`SessionLayer::store_when`](crate::SessionLayer::store_when). A release that has begun is
    /// finished even if this is dropped.
    pub struct ResponseFuture<F, B, H, M = Main> {
        #[pin]
        inner: F,
        on_error: H,
        // `None` if an outer layer of the same manager does the work.
        current: Option<Current<M>>,
        // Boxed, because most releases finish immediately, and this future is moved before it is
        // polled.
        releasing: Option<Box<Releasing<B>>>,
    }
}

pub(crate) struct Current<M> {
    pub ending: Ending<M>,
    pub head: Option<Box<RequestHead>>,
    /// Decides whether changes are stored with a response of this status.
    pub stores: fn(StatusCode) -> bool,
}

struct Releasing<B> {
    // Taken when the release has finished.
    response: Option<Response<B>>,
    release: Finish,
}

impl<F, B, H, M> ResponseFuture<F, B, H, M> {
    pub(crate) const fn passing_through(inner: F, on_error: H) -> Self {
        Self { inner, on_error, current: None, releasing: None }
    }

    pub(crate) const fn new(inner: F, current: Current<M>, on_error: H) -> Self {
        Self { inner, on_error, current: Some(current), releasing: None }
    }
}

impl<F, B, E, H, M> Future for ResponseFuture<F, B, H, M>
where
    F: Future<Output = Result<Response<B>, E>>,
    H: OnError<B>,
{
    type Output = Result<Response<H::Body>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let hook = &*this.on_error;
        let Some(current) = this.current else {
            return this.inner.poll(context).map_ok(|response| hook.pass(response));
        };
        if let Some(releasing) = this.releasing {
            let released = ready!(Pin::new(&mut releasing.release).poll(context));
            let response = releasing.response.take().map(|response| current.answer(hook, released, response));
            // A completed future must not be polled again; if it is, it stays pending.
            return response.map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
        }
        let mut response = ready!(this.inner.poll(context))?;
        // A response that was built from a session's error means that the handler did not finish.
        let failed = response.extensions().get::<Failed>().is_some();
        let refused = response.extensions().get::<Refused>().is_some();
        let counts = !failed && !refused && (current.stores)(response.status());
        match current.ending.answered(response.status().as_u16(), counts) {
            End::Untouched => {
                current.ending.guard(&mut Headers(response.headers_mut()));
                Poll::Ready(Ok(hook.pass(response)))
            }
            End::Decided(owed) => Poll::Ready(Ok(current.answer(hook, owed, response))),
            End::Release(mut release) => match Pin::new(&mut release).poll(context) {
                Poll::Ready(released) => Poll::Ready(Ok(current.answer(hook, released, response))),
                Poll::Pending => {
                    *this.releasing = Some(Box::new(Releasing { response: Some(response), release }));
                    Poll::Pending
                }
            },
        }
    }
}

impl<M> Current<M> {
    /// Returns the response after the release: the handler's, or the hook's response to an error,
    /// with the session's headers.
    fn answer<B, H: OnError<B>>(
        &self,
        hook: &H,
        done: Result<Reply>,
        mut response: Response<B>,
    ) -> Response<H::Body> {
        let reply = match done {
            Ok(reply) => reply,
            Err(error) => return self.fail(hook, &error, response),
        };
        let failed = response.extensions_mut().remove::<Failed>();
        if failed.is_some() {
            response.extensions_mut().insert(Refused);
        }
        if let Some(Failed(error)) = failed.filter(|_| hook.replaces_rejections()) {
            return self.fail(hook, &error, response);
        }
        match self.ending.apply(reply, &mut Headers(response.headers_mut())) {
            Ok(()) => hook.pass(response),
            Err(error) => self.fail(hook, &error, response),
        }
    }

    /// Returns the hook's response instead of the handler's.
    fn fail<B, H: OnError<B>>(
        &self,
        hook: &H,
        error: &Error,
        mut instead_of: Response<B>,
    ) -> Response<H::Body> {
        let mut response = hook.answer(error, self.head.as_deref());
        response.extensions_mut().insert(Refused);
        let instead_of = Headers(instead_of.headers_mut());
        self.ending.apply_instead(&instead_of, &mut Headers(response.headers_mut()));
        response
    }
}

impl<F, B, H, M> fmt::Debug for ResponseFuture<F, B, H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("releasing", &self.releasing.is_some()).finish_non_exhaustive()
    }
}
