//! A user's sessions: listing them, and ending some or all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use session_core::accounts::{Device, Excess, SessionInfo};
use session_core::engine::OwnerIndex;
use session_core::id::{StorageId, Token};
use session_core::record::State;
use session_core::{ErrorKind, Manager, Session};

use super::owners::{lists, somebody};
use crate::layers::{Fault, Faulty};
use crate::{Context, LONG, begin, fails, open, side_by_side};

/// Signs a user in, in a new session, and returns the client's token.
async fn sign_in(manager: &Manager, user: &str, label: &str) -> Token {
    let session = manager.create();
    session.sign_in(user).expect("a sign-in");
    session.set_device(Device::new().label(label)).expect("a device");
    session.set("label", label).expect("a value");
    session.release().await.expect("a sign-in is stored");
    session.token().expect("a token")
}

async fn devices(manager: &Manager, user: &str) -> Vec<SessionInfo> {
    manager.sessions_of(user).latest(1_000).await.expect("a list")
}

async fn labels(manager: &Manager, user: &str) -> BTreeSet<String> {
    let label = |info: SessionInfo| Some(info.device?.get_label()?.to_owned());
    devices(manager, user).await.into_iter().filter_map(label).collect()
}

async fn is_live(manager: &Manager, token: &Token) -> bool {
    manager.load(token).await.expect("a load").is_some()
}

/// Without an index the methods return an error that says so.
pub async fn without_an_index_the_user_is_told(context: Context) {
    let manager = context.manager();
    let (user, _) = somebody(&context);
    if context.capabilities().owner_index == OwnerIndex::None {
        fails(manager.sessions_of(&user).next_page().await, ErrorKind::Unsupported);
        fails(manager.end_all(&user).await, ErrorKind::Unsupported);
        let token = sign_in(&manager, &user, "phone").await;
        let session = open(&manager, &token).await;
        fails(manager.sign_out_everywhere(&session).await, ErrorKind::Unsupported);
        fails(manager.credentials_changed(&session).await, ErrorKind::Unsupported);
        session.release().await.expect("there is nothing to store");
        assert!(is_live(&manager, &token).await, "nothing is partially done");
    }
    if !lists(&context) {
        let limited = context.builder().max_sessions_per_owner(5, Excess::EndOldest).build();
        fails(limited.map(drop), ErrorKind::Config);
    }
}

/// A list shows the device as described by the application, and nothing of the token.
pub async fn a_user_sees_where_they_are_signed_in(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = context.manager();
    let ((ada, _), (bob, _)) = (somebody(&context), somebody(&context));
    assert!(devices(&manager, &ada).await.is_empty(), "an unknown user has no sessions");
    let token = sign_in(&manager, &ada, "phone").await;
    sign_in(&manager, &ada, "laptop").await;
    sign_in(&manager, &bob, "tablet").await;
    assert_eq!(labels(&manager, &ada).await, BTreeSet::from(["laptop".to_owned(), "phone".to_owned()]));

    let session = open(&manager, &token).await;
    let listed = devices(&manager, &ada).await;
    let current: Vec<_> = listed.iter().filter(|info| info.is_current(&session)).collect();
    let [current] = current[..] else { panic!("one of {listed:?} is the session of this request") };
    assert_eq!(current.device.as_ref().and_then(Device::get_label), Some("phone"));
    assert_eq!(Some(current.created), session.created());
    let last_seen = current.last_seen.expect("when it was last used");
    assert!(last_seen.since(context.now()) <= Duration::from_secs(5), "not in the future");
    assert!(context.now().since(last_seen) <= Duration::from_secs(60), "a moment ago, not {last_seen:?}");
    assert!(current.authenticated_at.is_some() && current.authenticated_at == session.authenticated_at());
    assert!(!format!("{listed:?}").contains(token.expose()));
    assert!(!token.expose().contains(&current.handle.to_string()), "the handle is not part of the token");
}

/// The handle stays the same when the id changes; another owner gets another handle.
pub async fn a_handle_outlives_the_id(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = context.manager();
    let ((ada, _), (bob, _)) = (somebody(&context), somebody(&context));
    let session = open(&manager, &sign_in(&manager, &ada, "phone").await).await;
    let handle = session.handle().expect("a handle");
    session.regenerate().expect("a new id");
    session.save().await.expect("a save");
    assert_eq!(session.handle(), Some(handle));
    let listed = devices(&manager, &ada).await;
    assert_eq!(listed.iter().map(|info| info.handle).collect::<Vec<_>>(), [handle], "listed once");
    session.sign_in(&bob).expect("a sign-in");
    let next = session.handle().expect("a handle");
    assert_ne!(next, handle);
    session.save().await.expect("a save");
    assert_eq!(session.handle(), Some(next));
    assert!(devices(&manager, &ada).await.is_empty());
    assert_eq!(devices(&manager, &bob).await[0].handle, next);
    assert_eq!(devices(&manager, &bob).await[0].device, None, "the device was described by another user");
    session.set_owner(None).expect("no owner");
    session.save().await.expect("a save");
    assert!(devices(&manager, &bob).await.is_empty() && session.handle().is_none());
}

/// "Sign out this device": by its handle, and only for the session's own user.
pub async fn one_device_is_signed_out(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = context.manager();
    let ((ada, _), (bob, _)) = (somebody(&context), somebody(&context));
    let phone = sign_in(&manager, &ada, "phone").await;
    let laptop = sign_in(&manager, &ada, "laptop").await;
    let in_flight = open(&manager, &phone).await;
    let handle = in_flight.handle().expect("a handle");
    assert!(!manager.end(&bob, &handle).await.expect("an end"), "another user's handle finds nothing");
    assert!(is_live(&manager, &phone).await);
    let parsed = handle.to_string().parse().expect("a handle is parsed from its text");
    assert!(manager.end(&ada, &parsed).await.expect("an end"));
    assert!(!manager.end(&ada, &handle).await.expect("an end"), "it has ended");
    assert!(!is_live(&manager, &phone).await && is_live(&manager, &laptop).await);
    in_flight.set("late", &1).expect("a set");
    fails(in_flight.release().await, ErrorKind::Gone);
    assert_eq!(labels(&manager, &ada).await, BTreeSet::from(["laptop".to_owned()]));
}

/// A change of password keeps this session, under a new id, and ends the others.
pub async fn a_change_of_password_ends_the_others(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = context.manager();
    let (ada, _) = somebody(&context);
    let here = sign_in(&manager, &ada, "here").await;
    let others = [sign_in(&manager, &ada, "phone").await, sign_in(&manager, &ada, "laptop").await];
    let session = open(&manager, &here).await;
    session.set("changed", &true).expect("a set");
    assert_eq!(manager.credentials_changed(&session).await.expect("a change"), 2);
    assert!(session.is_fresh(Duration::from_secs(60)));
    for token in others.iter().chain([&here]) {
        assert!(!is_live(&manager, token).await);
    }
    let token = session.token().expect("a new token");
    assert_eq!(open(&manager, &token).await.get("changed").expect("a value"), Some(true));
    assert_eq!(labels(&manager, &ada).await, BTreeSet::from(["here".to_owned()]));
    let visitor = open(&manager, &begin(&manager, "key", 1).await).await;
    fails(manager.credentials_changed(&visitor).await, ErrorKind::Gone);
}

/// "Sign out everywhere", with more than one page of sessions.
pub async fn a_user_is_signed_out_everywhere(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = context.manager();
    let ((ada, _), (bob, _)) = (somebody(&context), somebody(&context));
    let mut tokens = Vec::new();
    for number in 0..120 {
        tokens.push(sign_in(&manager, &ada, &number.to_string()).await);
    }
    let other = sign_in(&manager, &bob, "other").await;
    assert_eq!(devices(&manager, &ada).await.len(), 120);
    let session = open(&manager, &tokens[0]).await;
    assert_eq!(manager.end_others(&session).await.expect("an end"), 119);
    assert_eq!(manager.end_others(&session).await.expect("an end"), 0, "there are no others");
    assert_eq!(labels(&manager, &ada).await, BTreeSet::from(["0".to_owned()]));
    for number in 0..110 {
        sign_in(&manager, &ada, &number.to_string()).await;
    }
    assert_eq!(manager.sign_out_everywhere(&session).await.expect("an end"), 110);
    for token in &tokens {
        assert!(!is_live(&manager, token).await);
    }
    assert!(is_live(&manager, &other).await);
    assert_eq!(manager.end_all(&ada).await.expect("an end"), 0);
}

/// A sign-in concurrent with "end all" is either ended or listed afterwards.
pub async fn a_sign_in_beside_end_all_is_ended_or_listed(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = context.manager();
    let another = context.manager_over(context.another().await);
    for _ in 0..5 {
        let (ada, _) = somebody(&context);
        for number in 0..3 {
            sign_in(&manager, &ada, &number.to_string()).await;
        }
        let visitor = begin(&manager, "key", 1).await;
        let late = async {
            let session = open(&manager, &visitor).await;
            session.sign_in(&ada).expect("a sign-in");
            session.set_device(Device::new().label("late")).expect("a device");
            session.release().await.expect("a sign-in is stored");
            session.token().expect("a token")
        };
        let (token, new, ended) = tokio::join!(late, sign_in(&manager, &ada, "new"), another.end_all(&ada));
        assert!(ended.expect("an end") >= 3);
        let listed = labels(&another, &ada).await;
        for (token, label) in [(&token, "late"), (&new, "new")] {
            assert_eq!(is_live(&manager, token).await, listed.contains(label), "{label}");
        }
        assert!(listed.len() <= 2, "{listed:?}");
    }
}

/// A new id concurrent with "end all" leaves no session: an existing session also ends under its
/// new id.
pub async fn a_regeneration_beside_end_all_leaves_nothing(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = context.manager();
    let another = context.manager_over(context.another().await);
    for _ in 0..8 {
        let (ada, _) = somebody(&context);
        let token = sign_in(&manager, &ada, "phone").await;
        // Loaded first, since "end all" could finish before.
        let session = open(&manager, &token).await;
        let moving = async {
            session.regenerate().expect("a new id");
            let released = session.release().await;
            (released, session.token().expect("a token"))
        };
        let ((released, new), ended) = tokio::join!(moving, another.end_all(&ada));
        ended.expect("an end");
        if let Err(error) = released {
            assert_eq!(error.kind(), ErrorKind::Gone, "{error}");
        }
        assert!(!is_live(&manager, &token).await && !is_live(&manager, &new).await);
        assert!(devices(&manager, &ada).await.is_empty());
    }
}

/// Whichever call of a sign-in fails, a live session is listed.
pub async fn a_lost_answer_hides_no_session(context: Context) {
    if !lists(&context) {
        return;
    }
    let (provider, faulty) = Faulty::on(context.provider());
    let broken = context.impatient(provider);
    let manager = context.manager();
    for fault in [Fault::Refused, Fault::Unknown, Fault::Lost] {
        for nth in 0..4 {
            for times in [1, 2] {
                let (ada, _) = somebody(&context);
                let visitor = begin(&manager, "key", 1).await;
                let session = open(&broken, &visitor).await;
                session.sign_in(&ada).expect("a sign-in");
                faulty.strike(fault, nth, times);
                let released = session.release().await;
                faulty.heal();
                // After a lost response only the tombstone has the new id.
                let old = context.read(&StorageId::of(&visitor)).await.map(|record| record.header.state);
                let lives = match &old {
                    Some(State::Moved(new)) => context.read(new).await.is_some(),
                    _ => false,
                };
                let listed = devices(&manager, &ada).await.len();
                assert_eq!(listed, usize::from(lives), "{fault:?} {nth} {times}: {released:?}");
                if released.is_ok() {
                    assert!(lives, "{fault:?} {nth} {times}: an acknowledged sign-in is stored");
                }
                manager.end_all(&ada).await.expect("an end");
            }
        }
    }
}

/// When the engine fails half-way, the error says how many sessions were ended, and a second call
/// ends the rest.
pub async fn an_end_that_failed_half_way_can_be_continued(context: Context) {
    if !lists(&context) {
        return;
    }
    let (provider, faulty) = Faulty::on(context.provider());
    let broken = context.manager_over(provider);
    let manager = context.manager();
    let (ada, _) = somebody(&context);
    let here = sign_in(&manager, &ada, "here").await;
    for number in 0..5 {
        sign_in(&manager, &ada, &number.to_string()).await;
    }
    let session = open(&broken, &here).await;
    // A list, and then one call for each session.
    faulty.strike(Fault::Refused, 3, usize::MAX);
    let error = broken.end_others(&session).await.expect_err("the engine fails");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("2 sessions were ended before"), "{error}");
    faulty.heal();
    assert_eq!(broken.end_others(&session).await.expect("an end"), 3);
    faulty.down(Fault::Refused);
    fails(broken.end_all(&ada).await, ErrorKind::Unavailable);
    faulty.heal();
    assert_eq!(broken.end_all(&ada).await.expect("an end"), 1);
}

fn limited(context: &Context, excess: Excess, provider: Arc<dyn session_core::Provider>) -> Manager {
    let builder = context.builder_over(provider).max_sessions_per_owner(3, excess);
    builder.build().expect("a valid configuration")
}

/// The oldest sign-in ends when the limit is exceeded, and after many concurrent ones, in two
/// processes, no more than the limit are left. They may be fewer: each assumes to be the newest,
/// and ends sessions that another one keeps.
pub async fn a_limit_ends_the_oldest(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = limited(&context, Excess::EndOldest, context.provider());
    let another = limited(&context, Excess::EndOldest, context.another().await);
    let (ada, _) = somebody(&context);
    for label in ["1", "2", "3", "4", "5"] {
        sign_in(&manager, &ada, label).await;
        context.pass(Duration::from_millis(20)).await;
    }
    let expected: BTreeSet<_> = ["3", "4", "5"].map(str::to_owned).into();
    assert_eq!(labels(&manager, &ada).await, expected);
    side_by_side((0..16).map(|number| {
        let manager = if number % 2 == 0 { manager.clone() } else { another.clone() };
        let ada = ada.clone();
        async move {
            let session = manager.create();
            session.sign_in(&ada).expect("a sign-in");
            session.set_device(Device::new().label(format!("parallel {number}"))).expect("a device");
            if let Err(error) = session.release().await {
                assert_eq!(error.kind(), ErrorKind::TooManySessions, "others signed in later: {error}");
            }
        }
    }))
    .await;
    let left = labels(&manager, &ada).await;
    assert!(left.len() == 3 && left.iter().all(|label| label.starts_with("parallel")), "{left:?}");
}

/// A sign-in beyond the limit is refused, and the visitor's session is unchanged.
pub async fn a_limit_refuses_the_next(context: Context) {
    if !lists(&context) {
        return;
    }
    let manager = limited(&context, Excess::Refuse, context.provider());
    let another = limited(&context, Excess::Refuse, context.another().await);
    let (ada, _) = somebody(&context);
    side_by_side((0..12).map(|number| {
        let manager = if number % 2 == 0 { manager.clone() } else { another.clone() };
        let ada = ada.clone();
        async move {
            let session = manager.create();
            session.sign_in(&ada).expect("a sign-in");
            if let Err(error) = session.release().await {
                assert_eq!(error.kind(), ErrorKind::TooManySessions, "{error}");
            }
        }
    }))
    .await;
    assert!(devices(&manager, &ada).await.len() <= 3);
    while devices(&manager, &ada).await.len() < 3 {
        sign_in(&manager, &ada, "one after the other").await;
    }
    let visitor = begin(&manager, "cart", 7).await;
    let session = open(&manager, &visitor).await;
    session.sign_in(&ada).expect("a sign-in");
    fails(session.release().await, ErrorKind::TooManySessions);
    let left = open(&manager, &visitor).await;
    assert_eq!((left.get::<u64>("cart").expect("a number"), left.owner()), (Some(7), None));
    let handle = devices(&manager, &ada).await[0].handle;
    assert!(manager.end(&ada, &handle).await.expect("an end"));
    sign_in(&manager, &ada, "in its place").await;
    assert_eq!(devices(&manager, &ada).await.len(), 3);
}

/// A sign-in is fresh for the time that a page asks for, and so is a re-authentication.
pub async fn a_proof_of_identity_is_fresh_for_a_while(context: Context) {
    let manager = context.manager();
    let (ada, _) = somebody(&context);
    let window = context.short() * 2;
    let fresh = |session: &Session| session.is_fresh(window);
    let token = sign_in(&manager, &ada, "phone").await;
    let session = open(&manager, &token).await;
    assert!(fresh(&session));
    context.pass(window + Duration::from_millis(100)).await;
    let session = open(&manager, &token).await;
    assert!(!fresh(&session) && session.is_fresh(LONG));
    session.elevate().expect("a proof");
    assert!(fresh(&session), "this request's own proof counts");
    session.release().await.expect("a release");
    let session = open(&manager, &session.token().expect("a new token")).await;
    assert!(fresh(&session));
    let visitor = open(&manager, &begin(&manager, "key", 1).await).await;
    assert!(!visitor.is_fresh(LONG) && visitor.authenticated_at().is_none());
    visitor.elevate().expect("a proof");
    assert!(!visitor.is_fresh(LONG), "nobody is signed in");
}
