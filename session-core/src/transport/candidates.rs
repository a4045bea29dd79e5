//! The tokens of a request that are worth a look-up.

use crate::id::Token;

/// How many different tokens of one request are looked up at most: a site on a sibling subdomain can plant
/// cookies of our name, and must not make us ask the store without end.
pub const MAX_CANDIDATES: usize = 4;

/// On which way a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// In a cookie.
    Cookie,
    /// In the configured header.
    Header,
    /// In the URL. Such a session is never answered with a cookie.
    Query,
}

/// What [`Transport::candidates`](crate::transport::Transport::candidates) found: distinct tokens in the order in which they came, held inline.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    tokens: [Option<Token>; MAX_CANDIDATES],
    source: Option<Source>,
}

impl Candidates {
    /// The tokens.
    pub fn iter(&self) -> impl Iterator<Item = &Token> + Clone {
        self.tokens.iter().filter_map(Option::as_ref)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.source.is_none()
    }

    /// On which way they came, all of them; `None` when there is none.
    pub const fn source(&self) -> Option<Source> {
        self.source
    }

    pub(super) fn offer(&mut self, source: Source, text: &str, accept: &dyn Fn(&str) -> bool) {
        if self.iter().any(|token| token.expose() == text) {
            return;
        }
        let Some(free) = self.tokens.iter_mut().find(|place| place.is_none()) else { return };
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
