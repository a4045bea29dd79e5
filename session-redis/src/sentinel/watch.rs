//! Hearing of a failover while a connection to the old master is open.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::PushKind;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::ask::ask_over;
use crate::server::Server;

/// What sentinels publish when they have replaced a master.
const CHANNEL: &str = "+switch-master";
/// How often a sentinel is asked that also tells by itself: a message may be lost.
const SELDOM: Duration = Duration::from_secs(5);
/// How often a sentinel is asked that cannot tell by itself, in RESP2; and connected to again.
const OFTEN: Duration = Duration::from_secs(1);

/// Asks one sentinel again whenever it says that a master was replaced, and now and then.
pub(super) async fn watch(shared: Weak<Shared>, sentinel: Server) {
    while shared.strong_count() > 0 {
        listen(&shared, &sentinel).await;
        sleep(OFTEN).await;
    }
}

/// The same over one connection, until it ends.
async fn listen(shared: &Weak<Shared>, sentinel: &Server) {
    let news = Arc::new(Notify::new());
    let noticed = Arc::clone(&news);
    let connected = sentinel.connect_noticing(move |push| {
        if matches!(push.kind, PushKind::Message | PushKind::Disconnection) {
            noticed.notify_one();
        }
    });
    let Ok((connection, _)) = connected.await else { return };
    let pause = if connection.subscribe(CHANNEL).await.is_ok() { SELDOM } else { OFTEN };
    while connection.is_open() {
        let Some(shared) = shared.upgrade() else { return };
        let told = ask_over(&connection, &shared.master).await;
        if let Ok(told) = told {
            shared.heard(told);
        }
        drop(shared);
        let _ = timeout(pause, news.notified()).await;
    }
}
