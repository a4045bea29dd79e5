//! Notices of changes: `CLIENT TRACKING` for all keys of our prefix, on a separate connection to
//! each master.
//!
//! The server reports every changed key, whichever client changes it, so writes cost nothing extra.
//! A new time to live is a change as well, so with notices a read does not extend the idle
//! deadline. A server that refuses tracking may send keyspace notifications instead.

mod keyspace;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use redis::{PushInfo, PushKind, Value, cmd};
use session_core::engine::{Listener, Notice, Notify};
use session_core::id::StorageId;
use session_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc;

use self::keyspace::Keyspace;
use crate::RedisProvider;
use crate::connection::Connection;
use crate::error::{Failure, Fault};
use crate::route::Route;
use crate::server::Server;

/// The maximum number of waiting notices. A slower listener fails, because it has lost some.
const MOST_WAITING: usize = 16_384;

#[async_trait]
impl Notify for RedisProvider {
    /// Opens a connection to each master, with one round trip on each; four if tracking is refused.
    async fn listen(&self) -> Result<Box<dyn Listener>> {
        let (inbox, notices) = Inbox::new(MOST_WAITING);
        let mut masters = Vec::new();
        for server in servers(&self.route).await? {
            let connection = follow(&server, &self.prefix, &inbox).await?;
            masters.push((server.to_string(), connection));
        }
        Ok(Box::new(Listening { route: self.route.clone(), masters, inbox, notices }))
    }
}

/// Returns all servers that have keys of their own.
async fn servers(route: &Route) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for master in route.masters().await.map_err(Failure::of_read)? {
        let connection = master.connection().await.map_err(Failure::of_read)?;
        servers.extend(connection.server().cloned());
    }
    if servers.is_empty() {
        return Err(unsupported(
            "notices need the engine's own connections: an application's pool or connection does \
             not support them",
        ));
    }
    Ok(servers)
}

/// Makes a server report changes on a new connection.
async fn follow(server: &Server, prefix: &Arc<str>, inbox: &Inbox) -> Result<Connection> {
    let keyspace = Keyspace::new(server.settings.db(), prefix);
    let (events, start, to) = (keyspace.clone(), Arc::clone(prefix), inbox.clone());
    let take = move |push: &PushInfo| match push.kind {
        PushKind::Disconnection => to.end(),
        PushKind::Invalidate => invalidated(&push.data, &start).into_iter().for_each(|notice| to.put(notice)),
        PushKind::PMessage => events.notice(&push.data).into_iter().for_each(|notice| to.put(notice)),
        _ => {}
    };
    let (connection, _) = server.connect_noticing(take).await.map_err(Fault::into_error)?;
    if server.resp2.load(Ordering::Relaxed) {
        return Err(unsupported(
            "notices need RESP3: the server, or this configuration, supports only RESP2",
        ));
    }
    let mut track = cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(&**prefix);
    match connection.send(&track).await {
        Ok(_) => return Ok(connection),
        Err(Failure::Refused(error)) => tracing::debug!(code = error.code(), "CLIENT TRACKING is refused"),
        Err(failure) => return Err(failure.of_read()),
    }
    if keyspace.subscribe(&connection).await? {
        return Ok(connection);
    }
    Err(unsupported(
        "notices need CLIENT TRACKING, which the server refuses to this user, or keyspace notifications \
         (`notify-keyspace-events` with `K$g`, and the permission to subscribe to them): allow one, or turn notices off",
    ))
}

/// Converts the keys of an invalidation; nil means that the database was flushed.
fn invalidated(data: &[Value], prefix: &str) -> Vec<Notice> {
    let [Value::Array(keys)] = data else { return vec![Notice::Everything] };
    keys.iter()
        .filter_map(|key| match key {
            Value::BulkString(key) => changed(key, prefix),
            _ => Some(Notice::Everything),
        })
        .collect()
}

fn changed(key: &[u8], prefix: &str) -> Option<Notice> {
    // Keys of owner indexes, and temporary keys of large records, contain a `~`, which no id does.
    let id = std::str::from_utf8(key).ok()?.strip_prefix(prefix)?;
    StorageId::from_text(id).ok().map(Notice::Changed)
}

fn unsupported(message: &'static str) -> Error {
    Fault::new(ErrorKind::Unsupported, message).into_error().during("listen")
}

/// The queue of notices from all connections. Adding one does not wait.
#[derive(Clone)]
struct Inbox {
    notices: mpsc::Sender<Notice>,
    /// A connection has ended, or the queue was full.
    has_lost: Arc<AtomicBool>,
}

impl Inbox {
    fn new(capacity: usize) -> (Self, mpsc::Receiver<Notice>) {
        let (notices, taken) = mpsc::channel(capacity);
        (Self { notices, has_lost: Arc::default() }, taken)
    }

    fn put(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.end();
        }
    }

    fn end(&self) {
        self.has_lost.store(true, Ordering::Release);
        // Wakes the listener. If the queue is full, it is already awake.
        let _ = self.notices.try_send(Notice::Everything);
    }
}

struct Listening {
    route: Route,
    /// The connections, with the names of their servers.
    masters: Vec<(String, Connection)>,
    inbox: Inbox,
    notices: mpsc::Receiver<Notice>,
}

#[async_trait]
impl Listener for Listening {
    async fn next(&mut self) -> Result<Notice> {
        let notice = self.notices.recv().await;
        match notice {
            Some(notice) if !self.inbox.has_lost.load(Ordering::Acquire) => Ok(notice),
            _ => Err(lost("a connection has ended, or the listener was too slow")),
        }
    }

    /// Also checks whether the masters are still the same.
    async fn check(&mut self) -> Result<()> {
        let servers = servers(&self.route).await?;
        let is_known = |server: &Server| self.masters.iter().any(|(name, _)| *name == server.to_string());
        if servers.len() != self.masters.len() || !servers.iter().all(is_known) {
            return Err(lost("the masters have changed"));
        }
        for (_, connection) in &self.masters {
            connection.send(&cmd("PING")).await.map_err(Failure::of_read)?;
        }
        Ok(())
    }
}

fn lost(why: &str) -> Error {
    Fault::unavailable(format!("notices are lost: {why}")).into_error().during("listen")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_sessions_are_reported_and_no_others() {
        let id = StorageId::from_hash([7; 32]);
        let key = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let keys = vec![
            key(&format!("session:{}", id.to_text())),
            key(&format!("session:{}~00ff", id.to_text())),
            key(&format!("session:owner~{}", id.to_text())),
            key("other:1"),
            key("session:raw"),
        ];
        let raw = StorageId::plain("raw").unwrap();
        let expected = [Notice::Changed(id), Notice::Changed(raw)];
        assert_eq!(invalidated(&[Value::Array(keys)], "session:"), expected);
        assert_eq!(invalidated(&[Value::Nil], "session:"), [Notice::Everything]);
    }

    #[tokio::test]
    async fn a_full_queue_ends_the_listener() {
        let (inbox, notices) = Inbox::new(2);
        let route = Route::of_client(&redis::Client::open("redis://127.0.0.1:1").unwrap());
        let mut listening = Listening { route, masters: Vec::new(), inbox: inbox.clone(), notices };
        for _ in 0..2 {
            inbox.put(Notice::Everything);
        }
        assert_eq!(listening.next().await.unwrap(), Notice::Everything);
        inbox.put(Notice::Everything);
        inbox.put(Notice::Everything);
        assert_eq!(listening.next().await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
