//! The application on poem.

use std::net::TcpListener;
use std::sync::Arc;

use poem::endpoint::make;
use poem::http::{HeaderName, HeaderValue, StatusCode};
use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Server};
use session_kit::Manager;
use session_kit::poem::{RequestHead, SessionError, SessionMiddleware, request_session};

use super::{MAX_BODY, is_of_this_site};
use crate::answer::Answer;
use crate::asked::Asked;
use crate::meter::Metered;
use crate::{PATIENCE, page, routes};

pub async fn serve(
    listener: TcpListener,
    manager: Manager,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let sessions = SessionMiddleware::new(manager)
        .on_error(|error, head: &RequestHead| response(routes::trouble(error, head.uri.path())));
    let app = make(answer).with(sessions).around(measure);
    let server = Server::new_with_acceptor(TcpAcceptor::from_std(listener)?);
    server.run_with_graceful_shutdown(app, stop, Some(PATIENCE)).await
}

async fn answer(mut request: Request) -> poem::Result<Response> {
    let body = request.take_body().into_bytes_limit(MAX_BODY).await.ok();
    let sessions = request_session(&request)?;
    Ok(response(
        routes::answer(&asked(&request), body.as_deref(), &sessions).await.map_err(SessionError::from)?,
    ))
}

async fn measure<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    let asked = asked(&request);
    let metered = Metered::new(&asked);
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    if page::action(&asked).is_some() && !is_of_this_site(header) {
        return Ok(response(page::refused()));
    }
    let mut response = metered.count(next.call(request)).await?.into_response();
    for (name, value) in metered.headers(response.status().is_redirection()) {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

fn asked(request: &Request) -> Asked {
    let header = |name: &str| {
        let values = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect()
    };
    Asked::new(request.method().as_str(), request.uri().path(), request.uri().query(), header)
}

fn response(answer: Answer) -> Response {
    let mut response = Response::from(answer.body);
    response.set_status(StatusCode::from_u16(answer.status).unwrap_or_default());
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
