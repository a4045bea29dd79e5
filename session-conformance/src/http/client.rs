//! A client without a cookie store: tests specify the headers.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, Request, request};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The timeout of a response.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends requests to one server, each over its own connection.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    address: SocketAddr,
}

impl Client {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Gets a path, with a `Cookie` header unless that is empty.
    pub async fn get(&self, path: &str, cookie: &str) -> Response {
        let mut request = Request::get(path);
        if !cookie.is_empty() {
            request = request.header(COOKIE, cookie);
        }
        self.send(request).await
    }

    /// Gets a path, with one header.
    pub async fn get_with(&self, path: &str, name: &str, value: &str) -> Response {
        self.send(Request::get(path).header(name, value)).await
    }

    /// Sends a request without a body.
    pub async fn send(&self, request: request::Builder) -> Response {
        let host = if request.headers_ref().is_some_and(|headers| headers.contains_key(HOST)) {
            request
        } else {
            request.header(HOST, self.address.to_string())
        };
        let request = host.body(Empty::<Bytes>::new()).expect("a request");
        let answer = async {
            let stream = TcpStream::connect(self.address).await.expect("a connection");
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
            let connection = tokio::spawn(connection);
            let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            connection.abort();
            Response {
                status: head.status.as_u16(),
                headers: head.headers,
                text: String::from_utf8_lossy(&body).into_owned(),
            }
        };
        timeout(PATIENCE, answer).await.expect("an answer within a minute")
    }

    /// Sends raw request bytes, and returns the connection for the response.
    pub async fn open(&self, path: &str, cookie: &[u8]) -> Connection {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: ");
        let request = [head.as_bytes(), cookie, b"\r\n\r\n"].concat();
        stream.write_all(&request).await.expect("a request that is sent");
        Connection(stream)
    }
}

/// A connection that awaits a response; dropping it disconnects the client.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    /// The data until `end`, or until the server closes.
    pub async fn read_until(&mut self, end: &str) -> String {
        let mut got = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&got).contains(end) {
            let read = timeout(PATIENCE, self.0.read(&mut buffer)).await.expect("bytes within a minute");
            // A server that closes with unread bytes resets the connection.
            let n = read.unwrap_or(0);
            if n == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..n]);
        }
        String::from_utf8_lossy(&got).into_owned()
    }
}

/// A complete response.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Response {
    /// Every `Set-Cookie`.
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().expect("ASCII")).collect()
    }

    /// The `name=value` of the one session cookie that is set.
    #[track_caller]
    pub fn cookie(&self) -> String {
        let all = self.set_cookies();
        let ours: Vec<_> = all.into_iter().filter(|cookie| cookie.contains("session=")).collect();
        assert_eq!(ours.len(), 1, "one session cookie in an answer of {}: {ours:?}", self.status);
        ours[0].split(';').next().unwrap_or_default().to_owned()
    }

    /// The single value of a header.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(all.len() <= 1, "{name} more than once: {all:?}");
        all.first().map(|value| value.to_str().expect("ASCII"))
    }

    /// Asserts this status, an empty body and no cookie.
    #[track_caller]
    pub fn assert_refused(&self, status: u16) {
        assert_eq!((self.status, &*self.text), (status, ""));
        assert_eq!(self.set_cookies(), Vec::<&str>::new());
    }
}
