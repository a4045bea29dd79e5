//! A stored value: any `serde` type as `MessagePack` with field names, so that it describes itself.

use std::cell::Cell;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Result};

/// How deep a stored value may nest before it is refused.
const MAX_DEPTH: usize = 128;

/// The largest buffer that a thread keeps.
const KEPT: usize = 64 << 10;

thread_local! {
    /// Where values are encoded, so that each then takes just the memory that it needs.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An encoded value. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value(Arc<[u8]>);

impl Value {
    /// Encodes a value; [`Codec`](ErrorKind::Codec) when its `Serialize` fails.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        // Taken out while it is used: a `Serialize` may encode other values.
        let mut buffer = BUFFER.take();
        buffer.clear();
        let written = rmp_serde::encode::write_named(&mut buffer, value);
        let bytes = Arc::<[u8]>::from(&buffer[..]);
        if buffer.capacity() <= KEPT {
            BUFFER.set(buffer);
        }
        written.map_err(|error| {
            Error::new(ErrorKind::Codec, "the value cannot be written as MessagePack").with_source(error)
        })?;
        Ok(Self(bytes))
    }

    /// Decodes the value as `T`; [`Codec`](ErrorKind::Codec) when it is of another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        let mut reader = rmp_serde::Deserializer::from_read_ref(&self.0);
        reader.set_max_depth(MAX_DEPTH);
        T::deserialize(&mut reader).map_err(|error| {
            let expected = std::any::type_name::<T>();
            Error::new(ErrorKind::Codec, format!("the stored value is not a {expected}")).with_source(error)
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn adding_an_optional_field_does_not_break_yesterdays_values() {
        #[derive(Serialize)]
        struct Yesterday {
            name: String,
        }
        #[derive(Deserialize, PartialEq, Debug)]
        struct Today {
            name: String,
            email: Option<String>,
        }
        let stored = Value::encode(&Yesterday { name: "ada".into() }).unwrap();
        assert_eq!(stored.decode::<Today>().unwrap(), Today { name: "ada".into(), email: None });
        assert_eq!(stored.decode::<u32>().unwrap_err().kind(), ErrorKind::Codec);
    }

    #[test]
    fn checklist_26_a_deeply_nested_value_is_an_error_and_not_a_stack_overflow() {
        let nested = Value::from_encoded(&vec![0x91; 1 << 20]);
        assert_eq!(nested.decode::<serde_json::Value>().unwrap_err().kind(), ErrorKind::Codec);
    }
}
