//! Key rotation in three steps, each rolled out while processes of the previous step still serve
//! requests.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::sync::Arc;
use std::time::Duration;

use session_cookie::CookieBuilder;
use session_core::Manager;
use session_core::clock::ManualClock;
use session_core::id::Token;

const OLD: &str = "the old key, which is long enough";
const NEW: &str = "the new key, which is long enough";
const ABSOLUTE: Duration = Duration::from_secs(12 * 3_600);

/// A process with these keys.
fn process(clock: &ManualClock, keys: &str) -> Manager {
    let provider = CookieBuilder::from_json(&format!("{{{keys}}}")).unwrap().clock(Arc::new(clock.clone()));
    let manager = Manager::builder(provider.build().unwrap()).clock(clock.clone());
    manager.absolute_timeout(ABSOLUTE).idle_timeout(ABSOLUTE).build().unwrap()
}

fn before(clock: &ManualClock) -> Manager {
    process(clock, &format!(r#""securityKey":"{OLD}""#))
}

fn open(clock: &ManualClock) -> Manager {
    process(clock, &format!(r#""securityKey":"{OLD}","nextKeys":["{NEW}"]"#))
}

fn seal(clock: &ManualClock) -> Manager {
    process(clock, &format!(r#""securityKey":"{NEW}","previousKeys":["{OLD}"]"#))
}

fn dropped(clock: &ManualClock) -> Manager {
    process(clock, &format!(r#""securityKey":"{NEW}""#))
}

async fn begin(manager: &Manager) -> Token {
    let session = manager.create();
    session.set("requests", &0_u64).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

/// A client that alternates between old and new processes of a step is never signed out.
async fn stays_signed_in(mut token: Token, processes: [&Manager; 2]) {
    for number in 0..6 {
        let session = processes[number % 2].load(&token).await.unwrap().expect("still signed in");
        assert_eq!(
            session.update("requests", |old: Option<usize>| old.unwrap_or(0) + 1).unwrap(),
            number + 1
        );
        session.release().await.unwrap();
        token = session.token().unwrap();
    }
}

async fn no_client_is_signed_out_between(one: Manager, other: Manager) {
    for (first, second) in [(&one, &other), (&other, &one)] {
        stays_signed_in(begin(first).await, [first, second]).await;
        stays_signed_in(begin(first).await, [second, first]).await;
    }
}

#[tokio::test]
async fn step_one_opens_with_the_new_key_and_signs_no_one_out() {
    let clock = ManualClock::default();
    no_client_is_signed_out_between(before(&clock), open(&clock)).await;
}

#[tokio::test]
async fn step_two_seals_with_the_new_key_and_signs_no_one_out() {
    let clock = ManualClock::default();
    no_client_is_signed_out_between(open(&clock), seal(&clock)).await;
}

#[tokio::test]
async fn step_three_drops_the_old_key_after_an_absolute_timeout_and_signs_no_one_out() {
    let clock = ManualClock::default();
    let sealed_with_the_old_key = begin(&open(&clock)).await;
    assert!(seal(&clock).load(&sealed_with_the_old_key).await.unwrap().is_some());
    clock.advance(ABSOLUTE);
    assert!(seal(&clock).load(&sealed_with_the_old_key).await.unwrap().is_none(), "none is left");
    no_client_is_signed_out_between(seal(&clock), dropped(&clock)).await;
}

/// The reason for the first step.
#[tokio::test]
async fn a_new_key_that_seals_immediately_signs_out_clients_that_reach_a_process_without_it() {
    let clock = ManualClock::default();
    let token = begin(&seal(&clock)).await;
    assert!(before(&clock).load(&token).await.unwrap().is_none());
}
