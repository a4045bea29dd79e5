//! The headers of an adapter's framework.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::{Error, Result};

/// A header that is read or written here. An adapter uses its framework's constants for the known
/// ones, or [`as_str`](Self::as_str) for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderName<'a> {
    /// `cookie`
    Cookie,
    /// `set-cookie`
    SetCookie,
    /// `cache-control`
    CacheControl,
    /// `vary`
    Vary,
    /// `referrer-policy`
    ReferrerPolicy,
    /// `host`
    Host,
    /// `forwarded`
    Forwarded,
    /// `x-forwarded-proto`
    XForwardedProto,
    /// `sec-fetch-site`
    SecFetchSite,
    /// Any other header, in upper or lower case.
    Other(&'a str),
}

impl<'a> HeaderName<'a> {
    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        match self {
            Self::Cookie => "cookie",
            Self::SetCookie => "set-cookie",
            Self::CacheControl => "cache-control",
            Self::Vary => "vary",
            Self::ReferrerPolicy => "referrer-policy",
            Self::Host => "host",
            Self::Forwarded => "forwarded",
            Self::XForwardedProto => "x-forwarded-proto",
            Self::SecFetchSite => "sec-fetch-site",
            Self::Other(name) => name,
        }
    }
}

/// The head of a request in an adapter's framework.
pub trait RequestHead {
    /// Returns all values of a header, unchanged.
    fn values(&self, name: HeaderName<'_>) -> impl Iterator<Item = &[u8]>;

    /// Returns the query of the URL, without the question mark.
    fn query(&self) -> Option<&str>;

    /// Returns the scheme of the URL; HTTP/1 requests have none.
    fn scheme(&self) -> Option<&str>;

    /// Returns the authority of the URL; HTTP/1 requests have none.
    fn authority(&self) -> Option<&str>;

    /// Returns whether this server itself terminated TLS.
    fn is_tls(&self) -> bool;

    /// Returns the peer of the connection: the client, or the last proxy.
    fn peer(&self) -> Option<IpAddr>;
}

/// The headers of a response in an adapter's framework.
pub trait ResponseHeaders {
    /// The value of a header.
    type Value: Clone;

    /// Builds a value from this text; a sensitive one is not printed.
    /// [`Config`](crate::ErrorKind::Config) when the text is not a valid header value.
    fn value(text: Cow<'static, str>, is_sensitive: bool) -> Result<Self::Value>;

    /// Returns the bytes of a value.
    fn bytes(value: &Self::Value) -> &[u8];

    /// Returns whether the value is marked as sensitive.
    fn is_sensitive(value: &Self::Value) -> bool;

    /// Returns all values of a header.
    fn all(&self, name: HeaderName<'_>) -> impl Iterator<Item = &Self::Value>;

    /// Returns all headers, with their names in lower case.
    fn entries(&self) -> impl Iterator<Item = (&str, &Self::Value)>;

    /// Replaces all values of a header. [`Config`](crate::ErrorKind::Config) when the name is not a
    /// valid header name.
    fn insert(&mut self, name: HeaderName<'_>, value: Self::Value) -> Result<()>;

    /// Adds a header unless it exists, and returns whether it was added.
    /// [`Config`](crate::ErrorKind::Config) when the name is not a valid header name.
    fn insert_first(&mut self, name: HeaderName<'_>, value: Self::Value) -> Result<bool> {
        if self.all(name).next().is_some() {
            return Ok(false);
        }
        self.insert(name, value).map(|()| true)
    }

    /// Adds one value to a header. [`Config`](crate::ErrorKind::Config) when the name is not a
    /// valid header name.
    fn append(&mut self, name: HeaderName<'_>, value: Self::Value) -> Result<()>;

    /// Removes all values of a header.
    fn remove(&mut self, name: HeaderName<'_>);
}

/// Builds the error for a session's header whose `part` (name or value) the framework rejects.
#[must_use]
pub fn unfit_header(part: &str) -> Error {
    Error::config(format!("the {part} of the session's header is not valid in HTTP"))
}
