// Tests for each kind of server; `start` starts one. `OVER_NOTHING` is the error of a write over a
// record that is not there, on a server that accepts no writes.

use session_core::engine::{DestroyOutcome, Rename};
use session_core::record::State;

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_key_of_another_type_is_corrupt_and_stays() {
    let server = start(&[]);
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
    let server = start(&[]);
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
        // A logout also removes records that cannot be read.
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
    let master = start(&[]);
    let replica = start(&["--replicaof", "127.0.0.1", &master.process().port().to_string()]);
    let provider = connect(&replica.url()).await;
    let unavailable = Some(ErrorKind::Unavailable);
    let errors = errors(&provider, &id()).await;
    assert_eq!(kinds(&errors), [unavailable, unavailable, OVER_NOTHING, None, None], "{errors:?}");
    assert!(errors[0].as_ref().unwrap().to_string().contains("replica"), "{errors:?}");
    replica.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    stored(&provider).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_that_was_evicted_is_not_found() {
    let server = start(&["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru"]);
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
    let server = start(&[]);
    let provider = connect(&server.url()).await;
    let (id, _) = stored(&provider).await;
    let record = provider.read(&id, IDLE).await.unwrap().unwrap();
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
    let server = start(&[]);
    let provider = connect(&server.url()).await;
    let (id, _) = stored(&provider).await;
    let record = provider.read(&id, IDLE).await.unwrap().unwrap();
    let unavailable = Some(ErrorKind::Unavailable);
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]).unwrap();
    // A read that extends the lifetime is a write for the server.
    assert_eq!(kinds(&errors(&provider, &id).await), [unavailable, unavailable, OVER_NOTHING, None, None]);
    let replace = provider.write(&id, &next(&record, 2), Condition::Over(record.stamp()), IDLE).await;
    assert_eq!(replace.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(provider.destroy(&id, None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]).unwrap();
    assert_eq!(provider.read(&id, IDLE).await.unwrap().unwrap().stamp(), record.stamp());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_loads_its_data_is_unavailable_and_then_has_it() {
    let server = start(&["--loading-process-events-interval-bytes", "1024"]);
    let provider = connect(&server.url()).await;
    let (id, _) = stored(&provider).await;
    server.cli(&["DEBUG", "POPULATE", "4000"]).unwrap();
    server.cli(&["CONFIG", "SET", "key-load-delay", "500"]).unwrap();
    // Saves, and loads the file at half a millisecond per key; the server handles its clients after
    // every kilobyte.
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

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connecting_reports_what_is_wrong_with_a_server() {
    let server = start(&[]);
    server.cli(&["ACL", "SETUSER", "app", "on", ">secret", "~session:*", "+getex", "+set"]).unwrap();
    let address = server.process().address();
    for (url, kind, says) in [
        (format!("redis://:secret-wrong@{address}"), ErrorKind::Config, "password"),
        (format!("redis://{address}"), ErrorKind::Config, "needs a login"),
        (format!("redis://app:secret@{address}/1"), ErrorKind::Config, "lacks a permission"),
        (format!("redis://nobody:secret@{address}"), ErrorKind::Config, "password"),
        (format!("redis://:session@{address}/16"), ErrorKind::Config, "database"),
        (format!("redis+cluster://:session@{address}"), ErrorKind::Config, "redis://"),
        (format!("redis+sentinel://:session@{address}/mymaster"), ErrorKind::Config, "password"),
        ("redis://:secret@127.0.0.1:1".to_owned(), ErrorKind::Unavailable, "127.0.0.1:1: the server cannot be"),
        ("redis://:secret@nowhere.invalid".to_owned(), ErrorKind::Unavailable, "nowhere.invalid:6379: the server"),
    ] {
        let error = connecting(&url).await;
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
        assert!(error.to_string().contains(says), "{url}: {error:?}");
    }
    // A user with only these two rights can read and create; connecting reports the missing rights.
    let url = format!("redis://app:secret@{address}");
    assert_eq!(connecting(&url).await.kind(), ErrorKind::Config);
    let provider = config(&url).provider().unwrap();
    let (id, record) = stored(&provider).await;
    let replace =
        provider.write(&id, &next(&record, 2), Condition::Over(record.stamp()), IDLE).await.unwrap_err();
    assert_eq!(replace.kind(), ErrorKind::Config);
    assert!(replace.to_string().contains("scripts"), "{replace:?}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connecting_reports_refused_scripts() {
    let server = start(&[]);
    server.cli(&["ACL", "SETUSER", "app", "on", ">secret", "~session:*", "+@all", "-@scripting"]).unwrap();
    let error = connecting(&format!("redis://app:secret@{}", server.process().address())).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`+eval +evalsha`"), "{error:?}");

    for renamed in ["EVAL", "EVALSHA"] {
        let server = start(&["--rename-command", renamed, ""]);
        let error = config(&server.url()).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("no `EVAL`"), "{renamed}: {error:?}");
    }
}

/// The list of docs/redis.md.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_user_with_the_documented_rights_can_do_everything() {
    let server = start(&[]);
    let docs = include_str!("../../../docs/redis.md");
    let rule = docs.lines().find_map(|line| line.trim().strip_prefix("ACL SETUSER app ")).unwrap();
    server
        .cli(&[&["ACL", "SETUSER", "app"], &rule.split_whitespace().collect::<Vec<_>>()[..]].concat())
        .unwrap();
    let provider = connect(&format!("redis://app:secret@{}", server.process().address())).await;
    let (old, first) = stored(&provider).await;
    let record = large(&first);
    let over = Condition::Over(first.stamp());
    assert!(matches!(provider.write(&old, &record, over, IDLE).await.unwrap(), WriteOutcome::Stored(_)));
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
    // The server logs what it refused.
    assert_eq!(server.cli(&["ACL", "LOG"]).unwrap().trim(), "");
}
