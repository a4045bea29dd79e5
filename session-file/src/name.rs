//! The names of files: checked before a path is made of them.

use session_core::StorageId;

/// With the dot and the ending of a temporary file it is the 255 bytes that file systems take.
const LONGEST: usize = 250;
const TEMPORARY: &str = ".tmp";

/// The file name of a session: `A-Z a-z 0-9 _ - .`, not beginning with a dot, so that it is never a path, and
/// names that do begin with one are free for what is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// The name for an id, `None` when it is longer than a file name can be.
    pub(crate) fn of(id: &StorageId) -> Option<Self> {
        match id.as_plain() {
            Some(plain) => Self::parse(plain.as_bytes()),
            None => Some(Self(id.to_text())),
        }
    }

    /// The session that a file belongs to, if it can be one of this engine's.
    pub(crate) fn parse(file: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(file).ok().filter(|text| text.len() <= LONGEST)?;
        // The rules of a plain id are those of a file name here.
        StorageId::plain(text).ok()?;
        Some(Self(text.to_owned()))
    }

    /// The session whose temporary file this is.
    pub(crate) fn parse_temporary(file: &[u8]) -> Option<Self> {
        Self::parse(file.strip_prefix(b".")?.strip_suffix(TEMPORARY.as_bytes())?)
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

/// Whether a directory's name can be one of the two levels.
pub(crate) fn is_level(directory: &[u8]) -> bool {
    matches!(directory, [byte] if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> Option<Name> {
        Name::of(&StorageId::plain(id).unwrap())
    }

    #[test]
    fn a_session_lies_two_levels_deep_under_its_first_two_characters() {
        for (id, levels) in [("xsnk", ["x", "s"]), ("x", ["x", "_"]), ("a.b", ["a", "_"]), ("-_", ["-", "_"])]
        {
            assert_eq!(name(id).unwrap().levels(), levels);
            assert!(levels.iter().all(|level| is_level(level.as_bytes())));
        }
        let hashed = Name::of(&StorageId::from_hash([0xab; 32])).unwrap();
        assert_eq!((hashed.as_str().len(), hashed.levels()), (64, ["a", "b"]));
    }

    #[test]
    fn a_name_that_no_file_can_have_is_none() {
        assert_eq!(name(&"x".repeat(250)).unwrap().temporary().len(), 255);
        assert_eq!(name(&"x".repeat(251)), None);
    }

    #[test]
    fn checklist_28_names_that_are_not_a_sessions_are_not_taken_for_one() {
        for foreign in [&b".."[..], b".", b"", b".lock-00", b"a b", b"a/b", b"\xff", b"a\0", b".xs.tmp"] {
            assert_eq!(Name::parse(foreign), None);
        }
        for foreign in [&b"..tmp"[..], b".tmp", b"xs.tmp", b".xs", b"...tmp"] {
            assert_eq!(Name::parse_temporary(foreign), None);
        }
        assert_eq!(Name::parse_temporary(b".xs.tmp"), name("xs"));
        assert!(![&b"."[..], b"..", b"ab", b"", b".a"].into_iter().any(is_level));
    }

    #[test]
    fn locks_are_the_same_in_every_version_and_spread() {
        assert_eq!(name("xsnkjklkjjkh27hjh78908").unwrap().lock(), 0xe5);
        let mut used = [0; 256];
        for number in 0..25_600 {
            used[usize::from(name(&format!("app-{number}")).unwrap().lock())] += 1;
        }
        assert!(used.iter().all(|sessions| (50..200).contains(sessions)), "{used:?}");
    }
}
