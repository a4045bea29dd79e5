//! The tokens of a request that are worth looking up.

use crate::id::Token;

/// The largest number of distinct tokens of one request that are looked up: a site on a sibling
/// subdomain can plant cookies with our name, and must not cause an unbounded number of reads.
pub const MAX_CANDIDATES: usize = 4;

/// The part of a request that contained a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// In a cookie.
    Cookie,
    /// In the configured header.
    Header,
    /// In the URL. A response for such a session never sets a cookie.
    Query,
}

/// What [`Transport::candidates`](crate::transport::Transport::candidates) found: distinct tokens
/// in the order of the request, stored inline.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    tokens: [Option<Token>; MAX_CANDIDATES],
    source: Option<Source>,
}

impl Candidates {
    /// Iterates over the tokens.
    pub fn iter(&self) -> impl Iterator<Item = &Token> + Clone {
        self.tokens.iter().filter_map(Option::as_ref)
    }

    /// Returns the number of tokens.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.source.is_none()
    }

    /// Returns the source of all tokens; `None` when there is none.
    pub const fn source(&self) -> Option<Source> {
        self.source
    }

    pub(super) fn offer(&mut self, source: Source, text: &str, accept: &dyn Fn(&str) -> bool) {
        if self.iter().any(|token| token.expose() == text) {
            return;
        }
        let Some(free) = self.tokens.iter_mut().find(|slot| slot.is_none()) else { return };
        if accept(text)
            && let Some(token) = Token::new(text)
        {
            *free = Some(token);
            self.source = Some(source);
        }
    }
}

impl IntoIterator for Candidates {
    type Item = Token;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Token>, MAX_CANDIDATES>>;

    fn into_iter(self) -> Self::IntoIter {
        self.tokens.into_iter().flatten()
    }
}
