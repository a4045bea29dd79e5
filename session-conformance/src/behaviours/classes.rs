//! Idle times by class: "remember me", visitors, and what a token says of them.

use session_core::id::Token;
use session_core::transport::{Connection, Incoming};
use session_core::{ErrorKind, Lifetime, LoadState};

use super::nothing::presenting;
use crate::layers::{Method, Spy};
use crate::{Context, LONG, begin, fails, number, open};

/// A session of a longer class outlives the others, and its token says so; the class is known before the read.
pub async fn a_class_has_an_idle_time_of_its_own(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let short = context.short();
    let manager = context.builder_over(provider).idle_timeout(short).idle_class("remember", LONG);
    let manager = manager.build().expect("a sound configuration");
    let ordinary = begin(&manager, "key", 1).await;
    let session = manager.create();
    session.set("key", &2).expect("a set");
    session.set_class("remember").expect("the class is configured");
    session.release().await.expect("a create");
    let remembered = session.token().expect("a token");
    assert!(remembered.expose().ends_with(".remember"));
    spy.take();
    assert_eq!(number(&manager, &remembered, "key").await, Some(2));
    let calls = spy.take();
    assert_eq!((calls.len(), calls[0].method, calls[0].ttl), (1, Method::Read, Some(LONG)), "one round trip");
    context.outlive(short).await;
    assert_eq!(number(&manager, &ordinary, "key").await, None);
    assert_eq!(number(&manager, &remembered, "key").await, Some(2));
}

/// The class is part of what is hashed: whoever changes it finds nothing.
pub async fn a_class_cannot_be_forged(context: Context) {
    let manager = context.builder().idle_class("remember", LONG * 4).build().expect("a sound configuration");
    let token = begin(&manager, "key", 1).await;
    let forged = Token::new(&format!("{}.remember", token.expose())).expect("a token");
    assert!(manager.load(&forged).await.expect("a load").is_none());
    assert!(!manager.destroy(&forged).await.expect("a logout"));
    let unknown = Token::new(&format!("{}.forever", token.expose())).expect("a token");
    assert!(manager.load(&unknown).await.expect("a load").is_none());
    assert_eq!(number(&manager, &token, "key").await, Some(1));
}

/// Changing the class gives the session a new id, and the old one is dead.
pub async fn changing_the_class_regenerates(context: Context) {
    let manager = context.builder().idle_class("remember", LONG * 4).build().expect("a sound configuration");
    let first = begin(&manager, "key", 1).await;
    let session = open(&manager, &first).await;
    fails(session.set_class("forever"), ErrorKind::Config);
    session.set_class("remember").expect("the class is configured");
    session.release().await.expect("a release");
    let second = session.token().expect("a token");
    assert!(second.expose().ends_with(".remember"));
    assert!(manager.load(&first).await.expect("a load").is_none());

    let session = open(&manager, &second).await;
    session.set_class("default").expect("the ordinary class");
    session.release().await.expect("a release");
    let third = session.token().expect("a token");
    assert!(!third.expose().contains('.'));
    assert!(manager.load(&second).await.expect("a load").is_none());
    assert_eq!(number(&manager, &third, "key").await, Some(1));
}

/// Visitors without an owner end sooner; whoever signs in gets the ordinary time, and a new id with it.
pub async fn visitors_without_an_owner_end_sooner(context: Context) {
    let short = context.short();
    let manager = context.builder().anonymous_idle_timeout(short).build().expect("a sound configuration");
    let visitor = begin(&manager, "key", 1).await;
    let joining = begin(&manager, "key", 2).await;
    let session = open(&manager, &joining).await;
    session.set_owner(Some("ada")).expect("an owner");
    session.release().await.expect("a release");
    let joined = session.token().expect("a token");
    assert_ne!(joined, joining);
    context.outlive(short).await;
    assert_eq!(number(&manager, &visitor, "key").await, None);
    assert_eq!(number(&manager, &joined, "key").await, Some(2));
    assert!(manager.load(&joining).await.expect("a load").is_none());
}

/// The owner reaches the engine beside the body, as a hash, and stays through every write.
pub async fn the_owner_is_kept_beside_the_body(context: Context) {
    let manager = context.manager();
    let session = manager.create();
    session.set_owner(Some("ada")).expect("an owner");
    session.release().await.expect("a session with an owner is stored");
    let token = session.token().expect("a token");
    let owner = async |token: &Token| {
        let record = context.read(&session_core::id::StorageId::of(token)).await;
        record.expect("it is there").header.owner
    };
    assert_eq!(owner(&token).await, Some(session_core::accounts::Owner::of("ada")));
    let session = open(&manager, &token).await;
    session.set("key", &1).expect("a set");
    session.regenerate().expect("a new id");
    session.release().await.expect("a release");
    let token = session.token().expect("a token");
    assert_eq!(owner(&token).await, Some(session_core::accounts::Owner::of("ada")));
    let session = open(&manager, &token).await;
    session.set_owner(None).expect("no owner");
    session.release().await.expect("a release");
    assert_eq!(owner(&token).await, None);
}

/// A class has an absolute time of its own, and changing the class begins it.
pub async fn a_class_has_an_absolute_time_of_its_own(context: Context) {
    let month = LONG * 24 * 30;
    let remember = Lifetime::idle(month).absolute(month).persistent(true);
    let manager = context.builder().class("remember", remember).build().expect("a sound configuration");
    for remembered in [false, true] {
        let request = manager.request(Incoming::default());
        let session = request.session().await.expect("a new session");
        session.set("key", &1).expect("a set");
        if remembered {
            session.set_class("remember").expect("the class is configured");
        }
        let reply = request.finish(Connection::default()).await.expect("a create");
        let absolute = session.absolute_deadline().expect("a deadline").since(context.now());
        assert_eq!(absolute > LONG * 24 * 29, remembered, "{absolute:?}");
        assert_eq!(session.class(), if remembered { "remember" } else { "default" });
        let outlives = reply.headers[0].1.contains("Max-Age");
        assert_eq!(outlives, remembered, "an ordinary cookie is forgotten with the browser");
    }
}

/// While a class is added, renamed or removed in one process after the other, nobody is logged out, and no cookie is
/// changed by a request that did not ask for it.
pub async fn a_class_that_comes_or_goes_logs_nobody_out(context: Context) {
    let month = LONG * 24 * 30;
    let remember = || Lifetime::idle(month).absolute(month);
    let with = context.builder().class("remember", remember()).anonymous_idle_timeout(LONG / 2).build();
    let (with, without) = (with.expect("a sound configuration"), context.manager());
    let session = with.create();
    session.set_class("remember").expect("the class is configured");
    session.set("key", &1).expect("a set");
    session.release().await.expect("a create");
    let remembered = session.token().expect("a token");
    let (visitor, ordinary) = (begin(&with, "key", 1).await, begin(&without, "key", 1).await);
    for token in [&remembered, &visitor, &ordinary] {
        for (manager, write) in [(&without, false), (&with, false), (&without, true), (&with, true)] {
            let request = presenting(manager, token);
            let session = request.session().await.expect("the session");
            assert_eq!(session.load_state(), LoadState::Live);
            if write {
                session.update("key", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
            }
            let reply = request.finish(Connection::default()).await.expect("a release");
            assert!(reply.headers.is_empty(), "the client keeps its token");
        }
        assert_eq!(number(&with, token, "key").await, Some(3));
    }
}

/// Two requests that only read, while the configuration has another class for their session than it had before.
pub async fn a_request_that_only_reads_is_not_failed_by_a_new_class(context: Context) {
    let before = context.manager();
    let after = context.short();
    let builder = context.builder().idle_timeout(LONG).anonymous_idle_timeout(LONG / 2).touch_after(after);
    let now = builder.build().expect("a sound configuration");
    let token = begin(&before, "cart", 1).await;
    context.outlive(after).await;
    let reading = [open(&now, &token).await, open(&now, &token).await];
    for session in &reading {
        session.release().await.expect("it only read");
        assert_eq!(session.token().as_ref(), Some(&token));
    }
    assert_eq!(number(&now, &token, "cart").await, Some(1));
}
