//! How a token travels between client and server: a cookie, a header of your own, or the URL's
//! query.
//!
//! This module works on bytes, so that adapters of every framework (and of every version of the
//! `http` crate) can use it. It finds the tokens of a request and builds the headers of a response;
//! it reads no store and knows no request type.

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

/// The largest size of a cookie's name and value together, in octets (RFC 6265bis section 5.6);
/// browsers drop larger cookies.
pub const MAX_COOKIE_OCTETS: usize = 4096;

/// The headers that every response in [query mode](Transport::query_mode) needs: its URL contains
/// the token, so it is kept out of caches and out of the `Referer` header that other sites see.
pub const QUERY_MODE_HEADERS: [(&str, &str); 2] =
    [("cache-control", "no-store"), ("referrer-policy", "no-referrer")];

pub(crate) const SET_COOKIE: &str = "set-cookie";

/// Headers with a standard meaning, which a token must not replace.
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

/// How a token travels between client and server. The default is a cookie with the settings of
/// [`CookieSettings::default`].
///
/// The order is cookie, header, query, and only the first one with a well-formed token counts.
///
/// A browser sends cookies by itself, even on requests that another site triggers, but custom
/// headers only from the site's own scripts. The header transport is therefore safe from cross-site
/// request forgery **only with the cookie transport off** ([`Transport::header`], not
/// [`with_header`](Self::with_header)); and scripts can read a token in a header, so `HttpOnly`
/// does not protect it.
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
    /// Uses a cookie only.
    #[must_use]
    pub const fn cookie(settings: CookieSettings) -> Self {
        Self { cookie: Some(settings), header: None, query: None }
    }

    /// Uses a header of this name in requests and responses only: for scripts, and for clients that
    /// are not browsers. In a response that ends the session, its value is empty.
    #[must_use]
    pub fn header(name: impl Into<String>) -> Self {
        Self { cookie: None, header: Some(name.into()), query: None }
    }

    /// Adds a header of this name. See above for the effect on request forgery.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>) -> Self {
        self.header = Some(name.into());
        self
    }

    /// Adds a parameter of this name in the URL's query, for requests with neither cookie nor
    /// header.
    ///
    /// URLs end up in logs, histories and `Referer` headers: use it only where nothing else works.
    /// The application itself puts the token into its links. The response to such a request must
    /// never set a cookie ([`Candidates::source`]), or a link could log its victim in as the
    /// attacker.
    #[must_use]
    pub fn with_query(mut self, name: impl Into<String>) -> Self {
        self.query = Some(name.into());
        self
    }

    /// Neither reads nor writes a cookie.
    #[must_use]
    pub fn without_cookie(mut self) -> Self {
        self.cookie = None;
        self
    }

    /// Always writes the cookie, for engines whose token is the record itself: the cookie is then
    /// the storage, regardless of [`CookieSettings::send`].
    #[must_use]
    pub fn always_sent(mut self) -> Self {
        if let Some(cookie) = &mut self.cookie {
            cookie.send = true;
        }
        self
    }

    /// Validates the settings. [`Config`](ErrorKind::Config) when browsers would reject the cookie,
    /// or when the settings contradict each other; the message says what to change.
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
                    "the header `{name}` has a standard meaning: use another name, such as X-Session"
                )));
            }
        }
        if self.query.as_ref().is_some_and(|name| name.is_empty() || !name.bytes().all(query::is_plain)) {
            return Err(Error::config("the name of the query parameter may hold only A-Z a-z 0-9 _ - . ~"));
        }
        Ok(())
    }

    /// Returns the settings of the cookie, if there is one.
    pub const fn cookie_settings(&self) -> Option<&CookieSettings> {
        self.cookie.as_ref()
    }

    /// Returns the name of the cookie, if there is one.
    pub fn cookie_name(&self) -> Option<&str> {
        self.cookie.as_ref().map(|cookie| &*cookie.name)
    }

    /// Returns the name of the header, if there is one.
    pub fn header_name(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// Returns the name of the query parameter, if there is one.
    pub fn query_name(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns whether tokens may be in the URL, so that responses need [`QUERY_MODE_HEADERS`].
    pub const fn query_mode(&self) -> bool {
        self.query.is_some()
    }

    /// Returns the request headers that a response with a session depends on, as the value of
    /// `Vary`.
    pub fn vary(&self) -> String {
        let cookie = self.cookie.as_ref().map(|_| "Cookie");
        let names: Vec<_> = cookie.into_iter().chain(self.header_name()).collect();
        names.join(", ")
    }

    /// Returns the scope that client-side records are bound to, so that a sealed record cannot be
    /// moved to another cookie: name and domain, each as `length:text` ([`cookie_name_of_scope`]
    /// reads the name back). Without a cookie, the name is that of the header or the parameter.
    pub fn scope(&self) -> String {
        let name = self.cookie_name().or(self.header_name()).or(self.query_name()).unwrap_or_default();
        let domain = self.cookie.as_ref().and_then(|cookie| cookie.domain.as_deref()).unwrap_or_default();
        format!("{}:{name}{}:{}", name.len(), domain.len(), domain.to_ascii_lowercase())
    }

    /// Returns whether the cookie in the response to a request on this connection has `Secure`; a
    /// part of [`context`](Self::context).
    pub fn secure(&self, connection: Connection<'_>) -> bool {
        self.cookie.as_ref().is_some_and(|cookie| cookie.secure.applies(connection))
    }

    /// Returns the texts of a request that may be the token of a session: distinct, well-formed, at
    /// most [`MAX_CANDIDATES`], all from one source, in the order of the request. `accept` checks
    /// whether a text has the form of our tokens.
    ///
    /// Everything else (other cookies, wrong alphabets, bytes that are not UTF-8) is ignored. The
    /// time is linear in the length of the input, and only the candidates are allocated.
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

    /// Returns whether every response delivers a new token to its client.
    pub(crate) fn delivers_new_tokens(&self) -> bool {
        self.query.is_none() && self.cookie.as_ref().is_none_or(|cookie| cookie.send)
    }

    /// Returns whether the cookie depends on the request: on its connection, or on its host.
    pub fn depends_on_connection(&self) -> bool {
        self.cookie.as_ref().is_some_and(|cookie| {
            cookie.domains.is_some() || !matches!(cookie.secure, SecureMode::Always | SecureMode::Never)
        })
    }

    /// Returns the context of the cookie in the response to this request. It borrows nothing from
    /// the request, so an adapter can build it while it has the request's head.
    pub fn context(&self, connection: Connection<'_>) -> CookieContext {
        let Some(cookie) = &self.cookie else { return CookieContext::default() };
        CookieContext::of(cookie, connection)
    }

    /// Returns the response headers that set the client's token, with the
    /// [`context`](Self::context) of this request. A persistent cookie gets `max_age`, at most
    /// [`CookieSettings::max_age`] and 400 days.
    ///
    /// A `Secure` cookie for a client on plain HTTP logs an event, once per process: browsers drop
    /// it, so every request starts a new session.
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) when the cookie would exceed [`MAX_COOKIE_OCTETS`].
    pub fn set(
        &self,
        token: &Token,
        max_age: Option<Duration>,
        context: &CookieContext,
    ) -> Result<TokenHeaders<'_>> {
        let persistent = self.cookie.as_ref().is_some_and(|cookie| cookie.persistent);
        self.hand_out(token, max_age.filter(|_| persistent), context)
    }

    /// Like [`set`](Self::set), with a cookie that outlives the browser exactly when there is a
    /// `max_age`.
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
                    "the cookie `{}` has {octets} octets; browsers accept at most {MAX_COOKIE_OCTETS}",
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

    /// Returns the response headers that remove the client's token: the cookie with the same path,
    /// domain, `Secure` and `SameSite` (or browsers keep the old one), and an empty header.
    pub fn remove(&self, context: &CookieContext) -> TokenHeaders<'_> {
        let sent = self.cookie.as_ref().filter(|cookie| cookie.send);
        let cookie = sent.map(|cookie| (SET_COOKIE, cookie::remove(cookie, context)));
        TokenHeaders([cookie, self.header_name().map(|name| (name, String::new()))])
    }
}

/// Up to two response headers: name (in lower case for `set-cookie`, otherwise as configured) and
/// value. `Debug` prints only the names, because the values contain a token.
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

/// Returns the name in a [`scope`](Transport::scope); `None` when it does not have that form.
pub fn cookie_name_of_scope(scope: &str) -> Option<&str> {
    let (length, rest) = scope.split_once(':')?;
    rest.get(..length.parse().ok()?)
}

/// Returns whether a name is a `token` of RFC 9110, as names of cookies and headers must be.
fn is_http_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests;
