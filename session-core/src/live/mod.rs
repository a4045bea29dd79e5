//! The live session of one request: loaded once, changed in memory, stored once at its release.

pub(crate) mod change;
mod key;
pub(crate) mod state;
mod store;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use key::{AnyKey, Key, ReadKey, WriteKey};
pub use store::Store;

use crate::commit;
use crate::manager::Shared;
use crate::record::{Body, Owner, Value};
use crate::{Error, ErrorKind, Result, Timestamp, Token};
use change::Change;
use state::{Message, NewOwner, Phase, State, Stored};

/// A handle to the session of a request. Clones are handles to the same session.
///
/// Reading and changing costs no I/O; [`release`](Self::release) stores what changed, and adapters call it
/// before the response head leaves. Changes made at the same time by other requests are merged key by key.
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Live>);

pub(crate) struct Live {
    pub manager: Arc<Shared>,
    pub state: Mutex<State>,
    /// Held by the release or destroy that is under way.
    pub gate: tokio::sync::Mutex<()>,
    /// Further live sessions whose cookies came with the request: none of them is used, a logout ends them too.
    pub others: Vec<Arc<Stored>>,
}

impl Live {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    pub(crate) fn new(manager: Arc<Shared>, stored: Option<Arc<Stored>>, others: Vec<Arc<Stored>>) -> Self {
        let state = Mutex::new(State::new(stored));
        Self(Arc::new(Live { manager, state, gate: tokio::sync::Mutex::default(), others }))
    }

    /// What is left of a session that was ended without being loaded.
    pub(crate) fn ended(manager: Arc<Shared>, was_there: bool) -> Self {
        let session = Self::new(manager, None, Vec::new());
        {
            let mut state = session.0.state();
            state.phase = Phase::Destroyed;
            state.message = if was_there { Message::Forget } else { Message::Nothing };
        }
        session
    }

    /// The value under a key, `None` when there is none. Shows this request's own changes, and after the release
    /// what was committed.
    ///
    /// [`Codec`](ErrorKind::Codec) when the stored value is not a `T`.
    ///
    /// ```
    /// # fn demo(session: &session_core::Session) -> session_core::Result<()> {
    /// let visits: Option<u32> = session.get("visits")?;
    /// let again = session.get::<u32>("visits")?;
    /// # let _ = (visits, again); Ok(()) }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: impl ReadKey<T>) -> Result<Option<T>> {
        let value = self.value(key.name());
        value.map(|value| value.decode()).transpose().map_err(|error| error.during("get"))
    }

    /// Sets the value under a key.
    ///
    /// When two requests `get` and then `set` one key at the same time, the last one to be released wins: what
    /// is computed from the old value belongs into [`update`](Self::update).
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) when the session then has more keys or bytes than allowed (it stays as it
    /// was), [`Codec`](ErrorKind::Codec) when the value cannot be encoded, [`Released`](ErrorKind::Released) after
    /// the release.
    pub fn set<V: Serialize + ?Sized>(&self, key: impl WriteKey<V>, value: &V) -> Result<()> {
        let value = Value::encode(value).map_err(|error| error.during("set"))?;
        self.set_value(key.name(), value)
    }

    /// Changes the value under a key by a function of the old one, and returns the new value *as of now*.
    ///
    /// The function runs again on the newer value when another request changed the session meanwhile, so that N
    /// increments count N; it should have no side effects. What was committed is what
    /// [`get`](Self::get) shows after [`release`](Self::release).
    ///
    /// ```
    /// # fn demo(session: &session_core::Session) -> session_core::Result<()> {
    /// session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    /// # Ok(()) }
    /// ```
    pub fn update<T, F>(&self, key: impl ReadKey<T>, mut function: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        // The function runs without the lock: it may look at the session.
        let (mut state, new) = loop {
            let old = {
                let state = self.0.state();
                state.must_be_active("update")?;
                state.body.get(key.name()).cloned()
            };
            let new = function(old.as_ref().map(Value::decode).transpose()?);
            let value = Value::encode(&new)?;
            let mut state = self.0.state();
            state.must_be_active("update")?;
            if state.body.get(key.name()) == old.as_ref() {
                self.insert(&mut state, key.name(), value, "update")?;
                break (state, new);
            }
        };
        let again = move |old: Option<&Value>| Value::encode(&function(old.map(Value::decode).transpose()?));
        state.note(|| Change::Update(key.name().into(), Box::new(again)));
        Ok(new)
    }

    /// Removes the value under a key and returns it. Of two requests that take one value at the same time only
    /// one can be released, the other's release is [`Conflict`](ErrorKind::Conflict): right for one-time values.
    pub fn take<T: DeserializeOwned>(&self, key: impl ReadKey<T>) -> Result<Option<T>> {
        let mut state = self.0.state();
        state.must_be_active("take")?;
        let Some(value) = state.body.get(key.name()).cloned() else { return Ok(None) };
        let decoded = value.decode().map_err(|error| error.during("take"))?;
        state.body.remove(key.name());
        state.note(|| Change::Take(key.name().into(), value));
        Ok(Some(decoded))
    }

    /// Deletes a key, and says whether it was there.
    pub fn delete(&self, key: impl AnyKey) -> Result<bool> {
        let mut state = self.0.state();
        state.must_be_active("delete")?;
        let found = state.body.remove(key.name());
        state.note(|| Change::Delete(key.name().into()));
        Ok(found)
    }

    /// Deletes every key; the session itself goes on. See [`destroy`](Self::destroy) for a logout.
    pub fn flush(&self) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("flush")?;
        state.body.clear();
        state.note(|| Change::Flush);
        Ok(())
    }

    /// The keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.0.state().body.iter().map(|(key, _)| key.to_owned()).collect()
    }

    /// Whether there is a value under the key.
    pub fn contains(&self, key: impl AnyKey) -> bool {
        self.0.state().body.get(key.name()).is_some()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.state().body.is_empty()
    }

    /// Gives the session a new id at the release and makes the old one useless, keeping the data. Call it at sign-in and
    /// whenever rights change (OWASP "session fixation", ASVS 7.2.4).
    ///
    /// Costs nothing now; the release then takes two round trips instead of one, one on SQL engines.
    pub fn regenerate(&self) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("regenerate")?;
        state.plan.regenerate = true;
        Ok(())
    }

    /// Says whose session this is, by the application's user id (stored as a hash), or that it is nobody's.
    pub fn set_owner(&self, user_id: Option<&str>) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("set_owner")?;
        state.plan.owner = Some(NewOwner(user_id.map(Owner::of)));
        Ok(())
    }

    /// Gives the session one of the idle times that the manager was configured with, by name
    /// (`"remember"`); `"default"` is the ordinary one. The id is regenerated.
    ///
    /// [`Config`](ErrorKind::Config) when there is no such class.
    pub fn set_class(&self, name: &str) -> Result<()> {
        let class = self.0.manager.classes.by_name(name)?;
        let mut state = self.0.state();
        state.must_be_active("set_class")?;
        state.plan.class = Some(class);
        Ok(())
    }

    /// What the client holds or, after the release, must hold from now on; `None` while nothing is stored.
    pub fn token(&self) -> Option<Token> {
        self.0.state().stored.as_ref().map(|stored| stored.token.clone())
    }

    /// Whether there is nothing in the store for this session (yet).
    pub fn is_new(&self) -> bool {
        self.0.state().stored.is_none()
    }

    /// When the session ends unless it is used; `None` while nothing is stored.
    pub fn idle_deadline(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.deadline)
    }

    /// When the session ends whatever its user does; `None` while nothing is stored.
    pub fn absolute_deadline(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.absolute)
    }

    /// When the session was first stored; `None` while nothing is stored.
    pub fn created(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.created)
    }

    /// A snapshot of all keys and encoded values.
    pub fn body(&self) -> Body {
        self.0.state().body.clone()
    }

    /// Stores what changed. After it the handle shows the committed values and takes no more changes.
    ///
    /// A session that was never written to is not created, an unchanged one not rewritten (at most its idle
    /// deadline is moved). On a conflict this request's changes are applied to the newer record and stored again,
    /// until the operation's deadline. Calling it again does nothing. Adapters call it; call it yourself when the
    /// answer depends on what was committed, or outside of a web framework.
    ///
    /// Round trips: nothing to store 0 (1 when the idle deadline is due to be moved by a write), create 1,
    /// update 1, regenerate 2 (1 on SQL engines); two more for each conflict.
    ///
    /// [`Gone`](ErrorKind::Gone) or [`Expired`](ErrorKind::Expired) when the session ended meanwhile,
    /// [`Conflict`](ErrorKind::Conflict), [`Unavailable`](ErrorKind::Unavailable),
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown), [`TooLarge`](ErrorKind::TooLarge): nothing is stored (at most
    /// once with `OutcomeUnknown`), and the handle takes no more changes.
    pub async fn release(&self) -> Result<()> {
        commit::release(&self.0, commit::Create::Allowed).await
    }

    /// As [`release`](Self::release), but a session that is not in the store is not created.
    pub async fn release_if_present(&self) -> Result<()> {
        commit::release(&self.0, commit::Create::Never).await
    }

    /// Ends the session in the store, now: a logout. Every other request that still holds it fails to store
    /// into it, and its id finds nothing. One round trip; none when nothing is stored.
    ///
    /// `Ok` also when it had ended already. Every live session whose cookie came with the request is ended.
    pub async fn destroy(&self) -> Result<()> {
        commit::destroy(&self.0).await
    }

    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.0.state().body.get(key).cloned()
    }

    pub(crate) fn set_value(&self, key: &str, value: Value) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("set")?;
        self.insert(&mut state, key, value.clone(), "set")?;
        match state.changes.last_mut() {
            Some(Change::Set(last, old)) if last == key => *old = value,
            _ => state.note(|| Change::Set(key.into(), value)),
        }
        Ok(())
    }

    /// Puts a value into what the handler sees, unless the session would become too large.
    fn insert(&self, state: &mut State, key: &str, value: Value, operation: &'static str) -> Result<()> {
        let old = state.body.get(key);
        let keys = state.body.len() + usize::from(old.is_none());
        let replaced = old.map_or(0, |old| key.len() + old.as_encoded().len());
        let bytes = state.body.bytes() - replaced + key.len() + value.as_encoded().len();
        self.0.manager.limits.check(keys, bytes).map_err(|error| error.during(operation))?;
        state.body.insert(key, value);
        Ok(())
    }

    pub(crate) fn phase(&self) -> Phase {
        self.0.state().phase
    }

    pub(crate) fn message(&self) -> Message {
        self.0.state().message.clone()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        f.debug_struct("Session")
            .field("id", &state.stored.as_ref().map(|stored| &stored.id))
            .field("phase", &state.phase)
            .field("keys", &state.body.len())
            .finish()
    }
}

/// How large a session may become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub keys: usize,
    pub bytes: usize,
}

impl Limits {
    pub(crate) fn check(self, keys: usize, bytes: usize) -> Result<()> {
        if keys > self.keys {
            let message = format!("more than {} keys; raise max_keys, or store them elsewhere", self.keys);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if bytes > self.bytes {
            let message = format!("more than {} bytes; raise max_bytes, or store them elsewhere", self.bytes);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}
