//! What an adapter knows of its framework's headers.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::{Error, Result};

/// A header that is read or written here. An adapter takes the constants of its framework for the known ones, or
/// [`as_str`](Self::as_str) for all.
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
    /// Any other one, in upper or lower case.
    Other(&'a str),
}

impl<'a> HeaderName<'a> {
    /// The name.
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

/// The head of a request, as an adapter's framework keeps it.
pub trait RequestHead {
    /// All values of a header, as they came.
    fn values(&self, name: HeaderName<'_>) -> impl Iterator<Item = &[u8]>;

    /// The query of the URL, without the question mark.
    fn query(&self) -> Option<&str>;

    /// The scheme of the URL; HTTP/1 requests name none.
    fn scheme(&self) -> Option<&str>;

    /// The authority of the URL; HTTP/1 requests name none.
    fn authority(&self) -> Option<&str>;

    /// Whether this server itself ended TLS.
    fn is_tls(&self) -> bool;

    /// Who is at the other end of the connection: the client, or the last proxy.
    fn peer(&self) -> Option<IpAddr>;
}

/// The headers of a response, as an adapter's framework keeps them.
pub trait ResponseHeaders {
    /// The value of a header.
    type Value: Clone;

    /// A value of this text; one that is sensitive is not printed. [`Config`](crate::ErrorKind::Config) when a
    /// header cannot hold it.
    fn value(text: Cow<'static, str>, is_sensitive: bool) -> Result<Self::Value>;

    /// The bytes of a value.
    fn bytes(value: &Self::Value) -> &[u8];

    /// Whether the value was made to be sensitive.
    fn is_sensitive(value: &Self::Value) -> bool;

    /// All values of a header.
    fn all(&self, name: HeaderName<'_>) -> impl Iterator<Item = &Self::Value>;

    /// All headers, with their names in lower case.
    fn entries(&self) -> impl Iterator<Item = (&str, &Self::Value)>;

    /// Replaces all values of a header. [`Config`](crate::ErrorKind::Config) when the name cannot be that of a header.
    fn insert(&mut self, name: HeaderName<'_>, value: Self::Value) -> Result<()>;

    /// Adds a header that is not there yet, and says whether it did. [`Config`](crate::ErrorKind::Config) when the name
    /// cannot be that of a header.
    fn insert_first(&mut self, name: HeaderName<'_>, value: Self::Value) -> Result<bool> {
        if self.all(name).next().is_some() {
            return Ok(false);
        }
        self.insert(name, value).map(|()| true)
    }

    /// Adds one value to a header. [`Config`](crate::ErrorKind::Config) when the name cannot be that of a header.
    fn append(&mut self, name: HeaderName<'_>, value: Self::Value) -> Result<()>;

    /// Removes all values of a header.
    fn remove(&mut self, name: HeaderName<'_>);
}

/// The error of a session's header whose `part` (name or value) the framework does not take.
#[must_use]
pub fn unfit_header(part: &str) -> Error {
    Error::config(format!("the {part} of the session's header holds what a header cannot"))
}
