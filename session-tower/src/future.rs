//! The response side: what happens between the handler's answer and the moment its head leaves.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use session_core::adapter::{End, Ending, Finish, Main, Reply};
use session_core::{Error, Result};

use crate::answer::{OnError, RequestHead};
use crate::error::Failed;
use crate::headers::Headers;

pin_project! {
    /// The response of a [`SessionService`](crate::SessionService).
    ///
    /// When the inner service panics or fails, or this future is dropped before it has answered, nothing is stored;
    /// nor is it when the answer is a server error or a timeout, see
    /// [`SessionLayer::store_when`](crate::SessionLayer::store_when). A release that has begun is finished also when
    /// this is dropped.
    pub struct ResponseFuture<F, B, H, M = Main> {
        #[pin]
        inner: F,
        on_error: H,
        // None when an outer layer of the same manager does the work.
        own: Option<Own<M>>,
        // Apart, because most releases end at once, and this is moved about before it is polled.
        releasing: Option<Box<Releasing<B>>>,
    }
}

pub(crate) struct Own<M> {
    pub ending: Ending<M>,
    pub head: Option<Box<RequestHead>>,
    /// Whether a response of this status is one whose changes count.
    pub stores: fn(StatusCode) -> bool,
}

struct Releasing<B> {
    // Taken when the release is done.
    response: Option<Response<B>>,
    release: Finish,
}

impl<F, B, H, M> ResponseFuture<F, B, H, M> {
    pub(crate) const fn passing_through(inner: F, on_error: H) -> Self {
        Self { inner, on_error, own: None, releasing: None }
    }

    pub(crate) const fn new(inner: F, own: Own<M>, on_error: H) -> Self {
        Self { inner, on_error, own: Some(own), releasing: None }
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
        let Some(own) = this.own else {
            return this.inner.poll(context).map_ok(|response| hook.pass(response));
        };
        if let Some(releasing) = this.releasing {
            let released = ready!(Pin::new(&mut releasing.release).poll(context));
            let response = releasing.response.take().map(|response| own.answer(hook, released, response));
            // A future is not polled again after it has answered; one that is stays silent.
            return response.map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
        }
        let mut response = ready!(this.inner.poll(context))?;
        // An answer made of a session's error is one of a handler that did not come to its end.
        let failed = response.extensions().get::<Failed>().is_some();
        let counts = !failed && (own.stores)(response.status());
        match own.ending.answered(response.status().as_u16(), counts) {
            End::Untouched => {
                own.ending.guard(&mut Headers(response.headers_mut()));
                Poll::Ready(Ok(hook.pass(response)))
            }
            End::Decided(owed) => Poll::Ready(Ok(own.answer(hook, owed, response))),
            End::Release(mut release) => match Pin::new(&mut release).poll(context) {
                Poll::Ready(released) => Poll::Ready(Ok(own.answer(hook, released, response))),
                Poll::Pending => {
                    *this.releasing = Some(Box::new(Releasing { response: Some(response), release }));
                    Poll::Pending
                }
            },
        }
    }
}

impl<M> Own<M> {
    /// The answer when the release is done: the handler's response, or what the hook makes of an error in its place,
    /// and what it owes to the session.
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
        if let Some(Failed(error)) = failed.filter(|_| hook.replaces_rejections()) {
            return self.fail(hook, &error, response);
        }
        match self.ending.apply(reply, &mut Headers(response.headers_mut())) {
            Ok(()) => hook.pass(response),
            Err(error) => self.fail(hook, &error, response),
        }
    }

    /// The hook's answer in place of the handler's response.
    fn fail<B, H: OnError<B>>(
        &self,
        hook: &H,
        error: &Error,
        mut instead_of: Response<B>,
    ) -> Response<H::Body> {
        let mut response = hook.answer(error, self.head.as_deref());
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
