//! The errors of encoding and decoding.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Expected, Unexpected};

/// A failure of the codec. It names types, fields and lengths, but never a value, which may be a
/// secret.
///
/// It is one word in size, because every function of the codec returns it.
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
        Self::new("it is truncated")
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
        // The messages of serde's buffer for untagged, internally tagged and flattened types.
        if matches!(&*message, "i128 is not supported" | "u128 is not supported") {
            return Self::new(
                "serde cannot read a 128-bit integer inside an untagged, internally tagged or flattened type: \
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

/// Describes the type that was found, without the value, which serde would show.
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
            // In practice a static text of the type, but serde does not guarantee that.
            let _ = what;
            "something else"
        }
    }
}
