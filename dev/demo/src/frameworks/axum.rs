//! The application on axum.

use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::any;
use session_kit::Manager;
use session_kit::tower::{LazySession, RequestHead, SessionError, SessionLayer};
use tower_http::csrf::CsrfLayer;

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
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = app(manager).into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async {
        stop.await;
        let _ = stopping.send(());
    });
    tokio::select! {
        served = async { serving.await } => served,
        () = async { let _ = stopped.await; tokio::time::sleep(PATIENCE).await } => {
            eprintln!("requests still under way after {PATIENCE:?}: leaving them");
            Ok(())
        }
    }
}

fn app(manager: Manager) -> Router {
    let sessions = SessionLayer::new(manager)
        .on_error_with(|error, head: &RequestHead| response(routes::trouble(error, head.uri.path())));
    let same_site = CsrfLayer::new().with_rejection_response(|_| response(page::refused()));
    let pages = any(answer).layer(same_site);
    let routes = Router::new().route("/api/{*route}", any(answer)).fallback_service(pages);
    routes.layer(sessions).layer(from_fn(measure))
}

async fn answer(lazy: LazySession, request: Request) -> Result<Response, SessionError> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.ok();
    Ok(response(routes::answer(&asked(&head), body.as_deref(), &lazy).await?))
}

async fn measure(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let metered = Metered::new(&asked(&head));
    let mut response = metered.count(next.run(Request::from_parts(head, body))).await;
    add(response.status().is_redirection(), &metered, response.headers_mut());
    response
}

fn add(is_redirection: bool, metered: &Metered, headers: &mut HeaderMap) {
    for (name, value) in metered.headers(is_redirection) {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
}

fn asked(head: &Parts) -> Asked {
    let header = |name: &str| {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect()
    };
    Asked::new(head.method.as_str(), head.uri.path(), head.uri.query(), header)
}

fn response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
