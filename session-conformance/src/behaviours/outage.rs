//! The engine is down: an error within the timeout, nobody logged in, nothing overwritten, and then
//! a recovery.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::transport::{Connection, Incoming};
use session_core::{ErrorKind, Manager};

use super::nothing::presenting;
use crate::layers::{ByWrites, Fault, Faulty, Slow};
use crate::{Context, begin, eventually, fails, number, open, side_by_side};

/// The time that a busy machine may add to the operation timeout.
const GRACE: Duration = Duration::from_secs(10);

const DOWN: [Fault; 2] = [Fault::Refused, Fault::Hangs];

fn faulty(context: &Context) -> (Manager, Arc<Faulty>) {
    let (provider, faulty) = Faulty::on(context.provider());
    (context.impatient(provider), faulty)
}

/// Neither a session nor "no session", but an error within the timeout, and no cookie.
pub async fn a_failing_engine_logs_nobody_in(context: Context) {
    side_by_side(DOWN.map(|fault| {
        let context = context.clone();
        async move {
            let (manager, faulty) = faulty(&context);
            let token = begin(&context.manager(), "user", 1).await;
            faulty.down(fault);
            let begun = Instant::now();
            let request = presenting(&manager, &token);
            let (loaded, session, active) =
                tokio::join!(manager.load(&token), request.session(), manager.active());
            assert!(begun.elapsed() < context.patience() + GRACE, "{fault:?} took {:?}", begun.elapsed());
            fails(loaded, ErrorKind::Unavailable);
            fails(active, ErrorKind::Unavailable);
            let error = session.expect_err("not a blank session");
            assert_eq!((error.kind(), error.kind().http_status()), (ErrorKind::Unavailable, 503));
            let reply = request.finish(Connection::default()).await.expect("nothing was loaded");
            assert!(reply.headers.is_empty(), "no cookie is touched");
            faulty.heal();
            assert_eq!(
                number(&manager, &token, "user").await,
                Some(1),
                "the same manager, once the engine is back"
            );
        }
    }))
    .await;
}

/// A failed store is an error, the old record is kept, and no cookie is sent.
pub async fn a_change_that_cannot_be_stored_is_an_error(context: Context) {
    side_by_side(DOWN.map(|fault| {
        let context = context.clone();
        async move {
            let (manager, faulty) = faulty(&context);
            let token = begin(&context.manager(), "key", 1).await;
            let request = presenting(&manager, &token);
            request.session().await.expect("the session").set("key", &2).expect("a set");
            let visitor = manager.request(Incoming::default());
            visitor.session().await.expect("a new session").set("key", &3).expect("a set");
            faulty.down(fault);
            let kind =
                if fault == Fault::Refused { ErrorKind::Unavailable } else { ErrorKind::OutcomeUnknown };
            let begun = Instant::now();
            let (update, create) =
                tokio::join!(request.finish(Connection::default()), visitor.finish(Connection::default()));
            assert!(begun.elapsed() < context.patience() + GRACE, "{fault:?} took {:?}", begun.elapsed());
            for error in [update.expect_err("it is not stored"), create.expect_err("it is not stored")] {
                assert_eq!((error.kind(), error.kind().http_status()), (kind, 503));
            }
            faulty.heal();
            assert_eq!(number(&manager, &token, "key").await, Some(1));
            let session = visitor.session().await.expect("the handle");
            assert!(session.token().is_none(), "the visitor has no session");
        }
    }))
    .await;
}

/// A logout that did not reach the engine is an error; the session and its cookie remain, for a
/// retry.
pub async fn a_logout_that_fails_says_so(context: Context) {
    side_by_side(DOWN.map(|fault| {
        let context = context.clone();
        async move {
            let (manager, faulty) = faulty(&context);
            let token = begin(&context.manager(), "key", 1).await;
            let loaded = presenting(&manager, &token);
            let session = loaded.session().await.expect("the session");
            let unloaded = presenting(&manager, &token);
            faulty.down(fault);
            let by_token = async { manager.destroy(&token).await.map(drop) };
            let (loaded_end, unloaded_end, end) =
                tokio::join!(session.destroy(), unloaded.destroy(), by_token);
            for end in [loaded_end, unloaded_end, end] {
                let error = end.expect_err("it is down");
                assert_eq!(error.kind().http_status(), 503, "{error}");
            }
            faulty.heal();
            for request in [&loaded, &unloaded] {
                let reply =
                    request.finish(Connection::default()).await.expect("the handler has seen the error");
                assert!(reply.headers.is_empty(), "the cookie stays");
            }
            assert_eq!(number(&manager, &token, "key").await, Some(1));
            session.destroy().await.expect("the second try");
            assert!(manager.load(&token).await.expect("a load").is_none());
        }
    }))
    .await;
}

/// A regeneration that fails half-way loses neither the data nor the session.
pub async fn a_failed_regeneration_loses_nothing(context: Context) {
    for provider in super::renaming::both(&context) {
        let (provider, faulty) = Faulty::on(provider);
        let manager = context.manager_over(provider);
        let token = begin(&manager, "key", 1).await;
        let session = open(&manager, &token).await;
        session.regenerate().expect("a new id");
        faulty.down(Fault::Refused);
        fails(session.release().await, ErrorKind::Unavailable);
        faulty.heal();
        assert_eq!(number(&manager, &token, "key").await, Some(1));
        if context.counts_exactly() {
            assert_eq!(manager.active().await.expect("an answer"), Some(1), "nothing is left behind");
        }
        manager.destroy(&token).await.expect("a logout");
    }
}

/// The same when it fails between the two writes of the default rename.
pub async fn a_regeneration_cut_between_its_writes_loses_nothing(context: Context) {
    let cases = (0..2).flat_map(|nth| Fault::ALL.map(|fault| (nth, fault)));
    side_by_side(cases.map(|(nth, fault)| {
        let context = context.clone();
        async move {
            let (inner, faulty) = Faulty::on(context.provider());
            let manager = context.impatient(Arc::new(ByWrites(inner)));
            let token = begin(&context.manager(), "key", 1).await;
            let session = open(&manager, &token).await;
            session.regenerate().expect("a new id");
            faulty.strike(fault, nth, usize::MAX);
            assert!(session.release().await.is_err(), "{fault:?} at {nth}");
            faulty.heal();
            // The client's id leads to its session, unless the tombstone was stored and its
            // response lost.
            let tombstone_is_there = nth == 1 && fault.applies();
            let expected = (!tombstone_is_there).then_some(1);
            assert_eq!(number(&manager, &token, "key").await, expected, "{fault:?} at {nth}");
            assert!(manager.destroy(&token).await.expect("a logout"), "a logout finds it in both cases");
        }
    }))
    .await;
}

/// Commits that wait behind a hanging one fail as unavailable, not as a conflict.
pub async fn a_commit_behind_a_call_that_hangs_is_unavailable(context: Context) {
    let (provider, faulty) = Faulty::on(context.provider());
    // Slow, so that both commits have started before one of them reaches its second attempt.
    let manager = context.impatient(Slow::on(provider));
    let token = begin(&context.manager(), "key", 1).await;
    let sessions = [open(&manager, &token).await, open(&manager, &token).await, open(&manager, &token).await];
    let [first, second, third] = &sessions;
    first.set("key", &2).expect("a set");
    first.release().await.expect("a release");
    // Both are refused first, and then queue in this process; every later call hangs.
    faulty.strike(Fault::Hangs, 2, usize::MAX);
    second.set("second", &1).expect("a set");
    third.set("third", &1).expect("a set");
    let (second, third) = tokio::join!(second.release(), third.release());
    for release in [second, third] {
        let error = release.expect_err("the engine does not respond");
        assert_eq!(error.kind().http_status(), 503, "{error}");
    }
    faulty.heal();
    assert_eq!(number(&manager, &token, "key").await, Some(2));
}

/// A request that only read does not fail if its deadline could not be extended.
pub async fn a_failed_touch_fails_no_request(context: Context) {
    let (provider, faulty) = Faulty::on(context.provider());
    let after = context.short() / 2;
    let builder = context.builder_over(provider).touch_after(after);
    let manager = builder.build().expect("a valid configuration");
    let token = begin(&manager, "key", 1).await;
    context.outlive(after).await;
    let session = open(&manager, &token).await;
    faulty.down(Fault::Refused);
    session.release().await.expect("it only read");
    faulty.heal();
    assert_eq!(number(&manager, &token, "key").await, Some(1));
}

/// One refused call is retried, so that a broken connection causes no error.
pub async fn one_refused_call_is_retried(context: Context) {
    let (manager, faulty) = faulty(&context);
    let token = begin(&context.manager(), "key", 1).await;
    faulty.strike(Fault::Refused, 0, 1);
    assert_eq!(number(&manager, &token, "key").await, Some(1));
    assert!(faulty.heal(), "a call was refused");
    faulty.strike(Fault::Refused, 1, 1);
    let session = open(&manager, &token).await;
    session.set("key", &2).expect("a set");
    session.release().await.expect("a release");
    assert!(faulty.heal(), "a call was refused");
    faulty.strike(Fault::Refused, 0, 1);
    assert!(manager.destroy(&token).await.expect("a logout"));
    assert!(faulty.heal(), "a call was refused");
}

/// The collecting task continues after an outage.
pub async fn the_collecting_task_survives_an_outage(context: Context) {
    let (provider, faulty) = Faulty::on(context.provider());
    let short = context.short();
    let builder = context.builder_over(provider).idle_timeout(short);
    let manager = builder.gc_interval(Duration::from_millis(20)).build().expect("a valid configuration");
    begin(&manager, "key", 1).await;
    context.outlive(short).await;
    faulty.down(Fault::Refused);
    let task = manager.spawn_gc();
    tokio::time::sleep(Duration::from_millis(150)).await;
    faulty.heal();
    if context.counts_exactly() {
        let collected = async || context.provider().count().await.expect("an answer") == Some(0);
        eventually("the task has collected", collected).await;
    }
    task.stop();
}
