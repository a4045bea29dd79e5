//! A rename moves a session to a new id in one step as others see it, by the engine's own means and by the default.

use std::sync::Arc;

use session_core::engine::{Condition, DestroyOutcome, Rename, TOMBSTONE_TTL, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Record, State};
use session_core::{Provider, Result};

use super::ending::is_gone;
use crate::layers::ByWrites;
use crate::{Context, LONG, is_stored, refused};

/// A session that is about to move.
struct Move {
    old: StorageId,
    read: Record,
    new: StorageId,
    record: Record,
    tombstone: Record,
}

impl Move {
    async fn prepare(context: &Context) -> Self {
        let (old, read) = context.stored("before", LONG).await;
        Self::of(context, old, read)
    }

    fn of(context: &Context, old: StorageId, read: Record) -> Self {
        let new = context.id();
        let record = context.next(&read, "moved", LONG);
        let tombstone = tombstone(context, &read, &new);
        Self { old, read, new, record, tombstone }
    }

    async fn by(&self, provider: &Arc<dyn Provider>) -> Result<WriteOutcome> {
        let from = (&self.old, self.read.stamp());
        provider.rename(&Rename::new(from, (&self.new, &self.record, LONG), &self.tombstone)).await
    }
}

/// What the old id shows after a move.
pub(super) fn tombstone(context: &Context, old: &Record, new: &StorageId) -> Record {
    let mut header = old.header.next();
    header.state = State::Moved(new.clone());
    header.deadline = context.now().after(TOMBSTONE_TTL);
    header.absolute = header.absolute.max(header.deadline);
    Record::new(header, Body::default())
}

/// The engine as it is, and without a rename of its own.
pub(super) fn both(context: &Context) -> [Arc<dyn Provider>; 2] {
    [context.provider(), Arc::new(ByWrites(context.provider()))]
}

/// The new id has the session, the old one has none, for every method.
pub async fn a_rename_moves_a_session(context: Context) {
    for provider in both(&context) {
        let moving = Move::prepare(&context).await;
        assert!(is_stored(&moving.by(&provider).await));
        is_gone(&context, &moving.old).await;
        assert_eq!(context.value(&moving.new).await.as_deref(), Some("moved"));
        assert!(provider.exists(&moving.new).await.expect("an answer"));
        assert!(!provider.touch(&moving.old, &moving.read, LONG).await.expect("an answer"));
        let late = context.next(&moving.read, "late", LONG);
        refused(provider.write(&moving.old, &late, Condition::Over(moving.read.stamp()), LONG).await);
        is_gone(&context, &moving.old).await;
        assert_eq!(context.value(&moving.new).await.as_deref(), Some("moved"));
    }
}

/// A logout with the old id learns where the session went; the tombstone stays for the next one who asks.
pub async fn a_destroy_of_the_old_id_names_the_new_one(context: Context) {
    for provider in both(&context) {
        let moving = Move::prepare(&context).await;
        assert!(is_stored(&moving.by(&provider).await));
        for stamp in [None, Some(moving.read.stamp()), None] {
            match provider.destroy(&moving.old, stamp).await.expect("a destroy") {
                DestroyOutcome::Moved(to) => assert_eq!(to, moving.new),
                other => panic!("expected the new id, got {other:?}"),
            }
        }
        assert_eq!(context.value(&moving.new).await.as_deref(), Some("moved"));
        let outcome = provider.destroy(&moving.new, None).await.expect("a destroy");
        assert!(matches!(outcome, DestroyOutcome::Destroyed), "{outcome:?}");
        is_gone(&context, &moving.new).await;
    }
}

/// What another request committed meanwhile is not lost: the refusal shows it, and nothing is left under the new id.
pub async fn a_rename_over_an_old_version_is_refused(context: Context) {
    for provider in both(&context) {
        let moving = Move::prepare(&context).await;
        let changed = context.next(&moving.read, "changed", LONG);
        let over = Condition::Over(moving.read.stamp());
        assert!(is_stored(&provider.write(&moving.old, &changed, over, LONG).await));
        let shown = refused(moving.by(&provider).await).expect("a refusal shows what is stored");
        assert_eq!(shown.header.version(), changed.header.version());
        assert_eq!(context.value(&moving.old).await.as_deref(), Some("changed"));
        is_gone(&context, &moving.new).await;

        let again = Move::of(&context, moving.old, shown);
        assert!(is_stored(&again.by(&provider).await));
    }
}

/// A regeneration after a logout brings nothing back.
pub async fn a_rename_of_nothing_is_refused(context: Context) {
    for provider in both(&context) {
        let moving = Move::prepare(&context).await;
        provider.destroy(&moving.old, None).await.expect("a destroy");
        refused(moving.by(&provider).await);
        is_gone(&context, &moving.old).await;
        is_gone(&context, &moving.new).await;
    }
}

/// It is stored, also when another request has written to the new id since.
pub async fn a_rename_that_is_sent_twice_is_done_once(context: Context) {
    for provider in both(&context) {
        let moving = Move::prepare(&context).await;
        assert!(is_stored(&moving.by(&provider).await));
        assert!(is_stored(&moving.by(&provider).await), "the same rename again");
        let read = context.read(&moving.new).await.expect("it is there");
        let later = context.next(&read, "later", LONG);
        assert!(is_stored(&provider.write(&moving.new, &later, Condition::Over(read.stamp()), LONG).await));
        assert!(is_stored(&moving.by(&provider).await), "and again");
        assert_eq!(context.value(&moving.new).await.as_deref(), Some("later"));
    }
}

/// The answer to a rename was lost, the user logged out, and then it is sent again.
pub async fn a_rename_that_is_sent_again_after_a_logout_revives_nothing(context: Context) {
    for provider in both(&context) {
        let moving = Move::prepare(&context).await;
        assert!(is_stored(&moving.by(&provider).await));
        provider.destroy(&moving.new, None).await.expect("a destroy");
        let _ = moving.by(&provider).await;
        is_gone(&context, &moving.old).await;
        is_gone(&context, &moving.new).await;
    }
}

/// An id of 256 random bits that is taken: nobody's session is harmed.
pub async fn a_rename_to_a_taken_id_harms_nobody(context: Context) {
    for provider in both(&context) {
        let (taken, _) = context.stored("somebody else's", LONG).await;
        let mut moving = Move::prepare(&context).await;
        moving.tombstone = tombstone(&context, &moving.read, &taken);
        moving.new = taken;
        refused(moving.by(&provider).await);
        assert_eq!(context.value(&moving.new).await.as_deref(), Some("somebody else's"));
        assert_eq!(context.value(&moving.old).await.as_deref(), Some("before"));
    }
}

/// Two processes give one session new ids: one session is there afterwards.
pub async fn of_two_renames_at_once_one_is_done(context: Context) {
    let there = context.another().await;
    for (here, there) in both(&context).into_iter().zip([there.clone(), Arc::new(ByWrites(there))]) {
        for _ in 0..8 {
            let first = Move::prepare(&context).await;
            let second = Move::of(&context, first.old.clone(), first.read.clone());
            let (first, second) = (Arc::new(first), Arc::new(second));
            let moves = [(here.clone(), Arc::clone(&first)), (there.clone(), Arc::clone(&second))];
            let [a, b] =
                moves.map(|(provider, moving)| tokio::spawn(async move { moving.by(&provider).await }));
            let done =
                [a.await.expect("no panic"), b.await.expect("no panic")].map(|outcome| is_stored(&outcome));
            assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
            let (winner, loser) = if done[0] { (first, second) } else { (second, first) };
            is_gone(&context, &winner.old).await;
            is_gone(&context, &loser.new).await;
            assert_eq!(context.value(&winner.new).await.as_deref(), Some("moved"));
        }
    }
}

/// Whichever comes first: no write is lost, and no session is left behind.
pub async fn a_rename_meets_a_write_or_a_logout(context: Context) {
    let there = context.another().await;
    for here in both(&context) {
        for round in 0..8 {
            let moving = Arc::new(Move::prepare(&context).await);
            let rename = {
                let (here, moving) = (here.clone(), Arc::clone(&moving));
                tokio::spawn(async move { is_stored(&moving.by(&here).await) })
            };
            if round % 2 == 0 {
                let changed = context.next(&moving.read, "changed", LONG);
                let over = Condition::Over(moving.read.stamp());
                let written = is_stored(&there.write(&moving.old, &changed, over, LONG).await);
                let renamed = rename.await.expect("no panic");
                assert_ne!(written, renamed, "one of the two, and not both");
                let (lives, gone, value) = if written {
                    (&moving.old, &moving.new, "changed")
                } else {
                    (&moving.new, &moving.old, "moved")
                };
                assert_eq!(context.value(lives).await.as_deref(), Some(value));
                is_gone(&context, gone).await;
            } else {
                if let DestroyOutcome::Moved(to) = there.destroy(&moving.old, None).await.expect("a destroy")
                {
                    there.destroy(&to, None).await.expect("a destroy");
                }
                let _ = rename.await.expect("no panic");
                is_gone(&context, &moving.old).await;
                is_gone(&context, &moving.new).await;
            }
        }
    }
}
