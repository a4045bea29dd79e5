//! How a token travels between client and server: a cookie, a header of your own, or the URL's query.
//!
//! This module speaks bytes only, so that adapters of every framework (and of every version of the `http`
//! crate) can use it. It decides which texts of a request are looked up and what a response says; it reads no
//! store and knows no request.

mod caching;
mod candidates;
mod connection;
mod context;
mod cookie;
mod domains;
mod host;
mod incoming;
mod query;
mod settings;

use std::time::Duration;

pub use caching::{Caching, TARGETED_CACHE_HEADERS};
pub use candidates::{Candidates, MAX_CANDIDATES, Source};
pub use connection::{Connection, SecureMode, TrustedProxies};
pub use context::CookieContext;
pub use domains::Domains;
pub use incoming::Incoming;
pub use settings::{CookieSettings, Priority, SameSite};

use crate::id::Token;
use crate::{Error, ErrorKind, Result};

/// How many octets name and value of a cookie may have together (RFC 6265bis section 5.6); browsers drop more.
pub const MAX_COOKIE_OCTETS: usize = 4096;

/// What a response in [query mode](Transport::query_mode) says besides: the address holds the token, so it is kept
/// out of caches and out of the `Referer` that other sites see.
pub const QUERY_MODE_HEADERS: [(&str, &str); 2] =
    [("cache-control", "no-store"), ("referrer-policy", "no-referrer")];

pub(crate) const SET_COOKIE: &str = "set-cookie";

/// Request headers with a meaning of their own, which a token must not replace.
const RESERVED_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "set-cookie",
    "transfer-encoding",
    "vary",
];

/// Over which ways a token comes in and goes out. The default is a cookie as [`CookieSettings::default`] says.
///
/// The ways are asked in the order cookie, header, query, and the first on which a well-formed token came is the
/// only one that counts.
///
/// A browser sends cookies by itself, also on requests that another site makes it send, but headers only when the
/// site's own script says so. The header transport is therefore safe from cross-site request forgery
/// **only with the cookie transport off** ([`Transport::header`], not [`with_header`](Self::with_header)); and a
/// script can read what comes in a header, so that `HttpOnly` protects nothing there.
///
/// ```
/// use session_core::transport::{CookieSettings, SameSite, Transport};
///
/// let transport = Transport::cookie(CookieSettings::host_prefixed("id").same_site(SameSite::Strict));
/// transport.check()?;
/// assert_eq!(transport.cookie_name(), Some("__Host-id"));
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    cookie: Option<CookieSettings>,
    header: Option<String>,
    query: Option<String>,
}

impl Default for Transport {
    fn default() -> Self {
        Self::cookie(CookieSettings::default())
    }
}

impl Transport {
    /// A cookie, and nothing else.
    #[must_use]
    pub const fn cookie(settings: CookieSettings) -> Self {
        Self { cookie: Some(settings), header: None, query: None }
    }

    /// A header of this name in requests and responses, and nothing else: for clients that are not browsers, and
    /// for scripts. A response that ends the session carries it empty.
    #[must_use]
    pub fn header(name: impl Into<String>) -> Self {
        Self { cookie: None, header: Some(name.into()), query: None }
    }

    /// A header of this name as well. See above what that means for request forgery.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>) -> Self {
        self.header = Some(name.into());
        self
    }

    /// Also a parameter of this name in the URL's query, for requests that bring neither cookie nor header.
    ///
    /// URLs end up in logs, histories and `Referer` headers: use it only where nothing else works. Nothing writes
    /// it: the application puts the token into its links. A session that came this way must never be answered
    /// with a cookie ([`Candidates::source`]), or a link could log its victim in as the attacker.
    #[must_use]
    pub fn with_query(mut self, name: impl Into<String>) -> Self {
        self.query = Some(name.into());
        self
    }

    /// No cookie, neither read nor written.
    #[must_use]
    pub fn without_cookie(mut self) -> Self {
        self.cookie = None;
        self
    }

    /// Makes sure that the cookie is written, for engines whose token is the record itself: there the cookie is
    /// the storage, whatever [`CookieSettings::send`] says.
    #[must_use]
    pub fn always_sent(mut self) -> Self {
        if let Some(cookie) = &mut self.cookie {
            cookie.send = true;
        }
        self
    }

    /// [`Config`](ErrorKind::Config) when browsers would refuse what this describes, or when it contradicts
    /// itself; the message says what to change.
    pub fn check(&self) -> Result<()> {
        if self.cookie.is_none() && self.header.is_none() && self.query.is_none() {
            return Err(Error::config("no transport is left: use a cookie, a header or the query"));
        }
        if let Some(cookie) = &self.cookie {
            cookie.check()?;
        }
        if let Some(name) = &self.header {
            if !is_http_token(name) {
                return Err(Error::config(format!(
                    "`{}` cannot be the name of a header: use letters, digits and -",
                    name.escape_debug()
                )));
            }
            if RESERVED_HEADERS.contains(&&*name.to_ascii_lowercase()) {
                return Err(Error::config(format!(
                    "the header `{name}` has a meaning of its own: use another name, such as X-Session"
                )));
            }
        }
        if self.query.as_ref().is_some_and(|name| name.is_empty() || !name.bytes().all(query::is_plain)) {
            return Err(Error::config("the name of the query parameter may hold only A-Z a-z 0-9 _ - . ~"));
        }
        Ok(())
    }

    /// The settings of the cookie, when there is one.
    pub const fn cookie_settings(&self) -> Option<&CookieSettings> {
        self.cookie.as_ref()
    }

    /// The name of the cookie, when there is one.
    pub fn cookie_name(&self) -> Option<&str> {
        self.cookie.as_ref().map(|cookie| &*cookie.name)
    }

    /// The name of the header, when there is one.
    pub fn header_name(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// The name of the query parameter, when there is one.
    pub fn query_name(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Whether a token may come in the URL, so that responses need [`QUERY_MODE_HEADERS`].
    pub const fn query_mode(&self) -> bool {
        self.query.is_some()
    }

    /// On which request headers a response that used the session depends, as the value of `Vary`.
    pub fn vary(&self) -> String {
        let cookie = self.cookie.as_ref().map(|_| "Cookie");
        let names: Vec<_> = cookie.into_iter().chain(self.header_name()).collect();
        names.join(", ")
    }

    /// What client-side records are bound to, so that a sealed one cannot be moved to another cookie: name and
    /// domain, each as `length:text` ([`cookie_name_of_scope`] reads the name back). Without a cookie, the name of
    /// the header or the parameter.
    pub fn scope(&self) -> String {
        let name = self.cookie_name().or(self.header_name()).or(self.query_name()).unwrap_or_default();
        let domain = self.cookie.as_ref().and_then(|cookie| cookie.domain.as_deref()).unwrap_or_default();
        format!("{}:{name}{}:{}", name.len(), domain.len(), domain.to_ascii_lowercase())
    }

    /// Whether a cookie is written with `Secure` in answer to a request that came this way; a part of
    /// [`context`](Self::context).
    pub fn secure(&self, connection: Connection<'_>) -> bool {
        self.cookie.as_ref().is_some_and(|cookie| cookie.secure.applies(connection))
    }

    /// The texts of a request that may be the token of a session: distinct, well-formed, at most
    /// [`MAX_CANDIDATES`], all from one way, in the order in which they came. `accept` says whether a text has the
    /// form of a token of ours.
    ///
    /// Whatever is no token (other cookies, wrong alphabets, bytes that are not UTF-8) is passed over. Time grows
    /// with the length of the input only, and nothing is allocated but the candidates.
    pub fn candidates(&self, incoming: Incoming<'_>, accept: &dyn Fn(&str) -> bool) -> Candidates {
        let mut found = Candidates::default();
        if let Some(name) = self.cookie_name() {
            let values = incoming.cookies.iter().flat_map(|header| cookie::values(header, name));
            values.for_each(|text| found.offer(Source::Cookie, text, accept));
        }
        let header = self.header.as_ref().and(incoming.header).filter(|_| found.is_empty());
        if let Some(text) = header.and_then(|value| std::str::from_utf8(value.trim_ascii()).ok()) {
            found.offer(Source::Header, text, accept);
        }
        if let (true, Some(name), Some(query)) = (found.is_empty(), self.query_name(), incoming.query) {
            query::values(query, name).for_each(|text| found.offer(Source::Query, text, accept));
        }
        found
    }

    /// Whether every client learns of a new token from the response.
    pub(crate) fn tells_new_tokens(&self) -> bool {
        self.query.is_none() && self.cookie.as_ref().is_none_or(|cookie| cookie.send)
    }

    /// Whether the cookie depends on how a request came: on its connection, or on the host that it asked for.
    pub fn depends_on_connection(&self) -> bool {
        self.cookie.as_ref().is_some_and(|cookie| {
            cookie.domains.is_some() || !matches!(cookie.secure, SecureMode::Always | SecureMode::Never)
        })
    }

    /// What a cookie of the response to this request depends on. It keeps nothing of the request, so that an
    /// adapter can ask for it while it has the request's head.
    pub fn context(&self, connection: Connection<'_>) -> CookieContext {
        let Some(cookie) = &self.cookie else { return CookieContext::default() };
        CookieContext::of(cookie, connection)
    }

    /// The response headers that hand `token` to the client, `context` being the answer of
    /// [`context`](Self::context) for this request. A persistent cookie gets `max_age`, at most
    /// [`CookieSettings::max_age`] and 400 days.
    ///
    /// A `Secure` cookie that goes to a client which came over plain HTTP is an event, once in a process: browsers drop it, and
    /// every visit is the first.
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) when the cookie would have more than [`MAX_COOKIE_OCTETS`].
    pub fn set(
        &self,
        token: &Token,
        max_age: Option<Duration>,
        context: &CookieContext,
    ) -> Result<TokenHeaders<'_>> {
        let persistent = self.cookie.as_ref().is_some_and(|cookie| cookie.persistent);
        self.hand_out(token, max_age.filter(|_| persistent), context)
    }

    /// As [`set`](Self::set), with a cookie that outlives the browser exactly when there is a `max_age`.
    pub(crate) fn hand_out(
        &self,
        token: &Token,
        max_age: Option<Duration>,
        context: &CookieContext,
    ) -> Result<TokenHeaders<'_>> {
        let sent = self.cookie.as_ref().filter(|cookie| cookie.send);
        let cookie = sent.map(|cookie| {
            let octets = cookie.name.len() + token.expose().len();
            if octets > MAX_COOKIE_OCTETS {
                let message = format!(
                    "the cookie `{}` has {octets} octets, browsers keep {MAX_COOKIE_OCTETS}",
                    cookie.name
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            context.warn_if_dropped();
            Ok((SET_COOKIE, cookie::set(cookie, token.expose(), max_age, context)))
        });
        let header = self.header_name().map(|name| (name, token.expose().to_owned()));
        Ok(TokenHeaders([cookie.transpose()?, header]))
    }

    /// The response headers that take the token away from the client: the cookie with the same path, domain,
    /// `Secure` and `SameSite` (or browsers keep the old one), and the header empty.
    pub fn remove(&self, context: &CookieContext) -> TokenHeaders<'_> {
        let sent = self.cookie.as_ref().filter(|cookie| cookie.send);
        let cookie = sent.map(|cookie| (SET_COOKIE, cookie::remove(cookie, context)));
        TokenHeaders([cookie, self.header_name().map(|name| (name, String::new()))])
    }
}

/// Up to two response headers, name (in lower case when it is `set-cookie`, else as configured) and value. `Debug`
/// prints the names only, because the values hold a token.
#[derive(Default)]
pub struct TokenHeaders<'a>([Option<(&'a str, String)>; 2]);

impl<'a> Iterator for TokenHeaders<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.iter_mut().find_map(Option::take)
    }
}

impl std::fmt::Debug for TokenHeaders<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().flatten().map(|(name, _)| name)).finish()
    }
}

/// The name at the front of a [`scope`](Transport::scope); `None` when it is not of that form.
pub fn cookie_name_of_scope(scope: &str) -> Option<&str> {
    let (length, rest) = scope.split_once(':')?;
    rest.get(..length.parse().ok()?)
}

/// A `token` of RFC 9110, which is what names of cookies and headers are.
fn is_http_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests;
