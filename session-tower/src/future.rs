//! The response side: what happens between the handler's answer and the moment its head leaves.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use session_core::{Error, ErrorKind, Finish, Reply, Result};

use crate::answer::{OnError, RequestHead};
use crate::error::Failed;
use crate::reply;
use crate::scope::Main;
use crate::slot::{Opened, Slot};

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

struct Own<M> {
    slot: Slot<M>,
    head: Option<Box<RequestHead>>,
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

    pub(crate) const fn new(inner: F, slot: Slot<M>, on_error: H, head: Option<Box<RequestHead>>) -> Self {
        Self { inner, on_error, own: Some(Own { slot, head }), releasing: None }
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
        let Some(opened) = own.slot.opened() else {
            own.guard(&mut response);
            return Poll::Ready(Ok(hook.pass(response)));
        };
        // An answer made of a session's error is one of a handler that did not come to its end.
        let failed = response.extensions().get::<Failed>().is_some();
        if own.slot.is_poisoned() || failed || !(own.slot.setup().stores)(response.status()) {
            return Poll::Ready(Ok(own.unfinished(hook, opened.abandon(), response)));
        }
        let mut release = opened.finish();
        match Pin::new(&mut release).poll(context) {
            Poll::Ready(released) => Poll::Ready(Ok(own.answer(hook, released, response))),
            Poll::Pending => {
                *this.releasing = Some(Box::new(Releasing { response: Some(response), release }));
                Poll::Pending
            }
        }
    }
}

/// A request that is dropped before it has answered ends as well: a handle that somebody kept takes no change that
/// nobody would store. One that is being released goes on.
impl<M> Drop for Own<M> {
    fn drop(&mut self) {
        if let Some(opened) = self.slot.opened() {
            opened.close();
        }
    }
}

impl<M> Own<M> {
    /// The answer when the release is done.
    fn answer<B, H: OnError<B>>(
        &self,
        hook: &H,
        released: Result<Reply>,
        response: Response<B>,
    ) -> Response<H::Body> {
        match released {
            Ok(reply) => self.reply(hook, reply, response),
            Err(error) => self.fail(hook, &error, &response),
        }
    }

    /// The handler did not finish, or failed: nothing that it changed is stored, and nobody is told that it was.
    fn unfinished<B, H: OnError<B>>(
        &self,
        hook: &H,
        owed: Result<Reply>,
        response: Response<B>,
    ) -> Response<H::Body> {
        if self.slot.is_poisoned() && !response.status().is_server_error() {
            // Code that held the session panicked, and something inside of this layer caught that.
            let message = "code that held the session panicked, its changes are not stored";
            return self.fail(hook, &Error::new(ErrorKind::Released, message), &response);
        }
        self.answer(hook, owed, response)
    }

    /// The handler's response, or what the hook makes of a session's error that it answers with, and what it owes
    /// to the session.
    fn reply<B, H: OnError<B>>(
        &self,
        hook: &H,
        reply: Reply,
        mut response: Response<B>,
    ) -> Response<H::Body> {
        let failed = response.extensions_mut().remove::<Failed>();
        if let Some(Failed(error)) = failed.filter(|_| hook.replaces_rejections()) {
            return self.fail(hook, &error, &response);
        }
        match reply::apply(reply, self.slot.setup(), response.headers_mut()) {
            Ok(()) => {
                self.guard(&mut response);
                hook.pass(response)
            }
            Err(error) => self.fail(hook, &error, &response),
        }
    }

    /// The hook's answer in place of the handler's response.
    fn fail<B, H: OnError<B>>(&self, hook: &H, error: &Error, instead_of: &Response<B>) -> Response<H::Body> {
        let mut response = hook.answer(error, self.head.as_deref());
        reply::keep_cors(instead_of.headers(), response.headers_mut());
        // A new id that the handler has saved by itself is live, whatever failed after it.
        let owed = self.slot.opened().map_or_else(|| Ok(Reply::default()), Opened::owed).and_then(|owed| {
            let owed = if owed.sets_token { owed } else { Reply::default() };
            reply::apply(owed, self.slot.setup(), response.headers_mut())
        });
        if let Err(error) = owed {
            tracing::warn!(%error, "the session's token cannot be sent");
        }
        self.guard(&mut response);
        response
    }

    fn guard<B>(&self, response: &mut Response<B>) {
        reply::guard_address(self.slot.setup(), response.headers_mut());
    }
}

impl<F, B, H, M> fmt::Debug for ResponseFuture<F, B, H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("releasing", &self.releasing.is_some()).finish_non_exhaustive()
    }
}
