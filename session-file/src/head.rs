//! What the first bytes of a file tell, without reading the rest.

use session_core::accounts::Owner;
use session_core::clock::Timestamp;
use session_core::record::HEADER_BYTES;

// The header's layout, as `session-core` documents it.
const MAGIC: &[u8] = b"SSN";
/// The formats that have this header; the second has more behind it.
const FORMATS: std::ops::RangeInclusive<u8> = 1..=2;
const STATE: usize = 4;
const HAS_OWNER: usize = 5;
const ABSOLUTE: usize = 24;
/// Where the idle deadline stands, 8 bytes, which no checksum covers.
pub(crate) const DEADLINE: usize = 32;
const OWNER: usize = 40;

/// What can be told from a file's first bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Head {
    /// A record of this engine.
    Ours { live: bool, absolute: Timestamp, deadline: Timestamp, owner: Option<Owner> },
    /// A record that a newer version wrote.
    Newer,
    /// What a loss of power leaves of a record that was not on disk yet: nothing, zeros, or its beginning.
    Torn,
    /// Anything else.
    Foreign,
}

impl Head {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let time = |offset: usize| {
            let bytes = bytes.get(offset..offset + 8)?.try_into().ok()?;
            Some(Timestamp::from_millis(u64::from_be_bytes(bytes)))
        };
        let whole = bytes.len() >= HEADER_BYTES;
        match (bytes.strip_prefix(MAGIC), time(ABSOLUTE), time(DEADLINE)) {
            (Some([format, ..]), Some(absolute), Some(deadline)) if FORMATS.contains(format) && whole => {
                let owner = bytes[OWNER..OWNER + 32].try_into().ok().map(Owner);
                let owner = owner.filter(|_| bytes[HAS_OWNER] == 1);
                Self::Ours { live: bytes[STATE] == 0, absolute, deadline, owner }
            }
            (Some([format, ..]), ..) if format > FORMATS.start() => Self::Newer,
            (Some([format, ..]), ..) if format == FORMATS.start() => Self::Torn,
            (Some([]), ..) => Self::Torn,
            (None, ..) if bytes.iter().all(|byte| *byte == 0) => Self::Torn,
            _ => Self::Foreign,
        }
    }

    /// Whether it is a record whose time is over.
    pub(crate) fn has_expired(self, now: Timestamp) -> bool {
        matches!(self, Self::Ours { absolute, deadline, .. } if deadline.min(absolute) <= now)
    }

    /// The owner of a session; a tombstone has none.
    pub(crate) fn owner(self) -> Option<Owner> {
        match self {
            Self::Ours { live: true, owner, .. } => owner,
            _ => None,
        }
    }

    /// Whether it is a session, and its time is not over.
    pub(crate) fn is_session_at(self, now: Timestamp) -> bool {
        matches!(self, Self::Ours { live: true, .. }) && !self.has_expired(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_loss_of_power_leaves_is_told_from_what_somebody_else_put_there() {
        let mut whole = [1; HEADER_BYTES];
        whole[..5].copy_from_slice(b"SSN\x01\x00");
        assert!(matches!(Head::parse(&whole), Head::Ours { live: true, .. }));
        for torn in
            [&b""[..], b"SSN", b"SSN\x01", &[0], &[0; HEADER_BYTES], &whole[..40], &whole[..HEADER_BYTES - 1]]
        {
            assert!(matches!(Head::parse(torn), Head::Torn), "{torn:?}");
        }
        for foreign in [&b"text"[..], b"SS", b"SSX", b"SSN\x00", b"\x00\x00a", b"SNS"] {
            assert!(matches!(Head::parse(foreign), Head::Foreign), "{foreign:?}");
        }
        whole[3] = 2;
        assert!(matches!(Head::parse(&whole), Head::Ours { live: true, .. }));
        for newer in [&b"SSN\x02"[..], b"SSN\x03", &[&b"SSN\xc8"[..], &[1; HEADER_BYTES]].concat()] {
            assert!(matches!(Head::parse(newer), Head::Newer), "{newer:?}");
        }
    }
}
