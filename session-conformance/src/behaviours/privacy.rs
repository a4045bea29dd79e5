//! Whoever has a token is that user: it appears in no error and in no debug output.

use std::fmt::Write as _;

use session_core::id::StorageId;
use session_core::transport::Incoming;

use super::nothing::presenting;
use crate::layers::{Fault, Faulty};
use crate::{Context, begin, cookie, open};

/// Neither of a session, nor of a request, a manager, an engine or a record.
pub async fn no_token_in_debug_output(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 1).await;
    let id = StorageId::of(&token);
    let request = presenting(&manager, &token);
    let session = request.session().await.expect("the session");
    session.set("key", &2).expect("a set");
    session.regenerate().expect("a new id");
    let mut seen = String::new();
    write!(seen, "{session:?}{request:?}{manager:?}{:?}{:?}", context.provider(), context.read(&id).await)
        .expect("text");
    write!(seen, "{token:?}{id:?}").expect("text");
    let reply = request.finish(session_core::transport::Connection::default()).await.expect("a regeneration");
    let renewed = session.token().expect("a token");
    write!(seen, "{session:?}{request:?}").expect("text");
    for token in [&token, &renewed] {
        assert!(!seen.contains(token.expose()), "a token is seen");
        assert!(!seen.contains(&StorageId::of(token).to_text()), "a whole storage id is seen");
    }
    assert!(reply.headers[0].1.contains(renewed.expose()), "where it belongs, it is");
}

/// Nor of any error, with all its sources.
pub async fn no_token_in_errors(context: Context) {
    let (provider, faulty) = Faulty::on(context.provider());
    let manager = context.manager_over(provider);
    let token = begin(&manager, "key", 1).await;
    let mut errors = Vec::new();
    let late = open(&manager, &token).await;
    late.set("late", &1).expect("a set");
    faulty.down(Fault::Refused);
    errors.push(manager.load(&token).await.expect_err("it is down"));
    errors.push(manager.destroy(&token).await.expect_err("it is down"));
    let header = cookie(&manager, &token);
    let incoming = Incoming { cookies: &[header.as_bytes()], ..Incoming::default() };
    errors.push(manager.start(incoming).await.expect_err("it is down"));
    faulty.heal();
    manager.destroy(&token).await.expect("a logout");
    errors.push(late.release().await.expect_err("it is gone"));
    errors.push(late.set("late", &1).expect_err("it was released"));
    for error in errors {
        let mut text = format!("{error}{error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            write!(text, "{cause}{cause:?}").expect("text");
            source = cause.source();
        }
        assert!(
            !text.contains(token.expose()) && !text.contains(&StorageId::of(&token).to_text()),
            "{error}"
        );
        assert!(error.kind().http_status() >= 400);
    }
}
