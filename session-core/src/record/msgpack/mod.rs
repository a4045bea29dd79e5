//! `MessagePack` for any `serde` type: every encoded value can be decoded, and equal values have
//! equal bytes.
//!
//! Structs are maps with field names. Beyond the format itself:
//!
//! - Types with a human-readable form (an IP address, a UUID) are written in it, because `serde`
//!   reads them in that form inside untagged, internally tagged and flattened types. Values in the
//!   compact form, which earlier versions of this crate wrote, are still read.
//! - The entries of `HashMap` and `HashSet` are sorted, so that equal ones have equal bytes. Every
//!   other map keeps its order, which may carry meaning (`IndexMap`).
//! - `Some(None)` and `Some(())` are distinct from `None`: a `Some` whose content is nil is an
//!   extension value.
//! - The limit on nesting is the same for encoding and decoding.

mod de;
mod error;
mod ser;

pub(super) use de::decode;
pub(super) use error::CodecError;
pub(super) use ser::encode;

/// The maximum nesting of arrays and maps. Enum variants with a value, and options in options, are
/// counted separately, up to the same number.
const MAX_DEPTH: u8 = 127;

/// The type of the extension value around the content of a `Some` that would read as `None` without
/// it.
const SOME: u8 = 1;

const NIL: u8 = 0xc0;

/// Enters one more level of nesting, or fails at the limit.
fn enter(depth: &mut u8) -> Result<(), CodecError> {
    if *depth == MAX_DEPTH {
        return Err(CodecError::too_deep());
    }
    *depth += 1;
    Ok(())
}
