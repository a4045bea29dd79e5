//! The limit on a user's sessions: above a page of the list, and where another process signs in at
//! the same time.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod requests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use requests::{MINUTE, SECOND, begin, memory};
use session_conformance::layers::{Around, Call, Layer, Method};
use session_core::accounts::Excess;
use session_core::clock::ManualClock;
use session_core::{ErrorKind, Manager, Provider, Result};

/// Another process, whose configuration has no limit, signs in before the second list of the
/// engine.
#[derive(Debug)]
struct Meanwhile(Manager, AtomicUsize);

#[session_conformance::async_trait]
impl Around for Meanwhile {
    type Memo = ();
    async fn before(&self, call: &Call) -> Result<()> {
        if call.method == Method::List && self.1.fetch_add(1, Ordering::Relaxed) == 1 {
            sign_in(&self.0).await?;
        }
        Ok(())
    }
}

async fn sign_in(manager: &Manager) -> Result<()> {
    let session = manager.create();
    session.sign_in("ada")?;
    session.release().await
}

fn limited(provider: Arc<dyn Provider>, sessions: usize) -> Manager {
    let builder = Manager::builder_shared(provider).max_sessions_per_owner(sessions, Excess::Refuse);
    builder.clock(ManualClock::default()).build().unwrap()
}

/// A process with a limit, and one that signs in while that one does.
fn racing(sessions: usize) -> (Manager, Manager) {
    let memory = memory(&ManualClock::default());
    let other = Manager::builder_shared(Arc::clone(&memory)).clock(ManualClock::default()).build().unwrap();
    let meanwhile = Arc::new(Meanwhile(other.clone(), AtomicUsize::new(0)));
    (limited(Layer::over(memory, &meanwhile), sessions), other)
}

async fn sessions(manager: &Manager) -> usize {
    manager.sessions_of("ada").latest(1_000).await.unwrap().len()
}

#[tokio::test]
async fn a_limit_above_a_page_of_the_list_holds() {
    let manager = limited(memory(&ManualClock::default()), 101);
    for _ in 0..101 {
        sign_in(&manager).await.unwrap();
    }
    assert_eq!(sign_in(&manager).await.unwrap_err().kind(), ErrorKind::TooManySessions);
    assert_eq!(sessions(&manager).await, 101);
}

#[tokio::test]
async fn a_limit_of_just_a_page_holds_when_another_process_was_as_fast() {
    let (manager, other) = racing(100);
    for _ in 0..99 {
        sign_in(&other).await.unwrap();
    }
    assert_eq!(sign_in(&manager).await.unwrap_err().kind(), ErrorKind::TooManySessions);
    assert_eq!(sessions(&manager).await, 100);
}

#[tokio::test]
async fn a_visitor_whose_sign_in_is_refused_when_it_was_stored_goes_on() {
    let (manager, _) = racing(1);
    let visitor = manager.load(&begin(&manager).await).await.unwrap().unwrap();
    visitor.sign_in("ada").unwrap();
    assert_eq!(visitor.release().await.unwrap_err().kind(), ErrorKind::TooManySessions);
    assert_eq!(sessions(&manager).await, 1);
    let left = manager.load(&visitor.token().unwrap()).await.unwrap().expect("the visitor's session");
    assert_eq!((left.owner(), left.get("n").unwrap()), (None, Some(0_u64)));
}

#[tokio::test]
async fn a_user_at_the_limit_may_sign_in_again_in_the_same_session() {
    let manager = limited(memory(&ManualClock::default()), 1);
    let session = manager.create();
    session.sign_in("ada").unwrap();
    session.save().await.unwrap();
    session.sign_in("ada").unwrap();
    session.release().await.unwrap();
    assert_eq!(sessions(&manager).await, 1);
}

/// A session that seems to be more than ten seconds newer is of another clock, and was there
/// before. Up to that, of two sign-ins the newer one stays.
#[tokio::test]
async fn a_clock_that_is_ahead_does_not_win_against_the_next_sign_in() {
    for (by, wins) in [(SECOND, true), (SECOND * 10, true), (SECOND * 11, false), (MINUTE, false)] {
        let memory = memory(&ManualClock::default());
        let ahead = ManualClock::default();
        ahead.advance(by);
        let [fast, right] = [ahead, ManualClock::default()].map(|clock| {
            let builder = Manager::builder_shared(Arc::clone(&memory)).clock(clock);
            builder.max_sessions_per_owner(1, Excess::EndOldest).build().unwrap()
        });
        sign_in(&fast).await.unwrap();
        let [earlier] = &right.sessions_of("ada").latest(10).await.unwrap()[..] else {
            panic!("one session")
        };
        let kept = if wins {
            assert_eq!(sign_in(&right).await.unwrap_err().kind(), ErrorKind::TooManySessions, "{by:?}");
            true
        } else {
            sign_in(&right).await.expect("the other one is ended");
            false
        };
        let [left] = &right.sessions_of("ada").latest(10).await.unwrap()[..] else { panic!("one session") };
        assert_eq!(left.handle == earlier.handle, kept, "{by:?}");
    }
}
