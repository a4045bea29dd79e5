//! Refusals by the server, and keys that are not sessions: each causes the right kind of error, and
//! no data is lost.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use session_core::engine::{Condition, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Record, Value};
use session_core::{Error, ErrorKind, Provider};
use session_redis::{RedisProvider, Topology};
use session_servers::redis::Redis;
use support::{IDLE, config, connect, id, next, session, stored};

mod on_redis {
    use super::*;

    /// A script looks for the record first, which is not a write.
    const OVER_NOTHING: Option<ErrorKind> = None;

    fn start(options: &[&str]) -> Redis {
        Redis::start_with(options).unwrap()
    }

    include!("refusals/cases.rs");
}

/// Where writes compare digests.
mod on_redis_8_6 {
    use super::*;

    const OVER_NOTHING: Option<ErrorKind> = Some(ErrorKind::Unavailable);

    fn start(options: &[&str]) -> Redis {
        Redis::start_8_6(options).unwrap()
    }

    include!("refusals/cases.rs");
}

mod on_valkey {
    use super::*;

    const OVER_NOTHING: Option<ErrorKind> = None;

    fn start(options: &[&str]) -> Redis {
        Redis::start_valkey(options).unwrap()
    }

    include!("refusals/cases.rs");
}

fn key(id: &StorageId) -> String {
    format!("session:{}", id.to_text())
}

/// The next record of a session, with a value of 4 KB.
fn large(record: &Record) -> Record {
    let mut body = Body::default();
    body.insert("text", Value::encode(&"x".repeat(4_096)).unwrap());
    Record::new(record.header.next(), body)
}

/// The error of each operation on this id: read, create, replace, destroy, exists.
async fn errors(provider: &RedisProvider, id: &StorageId) -> [Option<Error>; 5] {
    let (mut old, new) = (session(1), session(2));
    old.cas = 7; // as if it had been read from a server that compares digests
    [
        provider.read(id, IDLE).await.err(),
        provider.write(id, &new, Condition::Absent, IDLE).await.err(),
        provider.write(id, &new, Condition::Over(old.stamp()), IDLE).await.err(),
        provider.destroy(id, Some(old.stamp())).await.err(),
        provider.exists(id).await.err(),
    ]
}

fn kinds(errors: &[Option<Error>]) -> Vec<Option<ErrorKind>> {
    errors.iter().map(|error| error.as_ref().map(Error::kind)).collect()
}

/// Sends commands to a server, and waits for its second answer.
fn raw(port: u16, text: &str) {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 256];
    while seen.split(|byte| *byte == b'\n').count() < 3 {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the server closed the connection");
        seen.extend_from_slice(&buffer[..length]);
    }
}

/// The error of connecting, which must not contain the password.
async fn connecting(url: &str) -> Error {
    let started = Instant::now();
    let error = config(url).connect().await.expect_err(url);
    assert!(started.elapsed() < Duration::from_secs(4), "{url}: {:?}", started.elapsed());
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    error
}

#[tokio::test]
async fn connecting_reports_a_server_that_is_not_redis() {
    for (greeting, kind, says) in [
        ("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", ErrorKind::Config, "right port?"),
        ("ERROR\r\n", ErrorKind::Config, "right port?"),
        ("SSH-2.0-OpenSSH_9.2\r\n", ErrorKind::Config, "right port?"),
        ("", ErrorKind::Unavailable, "speak TLS"),
        ("hang up", ErrorKind::Unavailable, "speak TLS"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://:secret@{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer);
            if greeting == "hang up" {
                return;
            }
            if greeting.is_empty() {
                // Sends nothing, and keeps the connection open.
                std::thread::sleep(Duration::from_secs(2));
            }
            let _ = stream.write_all(greeting.as_bytes());
        });
        let error = connecting(&url).await;
        assert_eq!(error.kind(), kind, "{greeting:?}: {error:?}");
        assert!(error.message().contains(says), "{greeting:?}: {error:?}");
        assert!(error.message().starts_with("127.0.0.1:"), "{error:?}");
        server.join().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn engines_are_found_by_name_and_accept_beegos_strings() {
    let server = Redis::start().unwrap();
    let address = server.process().address();
    for text in [
        format!("{address},100,session,0,30"),
        format!(r#"{{"save_path":"{address}","poolsize":100,"password":"session","idle_timeout":"30s"}}"#),
        format!("redis://:session@{address}/0"),
        format!("unix://{}?password=session", server.process().place().path("redis.sock")),
    ] {
        let options = session_core::ConnectOptions::new(&text);
        let provider = session_core::connect("redis", options).await.unwrap();
        assert_eq!((provider.engine(), provider.count().await.unwrap()), ("redis", Some(0)));
    }
    let wrong = session_core::connect(
        "redis_cluster",
        session_core::ConnectOptions::new(&format!("{address},1,session")),
    );
    let error = wrong.await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("`redis`"), "{error}");
    assert!(session_redis::RedisConfig::parse(Topology::Standalone, &server.url()).is_ok());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_client_or_connection_of_the_application_can_be_used() {
    let server = Redis::start().unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let ours = RedisProvider::from_client(&client).with_prefix("own:");
    stored(&ours).await;
    assert_eq!(ours.count().await.unwrap(), Some(1));

    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let theirs = RedisProvider::from_connection(connection).with_prefix("own:");
    let (id, record) = stored(&theirs).await;
    let second = next(&record, 2);
    let over = Condition::Over(record.stamp());
    assert!(matches!(theirs.write(&id, &second, over, IDLE).await.unwrap(), WriteOutcome::Stored(_)));
    // The application's connection may resend after a lost answer, so a refusal leaves the outcome
    // unknown.
    let refused = theirs.write(&id, &next(&record, 3), over, IDLE).await.unwrap();
    assert!(matches!(refused, WriteOutcome::Refused(ref refusal) if refusal.resent), "{refused:?}");
    assert_eq!(theirs.count().await.unwrap(), None);
    assert!(!theirs.capabilities().enumerable);
    assert_eq!(ours.count().await.unwrap(), Some(2));
}
