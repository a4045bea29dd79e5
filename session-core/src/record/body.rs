//! The body: the application's keys and values, and their encoding (`bincode` 2, used only here).

use std::sync::Arc;

use smol_str::SmolStr;

use super::Value;
use crate::{Error, ErrorKind, Result};

/// The keys and values of a session, sorted by key. Clones share them; changing a shared body
/// copies its list, but not the other values. A key of up to 23 bytes is stored inline in the list.
#[derive(Debug, Clone, Default)]
pub struct Body(Option<Arc<Vec<(SmolStr, Value)>>>);

impl Body {
    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position(key).ok().map(|at| &self.entries()[at].1)
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: &str, value: Value) {
        let position = self.position(key);
        let entries = Arc::make_mut(self.0.get_or_insert_default());
        match position {
            Ok(at) => entries[at].1 = value,
            Err(at) => {
                // A stored body may stay in memory for long, so no spare capacity, except for a
                // second key, which is common.
                entries.reserve_exact(if entries.is_empty() { 2 } else { 1 });
                entries.insert(at, (key.into(), value));
            }
        }
    }

    /// Removes a key, and returns whether it existed.
    pub fn remove(&mut self, key: &str) -> bool {
        let found = self.position(key);
        if let (Ok(at), Some(entries)) = (found, &mut self.0) {
            Arc::make_mut(entries).remove(at);
        }
        found.is_ok()
    }

    /// Removes all keys.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Iterates over the keys and values, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries().iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Returns the size of all keys and values together, in bytes.
    pub fn bytes(&self) -> usize {
        self.iter().map(|(key, value)| key.len() + value.as_encoded().len()).sum()
    }

    /// Returns the list. An empty body may or may not have one.
    fn entries(&self) -> &[(SmolStr, Value)] {
        self.0.as_ref().map_or(&[], |entries| entries)
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries().binary_search_by(|(other, _)| other.as_str().cmp(key))
    }

    /// Appends the encoded form to `out`.
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) -> Result<()> {
        write(&(self.len() as u64), out)?;
        for (key, value) in self.iter() {
            write(key, out)?;
            write(value.as_encoded(), out)?;
        }
        Ok(())
    }

    /// Reads the encoded form, which must fill `bytes` exactly.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let count: u64 = read(&mut rest)?;
        // Each entry takes at least two bytes, so the input bounds the allocation for a false
        // count.
        if count > (rest.len() / 2) as u64 {
            return Err(corrupt("its number of keys exceeds its size"));
        }
        let mut entries = Vec::<(SmolStr, Value)>::with_capacity(usize::try_from(count).unwrap_or(0));
        for _ in 0..count {
            let key: &str = read(&mut rest)?;
            let value: &[u8] = read(&mut rest)?;
            if entries.last().is_some_and(|(last, _)| last.as_str() >= key) {
                return Err(corrupt("its keys are not in order"));
            }
            entries.push((key.into(), Value::from_encoded(value)));
        }
        if !rest.is_empty() {
            return Err(corrupt("there are extra bytes after its last value"));
        }
        Ok(Self(Some(Arc::new(entries))))
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl Eq for Body {}

fn write<T: bincode::Encode + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    bincode::encode_into_writer(value, Appender(out), bincode::config::standard()).map_err(|error| {
        Error::new(ErrorKind::Codec, "the record cannot be encoded").with_source(error.to_string())
    })
}

fn read<'a, T: bincode::BorrowDecode<'a, ()>>(rest: &mut &'a [u8]) -> Result<T> {
    let (value, used) = bincode::borrow_decode_from_slice(rest, bincode::config::standard())
        .map_err(|error| corrupt("its body is truncated or damaged").with_source(error.to_string()))?;
    *rest = &rest[used..];
    Ok(value)
}

struct Appender<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

pub(super) fn corrupt(why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, why)
}
