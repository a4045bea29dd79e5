//! Serializes `u128` and `i128` fields: `#[serde(with = "session_core::record::int128")]`.
//!
//! Values support such integers without this. It is needed inside untagged, internally tagged and
//! flattened types, where serde cannot read them; this stores them as text.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use session_core::record::Value;
//!
//! #[derive(Serialize, Deserialize)]
//! #[serde(tag = "kind")]
//! enum Account {
//!     Customer {
//!         #[serde(with = "session_core::record::int128")]
//!         number: u128,
//!     },
//! }
//!
//! let stored = Value::encode(&Account::Customer { number: u128::MAX })?;
//! let Account::Customer { number } = stored.decode()?;
//! assert_eq!(number, u128::MAX);
//! # Ok::<(), session_core::Error>(())
//! ```

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// Writes the integer as text.
pub fn serialize<T: Display, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// Reads the text, or an integer of up to 64 bits.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr + TryFrom<u64> + TryFrom<i64>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Integer(PhantomData))
}

struct Integer<T>(PhantomData<T>);

impl<T: FromStr + TryFrom<u64> + TryFrom<i64>> Visitor<'_> for Integer<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, or one as text")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        number.try_into().map_err(|_| E::custom("the integer is out of range"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        number.try_into().map_err(|_| E::custom("the integer is out of range"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::custom("the text is not an integer, or out of range"))
    }
}
