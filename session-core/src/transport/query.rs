//! Finds tokens in the query of a URL.

/// Returns the values of `name` in order, without decoding: no character of a token needs an
/// escape.
pub(super) fn values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Returns whether a character needs no escape in a URL (RFC 3986, "unreserved").
pub(super) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~')
}
