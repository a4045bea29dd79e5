//! Connections that the server ends.

use std::sync::Arc;

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider};

use crate::records::{MINUTE, changed, create, id, is_stored, record, value};
use crate::{Engine, Server, Table, sql};

/// Opens `count` connections and leaves them idle.
pub(super) async fn warm_up(sessions: &Arc<impl Provider>, connections: usize) {
    let reads = (0..connections).map(|_| {
        let sessions = Arc::clone(sessions);
        tokio::spawn(async move { sessions.count().await.unwrap() })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap();
    }
}

pub async fn idle_connections_that_are_killed_cause_one_error_in_total<E: Engine>() {
    let (server, sessions) = Table::<E>::private(&[]).await;
    let sessions = Arc::new(sessions);
    create(&*sessions, &id("a"), &record("a")).await;
    for _ in 0..3 {
        warm_up(&sessions, 8).await;
        sql::<E>(&server.admin_url(), E::DIALECT.kill).await;
        let mut errors = 0;
        for _ in 0..20 {
            match sessions.read(&id("a"), MINUTE).await {
                Ok(found) => assert_eq!(value(&found.unwrap()), "a"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    errors += 1;
                }
            }
        }
        assert!(errors <= 1, "{errors} errors");
    }
}

pub async fn a_write_on_a_killed_connection_is_unknown_and_can_be_retried<E: Engine>() {
    let (server, sessions) = Table::<E>::private(&[]).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    sql::<E>(&server.admin_url(), E::DIALECT.kill).await;
    let second = changed(&first, "b");
    let over = Condition::Over(first.stamp());
    let error = sessions.write(&id("a"), &second, over, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(is_stored(&sessions.write(&id("a"), &second, over, MINUTE).await.unwrap()));
}
