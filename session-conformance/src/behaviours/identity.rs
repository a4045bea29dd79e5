//! Ids: only those that the server issued count, and the store does not know them.

use std::collections::HashSet;

use session_core::id::{StorageId, Token};
use session_core::transport::{Connection, Incoming};
use session_core::{LoadState, Manager};

use super::nothing::presenting;
use crate::layers::{Method, Spy};
use crate::{Context, begin, cookie, number, open};

/// A well-formed id that was never issued finds nothing, and the first write draws another one.
pub async fn an_unknown_id_is_never_adopted(context: Context) {
    let manager = context.manager();
    let planted = Token::new(&"p".repeat(43)).expect("a token");
    let request = presenting(&manager, &planted);
    let session = request.session().await.expect("a new session");
    assert!(session.is_new());
    session.set("key", &1).expect("a set");
    let reply = request.finish(Connection::default()).await.expect("a create");
    let token = session.token().expect("a token");
    assert_ne!(token, planted);
    assert!(reply.headers[0].1.contains(token.expose()), "the client learns its own id");
    assert!(manager.load(&planted).await.expect("a load").is_none());
    assert_eq!(number(&manager, &token, "key").await, Some(1));
}

/// Nor is one that has ended.
pub async fn an_ended_id_is_never_used_again(context: Context) {
    let short = context.short();
    let manager = context.builder().idle_timeout(short).build().expect("a sound configuration");
    let (expired, destroyed) = (begin(&manager, "key", 1).await, begin(&manager, "key", 2).await);
    assert!(manager.destroy(&destroyed).await.expect("a logout"));
    context.outlive(short).await;
    for ended in [expired, destroyed] {
        let request = presenting(&manager, &ended);
        let session = request.session().await.expect("a new session");
        assert!(session.is_new() && session.is_empty());
        session.set("key", &3).expect("a set");
        request.finish(Connection::default()).await.expect("a create");
        assert_ne!(session.token().expect("a token"), ended);
        assert!(manager.load(&ended).await.expect("a load").is_none());
    }
}

/// What cannot be an id of ours is refused before the engine is asked.
pub async fn a_malformed_id_never_reaches_the_engine(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let name = manager.transport().cookie_name().expect("the cookie transport").to_owned();
    let long = "A".repeat(10_000);
    let values: [&[u8]; 14] = [
        b"",
        b"A",
        b"../../../../../../../../../../etc/passwd.....",
        b"..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\nX",
        b"AAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAA",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\xc3\xa4",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\xff",
        b"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        long.as_bytes(),
    ];
    for value in values {
        let header = [name.as_bytes(), b"=", value].concat();
        let session = manager.start(Incoming { cookies: &[&header], ..Incoming::default() }).await;
        assert!(session.expect("a new session").is_new(), "{}", value.escape_ascii());
        if let Some(token) = std::str::from_utf8(value).ok().and_then(Token::new) {
            assert!(manager.load(&token).await.expect("no session").is_none());
            assert!(!manager.destroy(&token).await.expect("no session"));
        }
    }
    assert_eq!(spy.methods(), []);
}

/// The store has the hash of what the client holds, unless plain ids were asked for.
pub async fn the_store_knows_only_hashes(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let token = begin(&context.manager_over(provider.clone()), "key", 1).await;
    let stored_under = spy.take()[0].id.clone().expect("an id");
    assert_eq!(stored_under, StorageId::of(&token));
    assert!(!stored_under.to_text().contains(token.expose()) && stored_under.as_plain().is_none());
    assert!(
        !context
            .provider()
            .exists(&StorageId::plain(token.expose()).expect("an id"))
            .await
            .expect("an answer")
    );

    let plain = context.builder_over(provider).plain_ids(true).build().expect("a sound configuration");
    let token = begin(&plain, "key", 1).await;
    assert_eq!(spy.take()[0].id.as_ref().and_then(StorageId::as_plain), Some(token.expose()));
    assert_eq!(number(&plain, &token, "key").await, Some(1));
    plain.destroy(&token).await.expect("a logout");
}

/// No two sessions have one id.
pub async fn every_session_has_an_id_of_its_own(context: Context) {
    let manager = context.manager();
    let mut tokens = HashSet::new();
    for value in 0..32 {
        tokens.insert(begin(&manager, "key", value).await);
    }
    assert_eq!(tokens.len(), 32);
    for token in tokens {
        manager.destroy(&token).await.expect("a logout");
    }
}

/// Several cookies of the session's name: the one live session among them is used.
pub async fn of_several_cookies_the_one_live_session_is_used(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let token = begin(&manager, "key", 7).await;
    let dead: Vec<_> =
        ["d", "e", "f", "g"].iter().map(|letter| Token::new(&letter.repeat(43)).expect("a token")).collect();
    spy.take();
    let session = start(&manager, &[&dead[0], &token, &token, &dead[1]]).await;
    assert_eq!(session.get::<u64>("key").expect("a number"), Some(7));
    assert_eq!(spy.methods(), [Method::Read; 3], "each is looked up once");

    let session = start(&manager, &[&dead[0], &dead[1], &dead[2], &dead[3], &token]).await;
    assert!(session.is_new(), "the fifth is not looked up");
    assert_eq!(spy.methods(), [Method::Read; 4]);
}

async fn start(manager: &Manager, tokens: &[&Token]) -> session_core::Session {
    let headers: Vec<_> = tokens.iter().map(|token| cookie(manager, token)).collect();
    let headers: Vec<_> = headers.iter().map(String::as_bytes).collect();
    manager.start(Incoming { cookies: &headers, ..Incoming::default() }).await.expect("a session")
}

/// With two live ones none is used, neither is harmed by a request, and a logout ends both.
pub async fn of_two_live_sessions_none_is_used(context: Context) {
    let manager = context.manager();
    let (mine, planted) = (begin(&manager, "key", 1).await, begin(&manager, "key", 2).await);
    let session = start(&manager, &[&planted, &mine]).await;
    assert!(session.is_new() && session.is_empty());
    session.release().await.expect("nothing to do");
    for (token, value) in [(&mine, 1), (&planted, 2)] {
        assert_eq!(number(&manager, token, "key").await, Some(value));
    }
    start(&manager, &[&planted, &mine]).await.destroy().await.expect("a logout");
    for token in [&mine, &planted] {
        assert!(manager.load(token).await.expect("a load").is_none());
    }

    let tokens = [begin(&manager, "key", 1).await, begin(&manager, "key", 2).await];
    let headers = tokens.each_ref().map(|token| cookie(&manager, token));
    let cookies = headers.each_ref().map(String::as_bytes);
    let request = manager.request(Incoming { cookies: &cookies, ..Incoming::default() });
    request.destroy().await.expect("a logout without a load");
    let reply = request.finish(Connection::default()).await.expect("a logout");
    assert_eq!(reply.headers.len(), 1, "one cookie is taken away");
    for token in &tokens {
        assert!(manager.load(token).await.expect("a load").is_none());
    }
}

/// A session that begins for a client with two live ones ends both, so that its next request is clear: a changed
/// domain or path of the cookie must not lock anybody out.
pub async fn a_login_of_an_ambiguous_client_ends_the_others(context: Context) {
    let manager = context.manager();
    let (mine, planted) = (begin(&manager, "key", 1).await, begin(&manager, "key", 2).await);
    let session = start(&manager, &[&planted, &mine]).await;
    assert_eq!(session.load_state(), LoadState::Ambiguous);
    session.regenerate().expect("a new id");
    session.set("user", &3).expect("a set");
    session.release().await.expect("a login");
    let new = session.token().expect("a token");
    for token in [&mine, &planted] {
        assert!(manager.load(token).await.expect("a load").is_none());
    }
    // The browser keeps the cookie that was not replaced.
    let session = start(&manager, &[&planted, &new]).await;
    assert_eq!(session.get::<u64>("user").expect("a number"), Some(3));
    if context.counts_exactly() {
        assert_eq!(manager.active().await.expect("an answer"), Some(1), "nothing is left behind");
    }
}

/// What a load found is told: nothing, a session, one that has ended, or several.
pub async fn a_load_says_what_it_found(context: Context) {
    let manager = context.manager();
    assert_eq!(start(&manager, &[]).await.load_state(), LoadState::None);
    let malformed = Token::new("nonsense").expect("a token");
    assert_eq!(start(&manager, &[&malformed]).await.load_state(), LoadState::None);
    let [live, other, ended] =
        [begin(&manager, "key", 1).await, begin(&manager, "key", 2).await, begin(&manager, "key", 3).await];
    assert!(manager.destroy(&ended).await.expect("a logout"));
    assert_eq!(start(&manager, &[&live]).await.load_state(), LoadState::Live);
    assert_eq!(start(&manager, &[&ended, &live]).await.load_state(), LoadState::Live);
    assert_eq!(start(&manager, &[&ended]).await.load_state(), LoadState::Expired);
    assert_eq!(start(&manager, &[&live, &ended, &other]).await.load_state(), LoadState::Ambiguous);
    let new = manager.regenerate(&live).await.expect("a regeneration").expect("the session is there");
    assert_eq!(start(&manager, &[&live]).await.load_state(), LoadState::Moved);
    assert_eq!(start(&manager, &[&live, &new]).await.load_state(), LoadState::Live);
}

/// The manager that another process runs finds the same session.
pub async fn a_session_is_found_by_every_process(context: Context) {
    let (here, there) = (context.manager(), context.manager_over(context.another().await));
    let token = begin(&here, "key", 5).await;
    assert_eq!(number(&there, &token, "key").await, Some(5));
    let session = open(&there, &token).await;
    session.set("key", &6).expect("a set");
    session.release().await.expect("a release");
    assert_eq!(number(&here, &token, "key").await, Some(6));
}
