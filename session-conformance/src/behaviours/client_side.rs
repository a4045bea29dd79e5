//! Engines that store the record on the client: what they support, and what they declare as
//! unsupported.

use std::time::Duration;

use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::transport::Connection;
use session_core::{ErrorKind, LoadState};

use super::nothing::{presenting, presenting_all};
use crate::layers::{Method, Spy};
use crate::{Context, LONG, begin, fails, number, open, value_of};

/// A manager binds such an engine to its cookie; direct users must bind it first.
fn bound(context: &Context) -> session_core::Manager {
    let manager = context.manager();
    assert!(context.capabilities().client_side, "`suite!(client_side: …)` is for engines that declare it");
    manager
}

fn name(outcome: session_core::Result<WriteOutcome>) -> StorageId {
    match outcome {
        Ok(WriteOutcome::Stored(stored)) => {
            let token = stored.token.expect("the client gets a token");
            StorageId::plain(token.expose()).expect("a token is a name")
        }
        other => panic!("nothing is refused: {other:?}"),
    }
}

/// The token is the record: each write returns a new one, and all of them can be read until their
/// deadlines.
pub async fn every_write_gives_a_token(context: Context) {
    bound(&context);
    let provider = context.provider();
    let record = context.record("first", LONG);
    let first = name(provider.write(&context.id(), &record, Condition::Absent, LONG).await);
    let read = context.read(&first).await.expect("it is in the token");
    assert_eq!(read.header.version(), record.header.version());
    let next = context.next(&read, "second", LONG);
    let second = name(provider.write(&first, &next, Condition::Over(read.stamp()), LONG).await);
    assert_ne!(first, second);
    assert_eq!(value_of(context.read(&first).await.as_ref()).as_deref(), Some("first"));
    assert_eq!(value_of(context.read(&second).await.as_ref()).as_deref(), Some("second"));
    assert!(provider.exists(&second).await.expect("an answer"));
}

/// It cannot list, count or collect, and reports that.
pub async fn there_is_nothing_to_count_or_to_collect(context: Context) {
    let manager = bound(&context);
    begin(&manager, "key", 1).await;
    assert!(!context.capabilities().enumerable);
    assert_eq!(manager.active().await.expect("an answer"), None);
    assert_eq!(manager.collect().await.expect("a collection"), 0);
    let nonsense = StorageId::plain("nonsense").expect("a name");
    assert!(!context.provider().exists(&nonsense).await.expect("an answer"));
    let outcome = context.provider().destroy(&nonsense, None).await.expect("a destroy");
    assert!(matches!(outcome, DestroyOutcome::Absent), "{outcome:?}");
}

/// The client's token is that of the last release, valid in every process.
pub async fn a_release_gives_the_client_the_new_record(context: Context) {
    let manager = bound(&context);
    let first = begin(&manager, "key", 1).await;
    let session = open(&manager, &first).await;
    session.update("key", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    session.release().await.expect("a release");
    let second = session.token().expect("a token");
    assert_ne!(second, first);
    assert_eq!(number(&manager, &second, "key").await, Some(2));
    let other = context.manager_over(context.another().await);
    assert_eq!(number(&other, &second, "key").await, Some(2));
}

/// The client's record is the newest one: a refreshed handle shows it, together with the handle's
/// own changes.
pub async fn fresh_keeps_changes(context: Context) {
    let manager = bound(&context);
    let token = begin(&manager, "key", 1).await;
    let session = open(&manager, &token).await;
    session.set("mine", &2).expect("a set");
    session.fresh().await.expect("a fresh session");
    assert_eq!(session.get::<u64>("key").expect("a number"), Some(1));
    assert_eq!(session.get::<u64>("mine").expect("a number"), Some(2));
    session.release().await.expect("a release");
    let token = session.token().expect("a token");
    assert_eq!(number(&manager, &token, "mine").await, Some(2));
    fails(session.fresh().await, ErrorKind::Released);
}

/// Two cookies of one session, as browsers send them after the cookie's path was changed: the newer
/// one is used, for as long as the browser has both.
pub async fn of_two_tokens_of_one_session_the_newer_is_used(context: Context) {
    let manager = bound(&context);
    let old = begin(&manager, "key", 0).await;
    let mut new = old.clone();
    for count in 1..=20 {
        for tokens in [[&old, &new], [&new, &old]] {
            let request = presenting_all(&manager, &tokens);
            let session = request.session().await.expect("the session");
            assert_eq!(session.get::<u64>("key").expect("a number"), Some(count - 1), "after {count} writes");
        }
        let request = presenting_all(&manager, &[&old, &new]);
        let session = request.session().await.expect("the session");
        session.set("key", &count).expect("a set");
        request.finish(Connection::default()).await.expect("a release");
        new = session.token().expect("a token");
    }
}

/// Nothing ends an older cookie that the browser keeps, so a sign-in takes its place.
pub async fn a_sign_in_of_an_ambiguous_client_is_the_session_that_is_used(context: Context) {
    let manager = bound(&context);
    let others = [begin(&manager, "key", 1).await, begin(&manager, "key", 2).await];
    let request = presenting_all(&manager, &[&others[0], &others[1]]);
    let session = request.session().await.expect("no session");
    assert_eq!(session.load_state(), LoadState::Ambiguous);
    session.sign_in("ada").expect("a sign-in");
    session.set("key", &3).expect("a set");
    request.finish(Connection::default()).await.expect("a release");
    let mut token = session.token().expect("a token");
    for count in 4..=20 {
        let request = presenting_all(&manager, &[&others[0], &token, &others[1]]);
        let session = request.session().await.expect("the session");
        assert_eq!(session.get::<u64>("key").expect("a number"), Some(count - 1));
        session.set("key", &count).expect("a set");
        request.finish(Connection::default()).await.expect("a release");
        token = session.token().expect("a token");
    }
}

/// After its request a handle can read what the client brought, but the client would not get what
/// is stored.
pub async fn a_handle_that_outlives_its_request_stores_nothing(context: Context) {
    let manager = bound(&context);
    let token = begin(&manager, "key", 1).await;
    let request = presenting(&manager, &token);
    let session = request.session().await.expect("the session");
    request.finish(Connection::default()).await.expect("nothing to do");
    session.reload().await.expect("a reload");
    assert_eq!(session.get::<u64>("key").expect("a number"), Some(1));
    fails(session.set("key", &2), ErrorKind::Released);
    fails(session.save().await, ErrorKind::Released);
    // Who takes a session from the manager has its token.
    let worker = open(&manager, &token).await;
    worker.set("key", &2).expect("a set");
    worker.save().await.expect("a save");
    assert_eq!(number(&manager, &worker.token().expect("a token"), "key").await, Some(2));
}

/// No merging is guaranteed: of two concurrent requests the last response wins completely.
pub async fn of_two_requests_at_once_the_last_response_wins(context: Context) {
    let manager = bound(&context);
    let token = begin(&manager, "key", 1).await;
    let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
    first.set("first", &1).expect("a set");
    second.set("second", &2).expect("a set");
    first.release().await.expect("a release");
    second.release().await.expect("a release");
    let [first, second] = [first, second].map(|session| session.token().expect("a token"));
    assert_eq!(open(&manager, &first).await.keys(), ["first", "key"]);
    assert_eq!(open(&manager, &second).await.keys(), ["key", "second"]);
}

/// A logout removes the client's cookie, loaded or not.
pub async fn a_logout_removes_the_cookie(context: Context) {
    let manager = bound(&context);
    for load in [false, true] {
        let token = begin(&manager, "key", 1).await;
        let request = presenting(&manager, &token);
        if load {
            let session = request.session().await.expect("the session");
            session.destroy().await.expect("a logout");
        } else {
            request.destroy().await.expect("a logout");
        }
        let reply = request.finish(Connection::default()).await.expect("a logout");
        assert_eq!(reply.headers.len(), 1);
        assert!(reply.headers[0].1.contains("Max-Age=0"));
    }
}

/// Also a logout after a release or a new id in the same request.
pub async fn a_logout_after_a_release_removes_the_cookie(context: Context) {
    let manager = bound(&context);
    for renew in [false, true] {
        let token = begin(&manager, "key", 1).await;
        let request = presenting(&manager, &token);
        let session = request.session().await.expect("the session");
        session.set("key", &2).expect("a set");
        if renew {
            session.regenerate().expect("a new id");
        }
        session.release().await.expect("a release");
        session.destroy().await.expect("a logout");
        let reply = request.finish(Connection::default()).await.expect("a logout");
        assert_eq!(reply.headers.len(), 1);
        assert!(reply.headers[0].1.contains("Max-Age=0"));
    }
}

/// A logout ends copies of the token, also for a request in flight and in other processes, as
/// declared.
pub async fn a_logout_ends_copies_as_declared(context: Context) {
    let (manager, revokes) = (bound(&context), context.capabilities().revokes);
    let other = context.manager_over(context.another().await);
    let token = begin(&manager, "key", 1).await;
    let in_flight = open(&other, &token).await;
    in_flight.set("late", &1).expect("a set");
    assert!(manager.destroy(&token).await.expect("a logout"));
    for manager in [&manager, &other] {
        assert_eq!(number(manager, &token, "key").await, (!revokes).then_some(1));
        assert_ne!(manager.exists(&token).await.expect("an answer"), revokes);
    }
    if revokes {
        fails(in_flight.release().await, ErrorKind::Gone);
        assert!(!manager.destroy(&token).await.expect("a logout"), "it had ended");
    } else {
        in_flight.release().await.expect("the logout is unknown here");
    }
}

/// A new id ends the old token, also for a request in flight, as declared.
pub async fn a_new_id_ends_the_old_token_as_declared(context: Context) {
    let (manager, revokes) = (bound(&context), context.capabilities().revokes);
    let token = begin(&manager, "key", 1).await;
    let (login, in_flight) = (open(&manager, &token).await, open(&manager, &token).await);
    login.regenerate().expect("active");
    login.release().await.expect("a new id");
    let new = login.token().expect("a token");
    assert_eq!(number(&manager, &new, "key").await, Some(1));
    assert_eq!(number(&manager, &token, "key").await, (!revokes).then_some(1));
    in_flight.set("late", &1).expect("a set");
    let late = in_flight.release().await;
    if revokes {
        fails(late, ErrorKind::Gone);
    } else {
        late.expect("the last answer wins");
    }
    let session = open(&manager, &new).await;
    session.update("key", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    session.release().await.expect("the new one is valid");
}

/// Any changed character leads to a new session without an error.
pub async fn a_changed_token_is_not_a_session(context: Context) {
    let manager = bound(&context);
    let token = begin(&manager, "key", 1).await;
    let text = token.expose();
    for at in 0..text.len() {
        let mut changed = text.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = Token::new(std::str::from_utf8(&changed).expect("ASCII")).expect("a token");
        if at + 1 < text.len() {
            assert!(manager.load(&changed).await.expect("no error").is_none(), "character {at}");
        }
    }
    for cut in [1, 10, text.len() / 2, text.len() - 1] {
        let cut = Token::new(&text[..cut]).expect("a token");
        assert!(manager.load(&cut).await.expect("no error").is_none());
        assert!(presenting(&manager, &cut).session().await.expect("a new session").is_new());
    }
}

/// The idle timeout ends a token on the server, whatever the client does with its cookie.
pub async fn a_token_ends_after_its_idle_time(context: Context) {
    let short = context.short();
    let manager = context.builder().idle_timeout(short).build().expect("a valid configuration");
    let token = begin(&manager, "key", 1).await;
    assert_eq!(number(&manager, &token, "key").await, Some(1));
    context.outlive(short).await;
    assert!(manager.load(&token).await.expect("a load").is_none());
}

/// Use gives the client a token with a later deadline, at most once per `touch_after`.
pub async fn use_gives_a_token_with_a_later_deadline(context: Context) {
    let idle = context.short();
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.builder_over(provider).idle_timeout(idle).build().expect("a valid configuration");
    let mut token = begin(&manager, "key", 1).await;
    spy.take();
    for _ in 0..4 {
        let session = open(&manager, &token).await;
        session.release().await.expect("a release");
        assert_eq!(spy.methods(), [Method::Read], "it is fresh");
        context.pass(idle / 2).await;
        let request = presenting(&manager, &token);
        let session = request.session().await.expect("the session");
        let reply = request.finish(Connection::default()).await.expect("a release");
        assert_eq!(reply.headers.len(), 1, "issued again");
        assert_eq!(spy.methods(), [Method::Read, Method::Write]);
        token = session.token().expect("a token");
    }
    assert_eq!(number(&manager, &token, "key").await, Some(1));
}

/// A request that outlasts its session gives the client no token.
pub async fn a_release_past_a_deadline_is_expired(context: Context) {
    let short = context.short();
    let idle = context.builder().idle_timeout(short).build().expect("a valid configuration");
    let absolute = context.builder().idle_timeout(short).absolute_timeout(short).build();
    let absolute = absolute.expect("a valid configuration");
    for manager in [idle, absolute] {
        let tokens = [begin(&manager, "key", 1).await, begin(&manager, "key", 1).await];
        let (writing, reading) = (open(&manager, &tokens[0]).await, open(&manager, &tokens[1]).await);
        writing.set("key", &2).expect("a set");
        context.outlive(short).await;
        fails(writing.release().await, ErrorKind::Expired);
        let before = reading.token();
        reading.release().await.expect("a request that only read is unaffected");
        assert_eq!(reading.token(), before, "an expired token is not issued again");
    }
}

/// A session that does not fit is an error before anything is sent, and the client keeps its token.
pub async fn a_session_that_is_too_large_is_refused(context: Context) {
    let manager = bound(&context);
    let token = begin(&manager, "key", 1).await;
    let most = context.capabilities().max_record_bytes.expect("a cookie has a limit");
    let session = open(&manager, &token).await;
    session.set("large", &"x".repeat(most)).expect("the manager allows more");
    fails(session.release().await, ErrorKind::TooLarge);
    assert_eq!(open(&manager, &token).await.keys(), ["key"]);
    let session = open(&manager, &token).await;
    session.set("fits", &"x".repeat(most / 2)).expect("a set");
    session.release().await.expect("what fits is stored");
}

/// A token cannot carry its idle timeout, so such an engine has only one.
pub async fn idle_classes_are_refused(context: Context) {
    bound(&context);
    let builder = context.builder().idle_class("remember", LONG * 2);
    fails(builder.build(), ErrorKind::Config);
    let builder = context.builder().anonymous_idle_timeout(Duration::from_secs(60));
    fails(builder.build(), ErrorKind::Config);
}
