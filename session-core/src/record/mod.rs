//! A stored session: a header that engines read, and a body that only the core reads.

pub(crate) mod account;
mod body;
mod codec;
pub(crate) mod header;
pub mod int128;
mod msgpack;
mod value;

pub(crate) use account::{Account, Device, Handle};
pub use body::Body;
pub use codec::{HEADER_BYTES, NEWEST_FORMAT};
#[cfg(test)]
pub(crate) use header::VERSIONS;
pub use header::{Header, State, Version};
pub(crate) use header::{Owner, Renewed};
pub use value::Value;

use crate::Result;
use crate::clock::Timestamp;

/// One stored session, or the tombstone that a regenerated one leaves under its old id for a while.
///
/// Cloning is cheap: the body is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The part that engines and scripts may read.
    pub header: Header,
    /// The application's values.
    pub body: Body,
    /// The engine's own compare token (a CAS value) as of when the record was read; never encoded.
    /// Zero where the engine compares versions.
    pub cas: u64,
}

impl Record {
    /// Creates a record with this header and body.
    #[must_use]
    pub const fn new(header: Header, body: Body) -> Self {
        Self { header, body, cas: 0 }
    }

    /// Returns the stamp that a conditional write over this record compares.
    pub const fn stamp(&self) -> Stamp {
        Stamp { version: self.header.version(), cas: self.cas }
    }

    /// Returns whether this is a session and not a tombstone.
    pub const fn is_live(&self) -> bool {
        matches!(self.header.state, State::Live)
    }

    /// Returns whether neither deadline has passed. Engines that keep the idle deadline elsewhere
    /// (a column, a native time to live) put it into the header when they read.
    pub fn is_alive_at(&self, now: Timestamp) -> bool {
        now < self.header.deadline && now < self.header.absolute
    }

    /// Encodes the record: the header at fixed offsets, then the body. The layout is in
    /// `docs/record.md`.
    pub fn encode(&self) -> Result<Vec<u8>> {
        codec::encode(self)
    }

    /// Decodes the output of [`encode`](Self::encode).
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when a newer version of this library wrote
    /// it, [`Corrupt`](crate::ErrorKind::Corrupt) when it is anything else. It allocates at most a
    /// small multiple of the input.
    pub fn decode(bytes: impl AsRef<[u8]>) -> Result<Self> {
        codec::decode(bytes.as_ref())
    }
}

/// The values that a conditional write compares: the version of the record, and the engine's own
/// token if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The version token of the record that was read.
    pub version: Version,
    /// The engine's own compare token of that record; zero when it is unknown: the engine then
    /// reads the record and compares the version.
    pub cas: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_at_the_earlier_of_its_deadlines() {
        let time = Timestamp::from_millis;
        for (absolute, deadline) in [(5, 9), (9, 5), (5, 5)] {
            let header = Header::new(time(1), time(absolute), time(deadline));
            let record = Record::new(header, Body::default());
            let alive = [4, 5, 6].map(|now| record.is_alive_at(time(now)));
            assert_eq!(alive, [true, false, false], "{absolute} and {deadline}");
        }
    }
}
