//! Renewals, sign-ins, ambiguous clients, conflicting values, and configurations, from the user's
//! point of view.
#![allow(clippy::unwrap_used, clippy::panic, clippy::items_after_statements, missing_docs)]

mod requests;

use std::sync::Arc;
use std::time::Duration;

use requests::{DAY, MINUTE, SECOND, begin, builder, cookie, finish, memory, presenting, renew};
use session_core::clock::ManualClock;
use session_core::id::Token;
use session_core::{ErrorKind, Lifetime, LoadState, Manager, ManagerBuilder};
use session_memory::MemoryProvider;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_while_ids_are_renewed() {
    let clock = ManualClock::default();
    let manager = builder(&clock).renew_id_every(MINUTE).build().unwrap();
    let mut token = begin(&manager).await;
    for round in 1..=20_u64 {
        clock.advance(MINUTE);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (manager, token) = (manager.clone(), token.clone());
                tokio::spawn(async move {
                    let request = presenting(&manager, &[&token]);
                    let session = request.session().await.unwrap();
                    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).unwrap();
                    tokio::task::yield_now().await;
                    cookie(&finish(&request).await.unwrap())
                })
            })
            .collect();
        let mut told = Vec::new();
        for task in tasks {
            told.extend(task.await.unwrap());
        }
        assert_eq!(told.len(), 1, "one request renews the id");
        token = Token::new(&told[0]).unwrap();
        let session = manager.load(&token).await.unwrap().unwrap();
        assert_eq!(session.get::<u64>("n").unwrap(), Some(round * 8));
    }
}

#[tokio::test]
async fn a_sign_in_concurrent_with_a_renewal_wins_and_invalidates_older_ids() {
    let clock = ManualClock::default();
    let manager = builder(&clock).renew_id_every(MINUTE).build().unwrap();
    let old = begin(&manager).await;
    let request = presenting(&manager, &[&old]);
    let session = request.session().await.unwrap();
    clock.advance(MINUTE);
    let renewed = renew(&manager, &old).await;
    session.sign_in("ada").unwrap();
    let new = cookie(&finish(&request).await.unwrap()).unwrap();
    for dead in [&old, &renewed] {
        assert!(manager.load(dead).await.unwrap().is_none());
    }
    assert!(manager.load(&Token::new(&new).unwrap()).await.unwrap().is_some());
}

#[tokio::test]
async fn an_ambiguous_client_is_unambiguous_after_any_login() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let all = [begin(&manager).await, begin(&manager).await, begin(&manager).await, begin(&manager).await];
    let tokens: Vec<_> = all.iter().collect();
    let request = presenting(&manager, &tokens);
    let session = request.session().await.unwrap();
    session.sign_in("ada").unwrap();
    let new = Token::new(&cookie(&finish(&request).await.unwrap()).unwrap()).unwrap();
    let mut tokens = tokens;
    tokens[2] = &new;
    let request = presenting(&manager, &tokens);
    let session = request.session().await.unwrap();
    assert_eq!((session.load_state(), session.owner().is_some()), (LoadState::Live, true));
    assert_eq!(cookie(&finish(&request).await.unwrap()), None);
}

#[tokio::test]
async fn a_logout_by_the_first_of_several_ids_of_one_request_ends_the_session() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let first = begin(&manager).await;
    let session = manager.load(&first).await.unwrap().unwrap();
    for _ in 0..7 {
        session.regenerate().unwrap();
        session.save().await.unwrap();
    }
    assert!(manager.destroy(&first).await.unwrap());
    assert!(manager.load(&session.token().unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn functions_that_run_again_see_the_newer_value_and_may_refuse_it() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let session = manager.create();
    session.set("credit", &8_u32).unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    let spend = |credit: Option<u32>| {
        credit
            .unwrap_or(0)
            .checked_sub(5)
            .ok_or_else(|| session_core::Error::new(ErrorKind::Codec, "too little"))
    };
    let [one, other] =
        [manager.load(&token).await.unwrap().unwrap(), manager.load(&token).await.unwrap().unwrap()];
    one.set("bought", "one").unwrap();
    assert_eq!(one.try_update("credit", spend).unwrap(), 3);
    assert_eq!(other.try_update("credit", spend).unwrap(), 3);
    other.release().await.unwrap();
    let error = one.release().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    one.reload().await.unwrap();
    assert_eq!((one.get::<u32>("credit").unwrap(), one.contains("bought")), (Some(3), false));
    assert_eq!(one.try_update("credit", spend).unwrap_err().kind(), ErrorKind::Codec);
    assert!(!one.is_modified(), "what is refused changes nothing");
}

#[test]
fn contradictory_settings_are_refused_with_advice() {
    let clock = ManualClock::default();
    let zero = Duration::ZERO;
    let refused: Vec<(&str, ManagerBuilder)> = vec![
        ("idle", builder(&clock).idle_timeout(zero)),
        ("absolute", builder(&clock).absolute_timeout(zero)),
        ("idle above absolute", builder(&clock).idle_timeout(DAY)),
        ("longest idle", builder(&clock).idle_timeout(Duration::MAX)),
        ("operation", builder(&clock).operation_timeout(zero)),
        ("maintenance", builder(&clock).maintenance_timeout(zero)),
        ("gc", builder(&clock).gc_interval(zero)),
        ("renewal", builder(&clock).renew_id_every(zero)),
        ("grace", builder(&clock).renewal_grace(MINUTE + Duration::from_millis(1))),
        ("class", builder(&clock).idle_class("remember", DAY * 30)),
        ("class twice", builder(&clock).idle_class("a", MINUTE).idle_class("a", MINUTE)),
        ("touch", builder(&clock).touch_after(MINUTE * 30)),
        ("visitors", builder(&clock).anonymous_idle_timeout(zero)),
    ];
    for (what, builder) in refused {
        let error = builder.build().expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Config, "{what}");
    }
}

#[tokio::test]
async fn two_managers_whose_clocks_differ_share_sessions() {
    let here = ManualClock::default();
    here.advance(DAY * 1_000);
    let ahead = ManualClock::default();
    ahead.advance(DAY * 1_000 + SECOND * 30);
    let provider = memory(&here);
    let built = |clock: &ManualClock| {
        Manager::builder_shared(Arc::clone(&provider))
            .clock(clock.clone())
            .renew_id_every(MINUTE)
            .build()
            .unwrap()
    };
    let (one, other) = (built(&here), built(&ahead));
    let mut token = begin(&other).await;
    for round in 1..=100_u64 {
        for clock in [&here, &ahead] {
            clock.advance(SECOND * 7);
        }
        let manager = if round % 3 == 0 { &one } else { &other };
        let request = presenting(manager, &[&token]);
        let session = request.session().await.unwrap();
        session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).unwrap();
        if let Some(new) = cookie(&finish(&request).await.unwrap()) {
            token = Token::new(&new).unwrap();
        }
        assert_eq!(session.get::<u64>("n").unwrap(), Some(round));
    }
}

#[test]
fn no_number_in_a_configuration_panics() {
    use session_core::ManagerConfig;
    for number in
        ["0", "1", "-1", "2147483648", "9223372036854775807", "18446744073709551615", "1e308", "1.5", "null"]
    {
        for key in ["gclifetime", "maxLifetime", "cookieLifeTime", "sessionIDLength"] {
            let json = format!(r#"{{"cookieName":"id","{key}":{number}}}"#);
            let Ok(config) = ManagerConfig::from_json(&json) else { continue };
            if let Ok(builder) = Manager::builder(MemoryProvider::new()).configure(&config) {
                let _ = builder.build();
            }
        }
    }
}

#[tokio::test]
async fn an_error_of_a_type_does_not_print_the_value() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let session = manager.create();
    session.set("password", "hunter2hunter2").unwrap();
    session.set("pin", &31_337_031_337_u64).unwrap();
    session.set("list", &["hunter2hunter2"]).unwrap();
    let errors = [
        session.get::<u64>("password").unwrap_err(),
        session.take::<bool>("password").unwrap_err(),
        session.get::<bool>("pin").unwrap_err(),
        session.get::<u8>("pin").unwrap_err(),
        session.get::<Vec<u8>>("list").unwrap_err(),
        session.entries::<std::collections::HashMap<String, bool>>().unwrap_err(),
    ];
    for error in errors {
        let mut printed = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            printed = format!("{printed} {inner} {inner:?}");
            source = inner.source();
        }
        assert!(!printed.contains("hunter2") && !printed.contains("31337031337"), "{printed}");
    }
}

/// After a deployment with a lower limit, a session above the limit can be made smaller.
#[tokio::test]
async fn a_session_above_a_new_limit_can_be_made_smaller() {
    let clock = ManualClock::default();
    let provider = memory(&clock);
    let built = |keys| {
        Manager::builder_shared(Arc::clone(&provider)).clock(clock.clone()).max_keys(keys).build().unwrap()
    };
    let session = built(10).create();
    for key in ["a", "b", "c", "d"] {
        session.set(key, "long").unwrap();
    }
    session.release().await.unwrap();
    let token = session.token().unwrap();
    let manager = built(2);
    let [one, other] =
        [manager.load(&token).await.unwrap().unwrap(), manager.load(&token).await.unwrap().unwrap()];
    one.delete("a").unwrap();
    one.release().await.expect("less than before");
    other.delete("b").unwrap();
    other.release().await.expect("less than before");
    let session = manager.load(&token).await.unwrap().unwrap();
    session.set("c", "s").expect("less than before");
}

#[tokio::test]
async fn a_change_of_class_has_no_grace() {
    let clock = ManualClock::default();
    let years = Lifetime::idle(DAY * 3_000).absolute(DAY * 3_000).persistent(true);
    let manager = builder(&clock).class("remember", years).build().unwrap();
    let session = manager.create();
    session.set_class("remember").unwrap();
    session.set("n", &1).unwrap();
    session.release().await.unwrap();
    let first = session.token().unwrap();
    clock.advance(DAY * 210);
    let second = renew(&manager, &first).await;
    clock.advance(SECOND);
    let session = manager.load(&second).await.unwrap().unwrap();
    session.set_class("default").unwrap();
    session.sign_in("ada").unwrap();
    session.release().await.unwrap();
    assert!(manager.load(&second).await.unwrap().is_none(), "a sign-in has no grace");
}
