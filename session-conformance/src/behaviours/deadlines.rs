//! Idle and absolute deadlines of sessions, as a manager keeps them.

use std::time::Duration;

use session_core::ErrorKind;
use session_core::transport::Connection;

use super::nothing::presenting;
use crate::layers::{Method, Spy};
use crate::{Context, LONG, begin, fails, is_stored, number, open};

/// A session that nobody used for its idle time is over, whatever the cookie says.
pub async fn a_session_ends_after_its_idle_time(context: Context) {
    let short = context.short();
    let manager = context.builder().idle_timeout(short).build().expect("a sound configuration");
    let token = begin(&manager, "key", 1).await;
    assert_eq!(number(&manager, &token, "key").await, Some(1));
    context.outlive(short).await;
    assert!(manager.load(&token).await.expect("a load").is_none());
    assert!(!manager.destroy(&token).await.expect("a logout"), "there is nothing to end");
}

/// Use moves the idle deadline, reading as well as writing.
pub async fn use_keeps_a_session_alive(context: Context) {
    let idle = context.short().max(Duration::from_secs(2)) * 2;
    let manager = context.builder().idle_timeout(idle).build().expect("a sound configuration");
    let (read, written) = (begin(&manager, "key", 1).await, begin(&manager, "key", 1).await);
    let deadline = open(&manager, &read).await.idle_deadline().expect("a deadline");
    for _ in 0..4 {
        context.pass(idle / 3).await;
        open(&manager, &read).await.release().await.expect("a release");
        let session = open(&manager, &written).await;
        session.update("key", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
        session.release().await.expect("a release");
        assert!(session.idle_deadline().expect("a deadline") > deadline);
    }
    assert_eq!(number(&manager, &read, "key").await, Some(1));
    assert_eq!(number(&manager, &written, "key").await, Some(5));
}

/// Activity does not extend the absolute deadline, by whatever means.
pub async fn activity_does_not_extend_the_absolute_deadline(context: Context) {
    let absolute = context.short().max(Duration::from_secs(2)) * 2;
    let manager = context.builder().idle_timeout(absolute).absolute_timeout(absolute);
    let manager = manager.build().expect("a sound configuration");
    let mut read = begin(&manager, "key", 1).await;
    let mut written = begin(&manager, "key", 1).await;
    let mut renewed = begin(&manager, "key", 1).await;
    let end = open(&manager, &renewed).await.absolute_deadline().expect("a deadline");
    for _ in 0..2 {
        context.pass(absolute / 8).await;
        for (number, token) in [&mut read, &mut written, &mut renewed].into_iter().enumerate() {
            let session = open(&manager, token).await;
            if number > 0 {
                session.update("key", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
            }
            if number > 1 {
                session.regenerate().expect("a new id");
            }
            session.release().await.expect("a release");
            *token = session.token().expect("a token");
            assert!(session.idle_deadline() <= session.absolute_deadline());
        }
    }
    assert_eq!(
        open(&manager, &renewed).await.absolute_deadline(),
        Some(end),
        "a new id is not a new session"
    );
    context.outlive(absolute * 3 / 4).await;
    for token in [&read, &written, &renewed] {
        assert!(manager.load(token).await.expect("a load").is_none());
    }
}

/// No write outlives the absolute deadline: every one carries the shorter of the two times.
pub async fn every_write_ends_at_the_absolute_deadline(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let absolute = context.short() * 4;
    let manager = context.builder_over(provider).idle_timeout(absolute).absolute_timeout(absolute);
    let manager = manager.build().expect("a sound configuration");
    let mut token = begin(&manager, "key", 1).await;
    context.pass(absolute / 4).await;
    for renew in [false, true] {
        let session = open(&manager, &token).await;
        session.update("key", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
        if renew {
            session.regenerate().expect("a new id");
        }
        session.release().await.expect("a release");
        token = session.token().expect("a token");
    }
    let calls = spy.take();
    let writes: Vec<_> = calls.iter().filter(|call| call.method != Method::Read).collect();
    assert_eq!(writes.len(), 3);
    for (number, call) in writes.iter().enumerate() {
        let ttl = call.ttl.expect("a write says when it ends");
        let left = if number == 0 { absolute } else { absolute * 3 / 4 };
        assert!(!ttl.is_zero() && ttl <= left, "{ttl:?} of {left:?}");
    }
}

/// A request that takes longer than its session lives stores nothing, and is told that the session has expired.
pub async fn a_release_past_the_idle_deadline_is_expired(context: Context) {
    let short = context.short();
    let manager = context.builder().idle_timeout(short).build().expect("a sound configuration");
    let tokens =
        [begin(&manager, "key", 1).await, begin(&manager, "key", 1).await, begin(&manager, "key", 1).await];
    let [writing, renewing, reading] = [
        open(&manager, &tokens[0]).await,
        open(&manager, &tokens[1]).await,
        open(&manager, &tokens[2]).await,
    ];
    writing.set("key", &2).expect("a set");
    renewing.regenerate().expect("a new id");
    context.outlive(short).await;
    fails(writing.release().await, ErrorKind::Expired);
    fails(renewing.release().await, ErrorKind::Expired);
    reading.release().await.expect("a request that only read is unaffected");
    reading.destroy().await.expect("a logout");
    for token in &tokens {
        assert!(manager.load(token).await.expect("a load").is_none(), "nothing is revived");
    }
    if context.counts_exactly() {
        manager.collect().await.expect("a collection");
        assert_eq!(manager.active().await.expect("an answer"), Some(0));
    }
}

/// The same for the absolute deadline; a request that only read is unaffected.
pub async fn a_release_past_the_absolute_deadline_is_expired(context: Context) {
    let idle = context.short();
    let absolute = idle + idle / 2;
    let manager = context.builder().idle_timeout(idle).absolute_timeout(absolute);
    let manager = manager.build().expect("a sound configuration");
    let token = begin(&manager, "key", 1).await;
    let [writing, reading] = [presenting(&manager, &token), presenting(&manager, &token)];
    writing.session().await.expect("the session").set("key", &2).expect("a set");
    reading.session().await.expect("the session");
    context.outlive(absolute).await;
    let error = writing.finish(Connection::default()).await.expect_err("nothing is stored");
    assert_eq!((error.kind(), error.kind().http_status()), (ErrorKind::Expired, 409));
    let reply = reading.finish(Connection::default()).await.expect("it only read");
    assert!(reply.headers.is_empty());
    assert!(manager.load(&token).await.expect("a load").is_none());
}

/// A stored absolute deadline that has passed ends a session even where the engine would still serve it.
pub async fn the_core_checks_the_absolute_deadline_itself(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 1).await;
    let id = session_core::id::StorageId::of(&token);
    let read = context.read(&id).await.expect("it is there");
    // Ten times the absolute deadline as time to live: an engine that looks at the header only once would serve it.
    let left = Duration::from_millis(300);
    let mut ending = context.next(&read, "value", LONG);
    ending.header.absolute = context.now().after(left);
    let over = session_core::engine::Condition::Over(read.stamp());
    let written = context.provider().write(&id, &ending, over, left * 10).await;
    assert!(is_stored(&written), "{written:?}");
    context.pass(left + Duration::from_millis(5)).await;
    assert!(manager.load(&token).await.expect("a load").is_none());
}
