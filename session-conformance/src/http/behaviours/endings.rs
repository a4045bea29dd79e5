//! The end of a request: dropped, cancelled, panicked, or outlived by a handle.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::{ErrorKind, Session};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::super::{Adapter, Lazy, Shelf};
use super::usual;

const PATIENCE: Duration = Duration::from_secs(60);

/// Passes a value from a handler to the test.
type Place<T> = Arc<Mutex<Option<T>>>;

fn leave<T>(place: &Place<T>, what: T) {
    *place.lock().expect("no panic") = Some(what);
}

fn found<T>(place: &Place<T>) -> T {
    place.lock().expect("no panic").take().expect("the handler stored it")
}

#[track_caller]
fn assert_over<T: std::fmt::Debug>(result: session_core::Result<T>) {
    assert_eq!(result.expect_err("it could not be stored").kind(), ErrorKind::Released);
}

/// Signals when it is dropped.
struct Gone(Option<oneshot::Sender<()>>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.take().map(|gone| gone.send(()));
    }
}

pub async fn a_client_that_disconnects_during_a_handler_leaves_the_store_unchanged<A: Adapter>() {
    let shelf = Shelf::default();
    let (reached, kept) = (Arc::new(Notify::new()), Place::default());
    let (sender, gone) = oneshot::channel();
    let (notify, place, sender) = (Arc::clone(&reached), Arc::clone(&kept), Mutex::new(Some(sender)));
    let hangs = move |session: Session| {
        leave(&place, session.clone());
        let gone = Gone(sender.lock().expect("no panic").take());
        let notify = Arc::clone(&notify);
        async move {
            let _gone = gone;
            session.set("n", &666)?;
            notify.notify_one();
            std::future::pending::<()>().await;
            Ok("never")
        }
    };
    let (_server, client) = usual(&shelf).get("/hangs", hangs).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    shelf.calls();
    let connection = client.open("/hangs", cookie.as_bytes()).await;
    timeout(PATIENCE, reached.notified()).await.expect("the handler is reached");
    drop(connection);
    timeout(PATIENCE, gone).await.expect("the server drops the request").expect("a sender");
    assert_eq!(shelf.calls(), 1, "the read");
    assert_eq!(client.get("/read", &cookie).await.text, "Some(1)");
    assert_over(until_closed(&found(&kept)).await);
}

/// The connection is closed or the handler dropped first, and the request ends a moment later.
async fn until_closed(session: &Session) -> session_core::Result<()> {
    for _ in 0..6_000 {
        session.set("n", &1)?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// It loaded nothing before.
pub async fn a_lazy_session_accepts_no_changes_after_its_client_has_disconnected<A: Adapter>() {
    let (reached, kept): (Arc<Notify>, Place<Arc<dyn Lazy>>) = (Arc::default(), Place::default());
    let (sender, gone) = oneshot::channel();
    let (notify, place, sender) = (Arc::clone(&reached), Arc::clone(&kept), Mutex::new(Some(sender)));
    let hangs = move |lazy: Arc<dyn Lazy>| {
        leave(&place, lazy);
        let gone = Gone(sender.lock().expect("no panic").take());
        notify.notify_one();
        async move {
            let _gone = gone;
            std::future::pending::<()>().await;
            Ok("never")
        }
    };
    let (_server, client) = usual(&Shelf::default()).lazy("/hangs", hangs).serve::<A>();
    let connection = client.open("/hangs", b"").await;
    timeout(PATIENCE, reached.notified()).await.expect("the handler is reached");
    drop(connection);
    timeout(PATIENCE, gone).await.expect("the server drops the request").expect("a sender");
    let lazy = found(&kept);
    assert_over(async { until_closed(&lazy.session().await?).await }.await);
}

/// An update function that owns its session.
pub async fn a_request_whose_client_has_disconnected_leaks_no_memory<A: Adapter>() {
    let alive = Arc::new(());
    let (captured, reached) = (Arc::clone(&alive), Arc::new(Notify::new()));
    let notify = Arc::clone(&reached);
    let hangs = move |session: Session| {
        let (captured, notify) = (Arc::clone(&captured), Arc::clone(&notify));
        async move {
            let own = session.clone();
            session.update("m", move |old: Option<u64>| {
                let _ = &captured;
                old.unwrap_or(0) + own.get::<u64>("n").ok().flatten().unwrap_or(0)
            })?;
            notify.notify_one();
            std::future::pending::<()>().await;
            Ok("never")
        }
    };
    let (server, client) = usual(&Shelf::default()).get("/hangs", hangs).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    let held = Arc::strong_count(&alive);
    let connection = client.open("/hangs", cookie.as_bytes()).await;
    timeout(PATIENCE, reached.notified()).await.expect("the handler is reached");
    assert!(Arc::strong_count(&alive) > held, "the request holds it");
    drop(connection);
    let freed = async {
        while Arc::strong_count(&alive) > held {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, freed).await.expect("the session does not hold itself");
    drop(server);
}

/// The engine is slow, and the client disconnects before it has responded.
pub async fn a_release_that_has_begun_is_finished_when_the_client_disconnects<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    let arrived = shelf.hold_writes();
    let connection = client.open("/count", cookie.as_bytes()).await;
    timeout(PATIENCE, arrived).await.expect("the write has begun").expect("a sender");
    drop(connection);
    // The server has time to notice.
    assert_eq!(client.get("/read", &cookie).await.text, "Some(1)");
    tokio::time::sleep(Duration::from_millis(100)).await;
    shelf.let_writes_go();
    let stored = async {
        while client.get("/read", &cookie).await.text != "Some(2)" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, stored).await.expect("the write is finished");
}

/// A partial sign-in is not stored, and its cookie is not sent.
pub async fn a_handler_that_a_timeout_cancels_stores_nothing<A: Adapter>() {
    let half_done = async |session: Session| {
        session.sign_in("ada")?;
        session.set("user", "ada")?;
        std::future::pending::<()>().await;
        Ok("never")
    };
    for status in [408, 504] {
        let shelf = Shelf::default();
        let mut application = usual(&shelf).get("/half", half_done);
        application.timeout = Some((Duration::from_millis(500), status));
        let (_server, client) = application.serve::<A>();
        let cookie = client.get("/count", "").await.cookie();
        for sent in ["", &*cookie] {
            let response = client.get("/half", sent).await;
            assert_eq!(response.status, status);
            assert_eq!(response.set_cookies().len(), 0);
            assert_eq!(shelf.sessions(), 1);
        }
        assert_eq!(client.get("/whoami", &cookie).await.text, "nobody");
    }
}

async fn panics(session: Session) -> session_core::Result<&'static str> {
    session.set("n", &666)?;
    panic!("the handler panics");
}

pub async fn a_handler_that_panics_stores_nothing_and_the_server_goes_on<A: Adapter>() {
    let shelf = Shelf::default();
    let kept = Place::default();
    let place = Arc::clone(&kept);
    let keeps = move |session: Session| {
        leave(&place, session.clone());
        panics(session)
    };
    let (_server, client) = usual(&shelf).get("/panic", keeps).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    let answer = client.open("/panic", cookie.as_bytes()).await.read_until("\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "{answer}");
    assert_eq!(client.get("/read", &cookie).await.text, "Some(1)");
    assert_over(until_closed(&found(&kept)).await);
}

pub async fn changes_of_a_panicking_handler_are_not_stored_if_the_panic_is_caught_inside<A: Adapter>() {
    // An inner layer may turn a panic into a response, which must not claim success.
    for caught_with in [500, 200] {
        let shelf = Shelf::default();
        let mut application = usual(&shelf).get("/panic", panics);
        application.catches_panics = Some(caught_with);
        let (_server, client) = application.serve::<A>();
        let cookie = client.get("/count", "").await.cookie();
        for (cookie, before) in [("", "None"), (&*cookie, "Some(1)")] {
            let response = client.get("/panic", cookie).await;
            assert_eq!((response.status, response.set_cookies().len()), (500, 0));
            assert_eq!(client.get("/read", cookie).await.text, before);
        }
        assert_eq!(shelf.sessions(), 1);
    }
}

pub async fn a_handle_that_outlives_its_request_accepts_no_changes_until_it_is_reloaded<A: Adapter>() {
    let kept = Place::default();
    let place = Arc::clone(&kept);
    let keeps = move |session: Session| {
        leave(&place, session.clone());
        async move { session.set("n", &1).map(|()| "kept") }
    };
    let (_server, client) = usual(&Shelf::default()).get("/keeps", keeps).serve::<A>();
    let cookie = client.get("/keeps", "").await.cookie();
    let session = found(&kept);
    assert_over(session.set("n", &2));
    assert_eq!(session.get::<u64>("n").expect("a number"), Some(1));
    session.reload().await.expect("a live session");
    session.set("n", &3).expect("a loaded session");
    session.save().await.expect("a live session");
    assert_eq!(client.get("/read", &cookie).await.text, "Some(3)");
}

pub async fn a_lazy_session_that_outlives_its_request_does_not_swallow_writes<A: Adapter>() {
    let kept: Place<Arc<dyn Lazy>> = Place::default();
    let place = Arc::clone(&kept);
    let upgrade = move |lazy: Arc<dyn Lazy>| {
        leave(&place, lazy);
        std::future::ready(Ok("101, or a stream"))
    };
    let (_server, client) = usual(&Shelf::default()).lazy("/upgrade", upgrade).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    client.get("/upgrade", &cookie).await;
    let lazy = found(&kept);
    assert_over(async { lazy.session().await?.set("from-the-socket", &1) }.await);
}
