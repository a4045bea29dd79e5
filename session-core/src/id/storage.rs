//! The name of a record in the store.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Token;
use super::token::is_well_formed;
use crate::{Error, Result};

/// The name under which an engine stores a session.
///
/// Normally 32 bytes, the SHA-256 of the client's token; engines that need text use
/// [`to_text`](Self::to_text), 64 hexadecimal digits. A provider that is used directly, and a
/// manager with `plain_ids`, use the raw id instead, so that the layouts of older applications keep
/// working.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageId(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    Hashed([u8; 32]),
    Plain(Arc<str>),
}

impl StorageId {
    /// Returns the hashed name of the session with this token.
    #[must_use]
    pub fn of(token: &Token) -> Self {
        Self(Repr::Hashed(Sha256::digest(token.expose().as_bytes()).into()))
    }

    /// Wraps a name that is already 32 bytes.
    #[must_use]
    pub const fn from_hash(hash: [u8; 32]) -> Self {
        Self(Repr::Hashed(hash))
    }

    /// Uses a raw id as the name: 1 to 4096 of the characters `A-Z a-z 0-9 _ - .`, not beginning
    /// with a dot. Anything else is a [`Config`](crate::ErrorKind::Config) error, so that an id can
    /// never be a path, a pattern or a second command.
    pub fn plain(id: &str) -> Result<Self> {
        if !is_well_formed(id) {
            return Err(Error::config(
                "a session id has 1 to 4096 of the characters A-Z a-z 0-9 _ - . and must not begin \
                 with a dot",
            ));
        }
        Ok(Self(Repr::Plain(id.into())))
    }

    /// Uses the token itself as the name, for engines whose record the client holds.
    pub(crate) fn unhashed(token: &Token) -> Self {
        Self(Repr::Plain(token.text()))
    }

    /// Returns the name as bytes: 32 when hashed.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Hashed(hash) => hash,
            Repr::Plain(id) => id.as_bytes(),
        }
    }

    /// Returns the name as text: 64 hexadecimal digits when hashed, otherwise the raw id.
    pub fn to_text(&self) -> String {
        self.to_key("", usize::MAX)
    }

    /// Parses the text of a name, the inverse of [`to_text`](Self::to_text): for engines that find
    /// records by other means than their name. 64 hexadecimal digits in lower case are a hash,
    /// anything else is a raw id.
    ///
    /// [`Config`](crate::ErrorKind::Config) for a text that is not a name.
    pub fn from_text(text: &str) -> Result<Self> {
        let mut hash = [0; 32];
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let is_hash = text.len() == 64
            && text.as_bytes().chunks_exact(2).zip(&mut hash).all(|(pair, byte)| {
                let value = digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| high << 4 | low);
                *byte = value.unwrap_or_default();
                value.is_some()
            });
        if is_hash { Ok(Self::from_hash(hash)) } else { Self::plain(text) }
    }

    /// Returns the name as a store's key: the prefix, then the name as text. A raw id that would
    /// make the key longer than `limit` bytes is hashed and prefixed with `~`, which no id
    /// contains, so that no other id has that key.
    pub fn to_key(&self, prefix: &str, limit: usize) -> String {
        let mut key = String::with_capacity(prefix.len() + 1 + self.as_bytes().len().max(64));
        key.push_str(prefix);
        match &self.0 {
            Repr::Hashed(hash) => push_hex(&mut key, hash),
            Repr::Plain(id) if prefix.len() + id.len() > limit => {
                key.push('~');
                push_hex(&mut key, &Sha256::digest(id.as_bytes()).into());
            }
            Repr::Plain(id) => key.push_str(id),
        }
        key
    }

    /// Returns the raw id of a name that is not hashed.
    pub fn as_plain(&self) -> Option<&str> {
        match &self.0 {
            Repr::Plain(id) => Some(id),
            Repr::Hashed(_) => None,
        }
    }
}

/// On the path of every request to a server; a table lookup per digit would take four times as
/// long.
fn push_hex(text: &mut String, hash: &[u8; 32]) {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
        pair[0] = digit(byte >> 4);
        pair[1] = digit(byte & 15);
    }
    text.push_str(str::from_utf8(&digits).unwrap_or_default());
}

/// Prints the first 8 digits of a hash: enough to distinguish sessions in a log, too little to be
/// used.
impl fmt::Debug for StorageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash: [u8; 32] = match &self.0 {
            Repr::Hashed(hash) => *hash,
            Repr::Plain(id) => Sha256::digest(id.as_bytes()).into(),
        };
        let [a, b, c, d, ..] = hash;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_never_sees_the_token() {
        let token = Token::new("abc").unwrap();
        let id = StorageId::of(&token);
        assert_eq!(id.to_text(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(format!("{id:?}"), "ba7816bf");
    }

    #[test]
    fn a_name_is_parsed_from_its_text() {
        let hashed = StorageId::from_hash(std::array::from_fn(|at| u8::try_from(at * 8 + 7).unwrap()));
        assert_eq!(StorageId::from_text(&hashed.to_text()).unwrap(), hashed);
        let upper = hashed.to_text().to_uppercase();
        for raw in ["xsnkjklkjjkh27hjh78908", "0123", &upper, &"a".repeat(66)] {
            assert_eq!(StorageId::from_text(raw).unwrap(), StorageId::plain(raw).unwrap());
        }
        for bad in ["", "a b", "~ab", &"ä".repeat(32)] {
            assert!(StorageId::from_text(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_plain_id_is_neither_a_path_nor_a_pattern() {
        for bad in ["", ".", "..", ".x", "a/b", "a\\b", "a b", "a\0b", "a\r\nb", "a*", "ä", &"x".repeat(4097)]
        {
            assert!(StorageId::plain(bad).is_err(), "{bad:?}");
        }
        let id = StorageId::plain("xsnkjklkjjkh27hjh78908").unwrap();
        assert_eq!(id.to_text(), "xsnkjklkjjkh27hjh78908");
        assert!(!format!("{id:?}").contains("xsnk"));
    }

    #[test]
    fn a_key_begins_with_the_prefix_and_an_id_that_is_too_long_for_it_is_hashed() {
        let hashed = StorageId::from_hash(std::array::from_fn(|at| u8::try_from(at * 8).unwrap()));
        let digits = "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8";
        assert_eq!(hashed.to_key("session:", 72), format!("session:{digits}"));

        let plain = StorageId::plain("abc").unwrap();
        assert_eq!(plain.to_key("s:", 5), "s:abc");
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(plain.to_key("s:", 4), format!("s:~{hash}"));
    }
}
