//! Why a value cannot be written or read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Expected, Unexpected};

/// A failure of the codec. It names types, fields and lengths, and never shows a value, which may be a secret.
///
/// One word in size, because every function of the codec returns it.
#[derive(Debug)]
pub struct CodecError(Box<Cow<'static, str>>);

impl CodecError {
    #[cold]
    pub(super) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(message.into()))
    }

    #[cold]
    pub(super) fn too_deep() -> Self {
        Self::new(format!("it nests deeper than {} levels", super::MAX_DEPTH))
    }

    #[cold]
    pub(super) fn cut_short() -> Self {
        Self::new("it is cut short")
    }

    #[cold]
    pub(super) fn too_long() -> Self {
        Self::new("a text, list or map in it has more than 2^32 - 1 elements")
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CodecError {}

impl serde::ser::Error for CodecError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl serde::de::Error for CodecError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        // serde's words, from its buffer for untagged, internally tagged and flattened types.
        if matches!(&*message, "i128 is not supported" | "u128 is not supported") {
            return Self::new(
                "serde reads no 128-bit integer inside of an untagged, internally tagged or flattened type: \
                 put #[serde(with = \"session_core::record::int128\")] on the field",
            );
        }
        Self::new(message)
    }

    #[cold]
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("invalid type: {}, expected {expected}", kind(unexpected)))
    }

    #[cold]
    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("invalid value: {}, expected {expected}", kind(unexpected)))
    }

    #[cold]
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown variant, expected one of {expected:?}"))
    }
}

/// The type of what was found, without the value that serde would show.
const fn kind(unexpected: Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a floating point number",
        Unexpected::Char(_) => "a character",
        Unexpected::Str(_) => "a string",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit => "nil",
        Unexpected::Option => "an option",
        Unexpected::NewtypeStruct => "a newtype struct",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        Unexpected::Enum => "an enum",
        Unexpected::UnitVariant => "a unit variant",
        Unexpected::NewtypeVariant => "a newtype variant",
        Unexpected::TupleVariant => "a tuple variant",
        Unexpected::StructVariant => "a struct variant",
        Unexpected::Other(what) => {
            // A static text of the type's own in practice, but nothing says so.
            let _ = what;
            "something else"
        }
    }
}
