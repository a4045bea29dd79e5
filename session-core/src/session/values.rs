//! Reads and changes values.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AnyKey, ReadKey, Session, WriteKey};
use crate::live::{Change, State};
use crate::record::Value;
use crate::{Error, ErrorKind, Result};

impl Session {
    /// Returns the value of a key; `None` when there is none. It includes this request's own
    /// changes, and after the release it is the committed value.
    ///
    /// [`Codec`](ErrorKind::Codec), with the name of the key, when the stored value is not a `T`;
    /// [`get_or_default`](Self::get_or_default) and [`get_or_remove`](Self::get_or_remove) ignore
    /// such a value.
    ///
    /// ```
    /// # fn demo(session: &session_core::Session) -> session_core::Result<()> {
    /// let visits: Option<u32> = session.get("visits")?;
    /// let again = session.get::<u32>("visits")?;
    /// # let _ = (visits, again); Ok(()) }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: impl ReadKey<T>) -> Result<Option<T>> {
        let Some(value) = self.value(key.name()) else { return Ok(None) };
        value.decode().map(Some).map_err(|error| unreadable("get", key.name(), error))
    }

    /// Returns the value of a key, or the type's default when there is none or it is not a `T`
    /// (which is reported as a `warn` event). Changes nothing.
    pub fn get_or_default<T: DeserializeOwned + Default>(&self, key: impl ReadKey<T>) -> T {
        self.readable(key.name()).unwrap_or_default()
    }

    /// Returns the value of a key. A value that is not a `T`, for example because the type has
    /// changed since, is deleted and reported as a `warn` event, and the result is `None`.
    ///
    /// [`Released`](ErrorKind::Released) when the value must be deleted and the session was
    /// released.
    pub fn get_or_remove<T: DeserializeOwned>(&self, key: impl ReadKey<T>) -> Result<Option<T>> {
        let Some(value) = self.value(key.name()) else { return Ok(None) };
        let found = self.readable(key.name());
        if found.is_none() {
            let mut state = self.0.state();
            state.must_be_active("get_or_remove")?;
            // Another request may have stored a readable value: that one stays.
            if state.body.get(key.name()) == Some(&value) {
                state.body.remove(key.name());
                state.note(|| Change::Discard(key.name().into(), value));
            }
        }
        Ok(found)
    }

    /// Returns all keys and values as `T`, in the order of the keys; for sessions whose values have
    /// one type.
    ///
    /// [`Codec`](ErrorKind::Codec), with the name of the key, when one of them is not a `T`.
    pub fn entries<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>> {
        let body = self.body();
        let decoded = body.iter().filter(is_the_applications).map(|(key, value)| {
            let value = value.decode().map_err(|error| unreadable("entries", key, error))?;
            Ok((key.to_owned(), value))
        });
        decoded.collect()
    }

    /// Sets the value of a key.
    ///
    /// When two concurrent requests `get` and then `set` one key, the last one to be released wins:
    /// compute a value from the old one with [`update`](Self::update).
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) when the session would exceed the allowed number of keys
    /// or bytes (it stays unchanged), [`Codec`](ErrorKind::Codec) when the value cannot be encoded,
    /// [`Released`](ErrorKind::Released) after the release.
    #[doc(alias = "insert")]
    pub fn set<V: Serialize + ?Sized>(&self, key: impl WriteKey<V>, value: &V) -> Result<()> {
        let value = Value::encode(value).map_err(|error| unreadable("set", key.name(), error))?;
        self.set_value(key.name(), value)
    }

    /// Changes the value of a key with a function of the old value, and returns the new value *as
    /// of now*.
    ///
    /// The function runs again on the newer value when another request has changed the session
    /// meanwhile, so that N increments count N; it should have no side effects. [`get`](Self::get)
    /// returns the committed value after [`release`](Self::release).
    ///
    /// [`Codec`](ErrorKind::Codec), with the name of the key, when the stored value is not a `T`;
    /// see [`update_or_replace`](Self::update_or_replace).
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
        self.change::<false, _, _, _>(key.name(), "update", move |old| Ok(function(old)))
    }

    /// Like [`update`](Self::update), but a stored value that is not a `T` counts as `None` and is
    /// replaced.
    pub fn update_or_replace<T, F>(&self, key: impl ReadKey<T>, mut function: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        self.change::<true, _, _, _>(key.name(), "update", move |old| Ok(function(old)))
    }

    /// Like [`update`](Self::update), with a function that can fail: its error is returned and
    /// nothing is changed.
    ///
    /// When it fails on a newer value at the release, the release fails with
    /// [`Conflict`](ErrorKind::Conflict) and the function's error as its source.
    ///
    /// ```
    /// # fn demo(session: &session_core::Session) -> session_core::Result<()> {
    /// use session_core::{Error, ErrorKind};
    ///
    /// session.try_update("credit", |credit: Option<u32>| {
    ///     let left = credit.unwrap_or(0).checked_sub(5);
    ///     left.ok_or_else(|| Error::new(ErrorKind::Conflict, "not enough credit"))
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn try_update<T, E, F>(&self, key: impl ReadKey<T>, function: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error> + Into<Box<dyn std::error::Error + Send + Sync>>,
        F: FnMut(Option<T>) -> Result<T, E> + Send + 'static,
    {
        self.change::<false, _, _, _>(key.name(), "try_update", function)
    }

    /// Removes the value of a key and returns it. Of two concurrent requests that take one value,
    /// only one can be released; the other's release fails with [`Conflict`](ErrorKind::Conflict).
    /// Use it for one-time values.
    ///
    /// [`Codec`](ErrorKind::Codec), with the name of the key, when the stored value is not a `T`;
    /// the value then stays.
    pub fn take<T: DeserializeOwned>(&self, key: impl ReadKey<T>) -> Result<Option<T>> {
        loop {
            let Some(value) = self.value(key.name()) else {
                return self.0.state().must_be_active("take").map(|()| None);
            };
            // Decoded without the lock, because a `Deserialize` may read the session.
            let decoded = value.decode().map_err(|error| unreadable("take", key.name(), error))?;
            let mut state = self.0.state();
            state.must_be_active("take")?;
            if state.body.get(key.name()) == Some(&value) {
                state.body.remove(key.name());
                state.note(|| Change::Take(key.name().into(), value));
                return Ok(Some(decoded));
            }
        }
    }

    /// Removes the value of a key and returns it; the last request to be released wins. Use
    /// [`take`](Self::take) for values that only one request may get. A value that is not a `T` is
    /// removed and reported as a `warn` event, and the result is `None`.
    pub fn remove<T: DeserializeOwned>(&self, key: impl ReadKey<T>) -> Result<Option<T>> {
        let found = self.readable(key.name());
        self.delete_key(key.name())?;
        Ok(found)
    }

    /// Deletes a key, and returns whether it existed.
    pub fn delete(&self, key: impl AnyKey) -> Result<bool> {
        self.delete_key(key.name())
    }

    /// Deletes every key; the session itself remains. See [`destroy`](Self::destroy) for a logout.
    #[doc(alias = "clear")]
    pub fn flush(&self) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("flush")?;
        state.body.clear();
        state.note(|| Change::Flush);
        Ok(())
    }

    /// Returns the keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        let state = self.0.state();
        state.body.iter().filter(is_the_applications).map(|(key, _)| key.to_owned()).collect()
    }

    /// Returns whether the key has a value.
    pub fn contains(&self, key: impl AnyKey) -> bool {
        self.0.state().body.get(key.name()).is_some()
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        !self.0.state().body.iter().any(|entry| is_the_applications(&entry))
    }

    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.0.state().body.get(key).cloned()
    }

    /// Returns the value of a key if it is a `T`, and reports it otherwise.
    fn readable<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let decoded = self.value(key)?.decode();
        decoded.map_err(|error| crate::observe::unreadable_value(key, &error)).ok()
    }

    fn delete_key(&self, key: &str) -> Result<bool> {
        let mut state = self.0.state();
        state.must_be_active("delete")?;
        let found = state.body.remove(key);
        state.note(|| Change::Delete(key.into()));
        Ok(found)
    }

    pub(crate) fn set_value(&self, key: &str, value: Value) -> Result<()> {
        let mut state = self.0.state();
        state.must_be_active("set")?;
        self.insert(&mut state, key, value.clone(), "set")?;
        state.note(|| Change::Set(key.into(), value));
        Ok(())
    }

    /// Changes a value with a function now, and records the function, so that it runs again on a
    /// newer record. With `LENIENT`, a value that is not a `T` counts as `None`.
    ///
    /// The recorded closure contains only the function: boxing one without state allocates nothing.
    fn change<const LENIENT: bool, T, E, F>(
        &self,
        key: &str,
        operation: &'static str,
        mut function: F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error> + Into<Box<dyn std::error::Error + Send + Sync>>,
        F: FnMut(Option<T>) -> Result<T, E> + Send + 'static,
    {
        let failed = move |key: &str, error| unreadable(operation, key, error);
        // The function runs without the lock, because it may read the session.
        let (mut state, new, value) = loop {
            let old = {
                let state = self.0.state();
                state.must_be_active(operation)?;
                state.body.get(key).cloned()
            };
            let decoded = read::<LENIENT, T>(old.as_ref()).map_err(|error| failed(key, error))?;
            let new = function(decoded)?;
            let value = Value::encode(&new).map_err(|error| failed(key, error))?;
            let mut state = self.0.state();
            state.must_be_active(operation)?;
            if state.body.get(key) == old.as_ref() {
                self.insert(&mut state, key, value.clone(), operation)?;
                break (state, new, value);
            }
        };
        state.note_update(key, value, || {
            let again = move |old: Option<&Value>| {
                let refused = |error: E| {
                    let message = "the function of `try_update` failed on the newer value";
                    Error::new(ErrorKind::Conflict, message).with_source(error)
                };
                Value::encode(&function(read::<LENIENT, T>(old)?).map_err(refused)?)
            };
            Box::new(again)
        });
        Ok(new)
    }

    /// Puts a value into the handler's body, unless the session would become too large.
    pub(super) fn insert(
        &self,
        state: &mut State,
        key: &str,
        value: Value,
        operation: &'static str,
    ) -> Result<()> {
        let old = state.body.get(key);
        let keys = state.body.len() + usize::from(old.is_none());
        let replaced = old.map_or(0, |old| key.len() + old.as_encoded().len());
        let bytes = state.body.bytes() - replaced + key.len() + value.as_encoded().len();
        self.0.shared.limits.check(keys, bytes).map_err(|error| error.during(operation))?;
        state.body.insert(key, value);
        Ok(())
    }
}

/// Returns whether a key belongs to the application and not to the library.
fn is_the_applications((key, _): &(&str, &Value)) -> bool {
    !key.starts_with('~')
}

fn read<const LENIENT: bool, T: DeserializeOwned>(value: Option<&Value>) -> Result<Option<T>> {
    match value.map(Value::decode) {
        Some(Err(_)) if LENIENT => Ok(None),
        decoded => decoded.transpose(),
    }
}

/// Adds the key to an error of the codec.
fn unreadable(operation: &'static str, key: &str, error: Error) -> Error {
    let message = format!("key `{}`: {}", key.escape_debug(), error.message());
    Error::new(error.kind(), message).during(operation).with_source(error)
}
