//! The names of files: checked before a path is made of them.

use std::cmp::Ordering;

use session_core::id::StorageId;
use sha2::{Digest as _, Sha256};

/// With the dot and the ending of a temporary file it is the 255 bytes that file systems take.
const LONGEST: usize = 250;
const TEMPORARY: &str = ".tmp";

/// The file name of a session: its hash in hexadecimal, or its raw id, `A-Z a-z 0-9 _ - .` and not beginning with a
/// dot. So it is never a path, and names that do begin with one are free for what is no session. An id that is too
/// long for a name is hashed after its first two characters, behind a `~`, which no id contains.
///
/// Names are ordered by directory, and within a directory by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn of(id: &StorageId) -> Self {
        Self(match id.as_plain() {
            Some(long) if long.len() > LONGEST => {
                let hash = StorageId::from_hash(Sha256::digest(long).into());
                format!("{}~{}", &long[..2], hash.to_text())
            }
            _ => id.to_text(),
        })
    }

    /// The session that a file belongs to, if it can be one of this engine's.
    pub(crate) fn parse(file: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(file).ok().filter(|text| text.len() <= LONGEST)?;
        // The rules of a plain id are those of a file name here.
        let is_id = |text| StorageId::plain(text).is_ok();
        let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_name = match text.split_once('~') {
            Some((first, hash)) => first.len() == 2 && is_id(first) && is_hash(hash),
            None => is_id(text),
        };
        is_name.then(|| Self(text.to_owned()))
    }

    /// The session whose temporary file this is.
    pub(crate) fn parse_temporary(file: &[u8]) -> Option<Self> {
        Self::parse(file.strip_prefix(b".")?.strip_suffix(TEMPORARY.as_bytes())?)
    }

    /// The id of the session, unless that was too long for a name.
    pub(crate) fn id(&self) -> Option<StorageId> {
        StorageId::from_text(&self.0).ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Where a record is written before it gets its name. One per session, since only the holder of its lock writes.
    pub(crate) fn temporary(&self) -> String {
        format!(".{}{TEMPORARY}", self.0)
    }

    /// The two directories that it lies in. A dot would name the directory itself.
    pub(crate) fn levels(&self) -> [&str; 2] {
        let second = match self.0.as_bytes().get(1) {
            None | Some(b'.') => "_",
            Some(_) => &self.0[1..2],
        };
        [&self.0[..1], second]
    }

    /// Which of the 256 locks guards it: FNV-1a, folded. Every process, of whatever version, must come to the same.
    pub(crate) fn lock(&self) -> u8 {
        let hash = self
            .0
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        hash.to_be_bytes().into_iter().fold(0, |folded, byte| folded ^ byte)
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.levels(), &self.0).cmp(&(other.levels(), &other.0))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether a directory's name can be one of the two levels.
pub(crate) fn is_level(directory: &[u8]) -> bool {
    matches!(directory, [byte] if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> Name {
        Name::of(&StorageId::plain(id).unwrap())
    }

    #[test]
    fn a_session_lies_two_levels_deep_under_its_first_two_characters() {
        let long = "lo".repeat(2_000);
        for (id, levels) in [
            ("xsnk", ["x", "s"]),
            ("x", ["x", "_"]),
            ("a.b", ["a", "_"]),
            ("-_", ["-", "_"]),
            (&long, ["l", "o"]),
        ] {
            assert_eq!(name(id).levels(), levels);
            assert!(levels.iter().all(|level| is_level(level.as_bytes())));
        }
        let hashed = Name::of(&StorageId::from_hash([0xab; 32]));
        assert_eq!((hashed.as_str().len(), hashed.levels()), (64, ["a", "b"]));
    }

    #[test]
    fn every_name_fits_and_is_known_again() {
        for length in [1, 2, 64, 249, 250, 251, 4096] {
            let name = name(&"x".repeat(length));
            assert!(name.temporary().len() <= 255);
            assert_eq!(Name::parse(name.as_str().as_bytes()), Some(name.clone()));
            assert_eq!(Name::parse_temporary(name.temporary().as_bytes()), Some(name));
        }
        assert_ne!(name(&"x".repeat(251)), name(&"x".repeat(252)));
    }

    #[test]
    fn names_that_are_not_a_sessions_are_not_taken_for_one() {
        for foreign in [
            &b".."[..],
            b".",
            b"",
            b".lock-00",
            b"a b",
            b"a/b",
            b"\xff",
            b"a\0",
            b".xs.tmp",
            b"xs~",
            b"xs~ab",
        ] {
            assert_eq!(Name::parse(foreign), None);
        }
        for foreign in [&b"..tmp"[..], b".tmp", b"xs.tmp", b".xs", b"...tmp"] {
            assert_eq!(Name::parse_temporary(foreign), None);
        }
        assert_eq!(Name::parse_temporary(b".xs.tmp"), Some(name("xs")));
        assert!(![&b"."[..], b"..", b"ab", b"", b".a"].into_iter().any(is_level));
    }

    #[test]
    fn locks_are_the_same_in_every_version_and_spread() {
        assert_eq!(name("xsnkjklkjjkh27hjh78908").lock(), 0xe5);
        let mut used = [0; 256];
        for number in 0..25_600 {
            used[usize::from(name(&format!("app-{number}")).lock())] += 1;
        }
        assert!(used.iter().all(|sessions| (50..200).contains(sessions)), "{used:?}");
    }
}
