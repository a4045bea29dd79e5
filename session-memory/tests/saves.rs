//! Saves and logouts that are pending, fail or are cancelled, and the resulting responses.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod requests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use requests::{Lazy, Yields, begin, finish, memory, presenting};
use session_conformance::layers::{Around, Call, Fault, Faulty, Layer, Method, Spy};
use session_core::adapter::RequestSession;
use session_core::clock::ManualClock;
use session_core::flash::Level;
use session_core::id::Token;
use session_core::transport::Connection;
use session_core::{ErrorKind, Manager, Result, Session};
use tokio::time::Instant;

const TIMEOUT: Duration = Duration::from_secs(5);

fn manager() -> (Manager, Arc<Faulty>) {
    let (provider, faulty) = Faulty::on(Layer::over(memory(&ManualClock::default()), &Arc::new(Lazy)));
    let builder = Manager::builder_shared(provider).operation_timeout(TIMEOUT).gc_interval(None);
    (builder.build().unwrap(), faulty)
}

async fn values(manager: &Manager, token: &Token) -> [Option<u64>; 2] {
    let session = manager.load(token).await.unwrap().unwrap();
    [session.get("n").unwrap(), session.get("beside").unwrap()]
}

/// A handle of a request that has changed its session.
async fn changing(manager: &Manager) -> (RequestSession, Session) {
    let token = begin(manager).await;
    let request = presenting(manager, &[&token]);
    let session = request.session().await.unwrap();
    session.set("n", &1_u64).unwrap();
    (request, session)
}

/// Starts a save and runs it until it reaches the engine.
async fn saving(session: &Session) -> tokio::task::JoinHandle<Result<()>> {
    let saving = session.clone();
    let task = tokio::spawn(async move { saving.save().await });
    tokio::task::yield_now().await;
    task
}

#[tokio::test(start_paused = true)]
async fn changes_by_another_task_during_a_save_are_stored_by_the_next() {
    let (manager, _) = manager();
    let created = manager.create();
    let loaded = manager.load(&begin(&manager).await).await.unwrap().unwrap();
    for session in [created, loaded] {
        session.set("n", &1_u64).unwrap();
        let task = saving(&session).await;
        session.update("n", |n: Option<u64>| n.unwrap_or(0) + 10).unwrap();
        session.set("beside", &7_u64).unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(values(&manager, &session.token().unwrap()).await, [Some(1), None]);
        assert!(session.is_modified());
        assert_eq!(
            (session.get::<u64>("n").unwrap(), session.get::<u64>("beside").unwrap()),
            (Some(11), Some(7))
        );
        session.release().await.unwrap();
        assert_eq!(values(&manager, &session.token().unwrap()).await, [Some(11), Some(7)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_during_a_failing_save_is_not_lost_silently() {
    let (manager, faulty) = manager();
    let (request, session) = changing(&manager).await;
    faulty.down(Fault::Refused);
    let task = saving(&session).await;
    session.set("beside", &7_u64).unwrap();
    assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    faulty.heal();
    assert_eq!(finish(&request).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_cancelled_and_failed_fails_its_request() {
    for destroys in [false, true] {
        let (manager, faulty) = manager();
        let (request, session) = changing(&manager).await;
        faulty.down(Fault::Hangs);
        let given_up = Duration::from_millis(10);
        if destroys {
            assert!(tokio::time::timeout(given_up, session.destroy()).await.is_err());
        } else {
            assert!(tokio::time::timeout(given_up, session.save()).await.is_err());
        }
        tokio::time::sleep(TIMEOUT * 2).await;
        faulty.heal();
        let error = finish(&request).await.expect_err("the response must not say that it is stored");
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_known_to_the_handler_is_left_to_the_handler() {
    let (manager, faulty) = manager();
    let (request, session) = changing(&manager).await;
    faulty.down(Fault::Refused);
    assert_eq!(session.save().await.unwrap_err().kind(), ErrorKind::Unavailable);
    finish(&request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_operation_on_many_sessions_takes_no_longer_than_its_timeout() {
    let (manager, faulty) = manager();
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(begin(&manager).await);
    }
    let tokens: Vec<_> = tokens.iter().collect();
    let patience = TIMEOUT + Duration::from_millis(100);
    // A logout of all sessions, without and with a load before it, and a sign-in that ends the
    // others.
    for step in 0..3 {
        faulty.heal();
        let request = presenting(&manager, &tokens);
        let session = if step > 0 { Some(request.session().await.unwrap()) } else { None };
        faulty.strike(Fault::Hangs, usize::from(step == 2), usize::MAX);
        let begun = Instant::now();
        match (step, session) {
            (2, Some(session)) => {
                session.set("n", &1_u64).unwrap();
                session.release().await.unwrap();
            }
            _ => drop(request.destroy().await.expect_err("nothing is answered")),
        }
        assert!(begun.elapsed() <= patience, "step {step} took {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_hanging_commit_takes_no_longer_than_the_timeout() {
    let (manager, faulty) = manager();
    let (request, session) = changing(&manager).await;
    faulty.down(Fault::Hangs);
    let first = saving(&session).await;
    let begun = Instant::now();
    let reloads: Vec<_> = (0..4).map(|_| session.clone()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for session in reloads {
        tasks.spawn(async move { session.reload().await });
    }
    while let Some(reloaded) = tasks.join_next().await {
        assert_eq!(reloaded.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(begun.elapsed() <= TIMEOUT + Duration::from_millis(100), "{:?}", begun.elapsed());
    assert!(first.await.unwrap().is_err());
    request.abandon(Connection::default()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_new_id_that_is_being_saved_reaches_the_client_of_a_handler_that_failed() {
    let (manager, _) = manager();
    let token = begin(&manager).await;
    let request = presenting(&manager, &[&token]);
    let session = request.session().await.unwrap();
    session.sign_in("ada").unwrap();
    // The handler cancels the save, and answers 500.
    assert!(tokio::time::timeout(Duration::from_millis(1), session.save()).await.is_err());
    let context = manager.transport().context(Connection::default());
    let reply = request.abandon_under_way(&context).expect("a save is under way").await.unwrap();
    let new = Token::new(&requests::cookie(&reply).expect("the client is told")).unwrap();
    assert!(manager.load(&token).await.unwrap().is_none());
    assert_eq!(
        manager.load(&new).await.unwrap().unwrap().owner(),
        Some(session_core::accounts::Owner::of("ada"))
    );
    assert!(request.abandon_under_way(&context).is_none(), "nothing is under way any more");
}

#[tokio::test]
async fn a_reload_says_why_the_session_is_not_there() {
    let manager = Manager::builder_shared(memory(&ManualClock::default())).build().unwrap();
    for (logs_out, why) in [(false, "its id was replaced"), (true, "it has ended or expired")] {
        let token = begin(&manager).await;
        let [session, other] =
            [manager.load(&token).await, manager.load(&token).await].map(|found| found.unwrap().unwrap());
        if logs_out {
            other.destroy().await.unwrap();
        } else {
            other.regenerate().unwrap();
            other.release().await.unwrap();
        }
        for error in [session.reload().await.unwrap_err(), session.fresh().await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Gone);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

/// The first write answers late, the second one far too late. Both are stored.
#[derive(Debug, Default)]
struct LateAnswers(AtomicUsize);

#[session_conformance::async_trait]
impl Around for LateAnswers {
    type Memo = ();
    async fn before(&self, _: &Call) -> Result<()> {
        Ok(())
    }
    async fn after(&self, call: &Call, (): ()) -> Result<()> {
        if call.method == Method::Write {
            let is_first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
            tokio::time::sleep(if is_first { TIMEOUT * 9 / 10 } else { TIMEOUT * 2 }).await;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_that_was_not_needed_leaves_no_session() {
    let memory = memory(&ManualClock::default());
    let provider = Layer::over(Arc::clone(&memory), &Arc::new(LateAnswers::default()));
    let manager = Manager::builder_shared(provider).operation_timeout(TIMEOUT).build().unwrap();
    let token = begin(&manager).await;
    assert!(manager.load(&token).await.unwrap().is_some());
    assert_eq!(memory.count().await.unwrap(), Some(1));
}

/// A session that could not be ended with a client's other sessions is ended by its logout.
#[tokio::test(start_paused = true)]
async fn a_logout_ends_the_other_session_that_a_save_could_not_end() {
    let (manager, faulty) = manager();
    let both = [begin(&manager).await, begin(&manager).await];
    let request = presenting(&manager, &[&both[0], &both[1]]);
    let session = request.session().await.unwrap();
    session.set("n", &1_u64).unwrap();
    // The second call and its repetition: the end of the first of the two.
    faulty.strike(Fault::Refused, 1, 2);
    session.save().await.unwrap();
    faulty.heal();
    let mut left = 0;
    for token in &both {
        left += usize::from(manager.exists(token).await.unwrap());
    }
    assert_eq!(left, 1, "one could not be ended");
    session.destroy().await.unwrap();
    for token in &both {
        assert!(!manager.exists(token).await.unwrap());
    }
}

/// The second of three commits leaves its record to the third, which need not meet it first.
#[tokio::test]
async fn commits_that_queue_are_refused_once_each() {
    let (provider, spy) = Spy::on(Layer::over(memory(&ManualClock::default()), &Arc::new(Yields)));
    let manager = Manager::builder_shared(provider).build().unwrap();
    let token = begin(&manager).await;
    let mut sessions = Vec::new();
    for n in 0..3 {
        let session = manager.load(&token).await.unwrap().unwrap();
        session.set(n.to_string(), &n).unwrap();
        sessions.push(session);
    }
    spy.take();
    let [one, two, three] = &sessions[..] else { unreachable!("three sessions") };
    let done = tokio::join!(one.release(), two.release(), three.release());
    assert!(done.0.is_ok() && done.1.is_ok() && done.2.is_ok(), "{done:?}");
    assert_eq!(spy.methods(), [Method::Write; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_waits_for_a_save_and_has_nothing_to_add_closes_the_session() {
    let (manager, _) = manager();
    let (_request, session) = changing(&manager).await;
    let task = saving(&session).await;
    session.release().await.unwrap();
    task.await.unwrap().unwrap();
    assert_eq!(session.set("late", &1).unwrap_err().kind(), ErrorKind::Released);
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_when_the_messages_could_not_be_taken() {
    let (manager, faulty) = manager();
    let token = begin(&manager).await;
    let earlier = manager.load(&token).await.unwrap().unwrap();
    earlier.flash(Level::Info, "hello").unwrap();
    earlier.release().await.unwrap();
    let request = presenting(&manager, &[&token]);
    let session = request.session().await.unwrap();
    session.set("n", &1_u64).unwrap();
    faulty.down(Fault::Refused);
    assert_eq!(session.take_flash::<String>().await.unwrap_err().kind(), ErrorKind::Unavailable);
    faulty.heal();
    session.set("beside", &7_u64).unwrap();
    finish(&request).await.unwrap();
    assert_eq!(values(&manager, &token).await, [Some(1), Some(7)]);
    let later = manager.load(&token).await.unwrap().unwrap();
    assert_eq!(later.take_flash::<String>().await.unwrap().len(), 1, "the message has stayed");
}

/// Of a handle that the application took from the manager, and of a request that is under way.
#[tokio::test]
async fn a_session_that_was_reloaded_can_still_get_a_new_id() {
    let (manager, _) = manager();
    for in_request in [false, true] {
        let token = begin(&manager).await;
        let request = presenting(&manager, &[&token]);
        let session = if in_request {
            request.session().await.unwrap()
        } else {
            manager.load(&token).await.unwrap().unwrap()
        };
        session.reload().await.unwrap();
        session.regenerate().unwrap();
        session.release().await.unwrap();
        assert_ne!(session.token(), Some(token), "in a request: {in_request}");
    }
}
