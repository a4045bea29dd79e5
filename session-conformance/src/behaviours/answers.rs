//! Errors of the engine are honest about what was stored, and show nothing that is secret.

use std::fmt::Write as _;

use session_core::engine::{Condition, DestroyOutcome, Rename};
use session_core::id::StorageId;
use session_core::record::Value;
use session_core::{Error, ErrorKind, Provider};

use super::renaming::{both, tombstone};
use super::unreadable::{damaged, newer};
use crate::{Context, LONG};

/// The server does what a request asks for, and the connection breaks before its answer arrives.
/// "Unavailable" means that nothing was changed, which is not true here: the outcome is unknown,
/// unless the engine found it out.
pub async fn an_answer_that_was_cut_off_is_not_nothing_changed(context: Context) {
    let Some(wire) = context.cut_off().await else { return };
    for call in ["create", "replace", "rename", "destroy"] {
        let (id, read) = context.stored("before", LONG).await;
        let other = context.id();
        connected(&**wire.provider(), &id).await;
        wire.lose_next_answer();
        let next = context.next(&read, "after", LONG);
        let over = Condition::Over(read.stamp());
        let error = match call {
            "create" => wire
                .provider()
                .write(&other, &context.record("after", LONG), Condition::Absent, LONG)
                .await
                .err(),
            "replace" => wire.provider().write(&id, &next, over, LONG).await.err(),
            "rename" => {
                let tombstone = tombstone(&context, &read, &other);
                let rename = Rename::new((&id, read.stamp()), (&other, &next, LONG), &tombstone);
                wire.provider().rename(&rename).await.err()
            }
            _ => wire.provider().destroy(&id, Some(read.stamp())).await.err(),
        };
        let kind = error.as_ref().map(Error::kind);
        assert!(
            matches!(kind, None | Some(ErrorKind::OutcomeUnknown | ErrorKind::Unavailable)),
            "{call}: {error:?}"
        );
        let (old, new) = (context.value(&id).await, context.value(&other).await);
        if kind == Some(ErrorKind::Unavailable) {
            assert_eq!(
                (old.as_deref(), new),
                (Some("before"), None),
                "{call}: it says that nothing was changed"
            );
        }
        connected(&**wire.provider(), &id).await;
    }
}

/// Reads until an answer comes: a connection that was cut is replaced at once, or at the next call.
async fn connected(provider: &dyn Provider, id: &StorageId) {
    for _ in 0..20 {
        if provider.read(id, LONG).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the engine connects again after a connection was cut");
}

/// A value that must not appear in any error.
const SECRET: &str = "correct-horse-battery-staple";

/// Errors of the engine itself, with all their sources: about records that cannot be read, records
/// that are too large, and answers that were cut off.
pub async fn an_engines_errors_show_no_id_and_no_value(context: Context) {
    let provider = context.provider();
    let whole = context.record(SECRET, LONG);
    // Short enough for a column of 64 characters.
    let plain = StorageId::plain(&format!("xsnk{}", &context.id().to_text()[..32])).expect("a plain id");
    let mut seen = Vec::new();
    for (number, bytes) in damaged(&whole).into_iter().chain([newer(&whole)]).enumerate() {
        let id = if number % 2 == 0 { context.id() } else { plain.clone() };
        if !context.put_raw(&id, bytes).await {
            break;
        }
        errors_about(&context, &id, &mut seen).await;
        let _ = provider.destroy(&id, None).await;
    }
    let id = context.id();
    let largest = context.capabilities().max_record_bytes;
    if let Some(bytes) = largest.filter(|bytes| *bytes < 64 << 20) {
        let mut large = context.record(SECRET, LONG);
        let filling = SECRET.repeat(bytes / SECRET.len() + 1);
        large.body.insert("large", Value::encode(&filling).expect("text is encoded"));
        seen.extend(
            provider.write(&id, &large, Condition::Absent, LONG).await.err().map(|error| (id, error)),
        );
    }
    if let Some(wire) = context.cut_off().await {
        let (id, read) = context.stored(SECRET, LONG).await;
        connected(&**wire.provider(), &id).await;
        wire.lose_next_answer();
        let next = context.next(&read, SECRET, LONG);
        let outcome = wire.provider().write(&id, &next, Condition::Over(read.stamp()), LONG).await;
        seen.extend(outcome.err().map(|error| (id, error)));
    }
    for (id, error) in &seen {
        says_nothing(id, error);
    }
}

/// Every call about one id, for its errors.
async fn errors_about(context: &Context, id: &StorageId, seen: &mut Vec<(StorageId, Error)>) {
    let provider = context.provider();
    let mut note = |error: Option<Error>| seen.extend(error.map(|error| (id.clone(), error)));
    let record = context.record(SECRET, LONG);
    let next = context.next(&record, SECRET, LONG);
    note(provider.read(id, LONG).await.err());
    note(provider.exists(id).await.err());
    note(provider.touch(id, &record, LONG).await.err());
    note(provider.write(id, &record, Condition::Absent, LONG).await.err());
    note(provider.write(id, &next, Condition::Over(record.stamp()), LONG).await.err());
    for provider in both(context) {
        let new = context.id();
        let tombstone = tombstone(context, &record, &new);
        let rename = Rename::new((id, record.stamp()), (&new, &next, LONG), &tombstone);
        note(provider.rename(&rename).await.err());
    }
    let destroyed = provider.destroy(id, Some(record.stamp())).await;
    if let Ok(DestroyOutcome::Refused(_)) = &destroyed {
        panic!("a refusal shows a record that can be read");
    }
    note(destroyed.err());
}

/// The error as text, as debug output, and the same of everything that caused it.
fn says_nothing(id: &StorageId, error: &Error) {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        write!(text, " {cause} {cause:?}").expect("text");
        source = cause.source();
    }
    let text = text.to_lowercase();
    let bytes = |bytes: &[u8]| {
        let list = format!("{bytes:?}");
        let mut digits = String::new();
        for byte in bytes {
            write!(digits, "{byte:02x}").expect("text");
        }
        [list[1..list.len() - 1].to_owned(), digits]
    };
    let secrets = [id.to_text(), SECRET.to_owned()].into_iter();
    let secrets = secrets.chain(bytes(id.as_bytes())).chain(bytes(SECRET.as_bytes()));
    for (number, secret) in secrets.enumerate() {
        // Not printed here either.
        assert!(
            !text.contains(&secret.to_lowercase()),
            "an error of kind {:?} shows secret {number}",
            error.kind()
        );
    }
}
