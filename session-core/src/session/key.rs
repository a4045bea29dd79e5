//! Keys: strings, or constants that carry the type of their value.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

/// A key whose value has the type `T`; the compiler checks every use.
///
/// ```
/// use session_core::key::Key;
/// const VISITS: Key<u64> = Key::new("visits");
/// const NAME: Key<String> = Key::new("name");
/// # fn demo(session: &session_core::Session) -> session_core::Result<()> {
/// session.set(NAME, "ada")?;
/// let visits = session.get(VISITS)?.unwrap_or(0);
/// # let _ = visits; Ok(()) }
/// ```
pub struct Key<T>(&'static str, PhantomData<fn() -> T>);

impl<T> Key<T> {
    /// Creates the key with this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name, PhantomData)
    }

    /// Returns the name under which the value is stored.
    pub const fn name(&self) -> &'static str {
        self.0
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.0)
    }
}

/// A key for reading a value of type `T`: a [`Key<T>`], or a string for any `T`.
pub trait ReadKey<T> {
    /// The name of the key.
    fn name(&self) -> &str;
}

/// A key for writing a value of type `V`: a [`Key`] of a type that borrows as `V`, or a string.
pub trait WriteKey<V: ?Sized> {
    /// The name of the key.
    fn name(&self) -> &str;
}

/// A key, whatever the type of its value.
pub trait AnyKey {
    /// The name of the key.
    fn name(&self) -> &str;
}

impl<T> ReadKey<T> for Key<T> {
    fn name(&self) -> &str {
        self.0
    }
}

impl<T: Borrow<V>, V: ?Sized> WriteKey<V> for Key<T> {
    fn name(&self) -> &str {
        self.0
    }
}

impl<T> AnyKey for Key<T> {
    fn name(&self) -> &str {
        self.0
    }
}

macro_rules! strings_are_keys {
    ($($string:ty),+) => {$(
        impl<T> ReadKey<T> for $string {
            fn name(&self) -> &str {
                self
            }
        }

        impl<V: ?Sized> WriteKey<V> for $string {
            fn name(&self) -> &str {
                self
            }
        }

        impl AnyKey for $string {
            fn name(&self) -> &str {
                self
            }
        }
    )+};
}

strings_are_keys!(&str, &String, String);
