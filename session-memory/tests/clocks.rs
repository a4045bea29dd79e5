//! An engine whose clock is behind the core's: it still has what is over for the core.
#![allow(clippy::unwrap_used, missing_docs)]

mod requests;

use requests::{MINUTE, begin, memory, presenting};
use session_core::clock::ManualClock;
use session_core::{LoadState, Manager};

/// A manager whose sessions last ten minutes, and its clock. The clock of the engine does not move.
fn manager() -> (Manager, ManualClock) {
    let clock = ManualClock::default();
    let builder = Manager::builder_shared(memory(&ManualClock::default())).clock(clock.clone());
    (
        builder.idle_timeout(MINUTE * 10).absolute_timeout(MINUTE * 10).gc_interval(None).build().unwrap(),
        clock,
    )
}

#[tokio::test]
async fn a_session_is_not_found_when_its_absolute_deadline_has_come() {
    let (manager, clock) = manager();
    let token = begin(&manager).await;
    clock.advance(MINUTE * 9);
    assert!(manager.load(&token).await.unwrap().is_some());
    clock.advance(MINUTE);
    assert!(manager.load(&token).await.unwrap().is_none());
    let session = presenting(&manager, &[&token]).session().await.unwrap();
    assert_eq!(session.load_state(), LoadState::Expired);
}

#[tokio::test]
async fn a_user_sees_no_session_whose_absolute_deadline_has_come() {
    let (manager, clock) = manager();
    let session = manager.create();
    session.sign_in("ada").unwrap();
    session.release().await.unwrap();
    clock.advance(MINUTE * 9);
    assert_eq!(manager.sessions_of("ada").latest(10).await.unwrap().len(), 1);
    clock.advance(MINUTE);
    assert_eq!(manager.sessions_of("ada").latest(10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_session_is_not_written_when_its_absolute_deadline_has_come() {
    let (manager, clock) = manager();
    let session = manager.load(&begin(&manager).await).await.unwrap().unwrap();
    session.set("n", &1).unwrap();
    clock.advance(MINUTE * 10);
    assert_eq!(session.release().await.unwrap_err().kind(), session_core::ErrorKind::Expired);
}
