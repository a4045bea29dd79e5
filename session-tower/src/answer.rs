//! The response when a session could not be loaded or stored.

use http::{HeaderMap, Method, Request, Response, Uri};
use session_core::Error;

use crate::error::status;

/// The head of a request, for an [`OnError`] hook.
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

impl RequestHead {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }
}

/// Omits cookies and the query, which may contain a token.
impl std::fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("headers", &self.headers.len())
            .finish()
    }
}

/// Builds the response when a session could not be loaded or stored: [`EmptyAnswer`], or a hook
/// that was passed to [`SessionLayer::on_error`](crate::SessionLayer::on_error) or
/// [`SessionLayer::on_error_with`](crate::SessionLayer::on_error_with).
pub trait OnError<B> {
    /// The body of the service's responses.
    type Body;

    /// Returns whether [`answer`](Self::answer) uses the request; the head of every request is then
    /// copied.
    fn needs_request(&self) -> bool {
        false
    }

    /// Returns whether it also replaces the response of a [`SessionError`](crate::SessionError).
    fn replaces_rejections(&self) -> bool {
        true
    }

    /// Builds the response to an error.
    fn answer(&self, error: &Error, request: Option<&RequestHead>) -> Response<Self::Body>;

    /// Passes on a response of the inner service.
    fn pass(&self, response: Response<B>) -> Response<Self::Body>;
}

/// Responds with the status and an empty body. With the feature `axum`, the service's responses
/// have axum's body, whatever the inner body, so that layers can be added in any order.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyAnswer;

/// Like [`EmptyAnswer`], for services without axum: the responses keep the inner body type, which
/// has a default.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultBody;

impl<B: Default> OnError<B> for DefaultBody {
    type Body = B;

    fn replaces_rejections(&self) -> bool {
        false
    }

    fn answer(&self, error: &Error, _: Option<&RequestHead>) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = status(error);
        response
    }

    fn pass(&self, response: Response<B>) -> Response<B> {
        response
    }
}

/// A function from the error to a response with the inner body.
#[derive(Debug, Clone, Copy)]
pub struct Hook<F>(pub(crate) F);

impl<B, F: Fn(&Error) -> Response<B>> OnError<B> for Hook<F> {
    type Body = B;

    fn answer(&self, error: &Error, _: Option<&RequestHead>) -> Response<B> {
        self.0(error)
    }

    fn pass(&self, response: Response<B>) -> Response<B> {
        response
    }
}

#[cfg(not(feature = "axum"))]
impl<B: Default> OnError<B> for EmptyAnswer {
    type Body = B;

    fn replaces_rejections(&self) -> bool {
        false
    }

    fn answer(&self, error: &Error, request: Option<&RequestHead>) -> Response<B> {
        DefaultBody.answer(error, request)
    }

    fn pass(&self, response: Response<B>) -> Response<B> {
        response
    }
}

#[cfg(feature = "axum")]
mod axum {
    use axum::body::{Body, Bytes, HttpBody};
    use axum_core::BoxError;
    use axum_core::response::IntoResponse;
    use http::Response;
    use session_core::Error;

    use super::{EmptyAnswer, OnError, RequestHead};
    use crate::error::status;

    /// A function from the error and the request to anything that axum can turn into a response.
    #[derive(Debug, Clone, Copy)]
    pub struct HookWithRequest<F>(pub(crate) F);

    impl<B> OnError<B> for EmptyAnswer
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        type Body = Body;

        fn replaces_rejections(&self) -> bool {
            false
        }

        fn answer(&self, error: &Error, _: Option<&RequestHead>) -> Response<Body> {
            status(error).into_response()
        }

        fn pass(&self, response: Response<B>) -> Response<Body> {
            response.map(Body::new)
        }
    }

    impl<B, F, R> OnError<B> for HookWithRequest<F>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
        F: Fn(&Error, &RequestHead) -> R,
        R: IntoResponse,
    {
        type Body = Body;

        fn needs_request(&self) -> bool {
            true
        }

        fn answer(&self, error: &Error, request: Option<&RequestHead>) -> Response<Body> {
            match request {
                Some(request) => self.0(error, request).into_response(),
                // Unreachable: the head is kept for a hook that needs it.
                None => status(error).into_response(),
            }
        }

        fn pass(&self, response: Response<B>) -> Response<Body> {
            response.map(Body::new)
        }
    }
}

#[cfg(feature = "axum")]
pub use axum::HookWithRequest;
