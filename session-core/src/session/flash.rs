//! Messages for the next page. Only one request takes each message.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr};

use super::Session;
use crate::live::{Change, Phase, State};
use crate::record::{Body, Value};
use crate::{Result, commit, observe};

/// Each message has its own key, so that the messages of concurrent requests are all kept.
const PREFIX: &str = "~flash.";

/// The largest number of waiting messages. The oldest is dropped for the next one: a client that
/// never shows them (a script) would otherwise fill its session.
const MAX_WAITING: usize = 32;

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// For developers.
    Debug,
    /// Information.
    Info,
    /// The requested action succeeded.
    Success,
    /// Something may need attention.
    Warning,
    /// The requested action failed.
    Error,
}

impl Level {
    /// Returns the name in lower case, for the class of an element.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message from an earlier request of the same client; see [`Session::flash`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash<T = String> {
    /// The importance of the message.
    pub level: Level,
    /// The text, or another value that the application shows.
    pub message: T,
}

impl Session {
    /// Adds a message for a page that the client loads later, normally the one that this request
    /// redirects to.
    ///
    /// The message is any `serde` value; call [`take_flash`](Self::take_flash) with the same type.
    /// It is stored with the session, so it survives any number of redirects and a new id, and ends
    /// with the session; a visitor without a session gets one. It costs nothing now. At most 32
    /// messages wait; the oldest is dropped for the next.
    ///
    /// [`Codec`](crate::ErrorKind::Codec), [`TooLarge`](crate::ErrorKind::TooLarge) and
    /// [`Released`](crate::ErrorKind::Released) as for [`set`](Self::set).
    ///
    /// ```
    /// # fn demo(session: &session_core::Session) -> session_core::Result<()> {
    /// use session_core::flash::Level;
    ///
    /// session.flash(Level::Success, "Your address is saved.")?;
    /// # Ok(()) }
    /// ```
    #[doc(alias = "message")]
    pub fn flash<T: Serialize + ?Sized>(&self, level: Level, message: &T) -> Result<()> {
        let value = Value::encode(&Flash { level, message }).map_err(|error| error.during("flash"))?;
        let mut state = self.0.state();
        state.must_be_active("flash")?;
        let waiting = keys(&state.body);
        let key = key_after(waiting.last().map(SmolStr::as_str));
        let spare = (waiting.len() + 1).saturating_sub(MAX_WAITING);
        for oldest in waiting.into_iter().take(spare) {
            state.body.remove(&oldest);
            state.note(|| Change::Delete(oldest));
        }
        self.insert(&mut state, &key, value.clone(), "flash")?;
        state.note(|| Change::Set(key, value));
        Ok(())
    }

    /// Takes the waiting messages, oldest first, and immediately stores that they are taken.
    ///
    /// Each message is returned at most once: of concurrent requests, the one whose write is
    /// applied gets it. The others get nothing, and none of them fails. A message that is not a `T`
    /// is dropped and reported as a `warn` event. This does not store the request's other changes;
    /// the release does.
    ///
    /// Round trips: none when no message waits, or only this request's own; otherwise one write,
    /// and one more for each conflict with another request.
    ///
    /// Where the client holds the record (the cookie engine), concurrent requests cannot be
    /// detected: both show the messages.
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the engine is down: the messages stay.
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when it did not answer: the messages
    /// may be lost, but are never shown twice. [`Released`](crate::ErrorKind::Released) after the
    /// release. When the session has ended meanwhile, there is nothing to show.
    /// [`Conflict`](crate::ErrorKind::Conflict) when the request's other changes cannot be applied
    /// to a newer record (a value that it took): its release would fail in the same way.
    pub async fn take_flash<T: DeserializeOwned>(&self) -> Result<Vec<Flash<T>>> {
        let (waiting, stored) = {
            let state = self.0.state();
            let waiting = keys(&state.body);
            if waiting.is_empty() {
                return Ok(Vec::new());
            }
            state.must_be_active("take_flash")?;
            let waiting =
                waiting.into_iter().filter_map(|key| state.body.get(&key).cloned().map(|it| (key, it)));
            (waiting.collect::<Vec<_>>(), state.stored.clone())
        };
        let is_stored =
            |key: &str| stored.as_ref().is_some_and(|stored| stored.record.body.get(key).is_some());
        let claims: Vec<SmolStr> =
            waiting.iter().map(|(key, _)| key).filter(|key| is_stored(key)).cloned().collect();
        let taken = if claims.is_empty() { Vec::new() } else { commit::claim(&self.0, &claims).await? };
        let mut messages = Vec::with_capacity(waiting.len());
        for (key, value) in waiting {
            let is_ours = match claims.iter().position(|claim| *claim == key) {
                Some(at) => taken.get(at).is_some_and(|taken| *taken),
                // This request added the message, and no other request has seen it.
                None => withdraw(&mut self.0.state(), &key),
            };
            if is_ours {
                let decoded = value.decode().map_err(|error| observe::unreadable_value(&key, &error));
                messages.extend(decoded);
            }
        }
        Ok(messages)
    }
}

/// Returns the keys of the waiting messages, oldest first.
fn keys(body: &Body) -> Vec<SmolStr> {
    body.iter().map(|(key, _)| key).filter(|key| key.starts_with(PREFIX)).map(ToSmolStr::to_smolstr).collect()
}

/// Returns a key that sorts after `last` and that no other request draws.
fn key_after(last: Option<&str>) -> SmolStr {
    let number = last.and_then(|key| u32::from_str_radix(key.get(PREFIX.len()..PREFIX.len() + 8)?, 16).ok());
    let next = number.map_or(0, |number| number.saturating_add(1));
    smol_str::format_smolstr!("{PREFIX}{next:08x}.{:016x}", rand::random::<u64>())
}

/// Removes a message that this request added and that is not stored, and returns whether it
/// existed.
fn withdraw(state: &mut State, key: &str) -> bool {
    Change::forget(&mut state.changes, key);
    if state.phase == Phase::Saving {
        // The save in progress stores the message.
        state.note(|| Change::Delete(key.into()));
    }
    state.body.remove(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_in_the_order_of_the_messages() {
        let first = key_after(None);
        let second = key_after(Some(&first));
        assert!(first < second);
        assert!(second.starts_with("~flash.00000001."));
        assert!(key_after(Some("~flash.ffffffff.0")).starts_with("~flash.ffffffff."));
        assert!(key_after(Some("~flash.é")).starts_with("~flash.00000000."), "an unknown key does not panic");
    }

    #[test]
    fn a_level_is_stored_by_the_name_that_it_prints() {
        for level in [Level::Debug, Level::Info, Level::Success, Level::Warning, Level::Error] {
            let stored = Value::encode(&level).unwrap();
            assert_eq!(stored.decode::<String>().unwrap(), level.to_string());
        }
    }
}
