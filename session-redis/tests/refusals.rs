//! What the server refuses, and what it holds that is no session: each has its kind of error, and nothing is lost.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use session_core::{
    Condition, DestroyOutcome, Error, ErrorKind, Provider, Rename, State, StorageId, WriteOutcome,
};
use session_redis::{RedisProvider, Topology};
use session_servers::redis::Redis;
use support::{IDLE, config, connect, id, next, session, stored};

fn key(id: &StorageId) -> String {
    format!("session:{}", id.to_text())
}

/// The error of each call about this id: read, create, replace, destroy, exists.
async fn errors(provider: &RedisProvider, id: &StorageId) -> [Option<Error>; 5] {
    let (old, new) = (session(1), session(2));
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

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_key_of_another_type_is_corrupt_and_stays() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    let id = id();
    server.cli(&["HSET", &key(&id), "field", "value"]).unwrap();
    let errors = errors(&provider, &id).await;
    assert_eq!(kinds(&errors), [Some(ErrorKind::Corrupt); 5]);
    assert!(errors[0].as_ref().unwrap().to_string().contains("prefix"), "{errors:?}");
    assert_eq!(provider.destroy(&id, None).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(server.cli(&["HGET", &key(&id), "field"]).unwrap().trim(), "value");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn garbage_is_corrupt_and_a_newer_format_unsupported() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    let mut newer = String::from("SSN\u{2}");
    newer.push_str(&"x".repeat(200));
    let cut_short_tombstone = "SSN\u{1}\u{1}rest";
    for (value, kind) in [
        ("garbage", ErrorKind::Corrupt),
        ("SSN", ErrorKind::Corrupt),
        (cut_short_tombstone, ErrorKind::Corrupt),
        (&newer, ErrorKind::Unsupported),
    ] {
        let id = id();
        server.cli(&["SET", &key(&id), value]).unwrap();
        let some = Some(kind);
        assert_eq!(kinds(&errors(&provider, &id).await), [some, some, some, some, None], "{value:?}");
        assert_eq!(
            server.cli(&["GET", &key(&id)]).unwrap().trim_end_matches('\n'),
            value,
            "it is left as it is"
        );
        // A logout ends also what cannot be read.
        let outcome = provider.destroy(&id, None).await.unwrap();
        assert!(matches!(outcome, DestroyOutcome::Destroyed), "{outcome:?}");
        assert_eq!(server.cli(&["EXISTS", &key(&id)]).unwrap().trim(), "0");
    }
    let empty = id();
    server.cli(&["SET", &key(&empty), ""]).unwrap();
    assert_eq!(provider.read(&empty, IDLE).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(matches!(provider.destroy(&empty, None).await.unwrap(), DestroyOutcome::Destroyed));
    assert!(matches!(provider.destroy(&empty, None).await.unwrap(), DestroyOutcome::Absent));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_replica_takes_no_writes_until_it_is_the_master() {
    let master = Redis::start().unwrap();
    let replica =
        Redis::start_with(&["--replicaof", "127.0.0.1", &master.process().port().to_string()]).unwrap();
    let provider = connect(&replica.url()).await;
    let unavailable = Some(ErrorKind::Unavailable);
    let errors = errors(&provider, &id()).await;
    // Nothing is there to be removed, and a look at it is no write.
    assert_eq!(kinds(&errors), [unavailable, unavailable, None, None, None], "{errors:?}");
    assert!(errors[0].as_ref().unwrap().to_string().contains("replica"), "{errors:?}");
    replica.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    stored(&provider).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_that_was_evicted_is_not_found() {
    let server = Redis::start_with(&["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru"]).unwrap();
    let provider = connect(&server.url()).await;
    let (first, record) = stored(&provider).await;
    let filler = "x".repeat(100_000);
    for number in 0..100 {
        server.cli(&["SET", &format!("filler:{number}"), &filler]).unwrap();
    }
    assert!(provider.read(&first, IDLE).await.unwrap().is_none());
    let late =
        provider.write(&first, &next(&record, 2), Condition::Over(record.stamp()), IDLE).await.unwrap();
    assert!(matches!(late, WriteOutcome::Refused(ref refusal) if refusal.current.is_none()), "{late:?}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_evicts_nothing_is_full_and_still_reads_and_destroys() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    let (id, record) = stored(&provider).await;
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1"]).unwrap();
    let create = provider.write(&support::id(), &session(1), Condition::Absent, IDLE).await;
    assert_eq!(create.unwrap_err().kind(), ErrorKind::Full);
    let replace = provider.write(&id, &next(&record, 2), Condition::Over(record.stamp()), IDLE).await;
    assert_eq!(replace.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(provider.read(&id, IDLE).await.unwrap().unwrap().stamp(), record.stamp());
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Destroyed));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_without_enough_replicas_or_a_disk_is_unavailable() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    let (id, record) = stored(&provider).await;
    let unavailable = Some(ErrorKind::Unavailable);
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]).unwrap();
    // A read that slides is a write to the server.
    assert_eq!(kinds(&errors(&provider, &id).await), [unavailable, unavailable, None, None, None]);
    let replace = provider.write(&id, &next(&record, 2), Condition::Over(record.stamp()), IDLE).await;
    assert_eq!(replace.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(provider.destroy(&id, None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]).unwrap();
    assert_eq!(provider.read(&id, IDLE).await.unwrap().unwrap().stamp(), record.stamp());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_loads_its_data_is_unavailable_and_then_has_it() {
    let server = Redis::start_with(&["--loading-process-events-interval-bytes", "1024"]).unwrap();
    let provider = connect(&server.url()).await;
    let (id, _) = stored(&provider).await;
    server.cli(&["DEBUG", "POPULATE", "4000"]).unwrap();
    server.cli(&["CONFIG", "SET", "key-load-delay", "500"]).unwrap();
    // Saves, and loads what it saved, half a millisecond a key; every kilobyte it looks after its clients.
    let reload = {
        let port = server.process().port();
        std::thread::spawn(move || raw(port, "AUTH session\r\nDEBUG RELOAD\r\n"))
    };
    let mut loading = false;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !loading && Instant::now() < deadline {
        match provider.read(&id, IDLE).await {
            Ok(found) => assert!(found.is_some()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                loading = error.to_string().contains("loading");
            }
        }
    }
    assert!(loading, "the server never said that it is loading");
    reload.join().unwrap();
    assert!(provider.read(&id, IDLE).await.unwrap().is_some());
}

/// Says something to a server, and waits for its second answer.
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

/// The error of connecting, which must not have the password in it.
async fn connecting(url: &str) -> Error {
    let started = Instant::now();
    let error = config(url).connect().await.expect_err(url);
    assert!(started.elapsed() < Duration::from_secs(4), "{url}: {:?}", started.elapsed());
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    error
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn what_is_wrong_with_a_server_is_told_when_connecting() {
    let server = Redis::start().unwrap();
    server.cli(&["ACL", "SETUSER", "app", "on", ">secret", "~session:*", "+getex", "+set"]).unwrap();
    let address = server.process().address();
    for (url, kind, says) in [
        (format!("redis://:secret-wrong@{address}"), ErrorKind::Config, "password"),
        (format!("redis://{address}"), ErrorKind::Config, "password"),
        (format!("redis://nobody:secret@{address}"), ErrorKind::Config, "password"),
        (format!("redis://:session@{address}/16"), ErrorKind::Config, "database"),
        (format!("redis+cluster://:session@{address}"), ErrorKind::Config, "redis://"),
        (format!("redis+sentinel://:session@{address}/mymaster"), ErrorKind::Config, "password"),
        ("redis://:secret@127.0.0.1:1".to_owned(), ErrorKind::Unavailable, "reached"),
        ("redis://:secret@nowhere.invalid".to_owned(), ErrorKind::Unavailable, "reached"),
    ] {
        let error = connecting(&url).await;
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
        assert!(error.to_string().contains(says), "{url}: {error:?}");
    }
    // A user who may do these two things, and no more, reads and creates.
    let provider = connect(&format!("redis://app:secret@{address}")).await;
    let (id, record) = stored(&provider).await;
    let replace =
        provider.write(&id, &next(&record, 2), Condition::Over(record.stamp()), IDLE).await.unwrap_err();
    assert_eq!(replace.kind(), ErrorKind::Config);
    assert!(replace.to_string().contains("rights"), "{replace:?}");
}

/// The list of docs/redis.md.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_user_with_the_rights_that_the_docs_list_can_do_everything() {
    let server = Redis::start().unwrap();
    let docs = include_str!("../../docs/redis.md");
    let rule = docs.lines().find_map(|line| line.trim().strip_prefix("ACL SETUSER app ")).unwrap();
    server
        .cli(&[&["ACL", "SETUSER", "app"], &rule.split_whitespace().collect::<Vec<_>>()[..]].concat())
        .unwrap();
    let provider = connect(&format!("redis://app:secret@{}", server.process().address())).await;
    let (old, record) = stored(&provider).await;
    let (new, mut tombstone) = (id(), next(&record, 0));
    tombstone.header.state = State::Moved(new.clone());
    let moved = next(&record, 2);
    let rename = Rename::new((&old, record.stamp()), (&new, &moved, IDLE), &tombstone);
    assert!(matches!(provider.rename(&rename).await.unwrap(), WriteOutcome::Stored(_)));
    assert!(!provider.read(&old, IDLE).await.unwrap().unwrap().is_live());
    assert!(provider.exists(&new).await.unwrap());
    assert_eq!(provider.count().await.unwrap(), Some(1));
    assert!(matches!(provider.destroy(&new, Some(moved.stamp())).await.unwrap(), DestroyOutcome::Destroyed));
    server.cli(&["SET", &key(&new), "SSN\u{1}\u{1}cut short"]).unwrap();
    assert!(matches!(provider.destroy(&new, None).await.unwrap(), DestroyOutcome::Destroyed));
    tokio::time::sleep(Duration::from_millis(50)).await;
    // What the server refused, it has in its log.
    assert_eq!(server.cli(&["ACL", "LOG"]).unwrap().trim(), "");
}

#[tokio::test]
async fn what_is_no_redis_is_told_when_connecting() {
    for (greeting, kind) in [
        ("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", ErrorKind::Config),
        ("ERROR\r\n", ErrorKind::Config),
        ("SSH-2.0-OpenSSH_9.2\r\n", ErrorKind::Config),
        ("", ErrorKind::Unavailable),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://:secret@{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer);
            if greeting.is_empty() {
                // Says nothing at all, and keeps the connection.
                std::thread::sleep(Duration::from_secs(2));
            }
            let _ = stream.write_all(greeting.as_bytes());
        });
        let error = connecting(&url).await;
        assert_eq!(error.kind(), kind, "{greeting:?}: {error:?}");
        server.join().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn engines_are_found_by_name_and_take_the_seeds_strings() {
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
async fn an_own_client_and_an_own_connection_can_be_handed_in() {
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
    // Nobody knows what the connection does after a lost answer, so a refusal leaves that open.
    let refused = theirs.write(&id, &next(&record, 3), over, IDLE).await.unwrap();
    assert!(matches!(refused, WriteOutcome::Refused(ref refusal) if refusal.resent), "{refused:?}");
    assert_eq!(theirs.count().await.unwrap(), None);
    assert!(!theirs.capabilities().enumerable);
    assert_eq!(ours.count().await.unwrap(), Some(2));
}
