//! A stored record that cannot be read: damaged, foreign, or from a newer version.

use session_core::engine::{Condition, DestroyOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::Record;
use session_core::transport::Connection;
use session_core::{ErrorKind, Manager, Provider};

use super::nothing::presenting;
use crate::layers::Garbled;
use crate::{Context, LONG, begin, fails, number};

/// Bytes that are no record, each in another way.
pub(super) fn damaged(whole: &Record) -> Vec<Vec<u8>> {
    let bytes = whole.encode().expect("it is encoded");
    let mut flipped = bytes.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    let mut longer = bytes.clone();
    longer.push(0);
    vec![
        b"garbage".to_vec(),
        b"SSN".to_vec(),
        b"SSN\x00 an older format that never was".to_vec(),
        bytes[..bytes.len() / 2].to_vec(),
        bytes[..bytes.len() - 1].to_vec(),
        flipped,
        longer,
        vec![0; 1_000],
        vec![0xff; 1_000],
    ]
}

/// A record as a later version of this library may write it.
pub(super) fn newer(whole: &Record) -> Vec<u8> {
    let mut bytes = whole.encode().expect("it is encoded");
    bytes[3] = 200;
    bytes.extend_from_slice(b"and what a later version needs");
    bytes
}

/// It is an error of its own kind, and a destroy removes it. (An engine that keeps records has none.)
pub async fn a_damaged_record_is_an_error_that_can_be_removed(context: Context) {
    let provider = context.provider();
    let whole = context.record("value", LONG);
    for (number, bytes) in damaged(&whole).into_iter().enumerate() {
        let id = context.id();
        // An engine may compare the version where it lies in the bytes. Over what still has the version that was
        // read, it then writes a whole record, and nothing is lost by that.
        let has_version = bytes.get(8..16) == Some(&whole.header.version().0.to_be_bytes());
        if !context.put_raw(&id, bytes).await {
            return;
        }
        fails(provider.read(&id, LONG).await, ErrorKind::Corrupt);
        let next = context.next(&whole, "next", LONG);
        let written = provider.write(&id, &next, Condition::Over(whole.stamp()), LONG).await;
        assert!(
            has_version || !crate::is_stored(&written),
            "number {number} is not written over by a late release"
        );
        let outcome = provider.destroy(&id, None).await.expect("a destroy");
        assert!(matches!(outcome, DestroyOutcome::Destroyed), "number {number}: {outcome:?}");
        assert!(context.read(&id).await.is_none(), "number {number} is gone");
        let fresh = context.record("fresh", LONG);
        let stored = provider.write(&id, &fresh, Condition::Absent, LONG).await;
        assert!(crate::is_stored(&stored), "number {number} leaves an empty place");
    }
}

/// A manager whose engine cannot read the session of the token, really or by a layer.
async fn unreadable(context: &Context, bytes: impl Fn(&Record) -> Vec<u8>) -> (Manager, Token) {
    let manager = context.manager();
    let token = begin(&manager, "key", 1).await;
    let id = StorageId::of(&token);
    let bytes = bytes(&context.read(&id).await.expect("it is there"));
    if context.put_raw(&id, bytes.clone()).await {
        return (manager, token);
    }
    (context.manager_over(Garbled::on(context.provider(), id, bytes)), token)
}

/// The client gets a fresh session, once and for all: the next request finds nothing and is quiet.
pub async fn a_damaged_record_gives_a_fresh_session(context: Context) {
    for number_of in 0..damaged(&context.record("value", LONG)).len() {
        let (manager, token) = unreadable(&context, |whole| damaged(whole).swap_remove(number_of)).await;
        let request = presenting(&manager, &token);
        let session = request.session().await.expect("a fresh session, not an error");
        assert!(session.is_new() && session.is_empty());
        session.set("key", &2).expect("a set");
        request.finish(Connection::default()).await.expect("a create");
        let fresh = session.token().expect("a token");
        assert_ne!(fresh, token);
        assert_eq!(number(&manager, &fresh, "key").await, Some(2));
        assert!(manager.load(&token).await.expect("quiet from now on").is_none());
        assert!(context.read(&StorageId::of(&token)).await.is_none(), "the damaged one is removed");
    }
}

/// A rolling deployment must not log users out: 503, and the record is neither replaced nor removed.
pub async fn a_newer_record_is_unsupported_and_left_alone(context: Context) {
    let (manager, token) = unreadable(&context, newer).await;
    for _ in 0..3 {
        let error = manager.load(&token).await.expect_err("it cannot be read yet");
        assert_eq!((error.kind(), error.kind().http_status()), (ErrorKind::Unsupported, 503));
        let request = presenting(&manager, &token);
        fails(request.session().await, ErrorKind::Unsupported);
        let reply = request.finish(Connection::default()).await.expect("nothing to do");
        assert!(reply.headers.is_empty(), "no cookie is touched");
    }
    manager.collect().await.expect("a collection");
    let provider: &dyn Provider = &**manager.provider();
    fails(provider.read(&StorageId::of(&token), LONG).await, ErrorKind::Unsupported);
}

/// Whatever the bytes, no panic.
pub async fn hostile_bytes_never_panic(context: Context) {
    let whole = context.record("value", LONG).encode().expect("it is encoded");
    let id = context.id();
    for seed in 0..64_usize {
        let mut bytes = whole.clone();
        for step in 0..=seed % 5 {
            let at = (seed * 7_919 + step * 104_729) % bytes.len();
            bytes[at] = bytes[at].wrapping_add(u8::try_from(1 + (seed * 31 + step) % 255).unwrap_or(1));
        }
        bytes.truncate(whole.len() - (seed * 13) % 40);
        if !context.put_raw(&id, bytes).await {
            return;
        }
        match context.provider().read(&id, LONG).await {
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{error}");
            }
        }
    }
}
