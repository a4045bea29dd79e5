//! The proxy does to a connection what it is told, and nothing else. The server behind it is an echo.
#![allow(clippy::unwrap_used)] // the helpers are test code too

use session_servers::proxy::Proxy;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A server that answers each message with itself, and a list of what it got.
fn echo() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, got) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let seen = seen.clone();
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let _ = seen.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
                    let _ = stream.write_all(&buffer[..length]);
                }
            });
        }
    });
    (address, got)
}

struct Client(TcpStream);

impl Client {
    fn connect(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        Self(stream)
    }

    /// The answer to a message: an empty one when the connection was closed.
    fn ask(&mut self, message: &str) -> io::Result<String> {
        self.0.write_all(message.as_bytes())?;
        let mut buffer = [0; 1024];
        loop {
            match self.0.read(&mut buffer) {
                // A read with a time-out is not begun again by the system.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return Ok(String::from_utf8_lossy(&buffer[..read?]).into_owned()),
            }
        }
    }

    fn is_cut(&mut self) -> bool {
        match self.ask("hello?") {
            Ok(answer) => answer.is_empty(),
            Err(error) => !is_timeout(&error),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[test]
fn everything_passes_and_is_counted() {
    let proxy = Proxy::start(echo().0).unwrap();
    let (mut one, mut two) = (Client::connect(&proxy), Client::connect(&proxy));
    assert_eq!(one.ask("abc").unwrap(), "abc");
    let before = proxy.counts();
    assert_eq!(one.ask("defg").unwrap(), "defg");
    assert_eq!(two.ask("hi").unwrap(), "hi");
    let step = proxy.counts() - before;
    assert_eq!((step.round_trips, step.sent, step.received), (2, 6, 6));
    assert_eq!(proxy.counts().connections, 2);
}

#[test]
fn a_cut_ends_open_connections_and_allows_new_ones() {
    let proxy = Proxy::start(echo().0).unwrap();
    let mut client = Client::connect(&proxy);
    client.ask("abc").unwrap();
    proxy.cut();
    assert!(client.is_cut());
    assert_eq!(Client::connect(&proxy).ask("abc").unwrap(), "abc");
}

#[test]
fn forgotten_connections_stay_open_and_silent_and_new_ones_work() {
    let (server, got) = echo();
    let proxy = Proxy::start(server).unwrap();
    let mut client = Client::connect(&proxy);
    client.ask("abc").unwrap();
    proxy.forget_connections();
    assert!(is_timeout(&client.ask("lost").unwrap_err()));
    assert_eq!(Client::connect(&proxy).ask("new").unwrap(), "new");
    assert_eq!(got.try_iter().collect::<Vec<_>>(), ["abc", "new"]);
}

#[test]
fn refused_connections_find_nobody_and_open_ones_go_on() {
    let proxy = Proxy::start(echo().0).unwrap();
    let mut client = Client::connect(&proxy);
    client.ask("abc").unwrap();
    proxy.refuse();
    let error = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(client.ask("abc").unwrap(), "abc");
    proxy.accept().unwrap();
    assert_eq!(Client::connect(&proxy).ask("abc").unwrap(), "abc");
}

#[test]
fn a_server_that_is_down_closes_the_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(nobody).unwrap();
    assert!(Client::connect(&proxy).is_cut());
}

#[test]
fn a_lost_answer_was_given_by_the_server_and_never_reaches_the_client() {
    let (server, got) = echo();
    let proxy = Proxy::start(server).unwrap();
    proxy.lose_answers(1, b"UPDATE");
    let mut client = Client::connect(&proxy);
    assert_eq!(client.ask("SELECT").unwrap(), "SELECT");
    let answer = client.ask("an UPDATE of one");
    assert!(matches!(&answer, Ok(text) if text.is_empty()) || answer.is_err_and(|error| !is_timeout(&error)));
    assert_eq!(proxy.answers_to_lose(), 0);
    assert_eq!(Client::connect(&proxy).ask("UPDATE").unwrap(), "UPDATE");
    assert_eq!(got.try_iter().collect::<Vec<_>>(), ["SELECT", "an UPDATE of one", "UPDATE"]);
}

#[test]
fn swallowed_answers_leave_the_connection_open_and_silent() {
    let (server, got) = echo();
    let proxy = Proxy::start(server).unwrap();
    let mut client = Client::connect(&proxy);
    proxy.swallow_answers(true);
    assert!(is_timeout(&client.ask("abc").unwrap_err()));
    assert_eq!(got.recv().unwrap(), "abc");
    proxy.swallow_answers(false);
    assert_eq!(client.ask("def").unwrap(), "def");
}

#[test]
fn delayed_answers_come_that_much_later() {
    let proxy = Proxy::start(echo().0).unwrap();
    let mut client = Client::connect(&proxy);
    proxy.delay_answers(Duration::from_millis(100));
    let start = Instant::now();
    assert_eq!(client.ask("abc").unwrap(), "abc");
    assert!(start.elapsed() >= Duration::from_millis(100));
    proxy.delay_answers(Duration::ZERO);
    assert_eq!(client.ask("abc").unwrap(), "abc");
}
