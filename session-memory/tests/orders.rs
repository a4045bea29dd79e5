//! Calls in random orders: in one request, from several tasks on one handle, and in concurrent
//! requests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::items_after_statements, missing_docs)]

mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;

use requests::{MINUTE, Yields, begin, builder, cookie, finish, memory, presenting};
use session_conformance::layers::Layer;
use session_core::clock::ManualClock;
use session_core::id::Token;
use session_core::{ErrorKind, Manager};

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one step after the other, with what each is to do")]
async fn random_orders_of_calls_in_requests_match_a_model() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let clock = ManualClock::default();
    for _ in 0..2_000 {
        let manager = builder(&clock).build().unwrap();
        let mut jar: Option<Token> = None;
        let mut committed: Option<BTreeMap<String, u64>> = None;
        let mut story = Vec::new();
        for _ in 0..3 {
            let request = presenting(&manager, jar.iter().collect::<Vec<_>>().as_slice());
            let session = request.session().await.unwrap();
            let held = committed.is_some();
            let mut ended = false;
            let mut shown = committed.clone().unwrap_or_default();
            let mut open = true;
            for _ in 0..random(7) {
                let key = ["a", "b"][usize::try_from(random(2)).unwrap()];
                let step = random(11);
                story.push(step);
                let changed = match step {
                    0..=2 => {
                        let value = random(4);
                        session.set(key, &value).map(|()| {
                            shown.insert(key.into(), value);
                        })
                    }
                    3 => session.delete(key).map(|_| {
                        shown.remove(key);
                    }),
                    4 => session.take::<u64>(key).map(|_| {
                        shown.remove(key);
                    }),
                    5 => session.flush().map(|()| shown.clear()),
                    6 => session.regenerate(),
                    7 => {
                        let saved = session.save().await;
                        if open && (committed.is_some() || !shown.is_empty()) {
                            committed = Some(shown.clone());
                        }
                        saved
                    }
                    8 => {
                        let read = session.reload().await;
                        shown = committed.clone().unwrap_or_default();
                        open = true;
                        read.unwrap();
                        continue;
                    }
                    9 => {
                        let released = session.release().await;
                        if open && (committed.is_some() || !shown.is_empty()) {
                            committed = Some(shown.clone());
                        }
                        open = false;
                        released.unwrap();
                        continue;
                    }
                    _ => {
                        session.destroy().await.unwrap();
                        ended |= held;
                        committed = None;
                        shown.clear();
                        continue;
                    }
                };
                assert_eq!(changed.is_ok(), open, "{story:?}");
                if !open {
                    shown = committed.clone().unwrap_or_default();
                }
            }
            story.push(100);
            let reply = finish(&request).await.unwrap();
            if open && (committed.is_some() || !shown.is_empty()) {
                committed = Some(shown.clone());
            }
            match cookie(&reply).as_deref() {
                Some("") => {
                    assert!(committed.is_none() && held && ended, "{story:?}");
                    jar = None;
                }
                Some(token) => {
                    assert_ne!(jar.as_ref().map(Token::expose), Some(token));
                    jar = Token::new(token);
                }
                None => assert!(!(held && ended), "{story:?}"),
            }
            let stored = match &jar {
                Some(jar) => manager.load(jar).await.unwrap(),
                None => None,
            };
            assert_eq!(
                stored.map(|session| session.entries::<u64>().unwrap().into_iter().collect()),
                committed,
                "{story:?}"
            );
            let live = u64::from(committed.is_some());
            assert_eq!(manager.active().await.unwrap(), Some(live), "{story:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_save_reload_release_and_destroy_one_handle_leave_it_consistent() {
    let clock = ManualClock::default();
    for round in 0..200_u64 {
        let manager =
            Manager::builder_shared(Layer::over(memory(&clock), &Arc::new(Yields))).build().unwrap();
        let token = begin(&manager).await;
        let request = Arc::new(presenting(&manager, &[&token]));
        let session = request.session().await.unwrap();
        let tasks: Vec<_> = (0..6_u64)
            .map(|number| {
                let session = session.clone();
                tokio::spawn(async move {
                    let _ = session.set("n", &number);
                    match (number + round) % 6 {
                        0 => session.release().await,
                        1 => session.destroy().await,
                        2 => session.reload().await,
                        3 => {
                            let _ = session.regenerate();
                            session.save().await
                        }
                        _ => session.save().await,
                    }
                })
            })
            .collect();
        for task in tasks {
            if let Err(error) = task.await.unwrap() {
                let kind = error.kind();
                assert!(matches!(kind, ErrorKind::Released | ErrorKind::Gone), "{error}");
            }
        }
        let reply = finish(&request).await;
        if let Ok(reply) = reply {
            let jar = match cookie(&reply).as_deref() {
                Some("") => None,
                Some(token) => Token::new(token),
                None => Some(token),
            };
            let live = match &jar {
                Some(jar) => manager.exists(jar).await.unwrap(),
                None => false,
            };
            assert_eq!(manager.active().await.unwrap(), Some(u64::from(live)), "nothing is left behind");
        }
    }
}

/// Two handles of one session, with randomly interleaved calls: the stored values equal those of a
/// plain list of all changes in the order of the commits.
#[tokio::test]
async fn interleaved_requests_apply_their_changes_in_the_order_of_their_commits() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Set(&'static str, u64),
        Delete(&'static str),
        Add(&'static str),
        Flush,
    }
    fn apply(step: Step, body: &mut BTreeMap<String, u64>) {
        match step {
            Step::Set(key, value) => {
                body.insert(key.into(), value);
            }
            Step::Delete(key) => {
                body.remove(key);
            }
            Step::Add(key) => *body.entry(key.into()).or_default() += 10,
            Step::Flush => body.clear(),
        }
    }
    let clock = ManualClock::default();
    for _ in 0..3_000 {
        let manager = builder(&clock).build().unwrap();
        let token = begin(&manager).await;
        let mut committed = BTreeMap::from([("n".to_owned(), 0_u64)]);
        let sessions =
            [manager.load(&token).await.unwrap().unwrap(), manager.load(&token).await.unwrap().unwrap()];
        let mut pending: [Vec<Step>; 2] = Default::default();
        let mut story = Vec::new();
        for _ in 0..14 {
            let who = usize::try_from(random(2)).unwrap();
            let session = &sessions[who];
            let key = ["n", "a", "b"][usize::try_from(random(3)).unwrap()];
            let step = match random(9) {
                0..=2 => Step::Set(key, random(3)),
                3 => Step::Delete(key),
                4..=5 => Step::Add(key),
                6 => Step::Flush,
                _ => {
                    session.save().await.unwrap();
                    for step in pending[who].drain(..) {
                        apply(step, &mut committed);
                    }
                    story.push(format!("{who} saves"));
                    continue;
                }
            };
            story.push(format!("{who} {step:?}"));
            match step {
                Step::Set(key, value) => session.set(key, &value).unwrap(),
                Step::Delete(key) => {
                    session.delete(key).unwrap();
                }
                Step::Add(key) => {
                    session.update(key, |n: Option<u64>| n.unwrap_or(0) + 10).unwrap();
                }
                Step::Flush => session.flush().unwrap(),
            }
            pending[who].push(step);
        }
        for (session, pending) in sessions.iter().zip(pending) {
            session.release().await.unwrap();
            for step in pending {
                apply(step, &mut committed);
            }
        }
        let stored = manager.load(&token).await.unwrap().unwrap();
        let stored: BTreeMap<_, _> = stored.entries::<u64>().unwrap().into_iter().collect();
        assert_eq!(stored, committed, "{story:#?}");
    }
}

/// Concurrent requests of one client: every session that is live afterwards has an id that some
/// response contained, and includes the acknowledged changes, unless something ended it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_of_one_client_leave_no_unreachable_session() {
    let clock = ManualClock::default();
    for round in 0..90_u64 {
        let manager = Manager::builder_shared(Layer::over(memory(&clock), &Arc::new(Yields)))
            .clock(clock.clone())
            .renew_id_every(MINUTE)
            .build()
            .unwrap();
        let token = begin(&manager).await;
        if round % 2 == 0 {
            clock.advance(MINUTE);
        }
        let tasks: Vec<_> = (0..6_u64)
            .map(|number| {
                let (manager, token) = (manager.clone(), token.clone());
                tokio::spawn(async move {
                    let request = presenting(&manager, &[&token]);
                    let session = request.session().await.unwrap();
                    let mut ends = false;
                    let mut adds = false;
                    match (number * 7 + round) % 9 {
                        0 => session.sign_in("ada").map_err(drop),
                        1 => session.regenerate().map_err(drop),
                        2 if round % 3 == 0 => {
                            ends = true;
                            session.destroy().await.map_err(drop)
                        }
                        3 => Ok(()),
                        4 => {
                            let _ = session.regenerate();
                            session.save().await.map_err(drop)
                        }
                        _ => {
                            adds = true;
                            session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).map(drop).map_err(drop)
                        }
                    }
                    .ok();
                    let finished = finish(&request).await;
                    let acknowledged = adds && finished.is_ok();
                    let reply = finished
                        .or_else(|_| request.owed(session_core::transport::Connection::default()))
                        .unwrap();
                    (cookie(&reply).and_then(|told| Token::new(&told)), acknowledged, ends)
                })
            })
            .collect();
        let (mut told, mut count, mut ended) = (vec![token], 0, false);
        for task in tasks {
            let (cookie, acknowledged, ends) = task.await.unwrap();
            told.extend(cookie);
            count += u64::from(acknowledged);
            ended |= ends;
        }
        let (mut live, mut sum) = (0, 0);
        for token in &told {
            if manager.exists(token).await.unwrap() {
                live += 1;
                let session = manager.load(token).await.unwrap().unwrap();
                sum += session.get::<u64>("n").unwrap().unwrap_or(0);
            }
        }
        assert_eq!(manager.active().await.unwrap(), Some(live), "round {round}");
        assert!(ended || (live == 1 && sum == count), "round {round}: {live} sessions, {sum} of {count}");
    }
}
