//! What the client holds.

use std::fmt;
use std::sync::Arc;

/// The secret that a client presents to be recognised: a random id, or a sealed record (cookie engine).
///
/// Whoever has it *is* that user, so it prints as a placeholder; [`expose`](Self::expose) gives the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Arc<str>);

impl Token {
    /// Takes text that has the form of a token: 1 to 4096 of the characters `A-Z a-z 0-9 _ - .`, which pass
    /// unchanged through cookies, headers and URLs, not beginning with a dot. `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let well_formed = (1..=4096).contains(&text.len()) && !text.starts_with('.');
        (well_formed && text.bytes().all(allowed)).then(|| Self(text.into()))
    }

    /// The token itself, to be sent to its client and to nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
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
    fn a_token_does_not_print() {
        assert_eq!(format!("{:?}", Token::new("secret").unwrap()), "Token(***)");
    }
}
