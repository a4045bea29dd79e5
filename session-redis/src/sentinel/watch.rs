//! Detects a failover while a connection to the old master is open.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::PushKind;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::ask::ask_over;
use crate::server::Server;

/// The channel on which sentinels announce a new master.
const CHANNEL: &str = "+switch-master";
/// The polling interval with a subscription: a message may be lost.
const POLL_SUBSCRIBED: Duration = Duration::from_secs(5);
/// The polling interval without a subscription, in RESP2, and the pause before reconnecting.
const POLL_UNSUBSCRIBED: Duration = Duration::from_secs(1);

/// Asks one sentinel for the master whenever it announces a new one, and periodically.
pub(super) async fn watch(shared: Weak<Shared>, sentinel: Server) {
    while shared.strong_count() > 0 {
        listen(&shared, &sentinel).await;
        sleep(POLL_UNSUBSCRIBED).await;
    }
}

/// The same on one connection, until it ends.
async fn listen(shared: &Weak<Shared>, sentinel: &Server) {
    let changed = Arc::new(Notify::new());
    let noticed = Arc::clone(&changed);
    let connected = sentinel.connect_noticing(move |push| {
        if matches!(push.kind, PushKind::Message | PushKind::Disconnection) {
            noticed.notify_one();
        }
    });
    let Ok((connection, _)) = connected.await else { return };
    let pause = if connection.subscribe(CHANNEL).await.is_ok() { POLL_SUBSCRIBED } else { POLL_UNSUBSCRIBED };
    while connection.is_open() {
        let Some(shared) = shared.upgrade() else { return };
        let answer = ask_over(&connection, &shared.master).await;
        if let Ok(answer) = answer {
            shared.note(answer);
        }
        drop(shared);
        let _ = timeout(pause, changed.notified()).await;
    }
}
