//! Messages for the next page, each taken by one request only.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr};

use super::Session;
use crate::live::{Change, Phase, State};
use crate::record::{Body, Value};
use crate::{Result, commit, observe};

/// Each message has a key of its own, so that messages of requests that run at the same time are all kept.
const PREFIX: &str = "~flash.";

/// How many messages wait at most. The oldest is dropped for the next one: a client that never looks at them (a
/// script) would otherwise fill its session.
const MAX_WAITING: usize = 32;

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// For developers.
    Debug,
    /// Something to know.
    Info,
    /// What was asked for is done.
    Success,
    /// Something may need attention.
    Warning,
    /// What was asked for is not done.
    Error,
}

impl Level {
    /// Its name in lower case, for the class of an element.
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
    /// How important it is.
    pub level: Level,
    /// The text, or whatever else the application shows.
    pub message: T,
}

impl Session {
    /// Leaves a message for a page that the client loads later, normally the one that this request redirects to.
    ///
    /// The message is any `serde` value, and [`take_flash`](Self::take_flash) asks for the same type. It is stored
    /// with the session, so it survives any number of redirects and a new id, and ends with the session; a visitor
    /// without a session gets one. Costs nothing now. At most 32 messages wait; the oldest is dropped for the next.
    ///
    /// [`Codec`](crate::ErrorKind::Codec), [`TooLarge`](crate::ErrorKind::TooLarge) and
    /// [`Released`](crate::ErrorKind::Released) as [`set`](Self::set).
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

    /// Takes the messages that wait, oldest first, and stores at once that they are taken.
    ///
    /// Each message is given out at most once: of requests that take it at the same time, the one whose write is
    /// applied gets it. The others get nothing, and none of them fails. A message that is not a `T` is dropped and
    /// reported as a `warn` event. What else this request changed is not stored by this; the release does it.
    ///
    /// Round trips: none when no message waits, or the ones that wait are this request's own; else one write, and
    /// one more for each conflict with another request.
    ///
    /// Where the client holds the record (the cookie engine), nobody can know of two requests at the same time:
    /// both show the messages.
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the engine is down: the messages wait on.
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when it did not answer: they may be lost, and are not
    /// shown twice. [`Released`](crate::ErrorKind::Released) after the release. When the session has ended
    /// meanwhile, there is nothing to show. [`Conflict`](crate::ErrorKind::Conflict) when what else this request
    /// changed does not go on top of what others stored (a value that it took): its release would say the same.
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
                // This request left it itself, and nobody else has seen it.
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

/// The keys of the messages that wait, oldest first.
fn keys(body: &Body) -> Vec<SmolStr> {
    body.iter().map(|(key, _)| key).filter(|key| key.starts_with(PREFIX)).map(ToSmolStr::to_smolstr).collect()
}

/// A key that sorts after `last` and that no other request draws.
fn key_after(last: Option<&str>) -> SmolStr {
    let number = last.and_then(|key| u32::from_str_radix(key.get(PREFIX.len()..PREFIX.len() + 8)?, 16).ok());
    let next = number.map_or(0, |number| number.saturating_add(1));
    smol_str::format_smolstr!("{PREFIX}{next:08x}.{:016x}", rand::random::<u64>())
}

/// Takes back a message that this request left and that is not stored, and says whether it was there.
fn withdraw(state: &mut State, key: &str) -> bool {
    Change::forget(&mut state.changes, key);
    if state.phase == Phase::Saving {
        // What is being stored has it.
        state.note(|| Change::Delete(key.into()));
    }
    state.body.remove(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_in_the_order_in_which_messages_were_left() {
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
