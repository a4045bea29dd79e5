//! Keyspace notifications: messages on a channel for each key, where a server is configured to send them.
//!
//! They do not report that a database was flushed. A longer time to live has an event of its own, which is no change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Value, cmd};
use session_core::Result;
use session_core::engine::Notice;
use session_core::record::Version;

use super::changed;
use crate::connection::Connection;
use crate::error::Failure;

/// How many keys are tried until one belongs to a node of a cluster.
const MOST_TRIES: usize = 500;

/// The channels of our keys on one server, and what was seen of their events.
#[derive(Clone)]
pub(super) struct Keyspace {
    prefix: Arc<str>,
    /// The names of the channels without the keys.
    start: Arc<str>,
    has_seen_set: Arc<AtomicBool>,
    has_seen_del: Arc<AtomicBool>,
}

impl Keyspace {
    pub fn new(db: i64, prefix: &Arc<str>) -> Self {
        let start = format!("__keyspace@{db}__:").into();
        Self { prefix: Arc::clone(prefix), start, has_seen_set: Arc::default(), has_seen_del: Arc::default() }
    }

    /// Subscribes to the events of all keys, and says whether they arrive. A server that is configured to send none, or
    /// some only, does not say so: a key that is no session is written and removed to find out.
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
            // The events are sent before this is answered.
            connection.send(&cmd("PING")).await.map_err(Failure::of_read)?;
            return Ok(self.has_seen_set.load(Ordering::Acquire) && self.has_seen_del.load(Ordering::Acquire));
        }
        Ok(false)
    }

    /// What a message of the subscription reports: pattern, channel and event.
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
    fn an_event_names_its_session_and_a_time_to_live_is_no_change() {
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
