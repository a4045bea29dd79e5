//! What is specific to actix-web: extractors that hide errors, errors as responses, single-threaded
//! handlers, failing middleware, websockets.
#![allow(clippy::unwrap_used)]

use std::fmt;
use std::rc::Rc;

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, Error, FromRequest, HttpResponse, HttpServer, ResponseError, web};
use futures_util::StreamExt;
use session_actix::{LazySession, Session, SessionError, SessionMiddleware, request_session};
use session_conformance::http::Shelf;
use session_core::ErrorKind;
use session_core::transport::CookieSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

fn ask(path: &str, cookie: &str) -> TestRequest {
    let request = TestRequest::get().uri(path);
    if cookie.is_empty() { request } else { request.insert_header((COOKIE, cookie)) }
}

/// The status, the session's cookie, and the body of a response.
async fn get<S, R, B>(app: &S, request: R) -> (StatusCode, Option<String>, String)
where
    S: Service<R, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let response = call_service(app, request).await;
    let cookie = response.headers().get(SET_COOKIE).map(|value| value.to_str().unwrap());
    let cookie = cookie.map(|cookie| cookie.split(';').next().unwrap().to_owned());
    let status = response.status();
    let body = to_bytes(response.into_body()).await.ok().unwrap();
    (status, cookie, String::from_utf8(body.to_vec()).unwrap())
}

/// actix-web's `Option` and `Result` extractors turn any failure into a value.
#[actix_web::test]
async fn an_extractor_that_hides_a_failure_makes_no_user_look_like_a_visitor() {
    let shelf = Shelf::default();
    let hides = async |session: Option<Session>| if session.is_some() { "a session" } else { "a visitor" };
    let handles = async |session: Result<Session, SessionError>| session.map_or("it failed", |_| "a session");
    let app = App::new()
        .route("/count", web::get().to(count))
        .route("/hides", web::get().to(hides))
        .route("/handles", web::get().to(handles))
        .wrap(SessionMiddleware::new(shelf.manager()));
    let app = init_service(app).await;
    let (_, cookie, _) = get(&app, ask("/count", "").to_request()).await;
    let cookie = cookie.unwrap();
    for path in ["/hides", "/handles"] {
        assert_eq!(get(&app, ask(path, &cookie).to_request()).await.2, "a session");
    }
    shelf.fail_reads(ErrorKind::Unavailable);
    for path in ["/hides", "/handles"] {
        let answer = get(&app, ask(path, &cookie).to_request()).await;
        assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, None, String::new()), "{path}");
    }
}

/// An application's own error, which can wrap a session error.
#[derive(Debug)]
enum Trouble {
    Session(SessionError),
    Coffee,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl From<session_core::Error> for Trouble {
    fn from(error: session_core::Error) -> Self {
        Self::Session(error.into())
    }
}

impl ResponseError for Trouble {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Session(error) => error.error_response(),
            Self::Coffee => HttpResponse::ImATeapot().body("short and stout"),
        }
    }
}

#[actix_web::test]
async fn an_application_error_is_a_response_unless_it_wraps_a_session_error() {
    async fn wraps(session: Session) -> Result<&'static str, Trouble> {
        session.set("half", "done")?;
        session.set("rights", &"x".repeat(5 << 20))?;
        Ok("never")
    }
    async fn refuses(session: Session) -> Result<&'static str, Trouble> {
        session.set("tries", &1)?;
        Err(Trouble::Coffee)
    }
    for hooked in [false, true] {
        let shelf = Shelf::default();
        let mut sessions = SessionMiddleware::new(shelf.manager());
        if hooked {
            sessions = sessions.on_error(|error, request| {
                HttpResponse::build(session_actix::status(error)).body(format!("sorry, {}", request.uri))
            });
        }
        let routes =
            App::new().route("/wraps", web::get().to(wraps)).route("/refuses", web::get().to(refuses));
        let app = init_service(routes.wrap(sessions)).await;
        let (status, cookie, text) = get(&app, ask("/wraps", "").to_request()).await;
        assert_eq!((status, cookie), (StatusCode::PAYLOAD_TOO_LARGE, None));
        assert_eq!((&*text, shelf.sessions()), (if hooked { "sorry, /wraps" } else { "" }, 0));

        let (status, cookie, text) = get(&app, ask("/refuses", "").to_request()).await;
        assert_eq!((status, &*text), (StatusCode::IM_A_TEAPOT, "short and stout"));
        assert_eq!((cookie.is_some(), shelf.sessions()), (true, 1));
    }
}

#[actix_web::test]
async fn handlers_need_not_be_send() {
    let shelf = Shelf::default();
    let keeps_an_rc = async |session: Session| {
        let name = Rc::new(String::from("ada"));
        session.set("name", &*name)?;
        session.save().await?;
        Ok::<_, SessionError>(name.to_string())
    };
    let app = App::new().route("/", web::get().to(keeps_an_rc)).wrap(SessionMiddleware::new(shelf.manager()));
    let (status, cookie, text) = get(&init_service(app).await, ask("/", "").to_request()).await;
    assert_eq!((status, cookie.is_some(), &*text), (StatusCode::OK, true, "ada"));
}

#[actix_web::test]
async fn without_the_middleware_the_error_says_what_to_add() {
    let request = TestRequest::get().to_http_request();
    let error = Session::<session_actix::Main>::extract(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(".wrap(SessionMiddleware::new(manager))"), "{error}");
    assert!(LazySession::<session_actix::Main>::extract(&request).await.is_err());
}

/// Also middleware that returns an error after the handler has answered.
#[actix_web::test]
async fn middleware_that_fails_stores_nothing_and_the_removed_cookie_goes_with_its_error() {
    async fn ends_and_fails(
        session: Session,
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        let answer = next.call(request).await;
        if session.get::<u64>("n").map_err(SessionError::from)? == Some(2) {
            session.destroy().await.map_err(SessionError::from)?;
            return Err(actix_web::error::ErrorForbidden("no more of you"));
        }
        answer
    }
    let shelf = Shelf::default();
    let app = App::new()
        .route("/", web::get().to(count))
        .wrap(from_fn(ends_and_fails))
        .wrap(SessionMiddleware::new(shelf.manager()));
    let app = init_service(app).await;
    let cookie = get(&app, ask("/", "").to_request()).await.1.unwrap();
    let request = TestRequest::get().insert_header((COOKIE, &*cookie)).to_request();
    let error = app.call(request).await.err().unwrap();
    let response = error.error_response();
    assert_eq!((response.status(), shelf.sessions()), (StatusCode::FORBIDDEN, 0));
    let removal = response.headers().get(SET_COOKIE).unwrap().to_str().unwrap();
    assert!(removal.starts_with("__Host-session=;"), "{removal}");
}

#[actix_web::test]
async fn middleware_between_two_managers_finds_its_own_session_before_and_after_the_handler() {
    async fn between(
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        let core = SessionError::from;
        request_session(request.request())?.session().await.map_err(core)?.set("m", &1).map_err(core)?;
        let answer = next.call(request).await?;
        let session = request_session(answer.request())?.session().await.map_err(core)?;
        assert_eq!(session.keys(), ["m"]);
        Ok(answer)
    }
    let (ours, theirs) = (Shelf::default(), Shelf::default());
    let other = theirs.manager_with(CookieSettings::host_prefixed("other"));
    let app = App::new()
        .route("/", web::get().to(count))
        .wrap(SessionMiddleware::new(other))
        .wrap(from_fn(between))
        .wrap(SessionMiddleware::new(ours.manager()));
    let (status, ..) = get(&init_service(app).await, ask("/", "").to_request()).await;
    assert_eq!((status, ours.sessions(), theirs.sessions()), (StatusCode::OK, 1, 1));
}

#[actix_web::test]
async fn a_panic_in_a_task_of_the_handler_is_not_answered_with_success() {
    let shelf = Shelf::default();
    let careless = async |session: Session| {
        let task = actix_web::rt::spawn(async move {
            session.set("half", &1).unwrap();
            panic!("the task panics");
        });
        let _ = task.await;
        "all is well"
    };
    let app = App::new().route("/", web::get().to(careless)).wrap(SessionMiddleware::new(shelf.manager()));
    let answer = get(&init_service(app).await, ask("/", "").to_request()).await;
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, None, String::new()));
    assert_eq!(shelf.sessions(), 0);
}

/// The session is stored with the handshake; afterwards, each message reloads and saves it.
#[actix_web::test]
async fn a_websocket_carries_the_cookie_in_its_handshake_and_its_messages_save() {
    async fn socket(
        session: Session,
        request: actix_web::HttpRequest,
        body: web::Payload,
    ) -> Result<HttpResponse, Error> {
        session.set("n", &0).map_err(SessionError::from)?;
        let (response, mut socket, mut messages) = actix_ws::handle(&request, body)?;
        actix_web::rt::spawn(async move {
            while let Some(Ok(actix_ws::Message::Text(_))) = messages.next().await {
                let refused = session.set("n", &9).is_err();
                session.reload().await?;
                let n = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
                session.save().await?;
                let _ = socket.text(format!("{refused} {n}")).await;
            }
            Ok::<_, session_core::Error>(())
        });
        Ok(response)
    }
    let shelf = Shelf::default();
    let sessions = SessionMiddleware::new(shelf.manager());
    let app = move || App::new().route("/", web::get().to(socket)).wrap(sessions.clone());
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);

    let mut stream = TcpStream::connect(address).await.unwrap();
    let handshake = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap().into());
    }
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("set-cookie: __Host-session="), "{head}");
    assert_eq!(shelf.sessions(), 1);
    // The change through the request's own handle was refused; after a reload, the session takes
    // changes.
    for answer in ["true 1", "false 2"] {
        // A final text frame of two bytes, masked with zeros.
        stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
        let mut frame = vec![0; 2 + answer.len()];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!((frame[0], &frame[2..]), (0x81, answer.as_bytes()));
    }
    handle.stop(false).await;
}
