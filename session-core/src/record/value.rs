//! A stored value: any `serde` type as `MessagePack` with field names, so that it describes itself.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::msgpack;
use crate::{Error, ErrorKind, Result};

/// The largest buffer that a thread keeps.
const KEPT: usize = 64 << 10;

thread_local! {
    /// Where values are encoded, so that each then takes just the memory that it needs.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An encoded value. Cloning shares the bytes, and `Debug` shows only how many there are.
///
/// Equal values have equal bytes, also when they hold a `HashMap` or a `HashSet` (of the standard library or of
/// `hashbrown`), whose entries are sorted. The exceptions are unordered collections of other crates, and a
/// `HashMap` that serde flattens into a struct or puts beside an internal tag: their entries are stored in the order in which
/// they come.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<[u8]>);

impl Value {
    /// Encodes a value.
    ///
    /// [`Codec`](ErrorKind::Codec) when its `Serialize` fails, and when it nests deeper than 127 levels: what is
    /// encoded can be decoded.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        // Taken out while it is used: a `Serialize` may encode other values.
        let mut buffer = BUFFER.take();
        buffer.clear();
        let written = msgpack::encode(value, &mut buffer);
        let bytes = Arc::<[u8]>::from(&buffer[..]);
        if buffer.capacity() <= KEPT {
            BUFFER.set(buffer);
        }
        written.map_err(|error| {
            Error::new(ErrorKind::Codec, format!("the value cannot be stored: {error}")).with_source(error)
        })?;
        Ok(Self(bytes))
    }

    /// Decodes the value as `T`; [`Codec`](ErrorKind::Codec) when it is of another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        msgpack::decode(&self.0).map_err(|error| {
            let expected = std::any::type_name::<T>();
            Error::new(ErrorKind::Codec, format!("the stored value is not a {expected}: {error}"))
                .with_source(error)
        })
    }

    /// A value that is `MessagePack` already.
    #[must_use]
    pub fn from_encoded(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The encoded form.
    pub fn as_encoded(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}
