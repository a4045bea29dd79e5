//! The application on actix-web.

use std::net::TcpListener;

use actix_web::body::MessageBody;
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use session_kit::Manager;
use session_kit::actix::{LazySession, SessionError, SessionMiddleware};

use super::MAX_BODY;
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
        .on_error(|error, head| response(routes::trouble(error, head.uri.path())));
    let app =
        move || App::new().default_service(web::to(answer)).wrap(sessions.clone()).wrap(from_fn(measure));
    let server = HttpServer::new(app).shutdown_timeout(PATIENCE.as_secs()).disable_signals();
    let server = server.listen(listener)?.run();
    let handle = server.handle();
    tokio::spawn(async move {
        stop.await;
        handle.stop(true).await;
    });
    server.await
}

async fn answer(
    lazy: LazySession,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, SessionError> {
    let body = body.to_bytes_limited(MAX_BODY).await.ok().and_then(Result::ok);
    Ok(response(routes::answer(&asked(request.head()), body.as_deref(), &lazy).await?))
}

async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let asked = asked(request.head());
    let metered = Metered::new(&asked);
    if page::action(&asked).is_some() && !is_of_this_site(&request) {
        let refused = request.into_response(response(page::refused()));
        return Ok(refused.map_into_right_body());
    }
    let mut response = metered.count(next.call(request)).await?;
    for (name, value) in metered.headers(response.status().is_redirection()) {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    Ok(response.map_into_left_body())
}

/// What browsers say of the page that sent a form; see `docs/guide/csrf.md`. actix-web has no middleware for it.
fn is_of_this_site(request: &ServiceRequest) -> bool {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    match (header("sec-fetch-site"), header("origin")) {
        (Some(b"same-origin" | b"none"), _) | (None, None) => true,
        (Some(_), _) => false,
        (None, Some(origin)) => {
            let origin = origin.strip_prefix(b"https://").or(origin.strip_prefix(b"http://"));
            origin.is_some() && origin == header("host")
        }
    }
}

fn asked(head: &RequestHead) -> Asked {
    let header = |name: &str| {
        let values = head.headers.get_all(name).filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect()
    };
    Asked::new(head.method.as_str(), head.uri.path(), head.uri.query(), header)
}

fn response(answer: Answer) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap_or_default());
    for header in answer.headers {
        response.insert_header(header);
    }
    response.body(answer.body)
}
