//! `MessagePack` for any `serde` type: what is written can be read back, and equal values give equal bytes.
//!
//! Structs are maps with field names. Beyond the format itself:
//!
//! - Types that have a form for people (an IP address, a UUID) are written in it, because `serde` reads them in that
//!   form inside untagged, internally tagged and flattened types. Values written in the compact form, as
//!   earlier versions of this crate did, are still read.
//! - The entries of `HashMap` and `HashSet` are sorted, so that equal ones have equal bytes. Every other map keeps
//!   its order, which may carry meaning (`IndexMap`).
//! - `Some(None)` and `Some(())` are told from `None`: a `Some` whose content is nil is an extension value.
//! - Nesting is bounded alike when writing and when reading.

mod de;
mod error;
mod ser;

pub(super) use de::decode;
pub(super) use error::CodecError;
pub(super) use ser::encode;

/// How deep arrays and maps may nest. Enum variants with a value of their own, and options in options, are counted
/// apart, up to the same number.
const MAX_DEPTH: u8 = 127;

/// The type of the extension value around the content of a `Some` that would read as `None` without it.
const SOME: u8 = 1;

const NIL: u8 = 0xc0;

/// Enters one more level of a nesting, unless that is one too many.
fn enter(depth: &mut u8) -> Result<(), CodecError> {
    if *depth == MAX_DEPTH {
        return Err(CodecError::too_deep());
    }
    *depth += 1;
    Ok(())
}
