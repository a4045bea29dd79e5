//! What a response says of the session: the token, and how far caches may keep it.

use http::header::{
    CACHE_CONTROL, Entry, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, SET_COOKIE, VARY,
};
use session_core::{Caching, Error, QUERY_MODE_HEADERS, Reply, Result, TARGETED_CACHE_HEADERS};

use crate::layer::Setup;

/// Adds to the headers of a response what it owes to the session.
pub(crate) fn apply(reply: Reply, setup: &Setup, headers: &mut HeaderMap) -> Result<()> {
    for (name, value) in reply.headers {
        let unfit = |_| Error::config(format!("the value of the header `{name}` holds what a header cannot"));
        let mut value = HeaderValue::try_from(value).map_err(unfit)?;
        value.set_sensitive(true);
        if name == SET_COOKIE.as_str() {
            remove_cookie(headers, cookie_name(&value));
            headers.append(SET_COOKIE, value);
        } else {
            let unfit = |_| Error::config("the name of the session's header holds what a header cannot");
            headers.insert(HeaderName::try_from(&*name).map_err(unfit)?, value);
        }
    }
    keep_from_caches(headers, reply.loaded, reply.sets_token);
    if reply.sets_token {
        for name in TARGETED_CACHE_HEADERS {
            headers.remove(name);
        }
    }
    if reply.loaded {
        vary(headers, setup.vary.as_ref());
    }
    Ok(())
}

/// Says how far caches may keep the response.
fn keep_from_caches(headers: &mut HeaderMap, loaded: bool, sets_token: bool) {
    let caching = |said: &[&[u8]]| Caching::of(said.iter().copied(), loaded, sets_token);
    match headers.entry(CACHE_CONTROL) {
        Entry::Vacant(entry) => {
            if let Caching::Replace(value) = caching(&[]) {
                entry.insert(constant(value));
            }
        }
        Entry::Occupied(mut entry) => {
            let said: Vec<_> = entry.iter().map(HeaderValue::as_bytes).collect();
            match caching(&said) {
                Caching::Replace(value) => {
                    entry.insert(constant(value));
                }
                Caching::KeepAndWarn => tracing::warn!(
                    "public_session_response: a response that used the session says that shared caches may keep it"
                ),
                _ => {}
            }
        }
    }
}

/// The header's value; the usual ones are checked when this is compiled.
fn constant(value: &'static str) -> HeaderValue {
    const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
    const PRIVATE: HeaderValue = HeaderValue::from_static("private");
    match value {
        "private" => PRIVATE,
        "no-store" => NO_STORE,
        other => HeaderValue::from_static(other),
    }
}

/// Keeps what an inner layer said of cross-origin requests, or a script could not read the error that takes the
/// response's place; and the tokens of an inner layer of another manager, whose sessions are stored.
pub(crate) fn keep_cors(from: &HeaderMap, to: &mut HeaderMap) {
    let is_cors = |name: &HeaderName| name.as_str().starts_with("access-control-") || name == VARY;
    let is_token = |name: &HeaderName, value: &HeaderValue| name == SET_COOKIE && value.is_sensitive();
    for (name, value) in from.iter().filter(|(name, value)| is_cors(name) || is_token(name, value)) {
        if name == VARY || name == SET_COOKIE || !to.contains_key(name) {
            to.append(name, value.clone());
        }
    }
}

/// Every answer of a service that reads tokens from URLs: its address must stay out of caches and `Referer`s.
pub(crate) fn guard_address(setup: &Setup, headers: &mut HeaderMap) {
    if setup.manager.transport().query_mode() {
        for ((_, value), name) in QUERY_MODE_HEADERS.into_iter().zip([CACHE_CONTROL, REFERRER_POLICY]) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Removes what the application or an inner layer wrote for the cookie of this name (RFC 6265bis section 4.1.1).
fn remove_cookie(headers: &mut HeaderMap, name: &[u8]) {
    let of_others = |value: &&HeaderValue| cookie_name(value) != name;
    let written = headers.get_all(SET_COOKIE);
    if written.iter().all(|value| of_others(&value)) {
        return;
    }
    let others: Vec<_> = written.iter().filter(of_others).cloned().collect();
    headers.remove(SET_COOKIE);
    for value in others {
        headers.append(SET_COOKIE, value);
    }
}

/// What stands before the value, which is long when it is a sealed record and is not looked at.
fn cookie_name(value: &HeaderValue) -> &[u8] {
    value.as_bytes().split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default().trim_ascii()
}

fn vary(headers: &mut HeaderMap, names: Option<&HeaderValue>) {
    let Some(names) = names else { return };
    match headers.entry(VARY) {
        Entry::Vacant(entry) => {
            entry.insert(names.clone());
        }
        Entry::Occupied(mut entry) => {
            let said = entry.iter().filter_map(|value| value.to_str().ok());
            let said: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim_ascii).collect();
            let is_said =
                |name: &str| said.iter().any(|word| *word == "*" || word.eq_ignore_ascii_case(name));
            if !names.to_str().is_ok_and(|names| names.split(", ").all(is_said)) {
                entry.append(names.clone());
            }
        }
    }
}
