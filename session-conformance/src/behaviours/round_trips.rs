//! The number of calls of each operation. The engines' own tests check the round trips of each
//! call.

use std::sync::Arc;

use session_core::id::Token;
use session_core::transport::Connection;

use super::nothing::presenting;
use crate::layers::{ByWrites, Method, Spy};
use crate::{Context, begin, open};

/// A create is one write.
pub async fn a_create_is_one_call(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    begin(&context.manager_over(provider), "key", 1).await;
    assert_eq!(spy.methods(), [Method::Write]);
}

/// A load is one read, shared by all callers in one request.
pub async fn a_load_is_one_call_however_many_ask(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let token = begin(&manager, "key", 1).await;
    spy.take();
    let request = Arc::new(presenting(&manager, &token));
    let asking: Vec<_> =
        (0..8)
            .map(|_| {
                tokio::spawn({
                    let request = Arc::clone(&request);
                    async move {
                        request.session().await.expect("the session").get::<u64>("key").expect("a number")
                    }
                })
            })
            .collect();
    for asked in asking {
        assert_eq!(asked.await.expect("no panic"), Some(1));
    }
    request.finish(Connection::default()).await.expect("nothing to do");
    assert_eq!(spy.methods(), [Method::Read]);
}

/// Read, modify and write: a read and a write.
pub async fn a_read_modify_write_is_two_calls(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let token = begin(&manager, "key", 1).await;
    spy.take();
    let session = open(&manager, &token).await;
    session.update("key", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    session.release().await.expect("a release");
    assert_eq!(spy.methods(), [Method::Read, Method::Write]);
}

/// A conflict costs one more write: the refusal returns the record to merge with.
pub async fn a_conflict_costs_one_more_call(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let token = begin(&manager, "key", 1).await;
    let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
    first.set("a", &1).expect("a set");
    first.release().await.expect("a release");
    spy.take();
    second.set("b", &2).expect("a set");
    second.release().await.expect("a release");
    assert_eq!(spy.methods(), [Method::Write, Method::Write]);
}

/// A logout is one call, loaded or not.
pub async fn a_destroy_is_one_call(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let tokens =
        [begin(&manager, "key", 1).await, begin(&manager, "key", 2).await, begin(&manager, "key", 3).await];
    spy.take();
    assert!(manager.destroy(&tokens[0]).await.expect("a logout"));
    assert_eq!(spy.methods(), [Method::Destroy]);
    presenting(&manager, &tokens[1]).destroy().await.expect("a logout");
    assert_eq!(spy.methods(), [Method::Destroy]);
    open(&manager, &tokens[2]).await.destroy().await.expect("a logout");
    assert_eq!(spy.methods(), [Method::Read, Method::Destroy]);
}

/// A regeneration is one rename after the read; by the default rename, two writes.
pub async fn a_regeneration_is_one_rename(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let by_writes = context.manager_over(Arc::new(ByWrites(provider.clone())));
    let manager = context.manager_over(provider);
    for (manager, calls) in [(&manager, &[Method::Rename][..]), (&by_writes, &[Method::Write, Method::Write])]
    {
        let token = begin(manager, "key", 1).await;
        let session = open(manager, &token).await;
        spy.take();
        session.set("key", &2).expect("a set");
        session.regenerate().expect("a new id");
        session.release().await.expect("a release");
        assert_eq!(spy.methods(), calls, "the change travels with the new id");
    }
}

/// Where no id is renewed without being asked, nothing is looked up behind an id that was replaced.
pub async fn a_replaced_id_is_one_call(context: Context) {
    if context.capabilities().client_side {
        return;
    }
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let token = begin(&manager, "key", 1).await;
    let session = open(&manager, &token).await;
    session.regenerate().expect("a new id");
    session.release().await.expect("a release");
    spy.take();
    assert!(manager.load(&token).await.expect("a load").is_none());
    assert_eq!(spy.methods(), [Method::Read]);
}

/// A malformed token never reaches the engine; a well-formed one is looked up once.
pub async fn a_new_visitor_costs_nothing(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let session = manager.start(session_core::transport::Incoming::default()).await.expect("a new session");
    session.destroy().await.expect("a logout of nobody");
    session.release().await.expect("nothing to do");
    assert_eq!(spy.methods(), []);
    let unknown = Token::new(&"A".repeat(43)).expect("a token");
    let session = presenting(&manager, &unknown).session().await.expect("a new session");
    assert!(session.is_new());
    assert_eq!(spy.methods(), [Method::Read]);
}
