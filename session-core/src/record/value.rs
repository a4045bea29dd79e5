//! A stored value: any `serde` type as `MessagePack` with field names, so that it is
//! self-describing.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::msgpack;
use crate::{Error, ErrorKind, Result};

/// The largest buffer that a thread keeps for reuse.
const KEPT: usize = 64 << 10;

thread_local! {
    /// The buffer in which values are encoded, so that each then allocates exactly the memory that
    /// it needs.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An encoded value. Clones share the bytes, and `Debug` prints only their number.
///
/// Equal values have equal bytes, even if they contain a `HashMap` or a `HashSet` (of the standard
/// library or of `hashbrown`), whose entries are sorted. The exceptions are unordered collections
/// of other crates, and a `HashMap` that serde flattens into a struct or combines with an internal
/// tag: their entries are stored in iteration order.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<[u8]>);

impl Value {
    /// Encodes a value.
    ///
    /// [`Codec`](ErrorKind::Codec) when its `Serialize` fails, or when it nests deeper than 127
    /// levels: every encoded value can be decoded.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        // Taken out while it is used, because a `Serialize` may encode other values.
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

    /// Decodes the value as `T`; [`Codec`](ErrorKind::Codec) when it has another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        msgpack::decode(&self.0).map_err(|error| {
            let expected = std::any::type_name::<T>();
            Error::new(ErrorKind::Codec, format!("the stored value is not a {expected}: {error}"))
                .with_source(error)
        })
    }

    /// Wraps bytes that are already `MessagePack`.
    #[must_use]
    pub fn from_encoded(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Returns the encoded form.
    pub fn as_encoded(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}
