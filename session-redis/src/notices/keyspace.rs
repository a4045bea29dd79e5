//! Keyspace notifications: messages on a channel for each key, if the server is configured to send
//! them.
//!
//! They do not report a flushed database. A longer time to live has its own event, which is not a
//! change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Value, cmd};
use session_core::Result;
use session_core::engine::Notice;
use session_core::record::Version;

use super::changed;
use crate::connection::Connection;
use crate::error::Failure;

/// The number of keys that are tried until one belongs to the node of a cluster.
const MOST_TRIES: usize = 500;

/// The channels of our keys on one server, and the events that were seen.
#[derive(Clone)]
pub(super) struct Keyspace {
    prefix: Arc<str>,
    /// The names of the channels, without the keys.
    start: Arc<str>,
    has_seen_set: Arc<AtomicBool>,
    has_seen_del: Arc<AtomicBool>,
}

impl Keyspace {
    pub fn new(db: i64, prefix: &Arc<str>) -> Self {
        let start = format!("__keyspace@{db}__:").into();
        Self { prefix: Arc::clone(prefix), start, has_seen_set: Arc::default(), has_seen_del: Arc::default() }
    }

    /// Subscribes to the events of all keys, and returns whether they arrive. A server that sends
    /// none or only some does not report this, so a probe key, which is not a session, is written
    /// and removed.
    pub async fn subscribe(&self, connection: &Connection) -> Result<bool> {
        match connection.psubscribe(&self.pattern()).await {
            Ok(()) => {}
            Err(Failure::Refused(error)) => {
                tracing::debug!(code = error.code(), "PSUBSCRIBE is refused");
                return Ok(false);
            }
            Err(failure) => return Err(failure.of_read()),
        }
        for _ in 0..MOST_TRIES {
            let key = format!("{}~probe.{:016x}", self.prefix, Version::random().0);
            match connection.send(cmd("SET").arg(&key).arg("").arg("PX").arg(1_000)).await {
                Err(failure) if failure.code() == Some("MOVED") => continue,
                answer => drop(answer.map_err(Failure::of_read)?),
            }
            connection.send(cmd("UNLINK").arg(&key)).await.map_err(Failure::of_read)?;
            // The server sends the events before this answer.
            connection.send(&cmd("PING")).await.map_err(Failure::of_read)?;
            return Ok(self.has_seen_set.load(Ordering::Acquire) && self.has_seen_del.load(Ordering::Acquire));
        }
        Ok(false)
    }

    /// Converts a message of the subscription: pattern, channel and event.
    pub fn notice(&self, data: &[Value]) -> Option<Notice> {
        let [_, Value::BulkString(channel), Value::BulkString(event)] = data else {
            return Some(Notice::Everything);
        };
        match event.as_slice() {
            b"set" => self.has_seen_set.store(true, Ordering::Release),
            b"del" => self.has_seen_del.store(true, Ordering::Release),
            b"expire" => return None,
            _ => {}
        }
        changed(channel.strip_prefix(self.start.as_bytes())?, &self.prefix)
    }

    fn pattern(&self) -> String {
        let mut pattern = self.start.to_string();
        for letter in self.prefix.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('*');
        pattern
    }
}

#[cfg(test)]
mod tests {
    use session_core::id::StorageId;

    use super::*;

    #[test]
    fn an_event_names_its_session_and_a_new_time_to_live_is_not_a_change() {
        let keyspace = Keyspace::new(3, &"web[1]:".into());
        assert_eq!(keyspace.pattern(), r"__keyspace@3__:web\[1\]:*");
        let id = StorageId::from_hash([7; 32]);
        let notice = |key: &str, event: &str| {
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            keyspace.notice(&[text("pattern"), text(&format!("__keyspace@3__:{key}")), text(event)])
        };
        let key = format!("web[1]:{}", id.to_text());
        assert_eq!(notice(&key, "expire"), None);
        for event in ["set", "del", "rename_to", "expired"] {
            assert_eq!(notice(&key, event), Some(Notice::Changed(id.clone())));
        }
        assert_eq!(notice("web[1]:~probe.0", "del"), None);
    }
}
