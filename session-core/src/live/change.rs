//! The changes of a request to its session, kept so that they can be reapplied to a newer record.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use smol_str::SmolStr;

use crate::record::{Body, Value};
use crate::{Error, ErrorKind, Result};

pub(crate) type Updating = Box<dyn FnMut(Option<&Value>) -> Result<Value> + Send>;

/// One change. Applying the same list to a newer body is how concurrent requests are merged.
pub(crate) enum Change {
    Set(SmolStr, Value),
    Delete(SmolStr),
    /// Delete if the value is still the one that was returned to the caller; a conflict otherwise.
    Take(SmolStr, Value),
    /// Delete, and record whether the key existed: a request that lost the race finds it gone, and
    /// continues.
    Claim(SmolStr, Arc<AtomicBool>),
    /// Delete if the value is still the one that could not be decoded.
    Discard(SmolStr, Value),
    Update(SmolStr, Updating),
    Flush,
}

impl Change {
    /// Adds a change to a list, and drops earlier changes that it makes irrelevant. The length of
    /// the list is bounded by the number of keys as long as changes do not depend on stored values.
    pub(crate) fn push(list: &mut Vec<Self>, change: Self) {
        match &change {
            // This request set the value, so no other request can take it.
            Self::Take(key, _) if is_set_here(list, key) => {
                let key = key.clone();
                Self::drop_overwritten(list, &key);
                list.push(Self::Delete(key));
                return;
            }
            Self::Set(key, _) | Self::Delete(key) => Self::drop_overwritten(list, key),
            Self::Flush => Self::drop_flushed(list),
            Self::Take(..) | Self::Claim(..) | Self::Discard(..) | Self::Update(..) => {}
        }
        list.push(change);
    }

    /// Adds an update that has led to `value`. If an earlier change in the list determines its
    /// input, this is the same as setting the value.
    pub(crate) fn push_update(
        list: &mut Vec<Self>,
        key: &str,
        value: Value,
        again: impl FnOnce() -> Updating,
    ) {
        let newest = list.iter().rev().find(|change| change.key().is_none_or(|other| other == key));
        if matches!(newest, Some(Self::Set(..) | Self::Delete(_) | Self::Flush)) {
            Self::push(list, Self::Set(key.into(), value));
        } else {
            list.push(Self::Update(key.into(), again()));
        }
    }

    /// Drops all changes to a key that no other request can know.
    pub(crate) fn forget(list: &mut Vec<Self>, key: &str) {
        list.retain(|change| change.key() != Some(key));
    }

    /// Drops the changes to a key since it was last taken.
    fn drop_overwritten(list: &mut Vec<Self>, key: &str) {
        // The list is short, and usually the last entry matches, so a scan from the end is enough.
        let of_key = |change: &Self| change.key() == Some(key);
        let taken = list.iter().rposition(|change| of_key(change) && matches!(change, Self::Take(..)));
        let mut at = 0;
        list.retain(|change| {
            at += 1;
            taken.is_some_and(|taken| at <= taken + 1) || !of_key(change)
        });
    }

    /// Drops the changes that a flush makes irrelevant. A take stays, with the changes that led to
    /// its value: it must still find the value.
    fn drop_flushed(list: &mut Vec<Self>) {
        let mut taken = Vec::new();
        for change in std::mem::take(list).into_iter().rev() {
            if let Self::Take(key, _) = &change {
                taken.push(key.clone());
            }
            // An earlier flush is one of the changes that led to a value that was taken after it.
            let is_needed = |key: &str| taken.iter().any(|other| other == key);
            if change.key().map_or(!taken.is_empty(), is_needed) {
                list.push(change);
            }
        }
        list.reverse();
    }

    fn key(&self) -> Option<&str> {
        match self {
            Self::Set(key, _)
            | Self::Delete(key)
            | Self::Take(key, _)
            | Self::Claim(key, _)
            | Self::Discard(key, _)
            | Self::Update(key, _) => Some(key),
            Self::Flush => None,
        }
    }

    /// Applies the change to `body`. [`Conflict`](ErrorKind::Conflict) when another request took
    /// the value.
    pub(crate) fn apply(&mut self, body: &mut Body) -> Result<()> {
        match self {
            Self::Set(key, value) => body.insert(key, value.clone()),
            Self::Delete(key) => {
                body.remove(key);
            }
            Self::Take(key, taken) => {
                if body.get(key) != Some(taken) {
                    let message = "another request took or changed the value first";
                    return Err(Error::new(ErrorKind::Conflict, message));
                }
                body.remove(key);
            }
            Self::Claim(key, won) => won.store(body.remove(key), Ordering::Relaxed),
            Self::Discard(key, unreadable) => {
                if body.get(key) == Some(unreadable) {
                    body.remove(key);
                }
            }
            Self::Update(key, function) => {
                let value = function(body.get(key))?;
                body.insert(key, value);
            }
            Self::Flush => body.clear(),
        }
        Ok(())
    }
}

/// Returns whether the value of the key was set in this list, so that it does not depend on the
/// stored record.
fn is_set_here(list: &[Change], key: &str) -> bool {
    let newest = list.iter().rev().find(|change| change.key().is_none_or(|other| other == key));
    matches!(newest, Some(Change::Set(..)))
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(key, _) => write!(f, "Set({key:?})"),
            Self::Delete(key) => write!(f, "Delete({key:?})"),
            Self::Take(key, _) => write!(f, "Take({key:?})"),
            Self::Claim(key, _) => write!(f, "Claim({key:?})"),
            Self::Discard(key, _) => write!(f, "Discard({key:?})"),
            Self::Update(key, _) => write!(f, "Update({key:?})"),
            Self::Flush => f.write_str("Flush"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(number: u64) -> Value {
        Value::encode(&number).unwrap()
    }

    fn list(changes: impl IntoIterator<Item = Change>) -> Vec<Change> {
        let mut list = Vec::new();
        changes.into_iter().for_each(|change| Change::push(&mut list, change));
        list
    }

    #[test]
    fn repeated_changes_of_a_key_keep_the_last() {
        let alternating =
            (0..50_000).map(|n| Change::Set(if n % 2 == 0 { "a" } else { "b" }.into(), value(n)));
        assert_eq!(list(alternating).len(), 2);
        let mut updated = vec![Change::Set("a".into(), value(0))];
        (1..50_000).for_each(|n| Change::push_update(&mut updated, "a", value(n), add));
        assert!(matches!(&updated[..], [Change::Set(_, last)] if *last == value(49_999)));
        let flushes = (0..100).flat_map(|n| [Change::Set("a".into(), value(n)), Change::Flush]);
        assert_eq!(list(flushes).len(), 1);
        let taken =
            (0..100).flat_map(|n| [Change::Set("a".into(), value(n)), Change::Take("a".into(), value(n))]);
        assert_eq!(list(taken).len(), 1);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(u8, u64),
        Delete(u8),
        Take(u8),
        Add(u8),
        Flush,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..3_u8, 0..4_u64).prop_map(|(key, value)| Step::Set(key, value)),
            (0..3_u8).prop_map(Step::Delete),
            (0..3_u8).prop_map(Step::Take),
            (0..3_u8).prop_map(Step::Add),
            Just(Step::Flush),
        ];
        prop::collection::vec(step, 0..12)
    }

    fn add() -> Updating {
        Box::new(|old: Option<&Value>| {
            Value::encode(&(old.map(Value::decode::<u64>).transpose()?.unwrap_or(0) + 10))
        })
    }

    /// The changes of a handler that sees `body` while it makes them.
    fn make(steps: &[Step], body: &mut Body, mut note: impl FnMut(Change, &Body)) {
        for step in steps {
            let name = |key: &u8| ["a", "b", "c"][usize::from(*key)];
            let mut change = match step {
                Step::Set(key, number) => Change::Set(name(key).into(), value(*number)),
                Step::Delete(key) => Change::Delete(name(key).into()),
                Step::Take(key) => match body.get(name(key)) {
                    Some(value) => Change::Take(name(key).into(), value.clone()),
                    None => continue,
                },
                Step::Add(key) => Change::Update(name(key).into(), add()),
                Step::Flush => Change::Flush,
            };
            change.apply(body).unwrap();
            note(change, body);
        }
    }

    fn body(numbers: &[Option<u64>; 3]) -> Body {
        let mut body = Body::default();
        for (key, number) in ["a", "b", "c"].iter().zip(numbers) {
            if let Some(number) = number {
                body.insert(key, value(*number));
            }
        }
        body
    }

    proptest! {
        /// Dropping changes from the list makes no difference, whatever record the list is applied
        /// to.
        #[test]
        fn a_shorter_list_does_the_same(
            steps in steps(),
            seen in prop::array::uniform3(prop::option::of(0..4_u64)),
            newer in prop::array::uniform3(prop::option::of(0..4_u64)),
        ) {
            let (mut all, mut short) = (Vec::new(), Vec::new());
            make(&steps, &mut body(&seen), |change, _| all.push(change));
            make(&steps, &mut body(&seen), |change, body| match change {
                Change::Update(key, again) => {
                    let value = body.get(&key).expect("an update leaves a value").clone();
                    Change::push_update(&mut short, &key, value, || again);
                }
                change => Change::push(&mut short, change),
            });
            let applied = |list: &mut [Change]| {
                let mut body = body(&newer);
                list.iter_mut().try_for_each(|change| change.apply(&mut body)).map(|()| body)
            };
            let (all, short) = (applied(&mut all), applied(&mut short));
            prop_assert_eq!(all.map_err(|error| error.kind()), short.map_err(|error| error.kind()));
        }
    }
}
