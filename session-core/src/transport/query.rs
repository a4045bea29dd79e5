//! The query of a URL, as far as it may hold a token.

/// The values under `name`, in their order, without decoding: a token has no character that would be escaped.
pub(super) fn values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The characters that need no escape in a URL (RFC 3986, "unreserved").
pub(super) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~')
}
