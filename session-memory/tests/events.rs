//! The events that the application's listener receives.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod requests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use requests::{MINUTE, SECOND, begin, builder, presenting};
use session_core::accounts::{Excess, Owner};
use session_core::clock::ManualClock;
use session_core::events::{EndedBy, Event, EventKind};
use session_core::id::Token;
use session_core::{Manager, ManagerBuilder};

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Event>>>);

impl Recorder {
    fn listen(&self, builder: ManagerBuilder) -> Manager {
        let events = Arc::clone(&self.0);
        builder.on_event(move |event| events.lock().unwrap().push(event.clone())).build().unwrap()
    }

    /// The events since the last call, after the listener has run.
    async fn take(&self) -> Vec<Event> {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        std::mem::take(&mut self.0.lock().unwrap())
    }

    async fn kinds(&self) -> Vec<EventKind> {
        self.take().await.iter().map(|event| event.kind).collect()
    }
}

async fn sign_in(manager: &Manager, user: &str) -> Token {
    let session = manager.create();
    session.sign_in(user).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

#[tokio::test]
async fn the_events_of_a_session_arrive_in_order() {
    let recorder = Recorder::default();
    let manager = recorder.listen(builder(&ManualClock::default()));
    let token = begin(&manager).await;
    let session = manager.load(&token).await.unwrap().unwrap();
    session.sign_in("ada").unwrap();
    session.release().await.unwrap();
    session.destroy().await.unwrap();
    let events = recorder.take().await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Created, EventKind::Regenerated, EventKind::Destroyed(EndedBy::Logout)]);
    assert_eq!(events[0].owner, None);
    assert_eq!(events[1].owner, Some(Owner::of("ada")));
    assert!(events[1].handle.is_some() && events[1].handle == events[2].handle);
    assert_eq!(events[1].id, events[2].id);
    assert!(!format!("{events:?}").contains(token.expose()));
    // Operations without an effect cause no event.
    assert!(!manager.destroy(&token).await.unwrap());
    assert!(recorder.kinds().await.is_empty());
}

#[tokio::test]
async fn events_name_who_ended_a_session() {
    let recorder = Recorder::default();
    let clock = ManualClock::default();
    let limited = builder(&clock).max_sessions_per_owner(2, Excess::EndOldest);
    let manager = recorder.listen(limited);
    for _ in 0..3 {
        sign_in(&manager, "ada").await;
        clock.advance(SECOND);
    }
    let ended = |kinds: Vec<EventKind>| {
        kinds.into_iter().filter(|kind| *kind != EventKind::Created).collect::<Vec<_>>()
    };
    assert_eq!(ended(recorder.kinds().await), [EventKind::Destroyed(EndedBy::Limit)]);
    assert_eq!(manager.end_all("ada").await.unwrap(), 2);
    let events = recorder.take().await;
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.kind, event.sessions), (EventKind::Destroyed(EndedBy::AnotherDevice), 2));
    let [a, b] = [begin(&manager).await, begin(&manager).await];
    recorder.take().await;
    presenting(&manager, &[&a]).destroy().await.unwrap();
    assert_eq!(recorder.kinds().await, [EventKind::Destroyed(EndedBy::Logout)]);
    manager.destroy(&b).await.unwrap();
    assert_eq!(recorder.kinds().await, [EventKind::Destroyed(EndedBy::Logout)]);
}

#[tokio::test]
async fn conflicts_old_ids_and_collections_cause_events() {
    let recorder = Recorder::default();
    let clock = ManualClock::default();
    let manager = recorder.listen(builder(&clock).gc_interval(None));
    let token = begin(&manager).await;
    let [a, b] = [manager.load(&token).await.unwrap().unwrap(), manager.load(&token).await.unwrap().unwrap()];
    for session in [&a, &b] {
        session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).unwrap();
        session.release().await.unwrap();
    }
    assert_eq!(recorder.kinds().await, [EventKind::Created, EventKind::Conflict]);
    manager.regenerate(&token).await.unwrap();
    assert!(manager.load(&token).await.unwrap().is_none());
    assert_eq!(recorder.kinds().await, [EventKind::Regenerated, EventKind::ReplacedIdUsed]);
    clock.advance(MINUTE * 120);
    assert!(manager.collect().await.unwrap() > 0);
    assert_eq!(recorder.kinds().await, [EventKind::Expired]);
}

#[tokio::test]
async fn a_listener_that_is_slow_or_panics_holds_up_no_request() {
    let (gate, block) = std::sync::mpsc::channel::<()>();
    let (block, called) = (Mutex::new(block), Arc::new(Mutex::new(0_u32)));
    let count = Arc::clone(&called);
    let manager = builder(&ManualClock::default()).on_event(move |_| {
        *count.lock().unwrap() += 1;
        let first = block.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().is_ok();
        assert!(!first, "a listener may panic");
    });
    let manager = manager.build().unwrap();
    let runtime = std::thread::spawn({
        let manager = manager.clone();
        move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                for _ in 0..1_500 {
                    begin(&manager).await;
                }
            });
            gate.send(()).unwrap();
            drop(gate);
            let called = || *called.lock().unwrap();
            for _ in 0..500 {
                if called() >= 1_024 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            called()
        }
    });
    let called = tokio::task::spawn_blocking(move || runtime.join().unwrap()).await.unwrap();
    assert!((1_024..=1_026).contains(&called), "the queue is bounded: {called} of 1,500 events");
}

#[tokio::test]
async fn changes_that_lead_back_to_what_was_read_are_no_conflict_unless_there_was_one() {
    let recorder = Recorder::default();
    let manager = recorder.listen(builder(&ManualClock::default()));
    let token = begin(&manager).await;
    for meanwhile in [false, true] {
        let session = manager.load(&token).await.unwrap().unwrap();
        session.set("n", &1_u64).unwrap();
        session.set("n", &0_u64).unwrap();
        if meanwhile {
            let other = manager.load(&token).await.unwrap().unwrap();
            other.set("n", &2_u64).unwrap();
            other.release().await.unwrap();
        }
        recorder.take().await;
        session.release().await.unwrap();
        assert_eq!(recorder.kinds().await.contains(&EventKind::Conflict), meanwhile);
    }
    assert_eq!(manager.load(&token).await.unwrap().unwrap().get("n").unwrap(), Some(0_u64));
}
