//! Redis 6.2, and servers that refuse `HELLO` and with it RESP3.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::time::Duration;

use session_core::engine::{Condition, DestroyOutcome, Rename, WriteOutcome};
use session_core::record::State;
use session_core::{ErrorKind, Provider};
use session_redis::{RedisConfig, RedisProvider};
use session_servers::redis::Redis;
use support::{IDLE, config, count, counter, id, increment, manager, next, number, session, stored};

/// Calls every operation of a provider.
async fn does_everything(provider: &RedisProvider) {
    let (old, first) = stored(provider).await;
    let again = provider.write(&old, &session(9), Condition::Absent, IDLE).await.unwrap();
    let WriteOutcome::Refused(refusal) = again else { panic!("created twice: {again:?}") };
    assert_eq!(refusal.current.unwrap().stamp(), first.stamp());

    assert_eq!(number(&provider.read(&old, IDLE).await.unwrap().unwrap()), 1);
    let second = next(&first, 2);
    let over = Condition::Over(first.stamp());
    assert!(matches!(provider.write(&old, &second, over, IDLE).await.unwrap(), WriteOutcome::Stored(_)));
    assert!(matches!(provider.write(&old, &second, over, IDLE).await.unwrap(), WriteOutcome::Refused(_)));

    let (new, moved, mut tombstone) = (id(), next(&second, 3), next(&second, 0));
    tombstone.header.state = State::Moved(new.clone());
    let rename = Rename::new((&old, second.stamp()), (&new, &moved, IDLE), &tombstone);
    assert!(matches!(provider.rename(&rename).await.unwrap(), WriteOutcome::Stored(_)));
    assert!(!provider.read(&old, IDLE).await.unwrap().unwrap().is_live());
    assert!(provider.exists(&new).await.unwrap() && !provider.exists(&old).await.unwrap());
    assert_eq!(provider.count().await.unwrap(), Some(1));
    assert!(matches!(provider.destroy(&old, None).await.unwrap(), DestroyOutcome::Moved(_)));
    let destroyed = provider.destroy(&new, Some(moved.stamp())).await.unwrap();
    assert!(matches!(destroyed, DestroyOutcome::Destroyed));
    assert!(matches!(provider.destroy(&new, None).await.unwrap(), DestroyOutcome::Absent));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn redis_6_2_does_everything() {
    let server = Redis::start_6_2(&[]).unwrap();
    let provider = config(&server.url()).connect().await.unwrap();
    does_everything(&provider).await;
    // From the second create on, it is one command.
    let before = server.calls("evalsha").unwrap() + server.calls("eval").unwrap();
    stored(&provider).await;
    assert_eq!(server.calls("evalsha").unwrap() + server.calls("eval").unwrap() - before, 1);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_tombstone_keeps_its_short_life_on_redis_6_2() {
    let server = Redis::start_6_2(&[]).unwrap();
    let provider = config(&server.url()).connect().await.unwrap();
    let (old, record) = stored(&provider).await;
    let mut tombstone = next(&record, 0);
    tombstone.header.state = State::Moved(id());
    let over = Condition::Over(record.stamp());
    provider.write(&old, &tombstone, over, Duration::from_secs(60)).await.unwrap();
    provider.read(&old, IDLE).await.unwrap().unwrap();
    let key = format!("session:{}", old.to_text());
    let ttl = || server.cli(&["PTTL", &key]).unwrap().trim().parse::<i64>().unwrap();
    for _ in 0..200 {
        if ttl() <= 60_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!((1..=60_000).contains(&ttl()), "{}", ttl());
}

/// The protocols of a server's clients, without the test's own.
fn protocols(server: &Redis) -> Vec<String> {
    let clients = server.cli(&["CLIENT", "LIST"]).unwrap();
    let ours = clients.lines().filter(|client| !client.contains("cmd=client"));
    ours.filter_map(|client| Some(client.split("resp=").nth(1)?.split(' ').next()?.to_owned())).collect()
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_refuses_hello_is_used_with_resp2() {
    let server = Redis::start_with(&["--rename-command", "HELLO", ""]).unwrap();
    let provider = config(&server.url()).connect().await.unwrap();
    does_everything(&provider).await;
    assert!(protocols(&server).iter().all(|protocol| protocol == "2"));
    // Errors are explained as with RESP3, and without the password.
    let address = server.process().address();
    for (url, says) in [
        (format!("redis://:secret@{address}"), "password"),
        (format!("redis://{address}"), "password"),
        (format!("redis+cluster://:session@{address}"), "redis://"),
    ] {
        let error = config(&url).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error:?}");
        assert!(error.to_string().contains(says), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn resp2_can_be_asked_for() {
    let server = Redis::start().unwrap();
    let url: RedisConfig = format!("{}?protocol=resp2", server.url()).parse().unwrap();
    let provider = url.connect().await.unwrap();
    does_everything(&provider).await;
    assert!(protocols(&server).iter().all(|protocol| protocol == "2"));
    assert_eq!(server.calls("hello").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_restart_affects_no_user_with_resp2() {
    let server = Redis::start_with(&["--rename-command", "HELLO", ""]).unwrap();
    let manager = manager(&server.url(), Duration::from_secs(5)).await;
    let token = counter(&manager).await;
    increment(&manager, &token).await.unwrap();
    assert_eq!(count(&manager, &token).await, 1);
    for _ in 0..3 {
        server.process().restart().unwrap();
        assert!(manager.load(&token).await.unwrap().is_none(), "nothing was kept on disk");
        counter(&manager).await;
    }
}
