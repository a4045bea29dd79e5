//! The client's token.

use std::fmt;
use std::sync::Arc;

/// The secret by which a client is recognised: a random id, or a sealed record (cookie engine).
///
/// Anyone who has it *is* that user, so it prints as a placeholder; [`expose`](Self::expose)
/// returns the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Arc<str>);

impl Token {
    /// Parses a text that has the form of a token: 1 to 4096 of the characters `A-Z a-z 0-9 _ - .`,
    /// which pass unchanged through cookies, headers and URLs, not beginning with a dot. `None` for
    /// anything else.
    pub fn new(text: &str) -> Option<Self> {
        is_well_formed(text).then(|| Self(text.into()))
    }

    /// Returns the token itself, to be sent to its client only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the shared text.
    pub(super) fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// The maximum length of a token: as many characters as fit into a cookie.
const MAX_LENGTH: usize = 4096;

/// Returns whether a text has the form of a token.
#[expect(clippy::needless_bitwise_bool, reason = "branches would take fourteen times as long")]
pub(super) fn is_well_formed(text: &str) -> bool {
    // Checks every byte without a branch, so that the compiler vectorizes the loop: a sealed record
    // is long.
    let allowed = |byte: u8| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        // In ASCII the digits follow `-`, `.` and the slash.
        let digit_or_mark = (byte.wrapping_sub(b'-') < 13) & (byte != b'/');
        letter | digit_or_mark | (byte == b'_')
    };
    (1..=MAX_LENGTH).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().fold(true, |so_far, byte| so_far & allowed(byte))
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_alphabet_that_every_transport_carries() {
        assert!(Token::new("Az09_-.x").is_some());
        for bad in ["", ".a", "a=b", "a;b", "a b", "a\"", "a\n", "a%20", "é"] {
            assert!(Token::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn every_byte_outside_of_the_alphabet_is_refused_at_any_position() {
        for byte in 0..128_u8 {
            let allowed = byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            let text =
                |length: usize| format!("{}{}{}", "x".repeat(length), char::from(byte), "x".repeat(40));
            assert!((1..70).all(|length| Token::new(&text(length)).is_some() == allowed), "{byte}");
        }
        assert!(Token::new(&"x".repeat(4_096)).is_some() && Token::new(&"x".repeat(4_097)).is_none());
    }

    #[test]
    fn a_token_does_not_print() {
        assert_eq!(format!("{:?}", Token::new("secret").unwrap()), "Token(***)");
    }
}
