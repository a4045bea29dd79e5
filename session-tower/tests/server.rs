//! The same over real connections: hang-ups, streams, panics, hostile bytes, HTTP/2.

#![allow(clippy::unwrap_used)]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get as on_get;
use http_body_util::{BodyExt, Empty};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use session_tower::{Session, SessionError, SessionLayer};
use support::{NAME, Shelf, cookie_of, get, manager, send, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

/// A server on a free port, for as long as the test runs.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn app(shelf: &Shelf, more: Router) -> Router {
    let routes = Router::new().route("/count", on_get(count)).route("/read", on_get(read));
    routes.merge(more).layer(SessionLayer::new(manager(shelf)))
}

fn request(path: &str, cookie: &[u8]) -> Vec<u8> {
    [format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: ").as_bytes(), cookie, b"\r\n\r\n"].concat()
}

/// What comes until `end`, or until the server closes.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&got).contains(end) {
        let n = timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
        if n == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8(got).unwrap()
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_of_a_handler_leaves_the_store_as_it_was() {
    struct Gone(Arc<Notify>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (reached, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals = (Arc::clone(&reached), Arc::clone(&gone));
    let hangs = move |session: Session| {
        let (reached, gone) = (Arc::clone(&signals.0), Gone(Arc::clone(&signals.1)));
        async move {
            let _gone = gone;
            session.set("n", &666)?;
            reached.notify_one();
            tokio::time::sleep(SOON).await;
            Ok::<_, SessionError>("too late")
        }
    };
    let shelf = Shelf::default();
    let app = app(&shelf, Router::new().route("/hangs", on_get(hangs)));
    let address = serve(app.clone()).await;
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    shelf.calls();

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request("/hangs", cookie.as_bytes())).await.unwrap();
    timeout(SOON, reached.notified()).await.unwrap();
    drop(stream);
    timeout(SOON, gone.notified()).await.expect("the server drops the request");
    assert_eq!(shelf.calls(), 1, "the read");
    assert_eq!(text(send(&app, get("/read", &cookie)).await).await, "Some(1)");
}

/// A body whose chunks come from a channel.
struct Chunks(mpsc::Receiver<&'static str>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|chunk| chunk.map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes())))))
    }
}

#[tokio::test]
async fn a_stream_is_not_buffered_and_the_session_is_stored_before_its_head_leaves() {
    let (chunks, receiver) = mpsc::channel(1);
    let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
    let streams = move |session: Session| {
        let body = receiver.lock().unwrap().take().map(|chunks| Body::new(Chunks(chunks))).unwrap();
        async move {
            session.set("n", &1)?;
            Ok::<_, SessionError>(body)
        }
    };
    let shelf = Shelf::default();
    let app = app(&shelf, Router::new().route("/stream", on_get(streams)));
    let mut stream = TcpStream::connect(serve(app).await).await.unwrap();
    stream.write_all(&request("/stream", b"")).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.contains(&format!("set-cookie: {NAME}=")), "{head}");
    assert_eq!(shelf.sessions(), 1, "stored while the body has not begun");
    for chunk in ["first", "second"] {
        chunks.send(chunk).await.unwrap();
        let got = read_until(&mut stream, chunk).await;
        assert!(got.contains(chunk), "{got}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_stores_nothing_and_the_server_goes_on() {
    let panics = async |session: Session| -> Result<(), SessionError> {
        session.set("n", &666)?;
        panic!("the handler panics");
    };
    let shelf = Shelf::default();
    let app = app(&shelf, Router::new().route("/panic", on_get(panics)));
    let address = serve(app.clone()).await;
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request("/panic", cookie.as_bytes())).await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "", "closed without an answer");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request("/read", cookie.as_bytes())).await.unwrap();
    let answer = read_until(&mut stream, "Some").await;
    assert!(answer.ends_with("Some(1)"), "{answer}");
}

#[tokio::test]
async fn checklist_22_nul_and_line_breaks_in_a_cookie_never_reach_an_engine() {
    let shelf = Shelf::default();
    let app = app(&shelf, Router::new());
    let address = serve(app.clone()).await;
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    shelf.calls();
    for hostile in [&b"\0"[..], b"\r", b"\n", b"\x01"] {
        let mut value = cookie.clone().into_bytes();
        value.splice(20..20, hostile.iter().copied());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&request("/count", &value)).await.unwrap();
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{hostile:?}: {answer}");
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request("/count", format!("{NAME}=\u{e9}\u{ff}").as_bytes())).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "not ASCII is legal, and no session: {answer}");
    assert_eq!(shelf.calls(), 1, "one new session");
}

#[tokio::test]
async fn http_2_clients_may_send_every_cookie_in_a_header_of_its_own() {
    let shelf = Shelf::default();
    let app = app(&shelf, Router::new());
    let address = serve(app.clone()).await;
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = http::Request::get(format!("http://{address}/read"))
        .header("cookie", "theme=dark")
        .header("cookie", &cookie)
        .header("cookie", "lang=en")
        .body(Empty::new())
        .unwrap();
    let response = timeout(SOON, client.request(request)).await.unwrap().unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"Some(1)");
}
