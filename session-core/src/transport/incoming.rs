//! The parts of a request that may contain tokens.

use std::fmt;

/// The parts of a request that may contain tokens. An adapter passes them unchanged, in any
/// encoding. `Debug` prints no values, because they contain tokens.
#[derive(Default, Clone, Copy)]
pub struct Incoming<'a> {
    /// The values of all `Cookie` headers; HTTP/2 clients may send several.
    pub cookies: &'a [&'a [u8]],
    /// The value of the header named by
    /// [`Transport::header_name`](crate::transport::Transport::header_name), when one is
    /// configured.
    pub header: Option<&'a [u8]>,
    /// The query of the URL, without the question mark.
    pub query: Option<&'a str>,
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("cookies", &self.cookies.len())
            .field("header", &self.header.is_some())
            .field("query", &self.query.is_some())
            .finish()
    }
}
