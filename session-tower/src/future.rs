//! The response side: what happens between the handler's answer and the moment its head leaves.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use session_core::{Connection, Error, ErrorKind, Finish, Reply, Result};

use crate::error::{Failed, OnError};
use crate::reply;
use crate::slot::Slot;

pin_project! {
    /// The response of a [`SessionService`](crate::SessionService).
    ///
    /// When the inner service panics or fails, or this future is dropped before it has answered, nothing is stored.
    /// A release that has begun is finished also when this is dropped.
    pub struct ResponseFuture<F, B, H> {
        #[pin]
        inner: F,
        // None when an outer layer of the same manager does the work.
        own: Option<Own<H>>,
        // Apart, because most releases end at once, and this is moved about before it is polled.
        releasing: Option<Box<Releasing<B>>>,
    }
}

struct Own<H> {
    slot: Slot,
    secure: bool,
    on_error: H,
}

struct Releasing<B> {
    // Taken when the release is done.
    response: Option<Response<B>>,
    release: Finish,
}

impl<F, B, H> ResponseFuture<F, B, H> {
    pub(crate) const fn passing_through(inner: F) -> Self {
        Self { inner, own: None, releasing: None }
    }

    pub(crate) const fn new(inner: F, slot: Slot, secure: bool, on_error: H) -> Self {
        Self { inner, own: Some(Own { slot, secure, on_error }), releasing: None }
    }
}

impl<F, B, E, H> Future for ResponseFuture<F, B, H>
where
    F: Future<Output = Result<Response<B>, E>>,
    H: OnError<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(own) = this.own else { return this.inner.poll(context) };
        if let Some(releasing) = this.releasing {
            let released = ready!(Pin::new(&mut releasing.release).poll(context));
            let response = releasing.response.take().map(|response| own.answer(released, response));
            // A future is not polled again after it has answered; one that is stays silent.
            return response.map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
        }
        let response = own.ask_hook(ready!(this.inner.poll(context))?);
        if own.slot.is_poisoned() {
            return Poll::Ready(Ok(own.after_panic(response)));
        }
        let Some(mut release) = own.release() else { return Poll::Ready(Ok(own.guarded(response))) };
        match Pin::new(&mut release).poll(context) {
            Poll::Ready(released) => Poll::Ready(Ok(own.answer(released, response))),
            Poll::Pending => {
                *this.releasing = Some(Box::new(Releasing { response: Some(response), release }));
                Poll::Pending
            }
        }
    }
}

impl<H> Own<H> {
    /// The release of a session that somebody asked for.
    fn release(&self) -> Option<Finish> {
        // Whether the cookie is `Secure` was decided when the request came.
        let connection = Connection { tls: self.secure, ..Connection::default() };
        Some(self.slot.touched()?.finish(connection))
    }

    fn ask_hook<B>(&self, mut response: Response<B>) -> Response<B>
    where
        H: OnError<B>,
    {
        let replaces = self.on_error.replaces_rejections();
        match response.extensions_mut().remove::<Failed>().filter(|_| replaces) {
            Some(Failed(error)) => self.on_error.answer(&error),
            None => response,
        }
    }

    fn answer<B>(&self, released: Result<Reply>, mut response: Response<B>) -> Response<B>
    where
        H: OnError<B>,
    {
        let outcome =
            released.and_then(|reply| reply::apply(reply, self.slot.setup(), response.headers_mut()));
        self.guarded(outcome.map_or_else(|error| self.on_error.answer(&error), |()| response))
    }

    /// Code that held the session panicked, and something inside of this layer caught that: nothing is stored, and
    /// nobody is told that it was.
    fn after_panic<B>(&self, response: Response<B>) -> Response<B>
    where
        H: OnError<B>,
    {
        if response.status().is_server_error() {
            return self.guarded(response);
        }
        let error = Error::new(
            ErrorKind::Released,
            "code that held the session panicked, its changes are not stored",
        );
        self.answer(Err(error), response)
    }

    fn guarded<B>(&self, mut response: Response<B>) -> Response<B> {
        reply::guard_address(self.slot.setup(), response.headers_mut());
        response
    }
}

impl<F, B, H> fmt::Debug for ResponseFuture<F, B, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("releasing", &self.releasing.is_some()).finish_non_exhaustive()
    }
}
