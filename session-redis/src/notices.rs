//! Hearing of changes: `CLIENT TRACKING` for all keys of our prefix, on a connection of its own to each master.
//!
//! The server itself tells of every change of a key, whoever makes it, so that writes cost nothing more. Moving a time to
//! live is a change as well: with notices a read does not slide.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use redis::{PushInfo, PushKind, Value, cmd};
use session_core::engine::{Listener, Notice, Notify};
use session_core::id::StorageId;
use session_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc;

use crate::RedisProvider;
use crate::connection::Connection;
use crate::error::{Failure, Fault};
use crate::route::Route;
use crate::server::Server;

/// Takes notices, or none when a connection has ended.
type Sender = mpsc::UnboundedSender<Option<Notice>>;

#[async_trait]
impl Notify for RedisProvider {
    /// A connection to each master, and one round trip on each.
    async fn listen(&self) -> Result<Box<dyn Listener>> {
        let (sender, notices) = mpsc::unbounded_channel();
        let mut masters = Vec::new();
        for server in servers(&self.route).await? {
            let connection = follow(&server, &self.prefix, sender.clone()).await?;
            masters.push((server.to_string(), connection));
        }
        Ok(Box::new(Listening { route: self.route.clone(), masters, notices }))
    }
}

/// All servers that have keys of their own.
async fn servers(route: &Route) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for master in route.masters().await.map_err(Failure::of_read)? {
        let connection = master.connection().await.map_err(Failure::of_read)?;
        servers.extend(connection.server().cloned());
    }
    if servers.is_empty() {
        return Err(unsupported(
            "notices need connections of our own: they are not there over an application's pool or connection",
        ));
    }
    Ok(servers)
}

/// Has a server tell of changes, and passes on what it tells.
async fn follow(server: &Server, prefix: &Arc<str>, sender: Sender) -> Result<Connection> {
    let start = Arc::clone(prefix);
    let (connection, _) = server
        .connect_noticing(move |push: &PushInfo| tell(push, &start, &sender))
        .await
        .map_err(Fault::into_error)?;
    if server.resp2.load(Ordering::Relaxed) {
        return Err(unsupported("notices need RESP3: the server, or this configuration, has RESP2 only"));
    }
    let mut track = cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(&**prefix);
    match connection.send(&track).await {
        Ok(_) => Ok(connection),
        Err(Failure::Refused(error)) => Err(unsupported(&format!(
            "notices need CLIENT TRACKING, which the server refuses to this user ({}): allow it, or leave notices out",
            error.code()
        ))),
        Err(failure) => Err(failure.of_read()),
    }
}

fn tell(push: &PushInfo, prefix: &str, sender: &Sender) {
    // Sending fails when nobody listens any more.
    match push.kind {
        PushKind::Disconnection => drop(sender.send(None)),
        PushKind::Invalidate => {
            for notice in told(&push.data, prefix) {
                let _ = sender.send(Some(notice));
            }
        }
        _ => {}
    }
}

/// What is told: some keys, or nil when the database was flushed.
fn told(data: &[Value], prefix: &str) -> Vec<Notice> {
    let [Value::Array(keys)] = data else { return vec![Notice::Everything] };
    keys.iter().filter_map(|key| changed(key, prefix)).collect()
}

fn changed(key: &Value, prefix: &str) -> Option<Notice> {
    let Value::BulkString(key) = key else { return Some(Notice::Everything) };
    // The indexes of owners, and large records on their way, have a `~`, which is in no id.
    let id = std::str::from_utf8(key).ok()?.strip_prefix(prefix)?;
    StorageId::from_text(id).ok().map(Notice::Changed)
}

fn unsupported(message: &str) -> Error {
    Fault::new(ErrorKind::Unsupported, message.to_owned()).into_error().during("listen")
}

struct Listening {
    route: Route,
    /// By the names of the servers.
    masters: Vec<(String, Connection)>,
    notices: mpsc::UnboundedReceiver<Option<Notice>>,
}

#[async_trait]
impl Listener for Listening {
    async fn next(&mut self) -> Result<Notice> {
        self.notices.recv().await.flatten().ok_or_else(|| lost("a connection has ended"))
    }

    /// Also looks whether the masters are still the same.
    async fn check(&mut self) -> Result<()> {
        let servers = servers(&self.route).await?;
        let known = |server: &Server| self.masters.iter().any(|(name, _)| *name == server.to_string());
        if servers.len() != self.masters.len() || !servers.iter().all(known) {
            return Err(lost("there are other masters by now"));
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
    fn keys_of_sessions_are_told_and_no_others() {
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
        assert_eq!(told(&[Value::Array(keys)], "session:"), expected);
        assert_eq!(told(&[Value::Nil], "session:"), [Notice::Everything]);
    }
}
